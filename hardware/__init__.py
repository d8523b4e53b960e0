"""Cameras, and the recorder that hands their frames to sinks.

`open_camera("simulated")` gives a camera, `frames(camera)` its frames, `Recorder` writes them down.
"""

from hardware.address import without_secrets
from hardware.callback import Callback, FrameFunction, as_record, find_function
from hardware.callback_process import CallbackProcess
from hardware.camera import (
    CAMERAS,
    FINDERS,
    OPTIONS,
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
from hardware.checks import (
    LEVELS,
    CheckResult,
    CodecSpeed,
    Level,
    Machine,
    RecordingPlan,
    examine,
    existing_parent,
)
from hardware.discovery import CameraSearch, find_cameras
from hardware.disk import DiskGuard, DiskState, FolderMeter
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    DiskFullError,
    FeedDiedError,
    FeedError,
    FeedInUseError,
    FeedNotFoundError,
    FeedSpaceError,
    FolderClosedError,
    HardwareError,
    SettingError,
    SourceError,
)
from hardware.faults import Exposures, Faults
from hardware.feed.pulse import FeedPulse, look_at_feed
from hardware.feed.reader import FeedReader
from hardware.feed.segment import FeedInfo, find_feeds, remove_stale_feeds
from hardware.feed.writer import FeedWriter
from hardware.frame import CameraFrame
from hardware.job import CameraJob
from hardware.losses import CAUSES, Cause, EventSink
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
from hardware.options import CameraOption, describe_options
from hardware.overlay import caption, frame_text
from hardware.pattern import Pattern, read_number
from hardware.place import check_place
from hardware.recorder import Recorder
from hardware.recording import RecordLimit, RecordProgress, RecordSummary, Saving
from hardware.rig import (
    EXAMPLE_RIG,
    CameraSpec,
    DailyWindow,
    Limits,
    QueueSize,
    RigFile,
    RigFileError,
    RigProblem,
    RigSpec,
    Schedule,
    Window,
    load_rig,
    next_window,
    parse_rig,
    read_rig,
    rig_jobs,
    try_cameras,
)
from hardware.rig_recorder import Outcome, RigRecorder
from hardware.store_sink import StoreSink, StoreSpec

__all__ = [
    "CAMERAS",
    "CAUSES",
    "EXAMPLE_RIG",
    "FINDERS",
    "LEVELS",
    "OPTIONS",
    "SOURCES",
    "Callback",
    "CallbackProcess",
    "Camera",
    "CameraFinder",
    "CameraFrame",
    "CameraIdentity",
    "CameraJob",
    "CameraMaker",
    "CameraNotFoundError",
    "CameraOption",
    "CameraSearch",
    "CameraSettings",
    "CameraSpec",
    "CameraStateError",
    "CameraTimeoutError",
    "CaptureError",
    "Cause",
    "CheckResult",
    "CodecSpeed",
    "DailyWindow",
    "DiskFullError",
    "DiskGuard",
    "DiskState",
    "EventSink",
    "Exposures",
    "Faults",
    "FeedDiedError",
    "FeedError",
    "FeedInUseError",
    "FeedInfo",
    "FeedNotFoundError",
    "FeedPulse",
    "FeedReader",
    "FeedSpaceError",
    "FeedWriter",
    "FolderClosedError",
    "FolderMeter",
    "FoundCamera",
    "FrameFunction",
    "HardwareError",
    "Level",
    "Limits",
    "LoadedNodes",
    "Machine",
    "NodeCamera",
    "NodeEntry",
    "NodeFault",
    "NodeFile",
    "NodeMap",
    "Outcome",
    "Pattern",
    "QueueSize",
    "RecordLimit",
    "RecordProgress",
    "RecordSummary",
    "Recorder",
    "RecordingPlan",
    "ReplayCamera",
    "ReplayOptions",
    "RigFile",
    "RigFileError",
    "RigProblem",
    "RigRecorder",
    "RigSpec",
    "Saving",
    "Schedule",
    "SettingError",
    "SimulatedCamera",
    "SourceError",
    "StoreSink",
    "StoreSpec",
    "Window",
    "as_record",
    "caption",
    "check_place",
    "compare_nodes",
    "describe_options",
    "dump_nodes",
    "examine",
    "existing_parent",
    "find_cameras",
    "find_feeds",
    "find_function",
    "frame_text",
    "frames",
    "load_nodes",
    "load_rig",
    "look_at_feed",
    "next_window",
    "open_camera",
    "parse_rig",
    "read_node_file",
    "read_number",
    "read_rig",
    "remove_stale_feeds",
    "rig_jobs",
    "try_cameras",
    "without_secrets",
    "write_node_file",
]
