"""A strip per region against time: positions, speeds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec

from tracking.motion import Numbers
from tracking.plots.view import View, colours_of, new_figure
from tracking.roi import ROI
from tracking.seen import share_text
from tracking.windows import Animal

STRIPS_PER_COLUMN = 24
STRIP_INCHES = 0.46

_BINS = 1200
_X, _Y, _SPEED = "#1f4e79", "#2e8b57", "#b5651d"


def draw_position(view: View) -> Figure:
    """Return a figure of x and y in every region against time."""
    return _columns(view, ["position"], "positions")


def draw_speed(view: View) -> Figure:
    """Return a figure of the speed in every region against time."""
    return _columns(view, ["speed"], "speed")


def _columns(view: View, kinds: Sequence[str], what: str) -> Figure:
    rois = view.results.rois
    rows = min(len(rois), STRIPS_PER_COLUMN)
    columns = -(-len(rois) // STRIPS_PER_COLUMN)
    figure = new_figure(10.0 * columns, max(3.0, 1.4 + 1.3 * STRIP_INCHES * rows))
    grid = figure.add_gridspec(1, columns)
    for column in range(columns):
        part = rois[column * STRIPS_PER_COLUMN : (column + 1) * STRIPS_PER_COLUMN]
        put_strips(figure, grid[column].subgridspec(len(part), len(kinds), wspace=0.06), part, view, kinds)
    figure.suptitle(view.title(what), fontsize=10)
    return figure


def put_strips(
    figure: Figure, grid: GridSpecFromSubplotSpec, rois: Sequence[ROI], view: View, kinds: Sequence[str]
) -> None:
    """Draw a row of strips for each region: its "position", its "speed", or both."""
    _, scale = view.unit
    fastest = _fastest(view)
    for row, roi in enumerate(rois):
        last, animals = row == len(rois) - 1, [a for a in view.motion.animals if a.roi == roi.number]
        for column, kind in enumerate(kinds):
            axes = figure.add_subplot(grid[row, column])
            if kind == "position":
                _put_position(axes, view, roi, animals)
            else:
                _put_speed(axes, view, animals, fastest)
            view.shade(axes)
            axes.set_xlim(0, view.span / scale)
            axes.tick_params(labelsize=6, length=2, labelbottom=last)
            axes.spines[["top", "right"]].set_visible(False)
            axes.locator_params(axis="y", nbins=2 if len(rois) > 6 else 6)
            if last:
                axes.set_xlabel(view.time_label, fontsize=7)
            if row == 0:
                axes.set_title(_title(view, kind, rois), fontsize=8)
            if column == 0:
                axes.set_ylabel(roi.label, rotation=0, ha="right", va="center", fontweight="bold")
            if column == len(kinds) - 1:
                share = share_text(_found(view, animals), 0) if animals else "never\nfound"
                axes.annotate(share, (1.01, 0.5), xycoords="axes fraction", fontsize=7, va="center")


def _title(view: View, kind: str, rois: Sequence[ROI]) -> str:
    if kind == "speed":
        return f"speed over {view.motion.window:g} s ({view.length[0]}/s), and share of frames found"
    shown = {name for roi in rois for name, _ in _axes_to_show(roi)}
    alone = all(_alone(view, roi) for roi in rois)
    names = [f"{name} {colour}" for name, colour in (("x", "blue"), ("y", "green")) if name in shown]
    what = ", ".join(names) if alone else "a colour for each animal, along the longer side"
    return f"position in the region (px): {what}"


def _alone(view: View, roi: ROI) -> bool:
    return sum(animal.roi == roi.number for animal in view.motion.animals) <= 1


def _put_position(axes: Axes, view: View, roi: ROI, animals: Sequence[Animal]) -> None:
    starts = view.sights.starts / view.unit[1]
    wheel = colours_of(animals)
    for animal in animals:
        sight = view.sights.sights[animal]
        mean = sight.mean
        shown = _axes_to_show(roi) if len(animals) == 1 else _axes_to_show(roi)[:1]
        for name, colour in shown:
            along = "xy".index(name)
            drawn = colour if len(animals) == 1 else wheel[animal]
            known = np.isfinite(mean[along])
            low, high = (
                np.where(known, edge[along], np.nan) - roi.offset[along] for edge in (sight.low, sight.high)
            )
            axes.fill_between(starts, low, high, color=drawn, alpha=0.3, linewidth=0)
            axes.plot(starts, mean[along] - roi.offset[along], color=drawn, linewidth=0.8)
    axes.set_ylim(0, max(roi.rectangle["xy".index(name) + 2] for name, _ in _axes_to_show(roi)))


def _put_speed(axes: Axes, view: View, animals: Sequence[Animal], fastest: float) -> None:
    _, factor = view.length
    wheel = colours_of(animals)
    for animal in animals:
        times, mean, most = _speeds(view, animal)
        drawn = _SPEED if len(animals) == 1 else wheel[animal]
        axes.fill_between(times, 0, most * factor, color=drawn, alpha=0.35, linewidth=0, step="mid")
        axes.fill_between(times, 0, mean * factor, color=drawn, alpha=0.8, linewidth=0, step="mid")
    axes.set_ylim(0, fastest * factor)


def _speeds(view: View, animal: Animal) -> tuple[Numbers, Numbers, Numbers]:
    """Return times in the unit of the axis, mean and highest speed then in pixels per second, NaN in gaps."""
    clock, steps = view.motion.clock, view.motion.traces[animal].steps
    size = max(1, -(-len(steps) // _BINS))
    firsts = np.arange(0, len(steps), size)
    known = np.isfinite(steps)
    count = np.add.reduceat(known, firsts, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, steps, 0).astype(np.float64), firsts)
    most = np.maximum.reduceat(np.where(known, steps, 0), firsts)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, sums / count, np.nan) / clock.window
    middles = clock.start - clock.first + (firsts + size / 2) * clock.window
    times = np.asarray(middles / view.unit[1], np.float64)
    return times, mean, np.where(count > 0, most, np.nan) / clock.window


def _fastest(view: View) -> float:
    """Return the speed that strips reach to, pixels per second: a little over nearly all of them."""
    quantiles = [
        float(np.nanquantile(_speeds(view, animal)[2], 0.995))
        for animal in view.motion.animals
        if np.isfinite(view.motion.traces[animal].steps).any()
    ]
    return 1.05 * max([*quantiles, view.motion.moving_above])


def _found(view: View, animals: Sequence[Animal]) -> float:
    """Return the share of frames in which the animals of a region were found, of the usual one."""
    frames = max(1, view.motion.total_frames)
    return float(np.mean([view.motion.traces[a].found.sum(dtype=np.int64) / frames for a in animals]))


def _axes_to_show(roi: ROI) -> list[tuple[str, str]]:
    """Return the axes along which an animal can go far in the region, and colours; the longer first."""
    _, _, width, height = roi.rectangle
    shown = sorted([("x", _X, width), ("y", _Y, height)], key=lambda axis: -axis[2])
    return [(name, colour) for name, colour, size in shown if size > 0.4 * roi.longest_axis]
