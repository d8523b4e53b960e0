"""The number of a frame in its corner, which survives encoding: whether a frame is the one asked for."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Grey: TypeAlias = npt.NDArray[np.uint8]

BITS, SIDE = 16, 8  # squares a row, and pixels a square
_DARK, _BRIGHT = 40, 215


def mark(image: Grey, number: int) -> None:
    """Paint a number into the upper left corner."""
    bits = (number >> np.arange(BITS)) & 1
    row = np.repeat(np.where(bits, _BRIGHT, _DARK).astype(np.uint8), SIDE)
    image[:SIDE, : BITS * SIDE] = row


def read_mark(corner: Grey) -> int:
    """Return the number that was painted into a corner, of shape (SIDE, BITS * SIDE)."""
    squares = corner.reshape(SIDE, BITS, SIDE).mean(axis=(0, 2))
    return int(((squares > (_DARK + _BRIGHT) / 2) << np.arange(BITS)).sum())
