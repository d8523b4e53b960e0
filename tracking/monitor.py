"""Frames through a tracker into sinks, with stimulators that react to what is seen."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from imgstore import Frame, deferred_interrupt
from tracking.background import Progress
from tracking.blocks import SeenFrame, UnreadFrame, is_split
from tracking.incidents import FRAMES_MISSING, Incidents
from tracking.points import Points, Status
from tracking.result_tables import Event
from tracking.steadying import Steadying
from tracking.trackers import Tracker

T = TypeVar("T")

_TIMES_KEPT = 1 << 16  # frames; no tracker decides later than that

Looked: TypeAlias = Frame | SeenFrame | UnreadFrame
"""What a source gives: a frame, one in which was looked already, or one that cannot be read."""


class StopFlag(Protocol):
    """Something to ask whether to stop: a `threading.Event`, or anything like it."""

    def is_set(self) -> bool: ...


class Stimulator(Protocol):
    """Reacts to animals. It decides; what it drives is handed to it."""

    def react(self, points: Points, times: npt.NDArray[np.float64]) -> Sequence[Event]:
        """Look at points that were just decided, and return what was done.

        Parameters
        ----------
        points : all of one call of the tracker; `interaction` may be set, nothing else.
        times : of their frames, shape (n,), seconds.
        """


class PointSink(Protocol):
    """Takes what was found: a result file, a live drawing."""

    def append(self, frame: Frame | SeenFrame, points: Points) -> None:
        """Take the next frame, and points that were decided by now, of it or of earlier ones."""

    def append_rest(self, points: Points, *, whole: bool) -> None:
        """Take the points that were not decided before the frames ended.

        `whole` says whether the recording ended; else the run was cut short.
        """

    def append_events(self, events: Sequence[Event]) -> None:
        """Take what happened."""

    def idle(self) -> None:
        """Do what is due while no frame comes; called a few times a second at least."""


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """What came of a run.

    Attributes
    ----------
    frames : how many were looked at.
    points : how many animals were seen in them.
    found : region number to the share of frames in which its animal, or one of its animals, was seen.
    stopped : whether the run was ended before its last frame.
    unread : how many frames could not be read.
    missing : how many frames the camera counted that are not there.
    realigned : how many times the regions were moved, with what they belong to.
    """

    frames: int
    points: int
    found: dict[int, float]
    stopped: bool
    unread: int = 0
    missing: int = 0
    realigned: int = 0


class Monitor:
    """Runs a tracker over a source of frames.

    Parameters
    ----------
    source : frames in order of time; where it is a generator, the monitor closes it.
    regions : their numbers.
    tracker : prepared; one that links what was detected, if the source detects.
    sinks : take points and events; the caller closes them.
    stimulators : react to points before sinks get them.
    incidents : makes events of what happened to the frames.
    steadying : shows frames to the tracker as they would be had the camera not been knocked; everybody else
        gets frames and points as they were filmed. None to show them as they are.
    """

    def __init__(
        self,
        source: Iterable[Looked],
        regions: Sequence[int],
        tracker: Tracker,
        *,
        sinks: Sequence[PointSink] = (),
        stimulators: Sequence[Stimulator] = (),
        incidents: Incidents | None = None,
        steadying: Steadying | None = None,
    ) -> None:
        self._source = source
        self._regions = list(regions)
        self._tracker = tracker
        self._sinks = sinks
        self._stimulators = stimulators
        self._incidents = incidents or Incidents()
        self._steadying = steadying
        self._times = np.full(_TIMES_KEPT if stimulators else 1, np.nan)
        self._flags: list[StopFlag] = []
        self._frames = self._unread = self._missing = 0
        self._counts: dict[int, int] = dict.fromkeys(self._regions, 0)
        self._points = 0

    def run(
        self, progress: Progress | None = None, total: int = 0, stop: StopFlag | None = None
    ) -> TrackSummary:
        """Track until the source ends, Ctrl-C, or `stop` is set; what is not decided by then is decided.

        Parameters
        ----------
        progress : called after each frame with how many are done and `total`.
        total : how many frames there are; 0 if nobody knows.
        stop : asked after each frame.

        Raises whatever the source raises, after what was tracked was handed to the sinks.
        """
        with deferred_interrupt() as interrupt, closing_of(iter(self._source)) as frames:
            self._flags = [interrupt] if stop is None else [interrupt, stop]
            while (frame := self._next(frames)) is not None:
                self._take(frame)
                if progress is not None:
                    progress(self._frames + self._unread, total)
                if self._is_asked():
                    break
        stopped = self._is_asked()
        self._finish(whole=not stopped)
        seen = self._frames
        shares = {number: count / seen if seen else 0.0 for number, count in self._counts.items()}
        moves = self._steadying.moves if self._steadying else 0
        return TrackSummary(seen, self._points, shares, stopped, self._unread, self._missing, moves)

    def idle(self) -> bool:
        """Let the sinks do what is due, and return whether to end; for sources that wait for a frame."""
        for sink in self._sinks:
            sink.idle()
        return self._is_asked()

    def _is_asked(self) -> bool:
        return any(flag.is_set() for flag in self._flags)

    def _next(self, frames: Iterator[Looked]) -> Looked | None:
        try:
            return next(frames, None)
        except BaseException:
            self._finish(whole=False)
            raise

    def _take(self, frame: Looked) -> None:
        self._happen(self._incidents.before(frame))
        if isinstance(frame, UnreadFrame):
            self._unread += 1
            return
        if self._steadying is not None:
            self._happen(self._steadying.take(frame))
        points = self._placed(self._track(frame))
        self._times[self._frames % len(self._times)] = frame.time
        self._frames += 1
        self._react(points)
        for sink in self._sinks:
            sink.append(frame, points)

    def _track(self, frame: Frame | SeenFrame) -> Points:
        if isinstance(frame, Frame):
            return self._tracker.update(self._steadying.steady(frame) if self._steadying else frame)
        assert is_split(self._tracker)  # noqa: S101  # else nobody could have looked
        return self._tracker.link(frame.detections)

    def _placed(self, points: Points) -> Points:
        """Return points where they were filmed."""
        return self._steadying.place(points) if self._steadying else points

    def _finish(self, *, whole: bool) -> None:
        points = self._placed(self._tracker.finish())
        self._react(points)
        for sink in self._sinks:
            sink.append_rest(points, whole=whole)
        if whole:
            self._happen(self._incidents.rest())
        self.idle()

    def _react(self, points: Points) -> None:
        for stimulator in self._stimulators:
            times = self._times[points["frame"] % len(self._times)]
            self._happen(stimulator.react(points, times))
        if not len(points):
            return
        seen = points[points["status"] != Status.LOST]
        self._points += len(seen)
        regions = np.unique(seen[["frame", "roi"]])["roi"]  # however many animals of it
        for number, count in zip(*np.unique(regions, return_counts=True), strict=True):
            self._counts[int(number)] = self._counts.get(int(number), 0) + int(count)

    def _happen(self, events: Sequence[Event]) -> None:
        self._missing += sum(int(event.detail["count"]) for event in events if event.kind == FRAMES_MISSING)
        if events:
            for sink in self._sinks:
                sink.append_events(events)


@contextmanager
def closing_of(things: Iterator[T]) -> Iterator[Iterator[T]]:
    """Give an iterator, and close it afterwards if it can be closed: if it is a generator, that is."""
    try:
        yield things
    finally:
        close = getattr(things, "close", None)
        if close is not None:
            close()
