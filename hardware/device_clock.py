"""Unix time of what a device stamps by a clock of its own."""

from hardware.clock import WallClock
from hardware.envelope import Envelope

_LEAST_STEP_NS = 1000  # Unix times as floats hold no less than 240

_SLEW = 1e-3  # seconds a second by which times are brought to a better fit
_SLEW_TIME_NS = 5e9  # an error that is large goes down to a third within this
_SLEW_MOST = 0.5

_EARLY_NS = 20_000_000  # a frame cannot come before it was exposed: then the clock was set
_EARLY_PART = 1e-3  # of the time without frames, in which the fit may have gone astray
_LATE_NS = 250_000_000  # if all frames of
_LATE_FOR_NS = 60_000_000_000  # this time are later than that, the clock was set, too
_BACK_NS = 250_000_000  # time that would run back by more tells the same


class DeviceClock:
    """Maps a device's own time to Unix time.

    Frames arrive late by an unknown time, sometimes a long one, and never early. So device time plus offset
    plus drift is the line below all arrivals, of the last minutes. It is refined as frames come; the times
    given follow without a jump, never run back and are never later than the arrival. A delay that all
    frames have in common cannot be seen, and is part of the time.

    A device that sets its clock is fitted anew. One whose clock stands still, or is 0, has the times of
    arrival.

    Parameters
    ----------
    wall : this machine's clock.
    """

    def __init__(self, wall: WallClock) -> None:
        self._wall = wall
        self._envelope: Envelope | None = None
        self._device_ns = 0  # of the last frame, by its clock,
        self._slewed_ns = 0  # and by ours
        self._late_since_ns: int | None = None
        self._given_ns: int | None = None

    @property
    def drift(self) -> float | None:
        """How much faster the device's clock runs than this machine's: 20e-6 gains 20 us a second.

        None as long as nothing is known of it.
        """
        return None if self._envelope is None else -self._envelope.slope

    def time_of(self, device_ns: int | None, arrived_ns: int) -> float:
        """Return the Unix time of a frame, in seconds; call it once for every frame, in order.

        Parameters
        ----------
        device_ns : by the device's clock; None or 0 if it does not say.
        arrived_ns : when it arrived here, by the monotonic clock.
        """
        moment = arrived_ns
        if device_ns and (self._envelope is None or device_ns != self._device_ns):
            moment = self._follow(device_ns, arrived_ns)
        if self._given_ns is not None:
            moment = max(moment, self._given_ns + _LEAST_STEP_NS)
        self._given_ns = moment
        return self._wall.at(moment)

    def _follow(self, device_ns: int, arrived_ns: int) -> int:
        """Return when by our clock a frame was exposed that has a time."""
        if self._envelope is None or self._was_set(self._envelope, device_ns, arrived_ns):
            moment = self._begin(device_ns, arrived_ns)
        else:
            self._envelope.add(device_ns, arrived_ns - device_ns)
            moment = min(self._slew(self._envelope, device_ns), arrived_ns)
            if self._given_ns is not None and moment < self._given_ns - _BACK_NS:
                moment = self._begin(device_ns, arrived_ns)
        self._device_ns, self._slewed_ns = device_ns, moment
        return moment

    def _begin(self, device_ns: int, arrived_ns: int) -> int:
        self._envelope = Envelope(device_ns, arrived_ns - device_ns)
        self._late_since_ns = None
        return arrived_ns

    def _was_set(self, envelope: Envelope, device_ns: int, arrived_ns: int) -> bool:
        """Return whether a frame shows that the device's clock was set since the last."""
        passed = device_ns - self._device_ns
        delay = arrived_ns - device_ns - envelope.at(device_ns)
        if delay <= _LATE_NS:
            self._late_since_ns = None
        elif self._late_since_ns is None:
            self._late_since_ns = arrived_ns
        late_for = 0 if self._late_since_ns is None else arrived_ns - self._late_since_ns
        return passed < 0 or delay < -(_EARLY_NS + _EARLY_PART * passed) or late_for > _LATE_FOR_NS

    def _slew(self, envelope: Envelope, device_ns: int) -> int:
        """Return when the frame was exposed, part of the way from how it was reckoned to how it now is."""
        error = self._slewed_ns - self._device_ns - envelope.at(self._device_ns)
        rate = min(max(_SLEW, abs(error) / _SLEW_TIME_NS), _SLEW_MOST)
        slewed = min(rate * (device_ns - self._device_ns), abs(error))
        error += round(-slewed if error > 0 else slewed)
        return device_ns + envelope.at(device_ns) + error
