"""Measure tracking beside the bare decoder and ethoscope's steps: `python -m tools.bench.tracking VIDEO`.

Every contender gets the same frames of the same video, decoded by the same reader, in turns within one run;
ethoscope's steps are our own writing of what it computes (`tools.bench.ethoscope`). Times are CPU time of the
whole process, decoding and all threads included; looking at the recording beforehand is not.
"""

import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import imgstore
from imgstore import Frame, FrameSequence
from tools.bench.ethoscope import EthoscopePipeline
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
    if as_json:
        show({"frames": frames, "rows": rows}, as_json=True)
        return
    for row in rows:
        typer.echo(_line(row))


def region_sets(source: FrameSequence) -> dict[str, list[ROI]]:
    """Return sets of regions for frames of any size; the 20 are tubes, where there are targets for them."""
    rows, columns = source.spec.rows, source.spec.columns
    image = np.ascontiguousarray(imgstore.ensure_grayscale(source[0].image))
    try:
        tubes = open_layout(_TUBES).find(image).rois
    except LayoutError:
        tubes = _grid(10, 2, rows, columns)
    return {
        "1 region": tubes[:1],
        "20 regions": tubes,
        "96 regions": _grid(8, 12, rows, columns),
        "whole frame": open_layout("whole-frame").find(image).rois,
    }


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


if __name__ == "__main__":
    typer.run(main)
