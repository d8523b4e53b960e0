"""Several animals that touch are one blob; here it is taken apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracking.background import Look
from tracking.detect import BLOB, BlobFilter, Blobs, Looked, Piece, find_pieces, measure

Numbers = npt.NDArray[np.float64]

_LARGER = 1.2  # blobs larger than this many animals may be two of them
_MOST_PARTS = 8
_PIXELS = 128  # that are enough to tell how a blob lies
_GRID = 40  # places along each side of a blob where it is compared with the animals that may be it
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Body:
    """The area, length and width of one animal, in pixels, and how many there are at most."""

    area: float
    length: float
    width: float
    most: int

    @classmethod
    def of(cls, look: Look, most: int) -> "Body":
        """Return the body of animals of a look."""
        return cls(look.area, look.length, 4 * look.area / (np.pi * look.length), most)


class _Fits(NamedTuple):
    """Places and directions (radians) of the animals in some clumps: shape (clumps, beginnings, animals)."""

    x: Numbers
    y: Numbers
    angle: Numbers


def find_crowd(looked: Looked, wanted: BlobFilter, body: Body) -> Blobs:
    """Return blobs as `find_blobs` does, and after each that may be several animals, its parts.

    A blob stands there as one (`parts` is 1), as two halves (`parts` is 2 in both), and so on for every
    number of animals that its area allows; all these rows are of one `group`. Which of them is true is for
    who knows where animals were before.
    """
    pieces = sorted(find_pieces(looked.difference, wanted), key=lambda piece: -piece.area)[: wanted.most]
    solids = [_without_holes(looked, piece, wanted) for piece in pieces]
    counts = [_counts(solid.area, body) for solid in solids]
    divided: dict[tuple[int, int], list[Piece]] = {}
    for count in sorted({count for some in counts for count in some}):
        groups = [group for group, some in enumerate(counts) if count in some]
        parts = split([solids[group] for group in groups], count, body)
        divided |= {(group, count): mine for group, mine in zip(groups, parts, strict=True)}
    found = []
    for group, (solid, some) in enumerate(zip(solids, counts, strict=True)):
        found.append(measure(looked, solid, group))
        for count in some:
            found += [measure(looked, part, group, count) for part in divided[group, count]]
    return np.array(found, BLOB)


def split(pieces: Sequence[Piece], count: int, body: Body) -> list[list[Piece]]:
    """Return the parts of each of some blobs that `count` animals explain best; fewer if some are nothing.

    Each animal is an ellipse of known size and unknown place and direction. These are fitted by expectation
    maximization from several beginnings: animals one after the other, side by side, and crossed. All blobs
    are fitted at once.
    """
    pixels = [_pixels(piece) for piece in pieces]
    middles = [mine.mean(axis=0) for mine in pixels]
    centred = [mine - middle for mine, middle in zip(pixels, middles, strict=True)]
    some = np.stack([mine[np.linspace(0, len(mine) - 1, _PIXELS).astype(np.intp)] for mine in centred])
    fits = _fit(some, _starts(some, count), body)
    best = _overlaps(pieces, middles, fits, body).argmax(axis=1)
    every = np.arange(len(pieces))
    chosen = _Fits(*(values[every, best][:, None] for values in fits))
    found = []
    for number, (piece, mine) in enumerate(zip(pieces, centred, strict=True)):
        one = _Fits(*(values[number : number + 1] for values in chosen))
        owner = _closeness(_basis(mine[None]), one, body)[0, 0].argmax(axis=0)
        parts = [_part(piece, pixels[number].astype(np.intp), owner == animal) for animal in range(count)]
        found.append([part for part in parts if part])
    return found


def _pixels(piece: Piece) -> Numbers:
    """Return x and y of the pixels of a blob, from the corner of its window, shape (pixels, 2)."""
    rows, columns = np.nonzero(piece.inside)
    return np.column_stack([columns, rows]).astype(np.float64)


def _without_holes(looked: Looked, piece: Piece, wanted: BlobFilter) -> Piece:
    """Return a blob without what animals enclose."""
    above = looked.difference[piece.window] > wanted.threshold
    inside = np.where(above, piece.inside, 0).astype(np.uint8)
    return Piece(piece.window, inside, int(np.count_nonzero(inside)))


def _counts(area: float, body: Body) -> range:
    """Return how many animals a blob of an area may be, if they are several."""
    if area < _LARGER * body.area:
        return range(0)
    least = max(2, int(np.ceil(area / (1.6 * body.area))))
    most = min(body.most, max(2, int(area / (0.6 * body.area))), _MOST_PARTS)
    return range(least, most + 1)


def _starts(pixels: Numbers, count: int) -> _Fits:
    """Return places and directions to begin with.

    Parameters
    ----------
    pixels : of each blob, around its middle, shape (blobs, pixels, 2).
    count : of animals in each.
    """
    xx, yy = (pixels**2).mean(axis=1).T
    xy = (pixels[..., 0] * pixels[..., 1]).mean(axis=1)
    direction = 0.5 * np.arctan2(2 * xy, xx - yy)
    half, root = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    along, across = (np.sqrt(np.maximum(spread, 0.25)) for spread in (half + root, half - root))
    long = np.stack([np.cos(direction), np.sin(direction)])  # (2, blobs)
    short = np.stack([-long[1], long[0]])
    spread = np.linspace(-1, 1, count)[:, None, None]
    lengthwise, sideways = spread * (1.2 * along * long), spread * (across * short)  # (animals, 2, blobs)
    same = np.broadcast_to(direction, (count, len(direction)))
    starts = [(lengthwise, same), (lengthwise, same + np.pi / 2)]
    if count == 2:
        crossed = direction + np.pi * np.arange(count)[:, None] / count + np.pi / 4
        starts += [(1.2 * sideways, same), (0.1 * sideways, crossed)]
    else:
        starts.append((_spread_out(pixels, count), same))
    x, y, angle = (
        np.stack([np.asarray(values).T for values in some], axis=1)
        for some in zip(*((place[:, 0], place[:, 1], angle) for place, angle in starts), strict=True)
    )
    return _Fits(x, y, angle)


def _spread_out(pixels: Numbers, count: int) -> Numbers:
    """Return pixels that are far from each other, and not the very ends, shape (count, 2, blobs)."""
    every = np.arange(len(pixels))
    nearest = -np.hypot(pixels[..., 0], pixels[..., 1])
    chosen = [pixels[every, (-nearest).argmax(axis=1)]]
    nearest = np.full(nearest.shape, np.inf)
    while len(chosen) < count:
        away = pixels - chosen[-1][:, None]
        nearest = np.minimum(nearest, np.hypot(away[..., 0], away[..., 1]))
        chosen.append(pixels[every, nearest.argmax(axis=1)])
    return np.asarray(0.7 * np.array(chosen).transpose(0, 2, 1))


def _basis(places: Numbers) -> Numbers:
    """Return 1, x, y, xx, yy, xy of places, shape (blobs, 1, 6, places)."""
    x, y = places[..., 0], places[..., 1]
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)[:, None]


def _fit(pixels: Numbers, fits: _Fits, body: Body) -> _Fits:
    """Return the places and directions of animals that explain the pixels better."""
    basis = _basis(pixels)
    for _ in range(_ROUNDS):
        near = _closeness(basis, fits, body)
        shares = np.exp(near - near.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        sums = shares @ basis.swapaxes(2, 3)  # (blobs, beginnings, animals, 6)
        sums /= np.maximum(sums[..., :1], 1e-9)
        x, y = sums[..., 1], sums[..., 2]
        angle = 0.5 * np.arctan2(2 * (sums[..., 5] - x * y), sums[..., 3] - x * x - sums[..., 4] + y * y)
        fits = _Fits(x, y, angle)
    return fits


def _overlaps(pieces: Sequence[Piece], middles: Sequence[Numbers], fits: _Fits, body: Body) -> Numbers:
    """Return how much fits cover of their blobs and of nothing else, shape (blobs, beginnings)."""
    grids, masks = [], []
    margin = int(body.width / 2) + 1
    for piece, middle in zip(pieces, middles, strict=True):
        height, width = piece.inside.shape
        rows, columns = (
            np.linspace(-margin, size - 1 + margin, _GRID).round().astype(np.intp) for size in (height, width)
        )
        here = np.ix_((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
        mask = np.zeros((_GRID, _GRID), bool)
        mask[here] = piece.inside[np.ix_(rows[here[0][:, 0]], columns[here[1][0]])] > 0
        masks.append(mask.ravel())
        grids.append(np.stack(np.meshgrid(columns - middle[0], rows - middle[1]), axis=-1).reshape(-1, 2))
    near = _closeness(_basis(np.stack(grids)), fits, body)
    covered = near.max(axis=2) >= -2.0  # within twice the standard deviation, the rim
    mask = np.stack(masks)[:, None]
    return np.asarray((covered & mask).sum(axis=2) / np.maximum((covered | mask).sum(axis=2), 1))


def _closeness(basis: Numbers, fits: _Fits, body: Body) -> Numbers:
    """Return how much places belong to animals, as logarithms, shape (blobs, beginnings, animals, places)."""
    x, y, angle = fits
    cos, sin = np.cos(angle), np.sin(angle)
    along, across = (4 / body.length) ** 2, (4 / body.width) ** 2
    xx = along * cos**2 + across * sin**2
    yy = along * sin**2 + across * cos**2
    xy = 2 * (along - across) * cos * sin
    terms = [xx * x**2 + yy * y**2 + xy * x * y, -2 * xx * x - xy * y, -2 * yy * y - xy * x, xx, yy, xy]
    return np.asarray(-0.5 * (np.stack(terms, axis=-1) @ basis))


def _part(piece: Piece, pixels: npt.NDArray[np.intp], mine: npt.NDArray[np.bool_]) -> Piece | None:
    if not mine.any():
        return None
    inside = np.zeros_like(piece.inside)
    inside[pixels[mine, 1], pixels[mine, 0]] = 255
    return Piece(piece.window, inside, int(np.count_nonzero(mine)))
