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
    HardwareError,
    SettingError,
    SourceError,
)
from hardware.frame import CameraFrame
from hardware.node_file import (
    LoadedNodes,
    NodeFault,
    NodeFile,
    compare_nodes,
    dump_nodes,
    load_nodes,
    read_node_file,
    write_node_file,
)
from hardware.nodes import NodeCamera, NodeEntry, NodeMap
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
    "LoadedNodes",
    "NodeCamera",
    "NodeEntry",
    "NodeFault",
    "NodeFile",
    "NodeMap",
    "RecordLimit",
    "RecordProgress",
    "RecordSummary",
    "Recorder",
    "SettingError",
    "SimulatedCamera",
    "SourceError",
    "compare_nodes",
    "dump_nodes",
    "frames",
    "load_nodes",
    "open_camera",
    "read_node_file",
    "write_node_file",
]
