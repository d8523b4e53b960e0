"""How a format encodes: one checked value, and named profiles of it."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from imgstore.errors import SettingsError, UnknownNameError

DEFAULT_PROFILE = "balanced"
PROFILES = ("fast", "balanced", "small", "lossless")

Limit = range | tuple[str, ...]
"""What a setting may be: whole numbers from ... to, or one of some names."""

Plain = dict[str, int | str]
"""Settings as they stand in the metadata: those that are set, by name."""

_WORDS = ("preset", "pixel_format")


@dataclass(frozen=True, slots=True)
class FormatSettings:
    """What can be chosen about the encoding of frames; None leaves it to the format.

    Attributes
    ----------
    quality : on the scale of the codec. H.264, HEVC and AV1: the CRF, lower is better, 0 is lossless in
        H.264 and HEVC. `mjpeg/avi`: FFmpeg's 2 (best) to 31. `jpg`: 1 to 100 (best).
    preset : how hard the encoder tries, by its own name for it.
    gop : frames from a keyframe to the next: what a random read decodes at most.
    threads : of the encoder, or that write images.
    pixel_format : FFmpeg's name of what the video holds.
    level : of compression; more is smaller and slower.
    """

    quality: int | None = None
    preset: str | None = None
    gop: int | None = None
    threads: int | None = None
    pixel_format: str | None = None
    level: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                object.__setattr__(self, field.name, _checked(field.name, value))

    def plain(self) -> Plain:
        """Return what is set, by name."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in every.items() if value is not None}


def parse_settings(content: object) -> FormatSettings | None:
    """Return settings from what stood in the metadata; names of later versions are passed over.

    Raises SettingsError. None means that the store's writer said nothing.
    """
    if content is None:
        return None
    if not isinstance(content, Mapping):
        raise SettingsError(f"settings are {content!r}, not a mapping of names to values")
    known = {field.name for field in fields(FormatSettings)}
    return _from_plain({name: value for name, value in content.items() if name in known})


@dataclass(frozen=True, slots=True)
class SettingsTable:
    """Which settings a format takes, and what its profiles say.

    Attributes
    ----------
    limits : what each setting may be, by its name. The format does not take the others.
    profiles : by name; "balanced" is always there and sets all that `limits` names but the pixel format.
    """

    limits: Mapping[str, Limit]
    profiles: Mapping[str, FormatSettings]

    def choose(self, format_name: str, choice: "str | FormatSettings | None") -> FormatSettings:
        """Return the settings that a profile's name, or settings that say only some, mean.

        Raises SettingsError, or UnknownNameError for a profile that no format has.
        """
        if isinstance(choice, FormatSettings):
            for name, value in choice.plain().items():
                self._check(format_name, name, value)
            return _from_plain({**self.profiles[DEFAULT_PROFILE].plain(), **choice.plain()})
        name = DEFAULT_PROFILE if choice is None else choice
        if name not in PROFILES:
            raise UnknownNameError("profile of settings", str(name), PROFILES)
        if name not in self.profiles:
            raise SettingsError(
                f"format {format_name!r} has no profile {name!r}, it has {_listed(self.profiles)}"
                + ("; 'ffv1/mkv', 'blosc2' and 'png' are lossless" if name == "lossless" else "")
            )
        return self.profiles[name]

    def _check(self, format_name: str, name: str, value: int | str) -> None:
        if name not in self.limits:
            takes = f"it takes {_listed(self.limits)}" if self.limits else "it takes none"
            raise SettingsError(f"format {format_name!r} has no setting {name!r}, {takes}")
        limit = self.limits[name]
        if value not in limit:
            allowed = f"{limit[0]} to {limit[-1]}" if isinstance(limit, range) else _listed(limit)
            raise SettingsError(f"{name} of format {format_name!r} is {allowed}, not {value!r}")


def _from_plain(values: Mapping[str, Any]) -> FormatSettings:
    return FormatSettings(**values)


def _checked(name: str, value: object) -> int | str:
    """Return a setting as a plain value of the right kind."""
    if name in _WORDS:
        if not isinstance(value, str):
            raise SettingsError(f"{name} is a name, not {value!r}")
        return str(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # NumPy's whole numbers too; else TypeError
    except TypeError:
        raise SettingsError(f"{name} is a whole number, not {value!r}") from None
    if number < 0 or isinstance(value, bool):
        raise SettingsError(f"{name} is a whole number from 0, not {value!r}")
    return number


def _listed(names: Mapping[str, object] | tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
