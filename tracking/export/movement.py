"""netCDF as the package `movement` has its poses in memory, but with the frames' real times.

A netCDF-4 file is an HDF5 file with named axes, so no library of netCDF is needed to write one.
"""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from imgstore import replacing
from tracking.export.base import Export, Exporter, NoSettings
from tracking.export.hdf5 import make_table
from tracking.export.ordered import Piece, Track, dense_rows, find_tracks, in_order, spread
from tracking.points import COLUMNS
from tracking.results import Results
from tracking.settings import parse_settings

_KEYPOINT = "centroid"
_RATE_FRAMES = 1000  # from which the rate is taken
_OTHERS = tuple(
    column for column in COLUMNS if column.name not in ("frame", "roi", "identity", "x", "y", "score")
)


class MovementExporter(Exporter):
    """See `Exporter`."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        parse_settings(NoSettings, settings)

    def write(self, results: Results, out: Path) -> Export:
        """Write everything to `out`; `time` counts seconds from the first frame."""
        tracks = find_tracks(results)
        with replacing(out) as file, h5py.File(file.name, "w") as target:
            start = _start(results)
            _lay_out(target, results, tracks, start)
            for piece in in_order(results, dense_rows(tracks)):
                _write(target, piece, tracks, start)
        return Export(out)


def _start(results: Results) -> float:
    first = results.read("frames", 0, 1)["time"]
    return float(first[0]) if len(first) else 0.0


def _lay_out(file: h5py.File, results: Results, tracks: list[Track], start: float) -> None:
    attributes = results.attributes
    file.attrs.update(
        {
            "ds_type": "poses",
            "source_software": attributes["software"],
            "source_file": str(results.path),
            "source_video": attributes["source"],
            "tracker": attributes["tracker"],
            "time_unit": "seconds",
            "start_time": start,
            "mm_per_pixel": attributes["mm_per_pixel"],
        }
    )
    rate = _rate(results)
    if np.isfinite(rate):
        file.attrs["fps"] = rate
    count = results.count("frames")
    file.create_dataset("time", (count,), "<f8")
    for name, values in (
        ("space", ["x", "y"]),
        ("keypoints", [_KEYPOINT]),
        ("individuals", [track.name for track in tracks]),
    ):
        file.create_dataset(name, data=values, dtype=h5py.string_dtype())
    for name in ("time", "space", "keypoints", "individuals"):
        file[name].make_scale(name)
    file["time"].attrs["long_name"] = "seconds since start_time, which is seconds since the Unix epoch"
    _variable(file, "position", "<f4", ("time", "space", "keypoints", "individuals"), "px")
    _variable(file, "confidence", "<f4", ("time", "keypoints", "individuals"), "1")
    _variable(file, "frame_index", "<i8", ("time",), "1")
    _variable(file, "frame_number", "<i8", ("time",), "1")
    for column in _OTHERS:
        _variable(file, column.name, "<f4", ("time", "individuals"), column.unit, column.meaning)


def _rate(results: Results) -> float:
    """Return frames per second, as the frames at the start come; NaN if there are too few."""
    times = results.read("frames", 0, _RATE_FRAMES)["time"]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return 1 / step if step > 0 else np.nan


def _variable(
    file: h5py.File, name: str, dtype: str, axes: tuple[str, ...], unit: str, meaning: str = ""
) -> None:
    shape = tuple(len(file[axis]) for axis in axes)
    table = make_table(file, name, shape, dtype)
    for place, axis in enumerate(axes):
        table.dims[place].attach_scale(file[axis])
    table.attrs["unit"] = unit  # not "units", which netCDF's readers take for a unit of time or angles
    if meaning:
        table.attrs["long_name"] = meaning


def _write(file: h5py.File, piece: Piece, tracks: list[Track], start: float) -> None:
    rows = slice(piece.start, piece.start + len(piece.frames))
    file["time"][rows] = piece.frames["time"] - start
    file["frame_index"][rows] = piece.frames["index"]
    file["frame_number"][rows] = piece.frames["number"]
    for axis, name in enumerate("xy"):
        file["position"][rows, axis, 0] = spread(piece, tracks, name)
    file["confidence"][rows, 0] = spread(piece, tracks, "score")
    for column in _OTHERS:
        file[column.name][rows] = spread(piece, tracks, column.name)
