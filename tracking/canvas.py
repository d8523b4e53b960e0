"""Drawing on a frame, be it blue, green and red or the planes that an encoder takes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Colour: TypeAlias = tuple[int, int, int]
"""Blue, green, red; 0 to 255."""

Pixels: TypeAlias = npt.NDArray[np.uint8]
Places: TypeAlias = npt.NDArray[np.float64]

WHITE, BLACK, GREEN = (255, 255, 255), (0, 0, 0), (80, 200, 80)

WHEEL: tuple[Colour, ...] = (
    (60, 60, 235),
    (235, 160, 50),
    (70, 210, 90),
    (30, 190, 250),
    (220, 90, 200),
    (210, 210, 40),
    (40, 120, 250),
    (250, 120, 130),
    (120, 230, 210),
    (170, 120, 250),
)
"""Colours that tell animals apart on grey."""

_SHIFT = 4  # OpenCV draws with fractions of 1 / 16 pixel
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_NEUTRAL = 128
_CORNERS = 24
_CIRCLE = np.column_stack([turn(np.arange(_CORNERS) * 2 * np.pi / _CORNERS) for turn in (np.cos, np.sin)])


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """An array to draw on, its pixels to one of the frame along a side, and what colours are there."""

    pixels: Pixels
    scale: float
    ink: Callable[[Colour], Sequence[float]]
    smooth: int


class Canvas:
    """A frame to draw on. Places and sizes are in its pixels; made by `on_colour` or `on_grey`."""

    def __init__(self, image: Pixels, planes: tuple[_Plane, ...]) -> None:
        self.image = image
        self._planes = planes
        self._scales = {plane.scale for plane in planes}

    @classmethod
    def on_colour(cls, image: Pixels) -> "Canvas":
        """Draw on an image of shape (rows, columns, 3), blue, green, red."""
        return cls(image, (_Plane(image, 1.0, tuple, cv2.LINE_AA),))

    @classmethod
    def on_grey(cls, image: Pixels, room: Pixels | None = None) -> "Canvas":
        """Draw in colour on a grey image of even sides; `image` is then yuv420p (see `encode_video`).

        There is no faster way to colours in an H.264 video of a grey recording: nothing is converted but what
        is drawn.

        Parameters
        ----------
        room : array of shape (3 / 2 rows, columns) to draw in; None for a new one.
        """
        rows, columns = image.shape
        whole = np.empty((rows * 3 // 2, columns), np.uint8) if room is None else room
        cv2.convertScaleAbs(image, whole[:rows], 219 / 255, 16)
        return cls.on_planes(whole)

    @classmethod
    def on_planes(cls, whole: Pixels, *, fill: int = _NEUTRAL) -> "Canvas":
        """Draw on yuv420p planes whose luma is set; chroma is filled."""
        rows, columns = whole.shape[0] * 2 // 3, whole.shape[1]
        whole[rows:] = fill
        blue, red = whole[rows:].reshape(2, rows // 2, columns // 2)
        return cls(
            whole,
            (
                _Plane(whole[:rows], 1.0, _luma, cv2.LINE_AA),
                _Plane(blue, 0.5, _blueness, cv2.LINE_8),
                _Plane(red, 0.5, _redness, cv2.LINE_8),
            ),
        )

    def line(self, places: Places, colour: Colour, thickness: int = 1, *, closed: bool = False) -> None:
        """Draw lines from place to place, shape (n, 2)."""
        fixed = {scale: [_fixed(places, scale)] for scale in self._scales}
        for plane in self._planes:
            corners, wide = fixed[plane.scale], _wide(thickness, plane)
            cv2.polylines(plane.pixels, corners, closed, plane.ink(colour), wide, plane.smooth, _SHIFT)

    def ellipse(self, centre: Places, axes: Places, angle: float, colour: Colour, thickness: int = 1) -> None:
        """Draw an ellipse: centre, (length, width), degrees clockwise of the length against x."""
        # As a polygon of our own: OpenCV's has three times as many corners, which cost most of the drawing.
        half, across = axes[0] / 2, axes[1] / 2
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        turned = np.array([(half * cos, half * sin), (-across * sin, across * cos)])
        self.line(_CIRCLE @ turned + centre, colour, thickness, closed=True)

    def disc(self, centre: Places, radius: float, colour: Colour, thickness: int = -1) -> None:
        """Draw a disc, or a ring."""
        fixed = {scale: _fixed(centre, scale).tolist() for scale in self._scales}
        for plane in self._planes:
            wide = thickness if thickness < 0 else _wide(thickness, plane)
            size = max(1, round(radius * plane.scale * (1 << _SHIFT)))
            cv2.circle(plane.pixels, fixed[plane.scale], size, plane.ink(colour), wide, plane.smooth, _SHIFT)

    def text(self, words: str, place: Sequence[float], colour: Colour, height: float) -> None:
        """Write words whose lower left corner is at a place, with a dark rim; `height` of a letter."""
        letters, rim = _lettering(words, height)
        margin = round(height / 2)
        left, top = round(place[0]) - margin, round(place[1]) + margin - len(letters)
        for plane in self._planes:
            _blend(plane, letters, rim, (left, top), colour)


class Stamp:
    """What is drawn on every frame alike, drawn once.

    Parameters
    ----------
    shape : of the frames, (rows, columns), even.
    draw : draws on a canvas.
    """

    def __init__(self, shape: tuple[int, int], draw: Callable[[Canvas], None]) -> None:
        once = [np.full((shape[0] * 3 // 2, shape[1]), value, np.uint8) for value in (0, 255)]
        for image, value in zip(once, (0, 255), strict=True):
            draw(Canvas.on_planes(image, fill=value))
        # What was drawn on black is what it adds; what of white is left shines through it.
        added, left = once[0].reshape(-1), (once[1] - once[0]).reshape(-1)
        self._places = np.flatnonzero(left < 255)
        self._added, self._left = added[self._places], left[self._places].astype(np.uint16)

    def put(self, canvas: Canvas) -> None:
        """Draw it on a canvas made by `on_grey`."""
        flat = canvas.image.reshape(-1)
        flat[self._places] = self._added + (flat[self._places] * self._left // 255).astype(np.uint8)


def _lettering(words: str, height: float) -> tuple[Pixels, Pixels]:
    """Return where letters are, and where they or their rim are: 0 to 255, even sides, a margin around."""
    size, width = height / 22, max(1, round(height / 14))
    (columns, rows), below = cv2.getTextSize(words, _FONT, size, width)
    margin = round(height / 2)
    letters = np.zeros(((rows + below + 2 * margin) // 2 * 2, (columns + 2 * margin) // 2 * 2), np.uint8)
    cv2.putText(letters, words, (margin, len(letters) - margin), _FONT, size, 255, width, cv2.LINE_AA)
    return letters, np.asarray(cv2.dilate(letters, np.ones((2 * width + 1,) * 2, np.uint8)), np.uint8)


def _blend(plane: _Plane, letters: Pixels, rim: Pixels, corner: tuple[int, int], colour: Colour) -> None:
    """Draw letters and their rim on a plane, as far as they lie in it."""
    if plane.scale != 1:
        letters, rim = _halved(letters), _halved(rim)
    left, top = (round(side * plane.scale) for side in corner)
    rows = slice(max(top, 0), min(top + letters.shape[0], plane.pixels.shape[0]))
    columns = slice(max(left, 0), min(left + letters.shape[1], plane.pixels.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    part = plane.pixels[rows, columns]  # a view
    shape = (*part.shape[:2], *(1,) * (part.ndim - 2))
    cover, ink = (mask[inside].reshape(shape) / np.float32(255) for mask in (rim, letters))
    light, dark = (np.array(plane.ink(shade), np.float32) for shade in (colour, BLACK))
    part[...] = part * (1 - cover) + dark * (cover - ink) + light * ink


def _halved(mask: Pixels) -> Pixels:
    return np.asarray(cv2.resize(mask, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def _fixed(places: Places, scale: float) -> npt.NDArray[np.int32]:
    """Return places as OpenCV takes them; the centre of the first pixel of a half-sized plane is at 0.5."""
    whole = 1 << _SHIFT
    return np.rint(places * (scale * whole) + (0.5 * scale - 0.5) * whole).astype(np.int32)


def _wide(thickness: int, plane: _Plane) -> int:
    return max(1, round(thickness * plane.scale))


def _luma(colour: Colour) -> tuple[float]:
    blue, green, red = colour
    return (16 + 219 / 255 * (0.2126 * red + 0.7152 * green + 0.0722 * blue),)


def _blueness(colour: Colour) -> tuple[float]:
    blue, green, red = colour
    return (_NEUTRAL + 224 / 255 * (0.5 * blue - 0.1146 * red - 0.3854 * green),)


def _redness(colour: Colour) -> tuple[float]:
    blue, green, red = colour
    return (_NEUTRAL + 224 / 255 * (0.5 * red - 0.4542 * green - 0.0458 * blue),)
