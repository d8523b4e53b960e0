"""What an animal is like between two encounters: its looks, and how it goes in and comes out."""

from collections import deque
from typing import NamedTuple

import numpy as np

from tracking.resemblance import FEATURES, TAIL, Appearance, Numbers, Resemblance, tail_cost

_LATER_S = 1.0  # looks of the same animal vary as much after so long as ever
_PRIOR_COUNT = 5
_MOST_COUNT = 5000
_EDGE_S = 0.25  # of a stretch from which speed and direction are taken
_BLOCK_S = 0.25
_AGILITY = 2.0  # body lengths squared per second cubed, until it is learnt
_SLOW = 0.3  # body lengths per second: who goes slower rests
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


class Stretch:
    """How an animal looks and moves while it cannot be taken for another."""

    def __init__(self) -> None:
        self.looks = Appearance()
        self.sightings = 0
        self._first: list[tuple[float, float, float]] = []  # time, x, y
        self._last: deque[tuple[float, float, float]] = deque()
        self._since = np.nan
        self._sum = np.zeros(FEATURES)
        self._count = 0
        self._blocks: deque[tuple[float, Numbers, Numbers]] = deque()  # time, look, velocity

    def add(self, time: float, place: Numbers, look: Numbers, habits: "Habits") -> None:
        """Take a sighting; what it says of all animals goes into `habits`."""
        elapsed = time - self._last[-1][0] if self._last else 0.0
        self.looks.add(look, min(max(elapsed, 1e-3), 2 * _EDGE_S))
        self.sightings += 1
        self.go(time, place)
        self._learn(time, look, habits)

    def go(self, time: float, place: Numbers) -> None:
        """Take where it is, if that is all that can be told: it touches another."""
        now = (time, float(place[0]), float(place[1]))
        if len(self._first) < 2 or time - self._first[0][0] <= _EDGE_S:
            self._first.append(now)
        self._last.append(now)
        while len(self._last) > 2 and time - self._last[1][0] >= _EDGE_S:
            self._last.popleft()

    @property
    def is_known(self) -> bool:
        """Whether it was seen for long enough to tell how it went."""
        return len(self._last) > 1

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
        while self._blocks and time - self._blocks[0][0] >= _LATER_S:
            before = self._blocks.popleft()
            if time - before[0] < 2 * _LATER_S:
                habits.resemblance.add_later(before[1], block[1])
        habits.resemblance.add_now(self, time, block[1], time - self._since)
        self._blocks.append(block)
        self._since, self._sum, self._count = time, np.zeros(FEATURES), 0


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
        self.resemblance = Resemblance()
        self._resting, self._walking = _Agility(), _Agility()

    def add_motion(self, before: Numbers, after: Numbers, elapsed: float) -> None:
        """Take two velocities of one animal, a moment apart."""
        change = (after - before) / self._length
        self._agility(before).add(float(change @ change) / (4 / 3 * max(elapsed, 1e-3)))

    def _agility(self, velocity: Numbers) -> "_Agility":
        return self._resting if np.hypot(*velocity) < _SLOW * self._length else self._walking

    def astray(self, before: Edge | None, after: Edge | None) -> float:
        """Return how unlikely it is that an animal that went in so came out so.

        Returns
        -------
        A negative logarithm, up to a constant.
        """
        if before is None or after is None:
            return 0.0
        elapsed = max(after.time - before.time, 1e-3)
        turned = (after.velocity - before.velocity) / self._length
        missed = (
            after.place - before.place - elapsed * (after.velocity + before.velocity) / 2
        ) / self._length
        agility = self._agility(before.velocity).value
        of_speed = agility * elapsed + 4 * (_BLUR / _EDGE_S) ** 2
        of_place = agility * elapsed**3 / 12 + 2 * _BLUR**2 + (elapsed * _BLUR / _EDGE_S) ** 2
        cost = tail_cost(float(turned @ turned) / of_speed + float(missed @ missed) / of_place, 4)
        return cost + float(np.log(of_speed) + np.log(of_place))


class _Agility:
    """How much animals change their way: the strength of the random acceleration that would explain it."""

    def __init__(self) -> None:
        self._sum = _AGILITY * _PRIOR_COUNT
        self._count = float(_PRIOR_COUNT)

    @property
    def value(self) -> float:
        """Body lengths squared per second cubed."""
        return self._sum / self._count

    def add(self, squares: float) -> None:
        """Take one change of velocity, as the strength that would explain it alone."""
        # dashes and stops are rare, and must not make an animal that goes on as it went look unlikely
        weight = (TAIL + 2) / (TAIL + 2 * squares / self.value)
        keep = min(1.0, _MOST_COUNT / (self._count + 1))
        self._sum = keep * (self._sum + weight * squares)
        self._count = keep * (self._count + 1)
