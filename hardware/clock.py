"""Time of frames, and frames at their time."""

import time
from collections.abc import Callable
from typing import Protocol

from hardware.errors import CameraTimeoutError

DRIVER_BUFFERS = 4
"""Frames that a live source keeps for a reader who is late, as camera drivers do."""

_NS = 1_000_000_000


class WallClock:
    """Unix time that runs evenly: anchored once, then counted by the monotonic clock.

    A step of the system's clock (NTP, daylight saving set by hand) does not bend the times of frames.

    Parameters
    ----------
    wall_ns : gives Unix time, in nanoseconds.
    monotonic_ns : gives the time that never steps, in nanoseconds.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset_ns = self._measure_offset_ns()

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return self.at(self._monotonic_ns())

    def at(self, monotonic_ns: int) -> float:
        """Return the seconds since the Unix epoch at a moment of the monotonic clock."""
        return (self._offset_ns + monotonic_ns) / _NS

    def step(self) -> float:
        """Return by how many seconds the system's clock was set forward since this one was anchored.

        Time for which the machine slept is in it, too: the monotonic clock does not count that.
        """
        return (self._measure_offset_ns() - self._offset_ns) / _NS

    def _measure_offset_ns(self) -> int:
        """Return Unix time less monotonic time, as nearly at the same moment as can be."""
        pairs = []
        for _ in range(3):
            before = self._monotonic_ns()
            wall = self._wall_ns()
            after = self._monotonic_ns()
            pairs.append((after - before, wall - (before + after) // 2))
        return min(pairs)[1]


class Timeline(Protocol):
    """Time since a beginning, in seconds, and waiting in it."""

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""

    def wait(self, due: float, timeout: float) -> None:
        """Wait until `due` seconds after the beginning, at most for `timeout` seconds of real time.

        Raises CameraTimeoutError, after `timeout` seconds, if that is further away.
        """


class Pace:
    """The timeline of the real world, or one that runs faster; begins when it is made.

    Parameters
    ----------
    speed : its seconds per real second.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return (time.monotonic() - self._began) * self._speed

    def wait(self, due: float, timeout: float) -> None:
        """Sleep until `due`; see `Timeline`."""
        remaining = (due - self.elapsed) / self._speed
        if remaining > timeout:
            time.sleep(max(timeout, 0))
            raise not_due(timeout, remaining - timeout)
        time.sleep(max(remaining, 0))


class FastPace:
    """A timeline on which nobody waits: time is what is waited for."""

    def __init__(self) -> None:
        self._elapsed = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds that were waited for so far."""
        return self._elapsed

    def wait(self, due: float, timeout: float) -> None:
        """Let the time come, at once; see `Timeline`."""
        remaining = due - self._elapsed
        if remaining > timeout:
            self._elapsed += max(timeout, 0)
            raise not_due(timeout, remaining - timeout)
        self._elapsed = max(self._elapsed, due)


def not_due(timeout: float, remaining: float) -> CameraTimeoutError:
    """Return what says that the next frame is due only `remaining` seconds after the `timeout`."""
    return CameraTimeoutError(f"no frame within {timeout:g} s: the next is due in {remaining:.3g} s")


def skip_missed(expected: int, current: int) -> int:
    """Return which frame a live source gives: `expected`, or `current` if the reader is too late for it."""
    return expected if current - expected < DRIVER_BUFFERS else current
