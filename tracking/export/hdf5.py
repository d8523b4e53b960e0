"""Tables of HDF5 files with a row, or a column, for each frame."""

import h5py
import numpy as np

_CHUNK = 4096  # frames


def make_table(
    parent: h5py.Group, name: str, shape: tuple[int, ...], dtype: str, *, axis: int = 0
) -> h5py.Dataset:
    """Make a compressed data set whose `axis` counts frames; NaN, or -1 of integers, until it is filled."""
    chunks = (*shape[:axis], min(_CHUNK, shape[axis]), *shape[axis + 1 :])
    if not shape[axis]:
        return parent.create_dataset(name, shape, dtype)  # nothing has no chunks
    fill = np.nan if np.dtype(dtype).kind == "f" else -1 if np.dtype(dtype).kind == "i" else 0
    return parent.create_dataset(
        name, shape, dtype, chunks=chunks, fillvalue=fill, compression="gzip", shuffle=True
    )
