"""The rig file: which cameras are recorded, where to, when, and until when. Opens no device."""

from hardware.rig.example import EXAMPLE_RIG
from hardware.rig.jobs import rig_jobs
from hardware.rig.reader import RigFile, RigFileError, RigProblem, load_rig, parse_rig, read_rig, try_cameras
from hardware.rig.schedule import DailyWindow, Schedule, Window, next_window
from hardware.rig.spec import CameraSpec, Limits, QueueSize, RigSpec

__all__ = [
    "EXAMPLE_RIG",
    "CameraSpec",
    "DailyWindow",
    "Limits",
    "QueueSize",
    "RigFile",
    "RigFileError",
    "RigProblem",
    "RigSpec",
    "Schedule",
    "Window",
    "load_rig",
    "next_window",
    "parse_rig",
    "read_rig",
    "rig_jobs",
    "try_cameras",
]
