"""Writers of results that are killed at random instants, and what must be left of their files.

Run it from the command line for as long as you like: python -m tests.faults.killed_results --kills 500
"""

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgstore import Frame
from tests.conftest import ROOT
from tracking import ROI, Event, ResultWriter, RunInfo, TrackingError, open_results, repair_results
from tracking.points import new_points

ANIMALS = 20
LONGEST_S = 1.0
_STEP_S = 0.002
_SAID = struct.Struct("<qd")  # how many frames were appended, and when
_ROIS = [
    ROI(np.array([(10.0 * n, 0.0), (10.0 * n + 9, 0.0), (10.0 * n + 9, 9.0)]), n + 1) for n in range(ANIMALS)
]
_IMAGE = np.zeros((10, 200), np.uint8)


def points_of(number):
    """Return the points of a frame: which they are tells them."""
    points = new_points(ANIMALS)
    points["frame"], points["roi"], points["identity"] = number, np.arange(1, ANIMALS + 1), 1
    points["x"], points["y"] = number % 4099, np.arange(ANIMALS)
    return points


def write(path, seed):
    """Write frames until killed, now and then none for a while, and say what was written."""
    chance = random.Random(seed)  # noqa: S311
    with ResultWriter(Path(path), RunInfo("made", (10, 200), "none", {}), _ROIS) as results:
        results.append_background(_IMAGE, 0.0)
        for number in range(1 << 30):
            if chance.random() < 0.003:
                silent_until = time.monotonic() + chance.uniform(0, 1.5)
                while time.monotonic() < silent_until:
                    results.idle()
                    time.sleep(0.05)
            if chance.random() < 0.01:
                results.append_events(
                    [Event(float(number), 0, "mark", {"text": "x" * chance.randrange(300)})]
                )
            results.append(Frame(_IMAGE, number, number, number / 50), points_of(number))
            os.write(1, _SAID.pack(number + 1, time.monotonic()))
            time.sleep(_STEP_S)


@dataclass(frozen=True)
class Outcome:
    """Of a kill: for how many seconds points are missing, and what is wrong with the file if anything is."""

    lost_s: float
    wrong: str = ""


def kill_writers(folder: Path, kills: int, seed: int) -> Iterator[Outcome]:
    """Kill writers one after the other, and check what is left; files that are wrong are kept."""
    chance = random.Random(seed)  # noqa: S311
    for kill in range(kills):
        path = folder / f"{kill}.tracks.h5"
        killed, said = _kill_one(path, kill + seed, chance.uniform(0.05, 3.0))
        try:
            lost = check(path, said, killed)
        except (AssertionError, TrackingError, OSError, ValueError) as exc:
            yield Outcome(0.0, f"{path}: {type(exc).__name__}: {exc}")
        else:
            path.unlink()
            yield Outcome(lost)


def _kill_one(path: Path, seed: int, after: float) -> tuple[float, list[tuple[int, float]]]:
    """Return when a writer was killed, and what it had said."""
    command = [sys.executable, "-m", "tests.faults.killed_results", "--write", path, "--seed", str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        begun = process.stdout.read(_SAID.size)
        deadline = time.monotonic() + after
        os.set_blocking(process.stdout.fileno(), False)
        data = begun
        while time.monotonic() < deadline:
            data += process.stdout.read() or b""
            time.sleep(0.005)
        killed = time.monotonic()
        process.kill()
        process.wait()
        os.set_blocking(process.stdout.fileno(), True)
        data += process.stdout.read()
    whole = len(data) // _SAID.size * _SAID.size
    return killed, list(_SAID.iter_unpack(data[:whole]))


def check(path: Path, said: list[tuple[int, float]], killed: float) -> float:
    """Raise AssertionError unless a killed result holds what it must; return how old what it lacks is."""
    with open_results(path) as results:
        assert results.attributes["state"] == "running"
        frames, points, events = results.frames, results.points, results.events
    count = len(frames)
    assert count <= said[-1][0] + 1
    assert frames["index"].tolist() == list(range(count))
    decided = len(points) // ANIMALS
    assert points.tobytes() == b"".join(points_of(number).tobytes() for number in range(decided))
    assert all(event.kind == "mark" for event in events)
    kept = min(count, decided)
    lost = max((killed - when for number, when in said if number > kept), default=0.0)
    assert lost <= LONGEST_S, f"points of the last {lost:.2f} s are missing"
    assert repair_results(path)
    with open_results(path) as results:
        assert results.attributes["state"] == "stopped"
        assert (len(results.frames), results.points.tobytes()) == (count, points.tobytes())
    return lost


def main() -> None:
    """Kill writers again and again, and say what was lost."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--folder", type=Path, default=None, help="where the results are made")
    options.add_argument("--write", default=None, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed  # noqa: S311
    if chosen.write is not None:
        write(chosen.write, seed)
    folder = Path(tempfile.mkdtemp(dir=chosen.folder))
    outcomes = list(kill_writers(folder, chosen.kills, seed))
    wrong = [outcome.wrong for outcome in outcomes if outcome.wrong]
    lost = [outcome.lost_s for outcome in outcomes]
    print(*wrong, sep="\n")
    print(f"{len(outcomes)} kills, {len(wrong)} files are wrong; seed {seed}")
    print(f"points are missing of the last {max(lost):.2f} s at most, {np.mean(lost):.2f} s on average")
    if not wrong:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
