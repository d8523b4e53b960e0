"""Cameras, and the recorder that hands their frames to sinks.

`open_camera("simulated")` gives a camera, `frames(camera)` its frames, `Recorder` writes them down.
"""

from hardware.camera import (
    CAMERAS,
    FINDERS,
    SOURCES,
    Camera,
    CameraFinder,
    CameraIdentity,
    CameraMaker,
    CameraSettings,
    FoundCamera,
    frames,
    open_camera,
)
from hardware.cameras.simulated import SimulatedCamera
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    FeedDiedError,
    FeedError,
    FeedInUseError,
    FeedNotFoundError,
    FeedSpaceError,
    HardwareError,
    SettingError,
    SourceError,
)
from hardware.feed.reader import FeedReader
from hardware.feed.segment import FeedInfo, find_feeds, remove_stale_feeds
from hardware.feed.writer import FeedWriter
from hardware.frame import CameraFrame
from hardware.recorder import Recorder, RecordLimit, RecordProgress, RecordSummary

__all__ = [
    "CAMERAS",
    "FINDERS",
    "SOURCES",
    "Camera",
    "CameraFinder",
    "CameraFrame",
    "CameraIdentity",
    "CameraMaker",
    "CameraNotFoundError",
    "CameraSettings",
    "CameraStateError",
    "CameraTimeoutError",
    "CaptureError",
    "FeedDiedError",
    "FeedError",
    "FeedInUseError",
    "FeedInfo",
    "FeedNotFoundError",
    "FeedReader",
    "FeedSpaceError",
    "FeedWriter",
    "FoundCamera",
    "HardwareError",
    "RecordLimit",
    "RecordProgress",
    "RecordSummary",
    "Recorder",
    "SettingError",
    "SimulatedCamera",
    "SourceError",
    "find_feeds",
    "frames",
    "open_camera",
    "remove_stale_feeds",
]
