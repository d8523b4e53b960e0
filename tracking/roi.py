"""A region of interest: a polygon in the frame, with a number and a value, perhaps in named parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from tracking import polygons
from tracking.errors import RegionError
from tracking.polygons import Polygon

_FARTHEST = 1_000_000
_MOST_CORNERS = 10_000
_MOST_COMPARED = 1000  # corners; each edge with each other
_NEAR = 1.0  # pixels; masks reach that far beyond the polygon


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a region that has a name: its light half, the end with the food.

    Attributes
    ----------
    name : unique in its region.
    polygon : corners, shape (n, 2), x then y, frame pixels; at least three.
    """

    name: str
    polygon: Polygon

    def __post_init__(self) -> None:
        object.__setattr__(self, "polygon", _checked(self.polygon, f"the part {self.name!r}"))


@dataclass(frozen=True, eq=False)
class ROI:
    """One region, in which animals are tracked on their own.

    Attributes
    ----------
    polygon : corners, shape (n, 2), x then y, frame pixels; at least three.
    number : from 1, unique in a layout.
    value : what the region means to the experiment; the number unless said otherwise.
    name : for people; may be empty.
    parts : named parts of it, in order; what lies in several belongs to the first.
    """

    polygon: Polygon
    number: int
    value: int | None = None
    name: str = ""
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "polygon", _checked(self.polygon, f"region {self.number}"))
        if self.value is None:
            object.__setattr__(self, "value", self.number)
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names) or "" in names:
            raise RegionError(f"the parts of region {self.number} have names, each its own; got {names}")

    @cached_property
    def rectangle(self) -> tuple[int, int, int, int]:
        """x, y of the upper left pixel, width and height of the pixels that the polygon touches."""
        low = np.floor(self.polygon.min(axis=0)).astype(int)
        high = np.ceil(self.polygon.max(axis=0)).astype(int)
        width, height = high - low + 1
        return int(low[0]), int(low[1]), int(width), int(height)

    @property
    def offset(self) -> tuple[int, int]:
        """x, y of the upper left pixel."""
        return self.rectangle[:2]

    @property
    def longest_axis(self) -> int:
        """The longer side of the rectangle, pixels."""
        return max(self.rectangle[2:])

    @property
    def centre(self) -> tuple[float, float]:
        """x, y of the mean of the corners."""
        x, y = self.polygon.mean(axis=0)
        return float(x), float(y)

    @property
    def upper_left(self) -> tuple[float, float]:
        """x, y of the corner that is farthest up and left: where a label goes."""
        x, y = self.polygon[np.argmin(self.polygon.sum(axis=1))]
        return float(x), float(y)

    @property
    def label(self) -> str:
        """Number and name, for people."""
        return f"{self.number} {self.name}".strip()

    def window(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Return the rows and columns of the rectangle in a frame of `shape`.

        Raises RegionError if the region lies outside of the frame.
        """
        x, y, width, height = self.rectangle
        rows = slice(max(y, 0), min(y + height, shape[0]))
        columns = slice(max(x, 0), min(x + width, shape[1]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            raise RegionError(
                f"region {self.number} ({width}x{height} at {x},{y}) lies outside of the frame, "
                f"which is {shape[1]}x{shape[0]}"
            )
        return rows, columns

    def mask(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return 255 inside the polygon and 0 outside, for the pixels of `window(shape)`."""
        rows, columns = self.window(shape)
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        corners = np.rint(self.polygon - (columns.start, rows.start)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255)
        return mask

    def part_of(self, x: float, y: float) -> str:
        """Return the name of the part that a point lies in; "" if it lies in none."""
        place = int(self.parts_of(np.array([(x, y)], np.float64))[0])
        return self.parts[place].name if place >= 0 else ""

    def parts_of(self, points: Polygon) -> npt.NDArray[np.int64]:
        """Return in which of `parts` points lie, counted from 0; -1 for none.

        Parameters
        ----------
        points : shape (n, 2), x then y. One that is a pixel outside of the region still belongs to
            the nearest part, because the mask of a region reaches that far.
        """
        found = np.full(len(points), -1)
        if not self.parts:
            return found
        for place, part in reversed(list(enumerate(self.parts))):
            found[polygons.inside(part.polygon, points)] = place
        (left,) = np.nonzero((found < 0) & np.isfinite(points).all(axis=1))
        left = left[~polygons.inside(self.polygon, points[left])]
        left = left[polygons.distance(self.polygon, points[left]) <= _NEAR]
        if len(left):
            far = np.stack([polygons.distance(part.polygon, points[left]) for part in self.parts])
            near = far.min(axis=0) <= _NEAR
            found[left[near]] = far.argmin(axis=0)[near]
        return found

    def split(
        self, names: Sequence[str], *, along: str = "length", at: Sequence[float] | None = None
    ) -> "ROI":
        """Return the region in parts, cut across one direction.

        Parameters
        ----------
        names : of the parts, in order: from left to right, or from top to bottom.
        along : "x", "y", or "length": the way in which the region is longest, however it is turned.
        at : where the cuts are, as shares of the region's extent, rising; None for parts of equal length.
        """
        cuts = list(at) if at is not None else [place / len(names) for place in range(1, len(names))]
        bounds = [0.0, *cuts, 1.0]
        if len(cuts) != len(names) - 1 or any(np.diff(bounds) <= 0) or along not in _DIRECTIONS:
            raise RegionError(
                f"a region is split along {', '.join(_DIRECTIONS)} into parts, and cut once less, "
                f"at rising shares between 0 and 1; got {list(names)} along {along!r} at {cuts}"
            )
        direction = _DIRECTIONS[along] or polygons.long_direction(self.polygon)
        depths = self.polygon @ direction
        low, extent = depths.min(), np.ptp(depths)
        bounds[0], bounds[-1] = -1.0, 2.0  # the outer parts lose nothing to rounding
        cut = [
            Part(name, polygons.cut(self.polygon, direction, low + extent * start, low + extent * stop))
            for name, start, stop in zip(names, bounds, bounds[1:], strict=False)
        ]
        return replace(self, parts=tuple(cut))

    def moved(self, matrix: npt.NDArray[np.float64]) -> "ROI":
        """Return the region, parts and all, moved by an affine matrix, shape (2, 3)."""
        parts = tuple(Part(part.name, polygons.transform(matrix, part.polygon)) for part in self.parts)
        return replace(self, polygon=polygons.transform(matrix, self.polygon), parts=parts)


_DIRECTIONS: dict[str, tuple[float, float] | None] = {"length": None, "x": (1.0, 0.0), "y": (0.0, 1.0)}


def _checked(polygon: Polygon, who: str) -> Polygon:
    """Return a copy of what is a polygon. Raises RegionError."""
    corners = np.array(polygon, np.float64)
    if corners.ndim != 2 or corners.shape[0] < 3 or corners.shape[1] != 2:
        raise RegionError(f"{who} needs three corners (x, y) or more, got shape {corners.shape}")
    if len(corners) > _MOST_CORNERS:
        raise RegionError(f"{who} has {len(corners)} corners; {_MOST_CORNERS} are enough for any outline")
    if not np.isfinite(corners).all():
        raise RegionError(f"{who} has a corner that is no number")
    area = polygons.area(corners)
    if area < 1 and len(corners) <= _MOST_COMPARED and polygons.crosses_itself(corners):
        raise RegionError(f"the outline of {who} crosses itself; give its corners in order")
    if np.abs(corners).max() > _FARTHEST or area < 1:
        raise RegionError(
            f"{who} covers less than a pixel, or reaches beyond {_FARTHEST} pixels; "
            "corners are in pixels of the frame"
        )
    return corners


def check_numbers(rois: list[ROI]) -> list[ROI]:
    """Return `rois` in the order of their numbers. Raises RegionError if two share one."""
    numbers = [roi.number for roi in rois]
    if len(set(numbers)) < len(numbers) or min(numbers, default=1) < 1:
        raise RegionError(f"regions are numbered from 1, each once; got {numbers}")
    return sorted(rois, key=lambda roi: roi.number)
