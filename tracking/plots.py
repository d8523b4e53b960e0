"""Figures of results."""

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from matplotlib.patheffects import withStroke

from imgstore import UnknownNameError, replacing
from tracking.errors import ResultExistsError
from tracking.motion import SPEED_WINDOW_S, speed
from tracking.points import Points
from tracking.results import Results, open_results
from tracking.roi import ROI

PICTURES = (".png", ".pdf", ".svg")

_MOST_ON_A_STRIP = 1200  # points of a line; more cannot be seen
_MOST_ON_A_TRACK = 20_000
_STRIPS_PER_COLUMN = 24
_X, _Y, _SPEED = "#1f4e79", "#2e8b57", "#b5651d"
_TIME_COLOURS = "viridis"

Numbers = npt.NDArray[np.float64]


def plot(result: str | os.PathLike[str], out: str | os.PathLike[str], *, force: bool = False) -> None:
    """Draw a result on one page: tracks over the background, position and speed of every region.

    Raises ResultFileError, UnknownNameError for an ending that is no picture's, ResultExistsError.
    """
    target = Path(out)
    if target.suffix.lower() not in PICTURES:
        raise UnknownNameError("picture ending in", target.suffix, PICTURES)
    if target.exists() and not force:
        raise ResultExistsError(f"{target} exists already; give another name, or --force")
    with open_results(result) as results, mpl.rc_context({"font.size": 8, "axes.linewidth": 0.6}):
        figure = overview(results)
        with replacing(target) as file:
            figure.savefig(file, format=target.suffix[1:].lower(), dpi=150)


def overview(results: Results) -> Figure:
    """Return the page that `plot` writes."""
    rois = results.rois
    rows = min(len(rois), _STRIPS_PER_COLUMN)
    columns = -(-len(rois) // _STRIPS_PER_COLUMN)
    height = max(7.5, 1.6 + 0.46 * rows)
    figure = Figure(figsize=(9.5 + 7.5 * columns, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1, 1 + columns, width_ratios=[9.0] + [7.5] * columns)
    start = float(results.frames["time"][0]) if len(results.frames) else 0.0
    times = results.frames["time"] - start
    _draw_tracks(figure.add_subplot(grid[0]), results, times)
    for column in range(columns):
        part = rois[column * _STRIPS_PER_COLUMN : (column + 1) * _STRIPS_PER_COLUMN]
        _draw_strips(
            figure, grid[1 + column].subgridspec(len(part), 2, wspace=0.06), part, results.points, times
        )
    attributes = results.attributes
    seen = len(results.points) / max(1, len(times) * len(rois))
    figure.suptitle(
        f"{Path(attributes['source']).name}   {attributes['tracker']}   {len(times)} frames, "
        f"{len(rois)} region{'s' if len(rois) > 1 else ''}, found in {seen:.1%}"
        + ("" if attributes["state"] == "complete" else f"   ({attributes['state']})"),
        fontsize=10,
    )
    return figure


def _draw_tracks(axes: Axes, results: Results, times: Numbers) -> None:
    rows, columns = results.attributes["frame_shape"][:2]
    background = results.background
    if background is not None:
        axes.imshow(background, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    span = Normalize(0, max(float(times[-1]), 1e-9) if len(times) else 1)
    unit, scale = _time_unit(span.vmax or 1)
    for roi in results.rois:
        axes.plot(*np.vstack([roi.polygon, roi.polygon[:1]]).T, color="#58d68d", linewidth=0.7)
        axes.annotate(
            roi.label,
            roi.upper_left,
            color="#58d68d",
            fontsize=7,
            path_effects=[withStroke(linewidth=1.5, foreground="black")],
            textcoords="offset points",
            xytext=(2, -8),
        )
        points = results.points[results.points["roi"] == roi.number]
        if len(points):
            at, x, y = _thinned(_MOST_ON_A_TRACK, times[points["frame"]], points["x"], points["y"])
            steps = np.stack([np.stack([x, y], 1)[:-1], np.stack([x, y], 1)[1:]], 1)
            line = LineCollection(list(steps), array=at[1:] / scale, cmap=_TIME_COLOURS, linewidths=0.9)
            line.set_clim(0, (span.vmax or 1) / scale)
            axes.add_collection(line)
            axes.plot(x[-1], y[-1], ".", color="#e74c3c", markersize=4)
    if len(results.targets):
        axes.plot(*results.targets.T, "+", color="#58d68d", markersize=10)
    axes.set(
        xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xlabel="x (px)", ylabel="y (px)", aspect="equal"
    )
    colours = mpl.cm.ScalarMappable(Normalize(0, (span.vmax or 1) / scale), _TIME_COLOURS)
    below = axes.inset_axes((0.2, -0.12, 0.6, 0.018))
    axes.figure.colorbar(
        colours, cax=below, orientation="horizontal", label=f"time ({unit}); red: last place"
    )


def _draw_strips(
    figure: Figure, grid: GridSpecFromSubplotSpec, rois: Sequence[ROI], points: Points, times: Numbers
) -> None:
    span = float(times[-1]) if len(times) > 1 else 1.0
    unit, scale = _time_unit(span)
    tables = {roi.number: points[points["roi"] == roi.number] for roi in rois}
    speeds = {
        number: speed(times[table["frame"]], table["x"].astype(float), table["y"].astype(float))
        for number, table in tables.items()
    }
    everything = np.concatenate([*speeds.values(), [1.0]])
    top = 1.05 * float(np.nanquantile(everything, 0.999))
    for row, roi in enumerate(rois):
        table, last = tables[roi.number], row == len(rois) - 1
        at = times[table["frame"]]
        place, rate = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
        for along, colour in _axes_to_show(roi):
            moment, position = _thinned(
                _MOST_ON_A_STRIP, at, table[along].astype(float) - roi.offset[along == "y"]
            )
            place.plot(moment / scale, _broken(moment, position, span), color=colour, linewidth=0.8)
        place.set_ylim(0, roi.longest_axis)
        moment, fastest = _thinned(_MOST_ON_A_STRIP, at, speeds[roi.number])
        rate.fill_between(moment / scale, 0, fastest, color=_SPEED, linewidth=0.0, alpha=0.8)
        rate.set_ylim(0, top)
        place.set_ylabel(str(roi.number), rotation=0, ha="right", va="center", fontweight="bold")
        found = len(np.unique(table["frame"])) / max(1, len(times))
        if not len(table):
            place.annotate("never found", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center")
        rate.annotate(f"{found:.0%}", (1.01, 0.5), xycoords="axes fraction", fontsize=7, va="center")
        for axes in (place, rate):
            axes.set_xlim(0, span / scale)
            axes.tick_params(labelsize=6, length=2, labelbottom=last)
            axes.spines[["top", "right"]].set_visible(False)
            axes.locator_params(axis="y", nbins=2 if len(rois) > 6 else 6)
            if last:
                axes.set_xlabel(f"time ({unit})")
        if row == 0:
            shown = {name for roi in rois for name, _ in _axes_to_show(roi)}
            colours = ", ".join(
                f"{name} {colour}" for name, colour in (("x", "blue"), ("y", "green")) if name in shown
            )
            place.set_title(f"position in the region (px): {colours}", fontsize=8)
            rate.set_title(f"speed over {SPEED_WINDOW_S:g} s (px/s), and share of frames found", fontsize=8)


def _axes_to_show(roi: ROI) -> list[tuple[str, str]]:
    """Return the axes along which an animal can go far in the region, with their colours."""
    _, _, width, height = roi.rectangle
    shown = [("x", _X, width), ("y", _Y, height)]
    return [(name, colour) for name, colour, size in shown if size > 0.4 * roi.longest_axis]


def _time_unit(span: float) -> tuple[str, float]:
    """Return the unit in which a span of seconds is best read, and its seconds."""
    for unit, seconds in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if span >= 3 * seconds:
            return unit, seconds
    return "s", 1.0


def _thinned(most: int, *series: npt.NDArray[np.floating]) -> list[Numbers]:
    """Return series with every n-th value only, so that about `most` are left."""
    step = max(1, len(series[0]) // most)
    return [np.asarray(values[::step], np.float64) for values in series]


def _broken(times: Numbers, values: Numbers, span: float) -> Numbers:
    """Return values with NaN after gaps, so that no line is drawn across them."""
    if len(times) < 3:
        return values
    gaps = np.diff(times, prepend=times[0]) > max(5 * float(np.median(np.diff(times))), span / 200)
    return np.where(gaps, np.nan, values)
