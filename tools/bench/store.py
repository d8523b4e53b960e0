"""Measure the store beside its peers: `python -m tools.bench.store --data FOLDER`.

Every contender runs in a process of its own, with the Python that has its packages, and all take turns, run
by run. They are given the same files, made here, and asked for the same frames; each frame carries its
number, so that a wrong one shows. Times are medians of the runs: wall time, in brackets the CPU time of all
threads. The bare codec is what the same codec and container do alone, without copying a frame in or out.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tools.bench import recordings
from tools.bench.peer import ROOT, Interpreters, Peer, PeerError, versions
from tools.bench.recordings import Recording, VideoStore
from tools.bench.report import TITLES, Numbers, Report, Row, take_turns
from tools.console import err, folder_size, out

PARTS = ("append", "sequential", "random", "batch", "open")
ARENA = "arena_10x2.mp4"

_APPEND_FORMATS = ("h264/mkv", "mjpeg/avi", "npy", "png")
_READERS = tuple(TITLES)
_FAITHFUL = 6.0  # grey levels that a picture may be off, on average
_BATCH = 64
_STEP = 50
_USUAL_GOP = 30


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes
    ----------
    runs : of everything.
    frames : of the recordings that are read.
    appended : frames that are appended, and how many times over: what a chunk costs once should weigh little.
    reads : at random.
    gops : keyframe distances.
    indexes : chunks, and frames a chunk, of the stores that are opened.
    lookups : by ours; the others do fewer, since theirs take longer.
    """

    runs: int
    frames: int
    appended: tuple[int, int] = (200, 3)
    reads: int = 40
    gops: tuple[int, ...] = (1, 10, 30, 250)
    indexes: tuple[tuple[int, int], ...] = ((1_000, 10_000), (20_000, 100), (200, 10_000), (20, 10_000))
    lookups: int = 1_000
    other_lookups: int = 5


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and with whom it is measured.

    Attributes
    ----------
    interpreters : of the peers.
    running : contenders that answer, by name.
    report : is added to.
    work : folder for what is made.
    """

    interpreters: Interpreters
    running: dict[str, Peer]
    report: Report
    work: Path
    size: Size

    def turns(
        self, names: Sequence[str], runs: int, ask: Callable[[str, int], Numbers]
    ) -> dict[str, Numbers]:
        """Return the medians of the contenders' answers; see `take_turns`."""
        return take_turns(self.report, names, runs, ask)

    def add(self, row: Row) -> None:
        """Add a row, and say so."""
        self.report.rows.append(row)
        ours = row.cells.get("ethostore", {})
        err.print(f"{row.what}: {ours.get(row.main, float('nan')):.3g} {row.unit}", style="dim", markup=False)


def main(
    data: Annotated[Path, typer.Option(help=f"Folder with {ARENA}.")],
    runs: Annotated[int, typer.Option(help="How often each is measured; medians are shown.")] = 5,
    frames: Annotated[int, typer.Option(help="Length of the recordings that are read.")] = 1200,
    quick: Annotated[
        bool, typer.Option("--quick", help="Little of everything, to see that it runs.")
    ] = False,
    only: Annotated[str, typer.Option(help="Which parts, with commas between.")] = ",".join(PARTS),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers here too.")] = None,
    peer_python: Annotated[
        Path, typer.Option(help="Python with torchcodec and decord; tools/peers.sh makes it.")
    ] = ROOT / ".venv/peers/bin/peer-python",
    loopbio_python: Annotated[
        Path, typer.Option(help="Python with loopbio's imgstore; tools/loopbio.sh makes it.")
    ] = ROOT / ".venv/loopbio/bin/python",
) -> None:
    """Measure appending, reading and opening stores, beside what else there is to do it with."""
    parts = only.split(",")
    if unknown := set(parts) - set(PARTS):
        raise typer.BadParameter(f"parts are {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    size = Size(runs, frames)
    if quick:
        size = Size(1, min(frames, 60), (20, 1), 6, (1, _USUAL_GOP), ((60, 20),), 50)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ethostore-bench-")))
        bench = Bench(Interpreters(peer_python, loopbio_python), {}, Report(), work, size)
        start_peers(bench, stack)
        measure(bench, data, parts)
        if json_file is not None:
            json_file.write_text(json.dumps(bench.report.plain(), indent=2) + "\n")
        out.print(bench.report.markdown(), markup=False)


def start_peers(bench: Bench, stack: ExitStack) -> None:
    """Start all contenders that there are here; of the others the report says why not."""
    for name in TITLES:
        try:
            peer = stack.enter_context(Peer(name, bench.interpreters.of(name)))
            bench.report.versions[name] = versions(peer)
        except PeerError as exc:
            bench.report.note(f"{TITLES[name]} is left out: {exc}")
        else:
            bench.running[name] = peer


def measure(bench: Bench, data: Path, parts: Sequence[str]) -> None:
    """Measure some of `PARTS`."""
    sources = [recordings.made()]
    if (data / ARENA).exists():
        sources.insert(0, recordings.looped(data / ARENA))
    else:
        bench.report.note(f"there is no {data / ARENA}: measured on the made recording only")
    if "append" in parts:
        for source in sources:
            measure_append(bench, source)
    if {"sequential", "random", "batch"} & set(parts):
        for source in sources:
            measure_reading(bench, source, parts)
    if "open" in parts:
        for chunks, frames in bench.size.indexes:
            measure_open(bench, chunks, frames)


def measure_append(bench: Bench, source: Recording) -> None:
    """Measure writing, from opening to closing, of frames that are in memory."""
    count, repeats = bench.size.appended
    images = bench.work / "images.npy"
    np.save(images, np.stack(list(source.images(count))))
    writers = [name for name in bench.running if name in ("ethostore", "bare", "upstream", "opencv")]
    for chunk_format in _APPEND_FORMATS:

        def ask(name: str, run: int, chunk_format: str = chunk_format) -> Numbers:
            with tempfile.TemporaryDirectory(dir=bench.work) as folder:
                path = str(Path(folder) / "written")
                answer = bench.running[name].ask(
                    do="append", chunk_format=chunk_format, path=path, images=str(images), repeats=repeats
                )
                return answer | {"kB": folder_size(Path(folder)) / 1e3 / count / repeats}

        cells = bench.turns(writers, bench.size.runs, ask)
        bench.add(Row(f"append {chunk_format}, {source.name}", "ms a frame", "wall", cells))


def measure_reading(bench: Bench, source: Recording, parts: Sequence[str]) -> None:
    """Measure reading H.264 with several keyframe distances."""
    videos = {}
    for gop in bench.size.gops if {"random", "batch"} & set(parts) else (_USUAL_GOP,):
        folder = bench.work / f"{source.name}-{gop}"
        videos[gop] = recordings.make_video_store(folder, source, bench.size.frames, gop)
        compare(bench, source, videos[gop])
    if "sequential" in parts:
        measure_sequential(bench, source, videos[_USUAL_GOP])
    if "random" in parts:
        for gop, video in videos.items():
            measure_random(bench, source, video, gop)
    if "batch" in parts:
        for gop, video in videos.items():
            measure_batches(bench, source, video, gop)


def compare(bench: Bench, source: Recording, video: VideoStore) -> None:
    """Note who returns other pictures than were written, and warm up all on the way."""
    indices = np.linspace(0, min(video.count, 100) - 1, 4).astype(int).tolist()
    images = bench.work / "reference.npy"
    np.save(images, recordings.images_at(source, indices))
    for name, peer in bench.running.items():
        try:
            apart = peer.ask(do="compare", **_files(video), indices=indices, images=str(images))["apart"]
        except PeerError as exc:
            bench.report.note(f"{TITLES[name]}: {exc}")
            continue
        if apart > _FAITHFUL:
            bench.report.note(
                f"{TITLES[name]}: pictures of {source.name} are {apart:.1f} grey levels off what was written"
            )


def measure_sequential(bench: Bench, source: Recording, video: VideoStore) -> None:
    """Measure opening and reading all frames in order, and then the memory of it in fresh processes."""

    def ask(name: str, run: int) -> Numbers:
        return bench.running[name].ask(do="sequential", **_files(video), count=video.count)

    cells = bench.turns(list(bench.running), bench.size.runs, ask)
    bench.add(Row(f"read in order, {source.name}", "ms a frame", "wall", cells))

    def ask_anew(name: str, run: int) -> Numbers:
        with Peer(name, bench.interpreters.of(name)) as peer:
            return {"memory": peer.ask(do="sequential", **_files(video), count=video.count)["memory"]}

    cells = bench.turns(list(bench.running), 1, ask_anew)
    bench.add(Row(f"memory of reading {video.count} frames, {source.name}", "MB", "memory", cells))


def measure_random(bench: Bench, source: Recording, video: VideoStore, gop: int) -> None:
    """Measure single frames anywhere."""

    def ask(name: str, run: int) -> Numbers:
        random = np.random.default_rng(run)
        indices = random.integers(0, video.count, bench.size.reads).tolist()
        return bench.running[name].ask(do="random", **_files(video), indices=indices)

    cells = bench.turns(list(bench.running), bench.size.runs, ask)
    bench.add(Row(f"random frame, gop {gop}, {source.name}", "ms p50 / p95", "p50", cells, "p95"))


def measure_batches(bench: Bench, source: Recording, video: VideoStore, gop: int) -> None:
    """Measure every 50th frame, one by one in order, and a sorted batch anywhere."""
    apart = list(range(0, video.count, _STEP))

    def ask_apart(name: str, run: int) -> Numbers:
        answer = bench.running[name].ask(do="random", **_files(video), indices=apart)
        return {key: answer[key] for key in ("wall", "cpu", "wrong")}

    cells = bench.turns(list(bench.running), bench.size.runs, ask_apart)
    bench.add(Row(f"every {_STEP}th frame, gop {gop}, {source.name}", "ms a frame", "wall", cells))

    def ask_batch(name: str, run: int) -> Numbers:
        random = np.random.default_rng(run)
        size = min(_BATCH, video.count)
        indices = np.sort(random.choice(video.count, size, replace=False)).tolist()
        return bench.running[name].ask(do="batch", **_files(video), indices=indices)

    cells = bench.turns(list(bench.running), bench.size.runs, ask_batch)
    bench.add(Row(f"sorted batch of {_BATCH}, gop {gop}, {source.name}", "ms a frame", "wall", cells))


def measure_open(bench: Bench, chunks: int, frames: int) -> None:
    """Measure opening a store in a fresh process, after its imports, and looking for frames in it."""
    store = bench.work / f"index-{chunks}x{frames}"
    recordings.make_index_store(store, chunks, frames)
    what = f"{_count(chunks * frames)} frames in {_count(chunks)} chunks"
    names = [name for name in ("ethostore", "upstream") if name in bench.running]

    def ask(name: str, run: int) -> Numbers:
        with Peer(name, bench.interpreters.of(name)) as peer:
            return peer.ask(do="open", store=str(store), **_lookups(bench.size, name, run, chunks, frames))

    def ask_first(name: str, run: int) -> Numbers:
        recordings.forget_index(store)
        return ask(name, run)

    first = bench.turns(names, 1, ask_first)
    again = bench.turns(["ethostore"], bench.size.runs, ask)
    cells = {**first, **again}  # the peer knows no other opening than the first
    for title, found in (("first open", first), ("open", cells)):
        bench.add(Row(f"{title}, {what}", "ms", "wall", _pick(found, "wall", "cpu")))
    bench.add(Row(f"memory of open, {what}", "MB", "memory", _pick(cells, "memory")))
    for by in ("index", "number", "time"):
        bench.add(Row(f"lookup by {by}, {what}", "µs", f"by_{by}", _pick(cells, f"by_{by}", "wrong")))


def _lookups(size: Size, name: str, run: int, chunks: int, frames: int) -> dict[str, Any]:
    """Return what to look for: frames that there are."""
    count = size.lookups if name == "ethostore" else size.other_lookups
    indices = np.random.default_rng(run).integers(0, chunks * frames, count)
    times = recordings.START + (indices + 0.3) / recordings.RATE
    numbers = indices + indices // frames
    return {
        "indices": indices.tolist(),
        "numbers": numbers.tolist(),
        "times": times.tolist(),
        "chunksize": frames,
    }


def _files(video: VideoStore) -> dict[str, str]:
    return {"store": str(video.store), "file": str(video.file)}


def _pick(cells: dict[str, Numbers], *names: str) -> dict[str, Numbers]:
    return {who: {name: cell[name] for name in names} for who, cell in cells.items()}


def _count(number: int) -> str:
    return f"{number / 1e6:g} M" if number >= 1_000_000 else f"{number:,}"


if __name__ == "__main__":
    typer.run(main)
