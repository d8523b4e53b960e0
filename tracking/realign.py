"""Put regions back where they belong after the camera, or the arena, was knocked."""

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tracking.errors import TargetsNotFoundError
from tracking.layouts import Regions
from tracking.light import smooth, stretch
from tracking.polygons import Polygon, transform
from tracking.result_tables import REALIGNED, Event
from tracking.targets import find_targets

Grey = npt.NDArray[np.uint8]

SURE = 0.5
"""Confidence below which regions are better left where they were."""

_WORK_SIDE = 640  # pixels of the longer side of the pictures that are laid over each other
_STEPS, _PRECISION = 60, 1e-4
_LEAST_CORRELATION = 0.2
_TARGET_ERROR = 3.0  # pixels by which targets may be off after the fit, at no confidence
_MOST_TURN = 15.0  # degrees


@dataclass(frozen=True, slots=True, eq=False)
class Realignment:
    """Where regions went.

    Attributes
    ----------
    regions : moved; as they were if nothing could be told.
    matrix : shape (2, 3), from pixels of the reference to pixels of the image.
    confidence : 0 (nothing could be told) to 1; below `SURE` the regions are better left where they were.
    how : "targets" or "picture".
    """

    regions: Regions
    matrix: npt.NDArray[np.float64]
    confidence: float
    how: str

    @property
    def turn(self) -> float:
        """By how much the picture turned, degrees, clockwise as seen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def shift(self) -> float:
        """By how much the centre that moved most did, pixels."""
        moved = self.matrix - np.eye(2, 3)
        centres = np.array([roi.centre for roi in self.regions.rois])
        return float(np.hypot(*transform(moved, centres).T).max()) if len(centres) else 0.0

    def event(self, time: float) -> Event:
        """Return what to write into a result."""
        detail: dict[str, Any] = {
            "shift": round(self.shift, 3),
            "turn": round(self.turn, 4),
            "matrix": [[round(float(value), 6) for value in row] for row in self.matrix],
            "confidence": round(self.confidence, 3),
            "how": self.how,
        }
        return Event(time, 0, REALIGNED, detail)


def realign(regions: Regions, reference: Grey, image: Grey) -> Realignment:
    """Return regions moved as the picture moved: shifted, and turned a little.

    Regions on targets follow the targets. Others, and those whose targets are not seen, follow the whole
    picture: phase correlation tells the shift, and maximal correlation refines it, with the turn.

    Parameters
    ----------
    regions : as they lie in `reference`.
    reference, image : grey, (rows, columns), of one size; best medians of several frames each, because
        animals move.
    """
    if len(regions.targets) == 3:
        found = _by_targets(regions.targets, image)
        if found is not None:
            return moved(regions, *found, "targets")
    return moved(regions, *register(reference, image), "picture")


def register(reference: Grey, image: Grey) -> tuple[npt.NDArray[np.float64], float]:
    """Return the shift and turn from one picture to another, and how sure that is.

    Returns a matrix of shape (2, 3) and a confidence, 0 to 1: the correlation of the edges of both.
    """
    return Reference(reference).register(image)


class Reference:
    """A picture on which others of the same size are laid.

    Parameters
    ----------
    picture : grey, (rows, columns).
    """

    def __init__(self, picture: Grey) -> None:
        self.shape = picture.shape
        self._scale = min(1.0, _WORK_SIDE / max(picture.shape))
        self._edges = _edges(picture, self._scale)
        self._window = cv2.createHanningWindow(self._edges.shape[::-1], cv2.CV_32F)

    def register(self, image: Grey) -> tuple[npt.NDArray[np.float64], float]:
        """Return the shift and turn from this picture to another; see the function `register`."""
        first, second = self._edges, _edges(image, self._scale)
        dx, dy = self._shift_to(second)
        start = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        best = max(
            (start, np.eye(2, 3, dtype=np.float32)), key=lambda matrix: _correlation(first, second, matrix)
        )
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _PRECISION)
        everywhere = np.full(first.shape, 255, np.uint8)
        try:
            # The warp goes from the reference to the image, as ours does.
            _, found = cv2.findTransformECC(
                first, second, best.copy(), cv2.MOTION_EUCLIDEAN, criteria, everywhere, 5
            )
            matrix = np.asarray(found, np.float32)
        except cv2.error:  # it does not converge; what phase correlation said is judged
            matrix = best
        if _correlation(first, second, matrix) < _correlation(first, second, best):
            matrix = best
        correlation = _correlation(first, second, matrix)
        turn = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
        if correlation < _LEAST_CORRELATION or abs(turn) > _MOST_TURN:
            return np.eye(2, 3), 0.0
        full = matrix.astype(np.float64)
        full[:, 2] = (full[:, 2] + self._corner(full)) / self._scale
        return full, float(min(1.0, correlation))

    def alike(self, image: Grey, matrix: npt.NDArray[np.float64]) -> tuple[float, float]:
        """Say how well another picture fits on this one once it is moved back.

        Parameters
        ----------
        image : as large as this one.
        matrix : shape (2, 3), from pixels of this picture to pixels of the other.

        Returns the correlation of the edges of both, up to 1, and by how many pixels it still is shifted.
        """
        small = matrix.copy()
        small[:, 2] = small[:, 2] * self._scale - self._corner(matrix)
        moved, work = _edges(image, self._scale), small.astype(np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(moved, work, moved.shape[::-1], flags=flags)
        shift = self._shift_to(np.asarray(back, np.float32))
        return _correlation(self._edges, moved, work), math.hypot(*shift) / self._scale

    def _shift_to(self, edges: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Return by how much edges are shifted, along and down, in pixels of theirs."""
        # Copies, since pictures of some sizes are multiplied with the window in their place.
        (dx, dy), _ = cv2.phaseCorrelate(self._edges.copy(), edges.copy(), self._window)
        return dx, dy

    def _corner(self, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what scaling adds to a shift: pixel centres are whole numbers, and it keeps their corner."""
        half = np.full(2, 0.5 * self._scale - 0.5)
        return np.asarray(matrix[:, :2] @ half - half)


def _by_targets(before: Polygon, image: Grey) -> tuple[npt.NDArray[np.float64], float] | None:
    """Return the shift and turn of the targets, and how sure that is; None if they are not seen."""
    try:
        now = find_targets(image)
    except TargetsNotFoundError:
        return None
    matrix = fit_rigid(before, now)
    error = float(np.hypot(*(transform(matrix, before) - now).T).max())
    turn = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
    if error > _TARGET_ERROR or abs(turn) > _MOST_TURN:
        return None  # something else was taken for a target
    return matrix, 1 - error / _TARGET_ERROR


def fit_rigid(start: Polygon, stop: Polygon) -> npt.NDArray[np.float64]:
    """Return the shift and turn, shape (2, 3), that takes points nearest to others, (n, 2) each."""
    middle, goal = start.mean(axis=0), stop.mean(axis=0)
    u, _, vt = np.linalg.svd((start - middle).T @ (stop - goal))
    flip = np.diag([1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u @ flip @ vt).T
    return np.column_stack([rotation, goal - rotation @ middle])


def moved(regions: Regions, matrix: npt.NDArray[np.float64], confidence: float, how: str) -> Realignment:
    """Return regions moved by a matrix; as they are if there is no confidence in it."""
    if confidence <= 0:
        return Realignment(regions, np.eye(2, 3), 0.0, how)
    rois = [roi.moved(matrix) for roi in regions.rois]
    targets = transform(matrix, regions.targets)
    return Realignment(replace(regions, rois=rois, targets=targets), matrix, confidence, how)


def _edges(picture: Grey, scale: float) -> npt.NDArray[np.float32]:
    """Return how steep a picture is, whatever its light, with mean 0."""
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    blurred = stretch(smooth(np.asarray(small, np.uint8))).astype(np.float32)
    steep = np.hypot(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    capped = np.minimum(steep, np.quantile(steep, 0.98))  # a few glaring edges are not the whole picture
    return np.asarray(capped - capped.mean(), np.float32)


def _correlation(
    reference: npt.NDArray[np.float32], image: npt.NDArray[np.float32], matrix: npt.NDArray[np.float32]
) -> float:
    """Return the correlation of a picture with another that is moved back, where both are seen."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = reference.shape[::-1]
    back = cv2.warpAffine(image, matrix, size, flags=flags)
    seen = cv2.warpAffine(np.ones_like(image), matrix, size, flags=flags) > 0.99
    if seen.mean() < 0.25:
        return -1.0
    a, b = reference[seen] - reference[seen].mean(), back[seen] - back[seen].mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else -1.0
