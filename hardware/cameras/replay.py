"""A recording that plays the part of a camera: a video file, or a store."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

import imgstore
from hardware.camera import CameraIdentity, CameraSettings
from hardware.clock import Pace, skip_missed
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CameraTimeoutError,
    SettingError,
    SourceError,
)
from hardware.frame import CameraFrame
from hardware.options import about, parse_options
from imgstore import FrameSequence, FrameSpec, ImgstoreError, open_video

_PERIOD_FRAMES = 1000  # a pause of hours would spoil the mean


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Settings of a recording that is played."""

    speed: float | None = field(
        default=None,
        metadata=about("frames come so many times as fast as they were recorded", values="above 0, to 1e6"),
    )
    stepwise: bool = field(default=False, metadata=about("frames come only when step() lets them"))
    loop: bool = field(default=False, metadata=about("begin again at the end, for ever"))

    def __post_init__(self) -> None:
        if self.speed is not None and not 0 < self.speed <= 1e6:
            raise SettingError(f"speed of a recording is above 0 and at most 1e6, not {self.speed}")
        if self.stepwise and self.speed is not None:
            raise SettingError("a recording is played with a speed or stepwise, not both")


RecordingOpener: TypeAlias = Callable[[float | None], FrameSequence]
"""Opens a recording; takes the time of the first frame that was asked for. Raises ImgstoreError."""


def open_replay(address: str, settings: CameraSettings) -> "ReplayCamera":
    """Make the camera of `video:PATH`."""
    path = _path_of("video", "recording.mp4", address)

    def open_file(start_time: float | None) -> FrameSequence:
        began = time.time() if start_time is None else start_time
        return open_video(path, colour=settings.colour, start_time=began)

    return _make_replay(CameraIdentity("video", path.name), open_file, settings, "a video file")


def open_store_replay(address: str, settings: CameraSettings) -> "ReplayCamera":
    """Make the camera of `store:PATH`."""
    path = _path_of("store", "recording.store", address)

    def open_folder(start_time: float | None) -> FrameSequence:  # a store knows its times
        store = imgstore.open(path)
        if store.spec.is_colour == settings.colour:
            return store
        store.close()
        if settings.colour:
            raise SettingError(f"{path} holds frames of shape {store.spec.shape}; leave the colour away")
        return imgstore.open(path, grey=True)

    return _make_replay(CameraIdentity("store", path.name), open_folder, settings, "a store")


def _path_of(kind: str, example: str, address: str) -> Path:
    if not address:
        raise SourceError(f"{kind}: needs a path, as in {kind}:{example}")
    return Path(address).expanduser()


def _make_replay(
    identity: CameraIdentity, opener: RecordingOpener, settings: CameraSettings, who: str
) -> "ReplayCamera":
    settings.allow(who, "colour", "realtime", "start_time", "options")
    options = parse_options(ReplayOptions, settings.options, who)
    if options.stepwise and settings.realtime:
        raise SettingError("a recording is played in real time or stepwise, not both")
    return ReplayCamera(
        identity, opener, realtime=settings.realtime, start_time=settings.start_time, options=options
    )


class ReplayCamera:
    """Plays a recording: as fast as it is read, at its own pace, faster, or frame by frame.

    Gaps in the numbers of a store are lost frames here, too, and its numbers are the device's. Times are
    those of the store, or if `start_time` is given moved so that the first is that. Their distances are
    never changed, however fast it is played.

    Parameters
    ----------
    identity : which recording it is.
    open_recording : opens it.
    realtime : frames come when the recording's own times say, and a reader who is late misses some.
    start_time : time of the first frame, seconds since the Unix epoch; None for that of a store, and for
        the moment of `start` for a video.
    options : speed, which plays in real time, steps and loop.
    """

    def __init__(
        self,
        identity: CameraIdentity,
        open_recording: RecordingOpener,
        *,
        realtime: bool = False,
        start_time: float | None = None,
        options: ReplayOptions | None = None,
    ) -> None:
        self._identity = identity
        self._open_recording = open_recording
        self._options = options or ReplayOptions()
        self._realtime = realtime or self._options.speed is not None
        self._start_time = start_time
        self._playing: _Playing | None = None
        self._pace = Pace()
        self._steps = threading.Semaphore(0)

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames; known once it is started."""
        return self._running().frames.spec

    @property
    def live(self) -> bool:
        """Whether frames come at the recording's own pace."""
        return self._realtime

    @property
    def rate(self) -> float | None:
        """Frames per second, as of most of the first ones; None for a single frame."""
        period = self._running().period
        return None if period is None else self._speed / period

    @property
    def identity(self) -> CameraIdentity:
        """Which recording it is."""
        return self._identity

    @property
    def given(self) -> Mapping[str, object]:
        """Speed, if it is not its own; the rest is as it was recorded."""
        return {} if self._options.speed is None else {"speed": self._options.speed}

    def start(self) -> None:
        """Open the recording. Raises CameraNotFoundError if it cannot be read."""
        if self._playing is not None:
            raise CameraStateError(f"{self._identity.model} plays already; stop it first")
        try:
            frames = self._open_recording(self._start_time)
        except ImgstoreError as exc:
            raise CameraNotFoundError(str(exc)) from exc
        self._playing = _Playing(frames, self._start_time, loop=self._options.loop)
        self._steps = threading.Semaphore(0)
        self._pace = Pace(self._speed)

    def step(self, frames: int = 1) -> None:
        """Let `frames` more frames come; call it from any thread.

        Raises CameraStateError if it is not played stepwise, or not at all.
        """
        self._running()
        if not self._options.stepwise:
            raise CameraStateError(f"{self._identity.model} is not played with the option stepwise")
        self._steps.release(frames)

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame, or None at the end of the recording."""
        playing = self._running()
        if playing.ended:
            return None
        if self._options.stepwise and not self._steps.acquire(timeout=max(timeout, 0)):
            raise CameraTimeoutError(f"no frame within {timeout:g} s: step() lets the next one come")
        if self._realtime:
            self._await_next(playing, timeout)
        try:
            return playing.take()
        except ImgstoreError as exc:
            raise CameraNotFoundError(f"{exc}; what comes after it is not played") from exc

    def stop(self) -> None:
        """Close the recording. Does nothing if it is closed."""
        if self._playing is not None:
            self._playing.frames.close()
            self._playing = None

    @property
    def _speed(self) -> float:
        return self._options.speed or 1.0

    def _await_next(self, playing: "_Playing", timeout: float) -> None:
        """Wait for the next frame that is due, and pass over those that the reader missed."""
        behind = playing.due_after_next(self._pace.elapsed)
        for _ in range(skip_missed(0, behind)):
            playing.skip()
        self._pace.wait(playing.due, timeout)

    def _running(self) -> "_Playing":
        if self._playing is None:
            raise CameraStateError(f"{self._identity.model} is not open; start the camera first")
        return self._playing


class _Playing:
    """A recording, and how far it is played.

    Parameters
    ----------
    frames : of the recording.
    start_time : of the first frame; None to keep its time.
    loop : whether it begins again at its end.
    """

    def __init__(self, frames: FrameSequence, start_time: float | None, *, loop: bool) -> None:
        self.frames = frames
        self._loop = loop
        self._numbers, self._times = frames.numbers, frames.times
        self._count = len(frames)
        self._first = float(self._times[0]) if self._count else 0.0
        self._shift = 0.0 if start_time is None else start_time - self._first
        period = self.period
        self._round_s = (float(self._times[-1]) - self._first + (period or 0.0)) if self._count else 0.0
        self._round = 0
        self._next = 0
        self._number = 0  # of the next frame
        self._taken_number = -1
        self._index = 0

    @property
    def period(self) -> float | None:
        """Seconds from frame to frame, as of most of the first ones; None if that is not known."""
        period = float(np.median(np.diff(self._times[:_PERIOD_FRAMES]))) if self._count > 1 else 0.0
        return period if period > 0 else None

    @property
    def ended(self) -> bool:
        """Whether there is no next frame."""
        return self._next >= self._count

    @property
    def due(self) -> float:
        """When the next frame comes, in seconds after the first."""
        return float(self._times[self._next]) - self._first + self._round * self._round_s

    def due_after_next(self, elapsed: float) -> int:
        """Return how many frames of this round after the next are due `elapsed` seconds after the first."""
        last = self._next
        moment = elapsed - self._round * self._round_s + self._first
        while last + 1 < self._count and self._times[last + 1] <= moment:
            last += 1
        return last - self._next

    def take(self) -> CameraFrame:
        """Return the next frame and go on to the one after it."""
        frame = self.frames[self._next]
        taken = CameraFrame(
            image=frame.image,
            index=self._index,
            number=self._number,
            time=frame.time + self._shift + self._round * self._round_s,
            arrived_ns=time.monotonic_ns(),
            device_number=frame.number,
            lost=self._number - self._taken_number - 1,
        )
        self._taken_number = self._number
        self._index += 1
        self.skip()
        return taken

    def skip(self) -> None:
        """Go on to the frame after the next."""
        before, self._next = self._next, self._next + 1
        if not self.ended:
            self._number += max(int(self._numbers[self._next]) - int(self._numbers[before]), 1)
            return
        self._number += 1
        if self._loop:
            self._next = 0
            self._round += 1
