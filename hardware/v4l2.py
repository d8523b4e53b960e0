"""What Linux knows of its video devices: names from /sys, abilities by ioctl.

Numbers and layouts of the structures are those of linux/videodev2.h, the same on x86 and ARM.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Ioctl: TypeAlias = Callable[[int, int, bytearray], object]
"""Sends a request to an open device; the structure is filled in place. Raises OSError."""

_READ, _WRITE = 2, 1
_CAPABILITY = struct.Struct("=16s32s32s6I")
_FORMAT = struct.Struct("=3I32s5I")
_SIZES = struct.Struct("=11I")
_INTERVALS = struct.Struct("=13I")

_CAPTURE = 1
_DEVICE_CAPS = 0x80000000
_CAPTURES = 0x00000001 | 0x00001000  # into one plane, or several
_STREAMING = 0x04000000
_DISCRETE = 1
_MOST = 256  # formats, sizes or rates that are believed; a broken driver would list for ever


def _request(direction: int, number: int, layout: struct.Struct) -> int:
    return direction << 30 | layout.size << 16 | ord("V") << 8 | number


QUERYCAP = _request(_READ, 0, _CAPABILITY)
ENUM_FMT = _request(_READ | _WRITE, 2, _FORMAT)
ENUM_FRAMESIZES = _request(_READ | _WRITE, 74, _SIZES)
ENUM_FRAMEINTERVALS = _request(_READ | _WRITE, 75, _INTERVALS)


@dataclass(frozen=True, slots=True)
class VideoNode:
    """One /dev/videoN. A camera has several: frames come from one, metadata from its twin.

    Attributes
    ----------
    path : of the device file.
    name : as the driver says.
    serial : of the USB device; empty if it has none.
    """

    path: Path
    name: str
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a video device is.

    Attributes
    ----------
    model : its name, up to 31 letters.
    bus : where it is plugged in, "usb-0000:00:14.0-1".
    captures : whether frames can be had from it; a node for metadata, or one that encodes, gives none.
    """

    model: str
    bus: str
    captures: bool


@dataclass(frozen=True, slots=True)
class VideoMode:
    """A pixel format at one size.

    Attributes
    ----------
    fourcc : "MJPG".
    columns, rows : of its frames; for a range of sizes the largest.
    rates : frames per second, highest first; of a range the highest.
    """

    fourcc: str
    columns: int
    rows: int
    rates: tuple[float, ...]

    def __str__(self) -> str:
        rates = "/".join(f"{rate:g}" for rate in self.rates)
        return f"{self.columns}x{self.rows} {self.fourcc}" + (f" {rates} frames/s" if rates else "")


def _send(fd: int, request: int, structure: bytearray) -> object:
    return fcntl.ioctl(fd, request, structure, True)


@dataclass(frozen=True, slots=True)
class VideoDevices:
    """The V4L2 devices of this machine.

    Attributes
    ----------
    sys : where the kernel lists them.
    dev : where their device files are.
    ioctl : how they are asked.
    """

    sys: Path = Path("/sys/class/video4linux")
    dev: Path = Path("/dev")
    ioctl: Ioctl = _send

    def nodes(self) -> list[VideoNode]:
        """Return all nodes in order of their numbers, those that give no frames too."""
        found = []
        for entry in self.sys.glob("video*"):
            number = entry.name.removeprefix("video")
            if number.isdecimal():
                name = _text_of(entry / "name")
                found.append((int(number), VideoNode(self.dev / entry.name, name, _serial_of(entry))))
        return [node for _, node in sorted(found, key=lambda pair: pair[0])]

    def cameras(self) -> list[VideoNode]:
        """Return the nodes that give frames, and those that cannot be asked."""
        return [node for node in self.nodes() if self._may_capture(node)]

    def capability(self, path: Path) -> Capability:
        """Return what the device is. Raises OSError if it cannot be asked."""
        with _opened(path) as fd:
            return query(fd, self.ioctl)

    def modes(self, path: Path) -> list[VideoMode]:
        """Return what the device can give. Raises OSError if it cannot be asked."""
        with _opened(path) as fd:
            return list(_modes(fd, self.ioctl))

    def _may_capture(self, node: VideoNode) -> bool:
        try:
            return self.capability(node.path).captures
        except OSError:
            return True


def query(fd: int, ioctl: Ioctl = _send) -> Capability:
    """Return what an open device is. Raises OSError if it is no V4L2 device."""
    structure = bytearray(_CAPABILITY.size)
    ioctl(fd, QUERYCAP, structure)
    _, card, bus, _, of_all, of_this, *_ = _CAPABILITY.unpack(structure)
    flags = of_this if of_all & _DEVICE_CAPS else of_all  # the first speaks for all nodes of a camera
    return Capability(_word(card), _word(bus), bool(flags & _CAPTURES and flags & _STREAMING))


def _modes(fd: int, ioctl: Ioctl) -> Iterator[VideoMode]:
    for answer in _listed(fd, ioctl, ENUM_FMT, _FORMAT, (_CAPTURE,)):
        pixel_format = int(answer[4])
        for columns, rows in _sizes(fd, ioctl, pixel_format):
            rates = _rates(fd, ioctl, pixel_format, columns, rows)
            yield VideoMode(fourcc_text(pixel_format), columns, rows, rates)


def _sizes(fd: int, ioctl: Ioctl, pixel_format: int) -> Iterator[tuple[int, int]]:
    for _, _, kind, *numbers in _listed(fd, ioctl, ENUM_FRAMESIZES, _SIZES, (pixel_format,)):
        if kind == _DISCRETE:
            yield numbers[0], numbers[1]
        else:  # least, most and step of columns, then of rows
            yield numbers[1], numbers[4]
            return


def _rates(fd: int, ioctl: Ioctl, pixel_format: int, columns: int, rows: int) -> tuple[float, ...]:
    found: set[float] = set()
    asked = (pixel_format, columns, rows)
    for _, _, _, _, kind, *numbers in _listed(fd, ioctl, ENUM_FRAMEINTERVALS, _INTERVALS, asked):
        above, below = numbers[:2]  # seconds between frames, as a fraction; of a range the least
        if above:
            found.add(round(below / above, 3))
        if kind != _DISCRETE:
            break
    return tuple(sorted(found, reverse=True))


def _listed(
    fd: int, ioctl: Ioctl, request: int, layout: struct.Struct, asked: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Yield the answers for index 0, 1, ... until the driver has no more."""
    for index in range(_MOST):
        structure = bytearray(layout.size)
        struct.pack_into(f"={1 + len(asked)}I", structure, 0, index, *asked)
        try:
            ioctl(fd, request, structure)
        except OSError as exc:
            if exc.errno in (errno.EINVAL, errno.ENOTTY):  # past the last; or it lists none of these
                return
            raise
        yield layout.unpack(structure)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def fourcc_text(code: int) -> str:
    """Return the four letters of a pixel format, "MJPG"; empty if they are none."""
    letters = (code & 0x7FFFFFFF).to_bytes(4, "little")
    return letters.decode("ascii", "replace").rstrip(" \0") if letters.isascii() else ""


def _word(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="replace").strip()


def _text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _serial_of(entry: Path) -> str:
    """Return the serial number of the USB device some levels above a node."""
    try:
        device = (entry / "device").resolve(strict=True)
    except OSError:
        return ""
    for folder in (device, *device.parents):
        if (folder / "idVendor").exists():
            return _text_of(folder / "serial")
    return ""
