"""The numbers of a recording, which go on when its camera was lost and counts anew."""

from dataclasses import replace

from hardware.frame import CameraFrame
from hardware.losses import Loss


class Numbering:
    """Counts the frames of a recording on through restarts of its camera.

    What the camera counted and did not deliver is a gap in the numbers. While it was lost nobody counted: how
    many frames that were follows from the time and its rate.
    """

    def __init__(self) -> None:
        self._base = 0
        self._shift = 0.0
        self._index = 0
        self._last: tuple[int, float] | None = None
        self._restarted = False
        self._rate: float | None = None

    def restart(self, rate: float | None, clock_step: float) -> None:
        """Note that the camera begins to count anew.

        Parameters
        ----------
        rate : its frames per second, None if unknown.
        clock_step : seconds by which the system's clock was set forward since the recording began, which
            are in the times of the frames to come, and not in those before.
        """
        self._restarted = True
        self._rate = rate
        self._shift = -clock_step

    def place(self, frame: CameraFrame) -> tuple[CameraFrame, Loss | None]:
        """Return a frame with number, index and time in the recording, and what was lost before it."""
        time = frame.time + self._shift
        expected = 0 if self._last is None else self._last[0] + 1
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
        self._index += 1
        self._last = (number, time)
        loss = Loss("camera", expected, number - 1, time, estimated) if number > expected else None
        return placed, loss

    def _missed(self, time: float) -> int:
        """Return how many frames there would have been since the last one, had the camera not been lost."""
        if self._last is None or not self._rate:
            return 0
        return max(round((time - self._last[1]) * self._rate) - 1, 0)
