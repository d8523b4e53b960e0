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
from hardware.cameras.replay import ReplayCamera, ReplayOptions
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
from hardware.faults import Exposures, Faults
from hardware.frame import CameraFrame
from hardware.pattern import Pattern, read_number
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
    "Exposures",
    "Faults",
    "FoundCamera",
    "HardwareError",
    "Pattern",
    "RecordLimit",
    "RecordProgress",
    "RecordSummary",
    "Recorder",
    "ReplayCamera",
    "ReplayOptions",
    "SettingError",
    "SimulatedCamera",
    "SourceError",
    "frames",
    "open_camera",
    "read_number",
]
