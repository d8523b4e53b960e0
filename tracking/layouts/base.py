"""What a layout gives: the regions of a frame."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tracking.roi import ROI

Grey = npt.NDArray[np.uint8]


def _no_targets() -> npt.NDArray[np.float64]:
    return np.empty((0, 2))


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one recording.

    Attributes
    ----------
    rois : in the order of their numbers.
    targets : what they hang on, shape (n, 2), x then y; empty if on nothing.
    mm_per_pixel : the scale of the picture; None if it is not known.
    notes : what people should know of how they were found; whole sentences.
    """

    rois: list[ROI]
    targets: npt.NDArray[np.float64] = field(default_factory=_no_targets)
    mm_per_pixel: float | None = None
    notes: tuple[str, ...] = ()


class Layout(Protocol):
    """A way to find the regions of a frame."""

    def find(self, image: Grey) -> Regions:
        """Return the regions of a grey image, (rows, columns).

        Raises LayoutError, saying what was seen, if they cannot be found.
        """


def frame_corners(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return the corners of a frame of (rows, columns): upper left, upper right, lower right, lower left.

    Pixels have their centres at whole numbers.
    """
    right, bottom = shape[1] - 1, shape[0] - 1
    return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], np.float64)
