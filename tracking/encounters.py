"""Animals that cannot be told apart for a while, and who is who afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracking.animal import Animal
from tracking.resemblance import Appearance
from tracking.stretch import Edge, Habits, Stretch

DOUBTFUL = 4.0
"""A choice that is not by this much better than with two animals exchanged is doubtful."""

_APART_S = 0.12  # so long alone, and so often seen, before it is decided who is who
_APART_SIGHTINGS = 3
_UNSURE_S = 2.0  # for so long it is waited for looks to tell more
_LONGEST_WAIT_S = 5.0
_SURE = 0.77
_CERTAIN = 12.0
_OF_LOOKS, _OF_WAYS = 0.7, 0.5  # beside what was seen meanwhile: looks and ways are said repeatedly
_KNOWN_BY_MOTION = 0.9
_MOST_DOUBTS = 6  # of which every combination is weighed; before there are more, the first one is decided


@dataclass(slots=True, eq=False)
class Doubt:
    """A time in which two animals may have been exchanged.

    Attributes
    ----------
    pair : the animals.
    passed : how many stretches of each, since the encounter began, came before it.
    margin : how much better the choice was than with the two exchanged, where that was least.
    frame : in which it was least.
    """

    pair: tuple[Animal, Animal]
    passed: dict[Animal, int]
    margin: float
    frame: int


class Exchange(NamedTuple):
    """Two animals that have each other's numbers from a frame on."""

    first: Animal
    second: Animal
    frame: int


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What an animal was like before an encounter: looks, and how it went in; None if nobody knows."""

    looks: Appearance
    edge: Edge | None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Who is who.

    Attributes
    ----------
    exchanged : of every doubt, in order, whether the two were exchanged.
    confidence : of each animal, 0 to 1, that what came out under its name is it.
    by_motion : the same, if nothing is given for looks.
    """

    exchanged: tuple[bool, ...]
    confidence: dict[Animal, float]
    by_motion: dict[Animal, float]

    @property
    def is_sure(self) -> bool:
        """Whether there is little doubt left."""
        return min(self.confidence.values(), default=1.0) >= _SURE


@dataclass(slots=True, eq=False)
class Encounter:
    """Some animals that may have been taken for each other.

    Every way in which they may have been exchanged is weighed: by how each would then have gone from one
    stretch, in which it was alone, to the next, by what it looked like in all of them, and by what was
    seen meanwhile.

    Attributes
    ----------
    last : time of the last doubt.
    before : what they were like before it.
    past : of each animal the stretches between two doubts.
    doubts : in the order of their frames.
    outcome : who is who, once that is decided.
    joined : the encounter that it became part of, if it did.
    """

    last: float
    before: dict[Animal, Before] = field(default_factory=dict)
    past: dict[Animal, list[Stretch]] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    outcome: Outcome | None = None
    joined: "Encounter | None" = None

    def add(self, first: Animal, second: Animal, margin: float, frame: int, time: float) -> None:
        """Take it down that two animals might have been exchanged in a frame."""
        for animal in (first, second):
            if animal not in self.before:
                self.before[animal] = Before(animal.known_looks(), animal.stretch.end())
                self.past[animal] = []
            elif animal.stretch.is_known:
                self.past[animal].append(animal.stretch)
            animal.stretch = Stretch()  # they have to be told apart after this
        passed = {animal: len(self.past[animal]) for animal in (first, second)}
        same = next((doubt for doubt in self.doubts if doubt.passed == passed), None)
        if same is None:
            self.doubts.append(Doubt((first, second), passed, margin, frame))
        elif margin <= same.margin:
            same.margin, same.frame = margin, frame
        self.doubts.sort(key=lambda doubt: doubt.frame)
        self.last = time

    def join(self, other: "Encounter") -> None:
        """Take over another encounter, of other animals."""
        self.before |= other.before
        self.past |= other.past
        self.doubts += other.doubts
        self.last = max(self.last, other.last)
        other.joined = self

    def may_end(self, time: float) -> bool:
        """Say whether all have been apart for long enough to decide who is who."""
        enough = all(animal.stretch.sightings >= _APART_SIGHTINGS for animal in self.before)
        return enough and time - self.last >= _APART_S

    def must_end(self, time: float, habits: Habits) -> bool:
        """Say whether it has to be decided now, however much is known."""
        waited = time - self.last
        unsure = _UNSURE_S if habits.resemblance.tells else 0.0
        return waited >= _LONGEST_WAIT_S or (waited >= unsure and self.may_end(time))

    def confidence(self, animal: Animal) -> float:
        """Return how likely it is that an animal was not exchanged, 0.5 to 1."""
        if self.joined is not None:
            return self.joined.confidence(animal)
        if self.outcome is not None:
            return self.outcome.confidence[animal]
        margins = [doubt.margin for doubt in self.doubts if animal in doubt.pair]
        return float(1 / (1 + np.exp(-max(min(margins, default=_CERTAIN), 0.0))))

    def weigh(self, habits: Habits) -> Outcome:
        """Return who is who: of all combinations of exchanges, the likeliest."""
        options = list(product((False, True), repeat=len(self.doubts)))
        paths = _Paths(self, habits)
        margins = np.array([doubt.margin for doubt in self.doubts])
        followed = [paths.follow(option) for option in options]
        moved = np.array(options, float).reshape(len(options), -1) @ margins
        moved += [cost.ways for cost, _ in followed]
        totals = moved + [cost.looks for cost, _ in followed]
        best = int(totals.argmin())
        ends = np.array([end for _, end in followed])
        same = ends == ends[best]
        sure, by_motion = (_chances(costs) @ same for costs in (totals, moved))
        return Outcome(
            options[best],
            dict(zip(self.before, sure.tolist(), strict=True)),
            dict(zip(self.before, by_motion.tolist(), strict=True)),
        )

    def exchanges(self, outcome: Outcome) -> list[Exchange]:
        """Return who is exchanged with whom by an outcome, in order; `before` is true then."""
        found = []
        for exchanged, doubt in zip(outcome.exchanged, self.doubts, strict=True):
            if exchanged:
                found.append(self._exchange(doubt))
        return found

    def shorten(self, habits: Habits) -> list[Exchange]:
        """Decide the first doubt if there are too many to weigh; return the exchange, if it was one."""
        if len(self.doubts) <= _MOST_DOUBTS:
            return []
        exchanged = self.weigh(habits).exchanged[0]
        doubt = self.doubts.pop(0)
        found = [self._exchange(doubt)] if exchanged else []
        for animal in doubt.pair:
            self._pass(animal)
        return found

    def _exchange(self, doubt: Doubt) -> Exchange:
        first, second = doubt.pair
        self.before[first], self.before[second] = self.before[second], self.before[first]
        return Exchange(first, second, doubt.frame)

    def _pass(self, animal: Animal) -> None:
        """Take the stretches of an animal that no doubt comes before for what it was like before."""
        mine = [doubt for doubt in self.doubts if animal in doubt.pair]
        count = min((doubt.passed[animal] for doubt in mine), default=len(self.past[animal]))
        for stretch in self.past[animal][:count]:
            known = self.before[animal].looks.merged(stretch.looks)
            self.before[animal] = Before(known, stretch.end())
        self.past[animal] = self.past[animal][count:]
        for doubt in mine:
            doubt.passed[animal] -= count


class _Cost(NamedTuple):
    """What it costs that animals look like this, and that they went so."""

    looks: float
    ways: float


def _chances(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how likely each of some possibilities is, shape (possibilities,)."""
    chances = np.exp(costs.min() - costs)
    return np.asarray(chances / chances.sum())


class _Paths:
    """What it costs to go through an encounter in one way or another."""

    def __init__(self, encounter: Encounter, habits: Habits) -> None:
        self._habits = habits
        animals = list(encounter.before)
        number = {animal: n for n, animal in enumerate(animals)}
        self._before = [encounter.before[animal] for animal in animals]
        self._stretches = [[*encounter.past[animal], animal.stretch] for animal in animals]
        self._pairs = [[number[animal] for animal in doubt.pair] for doubt in encounter.doubts]
        self._passed = [list(doubt.passed.values()) for doubt in encounter.doubts]
        self._looks: dict[tuple[int, int, int], float] = {}
        self._ways: dict[tuple[int, int, int, int], float] = {}

    def follow(self, option: Sequence[bool]) -> tuple[_Cost, npt.NDArray[np.intp]]:
        """Return the cost of exchanging some, and who of `before` each animal is then in the end."""
        who = list(range(len(self._before)))  # of each name: who bears it
        at = [0] * len(who)  # stretches of each name that are behind
        last = [(-1, n) for n in who]  # of who: where it was alone last, as stretch and name; -1 for before
        costs: list[_Cost] = []
        for exchanged, pair, passed in zip(option, self._pairs, self._passed, strict=True):
            for name, count in zip(pair, passed, strict=True):
                while at[name] < count:
                    costs.append(self._go(who[name], name, at, last))
            if exchanged:
                first, second = pair
                who[first], who[second] = who[second], who[first]
        for name, mine in enumerate(self._stretches):
            while at[name] < len(mine):
                costs.append(self._go(who[name], name, at, last))
        return _Cost(sum(cost.looks for cost in costs), sum(cost.ways for cost in costs)), np.array(who)

    def _go(self, one: int, name: int, at: list[int], last: list[tuple[int, int]]) -> _Cost:
        """Let somebody take the next stretch that goes under a name; return what that costs."""
        number = at[name]
        at[name] += 1
        stretch = self._stretches[name][number]
        if not stretch.is_known:
            return _Cost(0.0, 0.0)
        looked, came = (one, number, name), (*last[one], number, name)
        if looked not in self._looks:
            unlike = self._habits.resemblance.unlike(self._before[one].looks, stretch.looks)
            self._looks[looked] = _OF_LOOKS * unlike
        if came not in self._ways:
            self._ways[came] = _OF_WAYS * self._habits.astray(self._edge(last[one], one), stretch.beginning())
        last[one] = (number, name)
        return _Cost(self._looks[looked], self._ways[came])

    def _edge(self, last: tuple[int, int], one: int) -> Edge | None:
        number, name = last
        return self._before[one].edge if number < 0 else self._stretches[name][number].end()


class Encounters:
    """The encounters of a region that are not settled.

    Parameters
    ----------
    habits : of the animals.
    """

    def __init__(self, habits: Habits) -> None:
        self._habits = habits
        self._open: list[Encounter] = []

    def of(self, animal: Animal) -> Encounter | None:
        """Return the encounter that an animal takes part in."""
        return next((encounter for encounter in self._open if animal in encounter.before), None)

    def add(self, first: Animal, second: Animal, margin: float, frame: int, time: float) -> list[Exchange]:
        """Take it down that two might have been exchanged in a frame; return what is decided of before."""
        here = self._joined(first, second) or Encounter(time)
        if here not in self._open:
            self._open.append(here)
        here.add(first, second, margin, frame, time)
        return here.shorten(self._habits)

    def take_settled(self, time: float) -> list[tuple[Encounter, list[Exchange]]]:
        """Return the encounters that are decided now and their exchanges, and forget them."""
        settled = []
        for encounter in self._open:
            must_end = encounter.must_end(time, self._habits)
            if must_end or encounter.may_end(time):
                outcome = encounter.weigh(self._habits)
                if must_end or outcome.is_sure:
                    encounter.outcome = outcome
                    settled.append((encounter, encounter.exchanges(outcome)))
                    self._learn(encounter, outcome)
        self._open = [encounter for encounter in self._open if encounter.outcome is None]
        return settled

    def _learn(self, encounter: Encounter, outcome: Outcome) -> None:
        """Compare looks before and after, of animals that are known without them: by their motion."""
        for animal, before in encounter.before.items():
            if outcome.by_motion[animal] >= _KNOWN_BY_MOTION:
                self._habits.resemblance.add_reunion(before.looks, animal.stretch.looks)

    def _joined(self, first: Animal, second: Animal) -> Encounter | None:
        one, two = self.of(first), self.of(second)
        if one is not None and two is not None and one is not two:
            one.join(two)
            self._open.remove(two)
        return one or two
