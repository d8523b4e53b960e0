"""What of an image is read: all of it, or a part, smaller, or in grey."""

from dataclasses import dataclass
from operator import index

import cv2
import numpy as np

from imgstore.errors import FrameFormatError
from imgstore.frame import FrameSpec, Image

Crop = tuple[int, int, int, int]
"""x and y of the upper left corner, width and height, in pixels."""

_SCALABLE = ("uint8", "uint16", "int16", "float32", "float64")  # by OpenCV
_TO_GREY = ("uint8", "uint16", "float32")
_LARGEST_SCALE = 8.0


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How images are read: cropped, then scaled, then made grey.

    Attributes
    ----------
    grey : one channel instead of three.
    crop : the part that is read, None for all.
    scale : of both sides; below 1 pixels are averaged over their area.
    """

    grey: bool = False
    crop: Crop | None = None
    scale: float = 1.0

    def spec(self, spec: FrameSpec) -> FrameSpec:
        """Return what frames of `spec` are when they are read so.

        Raises FrameFormatError if they cannot be.
        """
        try:
            x, y, width, height = map(index, self.crop or (0, 0, spec.columns, spec.rows))
        except (TypeError, ValueError) as exc:
            raise FrameFormatError(
                f"crop is x, y, width, height, whole numbers of pixels, got {self.crop!r}"
            ) from exc
        if min(x, y) < 0 or min(width, height) < 1 or x + width > spec.columns or y + height > spec.rows:
            raise FrameFormatError(
                f"crop is x, y, width, height within frames of {spec.columns}x{spec.rows}, got {self.crop}"
            )
        if not 0 < self.scale <= _LARGEST_SCALE:
            raise FrameFormatError(f"scale is above 0 and at most {_LARGEST_SCALE:g}, got {self.scale!r}")
        if self.scale != 1 and spec.dtype.name not in _SCALABLE:
            raise FrameFormatError(f"frames of {spec.dtype} cannot be scaled, those of {_SCALABLE} can")
        makes_grey = self.grey and len(spec.shape) == 3
        if makes_grey and (not spec.is_colour or spec.dtype.name not in _TO_GREY):
            raise FrameFormatError(f"frames of {spec.dtype} of shape {spec.shape} cannot be made grey")
        channels = () if makes_grey else spec.shape[2:]
        return FrameSpec((*self._scaled(height, width), *channels), spec.dtype)

    def apply(self, image: Image) -> Image:
        """Return an image read so; a view of `image` where that does."""
        image = self.resize(self.cut(image))
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if self.grey and image.ndim == 3 else image

    def cut(self, image: Image) -> Image:
        """Return the part of an image that is read, as a view."""
        if self.crop is None:
            return image
        x, y, width, height = self.crop
        return image[y : y + height, x : x + width]

    def resize(self, image: Image) -> Image:
        """Return an image scaled."""
        rows, columns = self._scaled(*image.shape[:2])
        if (rows, columns) == image.shape[:2]:
            return image
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (columns, rows), interpolation=how)).reshape(
            rows, columns, *image.shape[2:]
        )

    def _scaled(self, rows: int, columns: int) -> tuple[int, int]:
        return max(1, round(rows * self.scale)), max(1, round(columns * self.scale))


AS_STORED = ReadOptions()
"""The images as they were appended."""
