"""Measure what it costs to show frames to another process: `python -m tools.bench.feed`.

Beside the live feed, read as copies and as views, stand what people pick instead: `multiprocessing.Queue`,
the queue of a `Manager`, and a pipe that is read into one buffer. One process sends frames to another, which
looks at their first bytes only; ways take turns.

Frames per second are those of a sender that goes on as fast as the way lets it, with room for as many frames
on each. The feed waits for nobody, so there a semaphore holds the sender back: nothing is lost on any way.
Latency is from just before sending to having the image, at the pace of a camera. CPU is milliseconds per
frame of all processes, the manager's included.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from queue import Queue
from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table

from hardware import FeedReader, FeedWriter
from imgstore import Frame, FrameSpec
from tools.console import out, show

Grey: TypeAlias = npt.NDArray[np.uint8]
Row: TypeAlias = dict[str, str | float]
Receive: TypeAlias = Callable[[], Grey | None]
OpenReceive: TypeAlias = Callable[[], AbstractContextManager[Receive]]

_SLOTS = 16
_IMAGES = 2 * _SLOTS  # more than can be under way: a queue pickles an array some time after it was put
_WARM_UP = 20
_STAMP_BYTES = 8
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Way:
    """A way for frames to another process.

    Attributes
    ----------
    send : takes an image, or None for the end.
    open_receive : opens the other end, over there; what it gives returns the next image, None at the end.
    helper : process that takes part besides the two.
    """

    send: Callable[[Grey | None], None]
    open_receive: OpenReceive
    helper: int | None = None


@contextmanager
def feed(context: ForkServerContext, shape: tuple[int, int], *, paced: bool, copy: bool) -> Iterator[Way]:
    """Send through the live feed."""
    name = f"bench-{os.getpid()}"
    room = None if paced else context.Semaphore(_SLOTS - 1)
    with FeedWriter(name, FrameSpec(shape), slots=_SLOTS) as writer:

        def send(image: Grey | None) -> None:
            if image is None:
                writer.close()
                return
            if room is not None and not room.acquire(timeout=_PATIENCE_S):
                raise RuntimeError("the reader takes no more frames")
            writer.append(Frame(image, writer.count, writer.count, 0.0))

        yield Way(send, partial(_read_feed, name, copy, room))


@contextmanager
def _read_feed(name: str, copy: bool, room: Semaphore | None) -> Iterator[Receive]:
    with FeedReader(name, copy=copy) as reader:
        given = False

        def receive() -> Grey | None:
            nonlocal given
            if given and not reader.still_valid():
                raise RuntimeError("a view was overwritten while it was used; the machine is too busy")
            if given and room is not None:
                room.release()
            frame = reader.read(float("inf"))
            given = frame is not None
            return None if frame is None else frame.image

        yield receive
        if room is not None and reader.lost:
            raise RuntimeError(f"{reader.lost} frames were lost")


@contextmanager
def queue(context: ForkServerContext, shape: tuple[int, int], *, paced: bool) -> Iterator[Way]:
    """Send through a `multiprocessing.Queue`."""
    made = context.Queue(_SLOTS)
    yield Way(made.put, partial(_get, made))
    made.close()
    made.join_thread()


@contextmanager
def manager_queue(context: ForkServerContext, shape: tuple[int, int], *, paced: bool) -> Iterator[Way]:
    """Send through the queue of a manager."""
    with context.Manager() as manager:
        made = manager.Queue(_SLOTS)
        (helper,) = (child.pid for child in multiprocessing.active_children())
        yield Way(made.put, partial(_get, made), helper)


@contextmanager
def _get(queue: "Queue[Grey | None] | multiprocessing.queues.Queue[Grey | None]") -> Iterator[Receive]:
    yield queue.get


@contextmanager
def pipe(context: ForkServerContext, shape: tuple[int, int], *, paced: bool) -> Iterator[Way]:
    """Send bytes through a pipe."""
    receiving, sending = context.Pipe(duplex=False)

    def send(image: Grey | None) -> None:
        sending.send_bytes(b"" if image is None else image.data.cast("B"))

    yield Way(send, partial(_receive_bytes, receiving, shape))
    sending.close()
    receiving.close()


@contextmanager
def _receive_bytes(receiving: Connection, shape: tuple[int, int]) -> Iterator[Receive]:
    image = np.empty(shape, np.uint8)
    yield lambda: image if receiving.recv_bytes_into(image.data.cast("B")) else None


WAYS: dict[str, Callable[..., AbstractContextManager[Way]]] = {
    "live feed, views": partial(feed, copy=False),
    "live feed, copies": partial(feed, copy=True),
    "multiprocessing.Queue": queue,
    "Manager().Queue": manager_queue,
    "Pipe": pipe,
}


def main(
    frames: Annotated[int, typer.Option(help="How many are sent as fast as it goes.")] = 600,
    seconds: Annotated[float, typer.Option(help="How long frames are sent at the pace of a camera.")] = 4.0,
    rate: Annotated[float, typer.Option(help="Frames per second of that camera.")] = 60.0,
    size: Annotated[list[str] | None, typer.Option(help="COLUMNSxROWS; may be repeated.")] = None,
    runs: Annotated[int, typer.Option(help="How often each is measured; medians are shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Measure frames per second, CPU and latency of ways for frames to another process."""
    rows: list[Row] = []
    for asked in size or ["640x480", "1280x960"]:
        columns, lines = (int(number) for number in asked.split("x"))
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
        for _ in range(runs):
            for name in WAYS:
                quick = measure(name, (lines, columns), frames, None)
                paced = measure(name, (lines, columns), max(round(seconds * rate), 1), rate)
                taken[name].append(_numbers(quick, paced))
        for name, found in taken.items():
            rows.append({"size": asked, "way": name, **_medians(found)})
    if as_json:
        show({"slots": _SLOTS, "rate": rate, "rows": rows}, as_json=True)
    else:
        out.print(table(rows, rate))


@dataclass(frozen=True)
class Measured:
    """What one run gave.

    Attributes
    ----------
    latencies : milliseconds, of each frame.
    seconds : that the frames took to arrive.
    cpu : milliseconds per frame.
    """

    latencies: npt.NDArray[np.float64]
    seconds: float
    cpu: float


def measure(name: str, shape: tuple[int, int], frames: int, rate: float | None) -> Measured:
    """Send frames one way: as fast as it goes, or `rate` per second."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hardware", "tools.console"])  # as importing them takes long
    answers, answer = context.Pipe(duplex=False)
    ready = context.Event()
    with WAYS[name](context, shape, paced=rate is not None) as way:
        child = context.Process(target=_consume, args=(way.open_receive, ready, answer))
        child.start()
        answer.close()  # ours: should the child die, there is no answer to wait for
        if not ready.wait(_PATIENCE_S):
            raise RuntimeError("the reader does not start")
        before = _send(way, shape, frames, rate)
        stamps, consumed = answers.recv()
        cpu = consumed + _cpu(way.helper) - before
        child.join()
        child.close()
    answers.close()
    sent, arrived = np.array(stamps[_WARM_UP:], np.float64).T / 1e9
    return Measured((arrived - sent) * 1e3, float(arrived[-1] - sent[0]), cpu * 1e3 / len(sent))


def _send(way: Way, shape: tuple[int, int], frames: int, rate: float | None) -> float:
    """Send all frames and the end; return the CPU seconds that had been used up when measuring began."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, shape, np.uint8) for _ in range(_IMAGES)]
    due = time.monotonic()
    before = 0.0
    for number in range(_WARM_UP + frames):
        if number == _WARM_UP:
            before = _cpu(way.helper)
        if rate is not None:
            due += 1 / rate
            time.sleep(max(due - time.monotonic(), 0.0))
        image = images[number % _IMAGES]
        image.reshape(-1)[:_STAMP_BYTES].view(np.int64)[0] = time.monotonic_ns()
        way.send(image)
    way.send(None)
    return before


def _consume(open_receive: OpenReceive, ready: Event, answer: Connection) -> None:
    """Take frames until the end, and answer with when each was sent and had, and the CPU seconds it took."""
    stamps, before = [], 0.0
    with open_receive() as receive:
        ready.set()
        while (image := receive()) is not None:
            now = time.monotonic_ns()
            stamps.append((int(image.reshape(-1)[:_STAMP_BYTES].view(np.int64)[0]), now))
            if len(stamps) == _WARM_UP:
                before = time.process_time()
        used = time.process_time() - before
    answer.send((stamps, used))


def _cpu(helper: int | None) -> float:
    """Return CPU seconds of this process and of one that helps it, until now."""
    own = time.process_time()
    if helper is None:
        return own
    after_name = Path(f"/proc/{helper}/stat").read_text().rpartition(")")[2].split()
    return own + (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _numbers(quick: Measured, paced: Measured) -> dict[str, float]:
    p50, p99 = np.quantile(paced.latencies, [0.5, 0.99])
    return {
        "frames_per_s": len(quick.latencies) / quick.seconds,
        "cpu_ms": quick.cpu,
        "paced_cpu_ms": paced.cpu,
        "latency_ms": float(p50),
        "latency_ms_99": float(p99),
    }


def _medians(found: list[dict[str, float]]) -> Row:
    return {key: round(statistics.median(one[key] for one in found), 3) for key in found[0]}


def table(rows: list[Row], rate: float) -> Table:
    """Return the rows for people."""
    shown = Table(box=None, pad_edge=False)
    titles = ("size", "way", "frames/s", "CPU ms", f"CPU at {rate:g}/s", "latency", "99 %")
    for title in titles:
        shown.add_column(title, justify="left" if title in ("size", "way") else "right", no_wrap=True)
    for row in rows:
        size, way, frames, *numbers = row.values()
        shown.add_row(str(size), str(way), f"{frames:,.0f}", *(f"{number:.2f}" for number in numbers))
    return shown


if __name__ == "__main__":
    typer.run(main)
