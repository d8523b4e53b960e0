"""Basler's cameras, through its own library, pylon."""

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from hardware.camera import CameraIdentity, CameraSettings, FoundCamera
from hardware.errors import CameraNotFoundError, CameraTimeoutError, CaptureError, SettingError, SourceError
from hardware.nodes import NodeKind, NodeValue, one_line
from hardware.stamper import COUNTER_16_BIT, Counter
from hardware.vision import Delivery, VisionCamera, default_buffers

with warnings.catch_warnings():  # the process ends if one of those of its types without a module is an error
    warnings.simplefilter("ignore")
    from pypylon import genicam, pylon

_NO_NUMBER = (1 << 64) - 1
_TICKS_PER_S = 1_000_000_000  # of USB cameras and new GigE ones, which do not say


def open_basler(address: str, settings: CameraSettings) -> VisionCamera:
    """Make the camera of `basler:SERIAL` or `basler:INDEX`."""
    if not address:
        raise SourceError("basler: needs a serial number or a place, as in basler:0")
    settings.allow("a Basler camera", "size", "rate", "colour", "realtime", "options")
    return VisionCamera("basler", f"basler:{address}", lambda: BaslerDevice(address), settings)


def find_basler() -> list[FoundCamera]:
    """Return all Basler cameras of this machine."""
    return [
        FoundCamera(
            f"basler:{info.GetSerialNumber()}",
            CameraIdentity("basler", info.GetModelName(), info.GetSerialNumber()),
        )
        for info in pylon.TlFactory.GetInstance().EnumerateDevices()
    ]


class BaslerDevice:
    """One camera, open.

    Parameters
    ----------
    address : its serial number, or its place among all that are there.

    Raises CameraNotFoundError if it is not there or cannot be opened.
    """

    def __init__(self, address: str) -> None:
        factory = pylon.TlFactory.GetInstance()
        info = _choose(factory.EnumerateDevices(), address)
        self._name = f"{info.GetModelName()} {info.GetSerialNumber()}"
        self._class = info.GetDeviceClass()
        try:
            self._camera = pylon.InstantCamera(factory.CreateDevice(info))
            self._camera.Open()
        except genicam.GenericException as exc:
            raise CameraNotFoundError(
                f"{self._name} cannot be opened, another program may be using it: {one_line(exc)}"
            ) from exc
        self.nodes = PylonNodes(
            self._camera.GetNodeMap(), CameraIdentity("basler", info.GetModelName(), info.GetSerialNumber())
        )
        self._ticks_per_s = _TICKS_PER_S

    @property
    def counter(self) -> Counter:
        """How frames are counted: GigE Vision has 16 bits, unless it has extended ids."""
        mode = self.nodes.find("GevGVSPExtendedIDMode") or self.nodes.find("BslGevGVSPExtendedIDMode")
        extended = mode is not None and mode.readable and mode.read() == "On"
        return COUNTER_16_BIT if self._class == "BaslerGigE" and not extended else Counter()

    def start(self, buffers: int | None) -> None:
        """Begin to acquire; None for as many buffers as are good. Raises CaptureError."""
        ticks = self.nodes.find("GevTimestampTickFrequency")
        if ticks is not None and ticks.readable:
            self._ticks_per_s = int(ticks.read()) or _TICKS_PER_S
        try:
            size = int(self._camera.GetNodeMap().GetNode("PayloadSize").Value)
            self._camera.MaxNumBuffer.Value = buffers or default_buffers(size)
            self._camera.StartGrabbing(pylon.GrabStrategy_OneByOne)
        except genicam.GenericException as exc:
            raise CaptureError(f"{self._name} cannot begin: {one_line(exc)}") from exc

    def trigger(self, timeout: float) -> None:
        """Ask for one frame, once the camera is ready for it. Raises CaptureError, CameraTimeoutError."""
        try:
            if self._camera.CanWaitForFrameTriggerReady():
                wait_ms = round(timeout * 1000)
                if not self._camera.WaitForFrameTriggerReady(wait_ms, pylon.TimeoutHandling_Return):
                    raise CameraTimeoutError(f"{self._name} was not ready for a frame within {timeout:g} s")
            self._camera.ExecuteSoftwareTrigger()
        except genicam.GenericException as exc:
            raise CaptureError(f"{self._name} cannot be triggered: {one_line(exc)}") from exc

    def wait(self, timeout: float) -> Delivery:
        """Return the next buffer, complete or not. Raises CameraTimeoutError, CaptureError."""
        try:
            result = self._camera.RetrieveResult(round(timeout * 1000), pylon.TimeoutHandling_Return)
            arrived_ns = time.monotonic_ns()
            if result.IsValid():
                return self._delivery(result, arrived_ns)
            gone = self._camera.IsCameraDeviceRemoved() or not self._camera.IsGrabbing()
        except genicam.GenericException as exc:
            raise CaptureError(f"{self._name} failed: {one_line(exc)}") from exc
        if gone:
            raise CaptureError(f"{self._name} is gone; check its cable, then start it again")
        raise CameraTimeoutError(f"{self._name} gave no frame within {timeout:g} s")

    def give_back(self, delivery: Delivery) -> None:
        """Let a buffer be filled again."""
        delivery.data.release()  # a look at it afterwards is an error, not the next frame
        result: Any = delivery.handle
        result.Release()

    def close(self) -> None:
        """Stop acquiring, and let go of the camera."""
        with suppress(genicam.GenericException):  # of a camera that is gone, and has nothing to close
            self._camera.StopGrabbing()
        with suppress(genicam.GenericException):
            self._camera.Close()
        with suppress(genicam.GenericException):
            self._camera.DestroyDevice()

    def _delivery(self, result: Any, arrived_ns: int) -> Delivery:
        data = memoryview(result.GetMemoryView())
        number, ticks = result.BlockID, result.TimeStamp
        return Delivery(
            handle=result,
            data=data,
            filled=data.nbytes,
            size=(result.Height, result.Width) if result.Height and result.Width else None,
            padding=result.PaddingX,
            complete=result.GrabSucceeded(),
            frame_id=None if number == _NO_NUMBER else number,
            device_ns=ticks * 1_000_000_000 // self._ticks_per_s if ticks else None,
            arrived_ns=arrived_ns,
        )


class PylonNodes:
    """The nodes of a camera, as pylon has them.

    Parameters
    ----------
    node_map : pylon's.
    identity : of the camera.
    """

    def __init__(self, node_map: Any, identity: CameraIdentity) -> None:
        self._node_map = node_map
        self._identity = identity

    @property
    def identity(self) -> CameraIdentity:
        """Which camera it is."""
        return self._identity

    def names(self) -> Sequence[str]:
        """Return the names of all features, in the order of the camera's own description."""
        inner = (node.GetNode() for node in self._node_map.GetNodes())
        return [node.GetName() for node in inner if node.IsFeature() and _kind(node)]

    def find(self, name: str) -> "PylonNode | None":
        """Return the node of this name, None if there is none that has a value."""
        node = self._node_map.GetNode(name)
        return PylonNode(node) if node.IsValid() and _kind(node.GetNode()) else None


class PylonNode:
    """One node.

    Parameters
    ----------
    node : pylon's.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._inner = node.GetNode()

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._inner.GetName())

    @property
    def kind(self) -> NodeKind:
        """What its values are."""
        return _kind(self._inner) or "str"

    @property
    def readable(self) -> bool:
        """Whether it can be read at the moment."""
        return self._node.GetAccessMode() in (genicam.RO, genicam.RW)

    @property
    def writable(self) -> bool:
        """Whether it can be written at the moment."""
        return self._node.GetAccessMode() in (genicam.WO, genicam.RW)

    @property
    def is_setting(self) -> bool:
        """Whether the camera counts it among the settings that are worth keeping."""
        return bool(self._inner.IsStreamable())

    @property
    def selectors(self) -> Sequence[str]:
        """Names of the nodes that say which of several values this one stands for."""
        return [selector.GetNode().GetName() for selector in self._inner.GetSelectingFeatures()]

    @property
    def choices(self) -> Sequence[str]:
        """What a choice can be at the moment."""
        if self.kind != "choice":
            return []
        entries = (name for name in self._node.Symbolics)
        return [name for name in entries if genicam.IsAvailable(self._node.GetEntryByName(name))]

    @property
    def limits(self) -> tuple[float, float, float] | None:
        """Lowest, highest and step of a number."""
        if self.kind not in ("int", "float") or not (self.readable or self.writable):
            return None
        step = self._asked("Inc") if self.kind == "int" else 0
        return self._asked("Min"), self._asked("Max"), step

    def read(self) -> NodeValue:
        """Return its value. Raises CaptureError if the camera does not give it."""
        value: NodeValue = self._asked("Value")
        return value

    def write(self, value: NodeValue) -> None:
        """Set it, or execute a command. Raises SettingError if the camera does not take it."""
        try:
            if self.kind == "command":
                self._node.Execute()
            else:
                self._node.Value = value
        except (genicam.GenericException, TypeError, OverflowError) as exc:
            raise SettingError(f"{self.name} does not take {value}: {one_line(exc)}") from exc

    def _asked(self, attribute: str) -> Any:
        try:
            return getattr(self._node, attribute)
        except genicam.GenericException as exc:
            raise CaptureError(f"{self.name} cannot be read: {one_line(exc)}") from exc


_KINDS: Mapping[int, NodeKind] = {
    genicam.intfIInteger: "int",
    genicam.intfIBoolean: "bool",
    genicam.intfICommand: "command",
    genicam.intfIFloat: "float",
    genicam.intfIString: "str",
    genicam.intfIEnumeration: "choice",
}


def _kind(inner: Any) -> NodeKind | None:
    """Return what the values of a node are; None if it has none: a category, a port, a raw register."""
    return _KINDS.get(inner.GetPrincipalInterfaceType())


def _choose(infos: Sequence[Any], address: str) -> Any:
    """Return the description of the camera that an address means."""
    for info in infos:
        if info.GetSerialNumber() == address:
            return info
    if address.isascii() and address.isdecimal() and int(address) < len(infos):
        return infos[int(address)]
    there = ", ".join(f"{info.GetModelName()} {info.GetSerialNumber()}" for info in infos) or "none"
    raise CameraNotFoundError(f"there is no Basler camera {address}; there are: {there}")
