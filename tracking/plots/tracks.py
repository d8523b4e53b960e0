"""Where the animals went, over the background."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from tracking.plots.view import RED, View, colours_of, draw_regions, new_figure

_TIME_COLOURS = "viridis"


def draw_tracks(view: View) -> Figure:
    """Return a figure of all tracks, coloured by time, or where there are several animals by these."""
    figure = _framed(view)
    put_tracks(figure.add_subplot(), view)
    view.put_title(figure, "tracks")
    return figure


def draw_heatmap(view: View) -> Figure:
    """Return a figure of where animals stay, as share of the time that they were seen."""
    figure = _framed(view)
    axes = figure.add_subplot()
    draw_regions(axes, view.results)
    stays = view.sights.stays / max(1, view.sights.stays.sum())
    rows, columns = (side * view.sights.cell for side in stays.shape)
    lowest = stays[stays > 0].min(initial=1.0)
    image = axes.imshow(
        np.where(stays > 0, stays, np.nan),
        cmap="inferno",
        norm=LogNorm(lowest, max(stays.max(), 1.01 * lowest)),
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
        interpolation="nearest",
        alpha=0.85,
    )
    what = f"share of all points in {view.sights.cell} x {view.sights.cell} px"
    figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.6, aspect=40, label=what)
    view.put_title(figure, "places")
    return figure


def put_tracks(axes: Axes, view: View) -> None:
    """Draw all tracks over the background, coloured by time or animal, and what the colours mean."""
    draw_regions(axes, view.results)
    if len({animal.roi for animal in view.sights.sights}) < len(view.sights.sights):
        _put_each(axes, view)
        return
    unit, scale = view.unit
    for sight in view.sights.sights.values():
        times, lines = sight.segments()
        drawn = LineCollection(
            list(lines), array=times / scale, cmap=_TIME_COLOURS, linewidths=0.9, rasterized=True
        )
        drawn.set_clim(0, view.span / scale)
        axes.add_collection(drawn)
        axes.plot(*sight.track[1:, -1:], ".", color=RED, markersize=4)
    colours = mpl.cm.ScalarMappable(Normalize(0, view.span / scale), _TIME_COLOURS)
    what = f"time ({unit}); red: last place"
    axes.figure.colorbar(colours, ax=axes, orientation="horizontal", shrink=0.6, aspect=40, label=what)


def _put_each(axes: Axes, view: View) -> None:
    """Draw the tracks of each animal in its colour, with its number at its last place."""
    for animal, colour in colours_of(list(view.sights.sights)).items():
        sight = view.sights.sights[animal]
        _, lines = sight.segments()
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=0.9, rasterized=True))
        (x,), (y,) = sight.track[1:, -1:]
        axes.plot(x, y, ".", color=colour, markersize=6, markeredgecolor="black", markeredgewidth=0.6)
        axes.annotate(
            str(animal.identity),
            (x, y),
            (3, 3),
            textcoords="offset points",
            fontsize=9,
            color=colour,
            path_effects=[withStroke(linewidth=2, foreground="black")],
        )
    axes.set_xlabel("x (px); a colour for each animal, its number at its last place")


def _framed(view: View) -> Figure:
    rows, columns = view.results.attributes["frame_shape"][:2]
    return new_figure(10.0, max(3.0, 10.0 * rows / columns + 1.2))
