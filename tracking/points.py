"""What is said of an animal in a frame: the columns, their units, defined once."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.void]
"""A table of points: one-dimensional, dtype `POINT`."""


class Status(IntEnum):
    """How an animal was found."""

    DETECTED = 0
    """It differs from the background of the whole recording."""

    BY_LOOKS = 1
    """It is part of that background: it sits there nearly always, and only its looks tell that it is one."""

    MERGED = 2
    """It touches another animal; the place is its share of what was seen as one."""

    LOST = 3
    """It was not seen in this frame, but before and after: the place lies between those."""


class Column(NamedTuple):
    """One column of the table of points."""

    name: str
    dtype: str
    unit: str
    meaning: str


COLUMNS = (
    Column("frame", "<i8", "1", "row of /frames"),
    Column("roi", "<u2", "1", "number of the region"),
    Column("identity", "<u4", "1", "which animal of the region, from 1, stable over the run"),
    Column("x", "<f4", "px", "centroid, to the right; the centre of the upper left pixel is 0, 0"),
    Column("y", "<f4", "px", "centroid, down"),
    Column("length", "<f4", "px", "long axis of the ellipse with the same second moments"),
    Column("width", "<f4", "px", "short axis of that ellipse"),
    Column(
        "angle", "<f4", "degree", "of the long axis against x, clockwise as seen, 0 to 180; no head or tail"
    ),
    Column(
        "heading",
        "<f4",
        "degree",
        "of the head against x, clockwise as seen, 0 to 360; NaN where it is unknown",
    ),
    Column("area", "<f4", "px^2", "pixels that belong to the animal"),
    Column("intensity", "<f4", "1", "mean of these pixels in the recording, in its own grey levels"),
    Column("score", "<f4", "1", "0 to 1, how much better an animal explains these pixels than none does"),
    Column("status", "<u1", "1", "; ".join(f"{s.value} {s.name.lower()}" for s in Status)),
    Column("interaction", "<u1", "1", "0 none, 1 stimulated, 2 would have been (control)"),
)

POINT = np.dtype([(column.name, column.dtype) for column in COLUMNS])


def new_points(count: int = 0) -> Points:
    """Return a table of points of which nothing is known yet: numbers are 0, measures NaN."""
    points = np.zeros(count, POINT)
    for name in ("x", "y", "length", "width", "angle", "heading", "area", "intensity"):
        points[name] = np.nan
    return points
