"""Settings of trackers: what they are called, mean and may be, and how they are read from text and files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from imgstore import MetadataError, UnknownNameError, parse_yaml
from tracking.errors import SettingsError

T = TypeVar("T")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Setting:
    """What one setting is.

    Attributes
    ----------
    name : as it is typed.
    kind : bool, int, float or str.
    default : its value where nothing else is said.
    help : what it means.
    unit : of its value; empty if it has none.
    least, most : its range, ends included; None if it is open there.
    choices : the words that it may be; empty if it is no choice.
    """

    name: str
    kind: type
    default: object
    help: str
    unit: str
    least: float | None
    most: float | None
    choices: tuple[str, ...]

    @property
    def range_text(self) -> str:
        """What its value may be, for people."""
        if self.choices:
            return ", ".join(self.choices)
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"{self.least:g} or more"
        return f"{self.most:g} or less" if self.most is not None else _WORDS[self.kind]

    def check(self, value: object) -> None:
        """Raise SettingsError if the value is out of range."""
        if self.choices and value not in self.choices:
            raise SettingsError(f"{self.name} is one of {self.range_text}, got {value!r}")
        if self.least is None and self.most is None:
            return
        low = -float("inf") if self.least is None else self.least
        high = float("inf") if self.most is None else self.most
        number = cast("float", value)
        if not low <= number <= high or number == float("inf"):  # NaN is in no range
            unit = f" {self.unit}" if self.unit else ""
            raise SettingsError(f"{self.name} is {self.range_text}{unit}, got {value}")


def setting(
    default: T,
    help: str,  # noqa: A002  # what it is called everywhere
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
) -> T:
    """Return a field of a dataclass of settings; what the arguments are `Setting` says.

    The dataclass is frozen, and its `__post_init__` calls `check_settings`.
    """
    metadata = {"help": help, "unit": unit, "least": least, "most": most, "choices": tuple(choices)}
    return field(default=default, metadata=metadata)


def describe_settings(kind: type[object]) -> list[Setting]:
    """Return what the fields of a dataclass of settings are, in their order."""
    return [
        Setting(
            name=one.name,
            kind=type(one.default),
            default=one.default,
            help=str(one.metadata.get("help", "")),
            unit=str(one.metadata.get("unit", "")),
            least=one.metadata.get("least"),
            most=one.metadata.get("most"),
            choices=tuple(one.metadata.get("choices", ())),
        )
        for one in fields(kind)  # type: ignore[arg-type]  # mypy does not know that it is a dataclass
    ]


def check_settings(settings: object) -> None:
    """Raise SettingsError if a value of a dataclass of settings is out of its range."""
    for one in describe_settings(type(settings)):
        one.check(getattr(settings, one.name))


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
    known = {one.name: one for one in describe_settings(kind)}
    for name in given:
        if name not in known:
            raise UnknownNameError("setting", name, known)
    values: dict[str, Any] = {name: _parse(known[name], value) for name, value in given.items()}
    return kind(**values)


def load_settings(path: str | os.PathLike[str]) -> dict[str, object]:
    """Return what a YAML file, a mapping of names to values, says.

    Raises SettingsError if it says something else, OSError if it cannot be read.
    """
    with Path(path).expanduser().open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    try:
        content = parse_yaml(data)
    except MetadataError as exc:
        raise SettingsError(f"the settings file {path} is no YAML: {exc}") from exc
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise SettingsError(
            f"the settings file {path} holds lines `name: value`, not {type(content).__name__}"
        )
    return content


def dump_settings(settings: object) -> str:
    """Return a dataclass of settings as a YAML file that explains itself; `load_settings` reads it."""
    blocks = []
    for one in describe_settings(type(settings)):
        unit = f", {one.unit}" if one.unit else ""
        line = yaml.safe_dump({one.name: getattr(settings, one.name)}, allow_unicode=True).strip()
        blocks.append(f"# {one.help} ({one.range_text}{unit})\n{line}\n")
    return "\n".join(blocks)


def _parse(one: Setting, value: object) -> object:
    parsed = _from_text(one.kind, value.strip()) if isinstance(value, str) else _from_value(one.kind, value)
    if parsed is None:
        raise SettingsError(f"the setting {one.name} is {_WORDS[one.kind]}, got {value!r}")
    return parsed


def _from_text(kind: type, text: str) -> object | None:
    if kind is bool:
        word = text.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    try:
        return cast("object", kind(text))
    except ValueError:
        return None


def _from_value(kind: type, value: object) -> object | None:
    """Return a value as what it has to be; None if it is nothing like it."""
    if isinstance(value, bool) or kind in (bool, str):
        return value if isinstance(value, kind) else None
    try:
        number = float(cast("float", value))
    except (TypeError, ValueError, OverflowError):
        return None
    if kind is float:
        return number
    return int(number) if number.is_integer() else None
