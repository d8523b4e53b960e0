"""A region of interest: a polygon in the frame, with a number and a value."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tracking.errors import RegionError

Polygon = npt.NDArray[np.float64]

_FARTHEST = 1_000_000


@dataclass(frozen=True, eq=False)
class ROI:
    """One region, in which animals are tracked on their own.

    Attributes
    ----------
    polygon : corners, shape (n, 2), x then y, frame pixels; at least three.
    number : from 1, unique in a layout.
    value : what the region means to the experiment; the number unless said otherwise.
    name : for people; may be empty.
    """

    polygon: Polygon
    number: int
    value: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        polygon = np.array(self.polygon, np.float64)
        if polygon.ndim != 2 or polygon.shape[0] < 3 or polygon.shape[1] != 2:
            raise RegionError(
                f"region {self.number} needs three corners (x, y) or more, got shape {polygon.shape}"
            )
        if not np.isfinite(polygon).all():
            raise RegionError(f"region {self.number} has a corner that is no number")
        if np.abs(polygon).max() > _FARTHEST or cv2.contourArea(polygon.astype(np.float32)) < 1:
            raise RegionError(
                f"region {self.number} covers less than a pixel, or reaches beyond {_FARTHEST} pixels; "
                "corners are in pixels of the frame"
            )
        object.__setattr__(self, "polygon", polygon)
        if self.value is None:
            object.__setattr__(self, "value", self.number)

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

    def as_dict(self) -> dict[str, Any]:
        """Return what a layout file says of a region."""
        return {
            "number": self.number,
            "value": self.value,
            "name": self.name,
            "polygon": self.polygon.tolist(),
        }


def check_numbers(rois: list[ROI]) -> list[ROI]:
    """Return `rois` in the order of their numbers. Raises RegionError if two share one."""
    numbers = [roi.number for roi in rois]
    if len(set(numbers)) < len(numbers) or min(numbers, default=1) < 1:
        raise RegionError(f"regions are numbered from 1, each once; got {numbers}")
    return sorted(rois, key=lambda roi: roi.number)
