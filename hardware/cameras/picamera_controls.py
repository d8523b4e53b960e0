"""What a Raspberry Pi's camera can be told, and libcamera's words for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hardware.errors import SettingError
from hardware.options import about

USUAL_RATE = 30.0
"""Frames per second if none are asked for, as picamera2 has it."""

_STREAMS = ("main", "lores")
_AWB = ("auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy")
_NOISE_REDUCTION = ("off", "fast", "high_quality", "minimal")
_LEAST_BUFFERS = 2  # with one, every second image at best
_MANUAL_FOCUS = 0
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class PicameraOptions:
    """Settings of a Raspberry Pi's camera; None leaves it to the camera.

    Raises SettingError for a value that no such camera takes.
    """

    stream: str = field(
        default="main",
        metadata=about(
            "which of the camera's two images is recorded; lores is the smaller one", values="main, lores"
        ),
    )
    lores_size: str | None = field(
        default=None,
        metadata=about(
            "size of the smaller image, no larger than the main one", unit="pixels", values="as 640x480"
        ),
    )
    exposure_ms: float | None = field(
        default=None, metadata=about("exposure time", unit="ms", values="above 0", default="automatic")
    )
    gain: float | None = field(
        default=None, metadata=about("analogue gain, a factor", values="from 1", default="automatic")
    )
    focus: float | None = field(
        default=None,
        metadata=about(
            "for lenses with a motor: 1 / metres; 0 is far away, 10 is 10 cm",
            unit="dioptres",
            values="from 0",
        ),
    )
    awb: str | None = field(
        default=None, metadata=about("white balance", values=", ".join(_AWB), default="auto")
    )
    red_gain: float | None = field(
        default=None, metadata=about("fixed white balance: factor for red, with blue_gain")
    )
    blue_gain: float | None = field(
        default=None, metadata=about("fixed white balance: factor for blue, with red_gain")
    )
    noise_reduction: str | None = field(
        default=None,
        metadata=about("noise reduction", values=", ".join(_NOISE_REDUCTION), default="fast"),
    )
    buffer_count: int = field(
        default=6,
        metadata=about(
            "images that the camera may hold in contiguous memory (CMA)", values=f"from {_LEAST_BUFFERS}"
        ),
    )
    queue_frames: int = field(
        default=16, metadata=about("frames that wait in memory for a late reader", values="from 1")
    )

    def __post_init__(self) -> None:
        _check_word("stream", self.stream, _STREAMS)
        _check_word("awb", self.awb, _AWB)
        _check_word("noise_reduction", self.noise_reduction, _NOISE_REDUCTION)
        _check_least("buffer_count", self.buffer_count, _LEAST_BUFFERS)
        _check_least("queue_frames", self.queue_frames, 1)
        if self.exposure_ms is not None and not self.exposure_ms > 0:
            raise SettingError(f"exposure_ms is a number of milliseconds above 0, not {self.exposure_ms}")
        if (self.red_gain is None) != (self.blue_gain is None):
            raise SettingError("red_gain and blue_gain are given together")
        if self.red_gain is not None and self.awb is not None:
            raise SettingError("white balance is fixed by red_gain and blue_gain, or awb says how; give one")
        if self.stream == "lores" and self.lores_size is None:
            raise SettingError("stream=lores needs lores_size, as in lores_size=640x480")
        self.lores_shape()

    def lores_shape(self) -> tuple[int, int] | None:
        """Return (rows, columns) of the smaller image."""
        if self.lores_size is None:
            return None
        try:
            columns, rows = map(int, self.lores_size.lower().split("x"))
        except ValueError:
            rows = columns = 0
        if min(rows, columns) < 1:
            raise SettingError(f"lores_size is COLUMNSxROWS, as in 640x480, not {self.lores_size!r}")
        return rows, columns

    def controls(self, rate: float | None) -> dict[str, Any]:
        """Return libcamera's controls by name, for so many frames per second.

        Raises SettingError if the exposure does not fit in between two frames.
        """
        duration_us = round(_US / (rate or USUAL_RATE))
        controls: dict[str, Any] = {}
        if rate is not None:
            controls["FrameDurationLimits"] = (duration_us, duration_us)
        if self.exposure_ms is not None:
            controls["ExposureTime"] = round(1000 * self.exposure_ms)
            if controls["ExposureTime"] > duration_us:
                raise SettingError(
                    f"an exposure of {self.exposure_ms:g} ms is longer than a frame at "
                    f"{rate or USUAL_RATE:g} per second; ask for at most {1000 / self.exposure_ms:g}"
                )
        if self.gain is not None:
            controls["AnalogueGain"] = self.gain
        if self.focus is not None:
            controls |= {"AfMode": _MANUAL_FOCUS, "LensPosition": self.focus}
        if self.awb is not None:
            controls |= {"AwbEnable": True, "AwbMode": _AWB.index(self.awb)}
        if self.red_gain is not None and self.blue_gain is not None:
            controls["ColourGains"] = (self.red_gain, self.blue_gain)
        if self.noise_reduction is not None:
            controls["NoiseReductionMode"] = _NOISE_REDUCTION.index(self.noise_reduction)
        return controls


def check_known(name: str, controls: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raise SettingError for a control that this camera has not.

    Parameters
    ----------
    name : of the camera, for the message.
    known : the camera's controls.
    """
    for control in controls:
        if control not in known:
            raise SettingError(
                f"{name} cannot take the setting {_OPTION_OF[control]}: it has no {control}; leave it out"
            )


def check_ranges(name: str, controls: Mapping[str, Any], ranges: Mapping[str, tuple[Any, Any, Any]]) -> None:
    """Raise SettingError for a value that the camera, as it is configured, would change.

    Parameters
    ----------
    ranges : least, greatest and usual value by control; those of a sensor depend on the size of its images.
    """
    for control, value in controls.items():
        least, greatest, _ = ranges.get(control, (None, None, None))
        numbers = value if isinstance(value, tuple) else (value,)
        if not isinstance(least, int | float) or not isinstance(greatest, int | float):
            continue  # some controls say nothing that can be compared
        if not all(least <= number <= greatest for number in numbers):
            raise SettingError(
                f"{name} cannot take {_OPTION_OF[control]} = {_plain(control, numbers[0])}; with images of "
                f"this size it goes from {' to '.join(_ends(control, least, greatest))}"
            )


def _ends(control: str, least: float, greatest: float) -> list[str]:
    """Return both ends of a range in the units of our settings, the lower one first."""
    ends = sorted((_in_our_units(control, least), _in_our_units(control, greatest)))
    return [f"{end:.4g}" for end in ends]


def read_back(metadata: Mapping[str, Any]) -> dict[str, object]:
    """Return what an image was taken with, in the words and units of our settings."""
    given: dict[str, object] = {}
    for control, option in _READ_BACK.items():
        value = metadata.get(control)
        if value is not None and (value or control != "FrameDuration"):
            given[option] = _in_our_units(control, value)
    if "ColourGains" in metadata:
        given["red_gain"], given["blue_gain"] = map(float, metadata["ColourGains"])
    return given


_READ_BACK = {
    "FrameDuration": "rate",
    "ExposureTime": "exposure_ms",
    "AnalogueGain": "gain",
    "DigitalGain": "digital_gain",
    "LensPosition": "focus",
    "ColourTemperature": "colour_temperature",
}

_OPTION_OF = {
    "FrameDurationLimits": "rate",
    "ExposureTime": "exposure_ms",
    "AnalogueGain": "gain",
    "AfMode": "focus",
    "LensPosition": "focus",
    "AwbEnable": "awb",
    "AwbMode": "awb",
    "ColourGains": "red_gain and blue_gain",
    "NoiseReductionMode": "noise_reduction",
}


def _in_our_units(control: str, value: float) -> float:
    if control in ("FrameDuration", "FrameDurationLimits"):
        return _US / value if value else float("inf")
    return value / 1000 if control == "ExposureTime" else float(value)


def _plain(control: str, value: float) -> str:
    return f"{_in_our_units(control, value):.4g}"


def _check_word(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise SettingError(f"{name} is one of {', '.join(known)}, not {value!r}")


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise SettingError(f"{name} is a whole number from {least}, not {value}")
