"""The camera of `tools.bench.recorder`: frames that were made before, at their exact times.

It needs NumPy only, since it runs in the environments of others, too.
"""

import ctypes
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.bench.mark import Grey, mark

DRIVER_BUFFERS = 4
"""Frames that wait for a reader who is late, as in the driver of a camera; one who is later misses some."""

WINDOW = 16
"""Frames on their way to the encoder, where a camera gives them as fast as they are taken."""

_POLL_S = 0.0005
_LONGEST_S = 1e9  # of a script that never ends
_NS = 1_000_000_000


_FIELDS = (
    *("has_camera", "has_saver", "is_open", "began_ns", "ended_ns"),
    *("given", "missed", "saved", "saved_by_end", "is_closing"),
)


class Tally(ctypes.Structure):
    """What the processes of one recording know of each other; each field is written by one of them.

    Attributes
    ----------
    has_camera, has_saver : whether each of them is ready.
    is_open : whether the camera may begin.
    began_ns, ended_ns : of the first exposure and after the last, by the monotonic clock; 0 before.
    given : frames that were taken from the camera.
    missed : exposures that nobody took in time.
    saved : frames that the encoder has taken.
    saved_by_end : saved when the camera ended; what came after that had waited.
    is_closing : whether who waits for a frame that does not come may go.
    """

    has_camera: int
    has_saver: int
    is_open: int
    began_ns: int
    ended_ns: int
    given: int
    missed: int
    saved: int
    saved_by_end: int
    is_closing: int
    _fields_ = tuple((name, ctypes.c_int64) for name in _FIELDS)


def new_tally() -> Tally:
    """Return a tally in memory that processes share: it goes to them as an argument of theirs."""
    return multiprocessing.get_context("spawn").RawValue(Tally)


class Exposure(NamedTuple):
    """One frame; its image is the taker's."""

    number: int
    due_ns: int
    image: Grey


@dataclass(frozen=True, slots=True)
class Script:
    """What a camera does.

    Attributes
    ----------
    images : file with the frames, which are shown in turns.
    rate : frames per second; None for as many as are saved, with `WINDOW` on their way.
    seconds : how long.
    tally : shared with who saves.
    """

    images: Path
    rate: float | None
    seconds: float
    tally: Tally


class Exposures:
    """Gives the frames of a script. It begins with the first `take` after the tally is open."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._images: Grey | None = None
        self._number = 0

    def take(self) -> Exposure | None:
        """Return the next frame when it is due, None when the camera has ended."""
        tally = self._script.tally
        if self._images is None:
            self._images = np.load(self._script.images, mmap_mode="r")
            self._wait_for_opening()
        due_ns = self._next_due_ns()
        if due_ns is None:
            if not tally.ended_ns:
                tally.saved_by_end = tally.saved
                tally.ended_ns = time.monotonic_ns()
            return None
        image = np.array(self._images[self._number % len(self._images)])  # a driver, too, fills a new buffer
        mark(image, self._number)
        exposure = Exposure(self._number, due_ns, image)
        self._number += 1
        tally.given += 1
        return exposure

    def _wait_for_opening(self) -> None:
        self._script.tally.has_camera = 1
        while not self._script.tally.is_open:
            time.sleep(_POLL_S)
        self._script.tally.began_ns = time.monotonic_ns()

    def _next_due_ns(self) -> int | None:
        """Wait for the next exposure and return when it was due; None if there is none any more."""
        script, tally = self._script, self._script.tally
        end_ns = tally.began_ns + int(min(script.seconds, _LONGEST_S) * _NS)
        if script.rate is None:
            while tally.given - tally.saved >= WINDOW:
                time.sleep(_POLL_S)
            now_ns = time.monotonic_ns()
            return now_ns if now_ns < end_ns else None
        current = int((time.monotonic_ns() - tally.began_ns) * script.rate / _NS)
        last = round(min(script.seconds, _LONGEST_S) * script.rate) - 1
        if current - self._number >= DRIVER_BUFFERS:
            caught_up = min(current, last + 1)
            tally.missed += caught_up - self._number
            self._number = caught_up
        if self._number > last:
            return None
        due_ns = tally.began_ns + round(self._number * _NS / script.rate)
        time.sleep(max(due_ns - time.monotonic_ns(), 0) / _NS)
        return due_ns
