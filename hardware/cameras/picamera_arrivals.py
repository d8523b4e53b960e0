"""What a Raspberry Pi's camera hands over on a thread of its own, made into frames for the reader's."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from queue import Empty, Queue
from typing import Any

from hardware.cameras.picamera_library import CompletedRequest
from hardware.errors import CameraTimeoutError, CaptureError
from hardware.frame import CameraFrame
from hardware.stamper import Counter, Stamper
from imgstore import Image

_SAME_CLOCK_NS = 1_000_000_000
_COUNTER = Counter(0, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame as it came.

    Attributes
    ----------
    count : how many the camera had taken before, as far as is known.
    """

    image: Image
    count: int
    arrived_ns: int
    sequence: int
    metadata: Mapping[str, Any]


class Arrivals:
    """Hands frames from Picamera2's thread to the reader's.

    Parameters
    ----------
    frames : how many may wait.
    """

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._queue: Queue[Arrival | Exception] = Queue()
        self._count = FrameCount()
        self._failed = False

    def receive(self, request: CompletedRequest, take: Callable[[], Image]) -> None:
        """Take the image of a request, unless too many wait already; called for every request.

        It does not raise: that would end Picamera2's thread, and nobody would hear of it.
        """
        arrived_ns = time.monotonic_ns()
        if self._failed:
            return
        try:
            metadata = request.get_metadata()
            sequence = next(iter(request.request.buffers.values())).metadata.sequence
            count = self._count.next(sequence, metadata)
            if self._queue.qsize() < self._frames:
                self._queue.put(Arrival(take(), count, arrived_ns, sequence, metadata))
        except Exception as exc:  # noqa: BLE001  # raised where the frame is read
            self._failed = True
            self._queue.put(exc.with_traceback(None))  # which would hold the buffer

    def get_first(self, name: str, timeout: float) -> Arrival:
        """Return the first frame. Raises CaptureError if there is none in good time."""
        try:
            return self.get(name, timeout)
        except CameraTimeoutError as exc:
            raise CaptureError(
                f"{name} is there and gives no frames ({timeout:g} s); check that its cable sits straight "
                "in both connectors, then start it again"
            ) from exc

    def get(self, name: str, timeout: float) -> Arrival:
        """Return the next frame. Raises CameraTimeoutError, CaptureError."""
        try:
            arrival = self._queue.get(timeout=max(timeout, 0))
        except Empty:
            raise CameraTimeoutError(
                f"{name} gave no frame within {timeout:.3g} s; check its cable"
            ) from None
        if isinstance(arrival, Exception):
            raise CaptureError(f"a frame of {name} could not be taken ({arrival})") from arrival
        return arrival


class FrameCount:
    """Counts the frames that a camera took, those that did not come as well: by sequence, and by time."""

    def __init__(self) -> None:
        self._count = -1
        self._sequence: int | None = None
        self._sensor_ns: int | None = None
        self._duration_ns = 0

    def next(self, sequence: int, metadata: Mapping[str, Any]) -> int:
        """Return how many frames were taken before this one."""
        sensor_ns = metadata.get("SensorTimestamp")
        duration_ns = 1000 * metadata.get("FrameDuration", 0)
        steps = 1 if self._sequence is None else max(1, _COUNTER.steps(self._sequence, sequence))
        longest_ns = max(duration_ns, self._duration_ns)  # it may just have been changed
        if sensor_ns is not None and self._sensor_ns is not None and longest_ns:
            steps = max(steps, round((sensor_ns - self._sensor_ns) / longest_ns))
        self._sequence, self._sensor_ns, self._duration_ns = sequence, sensor_ns, duration_ns
        self._count += steps
        return self._count


class FrameTimer:
    """Gives the frames of one run their numbers and times."""

    def __init__(self) -> None:
        self._stamper = Stamper()
        self._ahead_ns: int | None = None
        self._is_known = False

    def stamp(self, arrival: Arrival) -> CameraFrame:
        """Return the frame that came."""
        sensor_ns = arrival.metadata.get("SensorTimestamp")
        if sensor_ns is not None and not self._is_known:
            self._ahead_ns, self._is_known = _ahead_ns(sensor_ns, arrival.arrived_ns), True
        frame = self._stamper.stamp(
            arrival.image,
            arrival.arrived_ns,
            device_number=arrival.count,
            device_ns=None if self._ahead_ns is not None else sensor_ns,
        )
        moment = frame.time
        if sensor_ns is not None:
            if self._ahead_ns is not None:
                moment = self._stamper.wall.at(sensor_ns - self._ahead_ns)
            moment -= arrival.metadata.get("ExposureTime", 0) / 1e6
        return replace(frame, time=moment, device_number=arrival.sequence, device_ns=sensor_ns)


def _ahead_ns(sensor_ns: int, arrived_ns: int) -> int | None:
    """Return by how much the camera's clock is ahead of the monotonic one; None if it is another clock."""
    suspended = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it
    ahead = [0]
    if suspended is not None:
        ahead.append(time.clock_gettime_ns(suspended) - time.monotonic_ns())
    near = [one for one in ahead if abs(sensor_ns - one - arrived_ns) <= _SAME_CLOCK_NS]
    return near[0] if near else None
