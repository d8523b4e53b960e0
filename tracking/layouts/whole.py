"""The whole frame as one region."""

from dataclasses import dataclass

import numpy as np

from tracking.layouts.base import Grey, Regions
from tracking.roi import ROI


@dataclass(frozen=True, slots=True)
class WholeFrame:
    """One region that is the frame."""

    def find(self, image: Grey) -> Regions:
        """Return the rectangle of the image."""
        right, bottom = image.shape[1] - 1, image.shape[0] - 1
        corners = np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], np.float64)
        return Regions([ROI(corners, 1, name="whole frame")])


WHOLE_FRAME = WholeFrame()
