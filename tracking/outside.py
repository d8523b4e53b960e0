"""Detectors that users bring: Python functions, and networks in ONNX files."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Image, ensure_grayscale
from tracking.errors import DetectorError

Detector: TypeAlias = Callable[[Image], npt.ArrayLike]
"""Gets an image, (rows, columns) or (rows, columns, 3); returns rows of x, y or x, y, score in its pixels."""

_HOW = "package.module:function, file.py:function or file.onnx"


def load_detector(where: str, size: tuple[int, int] = (0, 0)) -> Detector:
    """Return the detector that a name says. What is named is run: name only what you trust.

    A network gets images of shape (1, channels, rows, columns), 0 to 1, one channel for grey. What it returns
    is either maps, (1, maps, rows, columns), the highest place of each of which is a point with the height
    as its score; or rows of x, y, or x, y, score, in pixels of its input.

    Parameters
    ----------
    where : package.module:function, file.py:function, or file.onnx.
    size : width and height to which images are scaled for a network; 0 to leave them.

    Raises
    ------
    DetectorError
        There is no such thing.
    """
    if where.lower().endswith(".onnx"):
        return _Network(where, size)
    place, _, name = where.rpartition(":")
    if not (place and name):
        raise DetectorError(f"the setting detector is {_HOW}, got {where!r}")
    function = getattr(_load_module(place), name, None)
    if not callable(function):
        raise DetectorError(f"there is no function {name!r} in {place}")
    return cast("Detector", function)


def _load_module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return import_module(place)
        except ModuleNotFoundError as exc:
            raise DetectorError(f"there is no module {place!r} ({exc}); the detector is {_HOW}") from exc
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise DetectorError(f"there is no file {path}; the detector is {_HOW}")
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DetectorError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look for it there
    spec.loader.exec_module(module)
    return module


class _Network:
    """A network that OpenCV runs on the processor."""

    def __init__(self, where: str, size: tuple[int, int]) -> None:
        path = Path(where).expanduser()
        if not path.is_file():
            raise DetectorError(f"there is no file {path}; the detector is {_HOW}")
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as exc:
            raise DetectorError(f"OpenCV cannot read the network {path}: {_first_line(exc)}") from exc
        self._path = path
        self._size = size

    def __call__(self, image: Image) -> npt.ArrayLike:
        rows, columns = image.shape[:2]
        width, height = self._size[0] or columns, self._size[1] or rows
        pixels = image if image.ndim == 3 and image.shape[2] == 3 else ensure_grayscale(image)
        most = (
            255.0
            if pixels.dtype == np.uint8
            else float(np.iinfo(pixels.dtype).max)
            if pixels.dtype.kind == "u"
            else 1.0
        )
        blob = cv2.dnn.blobFromImage(pixels.astype(np.float32), 1 / most, (width, height))
        try:
            self._net.setInput(blob)
            output = np.asarray(self._net.forward(), np.float64)
        except cv2.error as exc:
            raise DetectorError(
                f"the network {self._path} does not take images of shape {blob.shape}: {_first_line(exc)}"
            ) from exc
        points = _peaks(output, (width, height)) if output.ndim == 4 else output.reshape(-1, output.shape[-1])
        return _scaled(points, columns / width, rows / height)


def _peaks(maps: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return x, y, score of the highest place of each map, in pixels of the network's input."""
    found = []
    for one in maps.reshape(-1, *maps.shape[-2:]):
        row, column = np.unravel_index(int(np.argmax(one)), one.shape)
        rows, columns = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
        weights = np.maximum(one[rows, columns], 0) + 1e-12
        y, x = np.mgrid[
            rows.start : rows.start + weights.shape[0], columns.start : columns.start + weights.shape[1]
        ]
        x, y = (float((axis * weights).sum() / weights.sum()) for axis in (x, y))
        wide, high = size[0] / one.shape[1], size[1] / one.shape[0]
        found.append(((x + 0.5) * wide - 0.5, (y + 0.5) * high - 0.5, one[row, column]))
    return np.array(found)


def _scaled(points: npt.NDArray[np.float64], wide: float, high: float) -> npt.NDArray[np.float64]:
    """Return points of a scaled image in pixels of the image before."""
    points = points.copy()
    points[:, 0] = (points[:, 0] + 0.5) * wide - 0.5
    points[:, 1] = (points[:, 1] + 0.5) * high - 0.5
    return points


def _first_line(exc: cv2.error) -> str:
    return (str(exc).strip().splitlines() or ["unknown error"])[0]
