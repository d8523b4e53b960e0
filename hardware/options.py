"""Settings of one kind of camera: a frozen dataclass each, filled from words that people type."""

import difflib
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hardware.errors import SettingError

Options = TypeVar("Options")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class CameraOption:
    """A setting of one kind of camera, for people who look for it.

    Attributes
    ----------
    name : as it is typed.
    meaning : what it is.
    type : "a number", "a whole number or a word" ...
    unit : of the value; empty if it has none.
    values : which ones are taken; empty for any of the type.
    default : the value if it is left out, or words for it; None if that is the camera's own, or nothing.
    """

    name: str
    meaning: str
    type: str
    unit: str = ""
    values: str = ""
    default: object = None


def about(
    meaning: str,
    *,
    unit: str = "",
    values: str = "",
    low: float | None = None,
    high: float = math.inf,
    default: str | None = None,
) -> dict[str, object]:
    """Return the metadata of a field of settings, for `describe_options` and `check_ranges`.

    Parameters
    ----------
    meaning, unit, values : see `CameraOption`; of a range, `values` follows from it.
    low, high : of a range that `check_ranges` checks, both included.
    default : words for what holds where the field is None.
    """
    metadata: dict[str, object] = {"meaning": meaning, "unit": unit, "values": values, "default": default}
    if low is None:
        return metadata
    text = f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
    return {**metadata, "values": values or text, "range": (low, high)}


def check_ranges(options: object, who: str) -> None:
    """Raise SettingError for a number of some settings that lies outside of its range.

    Parameters
    ----------
    options : a dataclass whose fields have metadata by `about`.
    who : whose settings these are, for the message: "a simulated camera".
    """
    for one in fields(options):  # type: ignore[arg-type]
        value = getattr(options, one.name)
        if value is None or "range" not in one.metadata:
            continue
        low, high = one.metadata["range"]
        if not low <= value <= high:
            raise SettingError(f"{one.name} of {who} is from {low:g} to {high:g}, not {value}")


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


def describe_options(kind: type[object]) -> list[CameraOption]:
    """Return what settings there are.

    Parameters
    ----------
    kind : a dataclass whose fields have metadata by `about`. If it takes names that are not among them, it
        describes these in `others`.
    """
    hints = get_type_hints(kind)
    described = [
        CameraOption(
            name=one.name,
            meaning=str(one.metadata.get("meaning", "")),
            type=_type_words(hints[one.name]),
            unit=str(one.metadata.get("unit", "")),
            values=str(one.metadata.get("values", "")),
            default=_default(one.default, one.metadata.get("default")),
        )
        for one in fields(kind)  # type: ignore[arg-type]
    ]
    return [*described, *getattr(kind, "others", ())]


def _default(value: object, words: object) -> object:
    return words if value is MISSING or value is None else value


def _type_words(hint: Any) -> str:
    return " or ".join(_WORDS.get(one, one.__name__) for one in _alternatives(hint) if one is not type(None))


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
    raise SettingError(f"{name} of {who} is {_type_words(hint)}, not {value!r}")


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
