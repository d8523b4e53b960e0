"""One animal per region or several, in recordings that are looked at as a whole before they are tracked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence
from tracking.animal import FASTEST, Gait
from tracking.background import (
    BODY_SHARE,
    POLARITIES,
    Learnt,
    Look,
    Polarity,
    Progress,
    Window,
    learn,
    look_costs,
    sample_frames,
    threshold_setting,
)
from tracking.detect import BlobFilter, Looked, RegionBlobs, find_rows
from tracking.heading import Headings
from tracking.link import PathCosts
from tracking.linkers import UNKNOWN_MOST, Linker, OneEach, Several
from tracking.points import Points
from tracking.roi import ROI
from tracking.settings import check_settings, setting
from tracking.split import Body, find_crowd
from tracking.surplus import Surplus
from tracking.trackers.base import Detections, TrackerKind

Grey = npt.NDArray[np.uint8]


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
    threshold: float = threshold_setting()
    length: float = setting(0.0, "length of an animal; 0 to learn it", unit="px", least=0)
    candidates: int = setting(
        4,
        "blobs per region and frame among which the path chooses, for one animal",
        unit="blobs",
        least=1,
        most=32,
    )
    animals: int = setting(1, "in each region; 0 if that is not known", least=0, most=1000)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """Where one region lies in the frame."""

    roi: ROI
    window: Window
    mask: Grey
    spots: Grey
    wanted: BlobFilter


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
        self._learnt: Learnt | None = None
        self._lit: tuple[int, list[Grey]] = (-1, [])  # what the regions are compared with, in a slot's light
        self._areas: list[_Area] = []
        self._windows: list[Window] = []
        self._body = Body(0, 0, 0, 0)
        self._linker: Linker | None = None
        self._headings = Headings()
        self._surplus = Surplus([], 0)

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings, and the look of the animals once it is learnt."""
        return {**asdict(self._settings), "learnt": self._learnt.facts if self._learnt else {}}

    def prepare(self, frames: FrameSequence, rois: list[ROI], progress: Progress | None = None) -> Grey:
        """Learn the background from samples; return it."""
        settings = self._settings
        samples = sample_frames(frames, settings.samples, progress)
        most = settings.animals or UNKNOWN_MOST
        several = settings.animals != 1
        learnt = learn(
            samples,
            rois,
            polarity=settings.polarity,
            share=settings.share,
            length=settings.length,
            animals=most,
        )
        background, look = learnt.background, learnt.background.look
        self._learnt, self._lit = learnt, (-1, [])
        self._areas = []
        for roi, threshold in zip(rois, background.thresholds, strict=True):
            window = roi.window(background.image.shape)
            wanted = BlobFilter(
                threshold=settings.threshold or max(threshold, BODY_SHARE * look.contrast),
                smallest=0.15 * look.area,
                largest=(2 * most if several else 6) * look.area,
                most=2 * most + 4 if several else settings.candidates,
            )
            mask = roi.mask(background.image.shape)
            self._areas.append(_Area(roi, window, mask, background.spots[window], wanted))
        self._windows = [area.window for area in self._areas]
        self._body = Body.of(look, most)
        numbers = [roi.number for roi in rois]
        self._linker = self._new_linker(numbers, look)
        self._surplus = Surplus(numbers, settings.animals)
        self._headings = Headings()
        return learnt.preparation.invert(background.image)

    def _new_linker(self, numbers: list[int], look: Look) -> Linker:
        """Return what tells animals of this look apart, in regions of these numbers."""
        settings = self._settings
        if settings.animals == 1:
            return OneEach(
                numbers, settings.candidates, PathCosts(reach=0.3 * look.length, speed=FASTEST * look.length)
            )
        return Several(numbers, settings.animals, Gait.of(look.length), look.area)

    def update(self, frame: Frame) -> Points:
        """Find candidates in the frame; return the points of the frames that are now decided."""
        return self.link(self.detect(frame))

    def detect(self, frame: Frame) -> Detections:
        """Return what differs from the background; nothing is remembered."""
        preparation = self._prepared()[0].preparation
        backgrounds = self._backgrounds_at(frame.time)
        images = preparation.apply_in(frame.image, self._windows)
        found = []
        for area, background, image in zip(self._areas, backgrounds, images, strict=True):
            difference = preparation.compare(background, image)
            if preparation.polarity is Polarity.EITHER:  # else nothing is darker than a background of 0
                cv2.bitwise_and(difference, area.mask, dst=difference)
            looked = Looked(difference, area.spots, frame.image[area.window], background)
            if self._settings.animals == 1:
                found.append(find_rows(looked, area.wanted))
            else:
                found.append(find_crowd(looked, area.wanted, self._body).tolist())
        return Detections(frame.time, RegionBlobs.of_rows(found, self._windows))

    def link(self, detections: Detections) -> Points:
        """Take what was seen in the next frame; return the points of the frames that are now decided."""
        learnt, linker = self._prepared()
        blobs, look = detections.blobs, learnt.background.look
        costs = look_costs(blobs.table, look.area, look.contrast)
        self._surplus.take(blobs.table, costs, blobs.places)
        return self._headings.append(*linker.append(blobs, costs, detections.time))

    def finish(self) -> Points:
        """Return the points of the last frames."""
        rest = self._headings.append(*self._prepared()[1].finish())
        return np.concatenate([rest, self._headings.finish()])

    def crowded(self) -> list[int]:
        """Return the numbers of regions in which there were often more animals than were said."""
        return self._surplus.regions()

    def _prepared(self) -> tuple[Learnt, Linker]:
        if self._learnt is None or self._linker is None:
            raise RuntimeError("call prepare before update")
        return self._learnt, self._linker

    def _backgrounds_at(self, time: float) -> list[Grey]:
        """Return the backgrounds of the regions in the light of that time, 0 outside of them.

        The last ones are kept, since times are near.
        """
        learnt, _ = self._prepared()
        slot = learnt.slot(time)
        if slot != self._lit[0]:
            image = learnt.lit(slot)
            masked = [cv2.bitwise_and(image[area.window], area.mask) for area in self._areas]
            self._lit = (slot, [np.asarray(background, np.uint8) for background in masked])
        return self._lit[1]


ARCHIVE = TrackerKind(
    ArchiveSettings,
    ArchiveTracker,
    causal=False,
    summary="recordings: looks at all of one before it starts, finds animals that never move",
)
