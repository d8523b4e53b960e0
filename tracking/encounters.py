"""Animals that cannot be told apart for a while, and who is who afterwards."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from tracking.animal import Animal, Appearance

DOUBTFUL = 4.0
"""A choice that is not by this much better than with two animals exchanged is doubtful."""

_SETTLED_S = 0.5
_SETTLED_SIGHTINGS = 5
_LONGEST_WAIT_S = 5.0
_CERTAIN = 8.0
_EVIDENCE = 3.0  # by which looks must outweigh motion
_MOST_COMFORT = 1.0  # looks change from place to place: that they fit takes little doubt away


@dataclass(slots=True)
class Doubt:
    """How much better a choice was than with two animals exchanged, where that was least, and when."""

    margin: float
    frame: int


@dataclass(slots=True, eq=False)
class Encounter:
    """Some animals that may have been taken for each other.

    Attributes
    ----------
    before, after : what they looked like before it, and since.
    doubts : by pairs of animals.
    last : time of the last doubt.
    """

    last: float
    before: dict[Animal, Appearance] = field(default_factory=dict)
    after: dict[Animal, Appearance] = field(default_factory=dict)
    doubts: dict[frozenset[Animal], Doubt] = field(default_factory=dict)

    def add(self, first: Animal, second: Animal, margin: float, frame: int, time: float) -> None:
        """Take it down that two animals might have been exchanged in a frame."""
        for animal in (first, second):
            self.before.setdefault(animal, animal.looks)
            self.after[animal] = Appearance()  # they have to be told apart after this
        pair = frozenset((first, second))
        known = self.doubts.get(pair)
        if known is None or margin <= known.margin:
            self.doubts[pair] = Doubt(margin, frame)
        self.last = time

    def join(self, other: "Encounter") -> None:
        """Take over another encounter that has an animal in common."""
        self.before |= other.before
        self.after |= other.after
        self.doubts |= other.doubts
        self.last = max(self.last, other.last)

    def is_settled(self, time: float) -> bool:
        """Say whether enough was seen since to decide who is who."""
        waited = time - self.last
        enough = all(looks.count >= _SETTLED_SIGHTINGS for looks in self.after.values())
        return waited >= _LONGEST_WAIT_S or (waited >= _SETTLED_S and enough)

    def confidence(self, animal: Animal) -> float:
        """Return how likely it is that an animal was not exchanged, 0.5 to 1."""
        margins = [doubt.margin for pair, doubt in self.doubts.items() if animal in pair]
        return float(1 / (1 + np.exp(-max(min(margins, default=_CERTAIN), 0.0))))

    def resolve(self) -> list[tuple[Animal, Animal, int]]:
        """Return who is exchanged with whom from which frame on; `before` and `doubts` are true then."""
        exchanged = []
        for pair in sorted(self.doubts, key=lambda pair: self.doubts[pair].frame):
            first, second = sorted(pair, key=lambda animal: animal.identity)
            doubt = self.doubts[pair]
            evidence = min(self._evidence(first, second), _MOST_COMFORT)
            total = min(doubt.margin, _CERTAIN) + evidence
            if total < -_EVIDENCE:
                exchanged.append((first, second, doubt.frame))
                self.before[first], self.before[second] = self.before[second], self.before[first]
            doubt.margin = abs(total)
        return exchanged

    def _evidence(self, first: Animal, second: Animal) -> float:
        """Return by how much looks speak for no exchange."""
        before, after = self.before, self.after
        if min(looks[animal].count for looks in (before, after) for animal in (first, second)) < 3:
            return 0.0
        crossed = before[first].distance(after[second]) + before[second].distance(after[first])
        straight = before[first].distance(after[first]) + before[second].distance(after[second])
        return crossed - straight


class Encounters:
    """The encounters of a region that are not settled."""

    def __init__(self) -> None:
        self._open: list[Encounter] = []

    def of(self, animal: Animal) -> Encounter | None:
        """Return the encounter that an animal takes part in."""
        return next((encounter for encounter in self._open if animal in encounter.before), None)

    def add(self, animals: list[Animal], margin: float, frame: int, time: float) -> None:
        """Take it down that any two of some animals might have been exchanged in a frame."""
        for first, second in combinations(animals, 2):
            here = self._joined(first, second) or Encounter(time)
            if here not in self._open:
                self._open.append(here)
            here.add(first, second, margin, frame, time)

    def take_settled(self, time: float) -> list[Encounter]:
        """Return the encounters that can be resolved now, and forget them."""
        settled = [encounter for encounter in self._open if encounter.is_settled(time)]
        self._open = [encounter for encounter in self._open if encounter not in settled]
        return settled

    def _joined(self, first: Animal, second: Animal) -> Encounter | None:
        one, two = self.of(first), self.of(second)
        if one is not None and two is not None and one is not two:
            one.join(two)
            self._open.remove(two)
        return one or two
