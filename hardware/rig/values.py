"""Single values as people write them into a rig file: each function checks one and says what would do.

Each takes its own results, too, so that the same check serves values that were made in Python.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import Field, fields
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any, TypeAlias

from hardware.errors import SettingError

Parse: TypeAlias = Callable[[object], object]
"""Returns what a value means. Raises SettingError whose message goes on after "NAME is "."""

_UNITS = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_LONGEST_NAME = 80
_LEAST_BYTES = 1_000_000
_MOST_BYTES = 10**18
_MOST = 1e9  # of frames, seconds: 30 years
_YEARS = range(1971, 9000)  # that all zones can tell
_DEEPEST, _MOST_VALUES = 8, 1000
_PLAIN = (str, int, float, bool)


def rule(parse: Parse, *stand_in: object) -> dict[str, object]:
    """Return the metadata of a field of a dataclass which `check_fields` checks, and may stand in a rig file.

    Parameters
    ----------
    stand_in : of a field without default: a value with which the rest of a file can be looked at where this
        one is wrong.
    """
    return {"parse": parse, "stand_in": stand_in}


def settings_of(kind: type[object]) -> dict[str, Field[Any]]:
    """Return the fields of a dataclass that may stand in a rig file, by name."""
    return {one.name: one for one in fields(kind) if "parse" in one.metadata}  # type: ignore[arg-type]


def check_fields(value: object) -> None:
    """Check and parse all settings of a frozen dataclass. Raises SettingError with all that is wrong."""
    wrong = []
    for name, one in settings_of(type(value)).items():
        try:
            object.__setattr__(value, name, one.metadata["parse"](getattr(value, name)))
        except SettingError as exc:
            wrong.append(f"{name} {exc}")
    if wrong:
        raise SettingError("; ".join(wrong))


def optional(parse: Parse) -> Parse:
    """Return a check that takes None, too."""
    return lambda value: None if value is None else parse(value)


def whole(lowest: int) -> Callable[[object], int]:
    """Return a check for whole numbers."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= _MOST:
            raise SettingError(f"is a whole number from {lowest}, not {value!r}")
        return value

    return parse


def positive(unit: str) -> Callable[[object], float]:
    """Return a check for numbers above 0, or durations such as 12:00:00 where the unit is seconds."""

    def parse(value: object) -> float:
        number = _duration(value) if unit == "seconds" and isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= _MOST:
            remark = " or hours:minutes:seconds" if unit == "seconds" else ""
            raise SettingError(f"is a number of {unit} above 0{remark}, not {value!r}")
        return float(number)

    return parse


def _duration(text: str) -> float | None:
    """Return the seconds of "12:00:00"."""
    match = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)", text.strip())
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None


def switch(value: object) -> bool:
    """Return a yes or no."""
    if not isinstance(value, bool):
        raise SettingError(f"is yes or no, not {value!r}")
    return value


def text(value: object) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise SettingError(f"is a text, not {value!r}")
    return value.strip()


def file_name(value: object) -> str:
    """Return a word of which a folder may be named."""
    name = text(value)
    if name.startswith(".") or "/" in name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise SettingError(
            f"is a name for a folder, up to {_LONGEST_NAME} characters, no /, no dot in front, not {name!r}"
        )
    return name


def one_of(known: Sequence[str]) -> Callable[[object], str]:
    """Return a check for one of some words."""

    def parse(value: object) -> str:
        if value not in known:
            close = get_close_matches(str(value), known, 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise SettingError(f"is one of {', '.join(known)}, not {value!r}{hint}")
        return str(value)

    return parse


def image_size(value: object) -> tuple[int, int]:
    """Return (rows, columns) of "1280x960"."""
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(n, int) and n > 0 for n in value):
        return value
    match = (
        re.fullmatch(r"([1-9]\d{0,5})\s*[xX]\s*([1-9]\d{0,5})", value.strip())
        if isinstance(value, str)
        else None
    )
    if match is None:
        raise SettingError(f"is columns x rows, as 1280x960, not {value!r}")
    return int(match[2]), int(match[1])


def rectangle(value: object) -> tuple[int, int, int, int]:
    """Return x, y, width and height, of a list or "100,50,640,480"."""
    parts: Sequence[object] = [one.strip() for one in value.split(",")] if isinstance(value, str) else ()
    if isinstance(value, list | tuple):
        parts = value
    try:
        x, y, width, height = (int(str(one)) for one in parts)
    except ValueError:
        raise SettingError(
            f"is x, y, width, height in pixels, as [100, 50, 640, 480], not {value!r}"
        ) from None
    if min(x, y) < 0 or min(width, height) < 1:
        raise SettingError(f"is x, y from 0 and width, height from 1, in pixels, not {value!r}")
    return x, y, width, height


def byte_count(value: object) -> int:
    """Return the bytes of "200 GB"; a number must be so large that it can only be bytes."""
    if isinstance(value, int) and _LEAST_BYTES <= value < _MOST_BYTES:
        return value
    match = (
        re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", value.strip().lower()) if isinstance(value, str) else None
    )
    if (
        match is None
        or match[2] not in _UNITS
        or not _LEAST_BYTES <= float(match[1]) * _UNITS[match[2]] < _MOST_BYTES
    ):
        raise SettingError(f"is an amount from 1 MB with its unit, as 20 GB (kB, MB, GB, TB), not {value!r}")
    return int(float(match[1]) * _UNITS[match[2]])


def clock_time(value: object) -> time:
    """Return the time of day of "20:00"."""
    if isinstance(value, time) and value.tzinfo is None:
        return value
    words = value.strip() if isinstance(value, str) else ""
    match = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", words)
    try:
        if match is not None:
            return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        pass  # there is no 25:00
    raise SettingError(f"is a time of day, as 20:00, not {value!r}")


def moment(value: object) -> datetime:
    """Return a date and time; without a zone it is local."""
    found = value if isinstance(value, datetime) else None
    if isinstance(value, str) and len(value.strip()) > len("2026-11-21"):
        with suppress(ValueError):
            found = datetime.fromisoformat(value.strip())
    if found is None or found.year not in _YEARS:
        remark = "; say the time of day, too" if isinstance(value, date) and found is None else ""
        raise SettingError(f"is a date and time, as 2026-11-21 20:00, not {str(value)!r}{remark}")
    return found


def moment_or_time(value: object) -> datetime | time:
    """Return a date and time, or a time of day."""
    for parse in (clock_time, moment):
        try:
            return parse(value)
        except SettingError:
            continue
    raise SettingError(
        f"is a date and time, as 2026-11-21 20:00, or a time of day, as 08:00, not {str(value)!r}"
    )


def names(value: object) -> tuple[str, ...]:
    """Return a list of different names."""
    parts = value if isinstance(value, list | tuple) else None
    if parts is None or not all(isinstance(one, str) and one.strip() for one in parts):
        raise SettingError(f"is a list of names, as [genotype, age], not {value!r}")
    stripped = tuple(one.strip() for one in parts)
    if len(set(stripped)) < len(stripped):
        raise SettingError(f"is a list of different names, not {value!r}")
    return stripped


def free_values(value: object) -> dict[str, object]:
    """Return a mapping of names to whatever can be kept in a store's metadata."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise SettingError(f"is a mapping of names to values, not {value!r}")
    left = [_MOST_VALUES]
    if reserved := [key for key in value if key.startswith("__")]:
        raise SettingError(f"holds {reserved[0]!r}, but names with __ in front are the store's own")
    return {key: _plain(item, left, _DEEPEST) for key, item in value.items()}


def _plain(value: object, left: list[int], deep: int) -> object:
    """Return a value with dates as text. Raises SettingError if it is too much or no plain value."""
    left[0] -= 1
    if left[0] < 0 or deep < 0:
        raise SettingError(
            f"holds more than {_MOST_VALUES} values, or lists in lists more than {_DEEPEST} deep"
        )
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, left, deep - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, left, deep - 1) for item in value]
    raise SettingError(f"holds {value!r}, which is no text, number, date, list or mapping")
