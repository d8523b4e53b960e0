"""What subcommands take that measure motion."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import tracking

Window = Annotated[float, typer.Option(help="Seconds over which positions are averaged.")]
MovingAbove = Annotated[
    str | None,
    typer.Option(
        help="Speed above which an animal moves: 2 or 2px in pixels per second, 0.5mm in millimetres. "
        "Default: from the noise and the length of the animals."
    ),
]
SleepAfter = Annotated[
    float, typer.Option(help="Minutes; an animal immobile for so long or longer was asleep.")
]
Bridge = Annotated[
    float, typer.Option(help="Seconds; unseen for no longer, an animal is taken to have gone straight.")
]
KeepShake = Annotated[
    bool, typer.Option("--keep-shake", help="Do not take from the steps what all animals make together.")
]
MmPerPixel = Annotated[
    float | None, typer.Option(help="Scale of the picture. Default: what the result says.")
]


def parse_motion(
    window: float,
    moving_above: str | None,
    sleep_after: float,
    bridge: float,
    keep_shake: bool,
    mm_per_pixel: float | None,
    result: Path,
) -> tracking.MotionSettings:
    """Return what the options say. Raises typer.BadParameter, SettingsError, ResultFileError."""
    if mm_per_pixel is not None and not mm_per_pixel > 0:
        raise typer.BadParameter(f"--mm-per-pixel is above 0, got {mm_per_pixel}")
    above = None if moving_above is None else _parse_speed(moving_above, mm_per_pixel, result)
    return tracking.MotionSettings(window, above, 60 * sleep_after, bridge, not keep_shake)


def _parse_speed(text: str, mm_per_pixel: float | None, result: Path) -> float:
    unit = "mm" if text.endswith("mm") else "px"
    try:
        value = float(text.removesuffix(unit))
    except ValueError as exc:
        raise typer.BadParameter(f"--moving-above is a speed such as 2px or 0.5mm, got {text!r}") from exc
    if unit == "px":
        return value
    if mm_per_pixel is None:
        with tracking.open_results(result) as results:
            mm_per_pixel = results.attributes["mm_per_pixel"]
    if np.isnan(mm_per_pixel):
        raise typer.BadParameter(f"{result} does not know its scale; give --mm-per-pixel, or a speed in px")
    return value / mm_per_pixel
