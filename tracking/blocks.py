"""Stretches of a recording, and what was detected in them: what processes hand to each other and keep."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from imgstore import (
    ChunkError,
    Frame,
    FrameSequence,
    FrameView,
    Image,
    StoreReader,
    VideoError,
    frame_near,
    problems_of,
)
from tracking.detect import RegionBlobs, join_tables
from tracking.trackers import Detections, SplitTracker, Tracker

_BLOCK_FRAMES = 240  # of stores: frames that are decoded from each other, 30 or 120 with ours, stay together
_VIDEO_BLOCK_FRAMES = 250  # of videos: most encoders' keyframes are so far apart
_STAMP = np.dtype([("index", "<i8"), ("number", "<i8"), ("time", "<f8")])
_COUNTS = ".counts"  # ends the name of the array that says how many rows are whose


class Stamped(Protocol):
    """A frame, or what is left of it when its image is gone."""

    @property
    def index(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def time(self) -> float: ...


@dataclass(frozen=True, slots=True, eq=False)
class SeenFrame:
    """A frame in which was looked already.

    Attributes
    ----------
    index, number, time : of the frame.
    detections : what was seen in it.
    image : of the frame; None where it was another process that looked.
    """

    index: int
    number: int
    time: float
    detections: Detections
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class UnreadFrame:
    """A frame that cannot be read, and why."""

    index: int
    number: int
    time: float
    reason: str


Seen: TypeAlias = SeenFrame | UnreadFrame


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What was detected in a stretch of a recording, as few arrays: these are quick to send and to write.

    Attributes
    ----------
    indices : of the frames.
    stamps : a table of index, number and time of those that could be read.
    arrays : the fields of `Detections`, of all frames one after the other.
    unread : the others.
    """

    indices: range
    stamps: npt.NDArray[np.void]
    arrays: dict[str, npt.NDArray[Any]]
    unread: tuple[UnreadFrame, ...]

    @classmethod
    def pack(cls, indices: range, frames: Iterable[Seen]) -> "Block":
        """Return a block of frames, in order."""
        seen: list[SeenFrame] = []
        unread: list[UnreadFrame] = []
        for frame in frames:
            if isinstance(frame, SeenFrame):
                seen.append(frame)
            else:
                unread.append(frame)
        stamps = np.array([(frame.index, frame.number, frame.time) for frame in seen], _STAMP)
        arrays: dict[str, npt.NDArray[Any]] = {}
        if seen:
            for field in fields(Detections):
                values = [getattr(frame.detections, field.name) for frame in seen]
                arrays |= _pack(field.name, values)
        return cls(indices, stamps, arrays, tuple(unread))

    def unpack(self) -> Iterator[Seen]:
        """Yield the frames, in order."""
        unread = list(self.unread)
        columns = {
            field.name: _unpack(field.name, self.arrays)
            for field in fields(Detections)
            if field.name in self.arrays
        }
        for stamp in self.stamps:
            while unread and unread[0].index < stamp["index"]:
                yield unread.pop(0)
            detections = Detections(**{name: next(values) for name, values in columns.items()})
            yield SeenFrame(int(stamp["index"]), int(stamp["number"]), float(stamp["time"]), detections)
        yield from unread

    def encode(self) -> bytes:
        """Return the block as the bytes of an .npz file."""
        said = {
            "indices": [self.indices.start, self.indices.stop],
            "unread": [asdict(frame) for frame in self.unread],
        }
        file = io.BytesIO()
        text = np.frombuffer(json.dumps(said).encode(), np.uint8)
        arrays: dict[str, Any] = {"block": text, "stamps": self.stamps, **self.arrays}
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def decode(cls, data: bytes) -> "Block":
        """Return the block that was encoded. Raises ValueError, KeyError or OSError if it is none."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        said = json.loads(arrays.pop("block").tobytes())
        unread = tuple(UnreadFrame(**frame) for frame in said["unread"])
        return cls(range(*said["indices"]), arrays.pop("stamps"), arrays, unread)


def _pack(name: str, values: Sequence[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return one field of all frames: numbers, blobs, or nothing at all."""
    if all(value is None for value in values):
        return {}
    if not isinstance(values[0], RegionBlobs):
        return {name: np.asarray(values)}
    counts = np.array([value.counts for value in values], np.int64)
    return {name: join_tables([value.table for value in values]), name + _COUNTS: counts}


def _unpack(name: str, arrays: dict[str, npt.NDArray[Any]]) -> Iterator[Any]:
    """Yield one field of frame after frame."""
    values = arrays[name]
    counts = arrays.get(name + _COUNTS)
    if counts is None:
        yield from values.tolist()
        return
    ends = np.cumsum(counts.sum(axis=1)).tolist()
    for start, end, of_regions in zip([0, *ends], ends, counts, strict=False):
        yield RegionBlobs(values[start:end], of_regions)


def cut_blocks(frames: FrameSequence, count: int) -> list[range]:
    """Return stretches of the first `count` frames; none reaches over the border of two chunks."""
    parts, size = [range(len(frames))], _VIDEO_BLOCK_FRAMES
    if isinstance(frames, StoreReader):
        parts, size = [frames.chunk_range(chunk) for chunk in frames.chunks], _BLOCK_FRAMES
    cut = [range(part.start, min(part.stop, count)) for part in parts]
    return [part[at : at + size] for part in cut for at in range(0, len(part), size)]


def read_frames(frames: FrameSequence, indices: range) -> Iterator[Frame | UnreadFrame]:
    """Yield frames in order; those that cannot be read come without an image."""
    at = 0
    while at < len(indices):
        try:
            for frame in FrameView(frames, indices[at:]):
                at += 1
                yield frame
        except (ChunkError, VideoError) as exc:
            why: ChunkError | VideoError | None = exc
            while why is not None:  # one by one until one can be read: reading ahead is dear to begin
                index = indices[at]
                yield UnreadFrame(index, int(frames.numbers[index]), float(frames.times[index]), str(why))
                at += 1
                why = _try(frames, indices[at]) if at < len(indices) else None


def _try(frames: FrameSequence, index: int) -> ChunkError | VideoError | None:
    """Return why a frame cannot be read; None if it can."""
    try:
        frames[index]
    except (ChunkError, VideoError) as exc:
        return exc
    return None


def without_image(frame: Seen) -> Seen:
    """Return what is to be kept of a frame: images of a whole stretch would fill the memory."""
    return replace(frame, image=None) if isinstance(frame, SeenFrame) else frame


def is_split(tracker: Tracker) -> TypeGuard[SplitTracker]:
    """Return whether a tracker detects and links apart, so that others may detect for it."""
    return callable(getattr(tracker, "detect", None)) and callable(getattr(tracker, "link", None))


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """Looks at frames of a recording, wherever it is sent; all attributes can be pickled.

    Attributes
    ----------
    frames : the recording.
    tracker : prepared.
    steady : puts the picture of a frame back where it lay at the start; None if it never moved.
    """

    frames: FrameSequence
    tracker: SplitTracker
    steady: Callable[[Frame], Frame] | None = None

    def look(self, indices: range) -> Iterator[Seen]:
        """Yield what is seen in frame after frame."""
        for frame in read_frames(self.frames, indices):
            if isinstance(frame, UnreadFrame):
                yield frame
            else:
                detections = self.tracker.detect(self.steady(frame) if self.steady else frame)
                yield SeenFrame(frame.index, frame.number, frame.time, detections, frame.image)

    def detect(self, indices: range) -> Block:
        """Return what is seen in a stretch."""
        return Block.pack(indices, map(without_image, self.look(indices)))


class ReadableFrames:
    """A recording of which some frames may be broken; who asks for one of these gets one nearby.

    It is for those who look at samples: those who look at every frame take `read_frames`.

    Parameters
    ----------
    frames : the recording.
    count : how many of its frames there are, from the first.
    """

    def __init__(self, frames: FrameSequence, count: int | None = None) -> None:
        self._whole = frames
        self._frames = FrameView(frames, range(len(frames) if count is None else count))
        self._problems: tuple[str, ...] = problems_of(frames)
        self.spec = frames.spec

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The camera's numbers, shape (n,)."""
        return self._frames.numbers

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The times, shape (n,), seconds since the Unix epoch."""
        return self._frames.times

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing or broken, as the recording says."""
        return self._problems

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int, /) -> Frame:
        """Return the frame at an index or, if it is broken, one not far away, itself a frame of its own.

        Raises ChunkError or VideoError if no such frame can be read.
        """
        at = index + len(self) if index < 0 else index
        try:
            return self._frame(at)
        except (ChunkError, VideoError):
            step = 1
            while step < len(self):
                for near in (at + step, at - step):
                    if 0 <= near < len(self) and _try(self._frames, near) is None:
                        return self._frame(near)
                step *= 2
            raise

    def near(self, index: int, within: int) -> Frame:
        """Return the frame at an index or, if that takes less, one at most `within` frames away."""
        try:
            frame = frame_near(self._whole, index, within)
        except (ChunkError, VideoError):
            return self[index]
        return frame if frame.index < len(self) else self[index]

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        """Do nothing: the files are the recording's."""

    def _frame(self, index: int) -> Frame:
        frame: Frame = self._frames[index]
        return frame
