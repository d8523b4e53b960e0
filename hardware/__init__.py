"""Cameras, and the recorder that hands their frames to sinks.

`open_camera("simulated")` gives a camera, `frames(camera)` its frames, `Recorder` writes them down.
"""

from hardware.callback import Callback, FrameFunction, as_record, find_function
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
from hardware.disk import DiskGuard, DiskState, FolderMeter
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
from hardware.job import CameraJob
from hardware.losses import CAUSES, Cause, EventSink
from hardware.recorder import Recorder
from hardware.recording import RecordLimit, RecordProgress, RecordSummary, Saving
from hardware.rig_recorder import Outcome, RigRecorder
from hardware.store_sink import StoreSink, StoreSpec

__all__ = [
    "CAMERAS",
    "CAUSES",
    "FINDERS",
    "SOURCES",
    "Callback",
    "Camera",
    "CameraFinder",
    "CameraFrame",
    "CameraIdentity",
    "CameraJob",
    "CameraMaker",
    "CameraNotFoundError",
    "CameraSettings",
    "CameraStateError",
    "CameraTimeoutError",
    "CaptureError",
    "Cause",
    "DiskGuard",
    "DiskState",
    "EventSink",
    "FolderMeter",
    "FoundCamera",
    "FrameFunction",
    "HardwareError",
    "Outcome",
    "RecordLimit",
    "RecordProgress",
    "RecordSummary",
    "Recorder",
    "RigRecorder",
    "Saving",
    "SettingError",
    "SimulatedCamera",
    "SourceError",
    "StoreSink",
    "StoreSpec",
    "as_record",
    "find_function",
    "frames",
    "open_camera",
]
