"""From a camera through a bounded queue to sinks: the one place where threads are started."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Literal, Protocol, TypeAlias

from hardware.camera import Camera
from hardware.errors import CameraTimeoutError, SettingError
from imgstore import Frame, FrameSink, FrameSpec, deferred_interrupt

StoppedBy: TypeAlias = Literal["end", "limit", "interrupt", "stop"]
"""The camera had no more frames, a limit was reached, Ctrl-C, the caller's stop flag."""

_POLL_S = 0.1  # no operation on the queue or the camera waits longer before it looks whether to stop
_REPORT_S = 0.25
_RATE_REPORTS = 20  # reports over which the rate is taken
_LIMIT_SLACK_S = 1e-6  # Unix times are no more exact than that


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
    """

    frames: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise SettingError(f"a recording has at least one frame, not {self.frames}")
        if self.seconds is not None and not self.seconds > 0:
            raise SettingError(f"a recording lasts more than 0 seconds, not {self.seconds}")


@dataclass(frozen=True, slots=True)
class RecordProgress:
    """How far a recording is.

    Attributes
    ----------
    frames : written.
    seconds : since the start, by the clock on the wall.
    rate : frames written per second, over the last seconds.
    time : of the last frame written, seconds since the Unix epoch; None before the first.
    dropped : frames of a live camera for which there was no place in the queue.
    queued : frames that wait to be written.
    """

    frames: int
    seconds: float
    rate: float
    time: float | None
    dropped: int
    queued: int


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What a recording came to.

    Attributes
    ----------
    frames : written.
    seconds : from the start to the end, by the clock on the wall.
    dropped : frames of a live camera for which there was no place in the queue; gaps in `number`.
    stopped_by : why it ended.
    """

    frames: int
    seconds: float
    dropped: int
    stopped_by: StoppedBy


ProgressCallback: TypeAlias = Callable[[RecordProgress], None]
SinkOpener: TypeAlias = Callable[[FrameSpec], Sequence[FrameSink]]


class Recorder:
    """Hands the frames of a camera to sinks.

    A thread reads the camera into a queue; the caller of `run` takes frames out of it. If the queue is full,
    a frame of a live camera is dropped and counted, and any other camera waits.

    Parameters
    ----------
    camera : not started; the recorder starts and stops it.
    open_sinks : makes the sinks once the camera runs and knows its frames; the recorder closes them in this
        order.
    limit : when to end.
    queue_frames : frames that may wait to be written.
    timeout : seconds without a frame after which the camera is taken for dead.
    """

    def __init__(
        self,
        camera: Camera,
        open_sinks: SinkOpener,
        *,
        limit: RecordLimit | None = None,
        queue_frames: int = 64,
        timeout: float = 10.0,
    ) -> None:
        if queue_frames < 1:
            raise SettingError(f"the queue holds at least one frame, not {queue_frames}")
        self._camera = camera
        self._open_sinks = open_sinks
        self._limit = limit or RecordLimit()
        self._queue_frames = queue_frames
        self._timeout = timeout

    def run(self, progress: ProgressCallback | None = None, stop: StopFlag | None = None) -> RecordSummary:
        """Record until a limit is reached, the camera ends, `stop` is set, or Ctrl-C.

        However it ends, frames that were queued by then are written, as far as the limit allows, and all
        sinks are closed. If a sink fails, nothing more is written.

        Parameters
        ----------
        progress : called a few times per second, and at the end.

        Raises
        ------
        HardwareError
            The camera cannot be started, or failed: CameraTimeoutError, CaptureError ...
        Exception
            Whatever a sink raises.
        """
        acquisition = _Acquisition(self._camera, self._queue_frames, self._timeout)
        with deferred_interrupt() as interrupt, ExitStack() as stack:  # which undoes the last first
            self._camera.start()
            stack.callback(self._camera.stop)
            stack.callback(acquisition.stop)
            sinks = list(self._open_sinks(self._camera.spec))
            for sink in reversed(sinks):
                stack.callback(sink.close)
            stack.callback(acquisition.request_stop)
            acquisition.start()
            session = _Session(acquisition, sinks, self._limit, progress)
            stopped_by = session.run({"interrupt": interrupt, "stop": stop})
            if acquisition.error is not None and stopped_by != "limit":
                raise acquisition.error
        return session.summary(stopped_by)


class _Session:
    """The caller's side of one recording."""

    def __init__(
        self,
        acquisition: "_Acquisition",
        sinks: Sequence[FrameSink],
        limit: RecordLimit,
        progress: ProgressCallback | None,
    ) -> None:
        self._acquisition = acquisition
        self._sinks = sinks
        self._limit = limit
        self._progress = progress
        self._began = time.monotonic()
        self._marks = deque([(self._began, 0)], maxlen=_RATE_REPORTS)
        self._first: Frame | None = None
        self._last: Frame | None = None
        self._count = 0

    def run(self, flags: dict[StoppedBy, StopFlag | None]) -> StoppedBy:
        """Write frames until there is a reason to end, then what is queued."""
        stopped_by: StoppedBy = "end"
        try:
            for frame in self._acquisition.frames():
                if not self._write(frame):
                    stopped_by = "limit"
                    break
                self._report()
                raised = [reason for reason, flag in flags.items() if flag is not None and flag.is_set()]
                if raised:
                    stopped_by = raised[0]
                    break
        except KeyboardInterrupt:
            stopped_by = "interrupt"
        self._acquisition.request_stop()
        if stopped_by in ("interrupt", "stop"):
            self._write_rest()
        self._report(last=True)
        return stopped_by

    def summary(self, stopped_by: StoppedBy) -> RecordSummary:
        """Return what the recording came to."""
        seconds = time.monotonic() - self._began
        return RecordSummary(self._count, seconds, self._acquisition.dropped, stopped_by)

    def _write_rest(self) -> None:
        for frame in self._acquisition.frames():
            if not self._write(frame):
                return

    def _write(self, frame: Frame | None) -> bool:
        """Hand `frame`, if it is one, to all sinks; return False once the limit is reached."""
        if frame is None:
            return True
        if self._first is None:
            self._first = frame
        seconds = self._limit.seconds
        if seconds is not None and frame.time - self._first.time >= seconds - _LIMIT_SLACK_S:
            return False
        for sink in self._sinks:
            sink.append(frame)
        self._last = frame
        self._count += 1
        return self._count != self._limit.frames

    def _report(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress is None or not (last or now - self._marks[-1][0] >= _REPORT_S):
            return
        began, frames = self._marks[0]
        rate = (self._count - frames) / (now - began) if now > began else 0.0
        self._marks.append((now, self._count))
        self._progress(
            RecordProgress(
                frames=self._count,
                seconds=now - self._began,
                rate=rate,
                time=None if self._last is None else self._last.time,
                dropped=self._acquisition.dropped,
                queued=self._acquisition.queued,
            )
        )


class _Acquisition:
    """The thread that reads the camera, and the queue between it and the sinks."""

    def __init__(self, camera: Camera, queue_frames: int, timeout: float) -> None:
        self._camera = camera
        self._timeout = timeout
        self._queue: Queue[Frame] = Queue(queue_frames)
        self._stop = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="acquisition", daemon=True)
        self.error: Exception | None = None
        self.dropped = 0

    @property
    def queued(self) -> int:
        """Frames that wait."""
        return self._queue.qsize()

    def start(self) -> None:
        """Begin to read; the camera is started."""
        self._thread.start()

    def request_stop(self) -> None:
        """Let no more frames in."""
        self._stop.set()

    def stop(self) -> None:
        """Wait for the thread. Raises CameraTimeoutError if the camera does not let go of it."""
        self.request_stop()
        if self._thread.ident is None:
            return  # it was never started
        self._thread.join(self._timeout + 2 * _POLL_S)
        if self._thread.is_alive():
            raise CameraTimeoutError(f"the camera did not answer for {self._timeout:g} s; unplug it")

    def frames(self) -> Iterator[Frame | None]:
        """Yield frames in order until the thread has ended and all are given; None while there is none.

        Once the thread was asked to stop it is not waited for longer than the camera may take.
        """
        deadline: float | None = None
        while True:
            finished = self._done.is_set()  # looked at before the queue: nothing comes in after it
            try:
                yield self._queue.get(block=not finished, timeout=_POLL_S)
            except Empty:
                if finished or (deadline is not None and time.monotonic() > deadline):
                    return
                if self._stop.is_set() and deadline is None:
                    deadline = time.monotonic() + self._timeout
                yield None

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and (frame := self._read()) is not None:
                self._put(frame)
        except Exception as exc:  # noqa: BLE001  # raised by the recorder, in the caller's thread
            self.error = exc
        finally:
            self._done.set()

    def _read(self) -> Frame | None:
        """Return the next frame, None at the end or when asked to stop."""
        deadline = time.monotonic() + self._timeout
        while not self._stop.is_set():
            try:
                return self._camera.read(_POLL_S)
            except CameraTimeoutError:
                if time.monotonic() >= deadline:
                    raise
        return None

    def _put(self, frame: Frame) -> None:
        if self._camera.live:
            try:
                self._queue.put_nowait(frame)
            except Full:
                self.dropped += 1
        else:
            self._put_waiting(frame)

    def _put_waiting(self, frame: Frame) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(frame, timeout=_POLL_S)
            except Full:
                continue
            return
