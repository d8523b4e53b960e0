"""A video file that plays the part of a camera."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hardware.camera import CameraIdentity, CameraSettings
from hardware.clock import Pace, skip_missed
from hardware.errors import CameraNotFoundError, CameraStateError, CaptureError, SourceError
from hardware.frame import CameraFrame
from imgstore import FrameSequence, FrameSpec, VideoError, open_video


def open_replay(address: str, settings: CameraSettings) -> "ReplayCamera":
    """Make the camera of `video:PATH`."""
    if not address:
        raise SourceError("video: needs the path of a file, as in video:recording.mp4")
    settings.allow("a video file", "colour", "realtime", "start_time")
    return ReplayCamera(
        Path(address).expanduser(),
        colour=settings.colour,
        realtime=settings.realtime,
        start_time=settings.start_time,
    )


class ReplayCamera:
    """Plays a video file once.

    Parameters
    ----------
    path : the file.
    colour : give blue, green and red, else grey.
    realtime : frames come when the file's own times say, and a reader who is late misses some.
    start_time : time of the first frame, seconds since the Unix epoch; None for the moment of `start`.
    """

    def __init__(self, path: Path, *, colour: bool, realtime: bool, start_time: float | None) -> None:
        self._path = path
        self._colour = colour
        self._realtime = realtime
        self._start_time = start_time
        self._video: FrameSequence | None = None
        self._pace = Pace()
        self._next = 0
        self._count = 0

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames; known once it is started."""
        return self._running().spec

    @property
    def live(self) -> bool:
        """Whether frames come at the file's own pace."""
        return self._realtime

    @property
    def rate(self) -> float | None:
        """Frames per second, on average; None for a single frame."""
        times = self._running().times
        return (len(times) - 1) / float(times[-1] - times[0]) if times[-1:] > times[:1] else None

    @property
    def identity(self) -> CameraIdentity:
        """Which file it is."""
        return CameraIdentity("video", self._path.name)

    @property
    def given(self) -> Mapping[str, object]:
        """Nothing: a file is as it is."""
        return {}

    def start(self) -> None:
        """Open the file. Raises CameraNotFoundError if it cannot be read."""
        if self._video is not None:
            raise CameraStateError(f"{self._path} plays already; stop it first")
        start_time = time.time() if self._start_time is None else self._start_time
        try:
            self._video = open_video(self._path, colour=self._colour, start_time=start_time)
        except VideoError as exc:
            raise CameraNotFoundError(str(exc)) from exc
        self._next = self._count = 0
        self._pace = Pace()

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame, or None at the end of the file."""
        video = self._running()
        if self._next >= len(video):
            return None
        number = self._await_next(video, timeout) if self._realtime else self._next
        try:
            frame = video[number]
        except VideoError as exc:
            raise CaptureError(str(exc)) from exc
        taken = CameraFrame(
            image=frame.image,
            index=self._count,
            number=frame.number,
            time=frame.time,
            arrived_ns=time.monotonic_ns(),
            device_number=frame.number,
            lost=number - self._next,
        )
        self._next, self._count = number + 1, self._count + 1
        return taken

    def stop(self) -> None:
        """Close the file. Does nothing if it is closed."""
        if self._video is not None:
            self._video.close()
            self._video = None

    def _await_next(self, video: FrameSequence, timeout: float) -> int:
        """Wait for the next frame that is due, and return its index."""
        due = video.times - video.times[0]
        current = int(np.searchsorted(due, self._pace.elapsed, side="right")) - 1
        number = skip_missed(self._next, current)
        self._pace.wait(float(due[number]), timeout)
        return number

    def _running(self) -> FrameSequence:
        if self._video is None:
            raise CameraStateError(f"{self._path} is not open; start the camera first")
        return self._video
