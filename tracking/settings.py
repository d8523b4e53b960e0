"""Settings from what people type: names and values as text to one checked value."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from imgstore import UnknownNameError
from tracking.errors import SettingsError

T = TypeVar("T")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_settings(kind: type[T], given: Mapping[str, object]) -> T:
    """Return a dataclass of settings with some of its fields set.

    Parameters
    ----------
    kind : the dataclass; every field has a default, whose type is the field's.
    given : field name to a value, or to text that says it.

    Raises
    ------
    UnknownNameError
        There is no such setting; the message suggests the closest.
    SettingsError
        A value is of another type, or out of its range.
    """
    defaults: dict[str, Any] = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in defaults:
            raise UnknownNameError("setting", name, defaults)
    return kind(**{name: _parse(name, value, type(defaults[name])) for name, value in given.items()})


def _parse(name: str, value: object, kind: type) -> object:
    if kind is str:
        return str(value).strip()
    text = str(value).strip().lower()
    try:
        if kind is bool:
            return {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}[text]
        return kind(text) if isinstance(value, str) else kind(value)
    except (KeyError, TypeError, ValueError) as exc:
        what = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise SettingsError(f"the setting {name} is {what}, got {value!r}") from exc
