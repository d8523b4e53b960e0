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

    @property
    def numbers(self) -> int | None:
        """How many numbers there are before they come again; None for no end of them."""
        return None if self.last is None else self.last - self.first + 1

    def steps(self, before: int, now: int) -> int:
        """Return how many frames `now` is after `before`; 0 or less if the device counts anew.

        A counter that wraps is taken to have gone the shorter way; whole rounds cannot be told.
        """
        if self.numbers is None:
            return now - before
        steps = (now - before) % self.numbers
        return steps if steps <= self.numbers // 2 else steps - self.numbers

    def number(self, exposure: int) -> int:
        """Return what a device says for a frame, which counts from 0."""
        return self.first + (exposure if self.numbers is None else exposure % self.numbers)


COUNTER_16_BIT = Counter(1, 65535)
"""Of GigE Vision cameras: from 1 to 65535, and 1 again."""

_LEARNT_FRAMES = 8  # from which the pace of a device is known
_NEWEST = 0.02  # how much the newest frame counts for it
_SPARE_NS = 60e9  # as old as a frame may be that waited in buffers
_HASTE = 1.5  # devices are not taken for faster than this times their pace,
_HASTE_FRAMES = 16  # and a few frames at once


class _Tempo:
    """How fast a device counts; tells frames that were lost from a count that began anew."""

    def __init__(self) -> None:
        self._period_ns = 0.0
        self._frames = 0
        self._spare_ns = 0.0  # time that passed and was not counted yet: frames that are delayed

    @property
    def known(self) -> bool:
        """Whether enough frames came to tell."""
        return self._frames >= _LEARNT_FRAMES and self._period_ns > 0

    def allows(self, steps: int, elapsed_ns: int) -> bool:
        """Return whether there was time for so many frames since the arrival of the last."""
        return steps <= _HASTE * (self._spare_ns + elapsed_ns) / self._period_ns + _HASTE_FRAMES

    def add(self, steps: int, elapsed_ns: int) -> None:
        """Learn from a frame that is `steps` after the last."""
        period_ns, weight = elapsed_ns / steps, 1 / (self._frames + 1)
        if self.known:
            spare_ns = self._spare_ns + elapsed_ns - steps * self._period_ns
            self._spare_ns = min(max(spare_ns, 0), _SPARE_NS)
            period_ns = min(max(period_ns, self._period_ns / 2), self._period_ns * 2)  # it may have stalled
            weight = max(weight, _NEWEST)
        self._period_ns += weight * (period_ns - self._period_ns)
        self._frames += 1


class Stamper:
    """Gives the frames of one camera their numbers, from 0, and their times.

    A device that counts anew, since it was unplugged or began again, is counted on from the frame before:
    how many were lost meanwhile it does not say. So is one that gives a number twice.

    Parameters
    ----------
    counter : how the device counts.
    wall : this machine's clock; None for one that is anchored now.
    """

    def __init__(self, counter: Counter | None = None, wall: WallClock | None = None) -> None:
        self._counter = counter or Counter()
        self._wall = wall or WallClock()
        self._device = DeviceClock(self._wall)
        self._tempo = _Tempo()
        self._index = 0
        self._number = -1
        self._device_number: int | None = None  # of the last frame that had one,
        self._numbered_ns = 0  # when it arrived,
        self._unnumbered = 0  # and how many came since
        self._device_ns = 0

    @property
    def wall(self) -> WallClock:
        """The clock of the frames."""
        return self._wall

    @property
    def drift(self) -> float | None:
        """How much faster the device's clock runs than this machine's; see `DeviceClock`."""
        return self._device.drift

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
        lost = self._lost_before(device_number, device_ns or 0, arrived_ns)
        self._number += 1 + lost
        index = self._index
        self._index += 1
        return CameraFrame(
            image=image,
            index=index,
            number=self._number,
            time=self._device.time_of(device_ns, arrived_ns),
            arrived_ns=arrived_ns,
            device_number=device_number,
            device_ns=device_ns,
            lost=lost,
            incomplete=incomplete,
        )

    def _lost_before(self, device_number: int | None, device_ns: int, arrived_ns: int) -> int:
        """Return how many frames the device counted that did not come."""
        began_anew = self._counter.numbers is not None and 0 < device_ns < self._device_ns
        self._device_ns = device_ns or self._device_ns
        if device_number is None:
            self._unnumbered += 1
            return 0
        lost = 0
        if self._device_number is not None and not began_anew:
            steps = self._steps(self._device_number, device_number, arrived_ns - self._numbered_ns)
            lost = max(steps - 1 - self._unnumbered, 0)
        self._device_number, self._numbered_ns, self._unnumbered = device_number, arrived_ns, 0
        return lost

    def _steps(self, before: int, now: int, elapsed_ns: int) -> int:
        """Return how many frames the device counted; 0 or less if it counts anew."""
        steps = self._counter.steps(before, now)
        if self._counter.numbers is None:
            return steps
        if self._tempo.known:
            forward = steps % self._counter.numbers
            if self._tempo.allows(forward, elapsed_ns):
                steps = forward
            elif self._tempo.allows(now - self._counter.first, elapsed_ns):
                steps = 0  # there was time for a new count, and none for so many frames
        if steps > 0:
            self._tempo.add(steps, elapsed_ns)
        return steps
