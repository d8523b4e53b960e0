"""Several animals that touch are one blob; here it is taken apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracking.detect import BLOB, BlobFilter, Blobs, Looked, Piece, find_pieces, measure

Numbers = npt.NDArray[np.float64]

_LARGER = 1.2  # blobs larger than this many animals may be two of them
_MOST_PARTS = 8
_PIXELS = 300  # that are enough to tell how a blob lies
_GRID = 800
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Body:
    """The area, length and width of one animal, in pixels, and how many there are at most."""

    area: float
    length: float
    width: float
    most: int


def find_crowd(looked: Looked, wanted: BlobFilter, body: Body) -> Blobs:
    """Return blobs as `find_blobs` does, and after each that may be several animals, its parts.

    A blob stands there as one (`parts` is 1), as two halves (`parts` is 2 in both), and so on for every
    number of animals that its area allows; all these rows are of one `group`. Which of them is true is for
    who knows where animals were before.
    """
    pieces = sorted(find_pieces(looked.difference, wanted), key=lambda piece: -piece.area)[: wanted.most]
    found = []
    for group, piece in enumerate(pieces):
        solid = _without_holes(looked, piece, wanted)
        found.append(measure(looked, solid, group))
        for count in _counts(solid.area, body):
            found += [measure(looked, part, group, count) for part in split(solid, count, body)]
    return np.array(found, BLOB)


def split(piece: Piece, count: int, body: Body) -> list[Piece]:
    """Return the parts of a blob that `count` animals explain best; fewer if some explain nothing.

    Each animal is an ellipse of known size and unknown place and direction. These are fitted by expectation
    maximization from several beginnings: animals one after the other, side by side, and crossed.
    """
    rows, columns = np.nonzero(piece.inside)
    pixels = np.column_stack([columns, rows]).astype(np.float64)
    some = pixels[:: max(1, len(pixels) // _PIXELS)]
    fits = [_fit(some, *start, body) for start in _starts(some, count)]
    centres, angles = max(fits, key=lambda fit: _overlap(piece, fit, body))
    owner = _closeness(pixels, centres, angles, body).argmax(axis=1)
    return [part for number in range(count) if (part := _part(piece, rows, columns, owner == number))]


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


def _starts(pixels: Numbers, count: int) -> list[tuple[Numbers, Numbers]]:
    """Return places, shape (count, 2), and directions, radians, to begin with."""
    middle = pixels.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((pixels - middle).T))
    spread = np.linspace(-1, 1, count)[:, None]
    (across, along), (short, long) = np.sqrt(np.maximum(values, 0.25)), axes.T
    direction = np.arctan2(long[1], long[0])
    starts = [
        (middle + 1.2 * spread * along * long, np.full(count, direction)),
        (middle + 1.2 * spread * along * long, np.full(count, direction + np.pi / 2)),
        (middle + 1.2 * spread * across * short, np.full(count, direction)),
        (middle + 0.1 * spread * across * short, direction + np.pi * np.arange(count) / count + np.pi / 4),
    ]
    return starts if count == 2 else [*starts[:2], (_spread_out(pixels, count), np.full(count, direction))]


def _spread_out(pixels: Numbers, count: int) -> Numbers:
    """Return pixels that are far from each other, and not the very ends."""
    chosen = [pixels[np.argmax(np.hypot(*(pixels - pixels.mean(axis=0)).T))]]
    while len(chosen) < count:
        gaps = np.min([np.hypot(*(pixels - place).T) for place in chosen], axis=0)
        chosen.append(pixels[np.argmax(gaps)])
    return np.asarray(0.7 * np.array(chosen) + 0.3 * pixels.mean(axis=0))


def _fit(pixels: Numbers, centres: Numbers, angles: Numbers, body: Body) -> tuple[Numbers, Numbers]:
    """Return the places and directions of animals that explain the pixels better."""
    for _ in range(_ROUNDS):
        near = _closeness(pixels, centres, angles, body)
        shares = np.exp(near - near.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        mass = np.maximum(shares.sum(axis=0), 1e-9)
        centres = shares.T @ pixels / mass[:, None]
        away = pixels[:, None] - centres
        xx, yy, xy = (
            (shares * product).sum(axis=0)
            for product in (away[..., 0] ** 2, away[..., 1] ** 2, away[..., 0] * away[..., 1])
        )
        angles = 0.5 * np.arctan2(2 * xy, xx - yy)
    return centres, angles


def _overlap(piece: Piece, fit: tuple[Numbers, Numbers], body: Body) -> float:
    """Return how much animals of these places and directions cover of a blob and of nothing else."""
    margin = int(body.width / 2) + 1
    wide = np.pad(piece.inside, margin)
    step = max(1, int(np.sqrt(wide.size / _GRID)))
    mask = wide[::step, ::step] > 0
    rows, columns = (np.indices(mask.shape) * step - margin).reshape(2, -1)
    near = _closeness(np.column_stack([columns, rows]).astype(np.float64), *fit, body)
    covered = (near.max(axis=1) >= -2.0).reshape(mask.shape)  # within twice the standard deviation, the rim
    return float(np.count_nonzero(mask & covered) / np.count_nonzero(mask | covered))


def _closeness(pixels: Numbers, centres: Numbers, angles: Numbers, body: Body) -> Numbers:
    """Return how much pixels belong to animals, as logarithms, shape (pixels, animals)."""
    away = pixels[:, None] - centres
    cos, sin = np.cos(angles), np.sin(angles)
    along = (away[..., 0] * cos + away[..., 1] * sin) / (body.length / 4)
    across = (away[..., 1] * cos - away[..., 0] * sin) / (body.width / 4)
    return np.asarray(-0.5 * (along**2 + across**2))


def _part(
    piece: Piece, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], mine: npt.NDArray[np.bool_]
) -> Piece | None:
    if not mine.any():
        return None
    inside = np.zeros_like(piece.inside)
    inside[rows[mine], columns[mine]] = 255
    return Piece(piece.window, inside, int(np.count_nonzero(mine)))
