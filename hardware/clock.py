"""Time of frames, and frames at their time."""

import time

from hardware.errors import CameraTimeoutError

DRIVER_BUFFERS = 4
"""Frames that a live source keeps for a reader who is late, as camera drivers do."""

_NS = 1_000_000_000


class WallClock:
    """Unix time that runs evenly: anchored once, then counted by the monotonic clock.

    A step of the system's clock (NTP, daylight saving set by hand) does not bend the times of frames.
    """

    def __init__(self) -> None:
        self._offset_ns = _wall_offset_ns()

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return self.at(time.monotonic_ns())

    def at(self, monotonic_ns: int) -> float:
        """Return the seconds since the Unix epoch at a moment of the monotonic clock."""
        return (self._offset_ns + monotonic_ns) / _NS

    def step(self) -> float:
        """Return by how many seconds the system's clock was set forward since this one was anchored."""
        return (_wall_offset_ns() - self._offset_ns) / _NS


def _wall_offset_ns() -> int:
    """Return Unix time less monotonic time, as nearly at the same moment as can be."""
    pairs = []
    for _ in range(3):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        pairs.append((after - before, wall - (before + after) // 2))
    return min(pairs)[1]


class Pace:
    """Holds frames back until they are due; begins when it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def wait(self, due: float, timeout: float) -> None:
        """Sleep until `due` seconds after the beginning.

        Raises CameraTimeoutError, after `timeout` seconds, if that is further away.
        """
        remaining = due - self.elapsed
        if remaining > timeout:
            time.sleep(max(timeout, 0))
            raise CameraTimeoutError(
                f"no frame within {timeout:g} s: the next is due in {remaining - timeout:.3g} s"
            )
        time.sleep(max(remaining, 0))


def skip_missed(expected: int, current: int) -> int:
    """Return which frame a live source gives: `expected`, or `current` if the reader is too late for it."""
    return expected if current - expected < DRIVER_BUFFERS else current
