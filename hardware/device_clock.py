"""Unix time of what a device stamps by a clock of its own."""

from hardware.clock import WallClock

_NS = 1_000_000_000


class DeviceClock:
    """Maps a device's own time to Unix time.

    Parameters
    ----------
    wall : this machine's clock.
    """

    def __init__(self, wall: WallClock) -> None:
        self._wall = wall
        self._offset_ns: int | None = None

    def time_of(self, device_ns: int, arrived_ns: int) -> float:
        """Return the Unix time of a frame, in seconds.

        Parameters
        ----------
        device_ns : by the device's clock.
        arrived_ns : when it arrived here, by the monotonic clock.
        """
        offset = arrived_ns - device_ns
        if self._offset_ns is None or offset < self._offset_ns:
            self._offset_ns = offset
        return self._wall.at(device_ns + self._offset_ns)
