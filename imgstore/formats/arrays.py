"""A folder per chunk, a NumPy file per image: any dtype and shape, bit for bit."""

from io import BytesIO
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np

from imgstore.formats.folders import WRITE_THREADS, Data, FolderFormat
from imgstore.formats.settings import PROFILES, FormatSettings, SettingsTable
from imgstore.frame import FrameSpec, Image


def _encode(image: Image, settings: FormatSettings) -> Data:
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(image))
    return [header.getvalue(), np.ascontiguousarray(image).data]


def _decode(file: BinaryIO, spec: FrameSpec) -> Image:
    """Read an image, looking at what the header promises before making room for it."""
    shape, by_columns, dtype = _read_header(file)
    if shape != spec.shape or dtype.hasobject:
        raise ValueError(f"it holds {dtype} of shape {shape}, the store {spec.dtype} of shape {spec.shape}")
    image = np.empty(shape[::-1] if by_columns else shape, dtype)
    if file.readinto(image.data.cast("B")) != image.nbytes:  # type: ignore[attr-defined]  # files have it
        raise ValueError("it ends early")
    return image.T if by_columns else image


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    try:
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        return np.lib.format.read_array_header_2_0(file)
    except (SyntaxError, TokenError) as exc:  # NumPy parses the header as Python's literals
        raise ValueError(f"its header cannot be parsed: {exc}") from exc


def _check(spec: FrameSpec) -> None:
    """Every spec will do."""


NPY = FolderFormat(
    "npy",
    ".npy",
    True,
    _encode,
    _decode,
    _check,
    SettingsTable({"threads": WRITE_THREADS}, dict.fromkeys(PROFILES, FormatSettings(threads=1))),
)
