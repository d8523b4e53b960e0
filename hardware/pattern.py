"""Images that say which one they are, so plainly that lossy video does not blur it.

The upper part of an image is a code of black and white cells, four rows of sixteen: 32 bits of a number and
32 of a check. Below, a disc goes round, for people.
"""

import math
import zlib
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from hardware.errors import SettingError
from imgstore import Image

SMALLEST = (48, 64)
"""Rows and columns that an image has at least: cells of 4 by 4 pixels."""

LARGEST_NUMBER = 2**32 - 1

_ROWS, _COLUMNS = 4, 16
_MIXED = 0xA5A5A5A5  # so that no code is all black or all white
_BLACK, _WHITE = 16, 235  # video that leaves out the ends of the range does not clip them
_LEAST_CONTRAST = 60
_BAND = 6  # the code takes this part of the height
_TURN = 120  # frames in which the disc goes round
_WRITTEN_COLUMNS = 160  # of images that are large enough for digits


class Pattern:
    """Images of one size; what they have in common is drawn once.

    Parameters
    ----------
    shape : (rows, columns) or (rows, columns, 3), uint8.

    Raises SettingError if it is less than 48 by 64.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        if len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
            raise SettingError(f"a pattern is grey (rows, columns) or colour (rows, columns, 3), not {shape}")
        if shape[0] < SMALLEST[0] or shape[1] < SMALLEST[1]:
            raise SettingError(
                f"a pattern cannot be read in {shape[1]}x{shape[0]} pixels; "
                f"it needs {SMALLEST[1]}x{SMALLEST[0]}"
            )
        self._shape = shape

    def prepare(self) -> None:
        """Draw what images have in common, so that the first comes as fast as all others."""
        _ = self._background

    def image(self, number: int) -> Image:
        """Return the image of a number from 0 to `LARGEST_NUMBER`. Raises SettingError for any other."""
        if not 0 <= number <= LARGEST_NUMBER:
            raise SettingError(f"a pattern shows a number from 0 to {LARGEST_NUMBER}, not {number}")
        image: Image = self._background.copy()
        _draw_code(image, int(number))
        _draw_mark(image, int(number))
        return image

    @cached_property
    def _background(self) -> Image:
        """Soft waves of light."""
        rows, columns = self._shape[:2]
        y = np.linspace(0, 1, rows, dtype=np.float32)[:, np.newaxis]
        x = np.linspace(0, 1, columns, dtype=np.float32)
        waves = [
            112 + 24 * np.sin(2 * math.pi * (x * across + turn)) * np.cos(math.pi * (y * down + turn))
            for across, down, turn in ((1.0, 1.5, 0.0), (1.3, 1.0, 0.2), (0.8, 1.2, 0.45))
        ]
        image = np.stack(waves, axis=2) if len(self._shape) == 3 else waves[0]
        background: Image = np.rint(image).astype(np.uint8)
        return background


def draw(number: int, shape: tuple[int, ...]) -> Image:
    """Return the image of a number; a `Pattern` draws many with less work. Raises SettingError.

    Parameters
    ----------
    number : from 0 to `LARGEST_NUMBER`.
    shape : (rows, columns) or (rows, columns, 3), at least 48 by 64.
    """
    return Pattern(shape).image(number)


def read_number(image: Image) -> int | None:
    """Return the number that an image shows, None if it shows none.

    Parameters
    ----------
    image : (rows, columns) or (rows, columns, 3), of the size that it was drawn in.
    """
    if image.ndim not in (2, 3) or image.shape[0] < SMALLEST[0] or image.shape[1] < SMALLEST[1]:
        return None
    levels = _cell_levels(image)
    low, high = levels.min(), levels.max()
    if high - low < _LEAST_CONTRAST:
        return None
    bits = np.packbits(levels > (low + high) / 2).tobytes()
    number, check = (int.from_bytes(part, "big") for part in (bits[:4], bits[4:]))
    return number if check == _check_of(number) else None


def _draw_code(image: Image, number: int) -> None:
    """Draw `number` and its check into the cells."""
    code = number.to_bytes(4, "big") + _check_of(number).to_bytes(4, "big")
    bits = np.unpackbits(np.frombuffer(code, np.uint8)).reshape(_ROWS, _COLUMNS)
    levels = np.where(bits, _WHITE, _BLACK).astype(np.uint8)
    top, left = _edges(image)
    lines = np.repeat(levels, np.diff(left), axis=1)
    for row, line in enumerate(lines):
        image[top[row] : top[row + 1]] = line if image.ndim == 2 else line[:, np.newaxis]


def _check_of(number: int) -> int:
    return zlib.crc32(number.to_bytes(4, "big")) ^ _MIXED  # of 32 ones it is 32 ones


def _edges(image: Image) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows and columns where cells begin and end: 5 and 17 of them."""
    height = max(image.shape[0] // (_ROWS * _BAND), SMALLEST[1] // _COLUMNS)
    return np.arange(_ROWS + 1) * height, np.arange(_COLUMNS + 1) * image.shape[1] // _COLUMNS


def _cell_levels(image: Image) -> npt.NDArray[np.float64]:
    """Return how bright the cells are in their middle, shape (4, 16)."""
    rows, columns = (_middles(edges) for edges in _edges(image))
    middle = image[np.ix_(rows.ravel(), columns.ravel())]
    if middle.ndim == 3:
        middle = middle.mean(axis=2)
    parts = middle.reshape(_ROWS, rows.shape[1], _COLUMNS, columns.shape[1])
    return np.asarray(parts.mean(axis=(1, 3)), np.float64)


def _middles(edges: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return what lies in the inner half of each cell, shape (cells, n)."""
    width = int(np.diff(edges).min())
    return edges[:-1, np.newaxis] + width // 4 + np.arange(max(width // 2, 1))


def _draw_mark(image: Image, number: int) -> None:
    """Draw the disc where it is at this number, and if there is room the number for people."""
    top = int(_edges(image)[0][-1])
    rows, columns = image.shape[0] - top, image.shape[1]
    reach = min(rows, columns) // 2
    angle = 2 * math.pi * (number % _TURN) / _TURN
    x = columns // 2 + round(0.65 * reach * math.sin(angle))
    y = top + rows // 2 - round(0.65 * reach * math.cos(angle))
    cv2.circle(image, (x, y), max(reach // 6, 2), (_WHITE,) * 3, -1, cv2.LINE_AA)
    if columns >= _WRITTEN_COLUMNS:
        scale = columns / 640
        at = (columns // 40, image.shape[0] - columns // 40)
        cv2.putText(image, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, scale, (_WHITE,) * 3, 1, cv2.LINE_AA)
