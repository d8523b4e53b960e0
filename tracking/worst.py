"""A picture of where two results differ most."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import FrameSequence, ensure_color, ensure_grayscale
from tracking.background import learn_preparation, sample_frames, to_grey
from tracking.canvas import WHITE, Canvas
from tracking.compare import Comparison, Worst

_TILE = (300, 400)  # rows, columns
_CAPTION = 44  # rows of a tile that the text takes
_COLUMNS = 4
_MARGIN = 40.0  # pixels of the frame, around both places
_FIRST, _SECOND = (60, 60, 240), (250, 210, 40)
_SAMPLES = 5


def draw_worst(comparison: Comparison, frames: FrameSequence) -> npt.NDArray[np.uint8]:
    """Return a picture of the worst frames, cut out around the two places, blue, green, red.

    A red ring is where the first has the animal, a blue cross where the second does.
    """
    scale = learn_preparation(sample_frames(frames, _SAMPLES).images).scale
    tiles = [
        _draw_tile(to_grey(ensure_grayscale(frames[one.index].image), scale), one) for one in comparison.worst
    ]
    columns = min(_COLUMNS, max(1, len(tiles)))
    rows = max(1, math.ceil(len(tiles) / columns))
    page = np.full((rows * _TILE[0], columns * _TILE[1], 3), 30, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * _TILE[0], place % columns * _TILE[1]
        page[top : top + _TILE[0], left : left + _TILE[1]] = tile
    return _with_key(page, comparison)


def _draw_tile(grey: npt.NDArray[np.uint8], one: Worst) -> npt.NDArray[np.uint8]:
    rows, columns = _TILE[0] - _CAPTION, _TILE[1] - 4
    ends = np.array([one.a, one.b])
    low, high = ends.min(axis=0) - _MARGIN, ends.max(axis=0) + _MARGIN
    zoom = min(columns / (high[0] - low[0]), rows / (high[1] - low[1]))
    middle = (low + high) / 2
    shift = np.array([columns, rows]) / 2 - 0.5 - zoom * middle
    across = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    cut = cv2.warpAffine(grey, across, (columns, rows), flags=cv2.INTER_LINEAR, borderValue=30)
    tile = np.full((*_TILE, 3), 30, np.uint8)
    tile[_CAPTION - 2 : _CAPTION - 2 + rows, 2 : 2 + columns] = ensure_color(cut)
    canvas = Canvas.on_colour(tile)
    a, b = zoom * ends + shift + (2, _CAPTION - 2)
    canvas.line(np.stack([a, b]), WHITE, 1)
    canvas.disc(a, 9, _FIRST, 2)
    for step in ((9, 9), (9, -9)):
        canvas.line(np.stack([b - step, b + step]), _SECOND, 2)
    words = f"frame {one.index}  region {one.roi}  {one.distance:.1f} px"
    canvas.text(words, (8, 28), WHITE, 13)
    return tile


def _with_key(page: npt.NDArray[np.uint8], comparison: Comparison) -> npt.NDArray[np.uint8]:
    """Return the picture with what ring and cross mean above it."""
    head = np.full((90, page.shape[1], 3), 30, np.uint8)
    canvas = Canvas.on_colour(head)
    for row, (sign, name, colour) in enumerate((("o", comparison.a, _FIRST), ("x", comparison.b, _SECOND))):
        canvas.text(f"{sign}  {name}", (10, 32 + 36 * row), colour, 15)
    return np.concatenate([head, page])
