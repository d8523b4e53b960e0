"""Power cuts: what a disk holds at random instants while a store is written on it, and what that is worth.

The disk is an ext4 in a file. A cut is a copy of the file, between two writes of the kernel to it; the copy
is mounted, as after a start, and the store in it checked. Only root can mount.

Run it from the command line for as long as you like: python -m tests.faults.power --cuts 100
"""

import argparse
import filecmp
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import imgstore
from tests.conftest import FORMATS_HERE
from tests.faults.killed import check, check_repaired
from tests.faults.nursery import SETTINGS, SHAPE, Job, Killed, event, frame, record

RATE = 50.0
LONGEST_S = 1.0  # that a frame may be known to the operating system only, where the machine keeps up
_SIZE = "48M"
_CUTS_PER_STORE = 10
_TRIES = 50


@contextmanager
def mounted(disk: Path) -> Iterator[Path]:
    """Mount a disk that lies in a file."""
    place = Path(tempfile.mkdtemp(dir=disk.parent))
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        place.rmdir()


class _Recording:
    """Writes a store in a thread of its own, and remembers when it had appended what."""

    def __init__(self, path: Path, fmt: str) -> None:
        self.path = path
        self.times: list[float] = []
        self._stop = threading.Event()
        self._writer = imgstore.create(path, SHAPE, format=fmt, chunksize=60, settings=SETTINGS.get(fmt))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._writer as writer:
            while not self._stop.wait(1 / RATE):
                writer.append(frame(len(self.times)))
                writer.append_extra(record(len(self.times)))
                happened = event(len(self.times))
                writer.append_event(happened.kind, happened.time, **happened.detail)
                self.times.append(time.monotonic())

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()


def _cut(disk: Path, copy: Path) -> float:
    """Copy a disk as it is at one instant, and return a time just before that."""
    for _ in range(_TRIES):
        instant = time.monotonic()
        shutil.copyfile(disk, copy)
        if filecmp.cmp(disk, copy, shallow=False):
            return instant
    raise AssertionError("the disk never stood still long enough to be copied")


def cut_power(
    folder: Path, fmt: str, cuts: int, seed: int, longest: float = LONGEST_S
) -> Iterator[tuple[int, float]]:
    """Record, cut the power at random instants, and check what each cut leaves.

    Parameters
    ----------
    longest : how old in seconds a frame may be that is lost.

    Yields
    ------
    How many frames were lost, and how old in seconds the oldest of them was.
    """
    chance = random.Random(seed)  # noqa: S311
    disk, copy = folder / "disk", folder / "copy"
    with disk.open("wb") as file:
        file.truncate(int(_SIZE[:-1]) << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    with mounted(disk) as place:
        recording = _Recording(place / "a.store", fmt)
        try:
            time.sleep(longest - LONGEST_S)
            for _ in range(cuts):
                time.sleep(chance.uniform(0.1, 1.5))
                instant = _cut(disk, copy)
                yield _check_cut(copy, fmt, instant, list(recording.times), longest)
        finally:
            recording.stop()
    disk.unlink()
    copy.unlink(missing_ok=True)


def _check_cut(copy: Path, fmt: str, instant: float, times: list[float], longest: float) -> tuple[int, float]:
    ages = [instant - appended for appended in times]
    with mounted(copy) as place:
        path = str(place / "a.store")
        old = sum(age > longest for age in ages)
        killed = Killed(Job(path, fmt, "extra"), ages, old, closed=False, events=old)
        left = check(killed, longest=longest)
        check_repaired(path, left, None)
    lost = [age for age in ages[len(left.frames) :] if age > 0]
    return len(lost), max(lost, default=0.0)


def main() -> None:
    """Cut the power again and again, and say what was lost."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--cuts", type=int, default=20, help="of every format")
    options.add_argument("--formats", nargs="*", default=FORMATS_HERE)
    options.add_argument("--folder", type=Path, default=None, help="where the disks are made")
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(dir=chosen.folder))
    for fmt in chosen.formats:
        found: list[tuple[int, float]] = []
        while len(found) < chosen.cuts:
            cuts = min(_CUTS_PER_STORE, chosen.cuts - len(found))
            found += cut_power(folder, fmt, cuts, random.randrange(1 << 32))  # noqa: S311
        lost, ages = zip(*found, strict=True)
        print(
            f"{fmt}: {len(found)} cuts, at {RATE:.0f} frames per second lost {max(lost)} at most, "
            f"{np.mean(lost):.1f} on average, the oldest {max(ages):.2f} s old",
            flush=True,
        )
    folder.rmdir()


if __name__ == "__main__":
    main()
