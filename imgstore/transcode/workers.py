"""Do many tasks, here or in processes, with progress and a Ctrl-C that does not wait for a task to end."""

import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Event
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from imgstore.errors import ChunkError, ImgstoreError
from imgstore.interrupt import deferred_interrupt, signals_held

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Tick = Callable[[int], None]
"""Called with how much more is done; it raises where the work is to end."""

_TELL_EVERY_S = 0.1


class Worker(Protocol[T_contra]):
    """Does tasks, one after the other, between being entered and left; can be pickled before."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def do(self, task: T_contra, tick: Tick, /) -> None:
        """Do a task, and call `tick` again and again; leave nothing half done if it raises."""


def run_tasks(worker: Worker[T], tasks: Sequence[T], workers: int, tick: Tick) -> None:
    """Do all tasks.

    Parameters
    ----------
    worker : a copy of it works in each process.
    workers : processes; with 1 the work is done here.
    tick : called with how much more is done.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C, when the tasks in hand are undone.
    ChunkError
        A process died.
    """
    if not tasks:
        return
    with deferred_interrupt() as pressed:
        if min(workers, len(tasks)) > 1:
            _Crew(worker, min(workers, len(tasks))).run(tasks, tick, pressed)
        else:
            _work_here(worker, tasks, tick, pressed)


def _work_here(worker: Worker[T], tasks: Sequence[T], tick: Tick, pressed: Event) -> None:
    def count(more: int) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        tick(more)

    with worker:
        for task in tasks:
            worker.do(task, count)


class _Crew(Generic[T]):
    """Processes that each do a task at a time. They end when their end of the line is closed or dead."""

    def __init__(self, worker: Worker[T], size: int) -> None:
        context = get_context("spawn")  # forked processes would share the decoders' threads
        self._lines: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        for _ in range(size):
            line, process = _hire(context, worker)
            self._lines.append(line)
            self._processes.append(process)

    def run(self, tasks: Sequence[T], tick: Tick, pressed: Event) -> None:
        """Do all tasks."""
        waiting = deque(tasks)
        try:
            busy = {line for line in self._lines if _give(line, waiting)}
            while busy:
                for line in wait(list(busy), timeout=_TELL_EVERY_S):
                    assert isinstance(line, Connection)  # noqa: S101  # what it was given
                    if self._listen(line, tick) and not _give(line, waiting):
                        busy.remove(line)
                if pressed.is_set():
                    raise KeyboardInterrupt
        finally:
            for line in self._lines:
                line.close()
            for process in self._processes:
                process.join()

    def _listen(self, line: Connection, tick: Tick) -> bool:
        """Return whether a process has done its task."""
        try:
            said = line.recv()
        except (EOFError, ConnectionResetError) as exc:
            process = self._processes[self._lines.index(line)]
            process.join()
            raise ChunkError(
                f"a worker process died with exit code {process.exitcode}; use fewer if memory is short, and "
                'call this under `if __name__ == "__main__":` where it stands in a script'
            ) from exc
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, int):
            tick(said)
        return said is None


def _hire(context: SpawnContext, worker: Worker[T]) -> tuple[Connection, SpawnProcess]:
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, worker), daemon=True)
    with signals_held([signal.SIGINT]):
        process.start()
    there.close()
    return here, process


def _give(line: Connection, waiting: "deque[T]") -> bool:
    """Give the next task, if there is one, to a process."""
    if not waiting:
        return False
    with suppress(BrokenPipeError):  # it died, which is found out on listening
        line.send(waiting.popleft())
    return True


class _Dismissed(Exception):  # noqa: N818  # no error
    """Nobody listens any more."""


class _Teller:
    """Tells how much more is done, a few times a second."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._untold = 0
        self._told = time.monotonic()

    def __call__(self, more: int) -> None:
        self._untold += more
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self.tell()

    def tell(self) -> None:
        untold, self._untold, self._told = self._untold, 0, time.monotonic()
        try:
            self._line.send(untold)
        except OSError as exc:
            raise _Dismissed from exc


def _serve(line: Connection, worker: Worker[T]) -> None:
    """Work in a process of its own until nobody is there to ask for more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C, blocked so far, is for who started this one
    teller = _Teller(line)
    with suppress(EOFError, OSError, _Dismissed):
        try:
            with worker:
                while True:
                    worker.do(line.recv(), teller)
                    teller.tell()
                    line.send(None)
        except (ImgstoreError, OSError) as exc:
            line.send(exc)
