"""A row per animal against time, coloured by how much."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracking.motion import Numbers
from tracking.plots.view import GAP, View, new_figure
from tracking.seen import share_text
from tracking.windows import Animal, Bins

_BINS = 400


def draw_detection(view: View) -> Figure:
    """Return a figure of in which share of the frames each animal was found."""
    frames = max(1, view.motion.total_frames)
    totals = {
        animal: share_text(trace.found.sum(dtype=np.int64) / frames)
        for animal, trace in view.motion.traces.items()
    }
    label = "share of the frames in which it was found"
    return _draw(view, "detection", label, totals, lambda part: part.found)


def draw_score(view: View) -> Figure:
    """Return a figure of the mean score of the points of each animal."""
    totals = {animal: f"{trace.score:.2f}" for animal, trace in view.motion.traces.items()}
    return _draw(view, "score", "mean score", totals, lambda part: part.score)


def _draw(
    view: View, title: str, label: str, totals: Mapping[Animal, str], shares: Callable[[Bins], Numbers]
) -> Figure:
    animals = view.animals()
    figure = new_figure(10.0, 1.9 + 0.2 * len(animals))
    axes = figure.add_subplot()
    seconds = view.options.bin or max(view.span / _BINS, view.motion.window)
    parts = {a: view.motion.bins(a, seconds) for _, a, _ in animals if a in view.motion.traces}
    rows = {animal: shares(part) for animal, part in parts.items()}
    put_raster(axes, view, parts, rows, totals, label=label, colours="viridis")
    _mark_gaps(axes, view)
    view.put_title(figure, title)
    return figure


def put_raster(
    axes: Axes,
    view: View,
    parts: Mapping[Animal, Bins],
    shares: Mapping[Animal, Numbers],
    totals: Mapping[Animal, str],
    *,
    label: str,
    colours: str,
) -> None:
    """Draw a row per animal, with its name at the left and its total at the right; gaps are pale red."""
    animals = view.animals()
    scale = view.unit[1]
    for row, (_, animal, _) in enumerate(animals):
        if animal not in shares:
            axes.axhspan(row - 0.5, row + 0.5, color=GAP, linewidth=0)
    axes.set_facecolor(GAP)
    if shares:
        starts = next(iter(parts.values())).starts
        width = next(iter(parts.values())).length
        nothing = np.full(len(starts), np.nan)
        table = np.stack([shares.get(animal, nothing) for _, animal, _ in animals])
        left = (starts[0] - view.first) / scale
        image = axes.imshow(
            np.ma.masked_invalid(table),
            aspect="auto",
            interpolation="nearest",
            cmap=colours,
            vmin=0,
            vmax=1,
            extent=(left, left + len(starts) * width / scale, len(animals) - 0.5, -0.5),
        )
        axes.figure.colorbar(
            image, ax=axes, orientation="horizontal", shrink=0.4, aspect=40, pad=0.02, label=label
        )
    axes.set_yticks(range(len(animals)), [name for _, _, name in animals], fontsize=7)
    for row, (_, animal, _) in enumerate(animals):
        total = totals.get(animal, "never found")
        axes.annotate(
            total,
            (1.005, row),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            va="center",
            annotation_clip=False,
        )
    axes.set(
        xlim=(0, view.span / scale), ylim=(len(animals) - 0.5, -0.5), xlabel=view.time_label, ylabel="region"
    )


def _mark_gaps(axes: Axes, view: View) -> None:
    """Mark above the rows when frames are missing in the recording."""
    times = [event.time for event in view.results.events if event.kind == "frames-missing"]
    if times:
        moments = (np.array(times) - view.first) / view.unit[1]
        axes.plot(
            moments,
            np.full(len(moments), 1.02),
            "v",
            color="#c0392b",
            markersize=4,
            clip_on=False,
            transform=axes.get_xaxis_transform(),
        )
        axes.annotate(
            "frames missing", (0, 1.02), xycoords="axes fraction", fontsize=6, ha="right", color="#c0392b"
        )
