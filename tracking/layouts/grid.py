"""Rows and columns of regions: between three targets, over the frame, or in any four corners."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tracking.errors import LayoutError
from tracking.layouts.base import Grey, Regions, frame_corners
from tracking.polygons import Polygon, area
from tracking.roi import ROI
from tracking.targets import find_targets, scale_between

_MOST_REGIONS = 10_000
_PLACES = ("targets", "frame")


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows and columns of regions.

    Lengths are shares of the width and height of what the grid lies in; negative margins reach beyond it.
    Regions are numbered down the first column from the left, then the next.

    Attributes
    ----------
    rows, columns : how many regions.
    top, bottom, left, right : margins.
    horizontal_fill, vertical_fill : size of a region as a share of its cell in a grid without margins.
    on : what it lies in: "targets", the parallelogram of three round black targets, or "frame".
    mm : from the lower left to the lower right target, millimetres, which tells the scale; 0 if not known.
    """

    rows: int = 1
    columns: int = 1
    top: float = 0.0
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0
    horizontal_fill: float = 0.9
    vertical_fill: float = 0.9
    on: str = "targets"
    mm: float = 0.0

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1 or self.rows * self.columns > _MOST_REGIONS:
            raise LayoutError(
                f"a grid has rows and columns, {_MOST_REGIONS} regions at most, "
                f"got {self.rows} and {self.columns}"
            )
        lengths = (self.top, self.bottom, self.left, self.right, self.horizontal_fill, self.vertical_fill)
        if not np.isfinite(lengths).all() or min(lengths[4:]) <= 0:
            raise LayoutError("margins of a grid are numbers, horizontal_fill and vertical_fill are above 0")
        if self.on not in _PLACES:
            raise LayoutError(f"a grid lies on {' or '.join(_PLACES)}, got {self.on!r}")
        if not 0 <= self.mm < np.inf or (self.mm and self.on != "targets"):
            raise LayoutError("mm is the distance of the two lower targets, above 0, of a grid on targets")

    def find(self, image: Grey) -> Regions:
        """Return the regions between the targets of the image, or over all of it."""
        if self.on == "frame":
            return Regions(place_in_corners(self, frame_corners(image.shape)))
        targets = find_targets(image)
        scale = scale_between(targets, self.mm) if self.mm else None
        return Regions(place_on_targets(self, targets), targets, scale)


@dataclass(frozen=True, slots=True, eq=False)
class CornerGrid:
    """A grid in a quadrilateral, which may be seen from aside.

    Attributes
    ----------
    grid : the rows and columns.
    corners : shape (4, 2), x then y, pixels: upper left, upper right, lower right, lower left.
    """

    grid: Grid
    corners: Polygon

    def __post_init__(self) -> None:
        if self.corners.shape != (4, 2) or not np.isfinite(self.corners).all() or not _convex(self.corners):
            raise LayoutError(
                "the corners of a grid are four [x, y] in the order upper left, upper right, lower right, "
                f"lower left, with no corner inward; got {self.corners.tolist()}"
            )

    def find(self, image: Grey) -> Regions:
        """Return the regions, whatever the image shows."""
        return Regions(place_in_corners(self.grid, self.corners))


def place_on_targets(grid: Grid, targets: npt.NDArray[np.float64]) -> list[ROI]:
    """Return the regions for targets, shape (3, 2): upper right, lower right, lower left."""
    upper_right, lower_right, lower_left = targets
    across, up = lower_left - lower_right, upper_right - lower_right
    return _place(grid, lambda unit: lower_right + (1 - unit[:, :1]) * across + (1 - unit[:, 1:]) * up)


def place_in_corners(grid: Grid, corners: Polygon) -> list[ROI]:
    """Return the regions for corners, shape (4, 2), in true perspective."""
    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    homography = fit_homography(square, corners)
    return _place(grid, lambda unit: project(homography, unit))


def fit_homography(start: Polygon, stop: Polygon) -> npt.NDArray[np.float64]:
    """Return the 3 x 3 matrix that takes points nearest to others: four pairs or more, (n, 2) each."""
    ones, zeros = np.ones(len(start)), np.zeros((len(start), 3))
    unit = np.column_stack([start, ones])
    rows = np.concatenate(
        [
            np.hstack([unit, zeros, -stop[:, :1] * start]),
            np.hstack([zeros, unit, -stop[:, 1:] * start]),
        ]
    )
    solution = np.linalg.lstsq(rows, np.concatenate([stop[:, 0], stop[:, 1]]), rcond=None)[0]
    return np.append(solution, 1.0).reshape(3, 3)


def project(homography: npt.NDArray[np.float64], points: Polygon) -> Polygon:
    """Return points, (n, 2), as a homography takes them."""
    taken = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(taken[:, :2] / taken[:, 2:])


def _place(grid: Grid, to_frame: Callable[[Polygon], Polygon]) -> list[ROI]:
    return [
        ROI(to_frame(_cell(grid, row, column)), 1 + column * grid.rows + row)
        for column in range(grid.columns)
        for row in range(grid.rows)
    ]


def _cell(grid: Grid, row: int, column: int) -> Polygon:
    """Return the corners of a region in the unit square, shape (4, 2)."""
    u = grid.left + (2 * column + 1) * (1 - grid.left - grid.right) / (2 * grid.columns)
    v = grid.top + (2 * row + 1) * (1 - grid.top - grid.bottom) / (2 * grid.rows)
    half = grid.horizontal_fill / (2 * grid.columns), grid.vertical_fill / (2 * grid.rows)
    return np.asarray(np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half + np.array((u, v)))


def _convex(corners: Polygon) -> bool:
    """Say whether corners go round clockwise, as seen, without a turn back."""
    edges = np.roll(corners, -1, axis=0) - corners
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    return bool((turns > 0).all() and area(corners) >= 1)


SLEEP_MONITOR_20TUBE = Grid(
    10, 2, top=0.0629, bottom=0.0629, left=-0.033, right=-0.033, horizontal_fill=0.975, vertical_fill=0.7
)
SLEEP_MONITOR_30TUBE = replace(SLEEP_MONITOR_20TUBE, columns=3)
OLFACTION_ASSAY_10TUBE = replace(SLEEP_MONITOR_20TUBE, columns=1)
ELECTRIC_SHOCK_5TUBE = Grid(
    5, 1, top=0.1, bottom=0.1, left=-0.065, right=-0.065, horizontal_fill=0.975, vertical_fill=0.7
)
HD_12TUBE = Grid(1, 12, top=1.5, bottom=1.5, left=0.05, right=0.05, horizontal_fill=0.7, vertical_fill=1.4)
HD_MATING_ARENA_6 = Grid(
    2, 3, top=-0.21, bottom=-0.13, left=0.05, right=0.05, horizontal_fill=0.85, vertical_fill=1.3
)

GRID = Grid()
FRAME_GRID = Grid(on="frame")
