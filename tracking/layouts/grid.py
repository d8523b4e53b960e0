"""Rows and columns of regions that hang on three targets."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracking.errors import LayoutError
from tracking.layouts.base import Grey, Regions
from tracking.roi import ROI
from tracking.targets import find_targets


@dataclass(frozen=True, slots=True)
class TargetGrid:
    """A grid in the parallelogram of the three targets.

    Lengths are shares of the distance between targets, along the side they lie on; negative margins
    reach beyond the targets. Regions are numbered down the first column from the left, then the next.

    Attributes
    ----------
    rows, columns : how many regions.
    top, bottom, left, right : margins between the targets' lines and the grid.
    horizontal_fill, vertical_fill : size of a region as a share of its cell in a grid without margins.
    """

    rows: int
    columns: int
    top: float = 0.0
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0
    horizontal_fill: float = 0.9
    vertical_fill: float = 0.9

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise LayoutError(f"a grid has rows and columns, got {self.rows} and {self.columns}")
        if min(self.horizontal_fill, self.vertical_fill) <= 0:
            raise LayoutError("horizontal_fill and vertical_fill of a grid are above 0")

    def find(self, image: Grey) -> Regions:
        """Return the regions between the targets of the image."""
        targets = find_targets(image)
        return Regions(self.place(targets), targets)

    def place(self, targets: npt.NDArray[np.float64]) -> list[ROI]:
        """Return the regions for targets, shape (3, 2): upper right, lower right, lower left."""
        return [
            ROI(self._polygon(row, column, targets), 1 + column * self.rows + row)
            for column in range(self.columns)
            for row in range(self.rows)
        ]

    def _polygon(self, row: int, column: int, targets: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        upper_right, lower_right, lower_left = targets
        u = self.left + (2 * column + 1) * (1 - self.left - self.right) / (2 * self.columns)
        v = self.top + (2 * row + 1) * (1 - self.top - self.bottom) / (2 * self.rows)
        half_u = self.horizontal_fill / (2 * self.columns)
        half_v = self.vertical_fill / (2 * self.rows)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (half_u, half_v) + (u, v)
        across, up = lower_left - lower_right, upper_right - lower_right
        return np.asarray(lower_right + (1 - corners[:, :1]) * across + (1 - corners[:, 1:]) * up)


_TUBES = {
    "top": 0.0629,
    "bottom": 0.0629,
    "left": -0.033,
    "right": -0.033,
    "horizontal_fill": 0.975,
    "vertical_fill": 0.7,
}

SLEEP_MONITOR_20TUBE = TargetGrid(10, 2, **_TUBES)
SLEEP_MONITOR_30TUBE = TargetGrid(10, 3, **_TUBES)
OLFACTION_ASSAY_10TUBE = TargetGrid(10, 1, **_TUBES)
ELECTRIC_SHOCK_5TUBE = TargetGrid(
    5, 1, top=0.1, bottom=0.1, left=-0.065, right=-0.065, horizontal_fill=0.975, vertical_fill=0.7
)
HD_12TUBE = TargetGrid(
    1, 12, top=1.5, bottom=1.5, left=0.05, right=0.05, horizontal_fill=0.7, vertical_fill=1.4
)
HD_MATING_ARENA_6 = TargetGrid(
    2, 3, top=-0.21, bottom=-0.13, left=0.05, right=0.05, horizontal_fill=0.85, vertical_fill=1.3
)
