"""When each frame is shown in a video that plays a recording at its own pace."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgstore.index import Times

NOMINAL_INTERVAL_S = 0.04
LONGEST_PAUSE_S = 6 * 3600.0  # players count how long a frame is shown in 31 bits of 1/90000 s


@dataclass(frozen=True, slots=True)
class Timeline:
    """Frames' times, and when they are shown.

    Attributes
    ----------
    times : of the frames, shape (n,), Unix seconds.
    shown : from when on they are shown, shape (n,), seconds since the first.
    interval : the usual one of two frames, seconds; what the last frame is shown for.
    changed : frames that are shown at another distance from the one before than they were taken at: where
        the clock stepped back or did not say, the usual one, and after the longest pauses, a shorter one.
    """

    times: Times
    shown: npt.NDArray[np.float64]
    interval: float
    changed: int

    @property
    def duration(self) -> float:
        """Of the video, seconds."""
        return float(self.shown[-1]) + self.interval

    def ticks(self, per_second: int) -> npt.NDArray[np.int64]:
        """Return when frames are shown in ticks, shape (n + 1,), rising, with the end of the last frame."""
        rounded = np.rint(np.append(self.shown, self.duration) * per_second).astype(np.int64)
        places = np.arange(len(rounded))
        return np.asarray(np.maximum.accumulate(rounded - places) + places)

    def at(self, time: float) -> float:
        """Return when something is shown, or heard, that was at a time, Unix seconds."""
        near = int(np.nanargmin(np.abs(self.times - time)))
        return float(self.shown[near] + (time - self.times[near]))

    def thinned(self, rate: float) -> tuple["Timeline", npt.NDArray[np.int64]]:
        """Return a timeline with at most `rate` frames per second, and which of the frames these are."""
        _, kept = np.unique(np.floor(self.shown * rate), return_index=True)
        interval = max(self.interval, 1 / rate) if len(kept) < len(self.shown) else self.interval
        return Timeline(self.times[kept], self.shown[kept], interval, self.changed), kept


def make_timeline(times: Times, speed: float = 1.0) -> Timeline:
    """Return when frames with these times are shown; see `Timeline`.

    Parameters
    ----------
    times : shape (n,), n of at least 1.
    speed : 2 for twice as fast as it was.
    """
    steps = np.diff(times)
    with np.errstate(invalid="ignore"):
        forward = np.isfinite(steps) & (steps > 0)
    usual = float(np.median(steps[forward])) if forward.any() else NOMINAL_INTERVAL_S
    longest = LONGEST_PAUSE_S * speed
    kept = np.where(forward, np.minimum(steps, longest), usual)
    changed = int((~forward).sum() + (steps[forward] > longest).sum())
    exact = not changed and np.isfinite(times).all()
    shown = times - times[0] if exact else np.concatenate([[0.0], np.cumsum(kept)])
    return Timeline(times, shown / speed, usual / speed, changed)
