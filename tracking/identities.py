"""Several animals per region: which blob is which of them, from frame to frame."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracking.animal import MISSED, NEVER, Animal, Gait, Numbers, claim_costs, look_of
from tracking.detect import Blobs
from tracking.encounters import DOUBTFUL, Encounter, Encounters, Exchange
from tracking.link import LOST
from tracking.points import Status
from tracking.stretch import Habits

LAG = 300
"""Frames after which it is decided who was who."""

_FILLED_S = 2.0  # gaps that are shorter are filled
_FILLED_FRAMES = 2
_HIDDEN_S = 3.0  # an animal that is hidden for longer under another is lost
_FORGOTTEN_S = 10.0  # for so long, where the number of animals is unknown, one that is gone may come back
_CONFIRMED = 3  # sightings that make an animal
_NEAR = 0.75  # lengths around a blob in which an animal may be part of it
_MARGIN_HIDDEN = 0.5
_TRUSTED = 0.8  # confidence with which what an animal looks like after an encounter is taken for its looks
_TOLD_APART = 0.6  # lengths between parts of a clump that surely are two animals
_SPARE_S = 0.4  # for so long there is one blob too many before that is believed
_LEAST_AREA = 0.3  # of an animal, of a blob that nobody claims
_ROUNDS = 12


@dataclass(slots=True, eq=False)
class Sighting:
    """Where an animal was in one frame.

    Attributes
    ----------
    animal, identity : who; the number may be corrected until the sighting is decided.
    place : x, y, pixels.
    blob : what was seen; None if nothing was.
    status : how it was found.
    score : 0 to 1, how much the blob looks like an animal.
    encounter : in which the animal took part then, if it did.
    """

    animal: Animal
    identity: int
    place: Numbers
    blob: np.void | None
    status: Status
    score: float
    encounter: Encounter | None = None

    @property
    def confidence(self) -> float:
        """0 to 1: that there is an animal, and that it is this one."""
        return self.score * (self.encounter.confidence(self.animal) if self.encounter else 1.0)


class IdentityLinker:
    """Follows the animals of one region through blobs that may be clumps of them.

    In every frame each animal claims a blob, or a part of one, so that all together cost least (the Hungarian
    method); a clump is split into as many parts as claim it. Animals go on as they went, damped, in seconds
    and not in frames. One that vanishes into another's blob goes on with it. Where animals might have been
    exchanged, their scores sink until they are apart; then sizes and shades may put it right.
    Results come `lag` frames late, so gaps and corrections are written where they belong.

    Parameters
    ----------
    animals : how many there are; 0 if that is not known: then everything that looks like one is one.
    gait : how far they get.
    area : of one, pixels.
    lag : frames.
    """

    def __init__(self, animals: int, gait: Gait, area: float, *, lag: int = LAG) -> None:
        self._most = animals
        self._gait = gait
        self._area = area
        self._lag = lag
        self._animals: list[Animal] = []
        self._habits = Habits(gait.length)
        self._encounters = Encounters(self._habits)
        self._waiting: deque[list[Sighting]] = deque()
        self._times: deque[float] = deque()
        self._first = 0  # frame of the oldest that waits
        self._identities = 0
        self._candidates = 0
        self._spare_since: float | None = None  # since when there is a blob more than animals
        self._doubted: set[Animal] = set()  # in this frame
        self._time = 0.0

    def append(self, blobs: Blobs, looks: Numbers, time: float) -> list[list[Sighting]]:
        """Take the blobs of the next frame; return the sightings of the frames that are now decided.

        Parameters
        ----------
        blobs : with their possible parts, as `find_crowd` gives them.
        looks : how little each looks like an animal, a negative logarithm, shape (blobs,).
        time : of the frame, seconds.
        """
        time = self._time = time if np.isfinite(time) else self._time  # an unknown time is the last one
        self._waiting.append([])
        self._times.append(time)
        self._follow(blobs, looks, time)
        self._settle(time)
        self._forget(time)
        return self._decide(len(self._waiting) - self._lag)

    def resize(self, gait: Gait, area: float) -> None:
        """Take another size of the animals: it was a guess before."""
        self._gait, self._area = gait, area

    def finish(self) -> list[list[Sighting]]:
        """Return the sightings of all frames that are still undecided."""
        return self._decide(len(self._waiting))

    @property
    def _frame(self) -> int:
        return self._first + len(self._waiting) - 1

    def _follow(self, blobs: Blobs, looks: Numbers, time: float) -> None:
        """Give every animal its blob."""
        costs = claim_costs(self._animals, blobs, looks, time, self._gait)
        clumps = _clumps(blobs)
        claims = choose(costs, clumps)
        hidden = self._hidden(claims, blobs, clumps, time)
        crowded: dict[int, list[Animal]] = {}
        for number in [*claims, *hidden]:
            blob = blobs[claims[number] if number in claims else hidden[number]]
            crowded.setdefault(int(blob["group"]), []).append(self._animals[number])
        self._doubted = set()
        self._note_doubts(costs, claims, hidden, crowded, blobs, time)
        for number, row in claims.items():
            alone = len(crowded[int(blobs[row]["group"])]) == 1
            self._see(self._animals[number], blobs[row], float(looks[row]), time, alone=alone)
        for number, row in hidden.items():
            animal = self._animals[number]
            animal.hidden_since = time if animal.hidden_since is None else animal.hidden_since
            self._show(animal, blobs[row], Status.MERGED, float(looks[row]), time)
        free = {group: rows for group, rows in clumps.items() if group not in crowded}
        if self._most and len(self._animals) >= self._most:
            self._move_double(free, crowded, blobs, looks, time)
        else:
            self._welcome(free, blobs, looks, time)

    def _move_double(
        self, free: "Clumps", crowded: dict[int, list[Animal]], blobs: Blobs, looks: Numbers, time: float
    ) -> None:
        """Where all animals are accounted for and yet there is one more: an animal was taken for two."""
        rows = [min(options[1]) for options in free.values()]
        rows = [
            row for row in rows if looks[row] < LOST / 2 and blobs["area"][row] > _LEAST_AREA * self._area
        ]
        self._spare_since = (time if self._spare_since is None else self._spare_since) if rows else None
        if self._spare_since is None or time - self._spare_since < _SPARE_S:
            return
        together = [animal for animals in crowded.values() if len(animals) > 1 for animal in animals]
        double = min(together, key=lambda animal: (animal.alone_time, -animal.identity), default=None)
        if double is None or time - double.alone_time < _SPARE_S:
            return
        if not np.isfinite(double.alone_time):
            self._rename({double.identity: 0}, self._first)  # it never was there
        row = min(rows, key=lambda row: float(looks[row]))
        double.place = double.shown = np.array([blobs["x"][row], blobs["y"][row]])
        double.velocity, double.time, double.shown_frame = np.zeros(2), time, self._frame
        self._waiting[-1] = [one for one in self._waiting[-1] if one.animal is not double]
        self._see(double, blobs[row], float(looks[row]), time, alone=True)
        self._spare_since = None

    def _hidden(self, claims: dict[int, int], blobs: Blobs, clumps: "Clumps", time: float) -> dict[int, int]:
        """Return which animals that claim nothing are under another: animal to row of the whole blob."""
        taken = {int(blobs[row]["group"]) for row in claims.values()}
        rows = [row for group in sorted(taken) for options in clumps[group].values() for row in options]
        found: dict[int, int] = {}
        if not rows:
            return found
        spots = np.column_stack([blobs["x"][rows], blobs["y"][rows]])
        for number, animal in enumerate(self._animals):
            since = animal.time if animal.hidden_since is None else animal.hidden_since
            is_new = animal.identity < 0 or animal.shown_frame < self._frame - 1 - _FILLED_FRAMES
            if number in claims or is_new or time - since > _HIDDEN_S:
                continue
            far = np.hypot(*(spots - animal.expected(time)).T)
            if animal.hidden_since is not None:  # it may have been carried along
                far = np.minimum(far, np.hypot(*(spots - animal.shown).T))
            if far.min() <= _NEAR * self._gait.length:
                group = int(blobs["group"][rows[int(far.argmin())]])
                found[number] = min(clumps[group][1])
        return found

    def _note_doubts(
        self,
        costs: Numbers,
        claims: dict[int, int],
        hidden: dict[int, int],
        crowded: dict[int, list[Animal]],
        blobs: Blobs,
        time: float,
    ) -> None:
        known = [n for n, animal in enumerate(self._animals) if animal.identity > 0]
        rows = np.array([claims.get(n, -1) for n in known], np.intp)
        mine = np.where(rows >= 0, costs[known, rows] if costs.size else MISSED, MISSED)
        theirs = np.where(rows >= 0, costs[known][:, rows] if costs.size else MISSED, MISSED)
        margins = theirs + theirs.T - mine - mine[:, None]
        groups = np.where(rows >= 0, blobs["group"][rows] if len(blobs) else -1, -1)
        near = np.tril((margins < DOUBTFUL) | (groups == groups[:, None]), -1)
        near &= (rows >= 0) | (rows >= 0)[:, None]
        for at, beside in np.argwhere(near).tolist():
            first, second = known[at], known[beside]
            margin = float(margins[at, beside])
            if first in claims and second in claims:
                margin = min(margin, self._margin_apart(blobs[claims[first]], blobs[claims[second]]))
            if margin < DOUBTFUL and first not in hidden and second not in hidden:
                self._doubt(self._animals[first], self._animals[second], margin, time)
        for number, row in hidden.items():
            others = [animal for animal in crowded[int(blobs[row]["group"])] if animal.identity > 0]
            for other in others:
                if other is not self._animals[number]:
                    self._doubt(self._animals[number], other, _MARGIN_HIDDEN, time)

    def _doubt(self, first: Animal, second: Animal, margin: float, time: float) -> None:
        self._doubted |= {first, second}
        self._exchange(self._encounters.add(first, second, margin, self._frame, time))

    def _margin_apart(self, first: np.void, second: np.void) -> float:
        """Return how surely two parts of a clump were told apart: the nearer, the less."""
        if first["group"] != second["group"]:
            return NEVER
        apart = float(np.hypot(first["x"] - second["x"], first["y"] - second["y"])) / self._gait.length
        return DOUBTFUL * (apart / _TOLD_APART) ** 2

    def _see(self, animal: Animal, blob: np.void, look: float, time: float, *, alone: bool) -> None:
        """Take a blob for an animal."""
        self._fill(animal, np.array([blob["x"], blob["y"]]), time)
        animal.move(blob, time)
        animal.seen += 1
        animal.hidden_since = None
        if alone:
            animal.alone_time = time
            animal.stretch.add(time, animal.place, look_of(blob), self._habits)
        elif animal not in self._doubted:
            animal.stretch.go(time, animal.place)
        if animal.identity < 0 and animal.seen >= _CONFIRMED:
            self._confirm(animal)
        status = Status.BY_LOOKS if blob["marked"] > 0.5 else Status.DETECTED
        self._show(animal, blob, status if alone else Status.MERGED, look, time)

    def _show(self, animal: Animal, blob: np.void, status: Status, look: float, time: float) -> None:
        place = np.array([blob["x"], blob["y"]])
        score = float(1 / (1 + np.exp(min(look - LOST, 50.0))))
        encounter = self._encounters.of(animal)
        self._waiting[-1].append(Sighting(animal, animal.identity, place, blob, status, score, encounter))
        animal.shown, animal.shown_frame, animal.shown_time = place, self._frame, time

    def _fill(self, animal: Animal, place: Numbers, time: float) -> None:
        """Say where an animal was in the frames since it was last seen, if these are few."""
        missed = range(max(animal.shown_frame + 1, self._first), self._frame)
        elapsed = time - animal.shown_time
        if not missed or (elapsed > _FILLED_S and self._frame - animal.shown_frame - 1 > _FILLED_FRAMES):
            return
        for frame in missed:
            at = self._times[frame - self._first] - animal.shown_time
            share = at / elapsed if elapsed > 0 else 1.0
            between = animal.shown + share * (place - animal.shown)
            self._waiting[frame - self._first].append(
                Sighting(animal, animal.identity, between, None, Status.LOST, 0.0)
            )

    def _welcome(self, free: "Clumps", blobs: Blobs, looks: Numbers, time: float) -> None:
        """Take blobs that nobody claimed for animals that were not seen before."""
        for options in free.values():
            whole = min(options[1])
            if looks[whole] >= LOST and blobs["area"][whole] < 1.6 * self._area:
                continue
            wanted = max(1, round(float(blobs["area"][whole]) / self._area))
            rows = options[min(options, key=lambda parts: abs(parts - wanted))]
            for row in rows:
                if self._most and len(self._animals) >= self._most:
                    return
                self._candidates += 1
                blob = blobs[row]
                place = np.array([blob["x"], blob["y"]])
                animal = Animal(
                    -self._candidates, place, float(blob["angle"]), time, place, self._frame, time
                )
                self._animals.append(animal)
                status = Status.DETECTED if len(rows) == 1 else Status.MERGED
                self._show(animal, blob, status, float(looks[row]), time)

    def _confirm(self, animal: Animal) -> None:
        """Give an animal its number, in the frames that wait, too."""
        self._identities += 1
        self._rename({animal.identity: self._identities}, self._first)
        animal.identity = self._identities

    def _rename(self, numbers: dict[int, int], start: int) -> None:
        for frame in range(max(start - self._first, 0), len(self._waiting)):
            for sighting in self._waiting[frame]:
                sighting.identity = numbers.get(sighting.identity, sighting.identity)

    def _settle(self, time: float) -> None:
        """Decide who is who in the encounters that are over."""
        for encounter, exchanges in self._encounters.take_settled(time):
            self._exchange(exchanges)
            for animal, before in encounter.before.items():
                animal.looks = before.looks
                if encounter.confidence(animal) < _TRUSTED and before.looks.seconds:
                    animal.stretch.forget_looks()

    def _exchange(self, exchanges: list[Exchange]) -> None:
        """Give animals the numbers that they have, from the frames on in which they were exchanged."""
        for first, second, frame in exchanges:
            numbers = {first.identity: second.identity, second.identity: first.identity}
            self._rename(numbers, frame)
            first.identity, second.identity = second.identity, first.identity

    def _forget(self, time: float) -> None:
        """Let go of what was seen too rarely to be an animal, and of animals that left."""

        def stays(animal: Animal) -> bool:
            missed = self._frame - animal.shown_frame
            if animal.identity < 0:
                return missed <= 1
            return bool(self._most) or missed <= _CONFIRMED or time - animal.shown_time <= _FORGOTTEN_S

        self._animals = [animal for animal in self._animals if stays(animal)]

    def _decide(self, count: int) -> list[list[Sighting]]:
        decided = []
        for _ in range(max(count, 0)):
            self._times.popleft()
            sightings = [sighting for sighting in self._waiting.popleft() if sighting.identity > 0]
            decided.append(sorted(sightings, key=lambda sighting: sighting.identity))
            self._first += 1
        return decided


Clumps = dict[int, dict[int, list[int]]]
"""Number of a group to: into how many parts it is split, to rows of the table of blobs."""


def _clumps(blobs: Blobs) -> Clumps:
    clumps: Clumps = {}
    for row, (group, parts) in enumerate(zip(blobs["group"].tolist(), blobs["parts"].tolist(), strict=True)):
        clumps.setdefault(group, {}).setdefault(parts, []).append(row)
    return clumps


def choose(costs: Numbers, clumps: Clumps) -> dict[int, int]:
    """Return which animal claims which row of the blobs, every clump split into as many parts as are claimed.

    Parameters
    ----------
    costs : shape (animals, rows); NEVER where it cannot be.
    """
    possible = costs < NEVER
    chosen = {}
    for group, options in clumps.items():
        every = [row for rows in options.values() for row in rows]
        near = int(possible[:, every].any(axis=1).sum())
        chosen[group] = max((parts for parts in options if parts <= max(1, near)), default=1)
    claims: dict[int, int] = {}
    for _ in range(_ROUNDS):
        rows = [row for group, parts in chosen.items() for row in clumps[group][parts]]
        claims = {animal: rows[place] for animal, place in assign(costs[:, rows]).items()}
        taken = set(claims.values())
        fewer = {}
        for group, parts in chosen.items():
            claimed = sum(row in taken for row in clumps[group][parts])
            if claimed < parts and (less := [n for n in clumps[group] if max(1, claimed) <= n < parts]):
                fewer[group] = max(less)
        if not fewer:
            break
        chosen |= fewer
    return claims


def assign(costs: npt.NDArray[np.float64]) -> dict[int, int]:
    """Return row to column so that the sum of the costs is least; rows that cost MISSED or more have none."""
    from scipy.optimize import linear_sum_assignment  # takes a while to import

    count = len(costs)
    if not costs.size:
        return {}
    missed = np.where(np.eye(count, dtype=bool), MISSED, NEVER)
    rows, columns = linear_sum_assignment(np.hstack([costs, missed]))
    return {
        int(row): int(column) for row, column in zip(rows, columns, strict=True) if column < costs.shape[1]
    }
