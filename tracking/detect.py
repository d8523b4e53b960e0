"""From an image to blobs: what differs from the background, where, how large, how much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

Grey = npt.NDArray[np.uint8]
Blobs = npt.NDArray[np.void]
"""A table of blobs: one-dimensional, dtype `BLOB`."""

BLOB = np.dtype(
    [
        ("x", "<f8"),  # centroid weighted with the difference, pixels
        ("y", "<f8"),
        ("length", "<f8"),  # axes of the ellipse with the same second moments, pixels
        ("width", "<f8"),
        ("angle", "<f8"),  # of the long axis, degrees, 0 to 180
        ("area", "<f8"),  # pixels
        ("contrast", "<f8"),  # largest difference, grey levels
        ("marked", "<f8"),  # share of its pixels that lie in the marked ones, 0 to 1
    ]
)


@dataclass(frozen=True, slots=True)
class BlobFilter:
    """Which blobs are worth having.

    Attributes
    ----------
    threshold : difference above which a pixel belongs to a blob, grey levels.
    smallest, largest : area of a blob, pixels.
    most : how many blobs at most, those with the largest summed difference.
    """

    threshold: float
    smallest: float
    largest: float
    most: int = 4


def find_blobs(difference: MatLike, wanted: BlobFilter, marked: Grey | None = None) -> Blobs:
    """Return the blobs of an image of differences, largest summed difference first.

    Parameters
    ----------
    difference : (rows, columns); 0 where nothing differs or nothing is to be found.
    wanted : which blobs.
    marked : nonzero in pixels of which the share in every blob is counted; same shape.

    Returns
    -------
    Table of dtype `BLOB`, with x and y in pixels of `difference`.
    """
    _, binary = cv2.threshold(difference, wanted.threshold, 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        if width * height < wanted.smallest:
            continue
        window = (slice(y, y + height), slice(x, x + width))
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour], -1, 255, cv2.FILLED, offset=(-x, -y))
        area = cv2.countNonZero(inside)
        if wanted.smallest <= area <= wanted.largest:
            found.append(_measure(difference[window], inside, area, (x, y), marked, window))
    blobs = np.array(found, BLOB)
    if len(blobs) < 2:
        return blobs
    order = np.argsort(-blobs["area"] * blobs["contrast"], kind="stable")
    return blobs[order[: wanted.most]]


def _measure(
    difference: MatLike,
    inside: Grey,
    area: int,
    origin: tuple[int, int],
    marked: Grey | None,
    window: tuple[slice, slice],
) -> Sequence[float]:
    weights = cv2.bitwise_and(difference, inside)
    moments = cv2.moments(weights)
    mass = moments["m00"] or 1.0
    xx, xy, yy = moments["mu20"] / mass, moments["mu11"] / mass, moments["mu02"] / mass
    half_sum, root = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    return (
        origin[0] + moments["m10"] / mass,
        origin[1] + moments["m01"] / mass,
        4 * math.sqrt(half_sum + root),
        4 * math.sqrt(max(half_sum - root, 0.0)),
        math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) % 180 % 180,  # a hair below 0 becomes 180 at first
        area,
        cv2.minMaxLoc(weights)[1],
        cv2.countNonZero(cv2.bitwise_and(marked[window], inside)) / area if marked is not None else 0.0,
    )
