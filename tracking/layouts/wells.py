"""The wells of a plate, found by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
import numpy.typing as npt

from tracking.circles import Circle, find_circles
from tracking.errors import LayoutError
from tracking.layouts.base import Grey, Regions
from tracking.layouts.grid import fit_homography, project
from tracking.light import describe_light
from tracking.polygons import Polygon, circle
from tracking.roi import ROI

PLATES = {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24)}
"""Wells of a plate, to its rows and columns as it lies, the longer side from left to right."""

_PITCH_MM = {96: 9.0, 384: 4.5}  # ANSI/SLAS 4; makers of larger wells differ
_CORNERS = {
    "upper-left": (False, False),
    "upper-right": (False, True),
    "lower-left": (True, False),
    "lower-right": (True, True),
}
_SMALLEST, _LARGEST = 0.012, 0.26  # radius as a share of the frame's shorter side
_ALIKE = 1.15  # radii of the wells of a plate differ by less than this factor
_LEAST_SEEN = 0.7  # share of the wells
_MOST_TRIES = 8

Cells = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Wells:
    """A plate of wells in rows and columns, which may lie turned; regions are called A1, A2, ...

    Numbers run along row A, then row B. Letters run along the shorter side of the plate. Wells that are not
    seen are put where the others say; a note tells how many.

    Attributes
    ----------
    count : 6, 12, 24, 48, 96 or 384; 0 to find out.
    rows, columns : of another plate, as it lies in the picture; 0 for those of `count`.
    fill : radius of a region as a share of the well's.
    a1 : corner of A1 in the picture; "auto" for upper-left, of an upright plate upper-right.
    pitch_mm : from well to well: gives the scale; 0 for the standard's, of 96 and 384 wells.
    """

    count: int = 0
    rows: int = 0
    columns: int = 0
    fill: float = 1.0
    a1: str = "auto"
    pitch_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.count not in (0, *PLATES):
            raise LayoutError(
                f"plates have {', '.join(map(str, PLATES))} wells, got {self.count}; "
                "give rows and columns of another"
            )
        if (self.rows > 0) != (self.columns > 0) or not 0 <= self.rows * self.columns <= 2000:
            raise LayoutError(f"give rows and columns of a plate, got {self.rows} and {self.columns}")
        if min(self.rows, self.columns) == 1:
            raise LayoutError("a plate has two rows and two columns at least; `circles` finds a single row")
        if self.a1 not in ("auto", *_CORNERS):
            raise LayoutError(f"a1 is auto, {', '.join(_CORNERS)}, got {self.a1!r}")
        if not 0 < self.fill <= 2 or not 0 <= self.pitch_mm < np.inf:
            raise LayoutError("fill is a share of the radius, above 0 and up to 2, pitch_mm above 0")

    def find(self, image: Grey) -> Regions:
        """Return a region for each well."""
        side = min(image.shape)
        seen = find_circles(image, _SMALLEST * side, _LARGEST * side)
        plates = [plate for alike in _kinds(seen) if (plate := _fit(alike, self._shapes())) is not None]
        if not plates:
            raise LayoutError(self._problem(image, seen), [(one.x, one.y, one.radius) for one in seen])
        plate = max(plates, key=lambda plate: plate.worth)
        rois = [
            ROI(circle(x, y, self.fill * plate.radius), number, name=name)
            for number, (name, (x, y)) in enumerate(_named(plate.centres, self.a1), 1)
        ]
        pitch_mm = self.pitch_mm or _PITCH_MM.get(len(rois), 0.0)
        scale = pitch_mm / plate.pitch if pitch_mm else None
        missing = len(rois) - plate.seen
        notes = (f"{missing} of {len(rois)} wells were not seen, and put where the others say",)
        return Regions(rois, mm_per_pixel=scale, notes=notes if missing else ())

    def _shapes(self) -> list[tuple[int, int]]:
        if self.rows:
            return [(self.rows, self.columns)]
        counts = [self.count] if self.count else list(PLATES)
        return [shape for count in counts for shape in (PLATES[count], PLATES[count][::-1])]

    def _problem(self, image: Grey, seen: list[Circle]) -> str:
        asked = f"{self.rows} x {self.columns} wells" if self.rows else f"{self.count or 'its'} wells"
        kinds = _kinds(seen)
        most = f"{len(kinds[0])} circles of a radius near {kinds[0][0].radius:.0f}" if kinds else "none"
        light = describe_light(image)
        return (
            f"no plate with {asked} was found ({', '.join(map(str, PLATES))} are known, rows and columns may "
            f"be given); {len(seen)} circles seen, alike of them: {most}{'; ' if light else ''}{light}. "
            "Or give a grid in the corners of the plate, in a file"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Plate:
    """Wells that fit a plate: centres (rows, columns, 2), how many were seen, and how well that fits."""

    centres: npt.NDArray[np.float64]
    radius: float
    pitch: float
    seen: int
    worth: float


def _kinds(seen: list[Circle]) -> list[list[Circle]]:
    """Return sets of circles alike in size, the largest sets first; each begins with its middle size."""
    kinds: list[list[Circle]] = []
    left = list(seen)
    while left and len(kinds) < _MOST_TRIES:
        sets = [[one for one in left if 1 / _ALIKE < one.radius / like.radius < _ALIKE] for like in left]
        best = max(sets, key=lambda alike: sum(one.score for one in alike))
        middle = float(np.median([one.radius for one in best]))
        kinds.append(sorted(best, key=lambda one: abs(one.radius - middle)))
        left = [one for one in left if one not in best]
    return [kind for kind in kinds if len(kind) >= 4]


def _fit(circles: list[Circle], shapes: Sequence[tuple[int, int]]) -> _Plate | None:
    """Fit rows and columns to circles of one size; None if they stand in no such."""
    centres = np.array([(one.x, one.y) for one in circles])
    radius = float(np.median([one.radius for one in circles]))
    cells = _grow(centres, radius)
    if cells is None:
        return None
    known = cells[:, 2] > 0
    homography = fit_homography(cells[known, :2].astype(float), centres[known])
    for _ in range(3):  # also those that stand in a part that was not reached from the first
        back = project(np.asarray(np.linalg.inv(homography), np.float64), centres)
        spots = np.rint(back).astype(np.int64)
        known = np.hypot(*(back - spots).T) < 0.2
        if known.sum() < 4 or np.linalg.matrix_rank(spots[known] - spots[known].mean(axis=0)) < 2:
            return None
        homography = fit_homography(spots[known].astype(float), centres[known])
    spots, first = np.unique(spots[known], axis=0, return_index=True)
    placed = _place(spots, shapes)
    if placed is None:
        return None
    (left, top), (rows, columns), worth = placed
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).reshape(-1, 2)
    grid = grid + np.array((left, top))
    fitted = project(homography, grid.astype(float))
    offset = {tuple(spot): centres[known][place] for spot, place in zip(spots.tolist(), first, strict=True)}
    best = [offset.get((int(x), int(y)), where) for (x, y), where in zip(grid, fitted, strict=True)]
    seen = sum((int(x), int(y)) in offset for x, y in grid)
    wells = np.array(best).reshape(rows, columns, 2)
    pitch = float(np.mean([np.hypot(*np.diff(wells, axis=axis).reshape(-1, 2).T).mean() for axis in (0, 1)]))
    return _Plate(wells, radius, pitch, seen, worth)


def _grow(centres: Polygon, radius: float) -> Cells | None:
    """Give centres whole-numbered places, column and row, from neighbour to neighbour.

    Returns shape (n, 3): column, row, and 1 where the place is known; None if they form no lattice.
    """
    steps = centres[None] - centres[:, None]
    far = np.hypot(steps[..., 0], steps[..., 1])
    np.fill_diagonal(far, np.inf)
    pitch = float(np.median(far.min(axis=1)))
    if not 1.6 * radius < pitch < 6 * radius:
        return None
    near = (far > 0.8 * pitch) & (far < 1.2 * pitch)
    if not near.any():
        return None
    # Four-fold angles: neighbours to all four sides say the same.
    turn = np.angle(np.exp(4j * np.arctan2(steps[..., 1], steps[..., 0])[near]).sum()) / 4
    across = pitch * np.array([np.cos(turn), np.sin(turn)])
    down = np.array([-across[1], across[0]])
    cells = np.zeros((len(centres), 3), np.int64)
    start = int(near.sum(axis=1).argmax())
    cells[start, 2] = 1
    todo = [start]
    while todo:
        place = todo.pop()
        for column, row in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            away = np.hypot(*(centres - centres[place] - column * across - row * down).T)
            other = int(away.argmin())
            if away[other] < 0.25 * pitch and not cells[other, 2]:
                cells[other] = (cells[place, 0] + column, cells[place, 1] + row, 1)
                todo.append(other)
    known = cells[cells[:, 2] > 0, :2]
    return cells if len(known) >= 4 and (np.ptp(known, axis=0) >= 1).all() else None


def _place(
    spots: Cells, shapes: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], tuple[int, int], float] | None:
    """Return where which plate covers most places (column, row) with fewest empty, and how well.

    None if no plate is filled, if as many lie outside of it, or if it is filled as well one row further.
    """
    low, high = spots.min(axis=0), spots.max(axis=0)
    best: list[tuple[float, tuple[int, int], tuple[int, int]]] = []
    for rows, columns in shapes:
        for top in range(low[1] + min(0, high[1] - low[1] + 1 - rows), max(low[1], high[1] - rows + 1) + 1):
            lefts = low[0] + min(0, high[0] - low[0] + 1 - columns), max(low[0], high[0] - columns + 1)
            for left in range(lefts[0], lefts[1] + 1):
                within = (spots >= (left, top)).all(axis=1) & (spots < (left + columns, top + rows)).all(
                    axis=1
                )
                count, cells = int(within.sum()), rows * columns
                if count >= _LEAST_SEEN * cells:
                    outside = len(spots) - count
                    best.append((float(2 * count - cells - outside), (left, top), (rows, columns)))
    if not best:
        return None
    best.sort(key=lambda entry: -entry[0])
    worth, corner, shape = best[0]
    tie = len(best) > 1 and best[1][0] == worth
    return None if tie or worth < 0.3 * shape[0] * shape[1] else (corner, shape, worth)


def _named(centres: npt.NDArray[np.float64], a1: str) -> list[tuple[str, tuple[float, float]]]:
    """Return names and places of wells, row A first.

    Parameters
    ----------
    centres : shape (rows, columns, 2), as they lie in the picture.
    a1 : corner of A1.
    """
    upright = centres.shape[0] > centres.shape[1]
    corner = a1 if a1 != "auto" else "upper-right" if upright else "upper-left"
    flip_rows, flip_columns = _CORNERS[corner]
    seen = centres[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    if upright:
        seen = seen.transpose(1, 0, 2)
    return [
        (f"{_letters(row)}{column + 1}", (float(x), float(y)))
        for row, line in enumerate(seen)
        for column, (x, y) in enumerate(line)
    ]


def _letters(row: int) -> str:
    """Return A ... Z, AA, AB ..."""
    more, last = divmod(row, 26)
    return (ascii_uppercase[more - 1] if more else "") + ascii_uppercase[last]


WELLS = Wells()
