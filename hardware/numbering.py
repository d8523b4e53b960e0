"""The numbers of a recording, which go on when its camera was lost and counts anew."""

import math
from dataclasses import replace
from typing import NamedTuple

from hardware.frame import CameraFrame
from hardware.losses import Loss


class _Placed(NamedTuple):
    number: int
    time: float
    arrived_ns: int


class Numbering:
    """Counts the frames of a recording on through restarts of its camera.

    What the camera counted and did not deliver is a gap in the numbers. While it was lost nobody counted: how
    many frames that were follows from the time and its rate.

    Parameters
    ----------
    rate : of the camera, frames per second; None if unknown.
    """

    def __init__(self, rate: float | None) -> None:
        self._base = 0
        self._shift = 0.0
        self._index = 0
        self._last: _Placed | None = None
        self._restarted = False
        self._rate = rate if rate and math.isfinite(rate) else None

    def restart(self, rate: float | None, clock_step: float) -> None:
        """Note that the camera begins to count anew.

        Parameters
        ----------
        rate : see `Numbering`.
        clock_step : seconds by which the system's clock was set forward since the recording began, which
            are in the times of the frames to come, and not in those before.
        """
        self._restarted = True
        self._rate = rate if rate and math.isfinite(rate) else None
        self._shift = -clock_step

    def place(self, frame: CameraFrame) -> tuple[CameraFrame, Loss | None]:
        """Return a frame with number, index and time in the recording, and what was lost before it."""
        time = frame.time + self._shift
        expected = 0 if self._last is None else self._last.number + 1
        estimated = self._restarted
        if self._restarted:
            self._base = expected + self._missed(time) - frame.number
            self._restarted = False
        elif self._base + frame.number < expected:  # which no camera should do; counted on all the same
            self._base = expected - frame.number
        number = self._base + frame.number
        placed = frame
        if self._base or self._shift or frame.index != self._index:
            placed = replace(frame, number=number, time=time, index=self._index)
        loss = self._between(expected, number, time, estimated=estimated) if number > expected else None
        self._index += 1
        self._last = _Placed(number, time, frame.arrived_ns)
        return placed, loss

    def missed_until(self, monotonic_ns: int) -> Loss | None:
        """Return what a camera that is lost would have given since its last frame; None if nobody knows."""
        if self._last is None or self._rate is None:
            return None
        count = int((monotonic_ns - self._last.arrived_ns) / 1e9 * self._rate)
        if count < 1:
            return None
        first, step = self._last.number + 1, 1 / self._rate
        began, time = self._last.time + step, self._last.time + count * step
        return Loss("camera", first, first + count - 1, began, time, estimated=True)

    def _between(self, expected: int, number: int, time: float, *, estimated: bool) -> Loss:
        """Return the loss of the frames from number `expected` to before `number`, which is of `time`."""
        if self._last is not None:
            step = (time - self._last.time) / (number - self._last.number)
        else:
            step = 0.0 if self._rate is None else 1 / self._rate
        began = time - (number - expected) * step
        return Loss("camera", expected, number - 1, began, time - step, estimated)

    def _missed(self, time: float) -> int:
        """Return how many frames there would have been since the last one, had the camera not been lost."""
        if self._last is None or self._rate is None:
            return 0
        return max(round((time - self._last.time) * self._rate) - 1, 0)
