"""Settings of one kind of camera: a frozen dataclass each, filled from words that people type."""

import difflib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hardware.errors import SettingError

Options = TypeVar("Options")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_options(kind: type[Options], given: Mapping[str, object], who: str) -> Options:
    """Return the settings of one kind of camera.

    Parameters
    ----------
    kind : a dataclass whose fields are bool, int, float or str, some of them or None, each with a default.
    given : names and values; a value may be a string that says it.
    who : whose settings these are, for messages: "an OpenCV camera".

    Raises SettingError for a name that is none, with the nearest that is, and for a value of another type.
    """
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values = {}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise SettingError(f"{who} has no setting {name!r}{hint}; it has {', '.join(known) or 'none'}")
        values[name] = _parsed(name, value, hints[name], who)
    return kind(**values)


def describe_options(kind: type[object]) -> list[tuple[str, str, object]]:
    """Return name, meaning and default of every setting; the meaning is the field's metadata "help"."""
    return [
        (field.name, str(field.metadata.get("help", "")), None if field.default is MISSING else field.default)
        for field in fields(kind)  # type: ignore[arg-type]
    ]


def _parsed(name: str, value: object, hint: Any, who: str) -> object:
    types_ = [one for one in _alternatives(hint) if one is not type(None)]
    if value is None and len(types_) < len(_alternatives(hint)):
        return None
    for one in types_:
        if one is not bool and isinstance(value, bool):
            continue
        if isinstance(value, one):
            return value
        if one is float and isinstance(value, int):
            return float(value)
        if isinstance(value, str):
            parsed = _from_text(value, one)
            if parsed is not None:
                return parsed
    words = " or ".join(_WORDS.get(one, one.__name__) for one in types_)
    raise SettingError(f"{name} of {who} is {words}, not {value!r}")


_WORDS = {bool: "yes or no", int: "a whole number", float: "a number", str: "a word"}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _from_text(text: str, kind: Any) -> object | None:
    if kind is bool:
        word = text.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None
    try:
        return text if kind is str else (int(text) if kind is int else float(text))
    except ValueError:
        return None
