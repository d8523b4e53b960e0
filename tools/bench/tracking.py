"""Measure tracking beside the bare decoder and ethoscope's steps: `python -m tools.bench.tracking VIDEO`.

Every contender gets the same frames of the same video, decoded by the same reader, in turns within one run;
ethoscope's steps are our own writing of what it computes (`tools.bench.ethoscope`). Times are CPU time of the
whole process, decoding and all threads included; looking at the recording beforehand is not.

With `--loops`, also whole runs of `ethostore track`, start-up and all: of the video, and of a store of it so
many times over, with one worker and two; their time, CPU time and memory.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import imgstore
from imgstore import Frame, FrameSequence, Image
from tools.bench.ethoscope import EthoscopePipeline
from tools.bench.tracking_runs import track, write_loops
from tools.console import show
from tracking import ROI, TRACKERS, LayoutError, open_layout

Work = Callable[[Frame], object]
Row = dict[str, float | str | int]

_TRACKERS = ("archive", "adaptive", "difference")
_TUBES = "sleep-monitor-20tube"


def main(
    video: Annotated[Path, typer.Argument(help="A video file: the arena clip, say.")],
    frames: Annotated[int, typer.Option(help="How many frames each run looks at.")] = 300,
    runs: Annotated[int, typer.Option(help="How often each is measured; the median is shown.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="Only these sets of regions.")] = None,
    loops: Annotated[
        int, typer.Option(help="Also whole runs, and those of a store of the video so many times over.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Measure frames per CPU second, with 1, 20 and 96 regions and the whole frame, grey and colour."""
    rows = []
    for colour in (False, True):
        source = imgstore.open_video(video, colour=colour)
        try:
            for name, rois in region_sets(source).items():
                if not only or name in only:
                    rows.append(
                        measure(source, rois, min(frames, len(source)), runs, f"{name}, {_kind(colour)}")
                    )
        finally:
            source.close()
    whole = measure_runs(video, loops, runs) if loops else []
    if as_json:
        show({"frames": frames, "rows": rows, "runs": whole}, as_json=True)
        return
    for row in rows:
        typer.echo(_line(row))
    for row in whole:
        typer.echo(_line_of_run(row))


def region_sets(source: FrameSequence) -> dict[str, list[ROI]]:
    """Return sets of regions for frames of any size; the 20 are tubes, where there are targets for them."""
    rows, columns = source.spec.rows, source.spec.columns
    image = np.ascontiguousarray(imgstore.ensure_grayscale(source[0].image))
    tubes = _tubes(image) or _grid(10, 2, rows, columns)
    return {
        "1 region": tubes[:1],
        "20 regions": tubes,
        "96 regions": _grid(8, 12, rows, columns),
        "whole frame": open_layout("whole-frame").find(image).rois,
    }


def _tubes(image: Image) -> list[ROI]:
    """Return the regions of the tubes in a picture; none if there are no targets."""
    try:
        return open_layout(_TUBES).find(image).rois
    except LayoutError:
        return []


def _grid(down: int, across: int, rows: int, columns: int) -> list[ROI]:
    high, wide = rows / down, columns / across
    corners = [(x * wide, y * high) for y in range(down) for x in range(across)]
    return [
        ROI(np.array([(x, y), (x + wide - 2, y), (x + wide - 2, y + high - 2), (x, y + high - 2)]), n)
        for n, (x, y) in enumerate(corners, 1)
    ]


def measure(source: FrameSequence, rois: list[ROI], frames: int, runs: int, name: str) -> Row:
    """Return CPU milliseconds per frame of everyone, and ratios; decoding is in all of them."""
    contenders: dict[str, Callable[[], Work]] = {
        "decode": lambda: lambda frame: frame,
        **{tracker: _maker(tracker, source, rois) for tracker in _TRACKERS},
        "ethoscope": lambda: EthoscopePipeline(rois, source.spec.shape).update,
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for contender, make in contenders.items():
            times[contender].append(_cpu_ms(source, make(), frames))
    cpu = {contender: statistics.median(some) for contender, some in times.items()}
    row: Row = {"regions": name, **{f"{one}_ms": round(ms, 3) for one, ms in cpu.items()}}
    for tracker in _TRACKERS:
        row[f"{tracker}_fps"] = round(1e3 / cpu[tracker], 1)
        row[f"{tracker}_of_decode"] = round((cpu[tracker] - cpu["decode"]) / cpu["decode"], 2)
        row[f"{tracker}_of_ethoscope"] = round(cpu["ethoscope"] / cpu[tracker], 2)
    return row


def _maker(name: str, source: FrameSequence, rois: list[ROI]) -> Callable[[], Work]:
    """Return what makes a tracker that has looked at the recording and is new otherwise."""

    def make() -> Work:
        tracker = TRACKERS.get(name)({"samples": 20} if name != "difference" else {})
        tracker.prepare(source, rois)
        return tracker.update

    return make


def _cpu_ms(source: FrameSequence, work: Work, frames: int) -> float:
    started = time.process_time()
    for frame in islice(source, frames):
        work(frame)
    return (time.process_time() - started) * 1e3 / frames


def measure_runs(video: Path, loops: int, runs: int) -> list[Row]:
    """Return what whole runs take, over the video and over a store of it several times over."""
    with tempfile.TemporaryDirectory() as folder, imgstore.open_video(video) as frames:
        layout = _TUBES if _tubes(np.ascontiguousarray(frames[0].image)) else "whole-frame"
        store = Path(folder) / "loops.store"
        write_loops(frames, store, loops)
        sources = [("video", video, len(frames), 1)]
        sources += [(f"store, {loops} times", store, loops * len(frames), workers) for workers in (1, 2)]
        found: dict[Path, bytes] = {}
        rows: list[Row] = []
        for name, source, count, workers in sources:
            taken = [track(source, layout, workers) for _ in range(runs)]
            same = all(run.points == found.setdefault(source, run.points) for run in taken)
            cpu_s = statistics.median(run.cpu_s for run in taken)
            rows.append(
                {
                    "source": name,
                    "workers": workers,
                    "frames": count,
                    "wall_s": round(statistics.median(run.wall_s for run in taken), 2),
                    "cpu_s": round(cpu_s, 2),
                    "fps": round(count / cpu_s, 1),
                    "peak_mb": round(max(run.peak_mb for run in taken), 1),
                    "mb_a_minute": round(statistics.median(run.mb_a_minute for run in taken), 2),
                    "same": same,
                }
            )
    return rows


def _kind(colour: bool) -> str:
    return "colour" if colour else "grey"


def _line(row: Row) -> str:
    parts = [f"{row['regions']:<22} decode {row['decode_ms']:>6} ms  ethoscope's {row['ethoscope_ms']:>7} ms"]
    parts += [
        f"{one} {row[f'{one}_ms']:>6} ms ({row[f'{one}_fps']} a CPU second, {row[f'{one}_of_decode']} of "
        f"decoding added, {row[f'{one}_of_ethoscope']} times ethoscope's)"
        for one in _TRACKERS
    ]
    return "\n    ".join(parts)


def _line_of_run(row: Row) -> str:
    return (
        f"{row['source']}, {row['frames']} frames, workers {row['workers']}: {row['wall_s']} s, "
        f"CPU {row['cpu_s']} s ({row['fps']} frames a CPU second), {row['peak_mb']} MB at most, "
        f"{row['mb_a_minute']} MB more a minute; the same points each time: {row['same']}"
    )


if __name__ == "__main__":
    typer.run(main)
