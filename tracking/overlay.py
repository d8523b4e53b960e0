"""Draw regions and points on a frame."""

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Image, ensure_color
from tracking.points import Points
from tracking.roi import ROI

_GREEN, _RED, _ORANGE, _BLACK = (80, 200, 80), (60, 60, 230), (0, 165, 255), (0, 0, 0)
_SHIFT = 4  # OpenCV draws with fractions of 1 / 16 pixel


def draw(
    image: Image,
    rois: Iterable[ROI] = (),
    points: Points | None = None,
    targets: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.uint8]:
    """Return a colour copy of a frame with regions, their numbers, animals as ellipses, and targets.

    Parameters
    ----------
    image : grey or colour, 8 bit.
    points : of this frame; those known by their looks only are orange.
    targets : shape (n, 2), x then y.
    """
    canvas = np.array(ensure_color(image), np.uint8)
    scale = max(canvas.shape[:2]) / 1280
    for roi in rois:
        corners = np.rint(roi.polygon).astype(np.int32)
        cv2.polylines(canvas, [corners], True, _GREEN, 1, cv2.LINE_AA)
        x, y = roi.upper_left
        _label(canvas, roi.label, (round(x) + 3, round(y + 16 * scale) + 2), scale)
    for x, y in targets if targets is not None else ():
        cv2.drawMarker(canvas, (round(x), round(y)), _GREEN, cv2.MARKER_CROSS, round(30 * scale), 2)
    for point in points if points is not None else ():
        colour = _ORANGE if point["status"] else _RED
        centre = _fixed(point["x"]), _fixed(point["y"])
        axes = _fixed(point["length"] / 2), _fixed(point["width"] / 2)
        cv2.ellipse(canvas, centre, axes, float(point["angle"]), 0, 360, colour, 1, cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, centre, 1 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
    return canvas


def _fixed(value: float) -> int:
    return round(float(value) * (1 << _SHIFT))


def _label(canvas: npt.NDArray[np.uint8], text: str, place: tuple[int, int], scale: float) -> None:
    for colour, thickness in ((_BLACK, 3), (_GREEN, 1)):
        cv2.putText(
            canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, colour, thickness, cv2.LINE_AA
        )
