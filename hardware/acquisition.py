"""The thread that reads a camera, through silence and unplugging, and the bounded queue behind it."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Literal, TypeAlias

from hardware.camera import Camera
from hardware.clock import WallClock
from hardware.errors import CameraTimeoutError, CaptureError, HardwareError, SettingError
from hardware.frame import CameraFrame
from hardware.losses import Cause, Loss, Note, add_loss
from hardware.numbering import Numbering
from imgstore import FrameSink, FrameSpec

CameraState: TypeAlias = Literal["running", "lost", "ended"]

_POLL_S = 0.1  # no operation on the queue or the camera waits longer before it looks whether to stop
_FIRST_PAUSE_S = 0.25  # before a lost camera is started again; twice as long after each failure
_LONGEST_PAUSE_S = 5.0
_CLOCK_INTERVAL_S = 1.0
_CLOCK_STEP_S = 0.05  # what the clocks differ by without anybody having set one
_NICENESS = -10  # of the thread: the camera waits for nobody, all others can wait for a moment
_ANSWER_S = 10.0  # that a camera may take to let go of the thread
_STUCK_S = 15.0  # in one and the same read, which should take a tenth of a second; drivers have limits of ten


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in the queue.

    Attributes
    ----------
    frame : None where there is only what happened.
    losses, notes : what was lost, and what else happened, between the frame before and this one.
    """

    frame: CameraFrame | None
    losses: tuple[Loss, ...] = ()
    notes: tuple[Note, ...] = ()


class Acquisition:
    """Reads a started camera into a queue, and starts it again when it is lost.

    A live camera is never waited for: if the queue is full its frame is lost, and counted. Any other waits.

    Parameters
    ----------
    camera : its owner starts it before and stops it after.
    queue_frames : how many frames wait at most.
    silence_s : seconds without a frame after which a live camera is taken for lost, and any other for dead.
    give_up_s : seconds after which a lost camera is given up, None for never.
    taps : sinks that get every frame in the thread itself, before the queue: they must not wait.
    drop_cause : says what is in the way when the queue is full.
    wall : the clock of the recording; None for one that begins now.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        queue_frames: int,
        silence_s: float,
        give_up_s: float | None = None,
        taps: Sequence[FrameSink] = (),
        drop_cause: Callable[[], Cause] = lambda: "queue",
        wall: WallClock | None = None,
    ) -> None:
        self._camera = camera
        self._silence_s = silence_s
        self._give_up_s = give_up_s
        self._taps = taps
        self._drop_cause = drop_cause
        self._queue: Queue[Entry] = Queue(queue_frames)
        self._numbering = Numbering(None)
        self._losses: list[Loss] = []
        self._notes: list[Note] = []
        self._wall = wall or WallClock()
        self._clock_looked_at = 0.0
        self._clock_step = 0.0
        self._lost_since: float | None = None
        self._reads = 0  # how often the camera was asked for a frame
        self._reading: int | None = None  # which of these it has not answered yet
        self._asked_to_stop_at: float | None = None
        self._stop = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="acquisition", daemon=True)
        self._spec: FrameSpec | None = None
        self.error: Exception | None = None
        self.tap_error: Exception | None = None
        self.is_stuck = False
        self.state: CameraState = "running"
        self.taken = 0

    @property
    def queued(self) -> int:
        """Frames that wait."""
        return self._queue.qsize()

    @property
    def wall(self) -> WallClock:
        """The clock of the recording, which no setting of the system's bends."""
        return self._wall

    def start(self) -> None:
        """Begin to read; the camera is started."""
        self._spec = self._camera.spec
        self._numbering = Numbering(self._camera.rate)
        self._thread.start()

    def request_stop(self) -> None:
        """Let no more frames in."""
        if self._asked_to_stop_at is None:
            self._asked_to_stop_at = time.monotonic()
        self._stop.set()

    def stop(self) -> None:
        """Wait for the thread. Raises CameraTimeoutError if the camera does not let go of it."""
        self.request_stop()
        if self._thread.ident is None:
            return  # it was never started
        self._thread.join(0 if self.is_stuck else self._patience_left())
        if self._thread.is_alive():
            self.is_stuck = True
            raise self.error or _stuck_error(_ANSWER_S)

    def entries(self) -> Iterator[Entry | None]:
        """Yield what is queued, in order, until the thread has ended and all is given; None to wait for more.

        Once the thread was asked to stop it is not waited for longer than the camera may take; nor is a
        camera that does not come back from one read, which is an `error` then.
        """
        idle = _Idle()
        while True:
            finished = self._done.is_set()  # looked at before the queue: nothing comes in after it
            try:
                yield self._queue.get(block=not finished, timeout=_POLL_S)
            except Empty:
                if finished:
                    break
                stuck_s = idle.looked(self._reading)
                if self._patience_left() <= 0 or stuck_s > max(self._silence_s, _STUCK_S):
                    self._abandon(max(stuck_s, _ANSWER_S))
                    break
                yield None
        if self._losses or self._notes:
            yield self._entry(None)

    def _patience_left(self) -> float:
        """Return how many more seconds the camera may take to let go of the thread."""
        if self._asked_to_stop_at is None:
            return _ANSWER_S
        return max(self._asked_to_stop_at + _ANSWER_S - time.monotonic(), 0)

    def _abandon(self, seconds: float) -> None:
        """Give up a thread that is stuck in the camera, for so long: nothing ends it but the process' end."""
        self._stop.set()
        self.is_stuck = True
        self.state = "lost"
        self.error = _stuck_error(seconds)
        self._note("camera_lost", reason=str(self.error))
        self._lose_rest()

    def _lose_rest(self) -> None:
        """Note what a live camera that is away would have given from its last frame to the end."""
        ended = time.monotonic() if self._asked_to_stop_at is None else self._asked_to_stop_at
        missed = self._numbering.missed_until(int(ended * 1e9))
        if self._camera.live and missed is not None:
            add_loss(self._losses, missed)

    def _run(self) -> None:
        _go_first()
        try:
            while (frame := self._next()) is not None:
                self._take(frame)
        except Exception as exc:  # noqa: BLE001  # raised by the recorder, in the caller's thread
            self.error = exc
        finally:
            if self._lost_since is not None and not self.is_stuck:
                self._lose_rest()
            self.state = "ended"
            self._done.set()

    def _next(self) -> CameraFrame | None:
        """Return the next frame, None at the end or when asked to stop."""
        waits_since = time.monotonic()
        while not self._stop.is_set():
            self._watch_clock()
            self._reads = self._reading = self._reads + 1
            try:
                return self._camera.read(_POLL_S)
            except CameraTimeoutError as exc:
                if time.monotonic() - waits_since < self._silence_s:
                    continue
                lost: HardwareError = exc
            except CaptureError as exc:
                lost = exc
            finally:
                self._reading = None
            if not self._camera.live:
                raise lost
            self._restart(lost)
            waits_since = time.monotonic()
        return None

    def _restart(self, lost: HardwareError) -> None:
        """Start the camera until it starts. Raises CaptureError once it is given up."""
        self.state = "lost"
        since = self._lost_since or time.monotonic()
        self._note("camera_lost", reason=str(lost))
        if not self._queue.full():
            self._queue.put_nowait(self._entry(None))  # written down now: it may never come back
        if self._lost_since is not None:  # it was started, and gave nothing
            self._check_patience(since, lost, lost)
        self._lost_since = since
        pause = _FIRST_PAUSE_S
        with suppress(HardwareError):
            self._camera.stop()
        while not self._stop.wait(pause):
            self._watch_clock()
            try:
                self._camera.start()
                self._check_spec()
            except HardwareError as exc:
                with suppress(HardwareError):
                    self._camera.stop()
                self._check_patience(since, lost, exc)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            self._numbering.restart(self._camera.rate, self._wall.step())
            self._note("camera_back", after_s=round(time.monotonic() - since, 3))
            self.state = "running"
            return

    def _check_patience(self, since: float, lost: HardwareError, error: HardwareError) -> None:
        after_s = time.monotonic() - since
        if self._give_up_s is not None and after_s >= self._give_up_s:
            raise CaptureError(
                f"the camera was lost ({lost}) and not back after {after_s:.0f} s: {error}"
            ) from error

    def _check_spec(self) -> None:
        if self._camera.spec != self._spec:
            raise SettingError(
                f"the camera came back with other frames: {self._camera.spec}, not {self._spec}"
            )

    def _take(self, frame: CameraFrame) -> None:
        placed, lost = self._numbering.place(frame)
        self.taken += 1
        self._lost_since = None
        if lost is not None:
            add_loss(self._losses, lost)
        if placed.incomplete:
            add_loss(self._losses, Loss.of("buffer", placed))
            return
        self._show(placed)
        if self._camera.live:
            self._put_at_once(placed)
        else:
            self._put_waiting(placed)

    def _show(self, frame: CameraFrame) -> None:
        """Give a frame to the taps. One that fails gets no more: a recording does not end for its viewers."""
        for tap in self._taps:
            try:
                tap.append(frame)
            except Exception as exc:  # noqa: BLE001  # raised by the recorder, when it has ended
                self._taps = [other for other in self._taps if other is not tap]
                self.tap_error = self.tap_error or exc
                self._note("tap_failed", reason=str(exc))

    def _put_at_once(self, frame: CameraFrame) -> None:
        if self._queue.full():  # nobody else puts anything in
            add_loss(self._losses, Loss.of(self._drop_cause(), frame))
        else:
            self._queue.put_nowait(self._entry(frame))

    def _put_waiting(self, frame: CameraFrame) -> None:
        entry = self._entry(frame)
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=_POLL_S)
            except Full:
                continue
            return
        self._losses += entry.losses  # the frame is of after the end, but not what was lost before it
        self._notes += entry.notes

    def _entry(self, frame: CameraFrame | None) -> Entry:
        """Return what goes into the queue, with all that happened since the last."""
        losses, self._losses = tuple(self._losses), []
        notes, self._notes = tuple(self._notes), []
        return Entry(frame, losses, notes)

    def _note(self, kind: str, **detail: object) -> None:
        self._notes.append(Note(self._wall.now(), kind, detail))

    def _watch_clock(self) -> None:
        """Note when the system's clock was set."""
        now = time.monotonic()
        if now - self._clock_looked_at < _CLOCK_INTERVAL_S:
            return
        self._clock_looked_at = now
        step = self._wall.step()
        if abs(step - self._clock_step) > _CLOCK_STEP_S:
            self._note("clock_step", seconds=round(step - self._clock_step, 6))
            self._clock_step = step


class _Idle:
    """Counts for how long a camera has been in one and the same read.

    It adds up waits that were served, not the time that passed: in a process that was stopped as a whole,
    or got no processor, nobody is stuck.
    """

    def __init__(self) -> None:
        self._reading: int | None = None
        self._waits = 0

    def looked(self, reading: int | None) -> float:
        """Return for how many seconds the camera has been in a read; which it is, None if in none."""
        self._waits = self._waits + 1 if reading is not None and reading == self._reading else 0
        self._reading = reading
        return self._waits * _POLL_S


def _stuck_error(seconds: float) -> CameraTimeoutError:
    return CameraTimeoutError(
        f"the camera is stuck: its driver has not answered for {seconds:.0f} s. What came before is in the "
        "store; unplug the camera, plug it in again, and record into a new one"
    )


def _go_first() -> None:
    """Have this thread, and on Linux it alone, served before others, where the system permits it."""
    if sys.platform.startswith("linux"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
