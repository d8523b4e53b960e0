"""A folder per chunk, a Blosc2 array per image: any dtype and shape, bit for bit, small and fast."""

from typing import BinaryIO

import blosc2
import numpy as np

from imgstore.formats.folders import WRITE_THREADS, Data, FolderFormat, read_image
from imgstore.formats.settings import FormatSettings, SettingsTable
from imgstore.frame import FrameSpec, Image

_CODECS = {"lz4": blosc2.Codec.LZ4, "zstd": blosc2.Codec.ZSTD}


def _encode(image: Image, settings: FormatSettings) -> Data:
    parameters = {
        "codec": _CODECS[settings.preset or "zstd"],
        "clevel": settings.level,
        "filters": [blosc2.Filter.BITSHUFFLE],
        "nthreads": 1,  # the writer's threads take an image each
    }
    return [blosc2.asarray(np.ascontiguousarray(image), cparams=parameters).to_cframe()]


def _decode(file: BinaryIO, spec: FrameSpec) -> Image:
    """Read an image, looking at what the header promises before making room for it."""
    try:
        array = blosc2.ndarray_from_cframe(read_image(file, spec))
        if tuple(array.shape) != spec.shape or array.dtype != spec.dtype:
            raise ValueError(
                f"it holds {array.dtype} of shape {array.shape}, the store {spec.dtype} of shape {spec.shape}"
            )
        return np.asarray(array[:])
    except (RuntimeError, SyntaxError, TypeError, LookupError) as exc:  # as which Blosc2 finds a broken file
        raise ValueError(str(exc)) from exc


def _check(spec: FrameSpec) -> None:
    """Every spec will do."""


BLOSC2 = FolderFormat(
    "blosc2",
    ".b2nd",
    True,
    _encode,
    _decode,
    _check,
    SettingsTable(
        {"preset": tuple(_CODECS), "level": range(1, 10), "threads": WRITE_THREADS},
        {
            "fast": FormatSettings(preset="lz4", level=5, threads=2),
            "balanced": FormatSettings(preset="zstd", level=1, threads=2),
            "small": FormatSettings(preset="zstd", level=5, threads=4),
            "lossless": FormatSettings(preset="zstd", level=1, threads=2),
        },
    ),
)
