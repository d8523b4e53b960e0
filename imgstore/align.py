"""Loopbio's module of this name: stores that were recorded together, frame by frame."""

from collections.abc import Iterator

import numpy as np

from imgstore.errors import FrameFormatError, FrameNotFoundError, UnknownNameError
from imgstore.frame import Image
from imgstore.index import Numbers
from imgstore.matching import NONE, Indices, apply_policy, match_numbers
from imgstore.stores import ImgStore

Aligned = tuple[int, list[Image]] | tuple[int, list[Image], list[float]]


class StoreAligner:
    """Gives the frames of several stores that have the same number.

    Parameters
    ----------
    stores : open for reading, with images of the same shape.

    Raises ValueError if there are none, or their images differ in shape.
    """

    MISSING_POLICY_DROP = "drop"
    MISSING_POLICY_HOLD = "zoh"
    MISSING_POLICY_BLACK = "black"

    def __init__(self, *stores: ImgStore) -> None:
        shapes = {tuple(store.image_shape) for store in stores}
        if len(shapes) != 1:
            raise FrameFormatError(f"stores to align have images of one shape, not of {sorted(shapes)}")
        self._stores = stores
        self._shape = shapes.pop()
        self._numbers: Numbers | None = None
        self._frames: list[Indices] = []
        self._holds = False

    def extract_common_frames(self, policy: str) -> Numbers:
        """Return the numbers that `iter_imgs` is to give, in order, and remember them.

        Parameters
        ----------
        policy : "drop" for those that every store has; "zoh" and "black" for those that any store has. What
            a store lacks is then its last image ("zoh", black before its first), or black.

        Raises ValueError for any other policy.
        """
        known = (self.MISSING_POLICY_DROP, self.MISSING_POLICY_HOLD, self.MISSING_POLICY_BLACK)
        if policy not in known:
            raise UnknownNameError("policy", policy, known)
        stored = [np.asarray(store.get_frame_metadata()["frame_number"], np.int64) for store in self._stores]
        every, frames = match_numbers(stored)
        rows, _ = apply_policy(frames, "drop" if policy == self.MISSING_POLICY_DROP else "black")
        self._numbers = every[rows]
        self._frames = [column[rows] for column in frames]
        self._holds = policy == self.MISSING_POLICY_HOLD
        return self._numbers

    def iter_imgs(self, return_times: bool = False) -> Iterator[Aligned]:
        """Yield each number with an image from every store, and with `return_times` their times.

        A time is NaN where the store has no such frame. Raises ValueError before `extract_common_frames`.
        """
        if self._numbers is None:
            raise FrameNotFoundError("call extract_common_frames first")
        images = [np.zeros(self._shape, store.image_dtype) for store in self._stores]
        for row, number in enumerate(self._numbers.tolist()):
            times = [np.nan for _ in self._stores]
            for place, (store, frames) in enumerate(zip(self._stores, self._frames, strict=True)):
                if frames[row] != NONE:
                    images[place], (_, times[place]) = store.get_image(None, frame_index=frames[row])
                elif not self._holds:
                    images[place] = np.zeros(self._shape, store.image_dtype)
            yield (number, [*images], times) if return_times else (number, [*images])
