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
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from imgstore import Frame, __version__
from tracking.errors import ResultExistsError, ResultFileError
from tracking.points import COLUMNS, POINT, Column, Points
from tracking.roi import ROI

FORMAT = "ethostore-tracks"
VERSION = 1
SUFFIX = ".tracks.h5"

_BATCH = 4096  # rows of a chunk on disk
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
    """

    source: str
    shape: tuple[int, ...]
    tracker: str
    settings: Mapping[str, object]
    layout: str = ""
    store_uuid: str = ""
    timezone: str = "UTC"
    mm_per_pixel: float | None = None


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
        self._new_frames: list[tuple[int, int, float]] = []
        self._new_points: list[Points] = []
        self._flushed_at = time.monotonic()
        self._closed = False

    def _lay_out(self, info: RunInfo, rois: list[ROI], targets: npt.NDArray[np.float64] | None) -> None:
        """Make everything that the file will ever have: SWMR allows nothing new afterwards."""
        _write_info(self._file, info)
        _write_regions(self._file, rois, targets)
        self._frames = _table(self._file, "frames", _FRAME, _FRAME_COLUMNS)
        self._points = _table(self._file, "points", POINT, COLUMNS)
        self._events = _table(self._file, "events", _EVENT)
        self._backgrounds = _image_series(self._file, "backgrounds", info.shape[:2])
        self._file.swmr_mode = True

    def append(self, frame: Frame, points: Points) -> None:
        """Write that a frame was looked at, and points that were decided, of it or of earlier ones."""
        self._new_frames.append((frame.index, frame.number, frame.time))
        self.append_points(points)
        late = time.monotonic() - self._flushed_at > _FLUSH_SECONDS
        if late or len(self._new_frames) >= _FLUSH_FRAMES:
            self.flush()

    def append_points(self, points: Points) -> None:
        """Write points of frames that were appended before."""
        if len(points):
            self._new_points.append(points)

    def append_background(self, image: npt.NDArray[np.uint8], at: float) -> None:
        """Write an image that frames are compared with from time `at` on."""
        group = self._backgrounds
        for dataset, value in ((group["time"], at), (group["image"], image)):
            dataset.resize(len(dataset) + 1, axis=0)
            dataset[-1] = value
            dataset.flush()

    def append_events(self, events: Sequence["Event"]) -> None:
        """Write what happened."""
        append_events(self._events, events)

    def flush(self) -> None:
        """Hand everything to the operating system, so that a killed process keeps it."""
        frames, self._new_frames = self._new_frames, []
        points, self._new_points = self._new_points, []
        if frames:
            _extend(self._frames, np.array(frames, _FRAME))
        if points:
            _extend(self._points, np.concatenate(points))
        self._flushed_at = time.monotonic()

    def close(self, state: str = "complete") -> None:
        """Finish the file as "complete" or "stopped". Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self.flush()
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


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a time, in a region or (0) in all."""

    time: float
    roi: int
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def append_events(dataset: h5py.Dataset, events: Sequence[Event]) -> None:
    """Write rows of /events."""
    rows = [
        (event.time, event.roi, event.kind.encode(), json.dumps(event.detail).encode()) for event in events
    ]
    if rows:
        _extend(dataset, np.array(rows, _EVENT))


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

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file says of its run: source, tracker, settings, state ..."""
        found = {str(key): value for key, value in self._file.attrs.items()}
        found["frame_shape"] = tuple(int(n) for n in found["frame_shape"])
        found["version"] = int(found["version"])
        found["mm_per_pixel"] = float(found["mm_per_pixel"])  # NaN if it is not known
        found["settings"] = json.loads(found["settings"])
        return found

    @cached_property
    def rois(self) -> list[ROI]:
        """The regions, in the order of their numbers."""
        corners = self._file["polygons"][:]
        return [
            ROI(
                corners[row["first_corner"] : row["first_corner"] + row["corners"]],
                int(row["number"]),
                int(row["value"]),
                row["name"].decode(),
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

    def table(self, *, roi: int | None = None) -> pd.DataFrame:
        """Return the points, of one region or of all, with index, number and time of their frames."""
        points = self.points if roi is None else self.points[self.points["roi"] == roi]
        return _joined(points, self.frames)

    def blocks(self, rows: int = 200_000) -> Iterator[pd.DataFrame]:
        """Yield `table()` in pieces of at most `rows`, so that memory stays bounded."""
        for points in self.point_blocks(rows):
            yield _joined(points, self.frames)

    def point_blocks(self, rows: int = 200_000) -> Iterator[Points]:
        """Yield the points in pieces of at most `rows`, so that memory stays bounded."""
        stored = self._file["points"]
        for start in range(0, len(stored), rows):
            yield np.asarray(stored[start : start + rows])

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


def _joined(points: Points, frames: npt.NDArray[np.void]) -> pd.DataFrame:
    points = points[points["frame"] < len(frames)]  # a growing file may hold points a flush ahead
    looked = frames[points["frame"]]
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
        }
    )


def _write_regions(file: h5py.File, rois: list[ROI], targets: npt.NDArray[np.float64] | None) -> None:
    rows, first = [], 0
    for roi in rois:
        name = roi.name.encode()[:64].decode(errors="ignore").encode()
        rows.append((roi.number, roi.value, name, *roi.rectangle, first, len(roi.polygon)))
        first += len(roi.polygon)
    file.create_dataset("rois", data=np.array(rows, _ROI))
    polygons = file.create_dataset("polygons", data=np.concatenate([roi.polygon for roi in rois]))
    polygons.attrs["meaning"] = "corners of all regions, x then y, px; /rois says which are whose"
    marks = file.create_dataset("targets", data=np.empty((0, 2)) if targets is None else targets)
    marks.attrs["meaning"] = "what the regions hang on, x then y, px"


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


def _extend(dataset: h5py.Dataset, rows: npt.NDArray[np.void]) -> None:
    start = len(dataset)
    dataset.resize(start + len(rows), axis=0)
    dataset[start:] = rows
    dataset.flush()


def _reason(exc: OSError) -> str:
    return os.strerror(exc.errno) if exc.errno else str(exc)
