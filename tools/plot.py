"""Draw a result."""

from pathlib import Path
from typing import Annotated

import typer

from tools.console import show
from tools.motion_options import Bridge, KeepShake, MmPerPixel, MovingAbove, SleepAfter, Window, parse_motion
from tools.options import Force, Json

KINDS = "page, tracks, heatmap, position, speed, actogram, sleep, detection, score"


def plot(
    result: Annotated[Path, typer.Argument(help="Result file (*.tracks.h5).")],
    out: Annotated[Path, typer.Argument(help="Picture to write: .png, .pdf or .svg.")],
    kind: Annotated[str, typer.Option(help=f"One of: {KINDS}.")] = "page",
    lights: Annotated[
        str | None,
        typer.Option(help="When the lights are on, by the clock of the recording's zone: 8-20, 07:30-19:30."),
    ] = None,
    bin_minutes: Annotated[
        float | None,
        typer.Option("--bin", help="Minutes that are summed up. Default: 10 for actogram, 30 for sleep."),
    ] = None,
    window: Window = 1.0,
    moving_above: MovingAbove = None,
    sleep_after: SleepAfter = 5.0,
    bridge: Bridge = 10.0,
    keep_shake: KeepShake = False,
    mm_per_pixel: MmPerPixel = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw a result: on one page, or one thing at a time.

    page: tracks over the background, and position and speed against time for every region. heatmap: where
    animals stay. actogram: when they move, a line for each day, drawn twice. detection: when each was found.
    score: how sure that was. Where nothing is known, nothing is drawn, or it is pale red.

        ethostore plot week.tracks.h5 week.pdf --kind actogram --lights 8-20
    """
    from tracking import plots  # matplotlib takes a second to import

    options = plots.PlotOptions(
        lights=None if lights is None else plots.Lights.parse(lights),
        bin=None if bin_minutes is None else 60 * bin_minutes,
        motion=parse_motion(window, moving_above, sleep_after, bridge, keep_shake, mm_per_pixel, result),
        mm_per_pixel=mm_per_pixel,
    )
    plots.plot(result, out, kind=kind, options=options, force=force)
    show({"picture": str(out)}, as_json=as_json)
