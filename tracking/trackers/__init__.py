"""Trackers: from frames to points. One file each, and this table."""

from imgstore import Registry
from tracking.trackers.base import Detections, SeesSurplus, SplitTracker, Tracker, TrackerFactory, TrackerKind

TRACKERS: Registry[TrackerFactory] = Registry(
    "tracker",
    {
        "archive": "tracking.trackers.archive:ARCHIVE",
        "adaptive": "tracking.trackers.adaptive:ADAPTIVE",
        "difference": "tracking.trackers.difference:DIFFERENCE",
        "external": "tracking.trackers.external:EXTERNAL",
    },
)

__all__ = [
    "TRACKERS",
    "Detections",
    "SeesSurplus",
    "SplitTracker",
    "Tracker",
    "TrackerFactory",
    "TrackerKind",
]
