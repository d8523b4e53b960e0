"""Machine-vision cameras: a device with nodes and a stream of buffers, whoever's library drives it."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Protocol, TypeAlias

import numpy as np

from hardware.camera import CameraIdentity, CameraSettings
from hardware.errors import CameraStateError, CaptureError, SettingError
from hardware.frame import CameraFrame
from hardware.nodes import NodeMap, get_node
from hardware.options import about, parse_options
from hardware.pixels import PixelFormat, decode
from hardware.sfnc import RATE_NODES, NodeOptions, read_main_nodes, set_up
from hardware.stamper import Counter, Stamper
from imgstore import FrameSpec, Image

_BUFFER_MEMORY = 256 << 20  # bytes, if nobody says how many buffers there are
_TRIGGER_PATIENCE_S = 2.0  # after which a frame that was asked for and did not come is asked for again
_FEWEST_BUFFERS, _MOST_BUFFERS = 8, 64


@dataclass(frozen=True, slots=True)
class Delivery:
    """A buffer that arrived. Its bytes are the library's, until it is given back.

    Attributes
    ----------
    handle : what is given back.
    data : the bytes, from the first pixel on.
    filled : how many of them came.
    size : (rows, columns) of the image; None if the buffer does not say.
    padding : bytes after each row.
    complete : whether nothing of it is missing.
    frame_id, device_ns : the device's own count and time; None if it keeps none.
    arrived_ns : by this machine's monotonic clock.
    """

    handle: object
    data: memoryview
    filled: int
    size: tuple[int, int] | None
    padding: int
    complete: bool
    frame_id: int | None
    device_ns: int | None
    arrived_ns: int


class VisionDevice(Protocol):
    """A device that is open for this process alone."""

    @property
    def nodes(self) -> NodeMap:
        """What it can be told."""

    @property
    def counter(self) -> Counter:
        """How it counts its frames."""

    def start(self, buffers: int | None) -> None:
        """Begin to acquire; None for as many buffers as are good. Raises CaptureError."""

    def trigger(self, timeout: float) -> None:
        """Ask for one frame, once the device is ready for it. Raises CaptureError, CameraTimeoutError."""

    def wait(self, timeout: float) -> Delivery:
        """Return the next buffer, complete or not. Raises CameraTimeoutError, CaptureError."""

    def give_back(self, delivery: Delivery) -> None:
        """Let a buffer be filled again. Raises CaptureError."""

    def close(self) -> None:
        """Stop acquiring, and let go of the device."""


DeviceOpener: TypeAlias = Callable[[], VisionDevice]
"""Opens a device. Raises CameraNotFoundError."""


@dataclass(frozen=True, slots=True)
class VisionOptions(NodeOptions):
    """What any machine-vision camera can be told besides size and rate."""

    buffers: int | None = field(
        default=None,
        metadata=about(
            "buffers for frames that nobody has read yet", values="from 1", default="8 to 64, up to 256 MB"
        ),
    )

    def __post_init__(self) -> None:
        if self.buffers is not None and self.buffers < 1:
            raise SettingError(f"buffers are at least one, not {self.buffers}")


@dataclass(frozen=True, slots=True)
class GenICamOptions(VisionOptions):
    """What a camera with a GenTL producer can be told, too. It lies here, where no library is needed."""

    producer: str | None = field(
        default=None,
        metadata=about(
            "producer to use", values="path of a .cti file", default="all in GENICAM_GENTL64_PATH"
        ),
    )


def default_buffers(size: int) -> int:
    """Return how many buffers of `size` bytes are good, if nobody says."""
    return max(_FEWEST_BUFFERS, min(_MOST_BUFFERS, _BUFFER_MEMORY // max(size, 1)))


def split_options(
    kind: type[VisionOptions], given: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return what is for the driver, and what is for nodes: those have names that begin with a capital."""
    known = {one.name for one in fields(kind)}
    ours = {name: value for name, value in given.items() if name in known or not name[:1].isupper()}
    return ours, {name: value for name, value in given.items() if name not in ours}


class VisionCamera:
    """A device's frames.

    With the trigger "software" every `read` asks for one frame.

    Parameters
    ----------
    driver : name of the kind of camera.
    name : of the camera, for messages.
    open_device : opens it.
    settings : size, rate and colour; the options are those of `options`, or names of nodes.
    options : the class of options.
    """

    def __init__(
        self,
        driver: str,
        name: str,
        open_device: DeviceOpener,
        settings: CameraSettings,
        options: type[VisionOptions] = VisionOptions,
    ) -> None:
        ours, self._own_nodes = split_options(options, settings.options)
        self._options = parse_options(options, ours, name)
        self._driver = driver
        self._name = name
        self._open_device = open_device
        self._settings = settings
        self._device: VisionDevice | None = None
        self._running: _Run | None = None

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames; known once it is started."""
        return self._run().spec

    @property
    def live(self) -> bool:
        """True: a device does not wait."""
        return True

    @property
    def rate(self) -> float | None:
        """Frames per second, as the device says; None if they are triggered from outside."""
        return self._run().rate

    @property
    def identity(self) -> CameraIdentity:
        """Which device it is."""
        return CameraIdentity(self._driver) if self._device is None else self._device.nodes.identity

    @property
    def given(self) -> Mapping[str, object]:
        """The main nodes as the device had them at the start, and those that were asked for."""
        return {} if self._running is None else self._running.given

    def start(self) -> None:
        """Open the device, set what was asked for, and begin."""
        if self._device is not None:
            raise CameraStateError(f"{self._name} runs already; stop it first")
        device = self._open_device()
        try:
            self._running = self._begin(device)
        except BaseException:
            device.close()
            raise
        self._device = device

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame; a camera has no end."""
        run = self._run()
        if self._device is None:
            raise CameraStateError(f"{self._name} is not running; start it first")
        if run.by_software and time.monotonic() - run.triggered > _TRIGGER_PATIENCE_S:
            self._device.trigger(timeout)
            run.triggered = time.monotonic()
        delivery = self._device.wait(timeout)
        run.triggered = -math.inf
        try:
            image = run.image(delivery, colour=self._settings.colour)
        finally:
            self._device.give_back(delivery)
        return run.stamper.stamp(
            image,
            delivery.arrived_ns,
            device_number=delivery.frame_id,
            device_ns=delivery.device_ns,
            incomplete=not delivery.complete,
        )

    def stop(self) -> None:
        """Release the device. Does nothing if it is released."""
        device, self._device, self._running = self._device, None, None
        if device is not None:
            device.close()

    @contextmanager
    def open_nodes(self) -> Iterator[NodeMap]:
        """Open the device for its nodes alone; it must not be running."""
        if self._device is not None:
            raise CameraStateError(f"{self._name} is running; stop it first")
        device = self._open_device()
        try:
            yield device.nodes
        finally:
            device.close()

    def _begin(self, device: VisionDevice) -> "_Run":
        pixel_format = set_up(device.nodes, self._settings, self._options, self._own_nodes)
        given = read_main_nodes(device.nodes, self._own_nodes)
        size = int(get_node(device.nodes, "Height").read()), int(get_node(device.nodes, "Width").read())
        device.start(self._options.buffers)
        rate = next((given[name] for name in RATE_NODES if name in given), None)
        triggered = given.get("TriggerMode") == "On"
        return _Run(
            spec=pixel_format.spec(*size, colour=self._settings.colour),
            rate=float(rate) if isinstance(rate, int | float) and not triggered else None,
            given=given,
            pixel_format=pixel_format,
            stamper=Stamper(device.counter),
            by_software=triggered and given.get("TriggerSource") == "Software",
        )

    def _run(self) -> "_Run":
        if self._running is None:
            raise CameraStateError(f"{self._name} is not running; start it first")
        return self._running


@dataclass(slots=True)
class _Run:
    """What is known between a start and a stop."""

    spec: FrameSpec
    rate: float | None
    given: dict[str, object]
    pixel_format: PixelFormat
    stamper: Stamper
    by_software: bool
    triggered: float = -math.inf  # when a frame was asked for that has not come

    def image(self, delivery: Delivery, *, colour: bool) -> Image:
        """Return the image of a buffer; what did not come is black."""
        size = self.spec.rows, self.spec.columns
        if not delivery.complete:
            data = np.zeros(self.pixel_format.length(size, delivery.padding), np.uint8)
            came = np.frombuffer(delivery.data, np.uint8)[: min(delivery.filled, len(data))]
            data[: len(came)] = came
            return decode(data, self.pixel_format, size, colour=colour, padding=delivery.padding)
        if delivery.size not in (size, None):
            raise CaptureError(
                f"frames are {size[1]}x{size[0]}, but one came with (rows, columns) {delivery.size}"
            )
        return decode(delivery.data, self.pixel_format, size, colour=colour, padding=delivery.padding)
