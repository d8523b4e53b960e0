"""Where the animals of a result were, as finely as a picture shows it, however long the recording."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tracking.motion import Numbers
from tracking.results import Results
from tracking.windows import Animal, Clock, rows_of_animals

_BINS = 1200  # of a strip; more cannot be seen
_MOST_OF_A_TRACK, _MOST_OF_ALL = 20_000, 200_000
_CELLS = 200  # along the longer side of the frame
_PAUSE = 20.0  # usual intervals of a track's points that no line is drawn across


class Sight:
    """Where one animal was.

    Attributes
    ----------
    low, high, mean : of the positions in each part of the recording, shape (2, parts), x then y, pixels; NaN
        where it was not seen.
    """

    def __init__(self, parts: int) -> None:
        self.low = np.full((2, parts), np.inf)
        self.high = np.full((2, parts), -np.inf)
        self._sums = np.zeros((2, parts))
        self._counts = np.zeros(parts)
        self._track: list[Numbers] = []

    @property
    def mean(self) -> Numbers:
        """Mean position in each part, shape (2, parts), pixels; NaN where it was not seen."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(self._counts > 0, self._sums / self._counts, np.nan))

    @property
    def track(self) -> Numbers:
        """Times, x and y of points along the way, rising in time, shape (3, n)."""
        whole = np.concatenate([np.empty((3, 0)), *self._track], axis=1)
        return whole[:, np.argsort(whole[0], kind="stable")]

    def segments(self) -> tuple[Numbers, Numbers]:
        """Return the times of the lines of the track, shape (n,), and the lines, shape (n, 2 ends, 2)."""
        times, *places = self.track
        ends = np.stack(places, axis=1)
        steps = np.diff(times)
        near = steps <= _PAUSE * float(np.median(steps)) if len(steps) else np.zeros(0, bool)
        return times[1:][near], np.stack([ends[:-1], ends[1:]], axis=1)[near]

    def add(self, times: Numbers, places: Numbers, parts: npt.NDArray[np.int64], step: float) -> None:
        """Take points, rising in time: their places, shape (2, n), and the parts they lie in."""
        first = np.flatnonzero(np.diff(parts, prepend=-1))
        at = parts[first]
        self.low[:, at] = np.minimum(self.low[:, at], np.minimum.reduceat(places, first, axis=1))
        self.high[:, at] = np.maximum(self.high[:, at], np.maximum.reduceat(places, first, axis=1))
        self._sums[:, at] += np.add.reduceat(places, first, axis=1)
        self._counts[at] += np.diff(first, append=len(parts))
        kept = (
            np.flatnonzero(np.diff(np.floor(times / step), prepend=-1)) if step > 0 else np.arange(len(times))
        )
        self._track.append(np.stack([times[kept], *places[:, kept]]))


@dataclass(frozen=True, slots=True, eq=False)
class Sights:
    """Where all animals were; made by `look`.

    Attributes
    ----------
    starts : of the parts of the recording, shape (parts,), seconds from its first frame.
    sights : of the animals that were seen.
    stays : points in each cell of the frame, shape (rows, columns).
    cell : side of a cell, pixels.
    """

    starts: Numbers
    sights: Mapping[Animal, Sight]
    stays: npt.NDArray[np.int64]
    cell: int


def look(results: Results, clock: Clock, interval: float) -> Sights:
    """Return where the animals were.

    Parameters
    ----------
    results : open; read in blocks.
    clock : when the recording was.
    interval : usual one of two frames, seconds; parts are at least twice as long.
    """
    span = clock.last - clock.first
    part = max(span / _BINS, 2 * interval, 1e-6)
    parts = int(span / part) + 1
    rows, columns = results.attributes["frame_shape"][:2]
    cell = max(1, -(-max(rows, columns) // _CELLS))
    stays = np.zeros((-(-rows // cell), -(-columns // cell)), np.int64)
    step = span / max(2000, min(_MOST_OF_A_TRACK, _MOST_OF_ALL // max(1, len(results.rois))))
    sights: dict[Animal, Sight] = {}
    for block in results.blocks():
        known = np.isfinite(block["x"]) & np.isfinite(block["y"])
        block = block[known & block["time"].between(clock.first, clock.last)]  # the file may have grown
        stays += _stays(block, stays.shape, cell)
        for animal, mine in rows_of_animals(block):
            times = block["time"].to_numpy()[mine] - clock.first
            order = np.argsort(times, kind="stable")
            places = block[["x", "y"]].to_numpy(np.float64)[mine[order]].T
            sight = sights.setdefault(animal, Sight(parts))
            sight.add(times[order], places, (times[order] / part).astype(np.int64), step)
    starts = np.asarray(np.arange(parts) * part, np.float64)
    return Sights(starts, {animal: sights[animal] for animal in sorted(sights)}, stays, cell)


def _stays(block: pd.DataFrame, shape: tuple[int, ...], cell: int) -> npt.NDArray[np.int64]:
    down = np.clip((block["y"].to_numpy() + 0.5) // cell, 0, shape[0] - 1).astype(np.int64)
    along = np.clip((block["x"].to_numpy() + 0.5) // cell, 0, shape[1] - 1).astype(np.int64)
    return np.bincount(down * shape[1] + along, minlength=shape[0] * shape[1]).reshape(shape)
