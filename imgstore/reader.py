"""The frames of a store as a sequence."""

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from imgstore.chunk import find_chunk
from imgstore.contents import Contents, Progress, read_contents
from imgstore.encoding import decoder
from imgstore.errors import ClosedError, FrameIndexError, FrameNotFoundError
from imgstore.events import Event, EventReader
from imgstore.extra import find_extra, load_extra
from imgstore.flyhostel import ticks_per_second
from imgstore.follow import BrokenFrame, Chunks, Follower
from imgstore.formats import FORMATS, ChunkFormat, ChunkReader
from imgstore.frame import Frame, FrameSpec, Image
from imgstore.index import Gap, Numbers, StoreIndex, TimeMatch, Times, find_gaps
from imgstore.layout import writer_state
from imgstore.lost import LostFrames, find_lost
from imgstore.metadata import DIRECTORY_CLASS, StoreMetadata, find_metadata, load_metadata
from imgstore.options import AS_STORED, Crop, ReadOptions
from imgstore.samples import StreamSpec
from imgstore.signals import Moment as Moment
from imgstore.signals import StreamReader, find_streams, open_stream
from imgstore.sweep import sweep
from imgstore.view import FrameView, Selection, is_integer, select

if TYPE_CHECKING:
    import pandas as pd

_OPEN_CHUNKS = 3
_VIDEO_READER = "h264/mkv"  # any video format reads any video; the file says what it is


def open(  # noqa: A001  # the name users type after `imgstore.`
    path: str | os.PathLike[str],
    *,
    grey: bool = False,
    crop: Crop | None = None,
    scale: float = 1.0,
    progress: Progress | None = None,
) -> "StoreReader":
    """Open a store for reading, be it finished, being written, left by a writer that died, or partly copied.

    What is missing or broken is left out and named in `problems`.

    Parameters
    ----------
    path : folder of the store, or its `metadata.yaml`.
    grey : read colour as grey, which of most videos is cheaper.
    crop : read only the part (x, y, width, height), in pixels.
    scale : read images smaller (0.5: half as wide and high), after `crop`.
    progress : called with how many chunks' indexes are read, and how many there are.

    Raises
    ------
    NotAStoreError
        There is no store at `path`.
    MetadataError
        Its metadata is broken.
    FrameFormatError
        Its frames cannot be read in grey, cropped or scaled so.
    """
    file = find_metadata(Path(path))
    return StoreReader(
        file.parent,
        load_metadata(file),
        progress,
        options=ReadOptions(grey, crop, scale),
    )


class StoreReader:
    """A sequence of frames; made by `open`. Safe to use from several threads.

    Parameters
    ----------
    root : folder of the store.
    metadata : what its metadata file says.
    progress : see `open`.
    index : of the store, if it is known already.
    options : which part of the images is read, and how.
    raw_times : give times as they stand on the disk, also where they are milliseconds.
    """

    def __init__(
        self,
        root: Path,
        metadata: StoreMetadata,
        progress: Progress | None = None,
        *,
        index: StoreIndex | None = None,
        options: ReadOptions = AS_STORED,
        raw_times: bool = False,
    ) -> None:
        self._root = root
        self._metadata = metadata
        self._options = options
        self._spec = options.spec(metadata.spec)
        self._format = format_of(metadata)
        self._decode = decoder(metadata.encoding)
        if index is not None:
            self._contents = Contents(index, (), ())
        else:
            self._contents = read_contents(root, metadata, self._format, progress)
        self._index = self._contents.index
        self._ticks = 1 if raw_times else ticks_per_second(metadata.store, self._index.times)
        if self._ticks != 1:
            self._index = self._index.in_seconds(self._ticks)
        self._events = EventReader(root)
        self._open: OrderedDict[int, ChunkReader] = OrderedDict()
        self._lock = RLock()
        self._process = os.getpid()
        self._closed = False

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self._root

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames as they are read."""
        return self._spec

    @property
    def metadata(self) -> StoreMetadata:
        """What the store says of itself."""
        return self._metadata

    @property
    def user_metadata(self) -> Mapping[str, Any]:
        """What the person who recorded wanted to keep."""
        return self._metadata.user

    @property
    def lossless(self) -> bool:
        """Whether the frames are bit for bit those that were appended."""
        return self._format.is_lossless(self._metadata.stored_spec, self._metadata.settings)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Numbers of the chunks that hold frames, in order."""
        return self._index.chunks

    @property
    def index(self) -> StoreIndex:
        """Where every frame is."""
        return self._index

    @property
    def numbers(self) -> Numbers:
        """The camera's numbers of all frames, shape (n,), int64; not to be written to."""
        return self._index.numbers

    @property
    def times(self) -> Times:
        """The times of all frames, shape (n,), float64, Unix seconds; not to be written to."""
        return self._index.times

    @property
    def state(self) -> str:
        """ "complete", "recording", or "interrupted" if the writer died before it had finished."""
        state = writer_state(self._root)
        return "interrupted" if state == "complete" and self._contents.unfinished else state

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing or broken, a line each; empty if all is well."""
        return (*self._contents.problems, *self._events.load().problems(self._events.path))

    def chunk_range(self, chunk: int) -> range:
        """Return the indices of the frames in `chunk`."""
        return self._index.chunk_range(chunk)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.spec.shape))
        return f"<StoreReader {self._root}: {len(self)} frames {shape} {self.spec.dtype}, {self.state}>"

    def __len__(self) -> int:
        return len(self._index)

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, rows, columns) or (frames, rows, columns, 3)."""
        return (len(self), *self.spec.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes: 3 for grey, 4 for colour."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixel values in all frames."""
        return math.prod(self.shape)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Image:
        """Return all images, shape (n, rows, columns[, 3])."""
        return np.asarray(self[:], dtype=dtype)

    @property
    def missing(self) -> list[Gap]:
        """Where the camera's numbers jump, in the order of the frames."""
        return find_gaps(self.numbers)

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened beside the frames, in the order of writing; also of a store that is being written.

        They are looked for every time. Lines that are no events are left out, and named in `problems`.
        """
        return self._events.load().events

    @property
    def lost(self) -> tuple[LostFrames, ...]:
        """Frames that the camera took and that are not here, in order, each stretch with when and the cause.

        These are the numbers that are `missing`, and what the events say was lost besides: before the first
        frame, after the last, and where the camera counts none. What is missing since saving was stopped
        until it was started again is not lost; see `unsaved`.
        """
        return find_lost(self._index, self.events)[0]

    @property
    def unsaved(self) -> list[Gap]:
        """Numbers that are missing because saving had been stopped for a while, by the events."""
        return find_lost(self._index, self.events)[1]

    @overload
    def __getitem__(self, key: int, /) -> Frame: ...
    @overload
    def __getitem__(self, key: slice, /) -> FrameView: ...
    @overload
    def __getitem__(self, key: Selection, /) -> Image: ...
    def __getitem__(self, key: int | slice | Selection, /) -> Frame | FrameView | Image:
        """Return the frame at an index, or several.

        Parameters
        ----------
        key : an index, negative ones counted from the end, gives a Frame; a slice gives a lazy view of these
            frames; a list or array of indices, or of a boolean per frame, gives an array of images.

        Raises FrameIndexError outside of the store, ChunkError if the chunk is missing or broken.
        """
        if isinstance(key, slice) or not is_integer(key):
            return select(self, key)  # type: ignore[arg-type]  # mypy does not take the integers out
        return self._frame(int(key))

    def _frame(self, index: int) -> Frame:
        try:
            at = self._index.at(index)
        except FrameIndexError as exc:
            raise FrameIndexError("; ".join([str(exc), *self._contents.problems])) from None
        chunk, offset = self._index.locate(at)
        if self._process != os.getpid():
            self._after_fork()
        with self._lock:
            reader = self._chunk(chunk)
            image = reader.read(offset) if self._format.readers == 1 else None
        if image is None:  # images that are files of their own are read by many threads at once
            image = reader.read(offset)
        return Frame(image, at, int(self.numbers[at]), float(self.times[at]))

    def __iter__(self) -> Iterator[Frame]:
        return self.read_ahead(range(len(self)))

    def read_ahead(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames at `indices`, from 0, in that order, decoding some ahead of who takes them.

        What is read from the store meanwhile does not slow it.
        """
        for frame in sweep(self._index, indices, self, self._format.readers):
            self._check_open()
            yield frame

    def by_number(self, number: float, *, exact: bool = True) -> Frame:
        """Return the first frame with this camera number, or if not `exact` the nearest.

        Raises FrameNotFoundError.
        """
        return self[self._index.of_number(number) if exact else self._index.nearest_number(number)]

    def by_time(self, time: Moment, *, exact: TimeMatch = "nearest") -> Frame:
        """Return the frame of a time.

        Parameters
        ----------
        time : seconds since the Unix epoch, a datetime, or an ISO 8601 string; in the store's zone unless
            it says another.
        exact : which frame: the "nearest"; the last at or "before"; the first at or "after"; or True for
            one of exactly this time.

        Raises FrameNotFoundError if there is none, or the string is no time.
        """
        return self[self._index.of_time(self.seconds(time), exact)]

    def between(self, start: Moment, end: Moment) -> FrameView:
        """Return the frames from the first at or after `start` to the last before `end`, as a lazy view.

        Times are given as in `by_time`. Where times step back, frames in between may lie outside.
        """
        first, last = (self._index.first_at(self.seconds(moment)) for moment in (start, end))
        return FrameView(self, range(first, last))

    def seconds(self, time: Moment) -> float:
        """Return a time, given as in `by_time`, in seconds since the Unix epoch."""
        if isinstance(time, str):
            try:
                time = datetime.fromisoformat(time)
            except ValueError as exc:
                raise FrameNotFoundError(
                    f"{time!r} is no ISO 8601 date and time such as 2026-11-21T14:30:05.2"
                ) from exc
        if isinstance(time, datetime):
            local = time if time.tzinfo else time.replace(tzinfo=self._metadata.timezone)
            return local.timestamp()
        return float(time)

    def follow(
        self,
        until: Callable[[], bool] | None = None,
        broken: Callable[[BrokenFrame], None] | None = None,
    ) -> Iterator[Frame]:
        """Yield all frames, those that there are and then each that is appended, until the writer ends.

        Of a store that nobody writes these are the frames that it holds.

        Parameters
        ----------
        until : called a hundred times a second or so while no frame comes; if it returns True, no more is
            waited for.
        broken : called for each frame that cannot be read, before the next one is yielded, and the others
            go on; without it ChunkError is raised. What can be read of a chunk in which there are such
            frames comes once the chunk is finished.
        """

        def tell(frame: BrokenFrame) -> None:
            if broken is not None:
                broken(replace(frame, time=frame.time / self._ticks))

        chunks = Chunks(self._root, self._metadata.suffix, self._follow_chunk, self._open_chunk)
        for frame in Follower(chunks, until, None if broken is None else tell).frames():
            self._check_open()
            yield replace(frame, time=frame.time / self._ticks)

    def local_time(self, time: float) -> datetime:
        """Return seconds since the Unix epoch as a datetime in the store's zone.

        Raises FrameNotFoundError for what is no time of this world, milliseconds say.
        """
        try:
            return datetime.fromtimestamp(time, self._metadata.timezone)
        except (ValueError, OverflowError, OSError) as exc:
            raise FrameNotFoundError(f"{time} is no time in seconds since 1970") from exc

    def extra(self) -> "pd.DataFrame | None":
        """Return the extra data, a row per record in the order of writing; None if there are none.

        In Motif's stores it is their signals, if they have some. The samples of our streams are `stream`'s.
        """
        files = find_extra(self._root, self._metadata.suffix)
        return load_extra(file for file in files if not file.streams)

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """The streams that there are by now beside the frames, by name; looked for every time."""
        return {name: parts[0].spec for name, parts in find_streams(self._root).parts.items()}

    def stream(self, name: str) -> StreamReader:
        """Return the samples of a stream that there are by now, DAQ channels or audio.

        What is missing or broken is left out and named in its `problems`. Raises UnknownNameError.
        """
        return open_stream(self._root, name, self._index, self.seconds)

    def close(self) -> None:
        """Let go of all files. Closing twice is harmless."""
        with self._lock:
            self._closed = True
            while self._open:
                self._open.popitem()[1].close()

    def __enter__(self) -> "StoreReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., "StoreReader"], tuple[str, ReadOptions]]:
        """Pickle as a path, which is opened again where it is unpickled."""
        return _reopen, (str(self._root.resolve()), self._options)

    def _after_fork(self) -> None:
        """Leave to the parent its lock, and decoders, whose threads a forked process does not have."""
        self._process = os.getpid()
        self._lock = RLock()
        self._abandoned = self._open
        self._open = OrderedDict()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the store {self._root} is closed; open it again to read")

    def _chunk(self, chunk: int) -> ChunkReader:
        self._check_open()
        if chunk in self._open:
            self._open.move_to_end(chunk)
            return self._open[chunk]
        self._keep(chunk, reader := self._new_chunk(chunk))
        return reader

    def borrow(self, chunk: int) -> ChunkReader:
        """Return a chunk for one reader alone; see `give_back`."""
        if self._process != os.getpid():
            self._after_fork()
        with self._lock:
            self._check_open()
            kept = self._open.pop(chunk, None)
        return self._new_chunk(chunk) if kept is None else kept

    def give_back(self, chunk: int, reader: ChunkReader) -> None:
        """Take back a chunk that was borrowed."""
        if self._process != os.getpid():
            return  # it was borrowed before the process forked: it is the parent's
        with self._lock:
            if self._closed or chunk in self._open:
                reader.close()
            else:
                self._keep(chunk, reader)

    def _keep(self, chunk: int, reader: ChunkReader) -> None:
        self._open[chunk] = reader
        while len(self._open) > _OPEN_CHUNKS:
            self._open.popitem(last=False)[1].close()

    def _new_chunk(self, chunk: int) -> ChunkReader:
        return self._open_chunk(find_chunk(self._root, chunk, self._metadata.suffix))

    def _open_chunk(self, path: Path) -> ChunkReader:
        if not self._metadata.encoding:
            return self._format.open_reader(path, self._metadata.stored_spec, self._options)
        raw = self._format.open_reader(path, self._metadata.stored_spec)
        return _EncodedChunk(raw, self._decode_image)

    def _follow_chunk(self, path: Path, ended: Callable[[], bool]) -> Iterator[Image]:
        if not self._metadata.encoding:
            return self._format.follow(path, self._metadata.stored_spec, self._options, ended)
        return map(
            self._decode_image, self._format.follow(path, self._metadata.stored_spec, AS_STORED, ended)
        )

    def _decode_image(self, image: Image) -> Image:
        """Return an encoded image decoded, and only then cropped: a crop may cut through a mosaic."""
        return np.ascontiguousarray(self._options.apply(self._decode(image)))


class _EncodedChunk:
    """A chunk of images that are kept as the camera gave them."""

    def __init__(self, chunk: ChunkReader, decode: Callable[[Image], Image]) -> None:
        self._chunk = chunk
        self._decode = decode

    def __len__(self) -> int:
        return len(self._chunk)

    def read(self, offset: int) -> Image:
        """Return the image at `offset`, decoded."""
        return self._decode(self._chunk.read(offset))

    def close(self) -> None:
        """Let go of all files."""
        self._chunk.close()


def _reopen(path: str, options: ReadOptions) -> StoreReader:
    return open(path, grey=options.grey, crop=options.crop, scale=options.scale)


def format_of(metadata: StoreMetadata) -> ChunkFormat:
    """Return the format of the chunks of a store. Raises UnknownNameError."""
    if metadata.store_class == DIRECTORY_CLASS:
        return FORMATS.get(metadata.format)
    return FORMATS.get(metadata.format if metadata.format in FORMATS else _VIDEO_READER)
