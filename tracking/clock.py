"""Time that only goes on, from times that may not."""

import math

_LONGEST = 600.0  # seconds; what a longer step changes is no less known


class SteadyClock:
    """Counts the seconds between frames; a clock that is set back, or no time at all, does not stop it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._last = math.nan
        self._usual = 0.0

    def advance(self, time: float) -> float:
        """Take the time of the next frame; return the seconds since the last one.

        After a step back, or a time that is no number, that is as much as between the two frames before.
        """
        step = time - self._last
        if math.isfinite(time):
            self._last = time
        if step > 0:
            self._usual = min(step, _LONGEST)
        self.now += self._usual
        return self._usual
