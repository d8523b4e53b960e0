"""Signals that loopbio's Motif samples beside a camera: DAQ channels and audio, an HDF5 file per chunk."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from imgstore.errors import ChunkError
from imgstore.layout import check_plain

Samples = npt.NDArray[Any]

BEFORE = "_frame_number_before_reindex"
"""What the number was where frames were counted anew: a frame, whose number may be negative now, or none."""

_LARGEST_RATIO = 100  # of an array to what it takes in the file, compressed
_ROOM = 1 << 26  # bytes of an array of which the file holds next to nothing, since it was never filled

_CAMERA = "camera"
_DELAY = "sample_delay"


def read_signals(file: Path) -> pd.DataFrame:
    """Return all samples of a file, a row each, with what the camera said then.

    Raises ChunkError if the file is broken.
    """
    try:
        check_plain(file)
        with h5py.File(file, "r") as content:
            return pd.DataFrame(_columns(content))
    except (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as exc:
        raise ChunkError(f"{file} is broken ({exc})") from exc


def read_attributes(file: Path) -> dict[str, Any]:
    """Return the attributes of each dataset of a file, and as "_datasets" the names of the sampled ones.

    Raises ChunkError if the file is broken.
    """
    try:
        check_plain(file)
        with h5py.File(file, "r") as content:
            found: dict[str, Any] = {name: dict(_dataset(content, name).attrs) for name in content}
            found["_datasets"] = _names(content.attrs["datasets"])
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as exc:
        raise ChunkError(f"{file} is broken ({exc})") from exc
    return found


def _columns(content: h5py.File) -> dict[str, Samples]:
    camera = _read(content, _CAMERA)
    fields = camera.dtype.names or ()
    used = (
        camera[BEFORE if BEFORE in fields else "frame_number"] >= 0
    )  # room was made for a whole chunk, and a recording may end before
    columns: dict[str, Samples] = {}
    for name in _names(content.attrs["datasets"]):
        samples = _read(content, name)[..., used]
        columns.update(zip(_names(content[name].attrs["column_names"]), samples, strict=True))
    columns.update({name: camera[name][used] for name in fields})
    if _DELAY in content:
        columns[_DELAY] = _read(content, _DELAY)[used]
    return columns


def _read(content: h5py.File, name: str) -> Samples:
    dataset = _dataset(content, name)
    most = _ROOM + _LARGEST_RATIO * dataset.id.get_storage_size()
    if dataset.nbytes > most:
        raise ValueError(f"{name!r} would take {dataset.nbytes} bytes, which are not there")
    return np.asarray(dataset)


def _dataset(content: h5py.File, name: str) -> h5py.Dataset:
    """Return an array that lies in the file itself, and not where a link or a map of it leads."""
    link = content.get(name, getlink=True)
    found = content[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{name!r} is no array of this file")
    return found


def _names(value: str | bytes) -> list[str]:
    """Return the names in a list with commas; old writers of HDF5 left bytes."""
    text = value.decode() if isinstance(value, bytes) else str(value)
    return [name.strip() for name in text.split(",")]
