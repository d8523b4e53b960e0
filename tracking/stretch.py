"""What an animal is like between two encounters: its looks, and how it goes in and comes out."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

_FEATURES = 3
_MEMORY_S = 20.0  # looks change with age, light and place
_INDEPENDENT_S = 1.0  # looks of the same animal vary as much after so long as ever
_MOST_INDEPENDENT = 6.0
_PRIOR_SPREADS = (0.08, 0.05, 0.05)  # of logarithms of area, depth and intensity of one animal
_PRIOR_COUNT = 5
_LEAST_SPREAD = 0.004
_MOST_COUNT = 5000
_TAIL = 4.0  # degrees of freedom: how often what is unlikely happens all the same
_EDGE_S = 0.25  # of a stretch from which speed and direction are taken
_BLOCK_S = 0.25
_AGILITY = 6.0  # body lengths squared per second cubed, until it is learnt
_BLUR = 0.04  # body lengths by which places are wrong


class Edge(NamedTuple):
    """Where an animal was, and how it went, when it was last seen alone, or first again.

    Attributes
    ----------
    time : seconds.
    place, velocity : pixels, pixels per second.
    """

    time: float
    place: Numbers
    velocity: Numbers


@dataclass(slots=True)
class Appearance:
    """Running mean of what an animal looks like, and over how many seconds it was seen."""

    mean: Numbers = field(default_factory=lambda: np.zeros(_FEATURES))
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


class Stretch:
    """How an animal looks and moves while it cannot be taken for another."""

    def __init__(self) -> None:
        self.looks = Appearance()
        self.sightings = 0
        self._first: list[tuple[float, float, float]] = []  # time, x, y
        self._last: deque[tuple[float, float, float]] = deque()
        self._since = np.nan
        self._sum = np.zeros(_FEATURES)
        self._count = 0
        self._blocks: deque[tuple[float, Numbers, Numbers]] = deque()  # time, look, velocity

    def add(self, time: float, place: Numbers, look: Numbers, habits: "Habits") -> None:
        """Take a sighting; what it says of all animals goes into `habits`."""
        now = (time, float(place[0]), float(place[1]))
        elapsed = time - self._last[-1][0] if self._last else 0.0
        self.looks.add(look, min(max(elapsed, 1e-3), 2 * _EDGE_S))
        self.sightings += 1
        if len(self._first) < 2 or time - self._first[0][0] <= _EDGE_S:
            self._first.append(now)
        self._last.append(now)
        while len(self._last) > 2 and time - self._last[1][0] >= _EDGE_S:
            self._last.popleft()
        self._learn(time, look, habits)

    def forget_looks(self) -> None:
        """Begin anew with looks: nobody knows whose they were."""
        self.looks = Appearance()

    def beginning(self) -> Edge | None:
        """Return how it came; None if it was not seen for long enough."""
        return _edge(self._first, self._first[0]) if len(self._first) > 1 else None

    def end(self) -> Edge | None:
        """Return how it went; None if it was not seen for long enough."""
        return _edge(self._last, self._last[-1]) if len(self._last) > 1 else None

    def _learn(self, time: float, look: Numbers, habits: "Habits") -> None:
        """Compare how an animal looks and moves with how it did a while ago, when it surely was the same."""
        self._since = time if np.isnan(self._since) else self._since
        self._sum = self._sum + look
        self._count += 1
        if time - self._since < _BLOCK_S:
            return
        edge = self.end()
        if edge is None:
            return
        block = (time, self._sum / self._count, edge.velocity)
        if self._blocks:
            habits.add_motion(self._blocks[-1][2], edge.velocity, time - self._blocks[-1][0])
        while self._blocks and time - self._blocks[0][0] >= _INDEPENDENT_S:
            before = self._blocks.popleft()
            if time - before[0] < 2 * _INDEPENDENT_S:
                habits.add_looks(before[1], block[1])
        self._blocks.append(block)
        self._since, self._sum, self._count = time, np.zeros(_FEATURES), 0


def _edge(
    places: "deque[tuple[float, float, float]] | list[tuple[float, float, float]]",
    at: tuple[float, float, float],
) -> Edge:
    times, x, y = np.array(places).T
    around = times - times.mean()
    spread = float(around @ around)
    velocity = np.array([around @ x, around @ y]) / spread if spread > 0 else np.zeros(2)
    return Edge(at[0], np.array(at[1:]), velocity)


class Habits:
    """How much animals vary: what one of them looks like now and later, and how fast it changes its way.

    Parameters
    ----------
    length : of an animal, pixels.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._looks = np.diag(np.square(_PRIOR_SPREADS)) * _PRIOR_COUNT
        self._looks_count = float(_PRIOR_COUNT)
        self._agility = _AGILITY * _PRIOR_COUNT
        self._agility_count = float(_PRIOR_COUNT)

    def add_looks(self, before: Numbers, after: Numbers) -> None:
        """Take two looks of one animal, a while apart."""
        change = after - before
        keep = min(1.0, _MOST_COUNT / (self._looks_count + 1))
        self._looks = keep * (self._looks + 0.5 * np.outer(change, change))
        self._looks_count = keep * (self._looks_count + 1)

    def add_motion(self, before: Numbers, after: Numbers, elapsed: float) -> None:
        """Take two velocities of one animal, a moment apart."""
        change = (after - before) / self._length
        keep = min(1.0, _MOST_COUNT / (self._agility_count + 1))
        self._agility = keep * (self._agility + float(change @ change) / (4 / 3 * max(elapsed, 1e-3)))
        self._agility_count = keep * (self._agility_count + 1)

    @property
    def agility(self) -> float:
        """Body lengths squared per second cubed: strength of the random acceleration that explains turns."""
        return self._agility / self._agility_count

    def unlike(self, known: Appearance, seen: Appearance) -> float:
        """Return how unlikely it is that both are of one animal, a negative logarithm up to a constant."""
        if not known.seconds or not seen.seconds:
            return 0.0
        spread = self._looks / self._looks_count + np.eye(_FEATURES) * _LEAST_SPREAD**2
        spread = spread * (1 / known.weight + 1 / seen.weight)
        change = seen.mean - known.mean
        return _tail_cost(float(change @ np.linalg.solve(spread, change)), _FEATURES)

    def astray(self, before: Edge | None, after: Edge | None) -> float:
        """Return how unlikely it is that an animal that went in so came out so, as `unlike` does."""
        if before is None or after is None:
            return 0.0
        elapsed = max(after.time - before.time, 1e-3)
        turned = (after.velocity - before.velocity) / self._length
        missed = (
            after.place - before.place - elapsed * (after.velocity + before.velocity) / 2
        ) / self._length
        of_speed = self.agility * elapsed + 4 * (_BLUR / _EDGE_S) ** 2
        of_place = self.agility * elapsed**3 / 12 + 2 * _BLUR**2 + (elapsed * _BLUR / _EDGE_S) ** 2
        cost = _tail_cost(float(turned @ turned) / of_speed + float(missed @ missed) / of_place, 4)
        return cost + float(np.log(of_speed) + np.log(of_place))


def _tail_cost(squares: float, dimensions: int) -> float:
    """Return the negative logarithm of Student's distribution of so many dimensions, up to a constant."""
    return (_TAIL + dimensions) / 2 * float(np.log1p(squares / _TAIL))
