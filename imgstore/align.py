"""Loopbio's module of this name: stores that were recorded together, frame by frame."""

from collections.abc import Iterator
from functools import reduce

import numpy as np

from imgstore.errors import FrameFormatError, FrameNotFoundError, UnknownNameError
from imgstore.frame import Image
from imgstore.index import Numbers
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
        self._policy: str | None = None
        self._numbers: Numbers = np.empty(0, np.int64)

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
        merge = np.intersect1d if policy == self.MISSING_POLICY_DROP else np.union1d
        numbers = [
            np.unique(np.asarray(s.get_frame_metadata()["frame_number"], np.int64)) for s in self._stores
        ]
        self._numbers = reduce(merge, numbers)
        self._policy = policy
        return self._numbers

    def iter_imgs(self, return_times: bool = False) -> Iterator[Aligned]:
        """Yield each number with an image from every store, and with `return_times` their times.

        A time is NaN where the store has no such frame. Raises ValueError before `extract_common_frames`.
        """
        if self._policy is None:
            raise FrameNotFoundError("call extract_common_frames first")
        blacks = [np.zeros(self._shape, store.image_dtype) for store in self._stores]
        shown = list(blacks)
        for number in self._numbers.tolist():
            times = []
            for place, store in enumerate(self._stores):
                image, time = self._frame(store, number)
                if image is not None:
                    shown[place] = image
                elif self._policy == self.MISSING_POLICY_BLACK:
                    shown[place] = blacks[place]
                times.append(time)
            yield (number, [*shown], times) if return_times else (number, [*shown])

    @staticmethod
    def _frame(store: ImgStore, number: int) -> tuple[Image | None, float]:
        try:
            image, (_, time) = store.get_image(number)
        except FrameNotFoundError:
            return None, np.nan
        return image, time
