"""Tables of implementations by name: formats, cameras, trackers, exporters."""

from collections.abc import Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from imgstore.errors import MissingDependencyError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Named implementations, each imported the first time it is asked for.

    Parameters
    ----------
    kind : what is in the table, for messages: "format", "camera".
    targets : name to "module:attribute".
    extras : name to the extra of this distribution that brings its libraries.
    """

    def __init__(
        self, kind: str, targets: Mapping[str, str], extras: Mapping[str, str] | None = None
    ) -> None:
        self._kind = kind
        self._targets = dict(targets)
        self._extras = dict(extras or {})
        self._loaded: dict[str, T] = {}

    def names(self) -> list[str]:
        """Return all names, in the order of the table."""
        return list(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def get(self, name: str) -> T:
        """Return the implementation called `name`.

        Raises
        ------
        UnknownNameError
            There is none; the message suggests the closest.
        MissingDependencyError
            It needs a library that is not installed; the message names the extra.
        """
        if name not in self._loaded:
            if name not in self._targets:
                raise UnknownNameError(self._kind, name, self._targets)
            module, _, attribute = self._targets[name].partition(":")
            try:
                self._loaded[name] = cast("T", getattr(import_module(module), attribute))
            except ModuleNotFoundError as exc:
                if exc.name and exc.name.split(".")[0] == module.split(".")[0]:
                    raise  # our own table is wrong; nothing the user could install
                extra = self._extras.get(name)
                remedy = f": pip install 'ethostore[{extra}]'" if extra else ""
                raise MissingDependencyError(f"{self._kind} {name!r} needs {exc.name}{remedy}") from exc
        return self._loaded[name]
