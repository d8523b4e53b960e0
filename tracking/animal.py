"""One of several animals: where it was seen last, how it moves, what it looks like."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracking.detect import Blobs
from tracking.resemblance import Appearance
from tracking.stretch import Stretch

Numbers = npt.NDArray[np.float64]

NEVER = 1e6
"""A cost that is not worth paying."""

MISSED = 14.0
"""What it costs that an animal is not seen: a blob that costs more is not it."""

FASTEST = 10.0
"""What animals can go, body lengths per second."""

_DAMPING_S = 1.0  # for so long an animal is expected to go on as it went
_SMOOTHING_S = 0.1
_MERGED_SMOOTHING_S = 0.3  # parts of clumps are pushed apart: their steps tell less
_LONG_UNSEEN_S = 1.0
_SHAPE_SPREAD = 0.35  # of areas, as logarithms
_DEPTH_SPREAD = 0.1
_SEEN_S = 0.25  # for so long, before looks are known


class Gait(NamedTuple):
    """How far animals get.

    Attributes
    ----------
    length : of an animal, pixels.
    speed : the highest, pixels per second.
    """

    length: float
    speed: float

    @classmethod
    def of(cls, length: float) -> "Gait":
        """Return the gait of animals of a length."""
        return cls(length, FASTEST * length)

    def spread(self, elapsed: Numbers) -> Numbers:
        """Return how far from where it is expected an animal usually is after some seconds, pixels."""
        return self.length * (0.15 + np.minimum(1.5 * elapsed, 20.0))

    def reach(self, elapsed: Numbers) -> Numbers:
        """Return how far from where it is expected an animal can be after some seconds, pixels."""
        return 0.6 * self.length + self.speed * elapsed


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
    alone_time : when it was last seen and touched no other.
    looks : before its last encounter.
    stretch : what it was like since.
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
    stretch: Stretch = field(default_factory=Stretch)
    seen: int = 1
    hidden_since: float | None = None
    alone_time: float = -np.inf

    def known_looks(self) -> Appearance:
        """Return what it looks like, by all that is known."""
        return self.looks.merged(self.stretch.looks)

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


def look_of(blob: np.void) -> Numbers:
    """Return what a blob looks like: logarithms of area, depth and intensity, 0 where one is not known."""
    values = np.array([blob["area"], blob["depth"], blob["intensity"]], np.float64)
    return np.log(np.maximum(np.nan_to_num(values), 1.0))


def claim_costs(animals: list[Animal], blobs: Blobs, looks: Numbers, time: float, gait: Gait) -> Numbers:
    """Return how unlikely blobs are these animals, shape (animals, blobs); NEVER where it cannot be.

    Parameters
    ----------
    looks : how little each blob looks like any animal, shape (blobs,).
    """
    if not animals or not len(blobs):
        return np.full((len(animals), len(blobs)), NEVER)
    elapsed = np.maximum(time - np.array([animal.time for animal in animals]), 0.0)[:, None]
    expected = np.array([animal.expected(time) for animal in animals])
    far = np.hypot(blobs["x"] - expected[:, :1], blobs["y"] - expected[:, 1:])
    spread = gait.spread(elapsed)
    costs = _huber(far / spread) + 2 * np.log(spread / gait.spread(elapsed.min())) + 0.3 * looks
    costs += _turn_costs(blobs, animals, elapsed) + _shape_costs(blobs, animals)
    costs += np.where((elapsed > _LONG_UNSEEN_S) & (blobs["parts"] > 1), 4.0, 0.0)  # rather on its own
    return np.where((far <= gait.reach(elapsed)) & (costs < NEVER), costs, NEVER)


def _huber(deviation: Numbers) -> Numbers:
    """Return half the square, and beyond 3 what goes on straight: animals dash off."""
    return np.asarray(np.where(deviation < 3, 0.5 * deviation**2, 3 * deviation - 4.5))


def _turn_costs(blobs: Blobs, animals: list[Animal], elapsed: Numbers) -> Numbers:
    angles = np.array([animal.angle for animal in animals])[:, None]
    turned = np.abs((blobs["angle"] - angles + 90) % 180 - 90)
    costs = np.minimum(0.5 * (turned / (20 + 200 * elapsed)) ** 2, 2.0)
    return np.asarray(np.where(np.isfinite(costs), costs, 0.0))  # points have no direction


def _shape_costs(blobs: Blobs, animals: list[Animal]) -> Numbers:
    known = [animal.looks if animal.looks.seconds else animal.stretch.looks for animal in animals]
    means = np.array([look.mean for look in known])
    trusted = np.array([look.seconds >= _SEEN_S for look in known])[:, None]
    area, depth = np.log(np.maximum(blobs["area"], 1)), np.log(np.maximum(blobs["depth"], 1))
    costs = np.minimum(0.5 * ((area - means[:, :1]) / _SHAPE_SPREAD) ** 2, 3.0)
    alike = np.minimum(0.5 * ((depth - means[:, 1:2]) / _DEPTH_SPREAD) ** 2, 2.0)
    return np.asarray(np.where(trusted, costs + np.where(blobs["parts"] == 1, alike, 0.0), 0.0))
