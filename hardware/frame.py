"""A frame as a camera gives it: with the device's own count and time, and the moment when it came."""

from dataclasses import dataclass

from imgstore import Frame


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrame(Frame):
    """A frame, and what its camera and this machine know of it.

    Attributes
    ----------
    arrived_ns : when its buffer arrived, in nanoseconds of this machine's monotonic clock.
    device_number : the device's own count, as it said it; None if it keeps none.
    device_ns : the device's own time of the frame, in nanoseconds of its own clock; None if it keeps none.
    lost : how many frames the device counted since the one before, which did not come.
    incomplete : whether parts of the image are missing; such a frame is written down as lost, not recorded.
    """

    arrived_ns: int
    device_number: int | None = None
    device_ns: int | None = None
    lost: int = 0
    incomplete: bool = False
