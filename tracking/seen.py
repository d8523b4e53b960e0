"""In which share of the frames animals were seen."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracking.frame_points import FramePoints
from tracking.points import Status
from tracking.results import Results

_FRAMES = 10_000  # whose points are read together


@dataclass(frozen=True, slots=True)
class Seen:
    """How often animals were seen.

    Attributes
    ----------
    points : how many animals were seen in all frames.
    found : region number to the share of frames in which its animal, or one of its animals, was seen.
    """

    points: int
    found: Mapping[int, float]


def count_seen(results: Results) -> Seen:
    """Return how often the animals of a result were seen, with no more than a block of it in memory."""
    frames, places = results.count("frames"), FramePoints(results)
    counts, points = dict.fromkeys((roi.number for roi in results.rois), 0), 0
    for first in range(0, frames, _FRAMES):
        seen = places.between(first, min(first + _FRAMES, frames))
        seen = seen[seen["status"] != Status.LOST]
        points += len(seen)
        regions = np.unique(seen[["frame", "roi"]])["roi"]  # however many animals of it
        for number, count in zip(*np.unique(regions, return_counts=True), strict=True):
            counts[int(number)] = counts.get(int(number), 0) + int(count)
    return Seen(points, {number: count / max(1, frames) for number, count in counts.items()})


def mean_share(found: Mapping[int, float]) -> float:
    """Return the mean over regions, see `Seen.found`; 0 if there are none."""
    return statistics.fmean(found.values()) if found else 0.0


def share_text(share: float, digits: int = 1) -> str:
    """Return a share, 0 to 1, in percent; cut, not rounded, so that only the whole is 100 %."""
    scale = 10**digits
    count = math.floor(share * 100 * scale + 1e-9)  # 0.57 times 100 is a little less than 57
    return f"{count / scale:.{digits}f}%"
