"""What is wrong with regions, before a week is filmed with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tracking import polygons
from tracking.roi import ROI

_OVERLAP = 0.02  # share of the smaller region; borders of neighbours touch
_TINY_PX = 100.0  # square pixels: 10 x 10
_TINY_SHARE = 0.2  # of the middle one of the regions
_OUTSIDE_SHARE = 0.001
_ROUNDING = 1.0  # pixels


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with regions.

    Attributes
    ----------
    regions : their numbers.
    kind : "overlap", "outside", "tiny", "crossing", "name" or "parts".
    text : what it is, for people.
    """

    regions: tuple[int, ...]
    kind: str
    text: str


def check_regions(rois: Sequence[ROI], shape: tuple[int, ...] | None = None) -> list[Problem]:
    """Return what is wrong with regions.

    Parameters
    ----------
    rois : the regions.
    shape : (rows, columns) of the frames; None if there are none to compare with.
    """
    problems = [problem for roi in rois for problem in _alone(roi, shape)]
    areas = [polygons.area(roi.polygon) for roi in rois]
    middle = float(np.median(areas)) if areas else 0.0
    for roi, area in zip(rois, areas, strict=True):
        if area < max(_TINY_PX, _TINY_SHARE * middle):
            text = f"region {roi.label} covers {area:.0f} square pixels, the middle one of all {middle:.0f}"
            problems.append(Problem((roi.number,), "tiny", text))
    for place, one in enumerate(rois):
        for other in rois[:place]:
            share = _overlap(one, other)
            if share > _OVERLAP:
                text = f"regions {other.label} and {one.label} share {share:.0%} of the smaller one"
                problems.append(Problem((other.number, one.number), "overlap", text))
    return problems + _same_names(rois)


def _alone(roi: ROI, shape: tuple[int, ...] | None) -> list[Problem]:
    """Return what is wrong with one region on its own."""
    problems = []
    if len(roi.polygon) < 1000 and polygons.crosses_itself(roi.polygon):
        text = f"the outline of region {roi.label} crosses itself; give its corners in order"
        problems.append(Problem((roi.number,), "crossing", text))
    if shape is not None:
        outside = _share_outside(roi, shape)
        if outside > _OUTSIDE_SHARE:
            text = f"{outside:.0%} of region {roi.label} lies outside of the frame ({shape[1]}x{shape[0]})"
            problems.append(Problem((roi.number,), "outside", text))
    for part in roi.parts:
        corners = part.polygon
        away = ~polygons.inside(roi.polygon, corners) & (polygons.distance(roi.polygon, corners) > _ROUNDING)
        if away.any():
            text = f"the part {part.name} of region {roi.label} reaches beyond the region"
            problems.append(Problem((roi.number,), "parts", text))
    return problems


def _share_outside(roi: ROI, shape: tuple[int, ...]) -> float:
    left = roi.polygon
    edge = 0.5 + _ROUNDING
    for direction, size in (((1.0, 0.0), shape[1]), ((0.0, 1.0), shape[0])):
        left = polygons.cut(left, direction, -edge, size - 1 + edge)
    return 1 - (polygons.area(left) if len(left) else 0.0) / polygons.area(roi.polygon)


def _overlap(one: ROI, other: ROI) -> float:
    """Return how much of the smaller of two regions lies in the larger, 0 to 1."""
    (x1, y1, w1, h1), (x2, y2, w2, h2) = one.rectangle, other.rectangle
    left, top = max(x1, x2) - 2, max(y1, y2) - 2  # room to take their borders off
    width, height = min(x1 + w1, x2 + w2) - left + 2, min(y1 + h1, y2 + h2) - top + 2
    if min(width, height) <= 4:
        return 0.0
    if width * height > 1 << 26:
        return 0.0  # far outside of any frame, which is told
    masks = []
    for roi in (one, other):
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [np.rint(roi.polygon - (left, top)).astype(np.int32)], 1)
        masks.append(cv2.erode(mask, np.ones((3, 3), np.uint8)))
    both = int(np.count_nonzero(cv2.bitwise_and(*masks)))
    return both / min(polygons.area(one.polygon), polygons.area(other.polygon))


def _same_names(rois: Sequence[ROI]) -> list[Problem]:
    by_name: dict[str, list[int]] = {}
    for roi in rois:
        if roi.name:
            by_name.setdefault(roi.name, []).append(roi.number)
    return [
        Problem(tuple(numbers), "name", f"regions {' and '.join(map(str, numbers))} are all called {name}")
        for name, numbers in by_name.items()
        if len(numbers) > 1
    ]
