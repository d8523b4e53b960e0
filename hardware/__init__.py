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
from hardware.checks import LEVELS, CheckResult, CodecSpeed, Level, Machine, RecordingPlan, examine
from hardware.discovery import CameraSearch, find_cameras
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    HardwareError,
    SettingError,
    SourceError,
)
from hardware.frame import CameraFrame
from hardware.recorder import Recorder, RecordLimit, RecordProgress, RecordSummary

__all__ = [
    "CAMERAS",
    "FINDERS",
    "LEVELS",
    "SOURCES",
    "Camera",
    "CameraFinder",
    "CameraFrame",
    "CameraIdentity",
    "CameraMaker",
    "CameraNotFoundError",
    "CameraSearch",
    "CameraSettings",
    "CameraStateError",
    "CameraTimeoutError",
    "CaptureError",
    "CheckResult",
    "CodecSpeed",
    "FoundCamera",
    "HardwareError",
    "Level",
    "Machine",
    "RecordLimit",
    "RecordProgress",
    "RecordSummary",
    "Recorder",
    "RecordingPlan",
    "SettingError",
    "SimulatedCamera",
    "SourceError",
    "examine",
    "find_cameras",
    "frames",
    "open_camera",
]
