"""What a tracker does: look at a recording beforehand, take frames in order, give points."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence
from tracking.background import Progress
from tracking.detect import RegionBlobs
from tracking.points import Points
from tracking.roi import ROI
from tracking.settings import parse_settings

Settings = TypeVar("Settings")


class Tracker(Protocol):
    """Finds the animals of all regions in frames that come in order."""

    @property
    def settings(self) -> Mapping[str, object]:
        """What the tracker was told and what it has learnt, as plain values for the result file."""

    def prepare(
        self, frames: FrameSequence, rois: list[ROI], progress: Progress | None = None
    ) -> npt.NDArray[np.uint8]:
        """Look at the whole recording; return what frames are compared with, (rows, columns) grey.

        Raises EmptyRecordingError or RegionError.
        """

    def update(self, frame: Frame) -> Points:
        """Take the next frame; return the points that are now decided, of this frame or earlier ones.

        The column `frame` counts the calls from 0.
        """

    def finish(self) -> Points:
        """Return the points that were not decided yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What might be animals in one frame.

    Attributes
    ----------
    time : of the frame, seconds.
    blobs : of every region, in their order; x and y in pixels of the frame.
    """

    time: float
    blobs: RegionBlobs


class SplitTracker(Tracker, Protocol):
    """A tracker that looks at every frame on its own, and links what it saw afterwards.

    Once prepared it can be pickled: any process may `detect` in any frame, in any order, while one of them
    links in the order of the frames. `update` is both, one after the other.
    """

    def detect(self, frame: Frame) -> Detections:
        """Return what might be animals in a frame; nothing is remembered."""

    def link(self, detections: Detections) -> Points:
        """Take what was seen in the next frame; return the points that are now decided, as `update` does."""


@runtime_checkable
class SeesSurplus(Protocol):
    """A tracker that notices animals that it was not told of."""

    def crowded(self) -> list[int]:
        """Return the numbers of regions in which there were often more animals than were said."""


class TrackerFactory(Protocol):
    """Makes a tracker."""

    @property
    def settings(self) -> type[object]:
        """The dataclass of its settings."""

    @property
    def causal(self) -> bool:
        """Whether `update` gives the points of a frame at once, so that live frames can be tracked."""

    @property
    def summary(self) -> str:
        """What it is good for, in one line."""

    def __call__(self, settings: Mapping[str, object], /) -> Tracker:
        """Return a new tracker; settings that are not given are the default ones.

        Raises UnknownNameError or SettingsError.
        """


@dataclass(frozen=True, slots=True)
class TrackerKind(Generic[Settings]):
    """A tracker that can be asked for by name.

    Attributes
    ----------
    settings : the dataclass of its settings.
    make : makes one from its settings.
    causal : whether `update` gives the points of a frame at once.
    summary : what it is good for, in one line.
    """

    settings: type[Settings]
    make: Callable[[Settings], Tracker]
    causal: bool
    summary: str

    def __call__(self, settings: Mapping[str, object], /) -> Tracker:
        """Return a new tracker. Raises UnknownNameError or SettingsError."""
        return self.make(parse_settings(self.settings, settings))
