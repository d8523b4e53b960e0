"""Devices that OpenCV can open: how they are found, by number, path or name, and what they can do."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import cv2

from hardware.camera import CameraIdentity, FoundCamera
from hardware.errors import CameraNotFoundError
from hardware.v4l2 import VideoDevices, VideoNode
from imgstore import Image


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used here."""

    def isOpened(self) -> bool: ...  # noqa: N802
    def getBackendName(self) -> str: ...  # noqa: N802
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Image]: ...
    def get(self, propId: int, /) -> float: ...  # noqa: N803
    def set(self, propId: int, value: float, /) -> bool: ...  # noqa: N803
    def release(self) -> None: ...


class CaptureDevice(Protocol):
    """A device that OpenCV can open."""

    @property
    def identity(self) -> CameraIdentity:
        """Which one it is."""

    def open(self) -> Capture:
        """Open it. Raises CameraNotFoundError."""

    def modes(self) -> list[str]:
        """Return what it can do, a line each; empty if that cannot be known."""

    def is_there(self) -> bool:
        """Whether it is still plugged in, as far as that can be known."""


CaptureFinder: TypeAlias = Callable[[], CaptureDevice]
"""Finds the device that was named, when the camera is started. Raises CameraNotFoundError."""


def find_opencv(devices: VideoDevices | None = None) -> list[FoundCamera]:
    """Return the V4L2 cameras of this machine, without the nodes that give no frames.

    Where a camera has no serial number, the place where it is plugged in stands for it.
    """
    devices = devices or VideoDevices()
    found = []
    for node in devices.cameras():
        device = V4L2Device(node, devices)
        source = f"opencv:{node.path.name.removeprefix('video')}"
        found.append(FoundCamera(source, device.identity, tuple(device.modes())))
    return found


def find_device(address: str, devices: VideoDevices | None = None) -> CaptureDevice:
    """Return the device that stands behind the colon of a source.

    Raises CameraNotFoundError if there is none, or several are called so; the message says what is there.
    """
    is_number = address.isascii() and address.isdecimal()
    if devices is None:
        if not sys.platform.startswith("linux"):
            return _numbered(address, is_number)
        devices = VideoDevices()
    if is_number:
        return _at(devices.dev / f"video{address}", devices)
    if address.startswith(("/", "~")):
        return _at(Path(address).expanduser(), devices)
    return V4L2Device(_named(address, devices), devices)


class V4L2Device:
    """A camera of Linux.

    Parameters
    ----------
    node : which one.
    devices : of the machine it belongs to.
    """

    def __init__(self, node: VideoNode, devices: VideoDevices) -> None:
        self._node = node
        self._devices = devices

    @property
    def identity(self) -> CameraIdentity:
        """Model, and serial number or, without one, the place where it is plugged in."""
        try:
            capability = self._devices.capability(self._node.path)
        except OSError:  # not ours to open; what /sys says is better than nothing
            return CameraIdentity("opencv", self._node.name, self._node.serial)
        return CameraIdentity(
            "opencv", self._node.name or capability.model, self._node.serial or capability.bus
        )

    def open(self) -> Capture:
        """Open it; what can be known is looked at first, because OpenCV would write to the terminal."""
        path = self._node.path
        if not os.access(path, os.R_OK | os.W_OK):
            raise CameraNotFoundError(f"{path} may not be used; add this user to the group 'video'")
        return cv2.VideoCapture(str(path), cv2.CAP_V4L2)

    def modes(self) -> list[str]:
        """Return pixel formats, sizes and rates."""
        try:
            return [str(mode) for mode in self._devices.modes(self._node.path)]
        except OSError:
            return []

    def is_there(self) -> bool:
        """Whether its device file is."""
        return self._node.path.exists()


class NumberedDevice:
    """A camera of a system that is not Linux: nothing is known but its number."""

    def __init__(self, index: int) -> None:
        self._index = index

    @property
    def identity(self) -> CameraIdentity:
        """Its number, for a name."""
        return CameraIdentity("opencv", f"camera {self._index}")

    def open(self) -> Capture:
        """Open it."""
        return cv2.VideoCapture(self._index, cv2.CAP_ANY)

    def modes(self) -> list[str]:
        """Return nothing."""
        return []

    def is_there(self) -> bool:
        """True: it cannot be known."""
        return True


def _numbered(address: str, is_number: bool) -> NumberedDevice:
    if not is_number:
        raise CameraNotFoundError(
            f"there is no camera {address!r}: cameras have paths and names on Linux only; "
            "use their numbers, as in opencv:0"
        )
    return NumberedDevice(int(address))


def _at(path: Path, devices: VideoDevices) -> V4L2Device:
    """Return the device at a path, which may be a link."""
    if not path.exists():
        raise CameraNotFoundError(f"there is no camera {path}; {_there(devices)}")
    real = path.resolve()
    known = {node.path.resolve(): node for node in devices.nodes()}
    node = known.get(real, VideoNode(real, real.name))
    if node not in devices.cameras() and node.path.resolve() in known:
        raise CameraNotFoundError(f"{path} belongs to {node.name} but gives no frames; {_there(devices)}")
    return V4L2Device(node, devices)


def _named(name: str, devices: VideoDevices) -> VideoNode:
    """Return the camera whose name is, or holds, `name`."""
    cameras = devices.cameras()
    folded = name.strip().casefold()
    exact = [node for node in cameras if node.name.casefold() == folded]
    matching = exact or [node for node in cameras if folded in node.name.casefold()]
    if len(matching) == 1:
        return matching[0]
    if matching:
        these = ", ".join(str(node.path) for node in matching)
        raise CameraNotFoundError(
            f"{len(matching)} cameras are called {name!r}: {these}; name one by its path, best by that in "
            "/dev/v4l/by-id or /dev/v4l/by-path, which stays the same"
        )
    raise CameraNotFoundError(f"no camera is called {name!r}; {_there(devices)}")


def _there(devices: VideoDevices) -> str:
    cameras = ", ".join(f"{node.path} ({node.name})" for node in devices.cameras())
    return f"cameras on this machine: {cameras or 'none'}"
