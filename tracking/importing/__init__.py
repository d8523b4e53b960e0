"""Imports: positions that another program found, as a result file, to plot and compare."""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import imgstore
from imgstore import Frame, FrameSequence, Registry, StoreReader, UnknownNameError
from tracking.background import median_image
from tracking.errors import ImportFileError, ResultExistsError
from tracking.importing.base import Found, Imported, Importer
from tracking.layouts import Regions, open_layout
from tracking.points import Points, new_points
from tracking.result_tables import SUFFIX
from tracking.result_writer import ResultWriter, RunInfo
from tracking.roi import ROI

IMPORTERS: Registry[Importer] = Registry(
    "import format",
    {
        "ethoscope": "tracking.importing.ethoscope:EthoscopeFile",
        "tracktor": "tracking.importing.tracktor:TracktorFile",
        "sleap-analysis": "tracking.importing.sleap:SleapAnalysisFile",
        "slp": "tracking.importing.sleap:SlpFile",
    },
)

_ENDINGS = {".db": "ethoscope", ".csv": "tracktor", ".h5": "sleap-analysis", ".slp": "slp"}

_FARTHEST_S = 1.0  # from a position's time to its frame
_CLOSE_S = 60.0  # by which clocks of one experiment may differ


@dataclass(frozen=True, slots=True)
class ImportedTracks:
    """What came of an import.

    Attributes
    ----------
    path : of the result file.
    frames, points : how many are in it.
    left_out : reason to number of positions that have no place in it.
    """

    path: Path
    frames: int
    points: int
    left_out: Mapping[str, int]


def import_tracks(
    file: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    format: str | None = None,  # noqa: A002  # the field's own word
    layout: str = "whole-frame",
    settings: Mapping[str, object] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> ImportedTracks:
    """Make a result file of what another program found.

    Parameters
    ----------
    file : of that program.
    source : the recording, a store or a video, whose frames these are. Ethoscope's files, which say times
        and regions, do without: then there is a frame for each time.
    format : one of `IMPORTERS`; None for the one that the ending of `file` names.
    layout : name or file of a layout, for programs without regions: an animal is in the region around it.
    settings : of the format, by name; text will do.
    out : the result file; None for one beside `file`.
    force : replace `out` if it exists.

    Raises
    ------
    ImgstoreError, TrackingError
        A file cannot be read or does not fit, the result exists already.
    """
    path = Path(file)
    place = path.with_name(path.stem + SUFFIX) if out is None else Path(out)
    if place.exists() and not force:
        raise ResultExistsError(f"{place} exists already; give another --out, or --force")
    opener = IMPORTERS.get(_format_of(path) if format is None else format)
    if not path.is_file():
        raise ImportFileError(f"{path} does not exist; give a file of {', '.join(IMPORTERS.names())}")
    with closing(opener(path, settings or {})) as imported:
        if source is None:
            frames, regions = _own_frames(path, imported), Regions(imported.rois)
            return _write(imported, frames, regions, _info(path, imported, layout, settings), place)
        with closing(imgstore.open_source(source)) as recording:
            frames = _frames_of(recording, imported)
            regions = Regions(imported.rois) if imported.rois else _find(layout, recording)
            info = _info(path, imported, layout, settings, source, recording)
            return _write(imported, frames, regions, info, place)


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """The frames of a result: their numbers and times, and how much later the first is than the tracking."""

    numbers: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    late: float = 0.0

    def rows(self, found: Found) -> npt.NDArray[np.int64]:
        """Return which frame each position belongs to, -1 if there is none."""
        count = len(self.times)
        if np.issubdtype(found.when.dtype, np.integer):
            return np.where((found.when >= 0) & (found.when < count), found.when, -1).astype(np.int64)
        times = found.when + self.late
        after = np.clip(np.searchsorted(self.times, times), 1, max(1, count - 1))
        before = after - 1
        after = np.minimum(after, count - 1)
        nearer = np.abs(self.times[before] - times) <= np.abs(self.times[after] - times)
        rows = np.where(nearer, before, after)
        return np.where(np.abs(self.times[rows] - times) <= _FARTHEST_S, rows, -1)


def _own_frames(path: Path, imported: Imported) -> _Frames:
    """Return a frame for each time in the file."""
    if imported.started is None:
        raise ImportFileError(f"{path} counts frames and says no times; name the recording with --source")
    times = imported.times()
    if not len(times):
        raise ImportFileError(f"{path} holds no positions")
    return _Frames(np.arange(len(times)), times + imported.started, imported.started)


def _frames_of(recording: FrameSequence, imported: Imported) -> _Frames:
    """Return the frames of the recording; what happened when is told by clock, or by the first frame."""
    times = np.array(recording.times)
    if not len(times):
        raise ImportFileError("the recording holds no frames")
    started = imported.started
    by_clock = started is not None and times[0] - _CLOSE_S <= started <= times[-1] + _CLOSE_S
    return _Frames(np.array(recording.numbers), times, started if by_clock and started else float(times[0]))


def _find(layout: str, recording: FrameSequence) -> Regions:
    return open_layout(layout).find(median_image(recording))


def _info(
    path: Path,
    imported: Imported,
    layout: str,
    settings: Mapping[str, object] | None,
    source: str | os.PathLike[str] | None = None,
    recording: FrameSequence | None = None,
) -> RunInfo:
    uuid, zone = "", "UTC"
    if isinstance(recording, StoreReader):
        uuid, zone = recording.metadata.uuid or "", recording.metadata.timezone.key
    shape = imported.shape if recording is None else recording.spec.shape
    return RunInfo(
        source=str(Path(path if source is None else source).resolve()),
        shape=shape or _shape_around(imported.rois),
        tracker=imported.tracker,
        settings={"imported": str(path.resolve()), **{k: str(v) for k, v in (settings or {}).items()}},
        layout=path.name if imported.rois else layout,
        store_uuid=uuid,
        timezone=zone,
    )


def _shape_around(rois: list[ROI]) -> tuple[int, int]:
    far = np.array(
        [(roi.rectangle[1] + roi.rectangle[3], roi.rectangle[0] + roi.rectangle[2]) for roi in rois]
    )
    rows, columns = far.max(axis=0) if len(far) else (1, 1)
    return int(rows), int(columns)


def _write(
    imported: Imported, frames: _Frames, regions: Regions, info: RunInfo, place: Path
) -> ImportedTracks:
    beside = place.with_name(f".{place.name}.partial")
    beside.unlink(missing_ok=True)
    try:
        with ResultWriter(beside, info, regions.rois, regions.targets) as results:
            image, nothing = np.empty((0, 0), np.uint8), new_points()
            for index, (number, time) in enumerate(
                zip(frames.numbers.tolist(), frames.times.tolist(), strict=True)
            ):
                results.append(Frame(image, index, number, time), nothing)
            count, left_out = _write_points(imported, frames, regions, info.shape, results)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
    return ImportedTracks(place, len(frames.times), count, left_out)


def _write_points(
    imported: Imported, frames: _Frames, regions: Regions, shape: tuple[int, ...], results: ResultWriter
) -> tuple[int, dict[str, int]]:
    count, left_out = 0, {"outside of all regions": 0, "no frame at that time": 0, "twice in a frame": 0}
    home = None if imported.rois else _Homes(regions.rois, shape)
    for found in imported.found():
        points = found.points.copy()
        rows = frames.rows(found)
        if home is not None:
            home.settle(points)
        homeless, timeless = points["roi"] == 0, rows < 0
        left_out["outside of all regions"] += int(homeless.sum())
        left_out["no frame at that time"] += int((timeless & ~homeless).sum())
        kept = ~homeless & ~timeless
        points, rows = points[kept], rows[kept]
        points["frame"] = rows
        _, one_each = np.unique(points[["frame", "roi", "identity"]], return_index=True)
        left_out["twice in a frame"] += len(points) - len(one_each)
        results.append_points(points[one_each])
        results.flush()
        count += len(one_each)
    return count, {reason: number for reason, number in left_out.items() if number}


class _Homes:
    """Puts animals of a program without regions into regions, and counts them there from 1."""

    def __init__(self, rois: list[ROI], shape: tuple[int, ...]) -> None:
        self._region_at = np.zeros(shape[:2], np.uint16)
        for roi in rois:
            self._region_at[roi.window(shape)][roi.mask(shape) > 0] = roi.number
        self._known: dict[tuple[int, int], int] = {}
        self._count: Counter[int] = Counter()

    def settle(self, points: Points) -> None:
        """Set region and identity of points; the region is 0 outside of all."""
        rows, columns = self._region_at.shape
        x, y = (np.rint(points[name]).astype(np.int64) for name in "xy")
        inside = (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
        points["roi"] = np.where(inside, self._region_at[np.where(inside, y, 0), np.where(inside, x, 0)], 0)
        pairs = np.column_stack([points["roi"], points["identity"]]).astype(np.int64)
        kinds, which = np.unique(pairs, axis=0, return_inverse=True)
        points["identity"] = np.array([self._identity(*pair) for pair in kinds.tolist()], np.uint32)[
            which.ravel()
        ]

    def _identity(self, roi: int, animal: int) -> int:
        if (roi, animal) not in self._known:
            self._count[roi] += 1
            self._known[roi, animal] = self._count[roi]
        return self._known[roi, animal]


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in _ENDINGS:
        remark = f"or name a format: {', '.join(IMPORTERS.names())}"
        raise UnknownNameError("import of files ending in", path.suffix, _ENDINGS, remark)
    return _ENDINGS[path.suffix.lower()]


__all__ = ["IMPORTERS", "Imported", "ImportedTracks", "Importer", "import_tracks"]
