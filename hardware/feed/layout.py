"""What lies where in the memory of a feed: a page that describes it, then the slots, each a page or more."""

import math
import struct
import time
from dataclasses import dataclass

import numpy as np

from hardware.errors import FeedError
from hardware.frame import CameraFrame
from imgstore import Frame, FrameFormatError, FrameSpec, ImgstoreError

HEADER_BYTES = 4096
"""Of the first page; the words that change are in its second half."""

WORDS_OFFSET = 2048
_PAGE = 4096
_VERSION = 1
_MAGIC = b"ethofeed"
_HEADER = struct.Struct("=8sIIqI3Q8s")  # magic, version, slots, pid, dimensions, shape, dtype
_SLOT = struct.Struct("=qqdqqqqqI")
_SLOT_HEADER_BYTES = 128
DEFAULT_SLOTS = 16
"""How many frames there is room for, if nobody says."""

_FEWEST_SLOTS, _MOST_SLOTS = 2, 1 << 20

_INCOMPLETE, _HAS_NUMBER, _HAS_TIME = 1, 2, 4


@dataclass(frozen=True, slots=True)
class SlotHeader:
    """What a slot says of its frame, besides the image; see `CameraFrame`.

    Attributes
    ----------
    lost_ever : frames that the camera lost up to this one, since the feed began.
    """

    index: int
    number: int
    time: float
    arrived_ns: int
    device_number: int | None
    device_ns: int | None
    lost: int
    lost_ever: int
    incomplete: bool


@dataclass(frozen=True, slots=True)
class FeedLayout:
    """Where the frames of one feed lie.

    Attributes
    ----------
    spec : of the frames.
    slots : how many frames there is room for.
    pid : of the process that writes them.
    """

    spec: FrameSpec
    slots: int
    pid: int

    def __post_init__(self) -> None:
        if not _FEWEST_SLOTS <= self.slots <= _MOST_SLOTS:
            raise FeedError(f"a feed has {_FEWEST_SLOTS} to {_MOST_SLOTS} slots, not {self.slots}")

    @property
    def slot_bytes(self) -> int:
        """From one slot to the next: whole pages."""
        image = math.prod(self.spec.shape) * self.spec.dtype.itemsize
        return -(-(_SLOT_HEADER_BYTES + image) // _PAGE) * _PAGE

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return HEADER_BYTES + self.slots * self.slot_bytes

    def header_offset(self, slot: int) -> int:
        """Where what a slot says of its frame lies."""
        return HEADER_BYTES + slot * self.slot_bytes

    def image_offset(self, slot: int) -> int:
        """Where the image of a slot lies."""
        return self.header_offset(slot) + _SLOT_HEADER_BYTES

    def pack(self) -> bytes:
        """Return the description for the first page."""
        shape = (*self.spec.shape, 0)[:3]
        dtype = self.spec.dtype.str.encode()
        return _HEADER.pack(_MAGIC, _VERSION, self.slots, self.pid, len(self.spec.shape), *shape, dtype)


def unpack_layout(header: bytes, size: int) -> FeedLayout:
    """Return what the first page of a feed describes.

    Parameters
    ----------
    header : the page.
    size : of the whole segment, in bytes.

    Raises FeedError if it is no feed, one of another version, or damaged.
    """
    if len(header) < HEADER_BYTES:
        raise FeedError(f"it is no feed: it has {len(header)} bytes")
    magic, version, slots, pid, dimensions, *shape, dtype = _HEADER.unpack_from(header)
    if magic != _MAGIC or version != _VERSION:
        raise FeedError("it is no feed, or one of another version of ethostore")
    try:
        spec = FrameSpec(tuple(shape[:dimensions]), np.dtype(dtype.rstrip(b"\0").decode()))
        layout = FeedLayout(spec, slots, pid)
    except (ImgstoreError, FeedError, TypeError, ValueError) as exc:
        raise FeedError(f"its description is damaged: {exc}") from exc
    if layout.size > size:
        raise FeedError(f"it is damaged: {size} bytes long, not {layout.size}")
    return layout


def pack_frame(frame: Frame, lost_before: int) -> bytes:
    """Return what a slot says of a frame.

    Parameters
    ----------
    frame : a plain one arrives now.
    lost_before : frames that the camera lost up to the one before.

    Raises FrameFormatError if a number is beyond 64 bits.
    """
    arrived_ns, device_number, device_ns, lost, incomplete = time.monotonic_ns(), None, None, 0, False
    if isinstance(frame, CameraFrame):
        arrived_ns, device_number, device_ns = frame.arrived_ns, frame.device_number, frame.device_ns
        lost, incomplete = frame.lost, frame.incomplete
    flags = (
        (_INCOMPLETE if incomplete else 0)
        | (0 if device_number is None else _HAS_NUMBER)
        | (0 if device_ns is None else _HAS_TIME)
    )
    try:
        return _SLOT.pack(
            frame.index,
            frame.number,
            frame.time,
            arrived_ns,
            device_number or 0,
            device_ns or 0,
            lost,
            lost_before + lost,
            flags,
        )
    except struct.error as exc:
        raise FrameFormatError(f"frame {frame.number} has a number that a feed cannot hold: {exc}") from exc


def unpack_frame(memory: memoryview, offset: int) -> SlotHeader:
    """Return what the slot that begins at `offset` says of its frame."""
    *numbers, device_number, device_ns, lost, lost_ever, flags = _SLOT.unpack_from(memory, offset)
    index, number, moment, arrived_ns = numbers
    return SlotHeader(
        index,
        number,
        moment,
        arrived_ns,
        device_number if flags & _HAS_NUMBER else None,
        device_ns if flags & _HAS_TIME else None,
        lost,
        lost_ever,
        bool(flags & _INCOMPLETE),
    )
