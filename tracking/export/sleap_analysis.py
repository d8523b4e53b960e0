"""SLEAP's analysis file (HDF5): a node "centroid", a track for each animal, times beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from imgstore import replacing
from tracking.export.base import Export, Exporter
from tracking.export.hdf5 import make_table
from tracking.export.ordered import Piece, Track, dense_rows, find_tracks, in_order, spread
from tracking.results import Results
from tracking.settings import parse_settings

NODE = "centroid"


@dataclass(frozen=True, slots=True)
class SleapSettings:
    """Settings of exports for SLEAP.

    Attributes
    ----------
    video : path of the video to show; empty for the recording. SLEAP opens no stores: give the video that
        `export-video` made of it.
    """

    video: str = ""

    def video_of(self, results: Results) -> str:
        """Return the path to write down."""
        return self.video or str(results.attributes["source"])


class SleapAnalysisExporter(Exporter):
    """See `Exporter`."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = parse_settings(SleapSettings, settings)

    def write(self, results: Results, out: Path) -> Export:
        """Write positions, scores and times to `out`.

        The axis of frames is the recording's: frame 7 of the file is frame 7 of the video. Where nobody
        looked there is NaN.
        """
        tracks = find_tracks(results)
        with replacing(out) as file, h5py.File(file.name, "w") as target:
            _lay_out(target, results, tracks, self._settings.video_of(results))
            for piece in in_order(results, dense_rows(tracks)):
                _write(target, piece, tracks)
        return Export(out)


def _lay_out(file: h5py.File, results: Results, tracks: list[Track], video: str) -> None:
    count, animals = frame_total(results), len(tracks)
    for name, shape, axes in (
        ("tracks", (animals, 2, 1, count), ("track", "xy", "node", "frame")),
        ("point_scores", (animals, 1, count), ("track", "node", "frame")),
        ("instance_scores", (animals, count), ("track", "frame")),
        ("tracking_scores", (animals, count), ("track", "frame")),
    ):
        table = make_table(file, name, shape, "<f8", axis=len(shape) - 1)
        table.attrs["dims"] = json.dumps(axes)
    occupancy = make_table(file, "track_occupancy", (count, animals), "u1")
    occupancy.attrs["dims"] = json.dumps(("frame", "track"))
    times = make_table(file, "times", (count,), "<f8")
    times.attrs["meaning"] = "of every frame, seconds since the Unix epoch, start of exposure"
    file["track_names"] = [track.name.encode() for track in tracks]
    file["node_names"] = [NODE.encode()]
    file["edge_names"] = np.empty((0, 2), "S1")
    file["edge_inds"] = np.empty((0, 2), np.int64)
    file["labels_path"] = ""
    file["video_path"] = video
    file["video_ind"] = 0
    file["provenance"] = json.dumps(provenance(results))
    file.attrs.update({"preset": "matlab", "format": "analysis"})


def frame_total(results: Results) -> int:
    """Return how many frames the recording has up to the last one that was looked at."""
    count = results.count("frames")
    return int(results.read("frames", count - 1, count)["index"][0]) + 1 if count else 0


def provenance(results: Results) -> dict[str, str]:
    """Return where positions come from, in words."""
    attributes = results.attributes
    return {
        "result": str(results.path),
        "software": attributes["software"],
        "source": attributes["source"],
        "store_uuid": attributes["store_uuid"],
        "tracker": attributes["tracker"],
        "created_utc": attributes["created_utc"],
    }


def _write(file: h5py.File, piece: Piece, tracks: list[Track]) -> None:
    columns = [spread(piece, tracks, name) for name in ("x", "y", "score")]
    indices = piece.frames["index"]
    step = len(indices)
    for start in range(int(indices[0]), int(indices[-1]) + 1, step):
        chosen = (indices >= start) & (indices < start + step)
        if not chosen.any():
            continue
        rows = indices[chosen] - start
        end = start + int(rows[-1]) + 1
        x, y, score = (_placed(column[chosen], rows) for column in columns)
        file["tracks"][:, :, 0, start:end] = np.stack([x.T, y.T], axis=1)
        file["point_scores"][:, 0, start:end] = score.T
        file["instance_scores"][:, start:end] = score.T
        file["tracking_scores"][:, start:end] = score.T
        file["track_occupancy"][start:end] = np.isfinite(x)
        file["times"][start:end] = _placed(piece.frames["time"][chosen], rows)


def _placed(values: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return values in their rows, NaN in all others."""
    table = np.full((int(rows[-1]) + 1, *values.shape[1:]), np.nan)
    table[rows] = values
    return table
