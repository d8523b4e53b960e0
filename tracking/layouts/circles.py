"""Round arenas and dishes, found by themselves."""

from dataclasses import dataclass

import numpy as np

from tracking.circles import Circle, find_circles
from tracking.errors import LayoutError
from tracking.layouts.base import Grey, Regions
from tracking.light import describe_light
from tracking.polygons import circle, reading_order
from tracking.roi import ROI

_ALIKE = 1.25  # radii of dishes of one kind differ by less than this factor
_SURE = 0.7  # of the surest circle's score
_MOST = 200


@dataclass(frozen=True, slots=True)
class Circles:
    """Dishes that stand apart, numbered in rows from top to bottom, each from left to right.

    Of circles within each other the outer one is taken, unless another `count`, or a smaller `largest`, says
    that the inner ones are meant.

    Attributes
    ----------
    count : how many there are; 0 for as many as are seen.
    smallest, largest : their radius as a share of the frame's shorter side.
    fill : radius of a region as a share of the circle's: below 1 leaves the rim out.
    diameter_mm : of a dish, inside: gives the scale of the picture; 0 if it is not known.
    """

    count: int = 0
    smallest: float = 0.06
    largest: float = 0.6
    fill: float = 1.0
    diameter_mm: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.count <= _MOST:
            raise LayoutError(f"the count of circles is 1 to {_MOST}, or 0 for as many as are seen")
        if not 0.005 <= self.smallest < self.largest <= 2:
            raise LayoutError(
                "smallest and largest are radii as shares of the frame's shorter side, 0.005 to 2, "
                f"got {self.smallest} and {self.largest}"
            )
        if not 0 < self.fill <= 2 or not 0 <= self.diameter_mm < np.inf:
            raise LayoutError("fill is a share of the radius, above 0 and up to 2, diameter_mm above 0")

    def find(self, image: Grey) -> Regions:
        """Return a region for each dish."""
        side = min(image.shape)
        seen = find_circles(image, self.smallest * side, self.largest * side)
        chosen = _choose(seen, self.count)
        if not chosen or (self.count and len(chosen) != self.count):
            raise LayoutError(self._problem(image, seen), [(one.x, one.y, one.radius) for one in seen])
        radius = float(np.median([one.radius for one in chosen]))
        order = reading_order(np.array([(one.x, one.y) for one in chosen]), 0.7 * radius)
        rois = [
            ROI(circle(chosen[place].x, chosen[place].y, self.fill * chosen[place].radius), number)
            for number, place in enumerate(order, 1)
        ]
        scale = self.diameter_mm / (2 * radius) if self.diameter_mm else None
        return Regions(rois, mm_per_pixel=scale)

    def _problem(self, image: Grey, seen: list[Circle]) -> str:
        asked = f"{self.count} dishes were" if self.count else "a dish was"
        spots = ", ".join(f"({one.x:.0f}, {one.y:.0f}) radius {one.radius:.0f}" for one in seen[:12])
        more = f" and {len(seen) - 12} more" if len(seen) > 12 else ""
        light = describe_light(image)
        return (
            f"{asked} not found; circles seen: {spots or 'none'}{more}{'; ' if light else ''}{light}. "
            f"Say how large they are with smallest and largest, shares of {min(image.shape)} pixels, now "
            f"{self.smallest:g} and {self.largest:g}, or give the regions in a file"
        )


def _choose(seen: list[Circle], count: int) -> list[Circle]:
    """Return the circles that are dishes: those that lie in no other; with a count, that many alike."""
    if not count:
        sure = [one for one in seen if one.score >= _SURE * seen[0].score]
        return _apart(sorted(sure, key=lambda one: -one.radius))
    best: list[Circle] = []
    for like in seen:
        alike = [one for one in seen if 1 / _ALIKE < one.radius / like.radius < _ALIKE]
        apart = _apart(sorted(alike, key=lambda one: -one.score))[:count]
        if (len(apart), _weight(apart)) > (len(best), _weight(best)):
            best = apart
    return best


def _weight(circles: list[Circle]) -> float:
    """Return how good a choice is: sure circles, and rather the larger ones."""
    return float(sum(one.score**2 * np.sqrt(one.radius) for one in circles))


def _apart(circles: list[Circle]) -> list[Circle]:
    """Return circles, the first ones first, that do not overlap by more than their rims."""
    kept: list[Circle] = []
    for one in circles:
        if all(
            np.hypot(one.x - other.x, one.y - other.y) > 0.9 * (one.radius + other.radius) for other in kept
        ):
            kept.append(one)
    return kept


CIRCLES = Circles()
