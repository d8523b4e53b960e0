"""Image files that anything can open, through OpenCV."""

from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

import cv2
import numpy as np

from imgstore.errors import FrameFormatError
from imgstore.formats.folders import WRITE_THREADS, Data, FolderFormat, read_image
from imgstore.formats.headers import image_size
from imgstore.formats.settings import FormatSettings, SettingsTable
from imgstore.frame import FrameSpec, Image

Parameters = Callable[[FormatSettings], list[int]]

_READERS = 4
_BYTES = ("uint8",)
_WORDS = ("uint8", "uint16")
_PNG_FILTER = 19  # IMWRITE_PNG_FILTER, which OpenCV has by name, and heeds, from 4.12 on
_PNG_FILTERS = {1: 32, 2: 128}  # by level: of the pixel above, and Paeth's, of the nearest of three
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


def _decoder(ending: str) -> Callable[[BinaryIO, FrameSpec], Image]:
    def decode(file: BinaryIO, spec: FrameSpec) -> Image:
        data = read_image(file, spec)
        size = image_size(data, ending)
        if size != spec.shape[:2]:
            raise ValueError(f"it is of shape {size}, the store of {spec.shape}")
        flags = cv2.IMREAD_COLOR_BGR if spec.is_colour else cv2.IMREAD_GRAYSCALE
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_ANYDEPTH)
        if image is None:  # what OpenCV says of a broken file; its type stubs do not know
            raise ValueError("OpenCV finds none")
        return image

    return decode


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
        _decoder(f".{name}"),
        _check_depth(name, dtypes),
        SettingsTable(
            {"threads": WRITE_THREADS}, dict.fromkeys(("fast", "balanced", "small", "lossless"), every)
        ),
    )


def _png(settings: FormatSettings) -> list[int]:
    """Return parameters: of levels 1 and 2 run lengths of what remains when a neighbour is subtracted.

    In the images of cameras, whose noise never repeats, that is smaller than what deflate finds in many times
    the time.
    """
    level = settings.level or 0
    parameters = [cv2.IMWRITE_PNG_COMPRESSION, level]
    if level in _PNG_FILTERS:
        parameters += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
        parameters += [_PNG_FILTER, _PNG_FILTERS[level]]
    return parameters


PNG = FolderFormat(
    "png",
    ".png",
    True,
    _encoder(".png", _png),
    _decoder(".png"),
    _check_depth("png", _WORDS),
    SettingsTable(
        {"level": range(10), "threads": WRITE_THREADS},
        {
            "fast": FormatSettings(level=1, threads=4),
            "balanced": FormatSettings(level=2, threads=2),
            "small": FormatSettings(level=2, threads=4),
            "lossless": FormatSettings(level=2, threads=2),
        },
    ),
    readers=_READERS,
)
TIF = FolderFormat(
    "tif",
    ".tif",
    True,
    _encoder(".tif", lambda settings: [cv2.IMWRITE_TIFF_COMPRESSION, _TIFF_LEVELS[settings.level or 0]]),
    _decoder(".tif"),
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
    _decoder(".jpg"),
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
