"""From an image to blobs: what differs from the background, where, how large, how much."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from imgstore import Image, ensure_grayscale

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

BlobRow: TypeAlias = tuple[float, ...]
"""A row of dtype `BLOB`."""

_DENSITY = np.rint(255 / math.log(256) * np.log1p(np.arange(256))).astype(np.uint8)
_DENSE = 0.4  # share of the largest density of an animal below which it is shadow and blur

_AREA, _CONTRAST = (BLOB.names.index(name) for name in ("area", "contrast"))  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True, eq=False)
class RegionBlobs:
    """The blobs of all regions in one frame: one table, since to compute with many small ones takes long.

    Iterating gives the table of every region, as views.

    Attributes
    ----------
    table : of all regions, one after the other.
    counts : how many of each, shape (regions,).
    """

    table: Blobs
    counts: npt.NDArray[np.intp]

    @classmethod
    def join(cls, tables: Sequence[Blobs]) -> "RegionBlobs":
        """Return the blobs of regions that have a table each."""
        return cls(join_tables(tables), np.array([len(table) for table in tables], np.intp))

    @classmethod
    def of_rows(
        cls, rows: Sequence[Sequence[BlobRow]], windows: Sequence[tuple[slice, slice]]
    ) -> "RegionBlobs":
        """Return blobs that were found in windows of the frame, each with pixels counted from its corner."""
        table = np.array([row for some in rows for row in some], BLOB)
        counts = np.array([len(some) for some in rows], np.intp)
        corners = np.array([(columns.start, rows.start) for rows, columns in windows]).reshape(-1, 2)
        table["x"] += np.repeat(corners[:, 0], counts)
        table["y"] += np.repeat(corners[:, 1], counts)
        return cls(table, counts)

    @property
    def places(self) -> npt.NDArray[np.intp]:
        """The place of each blob's region, from 0, shape (blobs,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[Blobs]:
        return iter(self.split(self.table))

    def __getitem__(self, region: int) -> Blobs:
        return self.split(self.table)[region]

    def split(self, values: npt.NDArray[np.generic]) -> list[npt.NDArray[Any]]:
        """Return values of all blobs, or the blobs themselves, region by region."""
        ends = np.cumsum(self.counts).tolist()
        return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def join_tables(tables: Sequence[Blobs]) -> Blobs:
    """Return tables one after the other; `np.concatenate` takes ten times as long with so many columns."""
    joined = np.empty(sum(map(len, tables)), BLOB)
    end = 0
    for table in tables:
        start, end = end, end + len(table)
        joined[start:end] = table
    return joined


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
    picture : the image as it was recorded, grey or colour.
    background : what the image differs from; with it, blobs lie where they take most of the light.
    """

    difference: MatLike
    marked: Grey | None = None
    picture: Image | None = None
    background: MatLike | None = None


class Piece(NamedTuple):
    """Connected pixels: the rows and columns that they lie in, a mask of them therein, and their number."""

    window: tuple[slice, slice]
    inside: Grey
    area: int


def find_blobs(
    difference: MatLike,
    wanted: BlobFilter,
    marked: Grey | None = None,
    picture: Image | None = None,
    background: MatLike | None = None,
) -> Blobs:
    """Return the blobs of an image of differences, largest summed difference first.

    Parameters
    ----------
    difference, marked, picture, background : see `Looked`.
    wanted : which blobs.

    Returns
    -------
    Table of dtype `BLOB`, with x and y in pixels of `difference`.
    """
    return np.array(find_rows(Looked(difference, marked, picture, background), wanted), BLOB)


def find_rows(looked: Looked, wanted: BlobFilter) -> list[BlobRow]:
    """Return the rows of the table that `find_blobs` returns."""
    pieces = find_pieces(looked.difference, wanted)
    found = [measure(looked, piece, group) for group, piece in enumerate(pieces)]
    if len(found) > 1:
        found.sort(key=_summed_difference, reverse=True)  # stable
    return found[: wanted.most]


def _summed_difference(row: BlobRow) -> float:
    """Return about the sum of the differences of a blob."""
    return row[_AREA] * row[_CONTRAST]


def find_pieces(difference: MatLike, wanted: BlobFilter) -> Iterator[Piece]:
    """Yield the connected pixels above the threshold, neither too small nor too large, holes filled."""
    _, binary = cv2.threshold(difference, wanted.threshold, 255, cv2.THRESH_BINARY)
    left, top, wide, high = cv2.boundingRect(binary)
    if wide * high < wanted.smallest:
        return
    part = binary[top : top + high, left : left + wide]  # most of a region is empty
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        if width * height < wanted.smallest:
            continue
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour], -1, 255, cv2.FILLED, offset=(-x, -y))
        area = cv2.countNonZero(inside)
        if wanted.smallest <= area <= wanted.largest:
            yield Piece((slice(y, y + height), slice(x, x + width)), inside, area)


def measure(looked: Looked, piece: Piece, group: int = 0, parts: int = 1) -> BlobRow:
    """Return what is known of a blob, a row of dtype `BLOB`."""
    rows, columns = piece.window
    weights = cv2.bitwise_and(looked.difference[piece.window], piece.inside)
    moments = cv2.moments(weights)
    mass = moments["m00"] or 1.0
    xx, xy, yy = moments["mu20"] / mass, moments["mu11"] / mass, moments["mu02"] / mass
    half_sum, root = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    x, y = _centre(looked, piece) or (moments["m10"] / mass, moments["m01"] / mass)
    return (
        columns.start + x,
        rows.start + y,
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


def _centre(looked: Looked, piece: Piece) -> tuple[float, float] | None:
    """Return where in its window a piece takes the light, x and y; None if nothing is known of that.

    An animal darkens what is behind it in proportion, so that before a dark spot it differs less than before
    a light one: its density, the logarithm of that proportion, is the same (Beer and Lambert's law). What is
    less dense than a share of the densest, shadow and blur, does not count, and counts little just above it.
    """
    if looked.background is None:
        return None
    behind = looked.background[piece.window]
    density = cv2.subtract(
        cv2.LUT(behind, _DENSITY), cv2.LUT(cv2.subtract(behind, looked.difference[piece.window]), _DENSITY)
    )
    density = cv2.bitwise_and(density, piece.inside)
    moments = cv2.moments(cv2.subtract(density, np.array(_DENSE * cv2.minMaxLoc(density)[1])))
    if not moments["m00"]:
        return None
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


def _share(marked: Grey | None, piece: Piece) -> float:
    if marked is None:
        return 0.0
    return cv2.countNonZero(cv2.bitwise_and(marked[piece.window], piece.inside)) / piece.area


def _mean(picture: Image | None, piece: Piece) -> float:
    if picture is None:
        return math.nan
    grey = ensure_grayscale(picture[piece.window])
    if grey.dtype == np.uint8:
        return cv2.mean(grey, piece.inside)[0]
    return float(grey[piece.inside > 0].mean())
