"""What is asked of a recording, how far it is, and what it came to."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from hardware.acquisition import CameraState
from hardware.disk import DiskState
from hardware.errors import SettingError
from hardware.losses import Cause

StoppedBy: TypeAlias = Literal["end", "limit", "interrupt", "stop", "disk"]
"""The camera had no more frames, a limit was reached, Ctrl-C, the caller's flag, the disk is nearly full."""


DEFAULT_MEMORY = 256_000_000
"""Bytes of frames that may wait to be written."""


class StopFlag(Protocol):
    """Something to ask whether to stop: a `threading.Event`, or anything like it."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RecordLimit:
    """When a recording is complete; None for never.

    Attributes
    ----------
    frames : how many are written at most.
    seconds : by the times of the frames: those less than this after the first are written.
    bytes : size of what is written, looked at once a second.
    until : seconds since the Unix epoch; only frames before it are written.
    """

    frames: int | None = None
    seconds: float | None = None
    bytes: int | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise SettingError(f"a recording has at least one frame, not {self.frames}")
        if self.seconds is not None and not self.seconds > 0:
            raise SettingError(f"a recording lasts more than 0 seconds, not {self.seconds}")
        if self.bytes is not None and self.bytes < 1:
            raise SettingError(f"a recording has at least one byte, not {self.bytes}")
        if self.until is not None and not math.isfinite(self.until):
            raise SettingError(f"a recording ends at a time in seconds since 1970, not {self.until}")


@dataclass(frozen=True, slots=True)
class Saving:
    """When frames are written.

    Attributes
    ----------
    at_once : from the first frame; else when `Recorder.start_saving` is called, or at `start_at`.
    start_at : seconds since the Unix epoch; frames before it are not written.
    pre_trigger_s : how many seconds of frames from before it starts are written too. They are kept in
        memory, no more than the queue may hold.
    """

    at_once: bool = True
    start_at: float | None = None
    pre_trigger_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.pre_trigger_s >= 0:
            raise SettingError(f"the frames of 0 seconds or more are kept, not of {self.pre_trigger_s}")


@dataclass(frozen=True, slots=True)
class RecordProgress:
    """How far a recording is.

    Attributes
    ----------
    frames : written.
    taken : that came from the camera, saved or not.
    seconds : since the start, by the clock on the wall.
    rate : frames written per second, over the last seconds.
    camera_rate : frames that came from the camera per second, over the last seconds.
    time : of the last frame written, seconds since the Unix epoch; None before the first.
    lost : how many frames each cause lost while saving.
    queued, queue_frames : frames that wait to be written, and how many may.
    saving : whether frames are being written.
    camera : whether it runs, is lost, or has ended.
    disk : free space and how long it lasts; None if it is not looked after.
    """

    frames: int
    taken: int
    seconds: float
    rate: float
    camera_rate: float
    time: float | None
    lost: Mapping[Cause, int]
    queued: int
    queue_frames: int
    saving: bool
    camera: CameraState
    disk: DiskState | None

    @property
    def dropped(self) -> int:
        """How many frames were lost, whatever the cause."""
        return sum(self.lost.values())


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What a recording came to: `captured == frames + dropped`, whether or not that could be written down.

    Attributes
    ----------
    frames : written, into all stores, and kept by their disks.
    lost : how many frames each cause lost while saving.
    seconds : from the start to the end, by the clock on the wall.
    stopped_by : why it ended; None if something failed.
    unwritten : how many events, gaps among them, could not be written down.
    """

    frames: int
    seconds: float
    lost: Mapping[Cause, int]
    stopped_by: StoppedBy | None
    unwritten: int = 0

    @property
    def dropped(self) -> int:
        """How many frames were lost, whatever the cause."""
        return sum(self.lost.values())

    @property
    def captured(self) -> int:
        """How many frames the camera counted while saving."""
        return self.frames + self.dropped


ProgressCallback: TypeAlias = Callable[[RecordProgress], None]
