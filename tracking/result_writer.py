"""Writes the HDF5 result file: while tracking goes on, readable at every moment."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from imgstore import __version__
from tracking.blocks import Stamped
from tracking.errors import ResultExistsError, ResultFileError
from tracking.points import COLUMNS, POINT, Column, Points
from tracking.result_tables import (
    EVENT_ROW,
    FORMAT,
    FRAME,
    FRAME_COLUMNS,
    PART_ROW,
    ROI_ROW,
    VERSION,
    Event,
    event_rows,
)
from tracking.results import repair_results
from tracking.roi import ROI

_BATCH = 4096  # rows of a chunk on disk
_FLUSH_FRAMES = 200
_FLUSH_SECONDS = 0.5


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
        _table(self._file, "frames", FRAME, FRAME_COLUMNS)
        _table(self._file, "points", POINT, COLUMNS)
        _table(self._file, "events", EVENT_ROW)
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
            self._extend(self._frames, np.array(frames, FRAME))
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
    file.create_dataset("rois", data=np.array(rows, ROI_ROW))
    named = file.create_dataset("parts", data=np.array(parts, PART_ROW))
    named.attrs["meaning"] = "named parts of regions, such as a light half"
    corners = file.create_dataset("polygons", data=np.concatenate(polygons))
    corners.attrs["meaning"] = "corners of all regions and parts, x then y, px; /rois and /parts say whose"
    marks = file.create_dataset("targets", data=np.empty((0, 2)) if targets is None else targets)
    marks.attrs["meaning"] = "what the regions hang on, x then y, px"


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


def _reason(exc: OSError) -> str:
    return os.strerror(exc.errno) if exc.errno else str(exc)
