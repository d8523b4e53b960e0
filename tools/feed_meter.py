"""What comes of a live feed, counted: rate, lost frames, and how late frames are."""

import time
from dataclasses import dataclass
from statistics import median

from hardware import CameraFrame


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What came of a feed over some time.

    Attributes
    ----------
    frames : that came.
    rate : of these, per second.
    latency_ms, worst_ms : from the arrival of a frame in its writer to its being read, median and longest;
        None if none came.
    """

    frames: int
    rate: float
    latency_ms: float | None
    worst_ms: float | None


class FeedMeter:
    """Counts the frames of a feed; begins when it is made.

    Attributes
    ----------
    frames : that came so far.
    lost : that were overwritten before they were read.
    camera_lost : that the camera lost.
    incomplete : that came with parts missing.
    number, time : of the last frame; None before the first.
    """

    def __init__(self) -> None:
        self.frames = self.lost = self.camera_lost = self.incomplete = 0
        self.number: int | None = None
        self.time: float | None = None
        self._began_ns = self._reported_ns = self._came_ns = time.monotonic_ns()
        self._latencies_ms: list[float] = []
        self._worst_ms: float | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame came, or since this began."""
        return (time.monotonic_ns() - self._came_ns) / 1e9

    @property
    def seconds(self) -> float:
        """Since this began."""
        return (time.monotonic_ns() - self._began_ns) / 1e9

    def add(self, frame: CameraFrame, lost: int) -> None:
        """Count a frame that was read just now.

        Parameters
        ----------
        lost : frames that its reader lost so far, as it counts them.
        """
        self._came_ns = time.monotonic_ns()
        late_ms = (self._came_ns - frame.arrived_ns) / 1e6
        self._latencies_ms.append(late_ms)
        self._worst_ms = late_ms if self._worst_ms is None else max(self._worst_ms, late_ms)
        if self.frames:  # what was lost before the first one was not to be read
            self.camera_lost += frame.lost - (lost - self.lost)
        self.lost = lost
        self.frames += 1
        self.incomplete += frame.incomplete
        self.number, self.time = frame.number, frame.time

    def report(self) -> FeedReport:
        """Return what came since the last report, or since this began."""
        now_ns = time.monotonic_ns()
        late, span_s = self._latencies_ms, max(now_ns - self._reported_ns, 1) / 1e9
        self._reported_ns, self._latencies_ms = now_ns, []
        if not late:
            return FeedReport(0, 0.0, None, None)
        return FeedReport(len(late), len(late) / span_s, median(late), max(late))

    def total(self) -> FeedReport:
        """Return what came since this began; its median is not kept."""
        return FeedReport(self.frames, self.frames / max(self.seconds, 1e-9), None, self._worst_ms)
