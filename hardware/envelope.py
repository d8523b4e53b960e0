"""A straight line under points of which some are too high and none is too low."""

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

_BUCKET_NS = 2e9  # of the points within it only the lowest is kept
_MOST_BUCKETS = 256
_OLDEST_NS = 3600e9  # clocks drift otherwise when the room gets warmer
_SHORTEST_NS = 10e9  # a slope over less would be all jitter
_STEEPEST = 500e-6  # no crystal is worse

Point: TypeAlias = tuple[float, float]


class Envelope:
    """The line that lies below all points and as near to them as it can: offset and drift of a clock.

    A few hundred points are kept, and a new one costs next to nothing, however many come.

    Parameters
    ----------
    x, y : the first point, nanoseconds.
    """

    def __init__(self, x: int, y: int) -> None:
        self._origin = x, y  # differences from it are floats without loss, for weeks
        self._kept: deque[Point] = deque(maxlen=_MOST_BUCKETS)
        self._bucket_x = 0.0
        self._lowest: Point = (0.0, 0.0)
        self._reference: Point = (0.0, 0.0)
        self._slope = 0.0

    @property
    def slope(self) -> float:
        """By how much y grows with x."""
        return self._slope

    def at(self, x: int) -> int:
        """Return y of the line."""
        return self._origin[1] + round(self._height(x - self._origin[0]))

    def add(self, x: int, y: int) -> None:
        """Take a point; no x is less than the one before."""
        point = float(x - self._origin[0]), float(y - self._origin[1])
        self._lower_to(point)
        if point[0] - self._bucket_x < _BUCKET_NS:
            if self._above(point) < self._above(self._lowest):
                self._lowest = point
            return
        self._kept.append(self._lowest)
        self._bucket_x, self._lowest = point[0], point
        while self._kept and point[0] - self._kept[0][0] > _OLDEST_NS:
            self._kept.popleft()
        self._fit()

    def _lower_to(self, point: Point) -> None:
        """Let the line down, so that it is not above `point`."""
        x, y = self._reference
        self._reference = x, y + min(self._above(point), 0)

    def _fit(self) -> None:
        points = [*self._kept, self._lowest]
        if points[-1][0] - points[0][0] >= _SHORTEST_NS:
            self._slope = min(max(_slope_below(points), -_STEEPEST), _STEEPEST)
        x = points[-1][0]
        self._reference = x, min(py + self._slope * (x - px) for px, py in points)

    def _height(self, x: float) -> float:
        return self._reference[1] + self._slope * (x - self._reference[0])

    def _above(self, point: Point) -> float:
        return point[1] - self._height(point[0])


def _slope_below(points: Sequence[Point]) -> float:
    """Return the slope of the line below all `points` whose distances from it add up to the least.

    It is that of the edge of their lower hull over the mean of their x.
    """
    hull = _lower_hull(points)
    mean = sum(x for x, _ in points) / len(points)
    right = next(i for i, (x, _) in enumerate(hull) if i and (x >= mean or i == len(hull) - 1))
    (x0, y0), (x1, y1) = hull[right - 1], hull[right]
    return (y1 - y0) / (x1 - x0)


def _lower_hull(points: Sequence[Point]) -> list[Point]:
    """Return the corners of the lower convex hull of points whose x rise."""
    hull: list[Point] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append((x, y))
    return hull
