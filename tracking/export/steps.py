"""How far animals went from one of their points to the next, and how active regions were."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from tracking.export.ordered import Piece, Track, column_of

Numbers = npt.NDArray[np.float64]

_BIN_S = 60


class Steps:
    """Takes the pieces of a result in order; remembers where every animal was seen last."""

    def __init__(self, tracks: list[Track]) -> None:
        self._tracks = tracks
        self._last = np.full((len(tracks), 2), np.nan)

    def take(self, piece: Piece) -> Numbers:
        """Return the distance of each point from the same animal's last one, pixels; 0 for the first."""
        animals = column_of(piece.points, self._tracks)
        order = np.argsort(animals, kind="stable")  # the points are in the order of time
        animals = animals[order]
        places = np.column_stack([piece.points[name][order].astype(np.float64) for name in "xy"])
        before = np.roll(places, 1, axis=0)
        first = np.diff(animals, prepend=-1) > 0
        before[first] = self._last[animals[first]]
        last = np.roll(first, -1)
        self._last[animals[last]] = places[last]
        steps = np.empty(len(places))
        steps[order] = np.nan_to_num(np.hypot(*(places - before).T))
        return steps


class Activity:
    """Adds up the steps of every region, minute by minute from the start, as fruit-fly monitors do.

    Parameters
    ----------
    axes : region number to its longer side, pixels: what steps are measured in.
    start : of the first minute, seconds since the Unix epoch.
    """

    def __init__(self, axes: Mapping[int, int], start: float) -> None:
        self._axes = axes
        self._start = start
        self._numbers = np.array(sorted(axes))
        self._sums = np.zeros(len(axes))
        self._minute: int | None = None

    def take(self, piece: Piece, times: Numbers, steps: Numbers) -> Iterator[tuple[str, str, list[int]]]:
        """Yield the minutes that are over: the date and time of their end (UTC), and a sum for each region.

        Minutes without a frame are left out. `times` are those of the frames.
        """
        minutes = ((times - self._start) // _BIN_S).astype(np.int64)
        rows = piece.rows
        for minute in np.unique(minutes):
            if self._minute is not None and minute > self._minute:
                yield self.finish()
            self._minute = int(minute) if self._minute is None else max(self._minute, int(minute))
            chosen = minutes[rows] == minute
            self._add(piece.points["roi"][chosen], steps[chosen])

    def finish(self) -> tuple[str, str, list[int]]:
        """Return the last minute, which may not be full, and begin another."""
        end = datetime.fromtimestamp(0, UTC) + timedelta(
            seconds=self._start + ((self._minute or 0) + 1) * _BIN_S
        )
        sums, self._sums = self._sums, np.zeros(len(self._sums))
        return (
            f"{end.day:02d} {_MONTHS[end.month - 1]} {end.year}",
            f"{end:%H:%M:%S}",
            [round(100 * value) for value in sums.tolist()],
        )

    def _add(self, rois: npt.NDArray[np.uint16], steps: Numbers) -> None:
        columns = np.searchsorted(self._numbers, rois)
        axes = np.array([self._axes[int(number)] for number in self._numbers], np.float64)
        self._sums += np.bincount(columns, steps / axes[columns], len(self._sums))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
