"""Frames through a tracker into a result file."""

from dataclasses import dataclass

import numpy as np

from imgstore import FrameSequence, deferred_interrupt, find_gaps
from tracking.background import Progress
from tracking.results import Event, ResultWriter
from tracking.trackers import Tracker


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """What came of a run.

    Attributes
    ----------
    frames : how many were looked at.
    points : how many animals were seen in them.
    found : region number to the share of frames in which its animal was found.
    stopped : whether the run was ended before its last frame.
    """

    frames: int
    points: int
    found: dict[int, float]
    stopped: bool


def monitor(
    frames: FrameSequence,
    tracker: Tracker,
    results: ResultWriter,
    regions: list[int],
    progress: Progress | None = None,
) -> TrackSummary:
    """Track all frames and write what was found; Ctrl-C ends it with everything so far on disk.

    Parameters
    ----------
    frames : in order of time.
    tracker : prepared.
    results : open; the caller closes it.
    regions : their numbers.
    progress : called after each frame.
    """
    seen = 0
    counts = dict.fromkeys(regions, 0)
    stopped = False

    def count(points: np.ndarray) -> None:
        for number in points["roi"]:
            counts[int(number)] += 1

    results.append_events(_missing(frames))
    with deferred_interrupt() as interrupt:
        for frame in frames:
            points = tracker.update(frame)
            results.append(frame, points)
            count(points)
            seen += 1
            if progress is not None:
                progress(seen, len(frames))
            if interrupt.is_set():
                stopped = True
                break
    rest = tracker.finish()
    results.append_points(rest)
    count(rest)
    results.flush()
    shares = {number: n / seen if seen else 0.0 for number, n in counts.items()}
    return TrackSummary(seen, sum(counts.values()), shares, stopped)


def _missing(frames: FrameSequence) -> list[Event]:
    return [
        Event(
            float(frames.times[gap.index]),
            0,
            "frames-missing",
            {"first_number": gap.first, "count": gap.count},
        )
        for gap in find_gaps(frames.numbers)
    ]
