"""How animals move, from their positions."""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

SPEED_WINDOW_S = 1.0


def speed(times: Numbers, x: Numbers, y: Numbers, *, window: float = SPEED_WINDOW_S) -> Numbers:
    """Return the speed of an animal at every time, shape (n,), pixels per second.

    It is the distance between the positions half a `window` before and after, so it depends neither on
    the rate of the frames nor much on the noise of single positions. It is NaN where the animal was not
    seen within the window around one of the two.

    Parameters
    ----------
    times : rising, shape (n,), seconds.
    x, y : positions, shape (n,), pixels.
    window : seconds; longer where frames are farther apart.
    """
    if len(times) < 2:
        return np.full(len(times), np.nan)
    window = max(window, 2 * float(np.median(np.diff(times))))  # of recordings with a frame now and then
    before = np.clip(times - window / 2, times[0], times[-1])
    after = np.clip(times + window / 2, times[0], times[-1])
    elapsed = np.where(after > before, after - before, np.nan)
    moved = np.hypot(
        np.interp(after, times, x) - np.interp(before, times, x),
        np.interp(after, times, y) - np.interp(before, times, y),
    )
    return np.where(_gap_at(times, before, window) | _gap_at(times, after, window), np.nan, moved / elapsed)


def _gap_at(times: Numbers, at: Numbers, longest: float) -> npt.NDArray[np.bool_]:
    """Say where `at` lies between two `times` that are more than `longest` apart."""
    following = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    return np.asarray((times[following] - times[following - 1] > longest) & (times[following] > at))
