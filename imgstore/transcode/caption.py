"""Number and time drawn on a frame, so that they can be read on a frame of any size."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from imgstore.frame import FrameSpec, Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_HEIGHT = 22  # of a letter of this font at scale 1, in pixels
_SMALLEST = 11  # that can be read
_SHARE = 1 / 32  # of the frame's height, that a letter takes
_MOST_COVERED = 2 / 3  # of the frame's height, by text


class Caption:
    """Draws text on the lower left of frames; small frames become larger, for it to fit.

    Parameters
    ----------
    spec : of the frames, 8 bit.
    longest : the words of the text as long as they can be; they stand in one line where there is room, else
        below each other.
    """

    def __init__(self, spec: FrameSpec, longest: Sequence[str]) -> None:
        height = max(_SMALLEST, round(_SHARE * spec.rows))
        self._scale = height / _HEIGHT
        self._width = max(1, round(height / 12))
        self._step = round(1.6 * height)
        self._margin = round(0.7 * height)
        room = spec.columns - 2 * self._margin
        self._in_one_line = self._width_of("  ".join(longest)) <= room
        widest = 2 * self._margin + max(map(self._width_of, longest))
        highest = (1 if self._in_one_line else len(longest)) * self._step
        self._zoom = max(
            1, math.ceil(widest / spec.columns), math.ceil(highest / (_MOST_COVERED * spec.rows))
        )
        self.spec = FrameSpec(
            (spec.rows * self._zoom, spec.columns * self._zoom, *spec.shape[2:]), spec.dtype
        )

    def draw(self, image: Image, words: Sequence[str]) -> Image:
        """Return a new image with the words on it, white with a black rim, to be seen on anything."""
        lines = ["  ".join(words)] if self._in_one_line else words
        drawn = np.ascontiguousarray(image.repeat(self._zoom, 0).repeat(self._zoom, 1))
        top = max(0, drawn.shape[0] - self._margin - len(lines) * self._step)
        right = 2 * self._margin + max(map(self._width_of, lines))
        strip = drawn[top:, :right]  # a view
        text = np.zeros(strip.shape[:2], np.uint8)
        for place, line in enumerate(reversed(lines)):
            corner = (self._margin, len(text) - self._margin - place * self._step)
            cv2.putText(text, line, corner, _FONT, self._scale, 255, self._width, cv2.LINE_AA)
        rim = cv2.dilate(text, np.ones((2 * self._width + 1,) * 2, np.uint8))
        cover, white = (mask.reshape(*mask.shape, *(1,) * (drawn.ndim - 2)) for mask in (rim, text))
        strip[...] = strip * (1 - cover / 255) + white
        return drawn

    def _width_of(self, line: str) -> int:
        return int(cv2.getTextSize(line, _FONT, self._scale, self._width)[0][0])
