"""Loopbio's module of this name: colour and grey, encodings, and what Motif says of a recording."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import cv2
import numpy as np
from tzlocal import get_localzone_name

from imgstore import encoding as encodings
from imgstore.errors import ChunkError, UnknownNameError
from imgstore.extra import ExtraFile, load_extra_file, plain
from imgstore.frame import Image
from imgstore.motif import read_attributes, read_signals

if TYPE_CHECKING:
    import pandas as pd

FourCC = cv2.VideoWriter.fourcc

_PYLON = {  # Basler's names start at another corner of the mosaic than OpenCV's
    "BayerBG": "cv_bayerrg",
    "BayerRG": "cv_bayerbg",
    "BayerGB": "cv_bayergr",
    "BayerGR": "cv_bayergb",
}


class RecordedStore(Protocol):
    """What the functions here ask of a store."""

    @property
    def user_metadata(self) -> dict[str, Any]: ...
    @property
    def created(self) -> tuple[Any, ZoneInfo]: ...
    def _get_chunk_metadata(self, chunk_n: int) -> dict[str, list[Any]]: ...


def ensure_color(img: Image, ensure_copy: bool = False) -> Image:
    """Return `img` with three channels, blue, green, red."""
    if img.ndim == 3 and img.shape[-1] == 3:
        return img.copy() if ensure_copy else img
    return cv2.cvtColor(img, cv2.COLOR_GRAY2BGR)


def ensure_grayscale(img: Image, ensure_copy: bool = False) -> Image:
    """Return `img` with one value per pixel."""
    if img.ndim == 3 and img.shape[-1] == 3:
        return cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)
    return img.copy() if ensure_copy else img


class ImageCodecProcessor:
    """Turns images in other encodings (Bayer, YUV ...) into blue, green, red.

    Codes start with "cv_" because OpenCV and the makers of cameras do not agree on the names of mosaics.
    """

    def __init__(self) -> None:
        self.set_default_code(None)

    @classmethod
    def from_pylon_format(cls, s: str | None) -> "ImageCodecProcessor":
        """Return one for a pixel format as Basler calls it, "BayerBG". Raises ValueError."""
        name = "" if s in (None, "None") else str(s).replace("_", "")
        if name and name not in _PYLON:
            raise UnknownNameError("Pylon format", str(s), _PYLON)
        made = cls()
        made.set_default_code(_PYLON.get(name))
        return made

    @classmethod
    def from_cv2_enum(cls, e: int) -> "ImageCodecProcessor":
        """Return one for OpenCV's number of a conversion."""
        made = cls()
        made.set_default_code(made.cv2_enum_to_code(e))
        return made

    @property
    def encoding(self) -> str:
        """Code of the default encoding; "" for none."""
        return self._code or ""

    def set_default_code(self, code: str | None) -> None:
        """Choose the default encoding. Raises ValueError if OpenCV does not know it."""
        self._decode = encodings.decoder(code)
        self._code = code or None

    def autoconvert(self, img: Image) -> Image:
        """Return `img` decoded from the default encoding, or as it is if there is none."""
        return self._decode(img)

    def check_code(self, code: str) -> bool:
        """Return whether OpenCV knows the encoding."""
        return code in encodings.codes()

    def cv2_enum_to_code(self, enum: int) -> str:
        """Return the code of a conversion by OpenCV's number. Raises KeyError."""
        return encodings.codes_of_conversions()[enum]

    def convert_to_bgr(self, img: Image, code: str | None = None, method_enum: int | None = None) -> Image:
        """Return `img` decoded from `code`, or by OpenCV's number of a conversion. Raises ValueError."""
        if method_enum is not None:
            return cv2.cvtColor(img, method_enum)
        if not (code or self._code):
            raise UnknownNameError("encoding", "", encodings.codes())
        return encodings.decoder(code or self._code)(img)

    def __repr__(self) -> str:
        return f"<ImageCodecProcessor({self._code})>"


class JsonCustomEncoder(json.JSONEncoder):
    """Writes NumPy values, sets, bytes, dates, paths and complex numbers as what JSON knows."""

    def default(self, o: object) -> object:
        """Return what stands for `o`. Raises TypeError."""
        return plain(o)


def motif_extra_data_json_to_df(store: object, path: str | os.PathLike[str]) -> "pd.DataFrame | None":
    """Return Motif's records in a file; None if there are none."""
    table = load_extra_file(ExtraFile(Path(path), beside=False))
    return table if len(table) else None


def motif_extra_data_h5_to_df(store: object, path: str | os.PathLike[str]) -> "pd.DataFrame":
    """Return Motif's samples in a file."""
    return read_signals(Path(path))


def motif_extra_data_h5_attrs(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the attributes of the datasets in a file of Motif's samples, and their names as "_datasets"."""
    return read_attributes(Path(path))


def motif_get_parse_true_fps(
    store: RecordedStore, default: float | None = 25.0, hardware_only: bool = False
) -> float | None:
    """Return the rate at which Motif recorded, frames per second.

    Parameters
    ----------
    default : for stores that do not say; None to measure it on their first chunk.
    hardware_only : believe only what the camera was triggered with.
    """
    said = store.user_metadata
    enabled = not hardware_only and said.get("acquisitionframerateenable") is True
    for key in ("hwframerate", "motifptpframerate", *(["acquisitionframerate"] if enabled else [])):
        if said.get(key):
            return float(said[key])
    if default is not None:
        return default
    times = store._get_chunk_metadata(0)["frame_time"]
    if len(times) < 2:
        raise ChunkError("the first chunk holds too few frames to tell their rate")
    return float(1 / np.median(np.diff(times)))


def motif_get_recording_timezone(store: RecordedStore) -> ZoneInfo:
    """Return the zone in which was recorded: the one in the user's metadata, else the store's."""
    try:
        return ZoneInfo(store.user_metadata.get("timezone") or "")
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return store.created[1]


def get_local_timezone() -> str | None:
    """Return the name of this machine's zone."""
    name: str | None = get_localzone_name()
    return name
