"""Find circles in a picture: rims of dishes, wells of plates, dark or light, whole or partly covered."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tracking import polygons
from tracking.light import flatten, smooth, stretch

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_WORK_SIDE = 720  # pixels of the longer side of the picture in which circles are guessed
_LEAST_RADIUS = 5.0  # pixels of that picture
_LEVELS = range(16, 250, 9)
_LEAST_CIRCULARITY = 0.75
_RAYS = 96
_NOISE_FACTOR = 3.0
_LEAST_STEP = 1.5  # grey levels per pixel
_MOST_GUESSES = 1500
_SURE = 0.9


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle in a picture.

    Attributes
    ----------
    x, y : its centre, frame pixels.
    radius : pixels.
    score : share of its outline on which there is an edge, 0 to 1.
    """

    x: float
    y: float
    radius: float
    score: float


def find_circles(image: Grey, smallest: float, largest: float, *, least_score: float = 0.5) -> list[Circle]:
    """Return the circles of a grey picture, the surest first, no two of them the same.

    Guesses come from a Hough transform and from outlines at many grey levels; each is then fitted to the edge
    along rays from its centre, and keeps as its score the share of rays that have an edge there.

    Parameters
    ----------
    image : grey, (rows, columns).
    smallest, largest : radius, pixels.
    least_score : of those that are returned.
    """
    work = stretch(smooth(flatten(image), 0.0012))
    scale = min(1.0, max(_WORK_SIDE / max(image.shape), _LEAST_RADIUS / smallest))
    small = cv2.resize(work, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else work
    guesses = [
        (guess + 0.5) / scale - 0.5 if place < 2 else guess / scale
        for circle in _guess(np.asarray(small, np.uint8), scale * smallest, scale * largest)
        for place, guess in enumerate(circle)
    ]
    edges = work.astype(np.float32)
    step = _least_step(edges)
    found: list[Circle] = []
    sure: list[Circle] = []
    for x, y, radius in np.reshape(guesses, (-1, 3)):
        if any(_is_guess_of(circle, x, y, radius) for circle in sure):
            continue
        fitted = refine_circle(edges, x, y, radius, step)
        if fitted is not None and fitted.score >= least_score and smallest <= fitted.radius <= largest:
            found.append(fitted)
            if fitted.score >= _SURE:
                sure.append(fitted)
    return _unlike(found)


def refine_circle(
    image: npt.NDArray[np.float32], x: float, y: float, radius: float, step: float
) -> Circle | None:
    """Return the circle with the clearest edge near a guess; None if there is none.

    Parameters
    ----------
    image : grey, slightly smoothed.
    step : grey levels per pixel that make an edge.
    """
    for share in (0.25, 0.1):
        edge = _edge(image, x, y, radius, share, step)
        if edge is None:
            return None
        x, y, radius, score = edge
    return Circle(x, y, radius, score)


def _least_step(image: npt.NDArray[np.float32]) -> float:
    """Return the step in grey levels per pixel that is above the noise of an image."""
    steps = np.abs(np.diff(image[::3], axis=1))
    return max(_LEAST_STEP, _NOISE_FACTOR * 1.48 * float(np.median(steps)))


def _edge(
    image: npt.NDArray[np.float32], x: float, y: float, radius: float, share: float, step: float
) -> tuple[float, float, float, float] | None:
    """Fit a circle to the edge at `radius`, give or take a share of it; return it with its score."""
    width = max(3.0, share * radius)
    steps = np.arange(max(1.0, radius - width), radius + width, min(1.0, width / 8))
    angles = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    places = np.array((x, y)) + steps[None, :, None] * directions[:, None]
    grey = cv2.remap(
        image,
        places[..., 0].astype(np.float32),
        places[..., 1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(float("nan"),),
    )
    slopes = np.gradient(grey, steps, axis=1)
    valid = np.isfinite(slopes)
    if valid.mean() < 0.4:
        return None
    slopes = np.where(valid, slopes, 0.0)
    best: tuple[float, float, float, float] | None = None
    for sign in (1.0, -1.0):
        fitted = _fit_rays(sign * slopes, steps, directions, step)
        if fitted is not None and (best is None or fitted[3] > best[3]):
            best = fitted
    return None if best is None else (x + best[0], y + best[1], best[2], best[3])


def _fit_rays(
    slopes: Floats, steps: Floats, directions: Floats, threshold: float
) -> tuple[float, float, float, float] | None:
    """Fit a circle to the steepest rise of each ray; return its centre from theirs, radius and score."""
    at = slopes.argmax(axis=1)
    strong = slopes.max(axis=1) >= threshold
    if strong.mean() < 0.3:
        return None
    radii = steps[at]
    points = radii[:, None] * directions
    near = strong & (np.abs(radii - np.median(radii[strong])) <= 0.12 * np.median(radii[strong]) + 2)
    x = y = radius = 0.0
    for _ in range(4):
        if near.sum() < 8:
            return None
        x, y, radius = polygons.fit_circle(points[near])
        off = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius)
        near = strong & (off <= max(1.5, 0.04 * radius))
    return x, y, radius, float(near.mean())


def _guess(image: Grey, smallest: float, largest: float) -> Iterable[tuple[float, float, float]]:
    """Yield x, y, radius of what may be circles."""
    guesses: list[tuple[float, float, float]] = []
    distance = max(4.0, smallest / 2)
    hough = cv2.HoughCircles(
        image,
        cv2.HOUGH_GRADIENT_ALT,
        1.5,
        distance,
        param1=120,
        param2=0.6,
        minRadius=max(1, int(smallest)),
        maxRadius=round(largest) + 1,
    )
    if hough is not None:
        guesses += [
            (float(x), float(y), float(radius)) for x, y, radius in hough.reshape(-1, hough.shape[-1])[:, :3]
        ]
    guesses += _outlines(image, smallest, largest)
    known: set[tuple[int, int, int]] = set()
    for x, y, radius in guesses:
        cell = max(2.0, 0.1 * radius)
        key = (round(x / cell), round(y / cell), round(20 * np.log(radius)))
        if key not in known and len(known) < _MOST_GUESSES:
            known.add(key)
            yield x, y, radius


def _outlines(image: Grey, smallest: float, largest: float) -> Iterable[tuple[float, float, float]]:
    """Yield what is round in the image cut at many grey levels."""
    for level in _LEVELS:
        _, dark = cv2.threshold(image, level, 255, cv2.THRESH_BINARY_INV)
        contours, _ = cv2.findContours(dark, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            if len(contour) < 4 * smallest:
                continue
            hull = cv2.convexHull(contour)  # an animal at the rim takes a bite out of the outline
            moments = cv2.moments(hull)
            area, perimeter = moments["m00"], cv2.arcLength(hull, closed=True)
            radius = float(np.sqrt(area / np.pi))
            if smallest <= radius <= largest and 4 * np.pi * area >= _LEAST_CIRCULARITY * perimeter**2:
                yield moments["m10"] / area, moments["m01"] / area, radius


def _unlike(circles: list[Circle]) -> list[Circle]:
    """Return the circles that are not nearly the same as a surer one."""
    kept: list[Circle] = []
    for circle in sorted(circles, key=lambda circle: -circle.score):
        if not any(_alike(circle, other) for other in kept):
            kept.append(circle)
    return kept


def _is_guess_of(circle: Circle, x: float, y: float, radius: float) -> bool:
    """Say whether fitting a guess would only give a circle that is known."""
    near = 0.06 * circle.radius
    return abs(radius - circle.radius) < near and abs(x - circle.x) < near and abs(y - circle.y) < near


def _alike(one: Circle, other: Circle) -> bool:
    small, large = sorted((one.radius, other.radius))
    return large < 1.12 * small and np.hypot(one.x - other.x, one.y - other.y) < 0.3 * small
