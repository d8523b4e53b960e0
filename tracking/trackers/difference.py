"""One animal per region or several, by what has changed since a moment ago."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence
from tracking.animal import FASTEST, Gait
from tracking.background import POLARITIES, Learnt, Progress, learn, sample_frames
from tracking.clock import SteadyClock
from tracking.detect import BlobFilter, RegionBlobs, find_blobs
from tracking.link import PathCosts
from tracking.linkers import UNKNOWN_MOST, Several
from tracking.points import Points, new_points
from tracking.roi import ROI
from tracking.settings import check_settings, setting
from tracking.trackers.base import TrackerKind
from tracking.trackers.single import OnePerRegion, stack_blobs

Grey = npt.NDArray[np.uint8]

_COST = 1.0  # all that changes may be the animal
_KEPT = 10  # images per interval, at most


@dataclass(frozen=True, slots=True)
class DifferenceSettings:
    """Settings of the difference tracker."""

    interval: float = setting(
        0.5, "how long ago the image is with which each is compared", unit="s", least=0.001, most=3600
    )
    threshold: float = setting(
        0.0,
        "difference that is a change; 0 to learn it from the noise",
        unit="grey levels",
        least=0,
        most=254,
    )
    smallest: float = setting(
        0.0, "area that a change has at least; 0 for a twentieth of the animal's", unit="px^2", least=0
    )
    polarity: str = setting(
        "auto", "whether animals are dark or light, or either; auto learns it", choices=POLARITIES
    )
    candidates: int = setting(
        4, "changes per region and frame among which the animal is chosen", unit="blobs", least=1, most=32
    )
    animals: int = setting(1, "in each region; 0 if that is not known", least=0, most=1000)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """Where one region lies in the frame, and what is looked for there."""

    window: tuple[slice, slice]
    mask: Grey
    wanted: BlobFilter


class DifferenceTracker:
    """Finds what covers pixels that it did not cover a moment ago.

    It needs no background and stands any slow change, but sees only what moves, and of a slow animal only the
    front: good for activity, not for places. Where nothing moves there are no points.

    Parameters
    ----------
    settings : see there.
    """

    def __init__(self, settings: DifferenceSettings | None = None) -> None:
        self._settings = settings or DifferenceSettings()
        self._learnt: Learnt | None = None
        self._areas: list[_Area] = []
        self._link: OnePerRegion | None = None
        self._several: Several | None = None
        self._clock = SteadyClock()
        self._before: deque[tuple[float, list[Grey]]] = deque()  # the first one is that to compare with

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings, and what was learnt."""
        return {**asdict(self._settings), "learnt": self._learnt.facts if self._learnt else {}}

    def prepare(self, frames: FrameSequence, rois: list[ROI], progress: Progress | None = None) -> Grey:
        """Learn noise, polarity and size from samples; return the background, which is only for people."""
        settings = self._settings
        learnt = self._learnt = learn(
            sample_frames(frames, 30, progress),
            rois,
            polarity=settings.polarity,
            animals=settings.animals or UNKNOWN_MOST,
        )
        background, look = learnt.background, learnt.background.look
        smallest = settings.smallest or 0.05 * look.area
        shape, numbers = background.image.shape, [roi.number for roi in rois]
        several = settings.animals != 1
        most = 2 * (settings.animals or UNKNOWN_MOST) + 4 if several else settings.candidates
        self._areas = [
            _Area(
                roi.window(shape),
                roi.mask(shape),
                BlobFilter(settings.threshold or threshold, smallest, np.inf, most),
            )
            for roi, threshold in zip(rois, background.thresholds, strict=True)
        ]
        costs = PathCosts(reach=0.5 * look.length, speed=FASTEST * look.length)
        self._link = OnePerRegion(numbers, settings.candidates, costs)
        if several:
            gait = Gait.of(look.length)
            self._several = Several(numbers, settings.animals, gait, look.area, lag=0)
        return learnt.preparation.invert(background.image)

    def update(self, frame: Frame) -> Points:
        """Return the points of the frame."""
        if self._link is None or self._learnt is None:
            raise RuntimeError("call prepare before update")
        preparation = self._learnt.preparation
        self._clock.advance(frame.time)
        images = preparation.apply_in(frame.image, [area.window for area in self._areas])
        found = []
        for area, before, image in zip(self._areas, self._before_now(images), images, strict=True):
            change = preparation.compare(before, image)
            picture = frame.image[area.window]
            blobs = find_blobs(cv2.bitwise_and(change, area.mask), area.wanted, picture=picture)
            blobs["x"] += area.window[1].start
            blobs["y"] += area.window[0].start
            found.append(blobs)
        if self._several is not None:
            every = RegionBlobs.join(found)
            costs = np.full(len(every.table), _COST)
            return self._several.append(every, costs, self._clock.now).points
        table = stack_blobs(found, self._settings.candidates)
        looks = np.where(table["area"] > 0, _COST, np.inf)
        return self._link.choose(table, looks, frame.time)[1]

    def finish(self) -> Points:
        """Return nothing: every frame was decided at once."""
        return new_points()

    def _before_now(self, images: list[Grey]) -> list[Grey]:
        """Return the latest images that are `interval` old, or else the oldest; keep those of now.

        Of fast cameras not every image is kept, so that memory is bounded.
        """
        now, interval = self._clock.now, self._settings.interval
        while len(self._before) > 1 and now - self._before[1][0] >= interval:
            self._before.popleft()
        if not self._before or now - self._before[-1][0] >= interval / _KEPT:
            self._before.append((now, images))
        return self._before[0][1]


DIFFERENCE = TrackerKind(
    DifferenceSettings,
    DifferenceTracker,
    causal=True,
    summary="movement only: compares each frame with one a moment ago; what rests is not seen",
)
