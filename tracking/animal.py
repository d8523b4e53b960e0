"""One of several animals: where it was seen last, how it moves, what it looks like."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracking.detect import Blobs

Numbers = npt.NDArray[np.float64]

NEVER = 1e6
"""A cost that is not worth paying."""

MISSED = 14.0
"""What it costs that an animal is not seen: a blob that costs more is not it."""

_DAMPING_S = 1.0  # for so long an animal is expected to go on as it went
_SMOOTHING_S = 0.1
_MERGED_SMOOTHING_S = 0.3  # parts of clumps are pushed apart: their steps tell less
_LONG_UNSEEN_S = 1.0
_SHAPE_SPREAD = 0.35  # of areas, as logarithms
_LOOK_SPREADS = (0.08, 0.04)  # least, of logarithms of area and of intensity


class Gait(NamedTuple):
    """How far animals get.

    Attributes
    ----------
    length : of an animal, pixels.
    speed : the highest, pixels per second.
    """

    length: float
    speed: float

    def spread(self, elapsed: float) -> float:
        """Return how far from where it is expected an animal usually is after some seconds, pixels."""
        return self.length * (0.15 + min(1.5 * elapsed, 20.0))

    def reach(self, elapsed: float) -> float:
        """Return how far from where it is expected an animal can be after some seconds, pixels."""
        return 0.6 * self.length + self.speed * elapsed


@dataclass(slots=True)
class Appearance:
    """Running mean and variance of the logarithms of an animal's area and intensity."""

    mean: Numbers = field(default_factory=lambda: np.zeros(2))
    variance: Numbers = field(default_factory=lambda: np.zeros(2))
    count: int = 0

    def add(self, blob: np.void) -> None:
        """Take what the animal looked like while it touched no other."""
        seen = np.log([max(float(blob["area"]), 1.0), max(float(blob["intensity"]), 1.0)])
        self.count += 1
        weight = max(1 / self.count, 0.02)
        change = seen - self.mean
        self.mean = self.mean + weight * change
        self.variance = (1 - weight) * (self.variance + weight * change**2)

    def distance(self, other: "Appearance") -> float:
        """Return how unlikely it is that both are of one animal, a negative logarithm up to a constant."""
        spread = np.maximum(np.sqrt(np.maximum(self.variance, other.variance)), _LOOK_SPREADS)
        return float(0.5 * np.minimum(((self.mean - other.mean) / spread) ** 2, 9).sum())


@dataclass(slots=True, eq=False)
class Animal:
    """One animal, as far as it is known.

    Attributes
    ----------
    identity : from 1; negative until it was seen for long enough to be one.
    place, velocity : pixels, pixels per second; of the animal itself, not of a clump that hides it.
    angle : of the long axis, degrees.
    time : when `place` was true.
    shown, shown_frame, shown_time : the place last reported for it, in which frame, when.
    seen : in how many frames.
    hidden_since : since when it is hidden by another; None if it is not.
    """

    identity: int
    place: Numbers
    angle: float
    time: float
    shown: Numbers
    shown_frame: int
    shown_time: float
    velocity: Numbers = field(default_factory=lambda: np.zeros(2))
    looks: Appearance = field(default_factory=Appearance)
    seen: int = 1
    hidden_since: float | None = None

    def expected(self, time: float) -> Numbers:
        """Return where it would be now: it goes on, ever slower."""
        ahead = _DAMPING_S * -np.expm1(-max(time - self.time, 0.0) / _DAMPING_S)
        return np.asarray(self.place + ahead * self.velocity)

    def move(self, blob: np.void, time: float) -> None:
        """Take where it was seen."""
        place = np.array([blob["x"], blob["y"]])
        elapsed = time - self.time
        if elapsed > 0:
            smoothing = _SMOOTHING_S if blob["parts"] == 1 else _MERGED_SMOOTHING_S
            weight = -np.expm1(-elapsed / smoothing)
            self.velocity = self.velocity + weight * ((place - self.place) / elapsed - self.velocity)
        self.place, self.angle, self.time = place, float(blob["angle"]), time


def claim_costs(animals: list[Animal], blobs: Blobs, looks: Numbers, time: float, gait: Gait) -> Numbers:
    """Return how unlikely blobs are these animals, shape (animals, blobs); NEVER where it cannot be.

    Parameters
    ----------
    looks : how little each blob looks like any animal, shape (blobs,).
    """
    costs = np.full((len(animals), len(blobs)), NEVER)
    if not costs.size:
        return costs
    spots = np.column_stack([blobs["x"], blobs["y"]])
    shortest = min(max(time - animal.time, 0.0) for animal in animals)
    for row, animal in enumerate(animals):
        elapsed = max(time - animal.time, 0.0)
        far = np.hypot(*(spots - animal.expected(time)).T)
        spread = gait.spread(elapsed)
        cost = _huber(far / spread) + 2 * np.log(spread / gait.spread(shortest)) + 0.3 * looks
        cost += _turn_cost(blobs, animal, elapsed) + _shape_cost(blobs, animal)
        if elapsed > _LONG_UNSEEN_S:
            cost += np.where(blobs["parts"] > 1, 4.0, 0.0)  # it rather is somewhere of its own
        costs[row] = np.where((far <= gait.reach(elapsed)) & (cost < NEVER), cost, NEVER)
    return costs


def _huber(deviation: Numbers) -> Numbers:
    """Return half the square, and beyond 3 what goes on straight: animals dash off."""
    return np.asarray(np.where(deviation < 3, 0.5 * deviation**2, 3 * deviation - 4.5))


def _turn_cost(blobs: Blobs, animal: Animal, elapsed: float) -> Numbers:
    turned = np.abs((blobs["angle"] - animal.angle + 90) % 180 - 90)
    return np.asarray(np.minimum(0.5 * (turned / (20 + 200 * elapsed)) ** 2, 2.0))


def _shape_cost(blobs: Blobs, animal: Animal) -> Numbers:
    if animal.looks.count < 5:
        return np.zeros(len(blobs))
    area, intensity = np.log(np.maximum(blobs["area"], 1)), np.log(np.maximum(blobs["intensity"], 1))
    cost = np.minimum(0.5 * ((area - animal.looks.mean[0]) / _SHAPE_SPREAD) ** 2, 3.0)
    tint = np.maximum(2 * np.sqrt(animal.looks.variance[1]), 2 * _LOOK_SPREADS[1])
    cost += np.where(
        blobs["parts"] == 1, np.minimum(0.5 * ((intensity - animal.looks.mean[1]) / tint) ** 2, 2), 0
    )
    return np.asarray(cost)
