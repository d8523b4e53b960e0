"""Cameras, and the recorder that hands their frames to sinks.

`open_camera("simulated")` gives a camera, `frames(camera)` its frames, `Recorder` writes them down.
"""

from hardware.address import without_secrets
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
    HardwareError,
    SettingError,
    SourceError,
)
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
    "FoundCamera",
    "HardwareError",
    "RecordLimit",
    "RecordProgress",
    "RecordSummary",
    "Recorder",
    "SettingError",
    "SimulatedCamera",
    "SourceError",
    "frames",
    "open_camera",
    "without_secrets",
]
