"""Image files that anything can open, through OpenCV."""

from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

import cv2
import numpy as np

from imgstore.errors import FrameFormatError
from imgstore.formats.folders import WRITE_THREADS, Data, FolderFormat
from imgstore.formats.settings import FormatSettings, SettingsTable
from imgstore.frame import FrameSpec, Image

Parameters = Callable[[FormatSettings], list[int]]

_READERS = 4
_BYTES = ("uint8",)
_WORDS = ("uint8", "uint16")
_TIFF_LEVELS = (
    cv2.IMWRITE_TIFF_COMPRESSION_NONE,
    cv2.IMWRITE_TIFF_COMPRESSION_LZW,
    cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE,
)


def _encoder(ending: str, parameters: Parameters) -> Callable[[Image, FormatSettings], Data]:
    def encode(image: Image, settings: FormatSettings) -> Data:
        done, data = cv2.imencode(ending, image, parameters(settings))
        if not done:
            raise ValueError(f"OpenCV cannot encode it as {ending}")
        return [data.data]

    return encode


def _encode_ppm(image: Image, settings: FormatSettings) -> Data:
    """Encode grey as three equal channels: the file knows no other."""
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
    return _encoder(".ppm", lambda _: [])(colour, settings)


def _decode(file: BinaryIO, spec: FrameSpec) -> Image:
    flags = cv2.IMREAD_COLOR_BGR if spec.is_colour else cv2.IMREAD_GRAYSCALE
    data = np.frombuffer(file.read(), np.uint8)
    image = cv2.imdecode(data, flags | cv2.IMREAD_ANYDEPTH) if len(data) else None
    if image is None:  # what OpenCV says of a broken file; its type stubs do not know
        raise ValueError("OpenCV finds none")
    return image


def _check_depth(name: str, dtypes: tuple[str, ...]) -> Callable[[FrameSpec], None]:
    def check(spec: FrameSpec) -> None:
        if spec.dtype.name not in dtypes or not (len(spec.shape) == 2 or spec.is_colour):
            others = "'png' holds uint16, 'npy' and 'blosc2' any" if dtypes == _BYTES else "'npy' holds any"
            raise FrameFormatError(
                f"format {name!r} holds grey or colour frames of {' or '.join(dtypes)}, "
                f"not {spec.dtype} of shape {spec.shape}; {others}"
            )

    return check


def _plain_format(name: str, dtypes: tuple[str, ...], threads: int) -> FolderFormat:
    """Return a format without compression."""
    every = FormatSettings(threads=threads)
    return FolderFormat(
        name,
        f".{name}",
        True,
        _encoder(f".{name}", lambda _: []),
        _decode,
        _check_depth(name, dtypes),
        SettingsTable(
            {"threads": WRITE_THREADS}, dict.fromkeys(("fast", "balanced", "small", "lossless"), every)
        ),
    )


PNG = FolderFormat(
    "png",
    ".png",
    True,
    _encoder(".png", lambda settings: [cv2.IMWRITE_PNG_COMPRESSION, settings.level or 0]),
    _decode,
    _check_depth("png", _WORDS),
    SettingsTable(
        {"level": range(10), "threads": WRITE_THREADS},
        {
            "fast": FormatSettings(level=1, threads=4),
            "balanced": FormatSettings(level=1, threads=2),
            "small": FormatSettings(level=6, threads=4),
            "lossless": FormatSettings(level=1, threads=2),
        },
    ),
    readers=_READERS,
)
TIF = FolderFormat(
    "tif",
    ".tif",
    True,
    _encoder(".tif", lambda settings: [cv2.IMWRITE_TIFF_COMPRESSION, _TIFF_LEVELS[settings.level or 0]]),
    _decode,
    _check_depth("tif", _WORDS),
    SettingsTable(
        {"level": range(len(_TIFF_LEVELS)), "threads": WRITE_THREADS},
        {
            "fast": FormatSettings(level=0, threads=2),
            "balanced": FormatSettings(level=1, threads=2),
            "small": FormatSettings(level=2, threads=4),
            "lossless": FormatSettings(level=1, threads=2),
        },
    ),
    readers=_READERS,
)
JPG = FolderFormat(
    "jpg",
    ".jpg",
    False,
    _encoder(".jpg", lambda settings: [cv2.IMWRITE_JPEG_QUALITY, settings.quality or 1]),
    _decode,
    _check_depth("jpg", _BYTES),
    SettingsTable(
        {"quality": range(1, 101), "threads": WRITE_THREADS},
        {
            "fast": FormatSettings(quality=90, threads=2),
            "balanced": FormatSettings(quality=95, threads=2),
            "small": FormatSettings(quality=80, threads=2),
        },
    ),
    readers=_READERS,
)
BMP = _plain_format("bmp", _BYTES, threads=1)
PPM = replace(_plain_format("ppm", _WORDS, threads=1), encode=_encode_ppm)
PGM = replace(_plain_format("pgm", _WORDS, threads=1), grey=True)

PNG_COLOUR = replace(PNG, colour=True)
TIF_COLOUR = replace(TIF, colour=True)
JPG_COLOUR = replace(JPG, colour=True)
BMP_COLOUR = replace(BMP, colour=True)
