"""Where targets, tubes and what is in them lie.

Everything is laid out in the *rack*: an upright arena of 1280 x 960 pixels. One affine map takes the rack to
the frame: it turns the arena a little, as no camera stands quite straight, and scales it to the frame's size.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

RACK_SIZE = (960, 1280)
"""Rows and columns of the rack."""

TUBE_ROWS, TUBE_COLUMNS = 10, 2

RACK_TARGETS: tuple[tuple[float, float], ...] = ((1188.5, 97.0), (1188.5, 831.0), (41.5, 831.0))
"""Centres x, y of the targets in the rack: upper right, lower right, lower left."""

SEEN_TARGETS: tuple[tuple[float, float], ...] = ((1183.4, 90.4), (1193.7, 824.1), (46.9, 838.1))
"""The same in a frame of 1280 x 960."""

TARGET_RADIUS = 20.0
TUBE_HALF_HEIGHT = 21.0

_MARGIN_X, _MARGIN_Y = -0.033, 0.0629  # of the distance of the targets, as in sleep-monitor-20tube
_FILL_X = 0.975
_CLEARANCE = 18.0  # from the middle of a fly to the food or the plug


@dataclass(frozen=True, slots=True)
class Tube:
    """One tube, in rack pixels.

    Attributes
    ----------
    region : 1..10 the left column from the top, 11..20 the right one.
    y : of the axis.
    left, right : ends of the glass that a region covers.
    food, plug : x of the edge of the food (at the outer end) and of the plug (at the inner end).
    """

    region: int
    y: float
    left: float
    right: float
    food: float
    plug: float

    @property
    def free(self) -> tuple[float, float]:
        """Lowest and highest x of the middle of a fly."""
        return min(self.food, self.plug) + _CLEARANCE, max(self.food, self.plug) - _CLEARANCE

    @property
    def food_side(self) -> int:
        """-1 if the food is at the left end, 1 if at the right one."""
        return -1 if self.food < self.plug else 1


def make_tubes(rng: np.random.Generator) -> tuple[Tube, ...]:
    """Return the 20 tubes in the order of their regions, with random amounts of food and plug."""
    (right, top), _, (left, bottom) = RACK_TARGETS
    step_x = (1 - 2 * _MARGIN_X) / TUBE_COLUMNS
    step_y = (1 - 2 * _MARGIN_Y) / TUBE_ROWS
    half = _FILL_X / TUBE_COLUMNS / 2 * (right - left)
    tubes: list[Tube] = []
    for column in range(TUBE_COLUMNS):
        for row in range(TUBE_ROWS):
            x = left + (_MARGIN_X + (column + 0.5) * step_x) * (right - left)
            y = top + (_MARGIN_Y + (row + 0.5) * step_y) * (bottom - top)
            food, plug = rng.uniform(45, 85), rng.uniform(65, 100)
            ends = (x - half + food, x + half - plug) if column == 0 else (x + half - food, x - half + plug)
            tubes.append(Tube(len(tubes) + 1, y, x - half, x + half, *ends))
    return tuple(tubes)


def scale_for(rows: int, columns: int) -> float:
    """Return frame pixels per rack pixel: the whole rack fits in."""
    return min(rows / RACK_SIZE[0], columns / RACK_SIZE[1])


def rack_to_frame(rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return the affine map from rack to frame, shape (2, 3); centres of pixels are at integers."""
    scale = scale_for(rows, columns)
    size = np.array([RACK_SIZE[1], RACK_SIZE[0]]) * scale
    offset = (np.array([columns, rows]) - size) / 2
    seen = (np.array(SEEN_TARGETS) + 0.5) * scale - 0.5 + offset
    affine = cv2.getAffineTransform(np.array(RACK_TARGETS, np.float32), seen.astype(np.float32))
    return np.asarray(affine, np.float64)


def transform(affine: npt.NDArray[np.float64], points: Points) -> Points:
    """Map points, shape (n, 2) as x, y."""
    return points @ affine[:, :2].T + affine[:, 2]
