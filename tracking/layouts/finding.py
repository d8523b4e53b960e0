"""Find the regions of a recording, and leave a picture of what was seen if they cannot be found."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from imgstore import ensure_color
from tracking.errors import LayoutError, Spot
from tracking.layouts.base import Grey, Layout, Regions
from tracking.overlay import draw

_YELLOW, _WHITE, _BLACK = (0, 220, 255), (255, 255, 255), (0, 0, 0)
_NOT_FOUND = "regions_not_found"
_SMALL_TEXT = 0.45
_WIDE_BAR = 0.2  # of the frame's width


def find_regions(layout: Layout, image: Grey, picture: str | os.PathLike[str] | None = None) -> Regions:
    """Return the regions of a picture.

    Parameters
    ----------
    layout : how to find them.
    image : grey, (rows, columns); best `median_image` of a recording.
    picture : path of a picture of what was seen if they are not found, to which "_regions_not_found.png" is
        added, and a number if there is such a file; None, or where nothing can be written, for the temporary
        folder.

    Raises
    ------
    LayoutError, RegionError
        They were not found; the message says where the picture is.
    """
    try:
        return layout.find(image)
    except LayoutError as exc:
        if exc.spots is None:
            raise
        path = _save(draw_spots(image, exc.spots), None if picture is None else Path(picture))
        raise type(exc)(f"{exc}. What was seen is drawn in {path}", exc.spots) from exc


def draw_spots(image: Grey, spots: Sequence[Spot]) -> Grey:
    """Return a colour copy of a picture with round things, (x, y, radius), circled and numbered."""
    canvas = np.array(ensure_color(image), np.uint8)
    for number, (x, y, radius) in enumerate(spots, 1):
        centre = (round(x), round(y))
        cv2.circle(canvas, centre, max(3, round(radius)), _YELLOW, 2, cv2.LINE_AA)
        _write(canvas, str(number), (centre[0] + round(radius) + 3, centre[1]))
    if not spots:
        _write(canvas, "nothing round was seen", (10, 24))
    return canvas


def draw_regions(image: Grey, regions: Regions) -> Grey:
    """Return a colour copy of a picture with regions, their parts and numbers, targets, and a scale bar."""
    canvas = np.array(ensure_color(image), np.uint8)
    for roi in regions.rois:
        for part in roi.parts:
            cv2.polylines(canvas, [np.rint(part.polygon).astype(np.int32)], True, _YELLOW, 1, cv2.LINE_AA)
            x, y = part.polygon.mean(axis=0)
            _write(canvas, part.name, (round(x) - 4 * len(part.name), round(y) + 4))
    canvas = draw(canvas, regions.rois, targets=regions.targets)
    if regions.mm_per_pixel:
        _draw_bar(canvas, regions.mm_per_pixel)
    return canvas


def _draw_bar(canvas: Grey, mm_per_pixel: float) -> None:
    """Draw a bar of a round length in millimetres into the lower left corner."""
    widest = _WIDE_BAR * canvas.shape[1] * mm_per_pixel
    power = 10.0 ** np.floor(np.log10(widest))
    mm = max(step for step in (power, 2 * power, 5 * power) if step <= widest)
    bottom, right = canvas.shape[0] - 12, 12 + round(mm / mm_per_pixel)
    cv2.line(canvas, (12, bottom), (right, bottom), _BLACK, 5)
    cv2.line(canvas, (12, bottom), (right, bottom), _WHITE, 2)
    _write(canvas, f"{mm:g} mm", (12, bottom - 8))


def _write(canvas: Grey, text: str, place: tuple[int, int]) -> None:
    for colour, thickness in ((_BLACK, 3), (_WHITE, 1)):
        cv2.putText(
            canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, _SMALL_TEXT, colour, thickness, cv2.LINE_AA
        )


def _save(picture: Grey, start: Path | None) -> Path:
    """Write a picture under a name that is new; return its path."""
    data = cv2.imencode(".png", picture)[1].tobytes()
    if start is not None:
        with suppress(OSError):
            return _save_as_new(data, start.with_name(f"{start.name}_{_NOT_FOUND}"))
    file, name = tempfile.mkstemp(".png", f"{_NOT_FOUND}_")
    with os.fdopen(file, "wb") as target:
        target.write(data)
    return Path(name)


def _save_as_new(data: bytes, start: Path) -> Path:
    for number in count(1):
        path = start.with_name(f"{start.name}{'' if number == 1 else f'_{number}'}.png")
        with suppress(FileExistsError), path.open("xb") as file:
            file.write(data)
            return path
    raise AssertionError  # numbers do not end
