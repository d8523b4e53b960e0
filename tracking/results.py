"""The HDF5 result file: written while tracking goes on, readable at every moment."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from imgstore import __version__
from tracking.blocks import Stamped
from tracking.errors import ResultExistsError, ResultFileError
from tracking.points import COLUMNS, POINT, Column, Points
from tracking.polygons import transform
from tracking.roi import ROI, Part

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "ethostore-tracks"
VERSION = 1
SUFFIX = ".tracks.h5"
REALIGNED = "regions-realigned"
"""Kind of the events that say that the regions lie elsewhere from then on."""

_BATCH = 4096  # rows of a chunk on disk
_PIECE = 200_000  # rows that are read together
_FLUSH_FRAMES = 200
_FLUSH_SECONDS = 0.5

_FRAME_COLUMNS = (
    Column("index", "<i8", "1", "position in the recording, from 0"),
    Column("number", "<i8", "1", "the camera's own count; a gap is a lost frame"),
    Column("time", "<f8", "s", "since the Unix epoch, start of exposure"),
)
_FRAME = np.dtype([(column.name, column.dtype) for column in _FRAME_COLUMNS])

_TEXT = {"name": h5py.string_dtype("utf-8", 64), "kind": h5py.string_dtype("utf-8", 32)}
_ROI = np.dtype(
    [
        ("number", "<u2"),
        ("value", "<i4"),
        ("name", _TEXT["name"]),
        ("x", "<i4"),
        ("y", "<i4"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("first_corner", "<i4"),
        ("corners", "<i4"),
    ]
)
_PART = np.dtype([("roi", "<u2"), ("name", _TEXT["name"]), ("first_corner", "<i4"), ("corners", "<i4")])
_EVENT = np.dtype(
    [
        ("time", "<f8"),
        ("roi", "<u2"),
        ("kind", _TEXT["kind"]),
        ("detail", h5py.string_dtype("utf-8", 512)),
    ]
)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a result file says of its run.

    Attributes
    ----------
    source : path of the recording.
    shape : of its frames.
    tracker : name.
    settings : of the tracker, plain values.
    layout : name or file of the layout.
    store_uuid : of the store; empty for a plain video.
    timezone : in which times are shown.
    mm_per_pixel : the scale of the picture; None if it is not known.
    given : settings as they were given, from which the tracker can be made anew.
    prepared_frames : how many frames there were, from the first, when the tracker was prepared.
    followed : whether frames were taken as they came, with no end known.
    realign : whether it was looked whether the picture moves, so that regions move with it.
    """

    source: str
    shape: tuple[int, ...]
    tracker: str
    settings: Mapping[str, object]
    layout: str = ""
    store_uuid: str = ""
    timezone: str = "UTC"
    mm_per_pixel: float | None = None
    given: Mapping[str, object] = field(default_factory=dict)
    prepared_frames: int = 0
    followed: bool = False
    realign: bool = False


class ResultWriter:
    """Writes one result file.

    The file is in HDF5's SWMR mode from the first row on and is flushed every half second, so others can
    watch it grow, and a killed run keeps what was flushed.

    Parameters
    ----------
    path : of a file that does not exist.
    info : what to say of the run.
    rois : the regions.
    targets : what they hang on, shape (n, 2).

    Raises
    ------
    ResultExistsError
        There is something at `path` already.
    ResultFileError
        The file cannot be made there.
    """

    def __init__(
        self, path: Path, info: RunInfo, rois: list[ROI], targets: npt.NDArray[np.float64] | None = None
    ) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "w-", libver="latest", locking=False)
        except FileExistsError as exc:
            raise ResultExistsError(f"{path} exists already; give another --out, or --force") from exc
        except OSError as exc:
            raise ResultFileError(
                f"the result {path} cannot be made ({_reason(exc)}); give a place to write with --out"
            ) from exc
        try:
            self._lay_out(info, rois, targets)
        except BaseException:
            self._file.close()
            path.unlink()
            raise
        self.resumed = False
        self._begin()

    @classmethod
    def resume(cls, path: Path) -> "ResultWriter":
        """Open the result of a run that was stopped or killed, to be gone on with.

        What the run wrote is to be appended again, from the first frame on, and is compared with what is
        there; only what comes after it is written.

        Raises ResultFileError if it is none, or is complete.
        """
        repair_results(path)
        self = cls.__new__(cls)
        self.path, self.resumed = path, True
        self._file = _open_for_writing(path)
        try:
            if self._file.attrs["state"] == "complete":
                raise ResultFileError(f"{path} is complete; there is nothing to go on with")  # noqa: TRY301
            decided = int(self._file.attrs.get("decided_points", -1))
            if decided >= 0:
                self._file["points"].resize(decided, axis=0)
            self._file.attrs.update({"state": "running", "decided_points": -1})
            self._find_tables()
            self._file.swmr_mode = True
        except BaseException:
            self._file.close()
            raise
        self._begin()
        return self

    def _begin(self) -> None:
        self._new_frames: list[tuple[int, int, float]] = []
        self._new_points: list[Points] = []
        self._rows: dict[str, int] = {}  # rows that were handed over, those that were there already, too
        self._flushed_at = time.monotonic()
        self._closed = False

    def _find_tables(self) -> None:
        self._frames, self._points = self._file["frames"], self._file["points"]
        self._events, self._backgrounds = self._file["events"], self._file["backgrounds"]

    def _lay_out(self, info: RunInfo, rois: list[ROI], targets: npt.NDArray[np.float64] | None) -> None:
        """Make everything that the file will ever have: SWMR allows nothing new afterwards."""
        _write_info(self._file, info)
        _write_regions(self._file, rois, targets)
        _table(self._file, "frames", _FRAME, _FRAME_COLUMNS)
        _table(self._file, "points", POINT, COLUMNS)
        _table(self._file, "events", _EVENT)
        _image_series(self._file, "backgrounds", info.shape[:2])
        self._find_tables()
        self._file.swmr_mode = True

    def append(self, frame: Stamped, points: Points) -> None:
        """Write that a frame was looked at, and points that were decided, of it or of earlier ones."""
        self._new_frames.append((frame.index, frame.number, frame.time))
        self.append_points(points)
        if len(self._new_frames) >= _FLUSH_FRAMES:
            self.flush()
        else:
            self.idle()

    def idle(self) -> None:
        """Flush if that is due; to be called a few times a second while nothing comes."""
        if time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self.flush()

    def append_points(self, points: Points) -> None:
        """Write points of frames that were appended before."""
        if len(points):
            self._new_points.append(points)

    def append_rest(self, points: Points, *, whole: bool) -> None:
        """Write points that were decided because no more frames come.

        Parameters
        ----------
        whole : whether the recording has ended; else it is the run that was cut short, and who goes on with
            it decides these points anew.
        """
        if not whole:
            self.flush()
            decided = self._rows.get(self._points.name, 0)
            if decided < len(self._points):
                return  # what is there was decided by a run that had seen more
            self._reopen({"decided_points": decided})
        self.append_points(points)
        self.flush()

    def _reopen(self, attributes: Mapping[str, object]) -> None:
        """Change attributes, which cannot be done in SWMR mode."""
        self._file.close()
        self._file = _open_for_writing(self.path)
        self._file.attrs.update(attributes)
        self._find_tables()
        self._file.swmr_mode = True

    def append_background(self, image: npt.NDArray[np.uint8], at: float) -> None:
        """Write an image that frames are compared with from time `at` on."""
        self._extend(self._backgrounds["time"], np.array([at]))
        self._extend(self._backgrounds["image"], image[None])

    def append_events(self, events: Sequence["Event"]) -> None:
        """Write what happened."""
        self._extend(self._events, event_rows(events))

    def flush(self) -> None:
        """Hand everything to the operating system, so that a killed process keeps it."""
        frames, self._new_frames = self._new_frames, []
        points, self._new_points = self._new_points, []
        if frames:
            self._extend(self._frames, np.array(frames, _FRAME))
        if points:
            self._extend(self._points, np.concatenate(points))
        self._flushed_at = time.monotonic()

    def _extend(self, dataset: h5py.Dataset, rows: npt.NDArray[Any]) -> None:
        """Write rows behind those handed over before; those that are there already must be the same."""
        start = self._rows.get(dataset.name, 0)
        self._rows[dataset.name] = stop = start + len(rows)
        there = min(len(dataset), stop)
        if start < there:
            old, again = dataset[start:there], rows[: there - start].astype(dataset.dtype)
            if old.tobytes() != again.tobytes():
                raise ResultFileError(
                    f"{self.path} cannot be gone on with: what is found now in its recording is not what "
                    f"stands in it ({dataset.name[1:]}, from row {start}); recording or software have "
                    "changed since. Track it anew"
                )
        if stop > len(dataset):
            dataset.resize(stop, axis=0)
            dataset[max(start, there) :] = rows[max(there - start, 0) :]
            dataset.flush()

    def close(self, state: str = "complete") -> None:
        """Finish the file as "complete" or "stopped". Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        try:
            self.flush()
        finally:
            self._file.close()
        # Without a lock: those who watch the file hold one, and it is too late to fail.
        with h5py.File(self.path, "r+", libver="latest", locking=False) as file:
            file.attrs["state"] = state

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("complete" if kind is None else "stopped")


def _open_for_writing(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r+", libver="latest", locking=False)
    except OSError as exc:
        raise ResultFileError(f"{path} cannot be written ({_reason(exc)})") from exc


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a time, in a region or (0) in all."""

    time: float
    roi: int
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def event_rows(events: Sequence[Event]) -> npt.NDArray[np.void]:
    """Return rows of /events."""
    rows = [(event.time, event.roi, event.kind.encode(), _detail_text(event)) for event in events]
    return np.array(rows, _EVENT)


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
        return pd.concat(found, ignore_index=True) if found else _joined(_no_rows(POINT), _no_rows(_FRAME))

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
    columns = {name: looked[name] for name in _FRAME.names or ()}
    columns |= {name: points[name] for name in (POINT.names or ()) if name != "frame"}
    return pd.DataFrame(columns)


def _write_info(file: h5py.File, info: RunInfo) -> None:
    file.attrs.update(
        {
            "format": FORMAT,
            "version": VERSION,
            "source": os.fsencode(info.source).decode(errors="replace"),
            "store_uuid": info.store_uuid,
            "software": f"ethostore {__version__}",
            "tracker": info.tracker,
            "settings": json.dumps(info.settings),
            "layout": info.layout,
            "timezone": info.timezone,
            "state": "running",
            "created_utc": datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
            "frame_shape": np.array(info.shape, np.int64),
            "mm_per_pixel": np.nan if info.mm_per_pixel is None else info.mm_per_pixel,
            "given": json.dumps(info.given, default=str),
            "prepared_frames": info.prepared_frames,
            "followed": info.followed,
            "realign": info.realign,
            "decided_points": -1,
        }
    )


def _write_regions(file: h5py.File, rois: list[ROI], targets: npt.NDArray[np.float64] | None) -> None:
    rows, parts, polygons, first = [], [], [], 0
    for roi in rois:
        rows.append((roi.number, roi.value, _short(roi.name), *roi.rectangle, first, len(roi.polygon)))
        polygons.append(roi.polygon)
        first += len(roi.polygon)
    for roi in rois:
        for part in roi.parts:
            parts.append((roi.number, _short(part.name), first, len(part.polygon)))
            polygons.append(part.polygon)
            first += len(part.polygon)
    file.create_dataset("rois", data=np.array(rows, _ROI))
    named = file.create_dataset("parts", data=np.array(parts, _PART))
    named.attrs["meaning"] = "named parts of regions, such as a light half"
    corners = file.create_dataset("polygons", data=np.concatenate(polygons))
    corners.attrs["meaning"] = "corners of all regions and parts, x then y, px; /rois and /parts say whose"
    marks = file.create_dataset("targets", data=np.empty((0, 2)) if targets is None else targets)
    marks.attrs["meaning"] = "what the regions hang on, x then y, px"


def _corners(corners: npt.NDArray[np.float64], row: np.void) -> npt.NDArray[np.float64]:
    return corners[row["first_corner"] : row["first_corner"] + row["corners"]]


def _short(name: str) -> bytes:
    """Return a name in the room that the file has for it."""
    return name.encode()[:64].decode(errors="ignore").encode()


def _table(
    file: h5py.File, name: str, dtype: np.dtype[Any], columns: tuple[Column, ...] = ()
) -> h5py.Dataset:
    dataset = file.create_dataset(name, shape=(0,), maxshape=(None,), dtype=dtype, chunks=(_BATCH,))
    for column in columns:
        dataset.attrs[f"{column.name}.unit"] = column.unit
        dataset.attrs[f"{column.name}.meaning"] = column.meaning
    return dataset


def _image_series(file: h5py.File, name: str, shape: tuple[int, ...]) -> h5py.Group:
    group = file.create_group(name)
    group.create_dataset("time", shape=(0,), maxshape=(None,), dtype="<f8", chunks=(64,))
    group.create_dataset(
        "image",
        shape=(0, *shape),
        maxshape=(None, *shape),
        dtype="u1",
        chunks=(1, *shape),
        compression="gzip",
    )
    return group


def _no_rows(dtype: np.dtype[Any]) -> npt.NDArray[np.void]:
    return np.empty(0, dtype)


def _detail_text(event: Event) -> bytes:
    """Return the detail of an event as JSON, which stays JSON where it is cut to the length on disk."""
    text = json.dumps(event.detail, ensure_ascii=False).encode()
    room = _EVENT["detail"].itemsize
    if len(text) <= room:
        return text
    cut = text[: room // 2].decode(errors="ignore")
    return json.dumps({"cut": cut}, ensure_ascii=False).encode()[:room]


def _reason(exc: OSError) -> str:
    return os.strerror(exc.errno) if exc.errno else str(exc)
