"""Whole runs of `ethostore track`, as users start them: time, processor time and memory."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import imgstore
from imgstore import Frame, FrameSequence
from tools.bench.usage import MemoryWatch, cpu_seconds
from tracking import open_results

_SETTLED, _LEAVING = 0.5, 0.9  # of a run: between them nothing is learnt any more, or given back already


class Run(NamedTuple):
    """What a run took: seconds, MB at most, and MB more each minute once it had settled."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    mb_a_minute: float
    points: bytes


def track(source: Path, layout: str, workers: int) -> Run:
    """Track a recording in a process of its own, start-up and all."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "a.tracks.h5"
        command = ["track", str(source), "--layout", layout, "--out", str(out), "--workers", str(workers)]
        code = "from tools.cli import main; main()"
        start = time.monotonic_ns()
        child = subprocess.Popen([sys.executable, "-c", code, *command], stdout=subprocess.DEVNULL)
        with MemoryWatch(child.pid) as watch:
            cpu = _cpu_until_end(child.pid)
            end = time.monotonic_ns()
        if child.wait():
            raise SystemExit(f"ethostore {' '.join(command)} failed with {child.returncode}")
        with open_results(out) as results:
            points = results.points.tobytes()
    settled, leaving = (start + int(share * (end - start)) for share in (_SETTLED, _LEAVING))
    return Run((end - start) / 1e9, cpu, watch.peak(), 60 * watch.growth(settled, leaving), points)


def _cpu_until_end(process: int) -> float:
    """Wait for the end of a process, without collecting it; return its CPU time and that of its children."""
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    return cpu_seconds(process)


def write_loops(frames: FrameSequence, folder: Path, loops: int) -> None:
    """Write a store of some frames several times over."""
    start, step = float(frames.times[0]), float(frames.times[1] - frames.times[0])
    with imgstore.create(folder, frames.spec.shape, frames.spec.dtype, settings="fast") as store:
        for loop in range(loops):
            for frame in frames:
                at = loop * len(frames) + frame.index
                store.append(Frame(frame.image, at, at, start + step * at))
