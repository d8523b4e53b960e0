"""SLEAP's project file (.slp): predicted instances with a node "centroid", for its viewer and sleap-io."""

import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from imgstore import replacing
from tracking.export.base import Export, Exporter
from tracking.export.ordered import Piece, Track, column_of, find_tracks, in_order
from tracking.export.sleap_analysis import NODE, SleapSettings, frame_total, provenance
from tracking.results import Results
from tracking.settings import parse_settings

_FORMAT_ID = 1.4  # coordinates from the centre of the upper left pixel, as ours
_PREDICTED = 1
_CHUNK = 4096  # rows

_FRAME = np.dtype(
    [
        ("frame_id", "<u8"),
        ("video", "<u4"),
        ("frame_idx", "<u8"),
        ("instance_id_start", "<u8"),
        ("instance_id_end", "<u8"),
    ]
)
_INSTANCE = np.dtype(
    [
        ("instance_id", "<i8"),
        ("instance_type", "u1"),
        ("frame_id", "<u8"),
        ("skeleton", "<u4"),
        ("track", "<i4"),
        ("from_predicted", "<i8"),
        ("score", "<f4"),
        ("point_id_start", "<u8"),
        ("point_id_end", "<u8"),
        ("tracking_score", "<f4"),
    ]
)
_POINT = np.dtype([("x", "<f8"), ("y", "<f8"), ("visible", "?"), ("complete", "?")])
_PREDICTED_POINT = np.dtype([*_POINT.descr, ("score", "<f8")])


class SlpExporter(Exporter):
    """See `Exporter`."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = parse_settings(SleapSettings, settings)

    def write(self, results: Results, out: Path) -> Export:
        """Write an instance for each point to `out`; `frame_idx` is the index in the recording."""
        tracks = find_tracks(results)
        with replacing(out) as file, h5py.File(file.name, "w") as target:
            _describe(target, results, tracks, self._settings.video_of(results))
            for name, dtype in (
                ("frames", _FRAME),
                ("instances", _INSTANCE),
                ("pred_points", _PREDICTED_POINT),
                ("points", _POINT),
            ):
                target.create_dataset(
                    name, (0,), dtype, maxshape=(None,), chunks=(_CHUNK,), compression="gzip"
                )
            for piece in in_order(results):
                _write(target, piece, tracks)
        return Export(out)


def _describe(file: h5py.File, results: Results, tracks: list[Track], video: str) -> None:
    rows, columns = results.attributes["frame_shape"][:2]
    backend = {
        "type": "MediaVideo",
        "shape": [frame_total(results), rows, columns, 1],
        "filename": video,
        "grayscale": True,
        "bgr": True,
        "dataset": "",
        "input_format": "",
    }
    skeleton = {
        "directed": True,
        "graph": {"name": NODE, "num_edges_inserted": 0},
        "links": [],
        "multigraph": True,
        "nodes": [{"id": 0}],
    }
    metadata = {
        "version": "2.0.0",
        "skeletons": [skeleton],
        "nodes": [{"name": NODE, "weight": 1.0}],
        "videos": [],
        "tracks": [],
        "suggestions": [],
        "negative_anchors": {},
        "provenance": provenance(results),
    }
    for name, texts in (
        ("videos_json", [json.dumps({"filename": video, "backend": backend})]),
        ("tracks_json", [json.dumps([0, track.name]) for track in tracks]),
        ("suggestions_json", []),
    ):
        file.create_dataset(name, data=texts, dtype=h5py.string_dtype(), maxshape=(None,))
    group = file.create_group("metadata")
    group.attrs["format_id"] = _FORMAT_ID
    group.attrs["json"] = np.bytes_(json.dumps(metadata))


def _write(file: h5py.File, piece: Piece, tracks: list[Track]) -> None:
    known = np.isfinite(piece.points["x"]) & np.isfinite(piece.points["y"])
    points, rows = piece.points[known], piece.rows[known]
    if not len(points):
        return
    seen, first, counts = np.unique(rows, return_index=True, return_counts=True)
    instance, frame = len(file["instances"]), len(file["frames"])

    frames = np.zeros(len(seen), _FRAME)
    frames["frame_id"] = frame + np.arange(len(seen))
    frames["frame_idx"] = piece.frames["index"][seen]
    frames["instance_id_start"] = instance + first
    frames["instance_id_end"] = instance + first + counts

    instances = np.zeros(len(points), _INSTANCE)
    instances["instance_id"] = instance + np.arange(len(points))
    instances["instance_type"] = _PREDICTED
    instances["frame_id"] = np.repeat(frames["frame_id"], counts)
    instances["track"] = column_of(points, tracks)
    instances["from_predicted"] = -1
    instances["score"] = instances["tracking_score"] = points["score"]
    instances["point_id_start"] = instances["instance_id"]
    instances["point_id_end"] = instances["instance_id"] + 1

    places = np.zeros(len(points), _PREDICTED_POINT)
    for name in ("x", "y", "score"):
        places[name] = points[name]
    places["visible"] = True

    for name, table in (("frames", frames), ("instances", instances), ("pred_points", places)):
        _extend(file[name], table)


def _extend(dataset: h5py.Dataset, rows: npt.NDArray[np.void]) -> None:
    start = len(dataset)
    dataset.resize(start + len(rows), axis=0)
    dataset[start:] = rows
