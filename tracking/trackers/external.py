"""Animals found by a function or a network of the user's, one or several per region."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence, Image
from tracking.animal import FASTEST, Gait
from tracking.background import Preparation, Progress, learn_preparation, sample_frames, to_grey
from tracking.detect import BLOB, Blobs, RegionBlobs
from tracking.errors import DetectorError
from tracking.link import LOST, PathCosts
from tracking.linkers import UNKNOWN_MOST, Several
from tracking.outside import Detector, load_detector
from tracking.points import Points, new_points
from tracking.roi import ROI
from tracking.settings import check_settings, setting
from tracking.trackers.base import Detections, TrackerKind
from tracking.trackers.single import OnePerRegion, stack_blobs

Grey = npt.NDArray[np.uint8]

_MOST = 16  # points per region and frame for each animal
_AREA = 1.0  # of a point
_LENGTH = 0.05  # of an animal, as a share of its region, where nothing is known of it


@dataclass(frozen=True, slots=True)
class ExternalSettings:
    """Settings of the external tracker."""

    detector: str = setting(
        "", "what finds animals: package.module:function, file.py:function, or a network, file.onnx"
    )
    scope: str = setting(
        "region",
        "what it gets: the rectangle of one region after the other, or the whole frame once",
        choices=("region", "frame"),
    )
    pixels: str = setting(
        "grey", "how: as 8-bit grey, or as they were recorded", choices=("grey", "recorded")
    )
    width: int = setting(0, "to which images are scaled for a network; 0 to leave them", unit="px", least=0)
    height: int = setting(0, "to which images are scaled for a network; 0 to leave them", unit="px", least=0)
    least_score: float = setting(0.0, "score below which a point is none", least=0, most=1)
    length: float = setting(
        0.0,
        "length of an animal, which says how far it may step; 0 for 1/20 of its region",
        unit="px",
        least=0,
    )
    animals: int = setting(1, "in each region; 0 if that is not known", least=0, most=1000)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """Where one region lies in the frame."""

    window: tuple[slice, slice]
    mask: Grey


class ExternalTracker:
    """Asks a function or a network of the user's where the animals are, and follows them in each region.

    A function gets an image and returns rows of x, y, or x, y, score, in pixels of that image, of as many
    animals as it sees; score is 0 to 1. It must not remember anything from frame to frame: they may come in
    any order. What a network may return `tracking.outside.load_detector` says. The code runs with all rights
    of whoever tracks.

    Parameters
    ----------
    settings : see there.
    """

    def __init__(self, settings: ExternalSettings | None = None) -> None:
        self._settings = settings or ExternalSettings()
        self._detector: Detector | None = None
        self._preparation = Preparation()
        self._areas: list[_Area] = []
        self._link: OnePerRegion | None = None
        self._several: Several | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_detector": None}  # each process loads its own

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings."""
        return asdict(self._settings)

    def prepare(self, frames: FrameSequence, rois: list[ROI], progress: Progress | None = None) -> Grey:
        """Load the detector; return the median of some frames, which is only for people."""
        self._load()
        samples = sample_frames(frames, 5, progress).images
        self._preparation = learn_preparation(samples)
        shape = samples.shape[1:]
        self._areas = [_Area(roi.window(shape), roi.mask(shape)) for roi in rois]
        length = self._settings.length or _LENGTH * max(roi.longest_axis for roi in rois)
        costs = PathCosts(reach=0.5 * length, speed=FASTEST * length)
        numbers, animals = [roi.number for roi in rois], self._settings.animals
        self._link = OnePerRegion(numbers, self._most, costs)
        if animals != 1:
            self._several = Several(numbers, animals, Gait.of(length), _AREA, lag=0)
        return to_grey(np.median(samples, axis=0).astype(samples.dtype), self._preparation.scale)

    def update(self, frame: Frame) -> Points:
        """Return the points of the frame."""
        return self.link(self.detect(frame))

    def detect(self, frame: Frame) -> Detections:
        """Return what the detector finds; nothing is remembered."""
        detector, image = self._load(), frame.image
        if self._settings.pixels == "grey":
            image = to_grey(image, self._preparation.scale)
        if self._settings.scope == "frame":
            rows = self._ask(detector, image)
            return Detections(
                frame.time, RegionBlobs.join([self._inside(rows, area) for area in self._areas])
            )
        found = []
        for area in self._areas:
            rows = self._ask(detector, image[area.window])
            rows[:, 0] += area.window[1].start
            rows[:, 1] += area.window[0].start
            found.append(self._inside(rows, area))
        return Detections(frame.time, RegionBlobs.join(found))

    def link(self, detections: Detections) -> Points:
        """Take what was seen in the next frame; return its points."""
        if self._link is None:
            raise RuntimeError("call prepare before update")
        if self._several is not None:
            looks = LOST * (1 - detections.blobs.table["contrast"])
            points = self._several.append(detections.blobs, looks, detections.time).points
            points["area"] = np.nan
            return points
        table = stack_blobs(list(detections.blobs), self._most)
        costs = np.where(table["area"] > 0, LOST * (1 - table["contrast"]), np.inf)
        choices, points = self._link.choose(table, costs, detections.time)
        rows = np.flatnonzero(choices >= 0)
        points["score"] = table[rows, choices[rows]]["contrast"]
        points["area"] = np.nan
        return points

    def finish(self) -> Points:
        """Return nothing: every frame was decided at once."""
        return new_points()

    @property
    def _most(self) -> int:
        """Return how many points there may be in a region."""
        return _MOST * (self._settings.animals or UNKNOWN_MOST)

    def _load(self) -> Detector:
        if self._detector is None:
            size = (self._settings.width, self._settings.height)
            self._detector = load_detector(self._settings.detector, size)
        return self._detector

    def _ask(self, detector: Detector, image: Image) -> npt.NDArray[np.float64]:
        """Return rows of x, y, score."""
        given = detector(np.ascontiguousarray(image))
        rows = _as_rows(given)
        if rows is None:
            raise DetectorError(
                f"{self._settings.detector} returns rows of x, y or x, y, score, got {_described(given)}"
            )
        return rows[np.isfinite(rows).all(axis=1) & (rows[:, 2] >= self._settings.least_score)]

    def _inside(self, rows: npt.NDArray[np.float64], area: _Area) -> Blobs:
        """Return those that lie in a region, best first; `contrast` is their score."""
        y, x = (np.rint(rows[:, 1 - axis]) - area.window[axis].start for axis in (0, 1))
        height, width = area.mask.shape
        here = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        here[here] = area.mask[y[here].astype(int), x[here].astype(int)] > 0
        kept = rows[here]
        kept = kept[np.argsort(-kept[:, 2], kind="stable")][: self._most]
        blobs = np.zeros(len(kept), BLOB)
        for name in ("length", "width", "angle", "intensity"):
            blobs[name] = np.nan
        blobs["x"], blobs["y"], blobs["contrast"] = kept.T
        blobs["area"], blobs["parts"], blobs["group"] = _AREA, 1, np.arange(len(kept))
        return blobs


def _as_rows(given: npt.ArrayLike | Sequence[object]) -> npt.NDArray[np.float64] | None:
    try:
        rows = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        return None
    if rows.size == 0:
        return np.empty((0, 3))
    if rows.ndim != 2 or rows.shape[1] not in (2, 3):
        return None
    return (
        np.column_stack([rows, np.ones(len(rows))])
        if rows.shape[1] == 2
        else np.clip(rows, None, [np.inf, np.inf, 1.0])
    )


def _described(given: object) -> str:
    shape = getattr(given, "shape", None)
    return f"an array of shape {shape}" if shape is not None else f"{type(given).__name__} {given!r:.60}"


EXTERNAL = TrackerKind(
    ExternalSettings,
    ExternalTracker,
    causal=True,
    summary="your own detector: a Python function, or a network in an ONNX file",
)
