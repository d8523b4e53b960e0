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
    """

    rois: list[ROI]
    targets: npt.NDArray[np.float64] = field(default_factory=_no_targets)
    mm_per_pixel: float | None = None


class Layout(Protocol):
    """A way to find the regions of a frame."""

    def find(self, image: Grey) -> Regions:
        """Return the regions of a grey image, (rows, columns).

        Raises LayoutError, saying what was seen, if they cannot be found.
        """
