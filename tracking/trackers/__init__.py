"""Trackers: from frames to points. One file each, and this table."""

from imgstore import Registry
from tracking.trackers.base import Detections, SplitTracker, Tracker, TrackerFactory

TRACKERS: Registry[TrackerFactory] = Registry(
    "tracker", {"archive": "tracking.trackers.archive:open_archive"}
)

__all__ = ["TRACKERS", "Detections", "SplitTracker", "Tracker", "TrackerFactory"]
