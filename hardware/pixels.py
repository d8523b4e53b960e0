"""Images out of the bytes of a machine-vision camera, by the name of its pixel format (GenICam, PFNC)."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hardware.errors import CaptureError, SettingError
from imgstore import FrameSpec, Image

Packing: TypeAlias = Literal["", "p", "Packed"]
"""Whole bytes; one bit after the other, from the lowest; GigE Vision's two pixels in three bytes."""

_NAME = re.compile(r"(Mono|Bayer(?:RG|GR|GB|BG)|(?:RGB|BGR)[aA]?)(8|10|12|14|16)(p|Packed)?")
_CHANNELS = {"RGB": 3, "BGR": 3, "RGBa": 4, "BGRa": 4}
_PACKED_BITS = (10, 12)
_WHOLE_BITS = (8, 16)
_TO_BGR = {"RGB": cv2.COLOR_RGB2BGR, "RGBa": cv2.COLOR_RGBA2BGR, "BGRa": cv2.COLOR_BGRA2BGR}
_TO_GREY = {
    "RGB": cv2.COLOR_RGB2GRAY,
    "BGR": cv2.COLOR_BGR2GRAY,
    "RGBa": cv2.COLOR_RGBA2GRAY,
    "BGRa": cv2.COLOR_BGRA2GRAY,
}
# OpenCV calls a mosaic by the second pixel of its second row and on, GenICam by its first.
_MOSAIC_TO_BGR = {
    "BayerRG": cv2.COLOR_BayerBG2BGR,
    "BayerGR": cv2.COLOR_BayerGB2BGR,
    "BayerGB": cv2.COLOR_BayerGR2BGR,
    "BayerBG": cv2.COLOR_BayerRG2BGR,
}
_MOSAIC_TO_GREY = {
    "BayerRG": cv2.COLOR_BayerBG2GRAY,
    "BayerGR": cv2.COLOR_BayerGB2GRAY,
    "BayerGB": cv2.COLOR_BayerGR2GRAY,
    "BayerBG": cv2.COLOR_BayerRG2GRAY,
}

KNOWN_FORMATS = "Mono, BayerRG, BayerGR, BayerGB, BayerBG (8, 10, 12, 14, 16, 10p, 12p, 10Packed, 12Packed) \
and RGB, BGR, RGBa, BGRa (8, 10, 12, 14, 16)"
"""For messages."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How pixels lie in memory.

    Attributes
    ----------
    name : in GenICam's words, "Mono12p".
    kind : what a pixel is: "Mono", "BayerRG" and so on, "RGB", "BGR", "RGBa", "BGRa".
    bits : of one value.
    packing : how values of 10 or 12 bits share bytes.
    """

    name: str
    kind: str
    bits: int
    packing: Packing

    @property
    def has_colour(self) -> bool:
        """Whether images in blue, green and red can be had from it."""
        return self.kind != "Mono"

    @property
    def channels(self) -> int:
        """Values of one pixel."""
        return _CHANNELS.get(self.kind, 1)

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """Type of the values: more than 8 bits take two bytes."""
        return np.dtype(np.uint8) if self.bits == 8 else np.dtype("<u2")

    def length(self, size: tuple[int, int], padding: int = 0) -> int:
        """Return how many bytes an image takes.

        Parameters
        ----------
        size : (rows, columns).
        padding : bytes after each row but the last.
        """
        rows, columns = size
        if self.packing == "p":
            return -(-rows * columns * self.bits // 8)
        if self.packing:
            return -(-rows * columns * 3 // 2)
        return rows * (columns * self.channels * self.dtype.itemsize + padding) - padding

    def spec(self, rows: int, columns: int, *, colour: bool) -> FrameSpec:
        """Return what `decode` makes of an image of this size."""
        return FrameSpec((rows, columns, 3) if colour else (rows, columns), self.dtype)


def parse_pixel_format(name: str) -> PixelFormat:
    """Return what the name of a pixel format says. Raises SettingError if it is not known here."""
    found = _NAME.fullmatch(name)
    if found is not None:
        kind, bits = found[1].replace("A", "a"), int(found[2])
        packing: Packing = "p" if found[3] == "p" else "Packed" if found[3] else ""
        if kind in _CHANNELS and packing == "Packed" and bits in _WHOLE_BITS:
            packing = ""  # old names: colours are side by side, not in planes
        if not packing or (bits in _PACKED_BITS and kind not in _CHANNELS):
            return PixelFormat(name, kind, bits, packing)
    raise SettingError(f"frames in the pixel format {name} cannot be read; {KNOWN_FORMATS} can")


def is_known(name: str) -> bool:
    """Return whether frames of a pixel format can be read."""
    try:
        parse_pixel_format(name)
    except SettingError:
        return False
    return True


def decode(
    data: bytes | memoryview | npt.NDArray[np.uint8],
    pixel_format: PixelFormat,
    size: tuple[int, int],
    *,
    colour: bool,
    padding: int = 0,
) -> Image:
    """Return an image of its own out of a buffer.

    Values of 10 to 16 bits come as they are, in 16. A mosaic of colours is interpolated.

    Parameters
    ----------
    data : the buffer, from its first pixel on; what lies after the last is left out.
    size : (rows, columns).
    colour : blue, green and red, else grey.
    padding : bytes after each row.

    Raises CaptureError if `data` is shorter than the image.
    """
    flat, needed = np.frombuffer(data, np.uint8), pixel_format.length(size, padding)
    if len(flat) < needed:
        raise CaptureError(
            f"an image of {size[1]}x{size[0]} pixels in {pixel_format.name} takes {needed} bytes, "
            f"the camera gave {len(flat)}"
        )
    if pixel_format.packing:
        values = _unpacked(flat, pixel_format, size)
    else:
        values = _rows(flat, pixel_format, size, padding)
    return _converted(values, pixel_format.kind, colour=colour)


def _rows(
    flat: npt.NDArray[np.uint8], pixel_format: PixelFormat, size: tuple[int, int], padding: int
) -> Image:
    """Return the values as they lie there, without what pads the rows; a view."""
    rows, columns = size
    width = columns * pixel_format.channels * pixel_format.dtype.itemsize
    stride = width + padding
    if padding:
        flat = np.lib.stride_tricks.as_strided(flat, (rows, width), (stride, 1), writeable=False)
        flat = np.ascontiguousarray(flat)
    shape = (rows, columns) if pixel_format.channels == 1 else (rows, columns, pixel_format.channels)
    return flat.reshape(-1)[: rows * width].view(pixel_format.dtype).reshape(shape)


def _unpacked(flat: npt.NDArray[np.uint8], pixel_format: PixelFormat, size: tuple[int, int]) -> Image:
    """Return values that share bytes as 16 bits each. Rows follow on each other without a gap."""
    count = size[0] * size[1]
    per_group, group = (4, 5) if (pixel_format.bits, pixel_format.packing) == (10, "p") else (2, 3)
    groups = -(-count // per_group)
    flat = flat[: groups * group]
    if len(flat) < groups * group:  # the last group may be cut off after its last pixel
        flat = np.pad(flat, (0, groups * group - len(flat)))
    parts = flat.reshape(groups, group).astype(np.uint16)
    values = np.empty((groups, per_group), np.uint16)
    if pixel_format.packing == "Packed":
        low = pixel_format.bits - 8
        mask = (1 << low) - 1
        values[:, 0] = parts[:, 0] << low | parts[:, 1] & mask
        values[:, 1] = parts[:, 2] << low | parts[:, 1] >> 4 & mask
    else:
        bits, mask = pixel_format.bits, (1 << pixel_format.bits) - 1
        for pixel in range(per_group):
            first, shift = divmod(pixel * bits, 8)
            values[:, pixel] = (parts[:, first] >> shift | parts[:, first + 1] << (8 - shift)) & mask
    return values.reshape(-1)[:count].reshape(size)


def _converted(values: Image, kind: str, *, colour: bool) -> Image:
    """Return the values as grey, or as blue, green and red, in memory of its own."""
    if kind == "Mono":
        return cv2.cvtColor(values, cv2.COLOR_GRAY2BGR) if colour else values.copy()
    if kind in _MOSAIC_TO_BGR:
        return cv2.cvtColor(values, (_MOSAIC_TO_BGR if colour else _MOSAIC_TO_GREY)[kind])
    if not colour:
        return cv2.cvtColor(values, _TO_GREY[kind])
    return values.copy() if kind == "BGR" else cv2.cvtColor(values, _TO_BGR[kind])
