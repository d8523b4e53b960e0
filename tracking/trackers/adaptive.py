"""One animal per region or several, live: the background follows the picture, decisions are made at once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence, Image, ensure_grayscale
from tracking.animal import FASTEST
from tracking.background import (
    BODY_SHARE,
    LEAST_THRESHOLD,
    NOISE_FACTOR,
    POLARITIES,
    Learnt,
    Look,
    Polarity,
    Preparation,
    Progress,
    Window,
    find_spots,
    learn,
    look_costs,
    sample_frames,
    threshold_setting,
)
from tracking.clock import SteadyClock
from tracking.detect import BLOB, BlobFilter, Blobs, Looked, RegionBlobs, find_blobs
from tracking.heading import LiveHeadings
from tracking.link import LOST, PathCosts
from tracking.linkers import UNKNOWN_MOST
from tracking.points import Points, new_points
from tracking.roi import ROI
from tracking.running import RunningBackground
from tracking.settings import check_settings, setting
from tracking.split import Body, find_crowd
from tracking.surplus import Surplus
from tracking.trackers.base import TrackerKind
from tracking.trackers.herds import Herds
from tracking.trackers.single import OnePerRegion, stack_blobs

Grey = npt.NDArray[np.uint8]

_EVERY = 1.0  # seconds after which a region learns again
_SURE = 3.0  # an animal that costs less looks like itself
_ALIKE = 1 / (1 + math.exp(_SURE - LOST))  # the score of one that costs that
_RESTING = 1.0  # cost of not moving for long, beside another that looks as good
_RESTS_AFTER = 60.0  # seconds
_REMEMBERED = 60.0  # seconds for which the place of an animal that is lost is kept out of the background
_ADAPTS = 10.0  # seconds in which the half-life of the background doubles or halves
_LOOK_HALF_LIFE = 30.0  # seconds
_LOOK_RANGE = 3.0  # factor by which the look of an animal may leave what was learnt at the start


@dataclass(frozen=True, slots=True)
class AdaptiveSettings:
    """Settings of the adaptive tracker."""

    polarity: str = setting(
        "auto",
        "whether animals are dark or light on their background, or either; auto learns it at the start",
        choices=POLARITIES,
    )
    threshold: float = threshold_setting()
    length: float = setting(0.0, "length of an animal; 0 to learn it", unit="px", least=0)
    fastest: float = setting(
        5.0, "half-life of the background where animals are not found", unit="s", least=0.1, most=86400
    )
    slowest: float = setting(
        500.0, "half-life of the background where animals are found for long", unit="s", least=0.1, most=86400
    )
    start: str = setting(
        "recording",
        "what the first background is learnt from: frames spread over the recording, as far as there is one, "
        "or the first frames, as of a camera",
        choices=("recording", "first"),
    )
    first: float = setting(
        5.0, "how much the first frames are, with start=first", unit="s", least=0.001, most=86400
    )
    samples: int = setting(60, "frames from which it is learnt", unit="frames", least=3)
    share: float = setting(0.8, "of these frames that may show an animal in one place", least=0.5, most=0.95)
    candidates: int = setting(
        4, "blobs per region and frame among which the animal is chosen", unit="blobs", least=1, most=32
    )
    animals: int = setting(1, "in each region; 0 if that is not known", least=0, most=1000)

    def __post_init__(self) -> None:
        check_settings(self)


class _Model:
    """What the animal of one region looks like, learnt from where it is found beyond doubt."""

    def __init__(self, look: Look, *, known: bool) -> None:
        self.look = look
        self._start = look
        self.known = known

    def learn(self, blob: np.void, elapsed: float) -> None:
        """Take one more sighting."""
        share = -math.expm1(-math.log(2) * elapsed / _LOOK_HALF_LIFE)
        moved = (
            min(
                max(old * (max(float(blob[name]), 1.0) / old) ** share, first / _LOOK_RANGE),
                first * _LOOK_RANGE,
            )
            for name, old, first in zip(Look._fields, self.look, self._start, strict=True)
        )
        self.look = Look(*moved)

    def begin(self, blob: np.void) -> None:
        """Take what moved like an animal for one, where none was known."""
        self.look = self._start = Look(*(max(float(blob[name]), 1.0) for name in Look._fields))
        self.known = True

    def wanted(self, threshold: float, settings: AdaptiveSettings) -> BlobFilter:
        """Return which blobs may be the animal, or several."""
        most, largest = settings.candidates, 6.0
        if settings.animals != 1:
            count = settings.animals or UNKNOWN_MOST
            most, largest = 2 * count + 4, 2.0 * count
        if not self.known:
            return BlobFilter(
                settings.threshold or threshold, max(4.0, 0.05 * self.look.area), math.inf, most
            )
        least = settings.threshold or max(threshold, BODY_SHARE * self.look.contrast)
        return BlobFilter(least, 0.15 * self.look.area, largest * self.look.area, most)


class _Region:
    """One region: its background, the look of its animals, and where these were last."""

    def __init__(
        self, roi: ROI, learnt: Learnt, image: Grey, threshold: float, settings: AdaptiveSettings
    ) -> None:
        start = learnt.background
        self.window = roi.window(start.image.shape)
        self.mask = roi.mask(start.image.shape)
        self.model = _Model(start.look, known=start.moved)
        self._settings = settings
        self._preparation = learnt.preparation
        self._roi = roi
        self._spots = start.spots[self.window].copy()
        either = learnt.preparation.polarity is Polarity.EITHER
        self._background = RunningBackground(image[self.window], self.mask, either=either)
        self._threshold = threshold
        self._half_life = settings.fastest
        self._last: Sequence[np.void] = ()
        self._wanted = self.model.wanted(threshold, settings)

    def detect(self, image: Grey, frame: Image) -> Blobs:
        """Return the candidates in the prepared image of the region, x and y in pixels of the frame."""
        difference = cv2.bitwise_and(self._preparation.compare(self._background.image, image), self.mask)
        picture, behind = frame[self.window], self._background.image
        if self._settings.animals == 1:
            blobs = find_blobs(difference, self._wanted, self._spots, picture, behind)
        else:
            body = Body.of(self.model.look, self._settings.animals or UNKNOWN_MOST)
            looked = Looked(difference, self._spots, ensure_grayscale(picture), behind)
            blobs = find_crowd(looked, self._wanted, body)
        blobs["x"] += self.window[1].start
        blobs["y"] += self.window[0].start
        return blobs

    def learn(self, last: Sequence[np.void], alike: Sequence[np.void], elapsed: float, *, sure: bool) -> None:
        """Take where animals were last, as far as that is known.

        Parameters
        ----------
        last : what they were then.
        alike : those of them that are one animal each beyond doubt.
        elapsed : since the last time, seconds.
        sure : whether all animals are found beyond doubt.
        """
        self._last = last
        if self.model.known:
            for blob in alike:
                self.model.learn(blob, elapsed / len(alike))
        change = 2.0 ** ((1 if sure else -1) * elapsed / _ADAPTS)
        low, high = self._settings.fastest, self._settings.slowest
        self._half_life = min(max(self._half_life * change, low), max(low, high))

    def follow(self, image: Grey, elapsed: float) -> None:
        """Let the background follow the image of the region, but where the animal is."""
        animal = self._animal()
        anew = self._background.follow(
            image,
            animal,
            elapsed,
            noise=self._threshold / 2,
            half_life=self._half_life,
            size=self.model.look.area * max(1, len(self._last)),
        )
        difference = cv2.absdiff(self._background.image, image)
        if anew:
            self._spots[:] = 0
            if not self._last:
                self._spots = find_spots(self._background.image, self._roi, self.model.look, self._threshold)
                self._background.paint(self._spots)
        else:
            self._measure_noise(difference, elapsed)
        self._spots[difference < self._threshold / 2] = 0  # what was a guess has been seen
        self._wanted = self.model.wanted(self._threshold, self._settings)

    def _measure_noise(self, difference: cv2.typing.MatLike, elapsed: float) -> None:
        step = max(1, int(math.sqrt(self.mask.size / 2000)))
        some = np.asarray(difference)[::step, ::step][self.mask[::step, ::step] > 0]
        still = some[some < self._threshold]
        if not len(still):
            return
        noise = 1.2533 * float(still.mean())  # standard deviation of what is normally distributed
        wanted = max(LEAST_THRESHOLD, NOISE_FACTOR * noise)
        self._threshold += (wanted - self._threshold) * min(1.0, elapsed / _ADAPTS)

    def _animal(self) -> Grey:
        """Return 255 where animals are, their legs and their shadows."""
        mask = np.zeros(self.mask.shape, np.uint8)
        for blob in self._last:
            centre = (
                round(float(blob["x"]) - self.window[1].start),
                round(float(blob["y"]) - self.window[0].start),
            )
            half = (math.ceil(0.75 * float(blob["length"])) + 3, math.ceil(0.75 * float(blob["width"])) + 3)
            cv2.ellipse(mask, centre, half, float(blob["angle"]), 0, 360, 255, cv2.FILLED)
        return mask


class AdaptiveTracker:
    """Finds what differs from a background that follows the picture, and decides in every frame.

    Work per frame is bounded, nothing is known of later frames, and all that is learnt is learnt per second,
    not per frame. An animal that rests stays out of the background as long as it rests. When the light
    changes, the background is learnt anew but for the place of the animal.

    Parameters
    ----------
    settings : see there.
    """

    def __init__(self, settings: AdaptiveSettings | None = None) -> None:
        self._settings = settings or AdaptiveSettings()
        self._learnt: Learnt | None = None
        self._preparation = Preparation()
        self._regions: list[_Region] = []
        self._windows: list[Window] = []
        self._looks = np.empty(
            (0, 3)
        )  # of each region area and contrast of the animal, and whether it is known
        self._due = np.empty(0)  # seconds since each region has learnt
        self._sightings = _Sightings(0)
        self._clock = SteadyClock()
        self._link: OnePerRegion | None = None
        self._herds: Herds | None = None
        self._headings = LiveHeadings()
        self._rest = _Rest(0)
        self._surplus = Surplus([], 0)

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings, and what was learnt at the start."""
        return {**asdict(self._settings), "learnt": self._learnt.facts if self._learnt else {}}

    def prepare(self, frames: FrameSequence, rois: list[ROI], progress: Progress | None = None) -> Grey:
        """Learn the first background from samples of a recording, or from the first frames; return it."""
        settings = self._settings
        seconds = settings.first if settings.start == "first" else math.inf
        samples = sample_frames(frames, settings.samples, progress, seconds=seconds)
        learnt = learn(
            samples,
            rois,
            polarity=settings.polarity,
            share=settings.share,
            length=settings.length,
            animals=settings.animals or UNKNOWN_MOST,
        )
        background, length = learnt.background, learnt.background.look.length
        self._learnt, self._preparation = learnt, learnt.preparation
        lit = learnt.lit(0)  # as it is at the beginning
        self._regions = [
            _Region(roi, learnt, lit, threshold, settings)
            for roi, threshold in zip(rois, background.thresholds, strict=True)
        ]
        self._windows = [region.window for region in self._regions]
        self._looks = np.array(
            [(*region.model.look[:2], region.model.known) for region in self._regions], float
        )
        self._sightings = _Sightings(len(rois))
        self._due = np.linspace(0, _EVERY, len(rois), endpoint=False)  # not all in the same frame
        costs = PathCosts(reach=0.3 * length, speed=FASTEST * length)
        numbers = [roi.number for roi in rois]
        self._surplus = Surplus(numbers, settings.animals)
        self._link = OnePerRegion(numbers, settings.candidates, costs)
        if settings.animals != 1:
            self._herds = Herds(numbers, settings.animals, background.look)
        self._headings = LiveHeadings()
        self._rest = _Rest(len(rois))
        return self._preparation.invert(lit)

    def update(self, frame: Frame) -> Points:
        """Return the points of the frame."""
        if self._link is None:
            raise RuntimeError("call prepare before update")
        elapsed = self._clock.advance(frame.time)
        images = self._preparation.apply_in(frame.image, self._windows)
        found = [
            region.detect(image, frame.image) for region, image in zip(self._regions, images, strict=True)
        ]
        if self._herds is not None:
            every = RegionBlobs.join(found)
            looks = _costs_of(every.table, np.repeat(self._looks, every.counts, axis=0))
            points = self._herds.choose(every, looks, self._clock.now)
            self._surplus.take(every.table, looks, every.places)
        else:
            table = stack_blobs(found, self._settings.candidates)
            costs = self._costs(table)
            choices, points = self._link.choose(table, costs, frame.time)
            self._surplus.take(table, costs, np.indices(table.shape)[0])
            self._sightings.take(table, costs, choices, elapsed)
        self._follow(images, elapsed)
        return self._headings.append(points, self._clock.now)

    def finish(self) -> Points:
        """Return nothing: every frame was decided at once."""
        return new_points()

    def crowded(self) -> list[int]:
        """Return the numbers of regions in which there were often more animals than were said."""
        return self._surplus.regions()

    def _costs(self, table: Blobs) -> npt.NDArray[np.float64]:
        """Return how little candidates look like the animals of their regions; infinite where none is."""
        looks = _costs_of(table, self._looks[:, None])
        costs = looks + _RESTING * self._rest.resting(table)
        return np.asarray(np.where(table["area"] > 0, costs, np.inf))

    def _follow(self, images: Sequence[Grey], elapsed: float) -> None:
        """Let those regions learn for which it is time: in each frame some, so that none takes long."""
        self._due += elapsed
        for place in np.flatnonzero(self._due >= _EVERY).tolist():
            region, since = self._regions[place], float(self._due[place])
            if self._herds is not None:
                _teach_several(place, region, self._herds, since)
            else:
                self._teach_one(place, region, since)
            region.follow(images[place], since)
            self._looks[place] = (*region.model.look[:2], region.model.known)
            self._due[place] = 0.0

    def _teach_one(self, place: int, region: _Region, since: float) -> None:
        blob, sure = self._sightings.last(place), bool(self._sightings.sure[place])
        last = [] if blob is None else [blob]
        region.learn(last, last if sure else [], since, sure=sure)
        if blob is not None and self._rest.move(place, blob, since) and not region.model.known:
            region.model.begin(blob)


def _teach_several(place: int, region: _Region, herds: Herds, since: float) -> None:
    known = herds.recall(place, _REMEMBERED, _ALIKE)
    if not region.model.known:
        for blob in known.moved:
            region.model.begin(blob)
    region.learn(known.last, known.alike, since, sure=known.sure)
    herds.resize(place, region.model.look)


def _costs_of(blobs: Blobs, looks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the costs of blobs by rows of the looks of their regions."""
    return look_costs(blobs, looks[..., 0], looks[..., 1], looks[..., 2] > 0)


class _Sightings:
    """Where the animals were seen last, when, and whether beyond doubt."""

    def __init__(self, regions: int) -> None:
        self._blobs = np.zeros(regions, BLOB)
        self._unseen = np.full(regions, np.inf)  # seconds
        self.sure = np.zeros(regions, bool)

    def take(
        self, table: Blobs, costs: npt.NDArray[np.float64], choices: npt.NDArray[np.intp], elapsed: float
    ) -> None:
        """Take what was chosen in a frame."""
        rows = np.flatnonzero(choices >= 0)
        self._unseen += elapsed
        self._unseen[rows] = 0.0
        self._blobs[rows] = table[rows, choices[rows]]
        alone = (costs < np.inf).sum(axis=1) == 1
        self.sure[:] = False
        self.sure[rows] = alone[rows] & (costs[rows, choices[rows]] < _SURE)

    def last(self, region: int) -> np.void | None:
        """Return the blob that the animal was; None if that is too long ago to go by."""
        return self._blobs[region].copy() if self._unseen[region] <= _REMEMBERED else None


class _Rest:
    """Since when the animals have not moved."""

    def __init__(self, regions: int) -> None:
        self._place = np.full((regions, 2), np.nan)
        self._still = np.zeros(regions)  # seconds
        self._near = np.zeros(regions)  # half a body's length, pixels

    def resting(self, table: Blobs) -> npt.NDArray[np.bool_]:
        """Return which candidates lie where the animal of their region has been for long."""
        x, y = self._place[:, :1], self._place[:, 1:]
        near = np.hypot(table["x"] - x, table["y"] - y) < self._near[:, None]
        return np.asarray(near & (self._still[:, None] > _RESTS_AFTER))

    def move(self, region: int, blob: np.void, elapsed: float) -> bool:
        """Take where an animal is; return whether it has come by a body's length since it was first seen."""
        self._near[region] = 0.5 * blob["length"]
        here = np.array([blob["x"], blob["y"]])
        apart = float(np.hypot(*(here - self._place[region])))
        if apart < self._near[region]:
            self._still[region] += elapsed
            return False
        first = not np.isfinite(apart)
        if first or apart > 2 * self._near[region]:
            self._place[region], self._still[region] = here, 0.0
        return not first and apart > 2 * self._near[region]


ADAPTIVE = TrackerKind(
    AdaptiveSettings,
    AdaptiveTracker,
    causal=True,
    summary="live: follows the picture and decides in every frame, keeps animals that rest",
)
