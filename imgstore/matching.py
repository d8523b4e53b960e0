"""Which frames of several stores belong together: arithmetic on arrays of numbers and times."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from imgstore.index import Numbers, Ranking, Times, rank

Indices: TypeAlias = npt.NDArray[np.int64]
"""Of the frame of a store in every row; NONE where it has none."""

NONE = -1

TOLERANCE_INTERVALS = 0.6
"""How far apart frames of one moment may be by default, in frame intervals of the slower store: half of one
is what two cameras that run freely can be apart, and their frames do not come to the dot."""

_ALIKE = 0.01  # rates that differ by less are those of cameras set to the same
_BLOCK = 32  # frames; cameras that are alike slide by less than half a frame against each other meanwhile
_MOST_BLOCKS = 200
_FEWEST_PAIRS = 10


def match_numbers(numbers: Sequence[Numbers]) -> tuple[Numbers, list[Indices]]:
    """Return all numbers that any store has, rising, and for each store its first frame with each of them.

    Parameters
    ----------
    numbers : of the frames of each store.
    """
    ranked = [_firsts(rank(values)) for values in numbers]
    every = reduce(_merge, (ranking.values for ranking in ranked))
    return every, [_find(ranking, every) for ranking in ranked]


def match_times(times: Times, others: Times, tolerance: float) -> Indices:
    """Return for each of `times` the frame of another store whose time is nearest, the earlier of two.

    Parameters
    ----------
    times : shape (n,), in any order.
    others : times of the other store's frames.
    tolerance : how far it may be at most, seconds.
    """
    ranking = _firsts(rank(others))
    if not len(ranking.values):
        return np.full(len(times), NONE, np.int64)
    after = ranking.values.searchsorted(times)
    before = np.maximum(after - 1, 0)
    after = np.minimum(after, len(ranking.values) - 1)
    with np.errstate(invalid="ignore"):  # infinite times of a broken index match nothing
        to_before = np.abs(times - ranking.values[before])
        to_after = np.abs(times - ranking.values[after])
    places = np.where(to_after < to_before, after, before)
    near = np.minimum(to_after, to_before) <= tolerance  # false where the time is not known
    return np.where(near, _indices(ranking, places), NONE)


def hold(indices: Indices) -> Indices:
    """Return the last frame up to each row; NONE before the first."""
    rows = np.where(indices == NONE, 0, np.arange(len(indices)))
    return indices[np.maximum.accumulate(rows)]


def apply_policy(frames: Sequence[Indices], missing: str) -> tuple[Indices, list[Indices]]:
    """Return which rows there are to be, and what each store shows in every row.

    Parameters
    ----------
    frames : of each store.
    missing : "drop" leaves out rows in which a store has no frame, "hold" shows its last, "black" none.
    """
    if missing == "drop":
        whole = np.logical_and.reduce([column != NONE for column in frames])
        return np.flatnonzero(whole), list(frames)
    rows = np.arange(len(frames[0]))
    return rows, [hold(column) for column in frames] if missing == "hold" else list(frames)


def median_interval(times: Times) -> float:
    """Return how many seconds frames are apart; NaN where fewer than two times are known."""
    steps = np.diff(times[np.isfinite(times)])
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else np.nan


class ClockFit(NamedTuple):
    """How one clock runs against another: a line through differences of times, and what is left.

    Attributes
    ----------
    offset_s : difference at the first pair.
    drift_ppm : by how many microseconds the difference grows in a second; NaN if that cannot be known.
    residual_p50_s, residual_p95_s : what half and 95 % of the pairs are off the line at most.
    """

    offset_s: float
    drift_ppm: float
    residual_p50_s: float
    residual_p95_s: float


def fit_clock(times: Times, differences: Times) -> ClockFit:
    """Fit a line that no few outliers or steps of a clock bend: the median slope between medians of blocks.

    Parameters
    ----------
    times : of the pairs by the one clock, in order.
    differences : what the other clock says more, seconds, none NaN.
    """
    if not len(times):
        return ClockFit(np.nan, np.nan, np.nan, np.nan)
    since = times - times[0]
    slope = _slope(since, differences) if len(times) >= _FEWEST_PAIRS else np.nan
    line = since * (0.0 if np.isnan(slope) else slope)
    offset = float(np.median(differences - line))
    p50, p95 = np.percentile(np.abs(differences - line - offset), [50, 95]).tolist()
    return ClockFit(offset, slope * 1e6, p50, p95)


def unwrap(differences: Times, interval: float) -> Times:
    """Undo the jumps of one frame interval that the nearest frame makes while cameras slide apart.

    Parameters
    ----------
    differences : to the frame that is nearest, in order of time.
    interval : of frames, of both cameras.
    """
    starts = np.arange(0, len(differences), _BLOCK)
    begin = np.median(differences[:_BLOCK])
    turns = np.exp(2j * np.pi / interval * (differences - begin))
    phases = np.angle(np.add.reduceat(turns, starts)) * interval / (2 * np.pi)
    near = begin + np.repeat(np.unwrap(phases, period=interval), _BLOCK)[: len(differences)]
    return differences + np.round((near - differences) / interval) * interval


def are_alike(interval: float, other: float) -> bool:
    """Say whether two cameras run at the same rate, as far as one second of frames can tell."""
    return bool(abs(interval / other - 1) < _ALIKE)


def count_repeats(numbers: Numbers) -> int:
    """Return how many frames have a number that one before them has."""
    return len(numbers) - len(_firsts(rank(numbers)).values)


def _merge(values: Numbers, others: Numbers) -> Numbers:
    """Return the values of both, rising, as both are: a stable sort merges runs, where `union1d` hashes."""
    if np.array_equal(values, others):
        return values
    both = np.sort(np.concatenate([values, others]), kind="stable")
    new = np.ones(len(both), bool)
    new[1:] = both[1:] > both[:-1]
    return both[new]


def _firsts(ranking: Ranking) -> Ranking:
    """Return the ranking without values that came before."""
    new = np.ones(len(ranking.values), bool)
    new[1:] = ranking.values[1:] > ranking.values[:-1]
    if new.all():
        return ranking
    return Ranking(ranking.order[new], ranking.values[new])


def _find(ranking: Ranking, wanted: Numbers) -> Indices:
    if not len(ranking.values):
        return np.full(len(wanted), NONE, np.int64)
    places = np.minimum(ranking.values.searchsorted(wanted), len(ranking.values) - 1)
    return np.where(ranking.values[places] == wanted, _indices(ranking, places), NONE)


def _indices(ranking: Ranking, places: Indices) -> Indices:
    return ranking.order[places] if len(ranking.order) else places


def _slope(x: Times, y: Times) -> float:
    blocks = min(_MOST_BLOCKS, len(x))
    middles = [np.array([np.median(part) for part in np.array_split(axis, blocks)]) for axis in (x, y)]
    dx, dy = (middle[:, None] - middle for middle in middles)
    later = dx > 0
    return float(np.median(dy[later] / dx[later])) if later.any() else np.nan
