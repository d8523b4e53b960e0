"""NWB: the recording's files by name, positions with real times, and poses as ndx-pose has them."""

import os
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import h5py
import ndx_pose
import numpy as np
import numpy.typing as npt
from hdmf.backends.hdf5 import H5DataIO
from pynwb import NWBHDF5IO, NWBFile, ProcessingModule, TimeSeries
from pynwb.behavior import BehavioralTimeSeries, CompassDirection, Position, SpatialSeries
from pynwb.device import Device
from pynwb.file import Subject
from pynwb.image import ImageSeries

import imgstore
from imgstore import ImgstoreError, StoreReader, replacing
from tracking.errors import SettingsError
from tracking.export.base import Export, Exporter
from tracking.export.ordered import Piece, Track, dense_rows, find_tracks, in_order, spread
from tracking.points import COLUMNS
from tracking.results import Results
from tracking.settings import parse_settings

_NODE = "centroid"
_VIDEO = "video"
_CHUNK = 4096  # frames
_VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".m4v", ".webm")
_ORIGIN = "0, 0 is the centre of the upper left pixel of the frame; x to the right, y down"
_MEASURES = tuple(
    column for column in COLUMNS if column.name in ("length", "width", "angle", "area", "score", "status")
)
_SCORE = next(column.meaning for column in COLUMNS if column.name == "score")


@dataclass(frozen=True, slots=True)
class NWBSettings:
    """Settings of the export to NWB: what the file says of the session and the animals.

    Attributes
    ----------
    description : of the session.
    experimenter, lab, institution : empty to leave them out.
    subject : identity of the subject; empty to leave out all of the subject.
    species : binomial name, such as Drosophila melanogaster.
    sex : M, F, O (other) or U (unknown).
    age : ISO 8601 duration, such as P5D.
    """

    description: str = "Animals filmed and tracked"
    experimenter: str = ""
    lab: str = ""
    institution: str = ""
    subject: str = ""
    species: str = ""
    sex: str = "U"
    age: str = ""

    def __post_init__(self) -> None:
        if self.sex not in ("M", "F", "O", "U"):
            raise SettingsError(f"sex is M, F, O or U, got {self.sex!r}")


@dataclass(frozen=True, slots=True)
class _Recording:
    """The files that frames lie in, the first frame of each, and the times of all frames."""

    files: list[str]
    starts: list[int]
    times: npt.NDArray[np.float64]


class NWBExporter(Exporter):
    """See `Exporter`."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = parse_settings(NWBSettings, settings)

    def write(self, results: Results, out: Path) -> Export:
        """Write everything to `out`; frames without an animal have NaN."""
        tracks = find_tracks(results)
        recording, left_out = _find_recording(results, out)
        nwb = _session(results, self._settings)
        start = nwb.session_start_time.timestamp()
        video = None if recording is None else _add_video(nwb, recording, results, start)
        headed = _any_heading(results)
        _add_behaviour(nwb, results, tracks, video, headed=headed)
        with replacing(out) as file:
            with h5py.File(file.name, "w") as target, NWBHDF5IO(file=target, mode="w") as base:
                base.write(nwb)
            with h5py.File(file.name, "r+") as target:
                _share(target["processing/behavior"], tracks)
                for piece in in_order(results, dense_rows(tracks)):
                    _fill(target["processing/behavior"], piece, tracks, start, headed=headed)
        return Export(out, left_out)


def _find_recording(results: Results, out: Path) -> tuple[_Recording | None, tuple[str, ...]]:
    """Return the files of the recording, or why there are none."""
    source = results.attributes["source"]
    try:
        with closing(imgstore.open_source(source)) as frames:
            files, starts = [Path(source)], [0]
            if isinstance(frames, StoreReader):
                files = [_chunk_file(frames, chunk) for chunk in frames.chunks]
                starts = [frames.chunk_range(chunk).start for chunk in frames.chunks]
            if any(file.suffix not in _VIDEO_SUFFIXES for file in files):
                return None, ("the recording (ImageSeries): its chunks are no video files",)
            folder = out.parent.resolve()
            relative = [os.path.relpath(file.resolve(), folder) for file in files]
            return _Recording(relative, starts, np.array(frames.times)), ()
    except ImgstoreError as exc:
        return None, (f"the recording (ImageSeries): {exc}",)


def _chunk_file(store: StoreReader, chunk: int) -> Path:
    name = f"{chunk:06d}"
    found = [path for path in store.path.glob(f"{name}.*") if path.suffix in _VIDEO_SUFFIXES]
    return found[0] if found else store.path / name


def _session(results: Results, settings: NWBSettings) -> NWBFile:
    attributes = results.attributes
    first = results.read("frames", 0, 1)["time"]
    start = datetime.fromtimestamp(0, UTC) + timedelta(seconds=float(first[0]) if len(first) else 0.0)
    known = {
        "experimenter": settings.experimenter,
        "lab": settings.lab,
        "institution": settings.institution,
    }
    nwb = NWBFile(
        session_description=settings.description,
        identifier=attributes["store_uuid"] or str(uuid.uuid5(uuid.NAMESPACE_URL, attributes["source"])),
        session_start_time=start.astimezone(ZoneInfo(attributes["timezone"])),
        source_script=f"{attributes['software']}: {results.path.name}",
        source_script_file_name=results.path.name,
        notes=f"tracker {attributes['tracker']}, settings {attributes['settings']}",
        **{name: value for name, value in known.items() if value},
    )
    if settings.subject:
        said = {"species": settings.species, "age": settings.age}
        nwb.subject = Subject(
            subject_id=settings.subject,
            sex=settings.sex,
            description=f"in {len(results.rois)} regions" if len(results.rois) > 1 else "in one region",
            **{name: value for name, value in said.items() if value},
        )
    return nwb


def _add_video(nwb: NWBFile, recording: _Recording, results: Results, start: float) -> ImageSeries:
    rows, columns = results.attributes["frame_shape"][:2]
    video = ImageSeries(
        name=_VIDEO,
        description="the recording that was tracked",
        format="external",
        external_file=recording.files,
        starting_frame=np.array(recording.starts, np.int32),
        dimension=np.array([columns, rows], np.int32),
        timestamps=recording.times - start,
        unit="n.a.",
        device=_camera(nwb),
    )
    nwb.add_acquisition(video)
    return video


def _camera(nwb: NWBFile) -> Device:
    if "camera" not in nwb.devices:
        nwb.add_device(Device(name="camera", description="the camera that filmed the animals"))
    return nwb.devices["camera"]


def _add_behaviour(
    nwb: NWBFile, results: Results, tracks: list[Track], video: ImageSeries | None, *, headed: bool
) -> None:
    """Lay out everything that was tracked; the numbers come later."""
    count = results.count("frames")
    module = nwb.create_processing_module("behavior", "positions of the animals, from tracking")
    first: SpatialSeries | None = None
    position = Position(name="Position")
    module.add(position)
    for track in tracks:
        series = SpatialSeries(
            name=track.name,
            description=f"centroid of animal {track.identity} of region {track.roi}",
            data=_empty(count, 2),
            timestamps=_empty(count, dtype="f8") if first is None else first,
            reference_frame=_ORIGIN,
            **_scale(results),
        )
        position.add_spatial_series(series)
        first = first or series
    assert first is not None  # noqa: S101  # a result has a region
    if headed:
        module.add(_headings(tracks, first, count))
    module.add(_measures(tracks, first, count))
    _add_poses(nwb, module, results, position, video)


def _empty(count: int, *more: int, dtype: str = "f4") -> H5DataIO:
    """Return room for the numbers of all frames."""
    return H5DataIO(
        shape=(count, *more),
        maxshape=(None, *more),
        dtype=np.dtype(dtype),
        chunks=(max(1, min(_CHUNK, count)), *more),
        fillvalue=np.nan,
        compression="gzip",
        shuffle=True,
    )


def _scale(results: Results) -> dict[str, Any]:
    scale = results.attributes["mm_per_pixel"]
    return {"unit": "meters", "conversion": scale / 1000} if np.isfinite(scale) else {"unit": "pixels"}


def _headings(tracks: list[Track], times: TimeSeries, count: int) -> CompassDirection:
    return CompassDirection(
        name="CompassDirection",
        spatial_series=[
            SpatialSeries(
                name=track.name,
                description="of the head against x, clockwise as seen",
                data=_empty(count),
                timestamps=times,
                unit="degrees",
                reference_frame="0 is to the right of the frame, 90 down",
            )
            for track in tracks
        ],
    )


def _measures(tracks: list[Track], times: TimeSeries, count: int) -> BehavioralTimeSeries:
    names = ", ".join(track.name for track in tracks)
    return BehavioralTimeSeries(
        name="BehavioralTimeSeries",
        time_series=[
            TimeSeries(
                name=column.name,
                description=f"{column.meaning}. Columns: {names}",
                data=_empty(count, len(tracks)),
                timestamps=times,
                unit=column.unit,
            )
            for column in _MEASURES
        ],
    )


def _add_poses(
    nwb: NWBFile, module: ProcessingModule, results: Results, position: Position, video: ImageSeries | None
) -> None:
    """Show every animal as a pose of one node, which shares its numbers with the position."""
    attributes, count = results.attributes, results.count("frames")
    name, _, version = attributes["software"].partition(" ")
    skeleton = ndx_pose.Skeleton(name="animal", nodes=[_NODE])
    module.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    for series in position.spatial_series.values():
        node = ndx_pose.PoseEstimationSeries(
            name=_NODE,
            description=series.description,
            data=_empty(count, 2),  # takes no room, see `_share`
            timestamps=series,
            confidence=_empty(count),
            confidence_definition=_SCORE,
            reference_frame=_ORIGIN,
            **_scale(results),
        )
        module.add(
            ndx_pose.PoseEstimation(
                name=f"PoseEstimation_{series.name}",
                pose_estimation_series=[node],
                description=series.description,
                device=_camera(nwb),
                scorer=attributes["tracker"],
                source_software=name,
                source_software_version=version or None,
                skeleton=skeleton,
                source_video=video,
            )
        )


def _any_heading(results: Results) -> bool:
    return any(np.isfinite(piece.points["heading"]).any() for piece in in_order(results))


def _share(behaviour: h5py.Group, tracks: list[Track]) -> None:
    """Let the poses have the numbers of the positions. The library links data of its own classes only."""
    for track in tracks:
        pose = behaviour[f"PoseEstimation_{track.name}/{_NODE}"]
        del pose["data"]
        pose["data"] = h5py.SoftLink(behaviour[f"Position/{track.name}/data"].name)


def _fill(behaviour: h5py.Group, piece: Piece, tracks: list[Track], start: float, *, headed: bool) -> None:
    rows = slice(piece.start, piece.start + len(piece.frames))
    behaviour[f"Position/{tracks[0].name}/timestamps"][rows] = piece.frames["time"] - start
    x, y, score, heading = (spread(piece, tracks, name) for name in ("x", "y", "score", "heading"))
    for column, track in enumerate(tracks):
        behaviour[f"Position/{track.name}/data"][rows] = np.stack([x[:, column], y[:, column]], axis=1)
        pose = behaviour[f"PoseEstimation_{track.name}/{_NODE}"]
        pose["confidence"][rows] = score[:, column]
        if headed:
            behaviour[f"CompassDirection/{track.name}/data"][rows] = heading[:, column]
    for measure in _MEASURES:
        behaviour[f"BehavioralTimeSeries/{measure.name}/data"][rows] = spread(piece, tracks, measure.name)
