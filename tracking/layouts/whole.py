"""The whole frame as one region."""

from dataclasses import dataclass

from tracking.layouts.base import Grey, Regions, frame_corners
from tracking.roi import ROI


@dataclass(frozen=True, slots=True)
class WholeFrame:
    """One region that is the frame."""

    def find(self, image: Grey) -> Regions:
        """Return the rectangle of the image."""
        return Regions([ROI(frame_corners(image.shape), 1, name="whole frame")])


WHOLE_FRAME = WholeFrame()
