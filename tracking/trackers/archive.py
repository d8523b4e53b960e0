"""One animal per region or several, in recordings that are looked at as a whole before they are tracked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence, ensure_grayscale
from tracking.animal import Gait
from tracking.background import (
    BODY_SHARE,
    Background,
    Preparation,
    Progress,
    learn_background,
    learn_preparation,
    sample_frames,
)
from tracking.detect import BlobFilter, Blobs, Looked, find_blobs
from tracking.errors import SettingsError
from tracking.heading import Headings
from tracking.link import PathCosts
from tracking.linkers import Linker, OneEach, Several
from tracking.points import Points
from tracking.roi import ROI
from tracking.settings import parse_settings
from tracking.split import Body, find_crowd
from tracking.trackers.base import Detections

Grey = npt.NDArray[np.uint8]

_AREA_SPREAD = 0.6  # how much animals differ from their typical look, as logarithms
_CONTRAST_SPREAD = 0.4
_ALWAYS_THERE = 3.0  # cost of being part of the background, as stains are too
_SPEED = 10.0  # body lengths per second
_UNKNOWN_MOST = 50  # animals per region that are looked for where their number is unknown


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """Settings of the archive tracker.

    Attributes
    ----------
    samples : frames from which the background is learnt, 3 or more.
    share : of the samples that may show an animal in one place for the background to be clean, 0.5 to 0.95.
    light_animals : whether animals are lighter than the background.
    length : of an animal, pixels; 0 to learn it.
    candidates : blobs per region and frame among which the path chooses, 1 or more; for one animal.
    animals : in each region; 0 if that is not known.
    """

    samples: int = 60
    share: float = 0.8
    light_animals: bool = False
    length: float = 0.0
    candidates: int = 4
    animals: int = 1

    def __post_init__(self) -> None:
        if self.samples < 3:
            raise SettingsError(f"samples is 3 or more, got {self.samples}")
        if not 0.5 <= self.share <= 0.95:
            raise SettingsError(f"share is between 0.5 and 0.95, got {self.share}")
        if self.length < 0 or self.candidates < 1:
            raise SettingsError(
                f"length is 0 or more and candidates 1 or more, got {self.length} and {self.candidates}"
            )
        if not 0 <= self.animals <= 1000:
            raise SettingsError(f"animals is 1 or more, or 0 if unknown, up to 1000; got {self.animals}")


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """Where one region lies in the frame."""

    roi: ROI
    window: tuple[slice, slice]
    mask: Grey
    spots: Grey


class ArchiveTracker:
    """Finds what differs from a background that was sampled over the whole recording.

    Animals that rest for long are found because the background is learnt from all of the recording; those
    that never move, because what looks like an animal is taken out of the background. Which blob is the
    animal is decided by the whole path (`PathFinder`); which of several animals it is, by `IdentityLinker`.

    Parameters
    ----------
    settings : see there.
    """

    def __init__(self, settings: ArchiveSettings | None = None) -> None:
        self._settings = settings or ArchiveSettings()
        self._preparation = Preparation()
        self._background: Background | None = None
        self._areas: list[_Area] = []
        self._filter = BlobFilter(0, 0, 0)
        self._body = Body(0, 0, 0, 0)
        self._linker: Linker | None = None
        self._headings = Headings()

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings, and the look of the animals once it is learnt."""
        learnt = self._background.look._asdict() if self._background else {}
        return {**asdict(self._settings), "learnt": learnt}

    def prepare(self, frames: FrameSequence, rois: list[ROI], progress: Progress | None = None) -> Grey:
        """Learn the background from samples; return it."""
        settings = self._settings
        light = settings.light_animals
        areas = [(roi, roi.window(frames.spec.shape), roi.mask(frames.spec.shape)) for roi in rois]
        samples = sample_frames(frames, settings.samples, progress)
        self._preparation = learn_preparation(samples, light_animals=light)
        stack = np.stack([self._preparation.apply(image) for image in samples])
        most = settings.animals or _UNKNOWN_MOST
        background = learn_background(
            stack, rois, share=settings.share, length=settings.length or None, animals=most
        )
        look = background.look
        self._background = background
        self._areas = [_Area(roi, window, mask, background.spots[window]) for roi, window, mask in areas]
        several = settings.animals != 1
        self._filter = BlobFilter(
            threshold=max(background.threshold, BODY_SHARE * look.contrast),
            smallest=0.15 * look.area,
            largest=(2 * most if several else 6) * look.area,
            most=2 * most + 4 if several else settings.candidates,
        )
        self._body = Body(look.area, look.length, 4 * look.area / (np.pi * look.length), most)
        numbers = [roi.number for roi in rois]
        if several:
            gait = Gait(look.length, _SPEED * look.length)
            self._linker = Several(numbers, settings.animals, gait, look.area)
        else:
            costs = PathCosts(reach=0.3 * look.length, speed=_SPEED * look.length)
            self._linker = OneEach(numbers, settings.candidates, costs)
        self._headings = Headings()
        return np.asarray(cv2.bitwise_not(background.image) if light else background.image, np.uint8)

    def update(self, frame: Frame) -> Points:
        """Find candidates in the frame; return the points of the frames that are now decided."""
        return self.link(self.detect(frame))

    def detect(self, frame: Frame) -> Detections:
        """Return what differs from the background; nothing is remembered."""
        background, _ = self._prepared()
        image = self._preparation.apply(frame.image)
        picture = ensure_grayscale(frame.image)
        difference = cv2.subtract(background.image, image)
        found = []
        for area in self._areas:
            inside = cv2.bitwise_and(difference[area.window], area.mask)
            looked = Looked(inside, area.spots, picture[area.window])
            if self._settings.animals == 1:
                blobs = find_blobs(inside, self._filter, area.spots, looked.picture)
            else:
                blobs = find_crowd(looked, self._filter, self._body)
            blobs["x"] += area.window[1].start
            blobs["y"] += area.window[0].start
            found.append(blobs)
        return Detections(frame.time, found)

    def link(self, detections: Detections) -> Points:
        """Take what was seen in the next frame; return the points of the frames that are now decided."""
        _, linker = self._prepared()
        looks = [self._look_costs(blobs) for blobs in detections.blobs]
        return self._headings.append(*linker.append(detections.blobs, looks, detections.time))

    def finish(self) -> Points:
        """Return the points of the last frames."""
        rest = self._headings.append(*self._prepared()[1].finish())
        return np.concatenate([rest, self._headings.finish()])

    def _prepared(self) -> tuple[Background, Linker]:
        if self._background is None or self._linker is None:
            raise RuntimeError("call prepare before update")
        return self._background, self._linker

    def _look_costs(self, blobs: Blobs) -> npt.NDArray[np.float64]:
        """Return how little blobs look like the animals of this recording."""
        look = self._prepared()[0].look
        area = np.log(blobs["area"] / look.area) / _AREA_SPREAD
        contrast = np.log(np.maximum(blobs["contrast"], 1) / look.contrast) / _CONTRAST_SPREAD
        return np.asarray(0.5 * (area**2 + contrast**2) + _ALWAYS_THERE * blobs["marked"])


def open_archive(settings: Mapping[str, object]) -> ArchiveTracker:
    """Return an archive tracker with these settings; see `ArchiveSettings`."""
    return ArchiveTracker(parse_settings(ArchiveSettings, settings))
