"""Days of activity and sleep."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tracking.motion import Numbers
from tracking.plots.rasters import put_raster
from tracking.plots.view import DARK, DAY_S, GAP, View, new_figure
from tracking.windows import Animal, Bins

_ACTOGRAM_BIN_S, _SLEEP_BIN_S = 600.0, 1800.0
_PANELS_PER_ROW = 5
_NARROWEST_H = 0.25  # about two dots of a picture
_INK = "#22303c"


def draw_actogram(view: View) -> Figure:
    """Return a double-plotted actogram of every animal: a line shows a day and the one after it."""
    animals = view.animals()
    days = int((view.first + view.span - view.midnight) // DAY_S) + 1
    columns = min(_PANELS_PER_ROW, len(animals))
    rows = -(-len(animals) // columns)
    figure = new_figure(max(5.0, 2.9 * columns + 0.6), 1.0 + rows * (0.55 + 0.2 * max(days, 3)))
    seconds = view.options.bin or _ACTOGRAM_BIN_S
    parts = {
        animal: view.motion.bins(animal, seconds, start=view.midnight)
        for _, animal, _ in animals
        if animal in view.motion.traces
    }
    full = _busiest(list(parts.values()))
    for place, (_, animal, name) in enumerate(animals):
        axes = figure.add_subplot(rows, columns, place + 1)
        _put_actogram(axes, view, parts.get(animal), days, full)
        axes.set_title(name, fontsize=8, loc="left", pad=7, fontweight="bold")
        axes.tick_params(labelsize=6, length=2)
        if place + columns >= len(animals):
            axes.set_xlabel(
                f"hour of the day ({view.results.attributes['timezone']})" if view.dated else "hour"
            )
    view.put_title(
        figure,
        f"time moving in {seconds / 60:g} min; a full line is {full:.0%}",
        "" if view.options.lights else "(--lights not given)",
    )
    return figure


def _busiest(parts: list[Bins]) -> float:
    """Return the share of the time moving that is drawn as high as a line."""
    shares = np.concatenate([[0.0], *(_share(part.moving, part.seen) for part in parts)])
    return max(0.01, float(np.nanquantile(shares, 0.99)))


def _share(part: Numbers, whole: Numbers) -> Numbers:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))


def _put_actogram(axes: Axes, view: View, parts: Bins | None, days: int, full: float) -> None:
    lights = view.options.lights
    for start, stop in lights.dark(0, 48) if lights else ():
        axes.axvspan(start, stop, color=DARK, alpha=0.45, linewidth=0, zorder=0)
    for start, stop in _light_bar(view):
        dark = (start, stop) in (lights.dark(0, 48) if lights else [])
        colour = "black" if dark else "white"
        bar = Rectangle(
            (start, 1.01), stop - start, 0.03, transform=axes.get_xaxis_transform(), clip_on=False
        )
        bar.set(facecolor=colour, edgecolor="black", linewidth=0.5)
        axes.add_patch(bar)
    for day in range(days):
        axes.axhline(-day, color="#9aa5b1", linewidth=0.3, zorder=1)
        for shown in (day, day + 1) if parts is not None else ():
            _put_day(axes, view, parts, shown, 24 * (shown - day), -day, full)  # type: ignore[arg-type]  # checked
    axes.set(xlim=(0, 48), ylim=(-days + 0.95, 1.0), yticks=[0.4 - day for day in range(days)])
    axes.set_yticklabels([view.day(day) for day in range(days)])
    axes.set_xticks(range(0, 49, 12), ["0", "12", "24", "12", "24"])
    axes.spines[["top", "right", "left"]].set_visible(False)
    if parts is None:
        axes.annotate("never found", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center")


def _light_bar(view: View) -> list[tuple[float, float]]:
    if view.options.lights is None:
        return []
    dark = view.options.lights.dark(0, 48)
    edges = sorted({0.0, 48.0, *(edge for span in dark for edge in span)})
    return list(pairwise(edges))


def _put_day(axes: Axes, view: View, parts: Bins, day: int, left: float, bottom: float, full: float) -> None:
    hours = (parts.starts - view.midnight) / 3600 - 24 * day
    today = np.flatnonzero((hours > -1e-6) & (hours < 24 - 1e-6))
    if not len(today):
        return
    edges = np.append(hours[today], hours[today[-1]] + parts.length / 3600)
    filmed = (np.array([view.first, view.first + view.span]) - view.midnight) / 3600 - 24 * day
    edges = left + _widened(np.clip(edges, *filmed))
    share = _share(parts.moving, parts.seen)[today]
    gap = np.isnan(share)
    height = 0.88 * np.minimum(share / full, 1)
    for values, colour in ((np.where(gap, np.nan, height), _INK), (np.where(gap, 0.88, np.nan), GAP)):
        top = bottom + np.append(values, values[-1])
        axes.fill_between(edges, bottom, top, step="post", color=colour, linewidth=0, zorder=2)


def _widened(edges: Numbers) -> Numbers:
    """Return the hours between which bars are drawn: of a short recording, so wide that they are seen."""
    width = edges[-1] - edges[0]
    if width >= _NARROWEST_H:
        return edges
    stretched = (edges - edges[0]) / width if width > 0 else np.linspace(0, 1, len(edges))
    return np.asarray(min(edges[0], 24 - _NARROWEST_H) + _NARROWEST_H * stretched)


def draw_sleep(view: View) -> Figure:
    """Return a figure of how much animals sleep: the mean over them, and each."""
    seconds = view.options.bin or min(_SLEEP_BIN_S, max(60.0, view.span / 200))
    animals = view.animals()
    figure = new_figure(10.0, 4.6 + 0.16 * len(animals))
    over, under = figure.subplots(2, 1, height_ratios=[2.2, 1.2 + 0.14 * len(animals)], sharex=True)
    start = view.midnight if view.dated else None
    parts = {a: view.motion.bins(a, seconds, start=start) for _, a, _ in animals if a in view.motion.traces}
    short = _too_short(view)
    shares = {animal: _sleep_share(part, view) * (np.nan if short else 1) for animal, part in parts.items()}
    _put_mean(over, view, parts, shares, seconds)
    totals = {
        animal: "not known" if short else _total(float(part.asleep.sum())) for animal, part in parts.items()
    }
    put_raster(under, view, parts, shares, totals, label="share of the time asleep", colours="Blues")
    rule = f"immobile for {view.motion.settings.sleep_after / 60:g} min or longer"
    view.put_title(figure, f"sleep: {rule}; moving is above {view.motion.moving_above:.2g} px/s", short)
    return figure


def _too_short(view: View) -> str:
    """Return what to say where no animal can have slept in so short a recording, else nothing."""
    filmed, least = float(view.motion.lengths.sum()), view.motion.settings.sleep_after
    if filmed > least or any(view.motion.sleep(animal) for animal in view.motion.animals):
        return ""
    return f"the recording is too short to tell: {filmed / 60:.1f} min"


def _total(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _sleep_share(part: Bins, view: View) -> Numbers:
    """Return the share of the time asleep; NaN where less than half of the time is known."""
    known = part.seen >= 0.5 * min(part.length, view.span)
    edge = part.seen >= 0.9 * part.seconds  # the first and the last part are cut short
    return np.where(known | edge, _share(part.asleep, part.seen), np.nan)


def _put_mean(
    axes: Axes, view: View, parts: dict[Animal, Bins], shares: dict[Animal, Numbers], seconds: float
) -> None:
    if shares:
        times = (next(iter(parts.values())).starts + seconds / 2 - view.first) / view.unit[1]
        table = np.stack(list(shares.values())) * seconds / 60
        count = np.isfinite(table).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.nansum(table, axis=0) / count
            spread = np.sqrt(np.nansum((table - mean) ** 2, axis=0) / (count - 1) / count)
        mean = np.where(count > 0, mean, np.nan)
        axes.fill_between(times, mean - spread, mean + spread, color="#2c5f8a", alpha=0.25, linewidth=0)
        axes.plot(
            times, mean, color="#2c5f8a", linewidth=1.2, marker="." if len(times) < 60 else "", markersize=3
        )
    view.shade(axes)
    axes.set_ylim(0, 1.03 * seconds / 60)
    axes.set_ylabel(f"min in {seconds / 60:g} min")
    axes.set_title(_who(len(shares)), fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _who(count: int) -> str:
    return "one animal" if count == 1 else f"mean of {count} animals, and its standard error"
