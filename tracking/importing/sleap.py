"""Results of SLEAP: analysis files (HDF5) and project files (.slp)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from imgstore import UnknownNameError
from tracking.errors import ImportFileError
from tracking.importing.base import Found
from tracking.points import Points, new_points
from tracking.roi import ROI
from tracking.settings import parse_settings

_FRAMES = 4096
_INSTANCES = 100_000
_USER, _PREDICTED = 0, 1
_OLD_FORMAT = 1.1  # before it, 0, 0 was the corner of the upper left pixel

Places = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SleapImportSettings:
    """Settings of the import of SLEAP's files.

    Attributes
    ----------
    node : whose place is the animal's; empty for the mean of all nodes that were seen.
    video : which of the videos of a project, from 0.
    """

    node: str = ""
    video: int = 0


class _SleapFile:
    """What both kinds of file share; see `Imported`."""

    tracker = "sleap"
    shape: tuple[int, int] | None = None
    started: float | None = None

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        self._path = path
        self._settings = parse_settings(SleapImportSettings, settings)
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError as exc:
            raise ImportFileError(f"{path} is no file of SLEAP's ({exc})") from exc

    @property
    def rois(self) -> list[ROI]:
        """None: SLEAP has no regions."""
        return []

    def times(self) -> npt.NDArray[np.float64]:
        """Return nothing: the file counts frames."""
        return np.empty(0)

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        self._file.close()

    def _chosen(self, nodes: list[str]) -> slice:
        """Return which of the nodes count."""
        if not self._settings.node:
            return slice(None)
        if self._settings.node not in nodes:
            self.close()
            raise UnknownNameError("node", self._settings.node, nodes)
        place = nodes.index(self._settings.node)
        return slice(place, place + 1)


class SleapAnalysisFile(_SleapFile):
    """An analysis file; see `Imported`."""

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        super().__init__(path, settings)
        if not {"tracks", "node_names", "track_occupancy"} <= set(self._file):
            self.close()
            raise ImportFileError(f"{path} is HDF5, but no analysis file of SLEAP's")
        self._nodes = self._chosen([name.decode() for name in self._file["node_names"][:]])

    def found(self) -> Iterator[Found]:
        """Yield all positions."""
        tracks = self._file["tracks"]
        axes = json.loads(tracks.attrs.get("dims", '["track", "xy", "node", "frame"]'))
        order = [axes.index(axis) for axis in ("frame", "track", "node", "xy")]
        count = tracks.shape[order[0]]
        for start in range(0, count, _FRAMES):
            window: list[slice] = [slice(None)] * 4
            window[order[0]] = slice(start, start + _FRAMES)
            places = np.transpose(tracks[tuple(window)], order)[:, :, self._nodes]
            centres = _centres(places)
            rows, animals = np.nonzero(np.isfinite(centres[..., 0]))
            yield Found(_points(centres[rows, animals], animals + 1), (start + rows).astype(np.int64))


class SlpFile(_SleapFile):
    """A project file; see `Imported`."""

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        super().__init__(path, settings)
        if not {"frames", "instances", "metadata", "tracks_json", "videos_json"} <= set(self._file):
            self.close()
            raise ImportFileError(f"{path} is HDF5, but no project of SLEAP's")
        videos = len(self._file["videos_json"])
        if not 0 <= self._settings.video < videos:
            self.close()
            raise ImportFileError(f"{path} has {videos} videos, from 0; there is no {self._settings.video}")
        group = self._file["metadata"]
        metadata: dict[str, Any] = json.loads(group.attrs["json"])
        skeleton = metadata["skeletons"][0]["nodes"]
        names = [node["name"] for node in metadata["nodes"]]
        self._names = [names[node["id"]] if isinstance(node["id"], int) else "" for node in skeleton]
        self._nodes = self._chosen(self._names)
        self._shift = 0.5 if float(group.attrs.get("format_id", 1.0)) < _OLD_FORMAT else 0.0
        self._tracks = len(self._file["tracks_json"])

    def found(self) -> Iterator[Found]:
        """Yield all positions; where somebody corrected an animal, the correction."""
        frames = self._file["frames"][:]
        frames = frames[frames["video"] == self._settings.video]
        step = max(1, int(_INSTANCES * len(frames) / max(1, len(self._file["instances"]))))
        for start in range(0, len(frames), step):
            yield self._found_in(frames[start : start + step])

    def _found_in(self, frames: npt.NDArray[np.void]) -> Found:
        low, high = int(frames["instance_id_start"].min()), int(frames["instance_id_end"].max())
        instances = self._file["instances"][low:high]
        counts = (frames["instance_id_end"] - frames["instance_id_start"]).astype(np.int64)
        first = np.repeat(frames["instance_id_start"].astype(np.int64) - low, counts)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        instances = instances[first + place]
        indices = np.repeat(frames["frame_idx"].astype(np.int64), counts)
        animals = np.where(instances["track"] >= 0, instances["track"] + 1, self._tracks + 1 + place)

        centres = np.full((len(instances), 2), np.nan)
        for kind, name in ((_USER, "points"), (_PREDICTED, "pred_points")):
            chosen = instances["instance_type"] == kind
            centres[chosen] = self._centres(instances[chosen], name)
        order = np.lexsort((instances["instance_type"], animals, indices))  # corrections come first
        _, one_each = np.unique(np.column_stack([indices, animals])[order], axis=0, return_index=True)
        kept = order[one_each]
        kept = kept[np.isfinite(centres[kept, 0])]
        return Found(_points(centres[kept], animals[kept]), indices[kept])

    def _centres(self, instances: npt.NDArray[np.void], name: str) -> Places:
        if not len(instances):
            return np.empty((0, 2))
        low, high = int(instances["point_id_start"].min()), int(instances["point_id_end"].max())
        points = self._file[name][low:high]
        rows = instances["point_id_start"].astype(np.int64)[:, None] - low + np.arange(len(self._names))
        places = np.stack([points["x"], points["y"]], axis=-1)[rows]
        places[~points["visible"][rows]] = np.nan
        return _centres(places[:, self._nodes]) - self._shift


def _centres(places: Places) -> Places:
    """Return the mean of the nodes that were seen, of places of shape (..., nodes, 2)."""
    seen = np.isfinite(places).all(axis=-1, keepdims=True)
    total = np.where(seen, places, 0.0).sum(axis=-2)
    count = seen.sum(axis=-2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _points(centres: Places, animals: npt.NDArray[np.int64]) -> Points:
    points = new_points(len(centres))
    points["x"], points["y"] = centres.T
    points["identity"] = animals
    points["score"] = np.nan
    return points
