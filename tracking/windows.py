"""How the animals of a result moved and slept, window by window, however long the recording."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tracking.errors import ResultFileError
from tracking.motion import (
    STILLEST,
    MotionSettings,
    Numbers,
    bridged,
    common_step,
    moving_threshold,
    outskirts,
    runs,
    sleeping,
    step_noise,
)
from tracking.points import Status
from tracking.results import Results

if TYPE_CHECKING:
    import pandas as pd

UNSEEN, IMMOBILE, MOVING, ASLEEP = range(4)
"""What an animal does in a window. One that is asleep is immobile, too."""

_WINDOW = np.dtype(
    [
        *(("x", "f4"), ("y", "f4"), ("step", "f4"), ("score", "f4")),
        *(("points", "u2"), ("found", "u2"), ("state", "u1")),
    ],
    align=True,
)
Columns: TypeAlias = Mapping[str, npt.NDArray[np.generic]]
"""Columns of a table of points."""

_USED = ("roi", "identity", "x", "y", "status", "score", "length")
_IN_MEMORY = 1 << 18  # windows of an animal; three days of seconds
_MOST_WINDOWS = 200_000_000
_TILE = 8192  # windows that are looked at together
_FITTING = (2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0)  # seconds; they divide a minute
_QUIET = 0.25  # share of the animals, those of the least noise: others may never rest
_LOOKED_AT = 20_000  # frames that tell the usual interval


class Animal(NamedTuple):
    """Which animal: the number of its region, and its identity there."""

    roi: int
    identity: int


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """Windows of equal length, one after the other.

    Attributes
    ----------
    start : of the first window, seconds since the Unix epoch; a multiple of `window`.
    window : seconds.
    frames : how many lie in each, shape (windows,).
    first, last : times of the first and the last frame.
    interval : usual one of two frames, seconds; the last frame lasts as long.
    """

    start: float
    window: float
    frames: npt.NDArray[np.int64]
    first: float
    last: float
    interval: float = 0.0

    @property
    def lengths(self) -> Numbers:
        """How much of each window the recording spans, seconds, shape (windows,): it cuts the outer two."""
        starts = self.start + np.arange(len(self.frames)) * self.window
        ends = np.minimum(starts + self.window, self.last + (self.interval or self.window))
        return np.asarray(ends - np.maximum(starts, self.first), np.float64)

    def at(self, times: Numbers) -> npt.NDArray[np.int64]:
        """Return the windows of times, -1 for those outside of the recording (the file may have grown)."""
        known = (times >= self.first) & (times <= self.last)
        windows = np.floor((np.where(known, times, self.start) - self.start) / self.window)
        return np.where(known, windows, -1).astype(np.int64)

    def nearest_edges(self, times: Numbers) -> npt.NDArray[np.int64]:
        """Return the edges of windows that times of the recording are nearest to; 0 is `start`."""
        return np.floor((times - self.start) / self.window + 0.5).astype(np.int64)


class Trace:
    """One animal: where it was at the edges of the windows, and what it did in every window.

    Attributes
    ----------
    x, y : mean position from half a window before an edge to half a window after it, shape (windows + 1,),
        pixels; NaN where it was not seen for longer than is bridged.
    points : from how many points, shape (windows + 1,); those of `Status.LOST` count.
    found : from how many points of each window it was seen, shape (windows,); those of `Status.LOST` do not
        count.
    steps : way from the start of each window to its end, shape (windows,), pixels; NaN where it is not known.
    states : UNSEEN, IMMOBILE, MOVING or ASLEEP, shape (windows,).
    scores : sum of the scores of the points that were found, shape (windows,).
    length : mean length of the body, pixels; NaN if it is not known.
    """

    def __init__(self, windows: int) -> None:
        room = _room(windows + 1)
        self.x, self.y, self.points = room["x"], room["y"], room["points"]
        self.steps, self.found, self.states = (room[name][:-1] for name in ("step", "found", "state"))
        self.scores = room["score"][:-1]
        self._farthest = np.inf  # that it goes in a window without moving, pixels
        self._lengths, self._measured = 0.0, 0

    @property
    def length(self) -> float:
        """Mean length of the body, pixels; NaN if it is not known."""
        return self._lengths / self._measured if self._measured else np.nan

    @property
    def score(self) -> float:
        """Mean score of the points that were found; NaN if there are none."""
        found = int(self.found.sum(dtype=np.int64))
        return float(self.scores.sum(dtype=np.float64)) / found if found else np.nan

    def add(self, points: Columns, windows: npt.NDArray[np.int64], edges: npt.NDArray[np.int64]) -> None:
        """Take columns of points of the animal, their windows and the nearest edges, in any order."""
        first = int(edges.min())
        span, at = slice(first, int(edges.max()) + 1), edges - first
        more = np.bincount(at)
        before = self.points[span].astype(np.int64)
        together = before + more
        for name, mean in (("x", self.x), ("y", self.y)):
            sums = np.bincount(at, points[name])
            mean[span] = (mean[span] * before + sums) / np.maximum(together, 1)
        self.points[span] = np.minimum(together, np.iinfo(np.uint16).max)
        seen = points["status"] != Status.LOST
        first = int(windows.min())
        span, at = slice(first, int(windows.max()) + 1), windows - first
        self.found[span] += np.bincount(at, seen).astype(np.uint16)
        self.scores[span] += np.bincount(at, np.where(seen, np.nan_to_num(points["score"]), 0.0))
        lengths = points["length"]
        self._lengths += float(np.nansum(lengths, dtype=np.float64))
        self._measured += int(np.isfinite(lengths).sum())

    def places(self, span: slice) -> Numbers:
        """Return positions at edges, shape (2, edges), pixels; NaN where it was not seen."""
        return np.stack([self.x[span], self.y[span]]).astype(np.float64)

    def settle(self, longest: int) -> None:
        """Bridge gaps of at most `longest` windows, and find the steps: all points are there."""
        for mean in (self.x, self.y):
            mean[:] = bridged(np.where(self.points > 0, mean, np.nan), longest)
        self.steps[:] = np.hypot(np.diff(self.x), np.diff(self.y))

    def seen_steps(self) -> Numbers:
        """Return the steps between edges around both of which it was seen."""
        seen = self.points > 0
        return self.steps[seen[1:] & seen[:-1]].astype(np.float64)

    def decide(self, farthest: float, shortest: int) -> None:
        """Say where it moves, by steps beyond `farthest`, and where it has rested for `shortest` windows."""
        self._farthest = farthest
        steps = np.array(self.steps)
        for end, inner in ((0, 1), (-1, -2)) if len(steps) > 1 else ():
            if np.isnan(steps[end]) and self.found[end]:
                steps[end] = steps[inner]  # the recording spans less than half of it; its neighbour tells
        moving = steps > farthest
        moving &= ~outskirts(steps, moving)
        immobile = np.isfinite(steps) & ~moving
        asleep = sleeping(immobile, shortest)
        self.states[:] = np.select([moving, asleep, immobile], [MOVING, ASLEEP, IMMOBILE], UNSEEN)

    @property
    def ways(self) -> Numbers:
        """How far it went in each window, pixels: steps that are more than noise, 0 elsewhere."""
        return np.where(self.steps > self._farthest, self.steps, 0).astype(np.float64)

    def rested(self, noise: float) -> bool:
        """Say whether its smallest steps, from which `noise` was taken (pixels), were those of rest.

        It is still in as many windows as were taken, and nearly all noise is less than movement.
        """
        known = int((self.states != UNSEEN).sum())
        still = known - int((self.states == MOVING).sum())
        return still > 0 and still >= STILLEST * known and 2 * noise <= self._farthest


def _room(count: int) -> npt.NDArray[np.void]:
    """Return a table of zeros; a large one lies in a file without a name, of which memory holds parts."""
    if count <= _IN_MEMORY:
        return np.zeros(count, _WINDOW)
    with tempfile.TemporaryFile(prefix="ethostore-") as file:
        return np.memmap(file, _WINDOW, "w+", shape=(count,))


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """What one animal did in equal parts of the recording; the arrays have shape (bins,).

    Attributes
    ----------
    starts : when they start, seconds since the Unix epoch.
    length : of each, seconds.
    seconds : how long each was filmed.
    found : share of the frames in which it was found; NaN where there are no frames.
    score : mean score of the points that were found; NaN where there are none.
    seen : seconds in which it was known whether it moved.
    moving, asleep : seconds.
    distance : that it went, pixels.
    """

    starts: Numbers
    length: float
    seconds: Numbers
    found: Numbers
    score: Numbers
    seen: Numbers
    moving: Numbers
    asleep: Numbers
    distance: Numbers


class Bout(NamedTuple):
    """A time in which an animal slept: start in seconds since the Unix epoch, and how long, in seconds."""

    animal: Animal
    start: float
    duration: float


@dataclass(frozen=True, eq=False)
class Motion:
    """How all animals of a result moved; made by `measure`.

    Attributes
    ----------
    settings : what was asked.
    clock : the windows.
    traces : of the animals, in the order of regions and identities.
    noise : standard deviation of a step of a resting animal along x and y, pixels, which one in four animals
        stays below; NaN if none rests.
    moving_above : speed above which an animal moves, pixels per second.
    shaken : windows in which the camera moved.
    mm_per_pixel : NaN if it is not known.
    """

    settings: MotionSettings
    clock: Clock
    traces: Mapping[Animal, Trace]
    noise: float
    moving_above: float
    shaken: int
    mm_per_pixel: float
    _noises: Mapping[Animal, float] = field(repr=False)

    @property
    def animals(self) -> list[Animal]:
        """All that were seen, in the order of regions and identities."""
        return list(self.traces)

    @property
    def window(self) -> float:
        """Length of a window, seconds."""
        return self.clock.window

    @cached_property
    def lengths(self) -> Numbers:
        """How much of each window the recording spans, seconds, shape (windows,)."""
        return self.clock.lengths

    @cached_property
    def total_frames(self) -> int:
        """How many frames were looked at."""
        return int(self.clock.frames.sum())

    def noise_of(self, animal: Animal) -> float:
        """Return the standard deviation of steps of one animal while it rests, pixels; NaN if never."""
        return self._noises[animal]

    def bins(self, animal: Animal, seconds: float, *, start: float | None = None) -> Bins:
        """Return what one animal did in parts of the recording.

        Parameters
        ----------
        animal : one of `animals`.
        seconds : length of a part; it becomes a multiple of the window.
        start : of the first part, at or before the first window; None for that.
        """
        trace, clock = self.traces[animal], self.clock
        size = max(1, round(seconds / clock.window))
        ahead = 0 if start is None else max(0, round((clock.start - start) / clock.window))
        first = np.maximum(np.arange(-(ahead % size), len(clock.frames), size), 0)
        skipped = ahead // size

        def total(values: npt.NDArray[np.generic]) -> Numbers:
            return np.asarray(np.add.reduceat(values, first, dtype=np.float64))

        states, lengths = trace.states, self.lengths
        frames, points = total(clock.frames), total(trace.found)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.where(frames > 0, points / frames, np.nan)
            score = np.where(points > 0, total(trace.scores) / points, np.nan)
        origin = clock.start - ahead * clock.window
        return Bins(
            starts=np.asarray(origin + (skipped + np.arange(len(first))) * size * clock.window, np.float64),
            length=size * clock.window,
            seconds=total((clock.frames > 0) * lengths),
            found=found,
            score=score,
            seen=total((states != UNSEEN) * lengths),
            moving=total((states == MOVING) * lengths),
            asleep=total((states == ASLEEP) * lengths),
            distance=total(trace.ways),
        )

    def sleep(self, animal: Animal) -> list[Bout]:
        """Return when one animal slept."""
        clock, lengths = self.clock, self.lengths
        return [
            Bout(
                animal,
                max(clock.first, clock.start + start * clock.window),
                float(lengths[start:stop].sum()),
            )
            for start, stop in runs(self.traces[animal].states == ASLEEP).tolist()
        ]


def measure(
    results: Results, settings: MotionSettings | None = None, *, mm_per_pixel: float | None = None
) -> Motion:
    """Return how the animals of a result moved and slept.

    The file is read in blocks. 20 bytes for each animal and window are kept, in temporary files if they are
    many (of a month of 20 animals, a gigabyte), and nothing that grows with the frames.

    Parameters
    ----------
    results : open.
    settings : None for the usual ones.
    mm_per_pixel : in place of what the result says.

    Raises
    ------
    ResultFileError
        The times of the frames cannot be those of one recording.
    """
    settings = settings or MotionSettings()
    clock = _read_clock(results, settings.window)
    traces = _read_traces(results, clock)
    for trace in traces.values():
        trace.settle(round(settings.bridge / clock.window))
    shaken = _remove_shake(traces, len(clock.frames)) if settings.remove_shake else 0
    noises = {animal: step_noise(trace.seen_steps()) for animal, trace in traces.items()}
    length = _median([trace.length for trace in traces.values()])
    above = settings.moving_above or moving_threshold(_quiet(noises.values()), length, clock.window)
    shortest = max(1, math.ceil(settings.sleep_after / clock.window))
    for trace in traces.values():
        trace.decide(above * clock.window, shortest)
    # Until here, noise of one that never rests was an upper bound; now it is known who does not.
    noises = {animal: noise if traces[animal].rested(noise) else np.nan for animal, noise in noises.items()}
    scale = results.attributes["mm_per_pixel"] if mm_per_pixel is None else mm_per_pixel
    return Motion(settings, clock, traces, _quiet(noises.values()), above, shaken, scale, noises)


def _read_clock(results: Results, window: float) -> Clock:
    first, last, interval = np.inf, -np.inf, 0.0
    for block in results.frame_blocks():
        times = block["time"][np.isfinite(block["time"])]
        if not len(times):
            continue
        if not interval:
            steps = np.diff(times[:_LOOKED_AT])
            interval = _median(steps[steps > 0])
        first, last = min(first, float(times.min())), max(last, float(times.max()))
    if first > last:
        return Clock(0.0, window, np.zeros(0, np.int64), 0.0, 0.0)
    window = _long_enough(window, 2 * interval)
    start = math.floor(first / window) * window
    count = math.floor((last - start) / window) + 1
    if count > _MOST_WINDOWS:
        raise ResultFileError(
            f"{results.path}: the times of its frames lie {last - first:.0f} s apart, which no "
            "recording takes; the clock was wrong"
        )
    clock = Clock(start, window, np.zeros(count, np.int64), first, last, interval)
    for block in results.frame_blocks():
        windows = clock.at(block["time"])
        np.add.at(clock.frames, windows[windows >= 0], 1)
    return clock


def _long_enough(window: float, least: float) -> float:
    """Return a window of at least some length, in seconds; if it has to grow, one that fits into minutes."""
    if not least > window:
        return window
    return next((fit for fit in _FITTING if fit >= least), math.ceil(least / 60) * 60.0)


def _read_traces(results: Results, clock: Clock) -> dict[Animal, Trace]:
    traces: dict[Animal, Trace] = {}
    for points, frames, first in results.pieces():
        times = frames["time"][points["frame"] - first]
        if results.realignments:
            places = np.column_stack([points["x"], points["y"]]).astype(np.float64)
            points["x"], points["y"] = results.steadied(times, places).T
        windows = clock.at(times)
        known = np.flatnonzero((windows >= 0) & np.isfinite(points["x"]) & np.isfinite(points["y"]))
        # Columns one by one: rows of a table of many columns are slow to pick.
        columns = {name: np.ascontiguousarray(points[name])[known] for name in _USED}
        windows, edges = windows[known], clock.nearest_edges(times[known])
        for animal, rows in rows_of_animals(columns):
            if animal not in traces:
                traces[animal] = Trace(len(clock.frames))
            mine = {name: column[rows] for name, column in columns.items()}
            traces[animal].add(mine, windows[rows], edges[rows])
    return {animal: traces[animal] for animal in sorted(traces)}


def rows_of_animals(points: "Columns | pd.DataFrame") -> Iterator[tuple[Animal, npt.NDArray[np.intp]]]:
    """Yield each animal in a table of points, and its rows."""
    rois, identities = np.asarray(points["roi"], np.int64), np.asarray(points["identity"], np.int64)
    many = int(identities.max(initial=0)) + 1
    keys = rois * many + identities
    if int(rois.max(initial=0)) * many + many < 1 << 16:
        keys = keys.astype(np.uint16)  # which is sorted several times as fast
    order = np.argsort(keys, kind="stable")
    borders = np.flatnonzero(np.diff(keys[order])) + 1
    for rows in np.split(order, borders):
        if len(rows):
            yield Animal(int(rois[rows[0]]), int(identities[rows[0]])), rows


def _quiet(noises: Iterable[float]) -> float:
    """Return the noise that one in four of the animals of which it is known stays below, pixels."""
    known = [noise for noise in noises if np.isfinite(noise)]
    return float(np.quantile(known, _QUIET)) if known else np.nan


def _remove_shake(traces: Mapping[Animal, Trace], windows: int) -> int:
    """Take the steps of the camera from those of the animals; return in how many windows it made one."""
    if not traces:
        return 0
    shaken = 0
    for start in range(0, windows, _TILE):
        span = slice(start, min(start + _TILE, windows))
        steps = [np.diff(trace.places(slice(start, span.stop + 1))) for trace in traces.values()]
        along, down = np.stack(steps, axis=1)
        common = common_step(along, down)
        moved = np.hypot(*common) > 0
        shaken += int(moved.sum())
        if moved.any():
            for trace, step in zip(traces.values(), steps, strict=True):
                trace.steps[span] = np.hypot(*(step - common))
    return shaken


def _median(values: npt.ArrayLike) -> float:
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else np.nan
