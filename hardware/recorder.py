"""From a camera through a bounded queue to sinks, with every frame accounted for."""

import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from queue import SimpleQueue

from hardware.acquisition import Acquisition
from hardware.camera import Camera
from hardware.clock import WallClock
from hardware.disk import DiskGuard
from hardware.errors import SettingError
from hardware.recording import DEFAULT_MEMORY, ProgressCallback, RecordLimit, RecordSummary, Saving, StopFlag
from hardware.session import Command, Session
from hardware.sinks import SinkOpener, Sinks
from imgstore import FrameSpec, deferred_interrupt

_FEWEST_QUEUED = 4


class Recorder:
    """Hands the frames of a camera to sinks.

    A thread reads the camera into a queue; the caller of `run` takes frames out of it. If the queue is full,
    a frame of a live camera is lost and counted, and any other camera waits. A live camera that is silent or
    fails is started again until it is back. Whatever is lost, and all else that happens, is written down by
    those sinks that keep events.

    Parameters
    ----------
    camera : not started; the recorder starts and stops it.
    open_sinks : makes the sinks once the camera runs, knows its frames, and something is to be written; the
        recorder closes them in this order.
    limit : when to end.
    saving : when to write.
    memory : bytes of frames that may wait to be written, or
    queue_frames : how many frames.
    silence_s : seconds without a frame after which the camera is taken for lost.
    give_up_s : seconds after which a lost camera is given up; None for never.
    disk : looks after the disk.
    size : tells the bytes written, for `limit.bytes`.
    open_taps : makes sinks that get every frame at once, saved or not, in the thread that reads the camera:
        a live feed, a callback. They must not wait; the recorder closes them.
    wall : the clock by which it notices that the system's was set; None for one that begins with the object.
    """

    def __init__(
        self,
        camera: Camera,
        open_sinks: SinkOpener,
        *,
        limit: RecordLimit | None = None,
        saving: Saving | None = None,
        memory: int = DEFAULT_MEMORY,
        queue_frames: int | None = None,
        silence_s: float = 5.0,
        give_up_s: float | None = None,
        disk: DiskGuard | None = None,
        size: Callable[[], int] | None = None,
        open_taps: SinkOpener | None = None,
        wall: WallClock | None = None,
    ) -> None:
        if queue_frames is not None and queue_frames < 1:
            raise SettingError(f"the queue holds at least one frame, not {queue_frames}")
        if limit is not None and limit.bytes is not None and size is None:
            raise SettingError("a limit of bytes needs to be told how many there are: give `size`")
        self._camera = camera
        self._open_sinks = open_sinks
        self._limit = limit or RecordLimit()
        self._saving = saving or Saving()
        self._memory = memory
        self._queue_frames = queue_frames
        self._silence_s = silence_s
        self._give_up_s = give_up_s
        self._disk = disk
        self._size = size
        self._open_taps = open_taps
        self._wall = wall
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._session: Session | None = None
        self._acquisition: Acquisition | None = None

    @property
    def summary(self) -> RecordSummary | None:
        """What the recording came to so far, also if it failed; None before it began."""
        return None if self._session is None else self._session.summary()

    def start_saving(self, reason: str = "asked", *, at_ns: int | None = None) -> None:
        """Begin to write frames, from any thread; those kept from before come first.

        Parameters
        ----------
        reason : goes into the events.
        at_ns : by the monotonic clock, which all processes of a machine share: frames that arrive from then
            on are written. None for now.
        """
        self._commands.put(Command("start", reason, time.monotonic_ns() if at_ns is None else at_ns))

    def stop_saving(self, reason: str = "asked") -> None:
        """Write no more frames until `start_saving`, from any thread; the camera goes on."""
        self._commands.put(Command("stop", reason, time.monotonic_ns()))

    def mark(self, text: str) -> None:
        """Write down that something happened now, from any thread."""
        self._commands.put(Command("mark", text, time.monotonic_ns()))

    def append_extra(self, record: Mapping[str, object]) -> None:
        """Write a JSON-like record into the extra data, from any thread, while frames are saved."""
        self._commands.put(Command("record", "", time.monotonic_ns(), record))

    def run(self, progress: ProgressCallback | None = None, stop: StopFlag | None = None) -> RecordSummary:
        """Record until a limit is reached, the camera ends, `stop` is set, or Ctrl-C.

        However it ends, frames that were queued by then are written, as far as the limit allows, and all
        sinks are closed. If a sink fails, nothing more is written.

        Parameters
        ----------
        progress : called a few times per second, and at the end; not again if it raises, which comes out of
            `run` in the end.

        Raises
        ------
        HardwareError
            The camera cannot be started, failed and was given up, or is stuck: CameraTimeoutError,
            CaptureError ... A thread that is stuck in a camera is left behind.
        Exception
            Whatever a sink raises: ChunkError after a disk has refused for ten seconds, or an encoder a
            hundred frames.
        """
        with deferred_interrupt() as interrupt, ExitStack() as stack:  # which undoes the last first
            self._camera.start()
            stack.callback(self._stop_camera)
            taps = [] if self._open_taps is None else list(self._open_taps(self._camera.spec))
            for tap in taps:
                stack.callback(tap.close)
            queue_frames = self._queue_frames or self._queue_length(self._camera.spec)
            sinks = Sinks(self._open_sinks, self._camera.spec)
            acquisition = self._acquisition = Acquisition(
                self._camera,
                queue_frames=queue_frames,
                silence_s=self._silence_s,
                give_up_s=self._give_up_s,
                taps=taps,
                drop_cause=sinks.drop_cause,
                wall=self._wall,
            )
            stack.callback(acquisition.stop)
            stack.callback(sinks.close)
            stack.callback(acquisition.request_stop)
            session = self._session = Session(
                acquisition,
                sinks,
                self._commands,
                limit=self._limit,
                saving=self._saving,
                queue_frames=queue_frames,
                disk=self._disk,
                size=self._size,
                progress=progress,
            )
            acquisition.start()
            stopped_by = session.run({"interrupt": interrupt, "stop": stop})
            with ExitStack() as ending:  # a camera or a tap that fails at the end leaves nothing unwritten
                ending.callback(session.finish, stopped_by)
                for tap in taps:
                    ending.callback(tap.close)
                ending.callback(acquisition.stop)
            if acquisition.error is not None and stopped_by != "limit":
                raise acquisition.error
            if acquisition.tap_error is not None:
                raise acquisition.tap_error
            if session.progress_error is not None:
                raise session.progress_error
        return session.summary()

    def _stop_camera(self) -> None:
        """Let go of the camera, unless a thread is stuck in it: the call would be, too."""
        if self._acquisition is None or not self._acquisition.is_stuck:
            self._camera.stop()

    def _queue_length(self, spec: FrameSpec) -> int:
        frames = self._memory // (math.prod(spec.shape) * spec.dtype.itemsize)
        return min(max(frames, _FEWEST_QUEUED), sys.maxsize)
