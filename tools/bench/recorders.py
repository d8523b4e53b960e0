"""Who takes part in `tools.bench.recorder`, and how each records what a camera gives.

A contender runs in the environment that has its packages: what it needs, ours included, it imports itself.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tools.bench.exposures import Exposures, Script, Tally, new_tally
from tools.bench.mark import BITS, SIDE, Grey, read_mark
from tools.bench.peer import Answer, UnableError
from tools.bench.usage import cpu_seconds

if TYPE_CHECKING:
    from imgstore import FrameSink, FrameSpec

QUALITY = 23
"""The CRF of ours with "balanced" settings, H.264 veryfast, and the QP of the others."""

_POLL_S = 0.01
_PATIENCE_S = 60.0


class Take:
    """One recording, and what it costs.

    Parameters
    ----------
    script : of the camera.
    shape : rows and columns.
    path : of what is written: a store, or a file.
    feed : name of a live feed to give, where there is one.

    Attributes
    ----------
    arrivals : when frames came to the process that takes them from the camera's, to be filled: number,
        monotonic nanoseconds.
    """

    def __init__(self, script: Script, shape: tuple[int, int], path: Path, feed: str | None = None) -> None:
        self.script = script
        self.shape = shape
        self.path = path
        self.feed = feed
        self.arrivals: list[tuple[int, int]] = []
        self._cpu = 0.0
        self._ended_ns = 0

    @property
    def tally(self) -> Tally:
        """What the processes count."""
        return self.script.tally

    def begin(self) -> None:
        """Let the camera begin: all else is ready."""
        self._cpu = cpu_seconds(os.getpid())
        self.tally.is_open = 1

    def end(self) -> None:
        """Note that all is written."""
        self._ended_ns = time.monotonic_ns()
        self._cpu = cpu_seconds(os.getpid()) - self._cpu

    def plain(self) -> Answer:
        """Return what was counted; times by the monotonic clock, `seconds` until all was written."""
        tally = self.tally
        return {
            "seconds": (self._ended_ns - tally.began_ns) / 1e9,
            "cpu_s": self._cpu,
            "began_ns": tally.began_ns,
            "ended_ns": tally.ended_ns,
            "given": tally.given,
            "missed": tally.missed,
            "saved": tally.saved,
            "backlog": tally.saved - tally.saved_by_end,
            "arrivals": self.arrivals,
        }


@dataclass(frozen=True, slots=True)
class Rig:
    """Several cameras at once.

    Attributes
    ----------
    images, rate, seconds : of each; see `Script`.
    shape : rows and columns.
    folder : for what is written.
    count : of cameras.
    """

    images: Path
    shape: tuple[int, int]
    rate: float
    seconds: float
    folder: Path
    count: int

    def script(self) -> Script:
        """Return what one camera does."""
        return Script(self.images, self.rate, self.seconds, new_tally())

    @property
    def frames(self) -> int:
        """How many each camera gives."""
        return round(self.seconds * self.rate)


class Carried(NamedTuple):
    """What several cameras came to: frames lost of all, and the most of one that waited at the end."""

    lost: int
    backlog: int


class Recording(Protocol):
    """One way of recording."""

    @property
    def packages(self) -> Sequence[str]:
        """Whose versions matter."""

    def record(self, take: Take) -> None:
        """Record until the camera has ended and all is written. Raises UnableError."""

    def carry(self, rig: Rig) -> Carried:
        """Record several cameras. Raises UnableError."""


class Ours:
    """A `Recorder` with a store, in one process, and a `RigRecorder` for several cameras."""

    packages = ("ethostore", "av")

    def record(self, take: Take) -> None:
        from hardware import Recorder, StoreSink, StoreSpec
        from tools.bench.made_camera import CountingSink, MadeCamera

        camera = MadeCamera(take.script, take.shape)
        recorder = Recorder(
            camera,
            lambda spec: [CountingSink(StoreSink(StoreSpec(take.path), spec, camera.rate), take.tally)],
            open_taps=lambda spec: _feeds(take, spec),
        )
        take.begin()
        recorder.run()
        take.end()

    def carry(self, rig: Rig) -> Carried:
        from hardware import RecordLimit, RecordProgress, RigRecorder, StoreSpec
        from tools.bench.made_camera import MadeCameraJob

        jobs = [
            MadeCameraJob(
                name=f"camera-{place}",
                source=str(rig.images),
                stores=(StoreSpec(rig.folder / f"{place}.store"),),
                limit=RecordLimit(seconds=rig.seconds),
                shape=rig.shape,
                rate=rig.rate,
            )
            for place in range(rig.count)
        ]
        waiting: dict[str, int] = {}

        def look(progress: Mapping[str, RecordProgress]) -> None:
            waiting.update({name: one.queued for name, one in progress.items() if one.queued or one.frames})

        outcomes = RigRecorder(jobs).run(look)
        lost = 0
        for name, outcome in outcomes.items():
            if outcome.error is not None or outcome.summary is None:
                raise UnableError(f"{name}: {outcome.error}")
            lost += rig.frames - outcome.summary.frames
        return Carried(lost, max(waiting.values(), default=0))


class Queued:
    """A process with the camera, a queue, and a process with our store writer: only the queue differs.

    Parameters
    ----------
    is_managed : take the queue of a `multiprocessing.Manager`, else a `multiprocessing.Queue`.
    """

    packages = ("ethostore", "av")

    def __init__(self, *, is_managed: bool) -> None:
        self._is_managed = is_managed

    def record(self, take: Take) -> None:
        import imgstore  # noqa: F401  # before it counts

        spawn = multiprocessing.get_context("spawn")
        with ExitStack() as stack:
            queue = self._queue(spawn, stack)
            process = spawn.Process(target=_produce, args=(take.script, queue), daemon=True)
            process.start()
            wait_until(lambda: bool(take.tally.has_camera))
            take.begin()
            save_queued(queue, take.shape, take.path, take.tally, take.arrivals)
            process.join()
            take.end()

    def carry(self, rig: Rig) -> Carried:
        spawn = multiprocessing.get_context("spawn")
        scripts = [rig.script() for _ in range(rig.count)]
        with ExitStack() as stack:
            queues = [
                self._queue(spawn, stack) for _ in scripts
            ]  # kept: one that is forgotten here is removed
            processes = []
            for place, (script, queue) in enumerate(zip(scripts, queues, strict=True)):
                to_save = (queue, rig.shape, rig.folder / f"{place}.store", script.tally)
                processes.append(spawn.Process(target=_produce, args=(script, queue), daemon=True))
                processes.append(spawn.Process(target=save_queued, args=to_save, daemon=True))
            for process in processes:
                process.start()

            def finish() -> None:
                for process in processes:
                    process.join()
                    if process.exitcode:
                        raise UnableError(f"a process ended with exit status {process.exitcode}")

            return carried(rig, scripts, finish)

    def _queue(self, spawn: SpawnContext, stack: ExitStack) -> Any:
        if self._is_managed:
            return stack.enter_context(spawn.Manager()).Queue()
        return spawn.Queue()


def carried(rig: Rig, scripts: list[Script], finish: Callable[[], None]) -> Carried:
    """Open the cameras once all are ready, let the recordings end, and return what they came to."""
    tallies = [script.tally for script in scripts]
    wait_until(lambda: all(tally.has_camera and tally.has_saver for tally in tallies))
    for tally in tallies:
        tally.is_open = 1
    wait_until(lambda: all(tally.ended_ns for tally in tallies), rig.seconds)
    finish()
    lost = sum(rig.frames - tally.saved for tally in tallies)
    return Carried(lost, max(tally.saved - tally.saved_by_end for tally in tallies))


def wait_until(is_so: Callable[[], bool], seconds: float = 0.0) -> None:
    """Wait for what comes after so many seconds. Raises UnableError if that takes a minute more."""
    give_up = time.monotonic() + seconds + _PATIENCE_S
    while not is_so():
        if time.monotonic() > give_up:
            raise UnableError(f"did not get on within {_PATIENCE_S:.0f} s")
        time.sleep(_POLL_S)


def mark_of(image: Grey) -> int:
    """Return the number that is painted into an image."""
    return read_mark(image[:SIDE, : BITS * SIDE])


def save_queued(
    queue: Any,
    shape: tuple[int, int],
    path: Path,
    tally: Tally,
    arrivals: list[tuple[int, int]] | None = None,
) -> None:
    """Write what comes out of a queue into a store of ours, until None comes."""
    import imgstore
    from imgstore import Frame

    with imgstore.create(path, shape) as writer:
        tally.has_saver = 1
        while (taken := queue.get()) is not None:
            number, seconds, image = taken
            if arrivals is not None:
                arrivals.append((number, time.monotonic_ns()))
            writer.append(Frame(image, number, number, seconds))
            tally.saved += 1


def _produce(script: Script, queue: Any) -> None:
    """Put what a camera gives into a queue; the whole of a process."""
    exposures = Exposures(script)
    wall_ns = time.time_ns() - time.monotonic_ns()
    while (exposure := exposures.take()) is not None:
        queue.put((exposure.number, (exposure.due_ns + wall_ns) / 1e9, exposure.image))
    queue.put(None)


def _feeds(take: Take, spec: "FrameSpec") -> "list[FrameSink]":
    """Return the live feed that was asked for, if one was."""
    from hardware import FeedWriter

    return [] if take.feed is None else [FeedWriter(take.feed, spec)]
