"""The points of one frame after the other, however many there are."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tracking.points import Points, new_points
from tracking.results import Results

_BLOCK = 100_000  # points that are read together
_FRAMES = 1000


class FramePoints:
    """Finds the points of frames in a result without holding all of it.

    Points lie nearly in the order of their frames, so those of some frames are in a block or two; which is
    found by looking through the file once.

    Parameters
    ----------
    results : open.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._starts = range(0, results.count("points"), _BLOCK)
        spans = [_span(self._read(start)["frame"]) for start in self._starts]
        self._first, self._last = np.array(spans, np.int64).reshape(-1, 2).T

    def between(self, first: int, stop: int) -> Points:
        """Return the points of the frames (rows of /frames) from `first` to before `stop`, in their order."""
        some = np.flatnonzero((self._first < stop) & (self._last >= first))
        tables = [new_points()]
        for block in some.tolist():
            points = self._read(self._starts[block])
            tables.append(points[(points["frame"] >= first) & (points["frame"] < stop)])
        found = np.concatenate(tables)
        return found[np.argsort(found["frame"], kind="stable")]

    def each(self, rows: Sequence[int]) -> Iterator[Points]:
        """Yield the points of each of these frames (rows of /frames, rising; below 0 for one without any)."""
        table, low, high = new_points(), 0, 0
        for row in rows:
            if row >= 0 and not low <= row < high:
                low, high = row, row + _FRAMES
                table = self.between(low, high)
            start, stop = np.searchsorted(table["frame"], (row, row + 1))
            yield table[start:stop]

    def _read(self, start: int) -> Points:
        return self._results.read("points", start, start + _BLOCK)


def _span(frames: npt.NDArray[np.int64]) -> tuple[int, int]:
    return int(frames.min()), int(frames.max())
