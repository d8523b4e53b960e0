"""One animal per region, in recordings that can be looked at as a whole before they are tracked."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence
from tracking.background import (
    BODY_SHARE,
    POLARITIES,
    Learnt,
    Progress,
    learn,
    sample_frames,
)
from tracking.detect import BlobFilter, Blobs, find_blobs
from tracking.link import LOST, Choices, PathCosts, PathFinder
from tracking.points import Points, Status, new_points
from tracking.roi import ROI
from tracking.settings import check_settings, setting
from tracking.trackers.base import Detections, TrackerKind

Grey = npt.NDArray[np.uint8]

_AREA_SPREAD = 0.6  # how much animals differ from their typical look, as logarithms
_CONTRAST_SPREAD = 0.4
_ALWAYS_THERE = 3.0  # cost of being part of the background, as stains are too
_SPEED = 10.0  # body lengths per second


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """Settings of the archive tracker."""

    samples: int = setting(
        60, "frames, spread over the recording, from which the background is learnt", unit="frames", least=3
    )
    share: float = setting(
        0.8,
        "of the samples that may show an animal in one place for the background to be clean",
        least=0.5,
        most=0.95,
    )
    polarity: str = setting(
        "auto",
        "whether animals are dark or light on their background, or either; auto learns it",
        choices=POLARITIES,
    )
    length: float = setting(0.0, "length of an animal; 0 to learn it", unit="px", least=0)
    candidates: int = setting(
        4, "blobs per region and frame among which the path chooses", unit="blobs", least=1, most=32
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """Where one region lies in the frame."""

    roi: ROI
    window: tuple[slice, slice]
    mask: Grey
    spots: Grey
    wanted: BlobFilter


class ArchiveTracker:
    """Finds what differs from a background that was sampled over the whole recording.

    Animals that rest for long are found because the background is learnt from all of the recording; those
    that never move, because what looks like an animal is taken out of the background. Which blob is the
    animal is decided by the whole path (`PathFinder`).

    Parameters
    ----------
    settings : see there.
    """

    def __init__(self, settings: ArchiveSettings | None = None) -> None:
        self._settings = settings or ArchiveSettings()
        self._learnt: Learnt | None = None
        self._lit: tuple[int, Grey] = (
            -1,
            np.empty((0, 0), np.uint8),
        )  # the background in the light of a slot
        self._areas: list[_Area] = []
        self._finder: PathFinder | None = None
        self._waiting: deque[list[Blobs]] = deque()  # candidates of the frames that are not decided
        self._decided = 0

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings, and the look of the animals once it is learnt."""
        return {**asdict(self._settings), "learnt": self._learnt.facts if self._learnt else {}}

    def prepare(self, frames: FrameSequence, rois: list[ROI], progress: Progress | None = None) -> Grey:
        """Learn the background from samples; return it."""
        settings = self._settings
        samples = sample_frames(frames, settings.samples, progress)
        learnt = learn(
            samples, rois, polarity=settings.polarity, share=settings.share, length=settings.length
        )
        background, look = learnt.background, learnt.background.look
        self._learnt, self._lit = learnt, (0, learnt.lit(0))
        self._areas = []
        for roi, threshold in zip(rois, background.thresholds, strict=True):
            window = roi.window(background.image.shape)
            wanted = BlobFilter(
                threshold=max(threshold, BODY_SHARE * look.contrast),
                smallest=0.15 * look.area,
                largest=6 * look.area,
                most=settings.candidates,
            )
            mask = roi.mask(background.image.shape)
            self._areas.append(_Area(roi, window, mask, background.spots[window], wanted))
        costs = PathCosts(reach=0.3 * look.length, speed=_SPEED * look.length)
        self._finder = PathFinder(len(rois), settings.candidates, costs)
        return learnt.preparation.invert(background.image)

    def update(self, frame: Frame) -> Points:
        """Find candidates in the frame; return the points of the frames that are now decided."""
        return self.link(self.detect(frame))

    def detect(self, frame: Frame) -> Detections:
        """Return what differs from the background; nothing is remembered."""
        learnt, _ = self._prepared()
        background = self._background_at(frame.time)
        images = learnt.preparation.apply_in(frame.image, [area.window for area in self._areas])
        found = []
        for area, image in zip(self._areas, images, strict=True):
            difference = learnt.preparation.compare(background[area.window], image)
            blobs = find_blobs(cv2.bitwise_and(difference, area.mask), area.wanted, area.spots)
            blobs["x"] += area.window[1].start
            blobs["y"] += area.window[0].start
            found.append(blobs)
        return Detections(frame.time, found)

    def link(self, detections: Detections) -> Points:
        """Take what was seen in the next frame; return the points of the frames that are now decided."""
        _, finder = self._prepared()
        places = np.zeros((len(detections.blobs), self._settings.candidates, 2))
        costs = np.full(places.shape[:2], np.inf)
        for place, blobs in enumerate(detections.blobs):
            places[place, : len(blobs)] = np.stack([blobs["x"], blobs["y"]], axis=1)
            costs[place, : len(blobs)] = self._look_costs(blobs)
        self._waiting.append(detections.blobs)
        return self._points(finder.append(places, costs, detections.time))

    def finish(self) -> Points:
        """Return the points of the last frames."""
        return self._points(self._prepared()[1].finish())

    def _prepared(self) -> tuple[Learnt, PathFinder]:
        if self._learnt is None or self._finder is None:
            raise RuntimeError("call prepare before update")
        return self._learnt, self._finder

    def _background_at(self, time: float) -> Grey:
        """Return the background in the light of that time; the last one is kept, since times are near."""
        learnt, _ = self._prepared()
        slot = learnt.slot(time)
        if slot != self._lit[0]:
            self._lit = (slot, learnt.lit(slot))
        return self._lit[1]

    def _look_costs(self, blobs: Blobs) -> npt.NDArray[np.float64]:
        """Return how little blobs look like the animals of this recording."""
        look = self._prepared()[0].background.look
        area = np.log(blobs["area"] / look.area) / _AREA_SPREAD
        contrast = np.log(np.maximum(blobs["contrast"], 1) / look.contrast) / _CONTRAST_SPREAD
        return np.asarray(0.5 * (area**2 + contrast**2) + _ALWAYS_THERE * blobs["marked"])

    def _points(self, choices: Iterable[Choices]) -> Points:
        tables = [new_points()]
        for chosen in choices:
            candidates = self._waiting.popleft()
            picked = [
                (place, candidates[place][choice]) for place, choice in enumerate(chosen) if choice >= 0
            ]
            if picked:
                blobs = np.array([blob for _, blob in picked])
                points = new_points(len(picked))
                for name in ("x", "y", "length", "width", "angle", "area"):
                    points[name] = blobs[name]
                points["frame"] = self._decided
                points["roi"] = [self._areas[place].roi.number for place, _ in picked]
                points["identity"] = 1
                points["score"] = 1 / (1 + np.exp(self._look_costs(blobs) - LOST))
                points["status"] = np.where(blobs["marked"] > 0.5, Status.BY_LOOKS, Status.DETECTED)
                tables.append(points)
            self._decided += 1
        return np.concatenate(tables)


ARCHIVE = TrackerKind(
    ArchiveSettings,
    ArchiveTracker,
    causal=False,
    summary="recordings: looks at all of one before it starts, finds animals that never move",
)
