"""Number and time of frames, from what their device says of them."""

from dataclasses import dataclass

from hardware.clock import WallClock
from hardware.device_clock import DeviceClock
from hardware.frame import CameraFrame
from imgstore import Image


@dataclass(frozen=True, slots=True)
class Counter:
    """How a device counts its frames.

    Attributes
    ----------
    first : the lowest number that it gives. GigE Vision cameras never give 0.
    last : the highest, after which comes `first`; None if it never gets there.
    """

    first: int = 0
    last: int | None = None

    def steps(self, before: int, now: int) -> int:
        """Return how many frames `now` is after `before`; 0 or less if the device counts anew."""
        if self.last is None:
            return now - before
        period = self.last - self.first + 1
        steps = (now - before) % period
        return steps if steps <= period // 2 else steps - period


COUNTER_16_BIT = Counter(1, 65535)
"""Of GigE Vision cameras: from 1 to 65535, and 1 again."""


class Stamper:
    """Gives the frames of one camera their numbers, from 0, and their times.

    A device that counts anew, since it was unplugged or began again, is counted on from the frame before:
    how many were lost meanwhile it does not say.

    Parameters
    ----------
    counter : how the device counts.
    """

    def __init__(self, counter: Counter | None = None) -> None:
        self._counter = counter or Counter()
        self._wall = WallClock()
        self._device = DeviceClock(self._wall)
        self._index = 0
        self._number = -1
        self._device_number: int | None = None

    @property
    def wall(self) -> WallClock:
        """The clock of the frames."""
        return self._wall

    def stamp(
        self,
        image: Image,
        arrived_ns: int,
        *,
        device_number: int | None = None,
        device_ns: int | None = None,
        incomplete: bool = False,
    ) -> CameraFrame:
        """Return the next frame; see `CameraFrame` for what is known of it."""
        lost = self._lost_before(device_number)
        self._number += 1 + lost
        index = self._index
        self._index += 1
        moment = (
            self._wall.at(arrived_ns) if device_ns is None else self._device.time_of(device_ns, arrived_ns)
        )
        return CameraFrame(
            image=image,
            index=index,
            number=self._number,
            time=moment,
            arrived_ns=arrived_ns,
            device_number=device_number,
            device_ns=device_ns,
            lost=lost,
            incomplete=incomplete,
        )

    def _lost_before(self, device_number: int | None) -> int:
        before, self._device_number = self._device_number, device_number
        if before is None or device_number is None:
            return 0
        return max(self._counter.steps(before, device_number) - 1, 0)
