"""Part of a sequence of frames, and the indexing that makes one."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeGuard, runtime_checkable

import numpy as np
import numpy.typing as npt

from imgstore.errors import FrameIndexError
from imgstore.frame import Frame, FrameSequence, FrameSpec, Image
from imgstore.index import Numbers, Times

Selection: TypeAlias = Sequence[int] | Sequence[bool] | npt.NDArray[Any] | tuple[Any, ...]
"""What picks several frames other than a slice; a tuple also picks pixels, as in NumPy."""


def select(frames: FrameSequence, key: slice | Selection) -> "FrameView | Image":
    """Return the frames that `key` picks: a lazy view for a slice, an array of images for anything else.

    Frames are read in the order in which they lie, whatever the order asked for.

    Returns
    -------
    A `FrameView`, or an array of shape (n, rows, columns[, 3]).
    """
    if isinstance(key, slice):
        return FrameView(frames, range(*key.indices(len(frames))))
    if isinstance(key, tuple):
        return _pick_pixels(frames, key)
    return read_images(frames, _as_indices(key, len(frames)))


def read_images(frames: FrameSequence, indices: npt.NDArray[np.int64] | range) -> Image:
    """Return the images at `indices`, in that order, shape (n, rows, columns[, 3])."""
    images = np.empty((len(indices), *frames.spec.shape), frames.spec.dtype)
    wanted, places = np.unique(np.asarray(indices, np.int64), return_inverse=True)
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(len(wanted) + 1))
    for rank, frame in enumerate(frames_at(frames, wanted.tolist())):
        images[order[starts[rank] : starts[rank + 1]]] = frame.image
    return images


@runtime_checkable
class ReadsAhead(Protocol):
    """A sequence of frames that can decode some ahead of who takes them."""

    def read_ahead(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames at `indices`, in that order."""


@runtime_checkable
class ReadsNear(Protocol):
    """A sequence of frames of which some take less to decode than others."""

    def near(self, index: int, within: int) -> Frame:
        """Return the frame at `index` or, if that takes less, one at most `within` frames away."""


def frame_near(frames: FrameSequence, index: int, within: int) -> Frame:
    """Return the frame at `index` or, if that takes less to decode, one at most `within` frames away."""
    return frames.near(index, within) if isinstance(frames, ReadsNear) else frames[index]


def frames_at(frames: FrameSequence, indices: Sequence[int]) -> Iterator[Frame]:
    """Yield the frames at `indices`, in that order, read ahead where that can be."""
    if isinstance(frames, ReadsAhead):
        return frames.read_ahead(indices)
    return (frames[index] for index in indices)


def problems_of(frames: FrameSequence) -> tuple[str, ...]:
    """Return what a recording says is missing or broken in it; a plain video says nothing."""
    return tuple(getattr(frames, "problems", ()))


class FrameView:
    """Some frames of a sequence, themselves a sequence; nothing is read before it is asked for.

    Frames keep the index that they have in the whole. Made by slicing.

    Parameters
    ----------
    frames : the whole.
    indices : of the frames in the view.
    """

    def __init__(self, frames: FrameSequence, indices: range) -> None:
        self._frames = frames
        self._indices = indices

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of a frame."""
        return self._frames.spec

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, rows, columns) or (frames, rows, columns, 3)."""
        return (len(self), *self.spec.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes: 3 for grey, 4 for colour."""
        return len(self.shape)

    @property
    def numbers(self) -> Numbers:
        """The camera's numbers, shape (n,)."""
        return self._frames.numbers[np.asarray(self._indices, np.int64)]

    @property
    def times(self) -> Times:
        """The times, shape (n,), seconds since the Unix epoch."""
        return self._frames.times[np.asarray(self._indices, np.int64)]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, key: Any) -> Any:
        """Return a Frame for an integer, else see `select`."""
        if is_integer(key):
            try:
                return self._frames[self._indices[int(key)]]
            except IndexError:
                raise FrameIndexError(f"there is no frame at {key}: the view holds {len(self)}") from None
        if isinstance(key, slice):
            return FrameView(self._frames, self._indices[key])
        return select(self, key)

    def __iter__(self) -> Iterator[Frame]:
        return frames_at(self._frames, self._indices)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Image:
        """Return all images, shape (n, rows, columns[, 3])."""
        return np.asarray(read_images(self._frames, self._indices), dtype=dtype)

    def close(self) -> None:
        """Do nothing: the files are the whole's."""


def is_integer(key: object) -> TypeGuard[int]:
    """Say whether a key picks one frame; True and False do not."""
    return isinstance(key, int | np.integer) and not isinstance(key, bool)


def _as_indices(key: Sequence[Any] | npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    keys = np.asarray(key)
    if keys.size == 0:
        return np.empty(0, np.int64)
    if keys.dtype.kind not in "bui" or keys.ndim != 1:
        raise TypeError(
            f"frames are picked by integers, slices, or one-dimensional lists of them, not by {key!r}"
        )
    if keys.dtype.kind == "b":
        if len(keys) != count:
            raise FrameIndexError(f"a boolean index has a value per frame, {count}, not {len(keys)}")
        return np.flatnonzero(keys).astype(np.int64)
    keys = keys.astype(np.int64)
    indices = np.where(keys < 0, keys + count, keys)
    outside = keys[(indices < 0) | (indices >= count)]
    if len(outside):
        raise FrameIndexError(f"there is no frame at index {outside[0]}: there are {count} frames")
    return indices


def _pick_pixels(frames: FrameSequence, key: tuple[Any, ...]) -> Image:
    if not key:
        return np.asarray(select(frames, slice(None)))
    first, rest = key[0], key[1:]
    if first is Ellipsis:
        first, rest = slice(None), key if len(key) > 1 else ()
    if is_integer(first):
        return np.asarray(frames[int(first)].image[rest])
    return np.asarray(select(frames, first))[(slice(None), *rest)]
