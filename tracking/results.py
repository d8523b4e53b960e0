"""Reads the HDF5 result file, finished, growing or left by a killed run."""

import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from tracking.errors import ResultFileError
from tracking.points import POINT, Points
from tracking.polygons import transform
from tracking.result_tables import FORMAT, FRAME, REALIGNED, SUFFIX, VERSION, Event
from tracking.roi import ROI, Part

if TYPE_CHECKING:
    import pandas as pd

_PIECE = 200_000  # rows that are read together


def open_results(path: str | os.PathLike[str]) -> "Results":
    """Open a result file, finished, growing or left by a killed run.

    Raises ResultFileError if it is none.
    """
    return Results(Path(path))


class Results:
    """What a result file holds; made by `open_results`.

    Parameters
    ----------
    path : of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open(path)
        if self._file.attrs.get("format") != FORMAT or self._file.attrs.get("version") != VERSION:
            self._file.close()
            raise ResultFileError(f"{path} is HDF5, but no result of tracking that this version knows")
        self._spans: dict[tuple[int, int], tuple[int, int]] = {}  # first and last frame of pieces read before

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file says of its run: source, tracker, settings, state ..."""
        found = {str(key): value for key, value in self._file.attrs.items()}
        found["frame_shape"] = tuple(int(n) for n in found["frame_shape"])
        found["version"] = int(found["version"])
        found["mm_per_pixel"] = float(found["mm_per_pixel"])  # NaN if it is not known
        found["settings"] = json.loads(found["settings"])
        found["given"] = json.loads(found.get("given", "{}"))
        found["prepared_frames"] = int(found.get("prepared_frames", 0))
        found["followed"] = bool(found.get("followed", False))
        found["realign"] = bool(found.get("realign", False))
        found.pop("decided_points", None)  # of the writer, for itself
        return found

    @cached_property
    def rois(self) -> list[ROI]:
        """The regions, in the order of their numbers."""
        corners = self._file["polygons"][:]
        parts: dict[int, list[Part]] = {}
        for row in self._file["parts"][:] if "parts" in self._file else ():  # older files have none
            parts.setdefault(int(row["roi"]), []).append(Part(row["name"].decode(), _corners(corners, row)))
        return [
            ROI(
                _corners(corners, row),
                int(row["number"]),
                int(row["value"]),
                row["name"].decode(),
                tuple(parts.get(int(row["number"]), ())),
            )
            for row in self._file["rois"][:]
        ]

    @property
    def targets(self) -> npt.NDArray[np.float64]:
        """What the regions hang on, shape (n, 2), x then y."""
        return np.asarray(self._file["targets"][:])

    @cached_property
    def frames(self) -> npt.NDArray[np.void]:
        """The frames that were looked at: a table of index, number, time."""
        return np.asarray(self._file["frames"][:])

    @cached_property
    def points(self) -> Points:
        """All points, in the order of writing; dtype `tracking.POINT`."""
        points = np.asarray(self._file["points"][:])
        return points[points["frame"] < len(self.frames)]  # a growing file may hold points a flush ahead

    @property
    def background(self) -> npt.NDArray[np.uint8] | None:
        """The last image that frames were compared with, (rows, columns); None if there was none."""
        images = self._file["backgrounds/image"]
        return np.asarray(images[-1]) if len(images) else None

    @property
    def events(self) -> list[Event]:
        """What happened, in the order of writing."""
        return [
            Event(float(row["time"]), int(row["roi"]), row["kind"].decode(), json.loads(row["detail"]))
            for row in self._file["events"][:]
        ]

    @cached_property
    def realignments(self) -> list[tuple[float, npt.NDArray[np.float64]]]:
        """Times from which on the regions lay elsewhere, and where: matrices of shape (2, 3).

        They take pixels at the start of the recording to pixels from that time on.
        """
        return [
            (event.time, np.array(event.detail["matrix"], np.float64))
            for event in self.events
            if event.kind == REALIGNED and "matrix" in event.detail
        ]

    def regions_at(self, time: float) -> tuple[list[ROI], npt.NDArray[np.float64]]:
        """Return regions and targets as they lay at a time, seconds; `rois` are those of the start."""
        matrix = next((matrix for since, matrix in reversed(self.realignments) if since <= time), None)
        if matrix is None:
            return self.rois, self.targets
        return [roi.moved(matrix) for roi in self.rois], transform(matrix, self.targets)

    def steadied(
        self, times: npt.NDArray[np.float64], places: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return where things would be had nothing knocked the camera, shape (n, 2), x then y.

        Parameters
        ----------
        times : when they were there, shape (n,), seconds.
        places : where, in pixels of the frames, shape (n, 2), x then y.
        """
        if not self.realignments:
            return places
        steady = np.array(places, np.float64)
        since = [time for time, _ in self.realignments]
        for place, (start, matrix) in enumerate(self.realignments):
            stop = min(since[place + 1 :], default=np.inf)
            then = (times >= start) & (times < stop)
            back = np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]
            steady[then] = transform(back, steady[then])
        return steady

    def table(
        self, *, roi: int | None = None, start: float | None = None, stop: float | None = None
    ) -> "pd.DataFrame":
        """Return the points, all or some, with index, number and time of their frames.

        Of what is left out, no more than a block is in memory at a time.

        Parameters
        ----------
        roi : number of the region; None for all.
        start, stop : of the times of their frames, seconds since the Unix epoch, `stop` not among them; None
            for the beginning and the end.
        """
        import pandas as pd

        found = list(self.blocks(roi=roi, start=start, stop=stop))
        return pd.concat(found, ignore_index=True) if found else _joined(_no_rows(POINT), _no_rows(FRAME))

    def blocks(
        self,
        rows: int = _PIECE,
        *,
        roi: int | None = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> "Iterator[pd.DataFrame]":
        """Yield `table` in pieces of at most `rows`, so that memory stays bounded."""
        for points, frames, first in self.pieces(rows, roi=roi, start=start, stop=stop):
            yield _joined(points, frames, first)

    def pieces(
        self,
        rows: int = _PIECE,
        *,
        roi: int | None = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> Iterator[tuple[Points, npt.NDArray[np.void], int]]:
        """Yield what `blocks` does as arrays: points, frames, and which row of /frames the first of these is.

        The time of each point is `frames["time"][points["frame"] - first]`.
        """
        wanted = self._rows_between(start, stop)
        stored = self._file["points"]
        for place in range(0, len(stored), rows):
            low, high = self._spans.get((place, rows), (wanted.start, wanted.stop))
            if high < wanted.start or low >= wanted.stop:
                continue
            points = np.asarray(stored[place : place + rows])
            first, last = int(points["frame"].min()), int(points["frame"].max())
            if len(points) == rows:
                self._spans[place, rows] = (first, last)
            if first < wanted.start or last >= wanted.stop:  # a growing file may hold points a flush ahead
                points = points[(points["frame"] >= wanted.start) & (points["frame"] < wanted.stop)]
            if roi is not None:
                points = points[points["roi"] == roi]
            if not len(points):
                continue
            first, last = int(points["frame"].min()), int(points["frame"].max())
            frames = np.asarray(self._file["frames"][first : last + 1])
            if start is not None or stop is not None:  # clocks may have been set back
                points = points[_between(frames["time"], start, stop)[points["frame"] - first]]
            if len(points):
                yield points, frames, first

    def _rows_between(self, start: float | None, stop: float | None) -> range:
        """Return the rows of /frames from the first to the last whose time lies between two."""
        if start is None and stop is None:
            return range(self.count("frames"))
        first, end, place = 0, 0, 0
        for frames in self.frame_blocks():
            here = np.flatnonzero(_between(frames["time"], start, stop)) + place
            if len(here):
                first, end = first if end else int(here[0]), int(here[-1]) + 1
            place += len(frames)
        return range(first, end)

    def count(self, table: str) -> int:
        """Return how many rows "frames" or "points" has by now; a growing file gets more."""
        return len(self._file[table])

    def read(self, table: str, start: int, stop: int) -> npt.NDArray[np.void]:
        """Return some rows of "frames" or "points", as they were written."""
        return np.asarray(self._file[table][start:stop])

    def frame_blocks(self, rows: int = 500_000) -> Iterator[npt.NDArray[np.void]]:
        """Yield `frames` in pieces of at most `rows`."""
        for start in range(0, self.count("frames"), rows):
            yield self.read("frames", start, start + rows)

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        self._file.close()

    def __enter__(self) -> "Results":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def repair_results(path: str | os.PathLike[str]) -> bool:
    """Make a result file that a killed run left an ordinary one again; return whether there was need to.

    It is copied, and the copy replaces it; `state` becomes "stopped". Raises ResultFileError if it is none.
    """
    place = Path(path)
    with Results(place) as results:
        if results.attributes["state"] != "running":
            return False
    beside = place.with_name(f".{place.name}.partial")
    beside.unlink(missing_ok=True)
    with _open(place) as old, h5py.File(beside, "w-", libver="latest") as new:
        for name in old:
            old.copy(name, new)
        new.attrs.update(old.attrs)
        new.attrs["state"] = "stopped"
    beside.replace(place)
    return True


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise ResultFileError(f"{path} {found}; give a result file (*{SUFFIX})")
    if not h5py.is_hdf5(path):
        raise ResultFileError(f"{path} is no result file (*{SUFFIX}): it is not HDF5")
    try:
        return h5py.File(path, "r", locking=False)
    except OSError:
        pass  # a writer has it open, or died with it open
    try:
        return h5py.File(path, "r", libver="latest", swmr=True, locking=False)
    except OSError as exc:
        raise ResultFileError(f"{path} cannot be opened ({exc})") from exc


def _between(
    times: npt.NDArray[np.float64], start: float | None, stop: float | None
) -> npt.NDArray[np.bool_]:
    """Return which times lie from `start` to before `stop`."""
    after = np.ones(len(times), bool) if start is None else times >= start
    return after if stop is None else after & (times < stop)


def _joined(points: Points, frames: npt.NDArray[np.void], first: int = 0) -> "pd.DataFrame":
    """Return points with their frames, of which those from row `first` on are given."""
    import pandas as pd

    looked = frames[points["frame"] - first]
    columns = {name: looked[name] for name in FRAME.names or ()}
    columns |= {name: points[name] for name in (POINT.names or ()) if name != "frame"}
    return pd.DataFrame(columns)


def _corners(corners: npt.NDArray[np.float64], row: np.void) -> npt.NDArray[np.float64]:
    return corners[row["first_corner"] : row["first_corner"] + row["corners"]]


def _no_rows(dtype: np.dtype[Any]) -> npt.NDArray[np.void]:
    return np.empty(0, dtype)
