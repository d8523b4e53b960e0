"""From an image to blobs: what differs from the background, where, how large, how much."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

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
        ("intensity", "<f8"),  # mean of its pixels in the recording, its own grey levels; NaN if unknown
        ("group", "<i4"),  # which connected pixels it is made of, from 0; parts of one clump share them
        ("parts", "<i4"),  # into how many the clump is split of which it is one; 1: it is all of it
        ("depth", "<f8"),  # mean difference, grey levels
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


class Looked(NamedTuple):
    """What blobs are found in; all of one shape, (rows, columns).

    Attributes
    ----------
    difference : 0 where nothing differs or nothing is to be found.
    marked : nonzero in pixels of which the share in every blob is counted.
    picture : the image as it was recorded, grey.
    """

    difference: MatLike
    marked: Grey | None = None
    picture: MatLike | None = None


class Piece(NamedTuple):
    """Connected pixels: the rows and columns that they lie in, a mask of them therein, and their number."""

    window: tuple[slice, slice]
    inside: Grey
    area: int


def find_blobs(
    difference: MatLike, wanted: BlobFilter, marked: Grey | None = None, picture: MatLike | None = None
) -> Blobs:
    """Return the blobs of an image of differences, largest summed difference first.

    Parameters
    ----------
    difference, marked, picture : see `Looked`.
    wanted : which blobs.

    Returns
    -------
    Table of dtype `BLOB`, with x and y in pixels of `difference`.
    """
    looked = Looked(difference, marked, picture)
    found = [measure(looked, piece, group) for group, piece in enumerate(find_pieces(difference, wanted))]
    blobs = np.array(found, BLOB)
    if len(blobs) < 2:
        return blobs
    order = np.argsort(-blobs["area"] * blobs["contrast"], kind="stable")
    return blobs[order[: wanted.most]]


def find_pieces(difference: MatLike, wanted: BlobFilter) -> Iterator[Piece]:
    """Yield the connected pixels above the threshold, neither too small nor too large, holes filled."""
    _, binary = cv2.threshold(difference, wanted.threshold, 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        if width * height < wanted.smallest:
            continue
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour], -1, 255, cv2.FILLED, offset=(-x, -y))
        area = cv2.countNonZero(inside)
        if wanted.smallest <= area <= wanted.largest:
            yield Piece((slice(y, y + height), slice(x, x + width)), inside, area)


def measure(looked: Looked, piece: Piece, group: int = 0, parts: int = 1) -> tuple[float, ...]:
    """Return what is known of a blob, a row of dtype `BLOB`."""
    rows, columns = piece.window
    weights = cv2.bitwise_and(looked.difference[piece.window], piece.inside)
    moments = cv2.moments(weights)
    mass = moments["m00"] or 1.0
    xx, xy, yy = moments["mu20"] / mass, moments["mu11"] / mass, moments["mu02"] / mass
    half_sum, root = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    return (
        columns.start + moments["m10"] / mass,
        rows.start + moments["m01"] / mass,
        4 * math.sqrt(half_sum + root),
        4 * math.sqrt(max(half_sum - root, 0.0)),
        math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) % 180 % 180,  # a hair below 0 becomes 180 at first
        piece.area,
        cv2.minMaxLoc(weights)[1],
        _share(looked.marked, piece),
        _mean(looked.picture, piece),
        group,
        parts,
        moments["m00"] / piece.area,
    )


def _share(marked: Grey | None, piece: Piece) -> float:
    if marked is None:
        return 0.0
    return cv2.countNonZero(cv2.bitwise_and(marked[piece.window], piece.inside)) / piece.area


def _mean(picture: MatLike | None, piece: Piece) -> float:
    return float("nan") if picture is None else float(picture[piece.window][piece.inside > 0].mean())
