"""What a rig records: its cameras, where to, when, and until when. Values that open no device."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from hardware.camera import CAMERAS, SOURCES, CameraSettings
from hardware.errors import SettingError
from hardware.recording import DEFAULT_MEMORY
from hardware.rig.schedule import Schedule, next_time_of_day, unix_time
from hardware.rig.values import (
    byte_count,
    check_fields,
    file_name,
    free_values,
    image_size,
    moment_or_time,
    names,
    one_of,
    optional,
    positive,
    rectangle,
    rule,
    switch,
    text,
    whole,
)
from imgstore import DEFAULT_FORMAT, FORMATS, FrameSpec, UnknownNameError

PROFILES = ("fast", "balanced", "small", "lossless")
"""Names of settings that formats have."""

STORE_FIELDS = ("run", "camera", "date", "time")
"""What may stand in braces in the naming of stores."""

STORE_NAMING = "{run}_{date}_{time}/{camera}"
_RESERVE = 5_000_000_000
_MADE_UP = ("simulated", "video", "store")  # kinds of cameras that could give frames faster than real ones
_SHARED = (*_MADE_UP, "stream")  # of which several may be the same


@dataclass(frozen=True, slots=True)
class QueueSize:
    """How much may wait to be written: a number of frames, or of bytes.

    Attributes
    ----------
    frames, bytes : one of them, the other None.
    """

    frames: int | None = None
    bytes: int | None = None

    def length(self, spec: FrameSpec) -> int:
        """Return how many frames of `spec` may wait, at least one."""
        if self.frames is not None:
            return self.frames
        size = spec.dtype.itemsize
        for count in spec.shape:
            size *= count
        return max(1, (self.bytes or 0) // size)


def queue_size(value: object) -> QueueSize:
    """Return the queue of 64 (frames) or "256 MB". Raises SettingError."""
    if isinstance(value, QueueSize):
        return value
    try:
        if isinstance(value, str):
            return QueueSize(bytes=byte_count(value))
        frames = whole(1)(value)
    except SettingError:
        raise SettingError(f"is a number of frames from 1, or an amount as 256 MB, not {value!r}") from None
    return QueueSize(frames=frames)


def source(value: object) -> str:
    """Return what names a camera of a kind that there is. Raises SettingError."""
    words = text(value)
    kind = words.partition(":")[0]
    if kind not in CAMERAS:
        try:
            CAMERAS.get(kind)
        except UnknownNameError as exc:
            raise SettingError(f"names no camera, {words!r}: {exc}. A source looks like {SOURCES}") from exc
    return words


def format_name(value: object) -> str:
    """Return the name of a format that there is. Raises SettingError."""
    if not isinstance(value, str) or value not in FORMATS:
        return one_of(FORMATS.names())(value)
    return value


def lost_limit(value: object) -> int | None:
    """Return how many frames may be lost: yes (None) for any number, no for none. Raises SettingError."""
    if value is None or isinstance(value, bool):
        return None if value is None or value else 0
    if not isinstance(value, int) or value < 0:
        raise SettingError(f"is yes, no, or a number of frames from 0, not {value!r}")
    return value


def feed_name(value: object) -> str | bool:
    """Return the name of a live feed, or whether there is one. Raises SettingError."""
    if isinstance(value, bool):
        return value
    try:
        return file_name(value)
    except SettingError as exc:
        raise SettingError(f"is on, off or a name; it {exc}") from None


def part_names(value: object) -> tuple[str, ...]:
    """Return the names of the parts of "left/right". Raises SettingError."""
    parts = value.split("/") if isinstance(value, str) else value
    try:
        found = tuple(file_name(one) for one in (parts if isinstance(parts, list | tuple) else ()))
    except SettingError:
        found = ()
    if len(found) < 2 or len(set(found)) < len(found):
        raise SettingError(
            f"is different names for the parts from left to right, as left/right, not {value!r}"
        )
    return found


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One camera of a rig, and how its frames are kept.

    Attributes
    ----------
    name : of the camera in this rig, for stores and messages.
    source : what opens it, as `ethostore cameras` lists it: "opencv:0".
    size, rate, colour, options : as in `CameraSettings`; size is (rows, columns).
    crop : x, y, width and height of the part that is kept, in pixels; None for all.
    split : names of parts of the same width side by side, from the left, each of which becomes a store
        of its own; empty for one store. After `crop`.
    format : how frames are kept.
    settings : profile of the format.
    chunksize, chunk_s : frames or seconds per chunk; both None for the format's own default.
    queue : how much may wait to be written.
    allow_lost : how many frames may be lost with which the command still ends well; None for any number.
    pre_trigger_s : seconds from before saving begins that are kept, too; 0 for none.
    feed : name of the live feed, True for the camera's own name, False for none.
    metadata : to keep in its stores, beside the rig's.
    """

    name: str = field(metadata=rule(file_name, "camera"))
    source: str = field(metadata=rule(source, "simulated"))
    size: tuple[int, int] | None = field(default=None, metadata=rule(optional(image_size)))
    rate: float | None = field(default=None, metadata=rule(optional(positive("frames per second"))))
    colour: bool = field(default=False, metadata=rule(switch))
    options: Mapping[str, object] = field(default_factory=dict, metadata=rule(free_values))
    crop: tuple[int, int, int, int] | None = field(default=None, metadata=rule(optional(rectangle)))
    split: tuple[str, ...] = field(
        default=(), metadata=rule(lambda value: part_names(value) if value else ())
    )
    format: str = field(default=DEFAULT_FORMAT, metadata=rule(format_name))
    settings: str = field(default="balanced", metadata=rule(one_of(PROFILES)))
    chunksize: int | None = field(default=None, metadata=rule(optional(whole(1))))
    chunk_s: float | None = field(default=None, metadata=rule(optional(positive("seconds"))))
    queue: QueueSize = field(default=QueueSize(bytes=DEFAULT_MEMORY), metadata=rule(queue_size))
    allow_lost: int | None = field(default=0, metadata=rule(lost_limit))
    pre_trigger_s: float = field(
        default=0.0, metadata=rule(lambda value: positive("seconds")(value) if value else 0.0)
    )
    feed: str | bool = field(default=False, metadata=rule(feed_name))
    metadata: Mapping[str, object] = field(default_factory=dict, metadata=rule(free_values))

    def __post_init__(self) -> None:
        check_fields(self)
        if self.chunksize is not None and self.chunk_s is not None:
            raise SettingError("chunksize and chunk_s both say how long a chunk is; give one")
        if self.size is not None and self.crop is not None:
            x, y, width, height = self.crop
            if x + width > self.size[1] or y + height > self.size[0]:
                raise SettingError(f"crop {list(self.crop)} is not within {self.size[1]}x{self.size[0]}")
        columns = self.width
        if self.split and columns and columns % len(self.split):
            raise SettingError(
                f"split: {columns} columns cannot be parted into {len(self.split)} of the same width"
            )

    @property
    def width(self) -> int | None:
        """Columns of what is kept, before it is split; None if only the camera knows."""
        return self.crop[2] if self.crop else self.size[1] if self.size else None

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of what it records: its own, or one for each part."""
        return tuple(f"{self.name}-{part}" for part in self.split) or (self.name,)

    @property
    def feed_name(self) -> str | None:
        """Name of the live feed, None if there is none."""
        return (self.name if self.feed else None) if isinstance(self.feed, bool) else self.feed

    @property
    def camera_settings(self) -> CameraSettings:
        """What is asked of the camera. One that is made up keeps the pace of a real one."""
        realtime = self.source.partition(":")[0] in _MADE_UP
        return CameraSettings(self.size, self.rate, self.colour, realtime, options=self.options)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a recording is complete, whichever comes first; None for never.

    Attributes
    ----------
    frames : of every camera.
    seconds : since saving began; in windows of a schedule, since the first of them did.
    size : bytes of all stores together.
    until : a moment, without a zone local, or a time of day, which is the next after the beginning.
    """

    frames: int | None = field(default=None, metadata=rule(optional(whole(1))))
    seconds: float | None = field(default=None, metadata=rule(optional(positive("seconds"))))
    size: int | None = field(default=None, metadata=rule(optional(byte_count)))
    until: datetime | time | None = field(default=None, metadata=rule(optional(moment_or_time)))

    def __post_init__(self) -> None:
        check_fields(self)

    def ends(self, began: float, zone: ZoneInfo, *, seconds: bool = True) -> float | None:
        """Return the Unix time at which a recording that began at `began` ends; None if no clock ends it.

        `seconds` says whether the limit of that name counts, too.
        """
        ends = []
        if seconds and self.seconds is not None:
            ends.append(began + self.seconds)
        if isinstance(self.until, datetime):
            ends.append(unix_time(self.until, zone))
        elif self.until is not None:
            ends.append(next_time_of_day(self.until, began, zone))
        return min(ends, default=None)


def store_naming(value: object) -> str:
    """Return the naming of stores: a path with fields in braces. Raises SettingError."""
    words = text(value)
    try:
        parts = list(string.Formatter().parse(words))
    except ValueError as exc:
        raise SettingError(f"is a path with {_FIELDS}, not {words!r}: {exc}") from None
    for _, name, form, conversion in parts:
        if name is not None and (name not in STORE_FIELDS or form or conversion):
            raise SettingError(f"knows {_FIELDS}, not {{{name}}}")
    filled = words.format(**dict.fromkeys(STORE_FIELDS, "a"))
    for folder in filled.split("/"):
        try:
            file_name(folder)
        except SettingError:
            raise SettingError(f"is a path below the folder, with {_FIELDS}, not {words!r}") from None
    return words


_FIELDS = ", ".join(f"{{{name}}}" for name in STORE_FIELDS)


def folder(value: object) -> Path:
    """Return the folder that a text names. Raises SettingError."""
    return value if isinstance(value, Path) else Path(text(value)).expanduser()


@dataclass(frozen=True, slots=True)
class RigSpec:
    """What a rig records.

    Attributes
    ----------
    name : of the run.
    cameras : at least one; their names are different.
    folder : in which its stores lie.
    stores : path of a store below the folder; see STORE_FIELDS.
    limits : when a recording is complete.
    schedule : when to record.
    metadata : to keep in all stores.
    ask : names of further metadata, for which whoever starts the recording is asked.
    disk_reserve : the recording ends before the disk has fewer bytes left than this.
    """

    name: str = field(metadata=rule(file_name, "run"))
    cameras: tuple[CameraSpec, ...]
    folder: Path = field(default=Path(), metadata=rule(folder))
    stores: str = field(default=STORE_NAMING, metadata=rule(store_naming))
    limits: Limits = field(default_factory=Limits)
    schedule: Schedule = field(default_factory=Schedule)
    metadata: Mapping[str, object] = field(default_factory=dict, metadata=rule(free_values))
    ask: tuple[str, ...] = field(default=(), metadata=rule(names))
    disk_reserve: int = field(default=_RESERVE, metadata=rule(byte_count))

    def __post_init__(self) -> None:
        check_fields(self)
        if wrong := find_conflicts(self.cameras, self.stores, self.schedule):
            raise SettingError("; ".join(what for _, what in wrong))

    def store_path(self, store: str, began: float, zone: ZoneInfo) -> Path:
        """Return the folder of a store.

        Parameters
        ----------
        store : one of a camera's `stores`.
        began : Unix time at which the recording, or its window, began.
        """
        moment = datetime.fromtimestamp(began, zone)
        return self.folder / self.stores.format(
            run=self.name, camera=store, date=f"{moment:%Y-%m-%d}", time=f"{moment:%H-%M-%S}"
        )


def find_conflicts(cameras: Sequence[CameraSpec], naming: str, schedule: Schedule) -> list[tuple[str, str]]:
    """Return what of a rig does not go together: the name of a setting, and what is wrong.

    Parameters
    ----------
    naming : of the stores.
    """
    if not cameras:
        return [("cameras", "names no camera; say a name and a source, as `front: opencv:0`")]
    shared = {
        "source": [(one, one.source) for one in cameras if one.source.partition(":")[0] not in _SHARED],
        "feed": [(one, one.feed_name) for one in cameras if one.feed_name is not None],
        "name of a store": [(one, store) for one in cameras for store in one.stores],
    }
    wrong = [conflict for what, pairs in shared.items() for conflict in _find_equal(what, pairs)]
    fields = {name for _, name, _, _ in string.Formatter().parse(naming)}
    if sum(len(one.stores) for one in cameras) > 1 and "camera" not in fields:
        wrong.append(("stores", f"is the same for all cameras, {naming!r}; put {{camera}} into it"))
    if schedule.daily and not {"date", "time"} <= fields:  # a night may be begun twice, after a power cut
        wrong.append(("stores", f"may come twice, {naming!r}; put {{date}} and {{time}} into it"))
    return wrong


def _find_equal(what: str, pairs: Sequence[tuple[CameraSpec, str]]) -> list[tuple[str, str]]:
    """Return a conflict for every camera that has the same as one before it."""
    first: dict[str, str] = {}
    wrong = []
    for camera, value in pairs:
        if value in first:
            wrong.append((f"cameras.{camera.name}", f"has the same {what} as {first[value]}: {value}"))
        first.setdefault(value, camera.name)
    return wrong
