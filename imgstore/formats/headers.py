"""How large the image in a file is, before anything is decoded: a small file can promise gigabytes."""

import re
import struct
from collections.abc import Callable, Mapping

Size = tuple[int, int]
"""Rows and columns."""

_PNM = re.compile(rb"P[1-6](?:\s+|#[^\n]*\n)+(\d{1,9})(?:\s+|#[^\n]*\n)+(\d{1,9})\s")
_TIFF_COLUMNS, _TIFF_ROWS = 256, 257
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_SEGMENTS = 1000  # before the one that says the size


def image_size(data: bytes, ending: str) -> Size:
    """Return rows and columns of the image in a file. Raises ValueError if it is not what its ending says.

    Parameters
    ----------
    ending : of the file: ".png", ".tif", ".jpg", ".bmp", ".ppm" or ".pgm".
    """
    try:
        return _READERS[ending](data)
    except (struct.error, LookupError) as exc:
        raise ValueError(f"it has no header of a {ending[1:]} file") from exc


def _png(data: bytes) -> Size:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise LookupError
    columns, rows = struct.unpack_from(">II", data, 16)
    return rows, columns


def _bmp(data: bytes) -> Size:
    if data[:2] != b"BM":
        raise LookupError
    columns, rows = struct.unpack_from("<ii", data, 18)
    return abs(rows), columns


def _pnm(data: bytes) -> Size:
    found = _PNM.match(data[:4096])
    if found is None:
        raise LookupError
    return int(found[2]), int(found[1])


def _jpg(data: bytes) -> Size:
    if data[:2] != b"\xff\xd8":
        raise LookupError
    place = 2
    for _ in range(_MOST_SEGMENTS):
        while data[place + 1] == 0xFF:  # padding
            place += 1
        if data[place] != 0xFF:
            raise LookupError
        if data[place + 1] in _JPEG_FRAMES:
            rows, columns = struct.unpack_from(">HH", data, place + 5)
            return rows, columns
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    raise LookupError


def _tif(data: bytes) -> Size:
    order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
    (place,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, place)
    found: dict[int, int] = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (_TIFF_COLUMNS, _TIFF_ROWS):
            (found[tag],) = struct.unpack_from(order + _TIFF_TYPES[kind], data, entry + 8)
    return found[_TIFF_ROWS], found[_TIFF_COLUMNS]


_READERS: Mapping[str, Callable[[bytes], Size]] = {
    ".png": _png,
    ".tif": _tif,
    ".jpg": _jpg,
    ".bmp": _bmp,
    ".ppm": _pnm,
    ".pgm": _pnm,
}
