"""Signals that loopbio's Motif samples beside a camera: DAQ channels and audio, an HDF5 file per chunk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from imgstore.errors import ChunkError

Samples = npt.NDArray[Any]

BEFORE = "_frame_number_before_reindex"
"""What the number was where frames were counted anew: a frame, whose number may be negative now, or none."""

_CAMERA = "camera"
_DELAY = "sample_delay"


def read_signals(file: Path) -> pd.DataFrame:
    """Return all samples of a file, a row each, with what the camera said then.

    Raises ChunkError if the file is broken.
    """
    try:
        with h5py.File(file, "r") as content:
            return pd.DataFrame(_columns(content))
    except (OSError, KeyError, ValueError, TypeError, IndexError) as exc:
        raise ChunkError(f"{file} is broken ({exc})") from exc


def read_attributes(file: Path) -> dict[str, Any]:
    """Return the attributes of each dataset of a file, and as "_datasets" the names of the sampled ones.

    Raises ChunkError if the file is broken.
    """
    try:
        with h5py.File(file, "r") as content:
            found: dict[str, Any] = {name: dict(content[name].attrs) for name in content}
            found["_datasets"] = names_of(content.attrs["datasets"])
    except (OSError, KeyError, ValueError, TypeError) as exc:
        raise ChunkError(f"{file} is broken ({exc})") from exc
    return found


def _columns(content: Mapping[str, Any]) -> dict[str, Samples]:
    camera = np.asarray(content[_CAMERA])
    fields = camera.dtype.names or ()
    used = (
        camera[BEFORE if BEFORE in fields else "frame_number"] >= 0
    )  # room was made for a whole chunk, and a recording may end before
    columns: dict[str, Samples] = {}
    for name in names_of(content.attrs["datasets"]):  # type: ignore[attr-defined]  # h5py has no types
        samples = np.asarray(content[name])[..., used]
        columns.update(zip(names_of(content[name].attrs["column_names"]), samples, strict=True))
    columns.update({name: camera[name][used] for name in fields})
    if _DELAY in content:
        columns[_DELAY] = np.asarray(content[_DELAY])[used]
    return columns


def names_of(value: str | bytes) -> list[str]:
    """Return the names in a list with commas; old writers of HDF5 left bytes."""
    text = value.decode() if isinstance(value, bytes) else str(value)
    return [name.strip() for name in text.split(",")]
