"""Find the three round black targets that a grid of regions hangs on."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from tracking.errors import TargetsNotFoundError
from tracking.light import describe_light, flatten, smooth, stretch

Grey = npt.NDArray[np.uint8]

_LEVELS = range(8, 200, 6)
_MIN_CIRCULARITY = 0.8
_AREA_RANGE = (1.5e-4, 2e-2)  # of the frame
_MIN_VOTES = 3
_MIN_RAISED_VOTES = 6
_MOST_DISCS = 12
_TOLERANCE = 0.27  # the tangent of some 15 degrees


@dataclass(frozen=True, slots=True)
class Disc:
    """A round dark spot.

    Attributes
    ----------
    x, y : its centre, frame pixels.
    radius : pixels.
    votes : at how many grey levels it was seen as round.
    """

    x: float
    y: float
    radius: float
    votes: int


def find_targets(image: Grey) -> npt.NDArray[np.float64]:
    """Return the centres of the targets, shape (3, 2), x then y: upper right, lower right, lower left.

    Thresholds at many grey levels find round spots; of those the three are taken that are alike in size and
    stand at the corners of a right-angled triangle, the roundest first. Where there are none, the picture is
    tried again with its light evened out, and at last for light targets: some inks are light in infra-red.

    Parameters
    ----------
    image : grey, (rows, columns); best the median of several frames, so that animals do not matter.

    Raises
    ------
    TargetsNotFoundError
        It says what round spots were seen instead.
    """
    seen: list[Disc] = []
    for place, view in enumerate(_views(image)):
        # Where contrast was raised noise was, too, and some of it is round.
        discs = [disc for disc in find_discs(view) if place == 0 or disc.votes >= _MIN_RAISED_VOTES]
        triples = [triple for triple in permutations(discs, 3) if _fits(*triple)]
        if triples:
            best = max(triples, key=lambda triple: sum(disc.votes for disc in triple) * _likeness(triple))
            return np.array([(disc.x, disc.y) for disc in best])
        seen = seen or discs
    spots = ", ".join(f"({disc.x:.0f}, {disc.y:.0f}) radius {disc.radius:.0f}" for disc in seen)
    light = describe_light(image)
    raise TargetsNotFoundError(
        "the three round black targets (upper right, lower right, lower left) were not found; "
        f"round spots seen: {spots or 'none'}{'; ' if light else ''}{light}. "
        "Give the regions in a file, or another layout",
        [(disc.x, disc.y, disc.radius) for disc in seen],
    )


def _views(image: Grey) -> Iterable[Grey]:
    """Yield the picture in the ways in which targets may stand out, the most faithful first."""
    yield image
    yield stretch(image)
    even = stretch(smooth(flatten(image)))
    yield even
    yield np.asarray(cv2.bitwise_not(even), np.uint8)


def find_discs(image: Grey) -> list[Disc]:
    """Return the round dark spots of a grey image, those seen at most grey levels first."""
    smooth = cv2.GaussianBlur(image, (5, 5), 0)
    groups: list[list[tuple[float, float, float]]] = []
    for x, y, radius in _round_contours(smooth):
        for group in groups:
            last_x, last_y, last_radius = group[-1]
            if np.hypot(x - last_x, y - last_y) < 0.3 * radius and 0.7 < radius / last_radius < 1.4:
                group.append((x, y, radius))
                break
        else:
            groups.append([(x, y, radius)])
    discs = []
    for group in groups:
        if len(group) >= _MIN_VOTES:
            x, y, radius = np.median(np.array(group), axis=0)
            discs.append(Disc(float(x), float(y), float(radius), len(group)))
    return sorted(discs, key=lambda disc: -disc.votes)[:_MOST_DISCS]


def _round_contours(image: MatLike) -> Iterable[tuple[float, float, float]]:
    smallest, largest = (share * image.size for share in _AREA_RANGE)
    for level in _LEVELS:
        _, dark = cv2.threshold(image, level, 255, cv2.THRESH_BINARY_INV)
        contours, _ = cv2.findContours(dark, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            moments = cv2.moments(contour)
            area, perimeter = moments["m00"], cv2.arcLength(contour, closed=True)
            if not smallest <= area <= largest or 4 * np.pi * area < _MIN_CIRCULARITY * perimeter**2:
                continue
            x, y = moments["m10"] / area, moments["m01"] / area
            if image[int(y), int(x)] <= level:  # a dark disc, not a bright hole
                yield x, y, float(np.sqrt(area / np.pi))


def _fits(a: Disc, b: Disc, c: Disc) -> bool:
    """Say whether a, b and c stand upper right, lower right and lower left, alike in size."""
    across, up = abs(b.x - c.x), abs(b.y - a.y)
    return (
        c.x < b.x
        and a.y < b.y
        and abs(a.x - b.x) <= _TOLERANCE * up
        and abs(b.y - c.y) <= _TOLERANCE * across
        and 0.3 <= across / up <= 4
        and _likeness((a, b, c)) > 0
        and min(across, up) > 4 * b.radius
    )


def _likeness(discs: tuple[Disc, ...]) -> float:
    """Return 1 for discs of one size, 0 where their sizes differ by a quarter or more."""
    radii = np.array([disc.radius for disc in discs])
    return float(max(0.0, 1 - 4 * radii.std() / radii.mean()))


def scale_between(targets: npt.NDArray[np.float64], mm: float) -> float:
    """Return millimetres per pixel, if it is `mm` from the lower right to the lower left target, (3, 2)."""
    return mm / float(np.hypot(*(targets[2] - targets[1])))
