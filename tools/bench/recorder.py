"""Measure the recorder beside its peers: `python -m tools.bench.recorder`.

Every contender records in processes of its own, started for each recording, and all take turns. They are
given the same camera: frames of a scene that was made before, each with its number, which is read back from
what was written. Encoders are set alike: H.264, veryfast, yuv420p, CRF or QP 23. Processor time and memory
are of all processes that a contender has; memory is without files, and counts once what is shared.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import imgstore
from imgstore import Frame, open_video
from tools.bench.followers import Arrivals, follow_store, read_feed
from tools.bench.peer import ROOT, Answer, Peer, PeerError, versions
from tools.bench.recorders import mark_of
from tools.bench.report import Numbers, Report, Row, take_turns
from tools.bench.scene import make_scene
from tools.bench.usage import MemoryWatch
from tools.console import err, folder_size, out

PARTS = ("sustained", "paced", "overload", "feed", "rig")
TITLES = {
    "ethostore": "ethostore",
    "axvs": "ataraxis-video-system",
    "axvs_saver": "its saver alone",
    "queue": "multiprocessing.Queue, our store",
    "manager": "Manager().Queue, our store",
}
"""Contenders, in the order of the columns."""

_RATE = 30.0  # of a usual camera
_SETTLED = 0.25  # of a recording: until then who follows may still open the store
_CARRIED_S = 0.5  # that may wait at the end of a recording: more means that it grows
_LOOKED_AT = 25  # frames apart whose pictures are compared with what was shown


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes
    ----------
    runs : of everything.
    seconds : of each recording.
    shapes : rows and columns of the cameras; of the rig the last.
    cameras : of a rig, at most.
    """

    runs: int
    seconds: float
    shapes: tuple[tuple[int, int], ...] = ((480, 640), (960, 1280))
    cameras: int = 16


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and with whom it is measured.

    Attributes
    ----------
    pythons : that run the contenders, by name.
    report : is added to.
    work : folder for what is made.
    pool : one process, for who follows.
    sustained : frames per second that the fastest sustained, by shape.
    """

    pythons: dict[str, Path]
    report: Report
    work: Path
    size: Size
    pool: ProcessPoolExecutor
    sustained: dict[tuple[int, int], float] = field(default_factory=dict)

    def scene(self, shape: tuple[int, int]) -> Path:
        """Return the file with the frames of a camera."""
        path = self.work / f"{shape[1]}x{shape[0]}.npy"
        if not path.exists():
            make_scene(path, *shape)
        return path

    def turns(self, names: Sequence[str], ask: Callable[[str, int], Numbers]) -> dict[str, Numbers]:
        """Return the medians of the contenders' answers; see `take_turns`."""
        return take_turns(self.report, [name for name in names if name in self.pythons], self.size.runs, ask)

    def add(self, row: Row) -> None:
        """Add a row, and say so."""
        self.report.rows.append(row)
        ours = row.cells.get("ethostore", {})
        err.print(f"{row.what}: {ours.get(row.main, float('nan')):.3g} {row.unit}", style="dim", markup=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording, and what is known of it.

    Attributes
    ----------
    answer : of the contender.
    peak, growth : of its memory: MB, and MB per second in the last half.
    numbers : of the frames that were written, as they stand in their pictures.
    wrong : how many of them are not where they should be.
    off : grey levels that pictures are off what was shown, on average.
    kilobytes : that were written.
    """

    answer: Answer
    peak: float
    growth: float
    numbers: Sequence[int]
    wrong: int
    off: float
    kilobytes: float

    @property
    def lost(self) -> int:
        """How many exposures are not in what was written."""
        return int(self.answer["given"] + self.answer["missed"]) - len(self.numbers)

    @property
    def cpu_ms(self) -> float:
        """Processor time per frame that was written, in ms."""
        return float(self.answer["cpu_s"]) * 1e3 / len(self.numbers)


def main(
    runs: Annotated[int, typer.Option(help="How often each is measured; medians are shown.")] = 3,
    seconds: Annotated[float, typer.Option(help="Length of each recording.")] = 6.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Little of everything, to see that it runs.")
    ] = False,
    only: Annotated[str, typer.Option(help="Which parts, with commas between.")] = ",".join(PARTS),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers here too.")] = None,
    axvs_python: Annotated[
        Path, typer.Option(help="Python with ataraxis-video-system; tools/axvs.sh makes it.")
    ] = ROOT / ".venv/axvs/bin/python",
) -> None:
    """Measure recording from cameras, beside what else there is to do it with."""
    parts = only.split(",")
    if unknown := set(parts) - set(PARTS):
        raise typer.BadParameter(f"parts are {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    size = Size(1, 0.6, ((120, 160),), 1) if quick else Size(runs, seconds)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ethostore-bench-")))
        pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
        bench = Bench({}, Report(TITLES, "axvs"), work, size, pool)
        find_contenders(bench, axvs_python)
        measures = {
            "sustained": measure_sustained,
            "paced": measure_paced,
            "overload": measure_overload,
            "feed": measure_feed,
        }
        for part in parts:
            if part in measures:
                for shape in size.shapes:
                    measures[part](bench, shape)
            else:
                measure_rig(bench, size.shapes[-1])
        if json_file is not None:
            json_file.write_text(json.dumps(bench.report.plain(), indent=2) + "\n")
        out.print(bench.report.markdown(), markup=False)


def find_contenders(bench: Bench, axvs_python: Path) -> None:
    """Ask all contenders for their versions; of those that are not there the report says why."""
    for name in TITLES:
        python = axvs_python if name.startswith("axvs") else Path(sys.executable)
        if not python.exists():
            bench.report.note(f"{TITLES[name]} is left out: there is no {python}; tools/axvs.sh makes one")
            continue
        try:
            with Peer(name, python, "recorder_worker") as peer:
                bench.report.versions[name] = versions(peer)
        except PeerError as exc:
            bench.report.note(f"{TITLES[name]} is left out: {exc}")
        else:
            bench.pythons[name] = python


def measure_sustained(bench: Bench, shape: tuple[int, int]) -> None:
    """Measure how many frames are recorded if a camera gives as many as are taken."""

    def ask(name: str, run: int) -> Numbers:
        done = record(bench, name, shape, None)
        return {
            "rate": len(done.numbers) / done.answer["seconds"],
            "cpu": done.cpu_ms,
            "wrong": done.wrong + done.lost,
            "kB": done.kilobytes / len(done.numbers),
            "off": done.off,
        }

    cells = bench.turns(list(TITLES), ask)
    bench.sustained[shape] = max(cell["rate"] for cell in cells.values())
    rates = {name: _pick(cell, "rate", "cpu", "wrong") for name, cell in cells.items()}
    bench.add(Row(f"sustained, {_name(shape)}", "frames/s (CPU ms a frame)", "rate", rates, better="more"))
    written = {name: _pick(cell, "kB", "off") for name, cell in cells.items()}
    bench.add(Row(f"a frame, {_name(shape)}", "kB / grey levels off", "kB", written, "off", better=None))


def measure_paced(bench: Bench, shape: tuple[int, int]) -> None:
    """Measure a usual camera: what a frame costs, and when another process can read it from the disk."""

    def ask(name: str, run: int) -> Numbers:
        done = record(bench, name, shape, _RATE)
        return {"ms": done.cpu_ms, "lost": done.lost, "wrong": done.wrong}

    names = [name for name in TITLES if name != "axvs_saver"]
    cells = bench.turns(names, ask)
    what = f"at {_RATE:g} frames/s, {_name(shape)}"
    bench.add(Row(f"cost {what}", "CPU ms a frame / lost", "ms", cells, "lost"))

    def ask_reader(name: str, run: int) -> Numbers:
        if name == "axvs":
            raise PeerError("its file can be read only when it is closed: no latency from camera to disk")
        return record_followed(bench, name, shape, follow_store)

    cells = bench.turns(names, ask_reader)
    bench.add(Row(f"camera to disk to reader {what}", "ms p50 / p99", "p50", cells, "p99"))


def measure_feed(bench: Bench, shape: tuple[int, int]) -> None:
    """Measure when another process than the camera's has a frame, while it is recorded."""

    def ask(name: str, run: int) -> Numbers:
        if name == "ethostore":
            return record_followed(bench, name, shape, read_feed, feed=f"bench-{run}")
        done = record(bench, name, shape, _RATE)
        return latencies(done, done.answer["arrivals"])

    cells = bench.turns([name for name in TITLES if name != "axvs_saver"], ask)
    what = f"camera to another process at {_RATE:g} frames/s, {_name(shape)}"
    bench.add(Row(what, "ms p50 / p99", "p50", cells, "p99"))


def measure_overload(bench: Bench, shape: tuple[int, int]) -> None:
    """Measure a camera that gives twice as much as the fastest can record."""
    if shape not in bench.sustained:
        measure_sustained(bench, shape)
    rate = round(2 * bench.sustained[shape], -1)

    def ask(name: str, run: int) -> Numbers:
        done = record(bench, name, shape, rate)
        return {
            "peak": done.peak,
            "growth": done.growth,
            "backlog": done.answer["backlog"],
            "lost": done.lost,
            "wrong": done.wrong,
        }

    cells = bench.turns([name for name in TITLES if name != "axvs_saver"], ask)
    what = f"{bench.size.seconds:g} s at {rate:g} frames/s, {_name(shape)}"
    memory = {name: _pick(cell, "peak", "growth", "wrong") for name, cell in cells.items()}
    bench.add(Row(f"memory, {what}", "MB / MB more each second", "peak", memory, "growth"))
    waiting = {name: _pick(cell, "backlog", "lost") for name, cell in cells.items()}
    bench.add(Row(f"left, {what}", "frames waiting / lost", "backlog", waiting, "lost", better=None))


def measure_rig(bench: Bench, shape: tuple[int, int]) -> None:
    """Measure how many usual cameras are recorded at once without a loss."""

    def ask(name: str, run: int) -> Numbers:
        count = 0
        while count < bench.size.cameras and carries(bench, name, shape, count + 1):
            count += 1
        return {"cameras": count}

    cells = bench.turns([name for name in TITLES if name != "axvs_saver"], ask)
    what = f"cameras of {_RATE:g} frames/s, {_name(shape)}"
    bench.add(Row(what, "none lost", "cameras", cells, better="more"))


def carries(bench: Bench, name: str, shape: tuple[int, int], count: int) -> bool:
    """Return whether a contender records so many cameras without a loss. Raises PeerError."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=bench.work))
        peer = stack.enter_context(Peer(name, bench.pythons[name], "recorder_worker"))
        answer = peer.ask(
            **{"do": "carry", "images": str(bench.scene(shape)), "shape": shape, "rate": _RATE},
            **{"seconds": bench.size.seconds, "folder": folder, "count": count},
        )
    told = f"{TITLES[name]}, {count} cameras: {answer['lost']} frames lost, {answer['backlog']} waiting"
    err.print(told, style="dim", markup=False)
    return not answer["lost"] and answer["backlog"] <= _CARRIED_S * _RATE


def record_followed(
    bench: Bench,
    name: str,
    shape: tuple[int, int],
    follow: Callable[[str], Arrivals],
    *,
    feed: str | None = None,
) -> Numbers:
    """Return how long frames took to another process, which follows a store or a feed. Raises PeerError."""
    followers: list[Future[Arrivals]] = []

    def start(path: Path) -> None:
        followers.append(bench.pool.submit(follow, feed or str(path)))

    done = record(bench, name, shape, _RATE, feed=feed, before=start)
    return latencies(done, followers[0].result())


def latencies(done: Recorded, arrivals: Arrivals) -> Numbers:
    """Return percentiles, in ms, of the time from when a frame was due to when it came."""
    first = _SETTLED * (done.answer["given"] + done.answer["missed"])
    settled = [(number, came_ns) for number, came_ns in arrivals if number >= first]
    if not settled:
        raise PeerError("nobody got a frame of it in time")
    numbers, came_ns = np.array(settled).T
    waited = (came_ns - done.answer["began_ns"]) / 1e6 - numbers * 1e3 / _RATE
    return {"p50": float(np.percentile(waited, 50)), "p99": float(np.percentile(waited, 99))}


def record(
    bench: Bench,
    name: str,
    shape: tuple[int, int],
    rate: float | None,
    *,
    feed: str | None = None,
    before: Callable[[Path], None] | None = None,
) -> Recorded:
    """Record once, and read what was written.

    Parameters
    ----------
    before : is told, before it begins, where it will be written.

    Raises PeerError.
    """
    scene = bench.scene(shape)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=bench.work)))
        path = folder / ("written.mp4" if name.startswith("axvs") else "written.store")
        peer = stack.enter_context(Peer(name, bench.pythons[name], "recorder_worker"))
        if before is not None:
            before(path)
        watch = stack.enter_context(MemoryWatch(peer.pid))
        answer = peer.ask(
            **{"do": "record", "images": str(scene), "shape": shape, "rate": rate},
            **{"seconds": bench.size.seconds, "path": str(path), "feed": feed},
        )
        half_ns = (answer["began_ns"] + answer["ended_ns"]) // 2
        growth = watch.growth(half_ns, answer["ended_ns"])
        kilobytes = folder_size(path) / 1e3 if path.is_dir() else path.stat().st_size / 1e3
        return Recorded(
            answer, watch.peak(), growth, *compare(path, np.load(scene, mmap_mode="r")), kilobytes
        )


def compare(path: Path, scene: Any) -> tuple[list[int], int, float]:
    """Return the numbers in the pictures of a store or video, how many are wrong, and how far they are off.

    In a store the number of a frame is that in its picture, in a video they rise.
    """
    numbers: list[int] = []
    wrong, off = 0, []
    for frame in _written(path):
        number = mark_of(frame.image)
        if path.suffix == ".store":
            wrong += number != frame.number
        elif numbers:
            wrong += number <= numbers[-1]
        if len(numbers) % _LOOKED_AT == 0:
            shown = scene[number % len(scene)]
            off.append(np.abs(frame.image.astype(np.int16) - shown)[len(shown) // 4 :].mean())
        numbers.append(number)
    if not numbers:
        raise PeerError("wrote no frame")
    return numbers, wrong, float(np.mean(off))


def _written(path: Path) -> Iterator[Frame]:
    with imgstore.open(path) if path.is_dir() else open_video(path) as source:
        yield from source


def _pick(cell: Numbers, *names: str) -> Numbers:
    return {name: cell[name] for name in names}


def _name(shape: tuple[int, int]) -> str:
    return f"{shape[1]}x{shape[0]}"


if __name__ == "__main__":
    typer.run(main)
