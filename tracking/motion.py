"""How animals move, from their positions: arithmetic on arrays.

Positions are first averaged over windows of a fixed length (one second unless said otherwise), so that what
follows depends on the frame rate no more than it must, and single wrong positions count little. A step is
the way from the place around the start of a window to that around its end; speed is steps per window,
distance their sum.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracking.errors import SettingsError

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SPEED_WINDOW_S = 1.0

STILLEST = 0.05  # share of the steps, the least ones, that tell what noise is
_RAYLEIGH = float(np.sqrt(-2 * np.log(1 - STILLEST)))  # that quantile of steps of noise of 1 px along x and y
_CERTAIN = 5.0  # standard deviations; noise is beyond in 4 of a million windows
_SLOWEST, _FASTEST = 0.05, 0.25  # body lengths per second, between which the threshold lies
_SLOWEST_PX = 1.0  # pixels per second, where nothing is known of bodies
_FEWEST_TO_SHAKE = 5  # animals that have to go the same way
_SHAKEN_TOGETHER = 0.6  # of the animals ...
_SURELY_TOGETHER = 7  # ... but so many at least, or all: six that walk often go the same way by chance
_LEAST_SHAKE = 0.3  # pixels


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """What moving and sleeping are taken to be.

    Attributes
    ----------
    window : seconds over which positions are averaged; longer where frames are rarer (twice their interval).
    moving_above : speed above which an animal moves, pixels per second; None for the greater of five standard
        deviations of the noise and 1/20 body length per second, and at most 1/4 body length per second.
    sleep_after : an animal that has been immobile for so many seconds or longer was asleep all the while.
    bridge : seconds; where it was not seen for no longer than this, it is taken to have gone straight.
    remove_shake : take steps that most animals (five at least) make together for those of the camera.
    """

    window: float = SPEED_WINDOW_S
    moving_above: float | None = None
    sleep_after: float = 300.0
    bridge: float = 10.0
    remove_shake: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.window <= 3600:
            raise SettingsError(f"window is above 0 and at most 3600 seconds, got {self.window}")
        if self.moving_above is not None and not self.moving_above > 0:
            raise SettingsError(f"moving_above is above 0 pixels per second, got {self.moving_above}")
        if not (self.sleep_after > 0 and self.bridge >= 0):
            raise SettingsError(
                "sleep_after is above 0 seconds, and bridge not below, "
                f"got {self.sleep_after} and {self.bridge}"
            )


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


def _gap_at(times: Numbers, at: Numbers, longest: float) -> Mask:
    """Say where `at` lies between two `times` that are more than `longest` apart."""
    following = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    return np.asarray((times[following] - times[following - 1] > longest) & (times[following] > at))


def runs(mask: Mask) -> npt.NDArray[np.intp]:
    """Return where a mask is true for a while: starts and stops, shape (n, 2)."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2)


def covered(spans: npt.NDArray[np.intp], count: int) -> Mask:
    """Return a mask of `count` values that is true in runs as `runs` gives them."""
    edges = np.zeros(count + 1, np.int64)
    edges[spans[:, 0]] += 1
    edges[spans[:, 1]] -= 1
    return np.cumsum(edges[:-1]) > 0


def bridged(values: Numbers, longest: int) -> Numbers:
    """Return values with straight lines across gaps (NaN) of at most `longest` values between known ones."""
    known = np.isfinite(values)
    if not known.any():
        return values
    every = np.arange(len(values))
    gaps = runs(~known)
    open_ended = (gaps[:, 0] == 0) | (gaps[:, 1] == len(values))
    left = covered(gaps[open_ended | (gaps[:, 1] - gaps[:, 0] > longest)], len(values))
    return np.where(left, np.nan, np.interp(every, every[known], values[known]))


def step_noise(steps: Numbers) -> float:
    """Return the standard deviation, along x and along y, of steps that are noise only; pixels.

    The smallest twentieth of the steps is taken for those of an animal that rests. Of one that never does,
    it is an upper bound. NaN if there are no steps.
    """
    known = steps[np.isfinite(steps)]
    return float(np.quantile(known, STILLEST)) / _RAYLEIGH if len(known) else np.nan


def moving_threshold(noise: float, length: float, window: float) -> float:
    """Return the speed above which an animal moves, pixels per second; see `MotionSettings`.

    Parameters
    ----------
    noise : of steps, pixels; see `step_noise`. NaN if it is not known.
    length : of the body, pixels; NaN if it is not known.
    window : seconds that a step takes.
    """
    certain = _CERTAIN * noise / window if np.isfinite(noise) else 0.0
    if not (np.isfinite(length) and length > 0):
        return max(certain, _SLOWEST_PX)
    return float(np.clip(certain, _SLOWEST * length, _FASTEST * length))


def common_step(dx: Numbers, dy: Numbers) -> Numbers:
    """Return the steps that animals make together because the camera does, shape (2, windows), pixels.

    They are 0 unless five animals or more are seen, the usual step is 0.3 px or more, and those of six in ten
    animals, seven at least or else all, differ from it by less than half of it.

    Parameters
    ----------
    dx, dy : steps, shape (animals, windows), pixels; NaN where unknown.
    """
    none = np.zeros((2, dx.shape[1]))
    if len(dx) < _FEWEST_TO_SHAKE:
        return none
    seen = np.isfinite(dx).sum(axis=0)
    steps = np.stack([dx, dy])
    usual = _median(steps)
    size = np.hypot(*usual)
    alike = (np.hypot(*(steps - usual[:, None])) < size / 2).sum(axis=0)
    together = alike >= np.maximum(_SHAKEN_TOGETHER * seen, np.minimum(seen, _SURELY_TOGETHER))
    return np.where(together & (seen >= _FEWEST_TO_SHAKE) & (size >= _LEAST_SHAKE), usual, none)


def _median(steps: Numbers) -> Numbers:
    """Return the median over the animals, shape (2, windows); 0 where none was seen."""
    ordered = np.sort(steps, axis=1)  # NaN comes last
    seen = np.isfinite(steps).sum(axis=1)
    middle = (np.maximum(place, 0) for place in ((seen - 1) // 2, seen // 2))
    low, high = (np.take_along_axis(ordered, place[:, None], axis=1)[:, 0] for place in middle)
    return np.where(seen > 0, (low + high) / 2, 0.0)


def sleeping(immobile: Mask, shortest: int) -> Mask:
    """Return where an animal sleeps: in runs of at least `shortest` windows in which it is immobile."""
    rests = runs(immobile)
    return covered(rests[rests[:, 1] - rests[:, 0] >= shortest], len(immobile))


def outskirts(steps: Numbers, moving: Mask) -> Mask:
    """Return in which windows an animal moves, but not in their middle: it stops before, or starts after.

    There, between rest and movement, a step is less than half of the next one of the movement. Positions are
    means over a window, so without this, movement would seem up to two windows longer than it is.

    Parameters
    ----------
    steps : shape (windows,), pixels.
    moving : where they are more than noise.
    """
    edges = np.zeros(len(steps), np.bool_)
    before, here, after = slice(None, -2), slice(1, -1), slice(2, None)
    still = np.isfinite(steps) & ~moving
    for rest, movement in ((before, after), (after, before)):
        edges[here] |= still[rest] & moving[here] & moving[movement] & (steps[here] < 0.5 * steps[movement])
    return edges
