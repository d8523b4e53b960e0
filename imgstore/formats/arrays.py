"""A folder per chunk, a NumPy file per image: any dtype and shape, bit for bit."""

from io import BytesIO

import numpy as np

from imgstore.formats.images import FolderFormat
from imgstore.frame import FrameSpec, Image


def _encode(image: Image) -> bytes:
    file = BytesIO()
    np.save(file, image, allow_pickle=False)
    return file.getvalue()


def _decode(data: bytes, spec: FrameSpec) -> Image:
    return np.asarray(np.load(BytesIO(data), allow_pickle=False))


def _check(spec: FrameSpec) -> None:
    """Every spec will do."""


NPY = FolderFormat(".npy", True, _encode, _decode, _check)
