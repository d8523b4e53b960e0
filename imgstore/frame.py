"""A frame, what frames look like, and the protocols of those who give and take them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from imgstore.errors import FrameFormatError

_MOST_BYTES = 1 << 31

Image: TypeAlias = npt.NDArray[Any]
"""Rows, columns and, for colour, three channels in the order blue, green, red."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image, and which one it is.

    Attributes
    ----------
    image : array, (rows, columns) or (rows, columns, 3) in the order blue, green, red.
    index : position in its sequence, from 0. A writer gives its own and ignores this one.
    number : the camera's own count; a gap is a lost frame.
    time : seconds since the Unix epoch, start of exposure.
    """

    image: Image
    index: int
    number: int
    time: float

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Image:
        """Return the image, so that NumPy takes a frame as it is."""
        if copy:
            return np.array(self.image, dtype=dtype)
        return np.asarray(self.image, dtype=dtype)


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """Shape and dtype of all frames of a sequence.

    Attributes
    ----------
    shape : (rows, columns) or (rows, columns, channels).
    dtype : of the pixels.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any] = np.dtype(np.uint8)  # noqa: RUF009  # a dtype is immutable

    def __post_init__(self) -> None:
        shape: Sequence[int] = tuple(int(n) for n in self.shape)
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise FrameFormatError(
                f"a frame's shape is (rows, columns) or (rows, columns, channels), not {tuple(shape)}"
            )
        dtype = np.dtype(self.dtype).newbyteorder("=")
        if dtype.kind not in "uifb":
            raise FrameFormatError(f"pixels are numbers, not {dtype}")
        if math.prod(shape) * dtype.itemsize > _MOST_BYTES:
            raise FrameFormatError(f"a frame of shape {shape} would take over {_MOST_BYTES} bytes")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", dtype)

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return self.shape[0]

    @property
    def columns(self) -> int:
        """Width in pixels."""
        return self.shape[1]

    @property
    def is_colour(self) -> bool:
        """Whether a pixel is blue, green and red."""
        return len(self.shape) == 3 and self.shape[2] == 3

    def check(self, image: Image) -> None:
        """Raise FrameFormatError unless `image` has this shape and dtype."""
        if image.shape != self.shape or image.dtype.newbyteorder("=") != self.dtype:
            raise FrameFormatError(
                f"frames here are {self.dtype} of shape {self.shape}, "
                f"got {image.dtype} of shape {image.shape}"
            )


class FrameSource(Protocol):
    """Anything that yields frames in order: a store, a video, a running camera."""

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames to come."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, in order."""


class FrameSequence(FrameSource, Protocol):
    """Frames that lie still: any of them can be had at any time."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, key: int, /) -> Frame:
        """Return the frame at an index; negative ones count from the end."""

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The camera's numbers of all frames, shape (n,)."""

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The times of all frames, shape (n,), seconds since the Unix epoch."""

    def close(self) -> None:
        """Let go of all files. Closing twice is harmless."""


class FrameSink(Protocol):
    """Anything that takes frames in order: a store writer, a preview, a live tracker."""

    def append(self, frame: Frame) -> None:
        """Take the next frame."""

    def close(self) -> None:
        """Finish. Closing twice is harmless."""
