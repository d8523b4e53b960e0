"""A background that follows what the camera sees, frame by frame, with nothing known of later frames."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tracking.background import paint_over

Grey = npt.NDArray[np.uint8]

_MOST_AT_ONCE = 0.5  # share of the way to the present image in one step, however long the last is ago
_CHANGED = 0.3  # share of a region that animals never are: if that much differs, the light has changed
_ANIMALS = 3.0  # so many of an animal's size may differ from the background at once in a small region
_NEARLY_ALL = 0.8
_AROUND = 9  # pixels around an animal that tell how the light on it changes


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a background follows, as half-lives in seconds.

    Attributes
    ----------
    drift : of what is within the noise: slow changes of light.
    uncovered : of what is lighter than the background was, since dark animals only darken.
    """

    drift: float = 5.0
    uncovered: float = 2.0


class RunningBackground:
    """The background of one region, learnt from every frame but where an animal is.

    What lies under an animal is kept, however long the animal stays, and only made lighter or darker
    as its surroundings are. When most of the region changes at once the light has: the image is the new
    background, and under the animal the old one goes on in the new light.

    Parameters
    ----------
    image : to begin with, prepared, animals dark; (rows, columns).
    mask : nonzero inside the region; same shape.
    pace : see there.
    either : whether animals may be lighter, too; nothing is then known to be uncovered.
    """

    def __init__(self, image: Grey, mask: Grey, pace: Pace | None = None, *, either: bool = False) -> None:
        self.image = image.copy()
        self._mask = mask
        self._pixels = max(1, cv2.countNonZero(mask))
        self._mean = image.astype(np.float32)
        self._pace = pace or Pace()
        self._either = either

    def follow(
        self, image: Grey, animal: Grey, elapsed: float, *, noise: float, half_life: float, size: float
    ) -> bool:
        """Learn from an image; return whether the light had changed, so that all was learnt anew.

        Parameters
        ----------
        image : prepared; same shape as the background.
        animal : nonzero where the animal is.
        elapsed : since the last time, seconds.
        noise : difference that need not be anything, grey levels.
        half_life : of what is darker than the background and no animal, seconds.
        size : of an animal, pixels.
        """
        free = cv2.bitwise_and(self._mask, cv2.bitwise_not(animal))
        lighter = _above(cv2.subtract(image, self.image), noise, free)
        darker = _above(cv2.subtract(self.image, image), noise, free)
        changed = cv2.countNonZero(lighter) + cv2.countNonZero(darker)
        unlike_animals = min(max(_CHANGED * self._pixels, _ANIMALS * size), _NEARLY_ALL * self._pixels)
        if changed > unlike_animals:
            self._restart(image, animal)
            return True
        drifting = cv2.bitwise_and(free, cv2.bitwise_not(cv2.bitwise_or(lighter, darker)))
        uncovered = half_life if self._either else self._pace.uncovered
        self._carry(image, animal, free, _share(elapsed, self._pace.drift))
        cv2.accumulateWeighted(image, self._mean, _share(elapsed, self._pace.drift), drifting)
        cv2.accumulateWeighted(image, self._mean, _share(elapsed, uncovered), lighter)
        cv2.accumulateWeighted(image, self._mean, _share(elapsed, half_life), darker)
        self._round()
        return False

    def paint(self, spots: Grey) -> None:
        """Take what is around the spots for what is in them."""
        self.image = paint_over(self.image, spots)
        self._mean = self.image.astype(np.float32)

    def _carry(self, image: Grey, animal: Grey, free: cv2.typing.MatLike, share: float) -> None:
        """Let what is under the animal follow the light around it."""
        window = _window_around(animal, _AROUND)
        if window is None:
            return
        ring = free[window]
        under = cv2.bitwise_and(animal[window], self._mask[window])
        shift = cv2.mean(image[window], ring)[0] - cv2.mean(self._mean[window], ring)[0]
        if cv2.countNonZero(ring):
            self._mean[window][under > 0] += share * shift

    def _restart(self, image: Grey, animal: Grey) -> None:
        old = self._mean
        self._mean = image.astype(np.float32)
        window = _window_around(animal, _AROUND)
        if window is not None:
            ring = cv2.bitwise_and(self._mask[window], cv2.bitwise_not(animal[window]))
            before, now = cv2.mean(old[window], ring)[0], cv2.mean(image[window], ring)[0]
            under = animal[window] > 0
            self._mean[window][under] = old[window][under] * (now / max(before, 1.0) if now else 1.0)
        self._round()

    def _round(self) -> None:
        cv2.convertScaleAbs(self._mean, self.image)


def _above(difference: cv2.typing.MatLike, noise: float, where: cv2.typing.MatLike) -> cv2.typing.MatLike:
    _, binary = cv2.threshold(difference, noise, 255, cv2.THRESH_BINARY)
    return cv2.bitwise_and(binary, where)


def _share(elapsed: float, half_life: float) -> float:
    """Return how much of the way to the present image is gone."""
    return min(_MOST_AT_ONCE, -math.expm1(-math.log(2) * elapsed / half_life))


def _window_around(animal: Grey, margin: int) -> tuple[slice, slice] | None:
    """Return the rectangle of what is nonzero, and some pixels around it; None if nothing is."""
    x, y, width, height = cv2.boundingRect(animal)
    if not width:
        return None
    return (
        slice(max(y - margin, 0), y + height + margin),
        slice(max(x - margin, 0), x + width + margin),
    )
