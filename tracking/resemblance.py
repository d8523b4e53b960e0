"""What animals look like, and how much of that tells one from another."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

FEATURES = 3

TAIL = 4.0
"""Degrees of freedom of Student's distribution: how often what is unlikely happens all the same."""

_MEMORY_S = 20.0  # looks change with age, light and place
_INDEPENDENT_S = 1.0  # looks of the same animal vary as much after so long as ever
_MOST_INDEPENDENT = 6.0
_PRIOR_SPREADS = (0.08, 0.05, 0.05)  # of logarithms of area, depth and intensity of one animal
_PRIOR_COUNT = 5.0
_REUNION_SPREAD = 0.02  # by which looks change from one stretch to the next, until that is learnt
_REUNION_COUNT = 8.0
_LEAST_SPREAD = 0.004
_MOST_COUNT = 5000.0
_BEYOND = 0.5  # times the variance within animals: what they differ by has to be more than that
_AT_ONCE_S = 0.2


@dataclass(slots=True)
class Appearance:
    """Running mean of what an animal looks like, and over how many seconds it was seen."""

    mean: Numbers = field(default_factory=lambda: np.zeros(FEATURES))
    seconds: float = 0.0

    def add(self, look: Numbers, seconds: float) -> None:
        """Take how it looked for some time."""
        self.seconds += seconds
        self.mean = self.mean + min(1.0, max(seconds / self.seconds, seconds / _MEMORY_S)) * (
            look - self.mean
        )

    def merged(self, later: "Appearance") -> "Appearance":
        """Return what is known from both."""
        both = Appearance(self.mean.copy(), self.seconds)
        if later.seconds > 0:
            both.add(later.mean, later.seconds)
        return both

    @property
    def weight(self) -> float:
        """How many independent looks it is the mean of."""
        return 1.0 + min(self.seconds / _INDEPENDENT_S, _MOST_INDEPENDENT - 1)


class _Scatter:
    """Running covariance of what varies around zero, from a guess that counts for so many."""

    def __init__(self, guess: Numbers, count: float) -> None:
        self._sum = guess * count
        self.count = count

    def add(self, change: Numbers) -> None:
        """Take one more, and forget a little of the others if they are many."""
        keep = min(1.0, _MOST_COUNT / (self.count + 1))
        self._sum = keep * (self._sum + np.outer(change, change))
        self.count = keep * (self.count + 1)

    @property
    def covariance(self) -> Numbers:
        """What it is now."""
        return np.asarray(self._sum / self.count)


class _Block(NamedTuple):
    """How an animal looked for a moment: `who` says which one."""

    who: object
    time: float
    look: Numbers


class _Differences(NamedTuple):
    """Directions in which animals differ by more than each of them varies.

    Attributes
    ----------
    axes : to multiply looks with, so that one animal varies by 1 along each, shape (FEATURES, directions).
    variances : between animals along these, shape (directions,).
    """

    axes: Numbers
    variances: Numbers


class Resemblance:
    """Learns how much looks vary, of one animal and between animals, and judges by that who is who.

    One animal is compared with itself a while later, as long as it surely is the same, and before and after
    encounters out of which its motion alone tells who it is; others are compared with it at the same moment.
    """

    def __init__(self) -> None:
        self._steady = _Scatter(np.diag(np.square(_PRIOR_SPREADS)), _PRIOR_COUNT)
        self._reunions = _Scatter(np.zeros((FEATURES, FEATURES)), 1e-9)
        self._others = _Scatter(np.zeros((FEATURES, FEATURES)), 1e-9)
        self._mean = Appearance()  # of all animals
        self._latest: _Block | None = None
        self._differences: _Differences | None = None

    def add_later(self, before: Numbers, after: Numbers) -> None:
        """Take two looks of one animal, a while apart."""
        self._steady.add((after - before) * np.sqrt(0.5))

    def add_reunion(self, known: Appearance, seen: Appearance) -> None:
        """Take what an animal looked like before an encounter and after, if it surely is the same."""
        if known.seconds and seen.seconds:
            change = seen.mean - known.mean
            self._reunions.add(change / np.sqrt(1 / known.weight + 1 / seen.weight))

    def add_now(self, who: object, time: float, look: Numbers, seconds: float) -> None:
        """Take the look of an animal, to be compared with that of others at the same time."""
        latest, self._latest = self._latest, _Block(who, time, look)
        self._mean.add(look, seconds)
        if latest is not None and latest.who is not who and time - latest.time < _AT_ONCE_S:
            self._others.add((look - latest.look) * np.sqrt(0.5))
        self._differences = None

    def unlike(self, known: Appearance, seen: Appearance) -> float:
        """Return how unlikely it is that both are of one animal.

        Returns
        -------
        A negative logarithm: above 0 if it is less likely than that the one seen is any of them.
        """
        if not known.seconds or not seen.seconds:
            return 0.0
        axes, variances = self._known_differences()
        before, now = (known.mean - self._mean.mean) @ axes, (seen.mean - self._mean.mean) @ axes
        share = variances / (variances + 1 / known.weight)  # of what is known that is of the animal itself
        of_one = share / known.weight + 1 / seen.weight
        of_any = variances + 1 / seen.weight
        return _cost(now - share * before, of_one) - _cost(now, of_any)

    @property
    def tells(self) -> bool:
        """Whether animals differ by anything that lasts."""
        return len(self._known_differences().variances) > 0

    def _known_differences(self) -> _Differences:
        if self._differences is None:
            self._differences = self._find_differences()
        return self._differences

    def _find_differences(self) -> _Differences:
        within = self._within
        root = np.linalg.cholesky(within)
        whitened = np.linalg.solve(root, np.linalg.solve(root, self._others.covariance).T)
        variances, directions = np.linalg.eigh((whitened + whitened.T) / 2)
        beyond = variances - 1 - _BEYOND
        axes = np.linalg.solve(root.T, directions)
        return _Differences(axes[:, beyond > 0], beyond[beyond > 0])

    @property
    def _within(self) -> Numbers:
        """Covariance of looks of one animal, from one stretch to another."""
        steady = self._steady.covariance
        guess = steady + np.eye(FEATURES) * _REUNION_SPREAD**2
        count = self._reunions.count
        within = (guess * _REUNION_COUNT + self._reunions.covariance * count) / (_REUNION_COUNT + count)
        return np.asarray(within + np.eye(FEATURES) * _LEAST_SPREAD**2)


def _cost(deviation: Numbers, variances: Numbers) -> float:
    """Return the negative logarithm of the density of a heavy-tailed deviation, up to a constant."""
    return tail_cost(float(deviation**2 @ (1 / variances)), len(variances)) + 0.5 * float(
        np.log(variances).sum()
    )


def tail_cost(squares: float, dimensions: int) -> float:
    """Return the negative logarithm of Student's distribution of so many dimensions, up to a constant."""
    return (TAIL + dimensions) / 2 * float(np.log1p(squares / TAIL))
