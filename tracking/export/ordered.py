"""A result in pieces, in the order of its frames, whatever order its points were written in."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tracking.points import POINT, Points, new_points
from tracking.results import Results

Frames = npt.NDArray[np.void]

_ROWS = 100_000
_CELLS = 2_000_000  # of a dense piece: frames by animals


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some frames in a row, and all points of them.

    Attributes
    ----------
    start : row of the first frame in the result.
    frames : table of index, number and time.
    points : in the order of frame, region and identity; their `frame` counts from the result's first.
    """

    start: int
    frames: Frames
    points: Points

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Which of `frames` each point belongs to, shape (points,)."""
        return np.asarray(self.points["frame"] - self.start)

    def table(self) -> pd.DataFrame:
        """Return the points with index, number and time of their frames, as `Results.table` does."""
        looked = self.frames[self.rows]
        columns = {name: looked[name] for name in self.frames.dtype.names or ()}
        columns |= {name: self.points[name] for name in POINT.names or () if name != "frame"}
        return pd.DataFrame(columns)


def in_order(results: Results, rows: int = _ROWS) -> Iterator[Piece]:
    """Yield a result in pieces of at most `rows` frames, every frame once and in order.

    Points may lie in the file in any order. Only those that were written before points of earlier frames
    have to wait in memory, so it stays bounded as long as trackers decide more or less in time.
    """
    frame_count = results.count("frames")
    starts = range(0, results.count("points"), rows)
    earliest = [_earliest(results.read("points", start, start + rows)) for start in starts]
    complete = np.minimum.accumulate([*earliest[1:], frame_count][::-1])[::-1]
    waiting = new_points()
    done = 0
    for start, upto in zip(starts, complete, strict=False):  # without points there still is one `complete`
        waiting = np.concatenate([waiting, results.read("points", start, start + rows)])
        ready = waiting["frame"] < upto
        yield from _pieces(results, waiting[ready], done, int(upto), rows)
        waiting, done = waiting[~ready], max(done, int(upto))
    yield from _pieces(results, new_points(), done, frame_count, rows)


def empty_table(results: Results) -> pd.DataFrame:
    """Return the columns of `Piece.table`, without rows."""
    return Piece(0, results.read("frames", 0, 0), new_points()).table()


def _earliest(points: Points) -> int:
    return int(points["frame"].min())


def _pieces(results: Results, points: Points, start: int, stop: int, rows: int) -> Iterator[Piece]:
    points = points[np.lexsort((points["identity"], points["roi"], points["frame"]))]
    for first in range(start, stop, rows):
        last = min(first + rows, stop)
        low, high = np.searchsorted(points["frame"], (first, last))
        yield Piece(first, results.read("frames", first, last), points[low:high])


@dataclass(frozen=True, slots=True)
class Track:
    """One animal of a result.

    Attributes
    ----------
    roi : number of its region.
    identity : which animal of the region.
    name : unique in the result.
    """

    roi: int
    identity: int
    name: str


def find_tracks(results: Results) -> list[Track]:
    """Return all animals, in the order of region and identity; one for a region where none was found."""
    found: set[tuple[int, int]] = set()
    for start in range(0, results.count("points"), _ROWS):
        points = results.read("points", start, start + _ROWS)
        pairs = np.unique(np.column_stack([points["roi"], _identities(points)]), axis=0)
        found.update((int(roi), int(identity)) for roi, identity in pairs)
    found.update({(roi.number, 1) for roi in results.rois} - {(roi, 1) for roi, _ in found})
    animals = sorted(found)
    several = {roi for roi, identity in animals if identity > 1}
    return [
        Track(roi, identity, f"roi_{roi}_animal_{identity}" if roi in several else f"roi_{roi}")
        for roi, identity in animals
    ]


def dense_rows(tracks: list[Track]) -> int:
    """Return how many frames a piece may have so that frames by animals stay a bounded table."""
    return max(100, min(_ROWS, _CELLS // max(1, len(tracks))))


def column_of(points: Points, tracks: list[Track]) -> npt.NDArray[np.int64]:
    """Return the position in `tracks` of the animal of each point, shape (points,)."""
    keys = np.array([track.roi << 32 | track.identity for track in tracks], np.int64)
    wanted = points["roi"].astype(np.int64) << 32 | _identities(points)
    return np.asarray(np.searchsorted(keys, wanted), np.int64)


def _identities(points: Points) -> npt.NDArray[np.int64]:
    """Return who the points are; 0, nobody in particular, counts as the first."""
    return np.asarray(np.maximum(points["identity"], 1), np.int64)


def spread(piece: Piece, tracks: list[Track], name: str) -> npt.NDArray[np.float64]:
    """Return one column of the points as a table of frames by animals, NaN where there is no point."""
    table = np.full((len(piece.frames), len(tracks)), np.nan)
    table[piece.rows, column_of(piece.points, tracks)] = piece.points[name]
    return table
