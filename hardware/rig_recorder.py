"""Several cameras, a process each, recorded as one: they start together, and one that dies stops no other."""

import contextlib
import multiprocessing
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Literal, TypeAlias

from hardware.errors import HardwareError, SettingError
from hardware.job import CameraJob, renamed
from hardware.recorder import Recorder
from hardware.recording import RecordLimit, RecordProgress, RecordSummary, StopFlag
from imgstore import ImgstoreError, deferred_interrupt, signals_held

RigProgress: TypeAlias = Callable[[Mapping[str, RecordProgress]], None]
"""Called with how far each camera is, a few times a second."""

RigFailure: TypeAlias = Callable[[str, str], None]
"""Called with the name of a camera that failed, and what went wrong, as soon as it is known."""

_POLL_S = 0.1
_LEAST_S = 0.001
_READY_S = 15.0  # that cameras may take to give their first frame before the others start without them
_AHEAD_NS = 100_000_000  # from the order to start to the common start: all processes have it by then
_END_S = 60.0  # that a process may take to write what is queued
_MOST_ATTEMPTS = 5
_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)

_Order: TypeAlias = tuple[Literal["start", "stop_saving", "mark", "end"], str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one camera.

    Attributes
    ----------
    stores : folders that were written.
    summary : what its recording came to; None if nobody was left to say.
    error : what went wrong, in a sentence; None if nothing did.
    deaths : how often its process died and was started again.
    """

    stores: tuple[Path, ...]
    summary: RecordSummary | None
    error: str | None = None
    deaths: int = 0


class RigRecorder:
    """Records cameras together.

    Each runs in a process of its own. When all of them give frames, or after fifteen seconds those that do,
    saving starts at one moment for all. A process that is killed is started again, into stores beside the
    first.

    Parameters
    ----------
    jobs : one per camera, with names of their own.
    """

    def __init__(self, jobs: Sequence[CameraJob]) -> None:
        names = [job.name for job in jobs]
        stores = [store.path for job in jobs for store in job.stores]
        if not names or len({*names}) < len(names) or len({*stores}) < len(stores):
            told = ", ".join(names) or "none"
            raise SettingError(f"a rig has cameras with names and stores of their own, not {told}")
        self._hands = [_Hand(job) for job in jobs]
        self._saves_at_once = all(job.saving.at_once and job.saving.start_at is None for job in jobs)

    def start_saving(self, reason: str = "asked") -> None:
        """Begin to write frames, of all cameras from the same moment on."""
        self._order("start", reason, time.monotonic_ns() + _AHEAD_NS)

    def stop_saving(self, reason: str = "asked") -> None:
        """Write no more frames until `start_saving`."""
        self._order("stop_saving", reason)

    def mark(self, text: str) -> None:
        """Write down in all stores that something happened now."""
        self._order("mark", text)

    def run(
        self,
        progress: RigProgress | None = None,
        stop: StopFlag | None = None,
        failed: RigFailure = lambda name, error: None,
    ) -> dict[str, Outcome]:
        """Record until all cameras have ended, `stop` is set, or Ctrl-C; return what became of each.

        What fails of one camera is in its outcome, and stops no other. What `progress` raises comes out when
        all have ended. Neither it nor `failed` may wait: the cameras' processes would, too.
        """
        told: set[str] = set()
        trouble: Exception | None = None
        with deferred_interrupt() as interrupt, _closing(self._hands):
            for hand in self._hands:
                hand.start()
            began, started, stopped_at = time.monotonic(), False, None
            while any(hand.is_running for hand in self._hands):
                self._listen()
                self._tell_failures(failed, told)
                if not started and (self._are_ready() or time.monotonic() - began > _READY_S):
                    started = True
                    if self._saves_at_once:
                        self.start_saving("all cameras run")
                if stopped_at is None and (interrupt.is_set() or (stop is not None and stop.is_set())):
                    stopped_at = time.monotonic()
                    self._order("end", "interrupt" if interrupt.is_set() else "stop")
                if stopped_at is not None and time.monotonic() - stopped_at > _END_S:
                    break
                if progress is not None:
                    try:
                        progress({hand.job.name: hand.progress for hand in self._hands if hand.progress})
                    except Exception as exc:  # noqa: BLE001  # raised when all has ended
                        progress, trouble = None, exc
        if trouble is not None:
            raise trouble
        return {hand.job.name: hand.outcome() for hand in self._hands}

    def _listen(self) -> None:
        """Take what the processes say, for a moment at most; start those again that died."""
        connections = {hand.connection: hand for hand in self._hands if hand.is_running}
        for ready in wait(list(connections), timeout=_POLL_S):
            connections[ready].listen()  # type: ignore[index]

    def _tell_failures(self, failed: RigFailure, told: set[str]) -> None:
        """Tell of each camera that failed, once."""
        for hand in self._hands:
            if hand.error is not None and hand.job.name not in told:
                told.add(hand.job.name)
                failed(hand.job.name, hand.error)

    def _are_ready(self) -> bool:
        return all(not hand.is_running or (hand.progress and hand.progress.taken) for hand in self._hands)

    def _order(self, what: Literal["start", "stop_saving", "mark", "end"], text: str, at_ns: int = 0) -> None:
        for hand in self._hands:
            hand.order((what, text, at_ns))


class _Hand:
    """The parent's side of one camera's process."""

    def __init__(self, job: CameraJob) -> None:
        self.job = job
        self.progress: RecordProgress | None = None
        self.is_running = False
        self.connection: Connection
        self._process: SpawnProcess
        self._attempt = 0
        self._stores: list[Path] = []
        self._summary: RecordSummary | None = None
        self.error: str | None = None
        self._orders: list[_Order] = []  # that a process which is started again has to hear, too
        self._is_ending = False
        self._began_ns = 0  # saving, by the monotonic clock
        self._told = 0  # frames that the process has written, as far as is known
        self._frames = 0  # the same of those before it, which died

    def start(self) -> None:
        """Start the process."""
        self._attempt += 1
        self._told = 0
        job = renamed(self.job, self._attempt)
        job = replace(job, saving=replace(job.saving, at_once=False), limit=self._limit_left())
        self._stores += [store.path for store in job.stores]
        spawn = multiprocessing.get_context("spawn")
        self.connection, other = spawn.Pipe()
        self._process = spawn.Process(target=_record, args=(job, other), name=f"camera {job.name}")
        with signals_held(_SIGNALS):
            self._process.start()
        other.close()
        self.is_running = True
        for order in self._orders:
            self._send(order)

    def _limit_left(self) -> RecordLimit:
        """Return when the camera is complete, less what a process that died has recorded of it."""
        limit = self.job.limit
        if self._frames and limit.frames is not None:
            limit = replace(limit, frames=max(limit.frames - self._frames, 1))
        if self._began_ns and limit.seconds is not None:
            since = (time.monotonic_ns() - self._began_ns) / 1e9
            limit = replace(limit, seconds=max(limit.seconds - since, _LEAST_S))
        return limit

    def order(self, order: _Order) -> None:
        """Tell the process what to do."""
        if order[0] in ("start", "stop_saving"):
            self._orders = [order]
        if order[0] == "start" and not self._began_ns:
            self._began_ns = order[2]
        self._is_ending |= order[0] == "end"
        if self.is_running:
            self._send(order)

    def listen(self) -> None:
        """Take what the process says; it may have died."""
        try:
            while self.connection.poll():
                said = self.connection.recv()
                if isinstance(said, RecordProgress):
                    self.progress, self._told = said, said.frames
                else:
                    self._summary, self.error = said
        except (EOFError, OSError):
            self._ended()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._is_ending = True  # it is not started again
        if self.is_running:
            self._process.kill()
            self._ended()

    def outcome(self) -> Outcome:
        """Return what became of the camera."""
        stores = tuple(path for path in self._stores if path.exists())
        return Outcome(stores, self._summary, self.error, self._attempt - 1)

    def _ended(self) -> None:
        self.is_running = False
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        self.connection.close()
        if self._summary is not None or self.error is not None:
            return
        killed = code is not None and code < 0
        if killed and not self._is_ending and self._attempt < _MOST_ATTEMPTS:
            self._frames += self._told
            self.start()
        else:
            how = signal.Signals(-code).name if code is not None and killed else f"exit code {code}"
            self.error = f"its process died ({how}); that was attempt {self._attempt}"

    def _send(self, order: _Order) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died, which `listen` notices
            self.connection.send(order)


@contextlib.contextmanager
def _closing(hands: Sequence[_Hand]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _end(hands)
        raise
    finally:
        for hand in hands:
            hand.close()


def _end(hands: Sequence[_Hand]) -> None:
    """Have all processes write what is queued, in the time that they have for it."""
    for hand in hands:
        hand.order(("end", "stop", 0))
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline and (running := [hand for hand in hands if hand.is_running]):
        wait([hand.connection for hand in running], timeout=_POLL_S)
        for hand in running:
            hand.listen()


@dataclass(slots=True)
class _Ears:
    """Hears in a camera's process what the parent orders; the end of the parent is an order to end."""

    recorder: Recorder
    connection: Connection
    end: threading.Event

    def listen(self) -> None:
        """Obey until the parent hangs up."""
        while True:
            try:
                what, text, at_ns = self.connection.recv()
            except (EOFError, OSError):
                self.end.set()
                return
            if what == "start":
                self.recorder.start_saving(text, at_ns=at_ns)
            elif what == "stop_saving":
                self.recorder.stop_saving(text)
            elif what == "mark":
                self.recorder.mark(text)
            else:
                self.end.set()


def _record(job: CameraJob, connection: Connection) -> None:
    """Record one camera; the whole of its process."""
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C and a closed terminal reach all; the parent answers
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    summary, error = None, None
    try:
        recorder = job.recorder()
        ears = _Ears(recorder, connection, end)
        threading.Thread(target=ears.listen, name="orders", daemon=True).start()

        def report(progress: RecordProgress) -> None:
            with contextlib.suppress(OSError):  # the parent died; what is queued is written all the same
                connection.send(progress)

        try:
            recorder.run(report, end)
        finally:
            summary = recorder.summary
    except (HardwareError, ImgstoreError) as exc:
        error = str(exc)
    except Exception as exc:  # noqa: BLE001  # of a user's callback, say
        traceback.print_exception(exc)
        error = f"{type(exc).__name__}: {exc}"
    with contextlib.suppress(OSError):
        connection.send((summary, error))
