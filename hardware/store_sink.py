"""The store of one camera as a sink of its recorder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import imgstore
from hardware.errors import SettingError
from hardware.frame import CameraFrame
from hardware.losses import Loss, merged
from hardware.overlay import caption, frame_text
from imgstore import DEFAULT_FORMAT, FORMATS, Frame, FrameSpec, StreamWriter

DEVICE_STREAM = "device"
"""The stream in which a store keeps what a device with a clock of its own said of each frame."""

_DEVICE_COLUMNS = ("device_number", "device_ns", "arrived_ns")
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """What store a recording goes into.

    Attributes
    ----------
    path : folder that does not exist yet.
    format, settings, chunksize : see `imgstore.create`.
    chunk_s : seconds in a chunk by the times of its frames, instead of `chunksize`.
    metadata : what to keep in `metadata.yaml`.
    crop : x, y, width and height of the part of each frame that is kept, in pixels; None for all of it.
    part : which of how many parts side by side, of what `crop` leaves: (0, 2) is the left one of two
        cameras in one picture.
    overlay : write number and time into the images, for good.
    """

    path: Path
    format: str = DEFAULT_FORMAT
    settings: str | None = None
    chunksize: int | None = None
    chunk_s: float | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    crop: tuple[int, int, int, int] | None = None
    part: tuple[int, int] = (0, 1)
    overlay: bool = False

    def __post_init__(self) -> None:
        if self.chunksize is not None and self.chunk_s is not None:
            raise SettingError("a chunk ends after so many frames or seconds; give one of them")
        if self.chunk_s is not None and not 0 < self.chunk_s < math.inf:
            raise SettingError(f"a chunk lasts more than 0 seconds and not for ever, not {self.chunk_s}")
        if not 0 <= self.part[0] < self.part[1]:
            raise SettingError(f"a part is one of several, (0, 2) for the first of two, not {self.part}")


class StoreSink:
    """Writes frames, what happens beside them, and what the device said of them into a new store.

    Parameters
    ----------
    store : which.
    spec : of the frames as they come.
    rate : of the camera, frames per second; None if unknown.

    Raises what `imgstore.create` raises.
    """

    def __init__(self, store: StoreSpec, spec: FrameSpec, rate: float | None) -> None:
        self._rate = rate
        self._rows, self._columns = _kept(store, spec)
        kept = _kept_spec(store, spec)
        self._overlay = store.overlay
        self._is_part = kept != spec
        self._writer = imgstore.create(
            store.path,
            kept.shape,
            kept.dtype,
            format=store.format,
            settings=store.settings,
            chunksize=_chunksize(store, rate),
            chunk_seconds=store.chunk_s,
            metadata=store.metadata,
        )
        self._device: StreamWriter | None = None
        self._is_first = True
        self._written: Frame | None = None  # if the disk has yet to take what the device said of it

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self._writer.path

    def append(self, frame: Frame) -> None:
        """Write the next frame. Raises what `StoreWriter.append` raises."""
        if frame is not self._written:  # else it is tried again for the rest
            kept = frame
            if self._is_part:
                kept = replace(frame, image=np.ascontiguousarray(frame.image[self._rows, self._columns]))
            if self._overlay:
                kept = replace(kept, image=caption(kept.image, [frame_text(frame)]))
            self._writer.append(kept)
            self._written = frame
        if isinstance(frame, CameraFrame):
            self._keep_device(frame)
        self._written = None

    def append_event(self, kind: str, time: float | None = None, **detail: object) -> None:
        """Write down that something happened. Raises ChunkError."""
        self._writer.append_event(kind, time, **detail)

    def append_extra(self, record: Mapping[str, object]) -> None:
        """Write a record beside the last frame. Raises ChunkError, TypeError."""
        self._writer.append_extra(record)

    def settle(self) -> None:
        """Finish the chunk in hand. Raises ChunkError."""
        self._writer.settle()

    def unkept(self) -> list[Loss]:
        """Return what the store had taken and its disk did not keep; see `StoreWriter.unkept`."""
        found = self._writer.unkept()
        return merged([Loss("disk", number, number, time, time) for number, time in found])

    def close(self) -> None:
        """Finish the store. Closing twice is harmless."""
        self._writer.close()

    def _keep_device(self, frame: CameraFrame) -> None:
        """Keep what the device said, if it has a clock of its own: the raw values behind number and time."""
        if self._is_first:
            if frame.device_ns is not None:
                rate = self._rate if self._rate and math.isfinite(self._rate) else 1.0
                self._device = self._writer.stream(DEVICE_STREAM, _DEVICE_COLUMNS, rate, np.int64)
            self._is_first = False
        if self._device is not None:
            said = [[_known(frame.device_number), _known(frame.device_ns), frame.arrived_ns]]
            self._device.append(np.array(said, np.int64), frame.time)


def check_store(store: StoreSpec, spec: FrameSpec) -> None:
    """Raise what keeps frames of `spec` out of a store.

    Raises SettingError if the part that is to be kept is not there, FrameFormatError if the format cannot
    hold it, SettingsError if it does not take the settings.
    """
    kept = _kept_spec(store, spec)
    chunk_format = FORMATS.get(store.format)
    chunk_format.check(kept)
    chunk_format.settings(kept, store.settings)


def _kept_spec(store: StoreSpec, spec: FrameSpec) -> FrameSpec:
    rows, columns = _kept(store, spec)
    return FrameSpec((rows.stop - rows.start, columns.stop - columns.start, *spec.shape[2:]), spec.dtype)


def _known(value: int | None) -> int:
    """Return what a device said, if it did and it is no more than 64 bits with a sign can hold."""
    return _UNKNOWN if value is None or value >= 1 << 63 else value


def _kept(store: StoreSpec, spec: FrameSpec) -> tuple[slice, slice]:
    """Return the rows and columns that are kept. Raises SettingError if they are not there."""
    x, y, width, height = store.crop or (0, 0, spec.columns, spec.rows)
    if min(x, y) < 0 or min(width, height) < 1 or x + width > spec.columns or y + height > spec.rows:
        raise SettingError(
            f"frames of {spec.columns}x{spec.rows} have no part of {width}x{height} at {x}, {y} to be kept"
        )
    place, count = store.part
    if width % count:
        raise SettingError(
            f"{width} columns cannot be parted into {count} of the same width; crop them first"
        )
    width //= count
    first = x + place * width
    return slice(y, y + height), slice(first, first + width)


def _chunksize(store: StoreSpec, rate: float | None) -> int | None:
    """Return the frames of a chunk; of one in seconds, how many it will hold if the camera keeps its rate."""
    if store.chunk_s is None or not rate or not math.isfinite(rate):
        return store.chunksize
    return max(round(store.chunk_s * rate), 1)
