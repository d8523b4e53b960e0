"""A strip per region against time: positions, speeds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from matplotlib.patheffects import withStroke

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
    view.put_title(figure, what)
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
                _name(axes, animals)
            if column == len(kinds) - 1:
                share = share_text(_found(view, animals), 0) if animals else "never\nfound"
                axes.annotate(share, (1.01, 0.5), xycoords="axes fraction", fontsize=7, va="center")


def _title(view: View, kind: str, rois: Sequence[ROI]) -> str:
    if kind == "speed":
        return f"speed over {view.motion.window:g} s ({view.length[0]}/s), and share of frames found"
    if all(_alone(view, roi) for roi in rois):
        shown = sorted({name for roi in rois for name, _ in _axes_to_show(roi)})
        return f"{' blue, '.join(shown)}{' green' if len(shown) > 1 else ''} in the region (px)"
    first = sorted({_axes_to_show(roi)[0][0] for roi in rois})
    return f"{' or '.join(first)} in the region (px): a colour for each animal"


def _name(axes: Axes, animals: Sequence[Animal]) -> None:
    """Write the identities of several animals in their colours."""
    for place, (animal, colour) in enumerate(colours_of(animals).items() if len(animals) > 1 else ()):
        axes.annotate(
            str(animal.identity),
            (0, 1),
            xycoords="axes fraction",
            textcoords="offset points",
            xytext=(3 + 11 * place, 0),
            va="center",
            color=colour,
            fontsize=7,
            fontweight="bold",
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )


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
        edges, mean, most = _speeds(view, animal)
        if len(animals) > 1:  # surfaces would cover each other
            axes.stairs(mean * factor, edges, color=wheel[animal], linewidth=0.8, baseline=None)
            continue
        for speeds, alpha in ((most, 0.35), (mean, 0.8)):
            axes.stairs(speeds * factor, edges, color=_SPEED, alpha=alpha, linewidth=0, fill=True)
    axes.set_ylim(0, fastest * factor)


def _speeds(view: View, animal: Animal) -> tuple[Numbers, Numbers, Numbers]:
    """Return edges of parts of the recording, in the unit of the axis, and mean and highest speed in each.

    Edges have shape (parts + 1,), speeds (parts,), pixels per second; NaN in gaps.
    """
    clock, steps = view.motion.clock, view.motion.traces[animal].steps
    size = max(1, -(-len(steps) // _BINS))
    firsts = np.arange(0, len(steps), size)
    known = np.isfinite(steps)
    count = np.add.reduceat(known, firsts, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, steps, 0).astype(np.float64), firsts)
    most = np.maximum.reduceat(np.where(known, steps, 0), firsts)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, sums / count, np.nan) / clock.window
    edges = clock.start - clock.first + np.append(firsts, len(steps)) * clock.window
    return (
        np.asarray(edges / view.unit[1], np.float64),
        mean,
        np.where(count > 0, most, np.nan) / clock.window,
    )


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
