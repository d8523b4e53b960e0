"""Tracking of frames that come now and do not come again."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSpec
from tracking.blocks import ReadableFrames
from tracking.errors import EmptyRecordingError, ResultExistsError
from tracking.monitor import Monitor, PointSink, Stimulator, StopFlag
from tracking.plan import StageProgress, TrackPlan, prepare, stage_of
from tracking.result_writer import ResultWriter, RunInfo
from tracking.retrack import Retracked, new_result_path, notes_on
from tracking.steadying import Steadying

LiveFrames = Callable[[Callable[[], bool]], Iterator[Frame]]
"""Yields frames as they come. While none comes it calls, a few times a second, the function that it is given,
and ends if that returns True."""

_FIRST_FRAMES = 50  # from which regions and background are learnt


@dataclass(frozen=True, slots=True, eq=False)
class FrameList:
    """Frames in memory, as a sequence.

    Attributes
    ----------
    frames : one at least.
    """

    frames: list[Frame]

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames."""
        image = self.frames[0].image
        return FrameSpec(image.shape, image.dtype)

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The camera's numbers, shape (n,)."""
        return np.array([frame.number for frame in self.frames], np.int64)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The times, shape (n,), seconds since the Unix epoch."""
        return np.array([frame.time for frame in self.frames], np.float64)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: int, /) -> Frame:
        return self.frames[key]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def close(self) -> None:
        """Do nothing: there is no file."""


def track_live(
    frames: LiveFrames,
    name: str,
    *,
    plan: TrackPlan | None = None,
    out: str | os.PathLike[str] | None = None,
    stimulators: Sequence[Stimulator] = (),
    sinks: Sequence[PointSink] = (),
    stop: StopFlag | None = None,
    progress: StageProgress | None = None,
) -> Retracked:
    """Track frames as they come, until they end.

    Regions and background are learnt from the first frames, so the tracker should be one that goes on
    learning. Frames that come while it learns, or while it is late, wait or are lost at their source; what
    is lost is in the result's events.

    Parameters
    ----------
    frames : gives the frames.
    name : of their source, for the result.
    plan : how to track.
    out : result file; None for one in the current folder, named by source, time and tracker.
    stimulators : react to what is seen.
    sinks : take what is seen, beside the result file; the caller closes them.
    stop, progress : as for `retrack`.

    Raises
    ------
    EmptyRecordingError
        No frame came.
    TrackingError
        The layout is unknown or does not fit, the result exists already.
    """
    wanted = plan or TrackPlan()
    tracker = wanted.check()
    start = name.replace(":", "-").replace(os.sep, "-")
    path = new_result_path(f"{start}.", wanted.tracker) if out is None else Path(out)
    if path.exists():
        raise ResultExistsError(f"{path} exists already; give another --out")
    waiting = _Waiting(stop)
    with ExitStack() as stack:
        coming = frames(waiting)
        stack.callback(getattr(coming, "close", _nothing))
        first = _first_frames(coming, progress)
        if not len(first):
            raise EmptyRecordingError(f"no frame came from {name}")
        prepared = prepare(wanted, tracker, ReadableFrames(first), path.parent / path.stem, more="live")
        regions = prepared.regions
        info = RunInfo(
            name,
            first.spec.shape,
            wanted.tracker,
            dict(tracker.settings),
            wanted.layout,
            mm_per_pixel=regions.mm_per_pixel,
            given=wanted.settings,
            followed=True,
            realign=wanted.realign,
        )
        results = stack.enter_context(ResultWriter(path, info, regions.rois, regions.targets))
        results.append_background(prepared.background, float(first.times[0]))
        waiting.monitor = monitor = Monitor(
            chain(first.frames, coming),
            [roi.number for roi in regions.rois],
            tracker,
            sinks=[results, *sinks],
            stimulators=stimulators,
            steadying=Steadying(prepared.guide) if prepared.guide else None,
        )
        summary = monitor.run(stage_of(progress, "tracking"), 0, stop)
        if summary.stopped:
            results.close("stopped")
    return Retracked(path, regions, summary, notes=notes_on(regions, first.spec.shape, tracker))


class _Waiting:
    """What is done while no frame comes."""

    def __init__(self, stop: StopFlag | None) -> None:
        self._stop = stop
        self.monitor: Monitor | None = None

    def __call__(self) -> bool:
        if self.monitor is not None:
            return self.monitor.idle()
        return self._stop is not None and self._stop.is_set()


def _first_frames(coming: Iterator[Frame], progress: StageProgress | None) -> FrameList:
    first = FrameList([])
    for frame in islice(coming, _FIRST_FRAMES):
        first.frames.append(frame)
        if progress is not None:
            progress("looking", len(first), _FIRST_FRAMES)
    return first


def _nothing() -> None:
    """Close what has nothing to be closed."""
