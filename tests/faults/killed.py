"""Writers that are killed at random instants, and what must be left of their stores.

Run it from the command line for as long as you like: python -m tests.faults.killed --kills 500
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import imgstore
from tests.conftest import FORMATS_HERE, ROOT

SHAPE = (64, 96)
CHUNKSIZE = 40
RATE = 200.0  # frames per second that a writer is fed with

WRITER = """
import sys, time
import imgstore
from tests.faults.killed import CHUNKSIZE, RATE, SHAPE, image
writer = imgstore.create(sys.argv[1], SHAPE, format=sys.argv[2], chunksize=CHUNKSIZE)
number = 0
while True:
    writer.append(imgstore.Frame(image(number), 0, 7 + 2 * number, 1000 + number / RATE))
    print(number, time.monotonic(), flush=True)
    if number % 5 == 0:
        writer.append_extra({"light": number})
    number += 1
    time.sleep(1 / RATE)
"""


def image(number):
    """Return an image that tells its number to any codec: a row of blocks, dark or bright."""
    blocks = np.array([40 + 170 * (number >> bit & 1) for bit in range(12)], np.uint8)
    return np.repeat(np.repeat(blocks.reshape(2, 6), SHAPE[0] // 2, axis=0), SHAPE[1] // 6, axis=1)


def number_in(seen):
    """Return the number that an image tells."""
    middles = seen[SHAPE[0] // 4 :: SHAPE[0] // 2, SHAPE[1] // 12 :: SHAPE[1] // 6]
    return sum(1 << bit for bit, level in enumerate(middles.ravel()) if level > 125)


def kill_a_writer(path, fmt, after):
    """Run a writer, kill it `after` seconds from its first frame, and return the frames it had appended.

    Returns
    -------
    List of (number, age), age in seconds before the kill.
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path, fmt], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    first = writer.stdout.readline()
    time.sleep(after)
    os.kill(writer.pid, signal.SIGKILL)
    killed = time.monotonic()
    lines = [first, *writer.stdout.read().splitlines()]
    writer.stdout.close()
    writer.wait()
    said = [line.split() for line in lines]
    return [(int(words[0]), killed - float(words[1])) for words in said if len(words) == 2]


def check(path, appended, *, longest=1.0):
    """Raise AssertionError unless a killed store holds what it must; return how many frames are lost."""
    with imgstore.open(path) as store:
        assert store.state == "interrupted"
        count = len(store)
        must = sum(age > longest for _, age in appended)
        assert count >= must, f"{count} frames left of {must} that are older than {longest} s"
        assert not store.problems, store.problems
        assert store.numbers.tolist() == [7 + 2 * n for n in range(count)]
        np.testing.assert_allclose(store.times, 1000 + np.arange(count) / RATE)
        assert [number_in(frame.image) for frame in store] == list(range(count))
        records = store.extra()
        lights = [] if records is None else records["light"].tolist()
        assert lights == [5 * n for n in range(len(lights))]
        assert len(lights) >= (count - 1) // 5
    return max(0, len(appended) - count)


def check_repaired(path):
    """Raise AssertionError unless a repaired store holds the same, and repairing it again changes nothing."""
    with imgstore.open(path) as store:
        before = [(frame.number, frame.time, number_in(frame.image)) for frame in store]
    imgstore.repair(path)
    with imgstore.open(path) as store:
        assert store.state == "complete"
        assert [(frame.number, frame.time, number_in(frame.image)) for frame in store] == before
    once = {file: file.read_bytes() for file in sorted(Path(path).rglob("*")) if file.is_file()}
    assert not [file for file in once if file.name.endswith((".journal", ".partial"))]
    done = imgstore.repair(path)
    assert not done.finished
    assert {file: file.read_bytes() for file in sorted(Path(path).rglob("*")) if file.is_file()} == once


def main():
    """Kill writers again and again, and say what was lost."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--kills", type=int, default=100, help="of every format")
    options.add_argument("--formats", nargs="*", default=FORMATS_HERE)
    chosen = options.parse_args()
    for fmt in chosen.formats:
        lost = []
        for _ in range(chosen.kills):
            folder = Path(tempfile.mkdtemp())
            appended = kill_a_writer(folder / "a.store", fmt, random.uniform(0, 3))  # noqa: S311
            lost.append(check(folder / "a.store", appended))
            check_repaired(folder / "a.store")
            shutil.rmtree(folder)
        print(
            json.dumps({"format": fmt, "kills": len(lost), "lost_max": max(lost), "lost_mean": np.mean(lost)})
        )


if __name__ == "__main__":
    main()
