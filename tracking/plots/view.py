"""What all figures share: a result, what is made of it once, and how times and regions look."""

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from imgstore import NO_DATE_BELOW
from tracking.errors import SettingsError
from tracking.motion import MotionSettings, Numbers
from tracking.overlay import colour_of
from tracking.results import Results
from tracking.roi import ROI
from tracking.sights import Sights, look
from tracking.windows import Animal, Motion, measure

DAY_S = 86400.0
DARK = "#b9c0cc"
GAP = "#f3d9d2"
GREEN, RED = "#58d68d", "#e74c3c"

_TITLE_POINTS, _LETTERS_PER_INCH = 10, 12


@dataclass(frozen=True, slots=True)
class Lights:
    """When the lights are on, every day; hours of the local clock, 0 to 24."""

    on: float
    off: float

    @classmethod
    def parse(cls, text: str) -> "Lights":
        """Return what text such as "8-20" or "07:30-19:30" says. Raises SettingsError."""
        found = re.fullmatch(r"\s*(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?\s*", text)
        if found is None:
            raise SettingsError(f"lights are on from-to, as 8-20 or 07:30-19:30, got {text!r}")
        on, off = (int(found[n]) + int(found[n + 1] or 0) / 60 for n in (1, 3))
        if not (on <= 24 and off <= 24 and on != off):
            raise SettingsError(f"lights go on and off at two different hours from 0 to 24, got {text!r}")
        return cls(on, off)

    def dark(self, first: float, last: float) -> list[tuple[float, float]]:
        """Return the dark spans between two hours that count from a midnight."""
        length = (self.on - self.off) % 24
        days = range(math.floor(first / 24) - 1, math.floor(last / 24) + 1)
        spans = [(24 * day + self.off, 24 * day + self.off + length) for day in days]
        cut = [(max(a, first), min(b, last)) for a, b in spans]
        return [(start, stop) for start, stop in cut if start < stop]


@dataclass(frozen=True, slots=True)
class PlotOptions:
    """What figures show.

    Attributes
    ----------
    lights : None where it is not known when they are on.
    bin : seconds that are summed up in actograms and in sleep; None for a number that suits the figure.
    motion : what moving and sleeping are.
    mm_per_pixel : in place of what the result says.
    """

    lights: Lights | None = None
    bin: float | None = None
    motion: MotionSettings = field(default_factory=MotionSettings)
    mm_per_pixel: float | None = None

    def __post_init__(self) -> None:
        if self.bin is not None and not 1 <= self.bin <= DAY_S:
            raise SettingsError(f"a bin is from a second to a day, got {self.bin} s")


class View:
    """A result, and what figures need to know of it."""

    def __init__(self, results: Results, options: PlotOptions) -> None:
        self.results = results
        self.options = options

    @cached_property
    def motion(self) -> Motion:
        """How the animals moved."""
        return measure(self.results, self.options.motion, mm_per_pixel=self.options.mm_per_pixel)

    @cached_property
    def sights(self) -> Sights:
        """Where they were."""
        clock = self.motion.clock
        busy = clock.frames[clock.frames > 0]
        interval = clock.window / float(np.median(busy)) if len(busy) else 0.0
        return look(self.results, clock, interval)

    @property
    def first(self) -> float:
        """Time of the first frame, seconds since the Unix epoch."""
        return self.motion.clock.first

    @property
    def span(self) -> float:
        """Seconds from the first to the last frame."""
        return max(self.motion.clock.last - self.motion.clock.first, 1e-9)

    @cached_property
    def dated(self) -> bool:
        """Whether times are those of a clock, not of a video that only knows its own."""
        return self.first >= NO_DATE_BELOW

    @cached_property
    def offset(self) -> float:
        """Seconds from UTC to the local clock at the start; it holds for the whole recording, as animals
        know no summer time.
        """
        if not self.dated:
            return 0.0
        name = str(self.results.attributes["timezone"])
        try:
            shift = datetime.fromtimestamp(self.first, ZoneInfo(name)).utcoffset()
        except (ZoneInfoNotFoundError, ValueError):
            return 0.0
        return shift.total_seconds() if shift else 0.0

    @property
    def midnight(self) -> float:
        """The last local midnight before the first frame, seconds since the Unix epoch."""
        return math.floor((self.first + self.offset) / DAY_S) * DAY_S - self.offset

    def day(self, number: int) -> str:
        """Return what people call a day of the recording, from 0."""
        if not self.dated:
            return f"day {number + 1}"
        epoch = datetime(1970, 1, 1)  # noqa: DTZ001  # the offset is in it
        return f"{epoch + timedelta(seconds=self.midnight + self.offset + number * DAY_S):%d %b}"

    @cached_property
    def unit(self) -> tuple[str, float]:
        """The unit in which the time is best read, and its seconds."""
        for unit, seconds in (("days", DAY_S), ("h", 3600.0), ("min", 60.0)):
            if self.span >= 3 * seconds:
                return unit, seconds
        return "s", 1.0

    @property
    def time_label(self) -> str:
        """What stands at an axis of time."""
        unit, _ = self.unit
        if not self.dated:
            return f"time ({unit})"
        epoch = datetime(1970, 1, 1)  # noqa: DTZ001  # the offset is in it
        start = epoch + timedelta(seconds=self.first + self.offset)
        clock = f"{start:%H:%M:%S}" if start.second else f"{start:%H:%M}"
        return f"time ({unit} since {start:%Y-%m-%d} {clock}, {self.results.attributes['timezone']})"

    @property
    def length(self) -> tuple[str, float]:
        """The unit of lengths, and how much of it a pixel is."""
        scale = self.motion.mm_per_pixel
        return ("px", 1.0) if np.isnan(scale) else ("mm", scale)

    def animals(self) -> list[tuple[ROI, Animal, str]]:
        """Return all animals, with a region's own where none was found, and what people call them."""
        found = self.motion.animals
        shared = [sum(animal.roi == roi.number for animal in found) for roi in self.results.rois]
        lines = []
        for roi, count in zip(self.results.rois, shared, strict=True):
            mine = [animal for animal in found if animal.roi == roi.number] or [Animal(roi.number, 1)]
            lines += [
                (roi, animal, f"{roi.label}" + (f".{animal.identity}" if count > 1 else ""))
                for animal in mine
            ]
        return lines

    def shade(self, axes: Axes) -> None:
        """Darken an axis of time where the lights were off, if that is known."""
        if self.options.lights is None:
            return
        before = (self.first - self.midnight) / 3600
        for start, stop in self.options.lights.dark(before, before + self.span / 3600):
            scale = 3600 / self.unit[1]
            axes.axvspan(
                (start - before) * scale,
                (stop - before) * scale,
                color=DARK,
                alpha=0.45,
                linewidth=0,
                zorder=0,
            )

    def put_title(self, figure: Figure, *what: str) -> None:
        """Write above a figure of which recording it is, and what it shows, in lines that fit."""
        about = self.results.attributes
        state = "" if about["state"] == "complete" else f"({about['state']})"
        room = int(_LETTERS_PER_INCH * figure.get_figwidth())
        lines: list[str] = []
        for part in filter(None, (Path(about["source"]).name, *what, state)):
            if lines and len(lines[-1]) + 3 + len(part) <= room:
                lines[-1] += f"   {part}"
            else:
                lines += textwrap.wrap(part, room)
        figure.suptitle("\n".join(lines), fontsize=_TITLE_POINTS)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_regions(axes: Axes, results: Results, *, label: bool = True) -> None:
    """Draw regions and targets over the background, in pixels of the frame."""
    rows, columns = results.attributes["frame_shape"][:2]
    background = results.background
    if background is not None:
        axes.imshow(background, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    for roi in results.rois:
        axes.plot(*np.vstack([roi.polygon, roi.polygon[:1]]).T, color=GREEN, linewidth=0.7)
        if label:
            axes.annotate(
                roi.label,
                roi.upper_left,
                color=GREEN,
                fontsize=7,
                path_effects=[withStroke(linewidth=1.5, foreground="black")],
                textcoords="offset points",
                xytext=(2, -8),
            )
    if len(results.targets):
        axes.plot(*results.targets.T, "+", color=GREEN, markersize=10)
    axes.set(
        xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xlabel="x (px)", ylabel="y (px)", aspect="equal"
    )


def colours_of(animals: Sequence[Animal]) -> dict[Animal, str]:
    """Return the colour of each animal, as in overlays."""
    shades = {animal: colour_of(animal.roi, animal.identity) for animal in animals}
    return {animal: f"#{red:02x}{green:02x}{blue:02x}" for animal, (blue, green, red) in shades.items()}


def gaps_of(clock_frames: Numbers, seen: Numbers) -> Numbers:
    """Return where nothing is known of an animal: not filmed, or not seen."""
    return np.asarray((clock_frames <= 0) | (seen <= 0))
