"""Figures of results. One file for each sort, and this table."""

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from imgstore import Registry, UnknownNameError, replacing
from tracking.errors import ResultExistsError, SettingsError
from tracking.plots.view import Lights, PlotOptions, View
from tracking.results import open_results

PICTURES = (".png", ".pdf", ".svg")

KINDS: Registry[Callable[[View], Figure]] = Registry(
    "kind of figure",
    {
        "page": "tracking.plots.page:draw_page",
        "tracks": "tracking.plots.tracks:draw_tracks",
        "heatmap": "tracking.plots.tracks:draw_heatmap",
        "position": "tracking.plots.strips:draw_position",
        "speed": "tracking.plots.strips:draw_speed",
        "actogram": "tracking.plots.daily:draw_actogram",
        "sleep": "tracking.plots.daily:draw_sleep",
        "detection": "tracking.plots.rasters:draw_detection",
        "score": "tracking.plots.rasters:draw_score",
    },
)


def plot(
    result: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    kind: str = "page",
    options: PlotOptions | None = None,
    force: bool = False,
) -> None:
    """Draw a result. Memory does not grow with the number of its frames.

    Parameters
    ----------
    result : the file.
    out : picture to write, .png, .pdf or .svg.
    kind : one of `KINDS`.
    options : None for the usual ones.
    force : replace `out` if it exists.

    Raises
    ------
    UnknownNameError
        There is no such kind, or the ending is no picture's.
    SettingsError
        There are hours of the lights, but the recording has no time of day.
    ResultFileError, ResultExistsError
        The result cannot be read, or there is something at `out`.
    """
    target = Path(out)
    draw = KINDS.get(kind)
    if target.suffix.lower() not in PICTURES:
        raise UnknownNameError("picture ending in", target.suffix, PICTURES)
    if target.exists() and not force:
        raise ResultExistsError(f"{target} exists already; give another name, or --force")
    with open_results(result) as results, mpl.rc_context({"font.size": 8, "axes.linewidth": 0.6}):
        view = View(results, options or PlotOptions())
        if view.options.lights is not None and not view.dated:
            raise SettingsError(
                "the recording knows no time of day, only seconds from its start, so it cannot be told when "
                "lights were on; leave --lights out"
            )
        figure = draw(view)
        with replacing(target) as file:
            figure.savefig(file, format=target.suffix[1:].lower(), dpi=150)


__all__ = ["KINDS", "PICTURES", "Lights", "PlotOptions", "View", "plot"]
