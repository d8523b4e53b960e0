"""GenTL: cameras of any maker, through the producer (a .cti file) that the maker delivers.

Harvesters reads a device's description. Its own way to frames is not taken: it throws incomplete buffers
away, takes Ctrl-C for itself, and loads a producer anew for every camera, which finds no second one then.
"""

import os
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware.camera import CameraIdentity
from hardware.errors import CameraNotFoundError, CameraTimeoutError, CaptureError, HardwareError, SettingError
from hardware.nodes import NodeKind, NodeValue, get_node, one_line
from hardware.stamper import COUNTER_16_BIT, Counter
from hardware.vision import Delivery, default_buffers

with (
    warnings.catch_warnings()
):  # harvesters changes what is shown; genicam ends the process if one is an error
    warnings.simplefilter("ignore")
    from genicam import genapi, gentl
    from harvesters.core import RemoteDevice

PRODUCERS_VARIABLE = "GENICAM_GENTL64_PATH"
"""Environment variable with the folders of producers, as the standard has it."""

_POLL_S = 0.0005  # the library holds Python's lock while it waits, so it is asked, not waited for
_UPDATE_MS = 1000
_WITH_VERSION_AT_0 = ("GEV", "U3V", "CXP", "CL", "CLHS")  # a register that their standards ask for
_PLAIN_PAYLOADS = (
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_UNKNOWN,
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_IMAGE,
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_RAW_DATA,  # of an image that broke off
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_CHUNK_DATA,  # an image with chunks, of old
)
_FAILURES = (gentl.GenericException, genapi.GenericException)


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device that a producer knows.

    Attributes
    ----------
    producer : path of the .cti file.
    id : the producer's own name of it.
    model, serial, vendor, label : as the device says; empty if it does not. The label is what its owner
        called it.
    """

    producer: str
    id: str
    model: str
    serial: str
    vendor: str
    label: str

    def __str__(self) -> str:
        """Return what tells it from others."""
        return f"{self.model or self.id} {self.serial}".strip()


def list_producers(path: str | None = None) -> list[str]:
    """Return the paths of the .cti files at `path`, by default in the folders of the environment variable.

    Raises CameraNotFoundError if there is none.
    """
    if path is not None:
        file = Path(path).expanduser()
        found = sorted(file.glob("*.cti")) if file.is_dir() else [file] if file.is_file() else []
        if not found:
            raise CameraNotFoundError(
                f"there is no GenTL producer {path}; it is a .cti file of the camera's maker"
            )
        return [str(one.resolve()) for one in found]
    folders = [folder for folder in os.environ.get(PRODUCERS_VARIABLE, "").split(os.pathsep) if folder]
    files = {str(file.resolve()) for folder in folders for file in Path(folder).glob("*.cti")}
    if not files:
        where = (
            f"{PRODUCERS_VARIABLE} names {os.pathsep.join(folders)}"
            if folders
            else f"{PRODUCERS_VARIABLE} is not set"
        )
        raise CameraNotFoundError(
            f"no GenTL producer was found: {where}; install the camera maker's software, or name its .cti "
            "file with producer=PATH"
        )
    return sorted(files)


def find_devices(producers: Iterable[str]) -> list[FoundDevice]:
    """Return all devices that producers know. Raises HardwareError if none of the producers can be loaded."""
    found: list[FoundDevice] = []
    failures: list[HardwareError] = []
    for path in producers:
        try:
            with _borrowed(path) as producer:
                found += [device for device, _, _ in producer.devices()]
        except HardwareError as exc:
            failures.append(exc)
    if failures and not found:
        raise failures[0]
    return found


def choose_device(devices: Sequence[FoundDevice], address: str) -> FoundDevice:
    """Return the device that an address means: a serial number, a label, a model, an id, or its place.

    Raises CameraNotFoundError if there is none or more than one.
    """
    for key in ("serial", "label", "id", "model"):
        matches = [device for device in devices if getattr(device, key) == address]
        if len(matches) == 1:
            return matches[0]
        if matches:
            serials = ", ".join(device.serial or device.id for device in matches)
            raise CameraNotFoundError(f"{len(matches)} cameras are a {address}; say which: {serials}")
    if address.isascii() and address.isdecimal() and int(address) < len(devices):
        return devices[int(address)]
    there = ", ".join(str(device) for device in devices) or "none"
    raise CameraNotFoundError(f"there is no GenICam camera {address}; there are: {there}")


class Device:
    """One device, open for this process alone, with its nodes and its stream of buffers.

    Parameters
    ----------
    found : which device.

    Raises CameraNotFoundError if it cannot be opened.
    """

    def __init__(self, found: FoundDevice) -> None:
        self._found = found
        self._buffers: list[Any] = []
        self._stream: Any = None
        self._events: Any = None
        self._producer: _Producer | None = _PRODUCERS.acquire(found.producer)
        try:
            self._device, self._remote = self._open(self._producer)
        except BaseException:
            _PRODUCERS.release(found.producer)
            raise
        self.nodes = GenApiNodes(
            self._remote.node_map, CameraIdentity("genicam", found.model, found.serial or found.id)
        )

    @property
    def counter(self) -> Counter:
        """How frames are counted: GigE Vision has 16 bits, unless it has extended ids."""
        mode = self.nodes.find("GevGVSPExtendedIDMode")
        extended = mode is not None and mode.readable and mode.read() == "On"
        return COUNTER_16_BIT if _told(self._device, "tl_type") == "GEV" and not extended else Counter()

    def start(self, buffers: int | None) -> None:
        """Begin to acquire; None for as many buffers as go into some memory. Raises CaptureError."""
        try:
            self._start(buffers)
        except _FAILURES as exc:
            raise CaptureError(f"{self._found} cannot begin: {one_line(exc)}") from exc

    def trigger(self, timeout: float) -> None:  # no producer says when a device is ready
        """Ask for one frame. Raises CaptureError."""
        try:
            get_node(self.nodes, "TriggerSoftware").write(True)
        except SettingError as exc:
            raise CaptureError(f"{self._found} cannot be triggered: {exc}") from exc

    def wait(self, timeout: float) -> Delivery:
        """Return the next buffer, complete or not. Give it back at once after use.

        Raises CameraTimeoutError after `timeout` seconds, CaptureError if the device is gone.
        """
        deadline = time.monotonic() + timeout
        try:
            while not self._take(sure=(late := time.monotonic() >= deadline)):
                if late:
                    self._check_alive()
                    raise CameraTimeoutError(f"{self._found} gave no frame within {timeout:g} s")
                time.sleep(_POLL_S)
        except _FAILURES as exc:
            raise CaptureError(f"{self._found} failed: {one_line(exc)}") from exc
        return self._delivery(self._events.buffer, time.monotonic_ns())

    def give_back(self, delivery: Delivery) -> None:
        """Let the producer fill a buffer again."""
        try:
            self._stream.queue_buffer(delivery.handle)
        except _FAILURES as exc:
            raise CaptureError(f"{self._found} failed: {one_line(exc)}") from exc

    def close(self) -> None:
        """Stop acquiring and let go of the device and its producer. Closing twice is harmless."""
        if self._producer is None:
            return
        if self._stream is not None:
            self._stop()
        with suppress(*_FAILURES):  # of a device that is gone, and has nothing to close
            self._remote.node_map.disconnect()
        with suppress(*_FAILURES):
            self._device.close()
        self._producer = None
        _PRODUCERS.release(self._found.producer)

    def _open(self, producer: "_Producer") -> tuple[Any, Any]:
        for found, info, interface in producer.devices():
            if found.id != self._found.id:
                continue
            try:
                device = info.create_device()
                device.open(gentl.DEVICE_ACCESS_FLAGS_LIST.DEVICE_ACCESS_EXCLUSIVE)
            except gentl.GenericException as exc:
                raise CameraNotFoundError(
                    f"{self._found} cannot be opened, another program may be using it: {one_line(exc)}"
                ) from exc
            try:
                return device, RemoteDevice(module=device, parent=interface)
            except (*_FAILURES, NotImplementedError) as exc:
                device.close()
                raise CameraNotFoundError(f"{self._found} does not describe itself: {one_line(exc)}") from exc
        raise CameraNotFoundError(f"{self._found} is not there any more; check its cable")

    def _start(self, buffers: int | None) -> None:
        self._stream = self._device.create_data_stream()
        self._stream.open(self._device.data_stream_ids[0])
        self._events = gentl.EventManagerNewBuffer(
            self._stream.register_event(gentl.EVENT_TYPE_LIST.EVENT_NEW_BUFFER)
        )
        size = self._payload_size()
        count = buffers or default_buffers(size)
        with suppress(*_FAILURES):  # not every producer says
            count = max(count, self._stream.buffer_announce_min)
        for index in range(count):
            token = gentl.BufferToken(bytes(size), index)
            self._buffers.append(self._stream.announce_buffer(token))
        for buffer in self._buffers:
            self._stream.queue_buffer(buffer)
        self._lock_parameters(1)
        self._stream.start_acquisition(gentl.ACQ_START_FLAGS_LIST.ACQ_START_FLAGS_DEFAULT, -1)
        self._remote.node_map.AcquisitionStart.execute()

    def _stop(self) -> None:
        """Undo what was begun, as far as it was and the device is there."""
        stream, kill = self._stream, gentl.ACQ_STOP_FLAGS_LIST.ACQ_STOP_FLAGS_KILL
        with suppress(*_FAILURES):
            self._remote.node_map.AcquisitionStop.execute()
        self._lock_parameters(0)
        with suppress(*_FAILURES):
            stream.stop_acquisition(kill)
        with suppress(*_FAILURES):
            stream.flush_buffer_queue(gentl.ACQ_QUEUE_TYPE_LIST.ACQ_QUEUE_ALL_DISCARD)
        for buffer in self._buffers:
            with suppress(*_FAILURES):
                stream.revoke_buffer(buffer)
        with suppress(*_FAILURES):
            if self._events is not None:
                self._events.unregister_event()
        with suppress(*_FAILURES):
            stream.close()
        self._buffers.clear()
        self._stream = self._events = None

    def _payload_size(self) -> int:
        if self._stream.defines_payload_size():
            return int(self._stream.payload_size)
        return int(self._remote.node_map.PayloadSize.value)

    def _lock_parameters(self, locked: int) -> None:
        """Tell the device that it streams, so that what must not change then cannot; old ones do not know."""
        node = self.nodes.find("TLParamsLocked")
        with suppress(HardwareError):
            if node is not None:
                node.write(locked)

    def _take(self, *, sure: bool) -> bool:
        """Return whether a buffer has come, and take it.

        Parameters
        ----------
        sure : ask for it even if none is said to be there: a device that is gone says so only then.
        """
        try:
            queued = self._events.num_in_queue  # costs a hundredth of asking in vain
        except gentl.GenericException:
            queued = None  # not every producer says
        if queued == 0 and not sure:
            return False
        try:
            self._events.update_event_data(0)
        except gentl.TimeoutException:
            return False
        return True

    def _check_alive(self) -> None:
        """Raise CaptureError if the device does not answer: many producers only go silent."""
        gone: tuple[type[Exception], ...] = (gentl.InvalidHandleException,)
        if _told(self._device, "tl_type") in _WITH_VERSION_AT_0:
            gone = (*gone, gentl.IoException, gentl.AbortException)
        try:
            self._device.remote_port.read(0, 4)
        except gone as exc:
            raise CaptureError(f"{self._found} does not answer: {one_line(exc)}") from exc
        except gentl.GenericException:
            return  # it answered, though not that

    def _delivery(self, buffer: Any, arrived_ns: int) -> Delivery:
        image = self._image_of(buffer)
        rows, columns = _told(image, "height"), _told(image, "width")
        # in a buffer of several parts, an offset is a part's; else it is the image's
        offset = _told(image, "image_offset" if image is buffer else "data_offset") or 0
        data, filled = memoryview(buffer.raw_buffer), _told(buffer, "size_filled")
        return Delivery(
            handle=buffer,
            data=data[offset:],
            filled=max((len(data) if filled is None else filled) - offset, 0),
            size=(rows, columns) if rows and columns else None,
            padding=_told(image, "padding_x" if image is buffer else "x_padding") or 0,
            complete=_is_complete(buffer),
            frame_id=_told(buffer, "frame_id"),
            device_ns=self._device_ns(buffer),
            arrived_ns=arrived_ns,
        )

    def _image_of(self, buffer: Any) -> Any:
        """Return what describes the image: the buffer, or the first of its parts.

        Raises CaptureError for a payload in which an image cannot be found.
        """
        payload = _told(buffer, "payload_type")
        if payload == gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_MULTI_PART and _told(buffer, "parts"):
            return buffer.parts[0]
        if payload in (None, *_PLAIN_PAYLOADS):
            return buffer
        raise CaptureError(
            f"{self._found} sends a payload that is not known here (type {payload}), not images; "
            "switch off GenDC or compression"
        )

    def _device_ns(self, buffer: Any) -> int | None:
        """Return when the device took a frame by its own clock; None if it says nothing or 0."""
        nanoseconds = _told(buffer, "timestamp_ns")
        if nanoseconds:
            return int(nanoseconds)
        ticks, frequency = _told(buffer, "timestamp"), _told(self._device, "timestamp_frequency")
        return ticks * 1_000_000_000 // frequency if ticks and frequency else None


class GenApiNodes:
    """The nodes of a device, as GenICam's library has them.

    Parameters
    ----------
    node_map : the library's.
    identity : of the device.
    """

    def __init__(self, node_map: Any, identity: CameraIdentity) -> None:
        self._node_map = node_map
        self._identity = identity

    @property
    def identity(self) -> CameraIdentity:
        """Which device it is."""
        return self._identity

    def names(self) -> Sequence[str]:
        """Return the names of all features, in the order of the device's own description."""
        return [node.node.name for node in self._node_map.nodes if node.node.is_feature() and _kind(node)]

    def find(self, name: str) -> "GenApiNode | None":
        """Return the node of this name, None if there is none that has a value."""
        try:
            node = self._node_map.get_node(name) if self._node_map.has_node(name) else None
        except _FAILURES as exc:
            raise CaptureError(f"{self._identity.model} does not answer: {one_line(exc)}") from exc
        return None if node is None or not _kind(node) else GenApiNode(node)


class GenApiNode:
    """One node.

    Parameters
    ----------
    node : the library's.
    """

    def __init__(self, node: Any) -> None:
        self._node = node

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._node.node.name)

    @property
    def kind(self) -> NodeKind:
        """What its values are."""
        return _kind(self._node) or "str"

    @property
    def readable(self) -> bool:
        """Whether it can be read at the moment."""
        return self._access in (genapi.EAccessMode.RO, genapi.EAccessMode.RW)

    @property
    def writable(self) -> bool:
        """Whether it can be written at the moment."""
        return self._access in (genapi.EAccessMode.WO, genapi.EAccessMode.RW)

    @property
    def is_setting(self) -> bool:
        """Whether the device counts it among the settings that are worth keeping."""
        return bool(self._node.node.is_streamable())

    @property
    def selectors(self) -> Sequence[str]:
        """Names of the nodes that say which of several values this one stands for."""
        return [selector.node.name for selector in self._node.node.selecting_features]

    @property
    def choices(self) -> Sequence[str]:
        """What a choice can be at the moment."""
        return list(self._asked("symbolics")) if self.kind == "choice" else []

    @property
    def limits(self) -> tuple[float, float, float] | None:
        """Lowest, highest and step of a number."""
        if self.kind not in ("int", "float") or not (self.readable or self.writable):
            return None
        step = self._asked("inc") if self.kind == "int" else 0
        return self._asked("min"), self._asked("max"), step

    def read(self) -> NodeValue:
        """Return its value. Raises CaptureError if the device does not give it."""
        value: NodeValue = self._asked("value")
        return value

    def write(self, value: NodeValue) -> None:
        """Set it, or execute a command. Raises SettingError if the device does not take it."""
        try:
            if self.kind == "command":
                self._node.execute()
            else:
                self._node.value = value
        except (*_FAILURES, TypeError, OverflowError) as exc:
            raise SettingError(f"{self.name} does not take {value}: {one_line(exc)}") from exc

    @property
    def _access(self) -> int:
        try:
            return int(self._node.get_access_mode())
        except _FAILURES as exc:
            raise CaptureError(f"{self.name} cannot be asked for: {one_line(exc)}") from exc

    def _asked(self, attribute: str) -> Any:
        try:
            return getattr(self._node, attribute)
        except _FAILURES as exc:
            raise CaptureError(f"{self.name} cannot be read: {one_line(exc)}") from exc


_KINDS: Mapping[int, NodeKind] = {
    genapi.EInterfaceType.intfIInteger: "int",
    genapi.EInterfaceType.intfIBoolean: "bool",
    genapi.EInterfaceType.intfICommand: "command",
    genapi.EInterfaceType.intfIFloat: "float",
    genapi.EInterfaceType.intfIString: "str",
    genapi.EInterfaceType.intfIEnumeration: "choice",
}


def _kind(node: Any) -> NodeKind | None:
    """Return what the values of a node are; None if it has none: a category, a port, a raw register."""
    return _KINDS.get(node.node.principal_interface_type)


def _told(module: Any, attribute: str) -> Any:
    """Return what a producer says of something; None if it does not."""
    try:
        return getattr(module, attribute)
    except _FAILURES:
        return None


def _is_complete(buffer: Any) -> bool:
    try:
        if not buffer.is_complete():
            return False
    except _FAILURES:
        return False  # it may be anything
    with suppress(*_FAILURES):  # not every producer says
        return not buffer.has_received_larger_payload()
    return True


class _Producer:
    """A producer that is loaded, with its interfaces open.

    Raises CameraNotFoundError if it cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._interfaces: list[Any] = []
        self._producer = gentl.GenTLProducer.create_producer()
        try:
            self._producer.open(path)
        except gentl.GenericException as exc:
            raise CameraNotFoundError(f"the GenTL producer {path} cannot be loaded: {one_line(exc)}") from exc
        self._system = self._producer.create_system()
        try:
            self._system.open()
            self._open_interfaces()
        except gentl.GenericException as exc:
            self.close()
            raise CameraNotFoundError(f"the GenTL producer {path} does not work: {one_line(exc)}") from exc

    def devices(self) -> Iterator[tuple[FoundDevice, Any, Any]]:
        """Yield all devices that are there now, what opens each, and its interface."""
        for interface in self._interfaces:
            try:
                interface.update_device_info_list(_UPDATE_MS)
                infos = list(interface.device_info_list)
            except gentl.GenericException:
                continue  # a network card without cable, a frame grabber that another program has
            for info in infos:
                yield self._described(info), info, interface

    def close(self) -> None:
        """Unload it."""
        for interface in self._interfaces:
            with suppress(gentl.GenericException):
                interface.close()
        self._interfaces.clear()
        for module in (self._system, self._producer):
            with suppress(gentl.GenericException):
                module.close()

    def _open_interfaces(self) -> None:
        self._system.update_interface_info_list(_UPDATE_MS)
        for info in self._system.interface_info_list:
            interface = info.create_interface()
            with suppress(gentl.GenericException):  # one that another program has
                interface.open()
                self._interfaces.append(interface)

    def _described(self, info: Any) -> FoundDevice:
        words = ("id_", "model", "serial_number", "vendor", "user_defined_name")
        return FoundDevice(self._path, *(str(_told(info, word) or "") for word in words))


class _Producers:
    """The producers that this process has loaded, each once, as the standard wants it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[_Producer, int]] = {}

    def acquire(self, path: str) -> _Producer:
        """Return a producer; load it if nobody has it."""
        with self._lock:
            producer, users = self._loaded[path] if path in self._loaded else (_Producer(path), 0)
            self._loaded[path] = producer, users + 1
            return producer

    def release(self, path: str) -> None:
        """Unload a producer if nobody else has it: some find a camera that was unplugged only anew."""
        with self._lock:
            producer, users = self._loaded.pop(path)
            if users > 1:
                self._loaded[path] = producer, users - 1
            else:
                producer.close()


_PRODUCERS = _Producers()  # of the process, not of a camera: a second load of the same finds no devices


@contextmanager
def _borrowed(path: str) -> Iterator[_Producer]:
    producer = _PRODUCERS.acquire(path)
    try:
        yield producer
    finally:
        _PRODUCERS.release(path)
