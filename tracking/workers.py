"""Detecting in processes of this machine."""

import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NamedTuple, Protocol

import cv2

from imgstore import ImgstoreError, set_decoder_threads, signals_held
from tracking.blocks import Block, Detector
from tracking.errors import TrackingError, WorkerDiedError

_AHEAD = 3  # blocks per worker that may be done before their turn: so much memory is taken
_TIMES_TRIED = 2
_LOOK_S = 0.2
_WORTH_A_WORKER = 4  # blocks; a process takes seconds to start


class Workforce(Protocol):
    """Detects in blocks of a recording, somewhere."""

    def detect(
        self, detector: Detector, blocks: Sequence[range], until: Callable[[], bool]
    ) -> Iterator[Block]:
        """Yield what is detected in each block, in order; closing the iterator ends the work.

        Parameters
        ----------
        until : called a few times a second while it waits for a block; if it returns True, no more come.

        Raises WorkerDiedError, or what a worker raised.
        """


def never() -> bool:
    """Say that there is no reason to end."""
    return False


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


class LocalWorkers:
    """Processes that each detect in a block at a time.

    A block whose process dies is done again by a new one, once.

    Parameters
    ----------
    count : how many processes; None for as many as there are processors and it is worth.
    """

    def __init__(self, count: int | None = None) -> None:
        self._count = count

    def size(self, blocks: int) -> int:
        """Return how many processes so many blocks are given to."""
        if self._count is None:
            return min(processors(), blocks // _WORTH_A_WORKER)
        return min(self._count, blocks)

    def detect(
        self, detector: Detector, blocks: Sequence[range], until: Callable[[], bool] = never
    ) -> Iterator[Block]:
        """Yield what is detected in each block, in order.

        Raises WorkerDiedError when two processes died of the same block, or what a worker raised.
        """
        crew = _Crew(pickle.dumps(detector), self.size(len(blocks)))
        try:
            yield from crew.run(blocks, until)
        finally:
            crew.dismiss()


class _Task(NamedTuple):
    place: int
    indices: range
    tries: int = 0


class _Worker(NamedTuple):
    line: Connection
    process: SpawnProcess


class _Crew:
    """Processes, and what each of them does. They end when their end of the line is closed or dead."""

    def __init__(self, payload: bytes, size: int) -> None:
        self._payload = payload
        self._size = max(1, size)
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, _Task]] = {}
        self._done: dict[int, Block | Exception] = {}

    def run(self, blocks: Sequence[range], until: Callable[[], bool]) -> Iterator[Block]:
        """Yield what is detected, in order."""
        waiting = deque(_Task(place, indices) for place, indices in enumerate(blocks))
        for place in range(len(blocks)):
            while True:
                self._give(waiting, place + _AHEAD * self._size)
                if place in self._done:
                    break
                if until():
                    return
                for line in wait(list(self._busy), timeout=_LOOK_S):
                    assert isinstance(line, Connection)  # noqa: S101  # what it was given
                    self._listen(line, waiting)
            found = self._done.pop(place)
            if isinstance(found, Exception):
                raise found  # only now: what came before is kept
            yield found

    def dismiss(self) -> None:
        """End all processes, those that work, too."""
        everyone = [*self._idle, *(worker for worker, _ in self._busy.values())]
        self._idle, self._busy = [], {}
        for worker in everyone:
            worker.line.close()
        for worker in everyone:
            worker.process.terminate()
            worker.process.join()
            worker.process.close()

    def _give(self, waiting: deque[_Task], end: int) -> None:
        """Give blocks before the one at place `end` to those who have nothing to do."""
        while waiting and waiting[0].place < end and len(self._busy) < self._size:
            worker = self._idle.pop() if self._idle else _hire(self._payload)
            task = waiting.popleft()
            self._busy[worker.line] = (worker, task)
            with suppress(OSError):  # it died, which is found out on listening
                worker.line.send(task.indices)

    def _listen(self, line: Connection, waiting: deque[_Task]) -> None:
        worker, task = self._busy.pop(line)
        try:
            said = line.recv()
        except (EOFError, OSError):
            code = _bury(worker)
            if task.tries + 1 < _TIMES_TRIED:
                waiting.appendleft(task._replace(tries=task.tries + 1))
                return
            said = WorkerDiedError(
                f"a worker process died with exit code {code}, and so did another before it, both with the "
                f"frames from index {task.indices.start} to {task.indices.stop - 1}; use fewer workers if "
                "memory is short (--workers 1 uses none). What was tracked is kept: --resume goes on with it"
            )
        else:
            if isinstance(said, Exception):
                _bury(worker)  # it ends after that
            else:
                self._idle.append(worker)
        self._done[task.place] = said
        if isinstance(said, Exception):
            while waiting and waiting[-1].place > task.place:  # nothing after it is wanted
                waiting.pop()


def _hire(payload: bytes) -> _Worker:
    context = get_context("spawn")  # forked processes would share the decoders' threads
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, payload), daemon=True)
    with signals_held([signal.SIGINT]):
        process.start()
    there.close()
    return _Worker(here, process)


def _bury(worker: _Worker) -> int | None:
    """Clear away a process that has ended, and return its exit code."""
    worker.line.close()
    worker.process.join()
    code = worker.process.exitcode
    worker.process.close()
    return code


def _serve(line: Connection, payload: bytes) -> None:
    """Work in a process of its own until nobody is there to ask for more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C, blocked so far, is for who started this one
    cv2.setNumThreads(1)  # there are as many processes as processors
    set_decoder_threads(1)
    with suppress(EOFError, OSError):
        try:
            detector: Detector = pickle.loads(payload)  # noqa: S301  # made by who started this one
            while True:
                line.send(detector.detect(line.recv()))
        except (ImgstoreError, TrackingError) as exc:
            line.send(exc)
