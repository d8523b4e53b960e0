"""Arithmetic of polygons: arrays of corners, shape (n, 2), x then y."""

import cv2
import numpy as np
import numpy.typing as npt

from tracking.errors import RegionError

Polygon = npt.NDArray[np.float64]

_CIRCLE_CORNERS = 90
_LONG = 1.05  # times as long as wide


def circle(x: float, y: float, radius: float) -> Polygon:
    """Return the corners of a polygon that is nearly a circle."""
    angles = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def as_circle(polygon: Polygon) -> tuple[float, float, float] | None:
    """Return x, y and radius of the circle that `circle` made a polygon of; None if it did not."""
    if len(polygon) != _CIRCLE_CORNERS:
        return None
    x, y = polygon.mean(axis=0)
    radius = float(np.hypot(*(polygon[0] - (x, y))))
    made = np.allclose(polygon, circle(float(x), float(y), radius), atol=0.02)
    return (float(x), float(y), radius) if made else None


def fit_circle(points: Polygon) -> tuple[float, float, float]:
    """Return x, y and radius of the circle nearest to points, by least squares (Kasa)."""
    rows = np.column_stack([points, np.ones(len(points))])
    u, v, w = np.linalg.lstsq(rows, (points**2).sum(axis=1), rcond=None)[0]
    return float(u / 2), float(v / 2), float(np.sqrt(max(w + (u * u + v * v) / 4, 0.0)))


def circle_through(points: Polygon) -> Polygon:
    """Return the circle nearest to points, three or more. Raises RegionError if they give none."""
    if len(points) < 3:
        raise RegionError(f"a circle needs three points on its rim, got {len(points)}")
    x, y, radius = fit_circle(points)
    if radius > 10 * max(float(np.ptp(points, axis=0).max()), 1.0):
        raise RegionError("these points lie on a line, not on a circle")
    return circle(x, y, radius)


def rectangle(x: float, y: float, width: float, height: float) -> Polygon:
    """Return the corners of a rectangle from its upper left corner."""
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def area(polygon: Polygon) -> float:
    """Return the area, by the shoelace formula."""
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def inside(polygon: Polygon, points: Polygon) -> npt.NDArray[np.bool_]:
    """Say of each point whether it lies inside; polygons that share an edge never share a point."""
    x, y = points[:, :1], points[:, 1:]
    (x1, y1), (x2, y2) = polygon.T, np.roll(polygon, -1, axis=0).T
    crosses = (y1 <= y) != (y2 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    return np.asarray((crosses & (x < at)).sum(axis=1) % 2 == 1)


def distance(polygon: Polygon, points: Polygon) -> npt.NDArray[np.float64]:
    """Return how far each point is from the nearest edge."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    lengths = np.maximum((edges**2).sum(axis=1), 1e-12)
    from_corner = points[:, None] - polygon
    along = np.clip((from_corner * edges).sum(axis=2) / lengths, 0, 1)
    return np.asarray(np.hypot(*np.moveaxis(from_corner - along[..., None] * edges, 2, 0)).min(axis=1))


def crosses_itself(polygon: Polygon) -> bool:
    """Say whether two edges that are no neighbours cross."""
    start, stop = polygon, np.roll(polygon, -1, axis=0)

    def side(of: Polygon) -> npt.NDArray[np.float64]:
        to = of[None] - start[:, None]
        edge = (stop - start)[:, None]
        return np.asarray(np.sign(edge[..., 0] * to[..., 1] - edge[..., 1] * to[..., 0]))

    apart = side(start) * side(stop) < 0  # of each edge: do the ends of the others lie on its two sides
    return bool((apart & apart.T).any())


def cut(polygon: Polygon, direction: tuple[float, float], low: float, high: float) -> Polygon:
    """Return what of a polygon lies between `low` and `high` along a direction; it may be empty."""
    along = np.array(direction)
    return _half(_half(polygon, along, low), -along, -high)


def long_direction(polygon: Polygon) -> tuple[float, float]:
    """Return the unit vector along the longer side of the narrowest rectangle round a polygon.

    It points right, or down if it is steep; for what is as wide as long it is (1, 0).
    """
    corners = cv2.boxPoints(cv2.minAreaRect(polygon.astype(np.float32))).astype(np.float64)
    sides = corners[1:3] - corners[0:2]
    lengths = np.hypot(*sides.T)
    if lengths.max() < _LONG * lengths.min():
        return 1.0, 0.0
    x, y = sides[lengths.argmax()] / lengths.max()
    sign = np.sign(x if abs(x) >= abs(y) else y)
    return float(sign * x), float(sign * y)


def transform(matrix: npt.NDArray[np.float64], points: Polygon) -> Polygon:
    """Return points moved by an affine matrix, shape (2, 3)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def reading_order(centres: Polygon, tolerance: float) -> list[int]:
    """Return the order of centres in rows from top to bottom, each row from left to right.

    Parameters
    ----------
    tolerance : how far a row may wander from one centre to the next, pixels.
    """
    rows: list[list[int]] = []
    for place in np.argsort(centres[:, 1], kind="stable"):
        if rows and centres[place, 1] - np.mean(centres[rows[-1], 1]) <= tolerance:
            rows[-1].append(int(place))
        else:
            rows.append([int(place)])
    return [place for row in rows for place in sorted(row, key=lambda place: float(centres[place, 0]))]


def _half(polygon: Polygon, direction: npt.NDArray[np.float64], least: float) -> Polygon:
    """Return what of a polygon lies at `least` or beyond along a direction (Sutherland and Hodgman)."""
    kept: list[npt.NDArray[np.float64]] = []
    depths = polygon @ direction - least
    for place, depth in enumerate(depths):
        before = depths[place - 1]
        if (depth >= 0) != (before >= 0):
            share = before / (before - depth)
            kept.append(polygon[place - 1] + share * (polygon[place] - polygon[place - 1]))
        if depth >= 0:
            kept.append(polygon[place])
    return np.array(kept).reshape(-1, 2)
