"""The frames of a store as a sequence."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any

import pandas as pd

from imgstore.encoding import decoder
from imgstore.errors import ClosedError
from imgstore.extra import find_extra, load_extra
from imgstore.formats import FORMATS, ChunkFormat, ChunkReader
from imgstore.frame import Frame, FrameSpec
from imgstore.index import Numbers, StoreIndex, Times, load_chunk_index
from imgstore.layout import chunk_name, find_chunks, writer_state
from imgstore.metadata import DIRECTORY_CLASS, StoreMetadata, find_metadata, load_metadata

_OPEN_CHUNKS = 3
_VIDEO_READER = "h264/mkv"  # any video format reads any video; the file says what it is


def open(path: str | os.PathLike[str]) -> "StoreReader":  # noqa: A001  # the name users type after `imgstore.`
    """Open a store, finished or not, for reading.

    Parameters
    ----------
    path : folder of the store, or its `metadata.yaml`.

    Raises
    ------
    NotAStoreError
        There is no store at `path`.
    MetadataError, ChunkError
        Its metadata or the index of a chunk is broken.
    """
    file = find_metadata(Path(path))
    return StoreReader(file.parent, load_metadata(file))


class StoreReader:
    """A sequence of frames; made by `open`. Safe to use from several threads.

    Parameters
    ----------
    root : folder of the store.
    metadata : what its metadata file says.
    index : of the store, if it is known already.
    """

    def __init__(self, root: Path, metadata: StoreMetadata, index: StoreIndex | None = None) -> None:
        self._root = root
        self._metadata = metadata
        self._format = _chunk_format(metadata)
        self._decode = decoder(metadata.encoding)
        self._index = self._load_index() if index is None else index
        self._open: OrderedDict[int, ChunkReader] = OrderedDict()
        self._lock = RLock()
        self._closed = False

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self._root

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames."""
        return self._metadata.spec

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
        return self._format.lossless

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
        """ "complete", "recording", or "interrupted" if the writer died."""
        return writer_state(self._root)

    def chunk_range(self, chunk: int) -> range:
        """Return the indices of the frames in `chunk`."""
        return self._index.chunk_range(chunk)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int, /) -> Frame:
        """Return the frame at `index`; negative ones count from the end.

        Raises FrameIndexError outside of the store, ChunkError if the chunk is missing or broken.
        """
        at = self._index.at(index)
        chunk, offset = self._index.locate(at)
        with self._lock:
            image = self._decode(self._chunk(chunk).read(offset))
        return Frame(image, at, int(self.numbers[at]), float(self.times[at]))

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self[index]

    def by_number(self, number: float, *, exact: bool = True) -> Frame:
        """Return the first frame with this camera number, or if not `exact` the nearest.

        Raises FrameNotFoundError.
        """
        return self[self._index.of_number(number) if exact else self._index.nearest_number(number)]

    def by_time(self, time: float | datetime) -> Frame:
        """Return the frame whose time is nearest; a datetime without zone is in the store's.

        Raises FrameNotFoundError if the store has no frames.
        """
        if isinstance(time, datetime):
            local = time if time.tzinfo else time.replace(tzinfo=self._metadata.timezone)
            time = local.timestamp()
        return self[self._index.nearest_time(time)]

    def local_time(self, time: float) -> datetime:
        """Return seconds since the Unix epoch as a datetime in the store's zone."""
        return datetime.fromtimestamp(time, self._metadata.timezone)

    def extra(self) -> pd.DataFrame | None:
        """Return the extra data, a row per record in the order of writing; None if there are none."""
        return load_extra(find_extra(self._root, self._metadata.suffix))

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

    def _found_chunks(self) -> list[int]:
        return find_chunks(self._root, self._metadata.suffix)

    def _load_index(self) -> StoreIndex:
        chunks, indexes = [], []
        for chunk in self._indexed_chunks():
            index = load_chunk_index(self._index_stem(chunk))
            if index is not None and len(index.numbers):
                chunks.append(chunk)
                indexes.append(index)
        return StoreIndex(chunks, indexes)

    def _indexed_chunks(self) -> list[int]:
        """Return the chunks that have an index: a video that was lost is then missed by name."""
        if not self._metadata.suffix:
            return self._found_chunks()
        return sorted({*find_chunks(self._root, ".npz"), *find_chunks(self._root, ".yaml")})

    def _index_stem(self, chunk: int) -> Path:
        path = self._root / chunk_name(chunk)
        return path if self._metadata.suffix else path / "index"

    def _chunk(self, chunk: int) -> ChunkReader:
        if self._closed:
            raise ClosedError(f"the store {self._root} is closed; open it again to read")
        if chunk in self._open:
            self._open.move_to_end(chunk)
            return self._open[chunk]
        path = self._root / (chunk_name(chunk) + self._metadata.suffix)
        self._open[chunk] = reader = self._format.open_reader(path, self._metadata.stored_spec)
        while len(self._open) > _OPEN_CHUNKS:
            self._open.popitem(last=False)[1].close()
        return reader


def _chunk_format(metadata: StoreMetadata) -> ChunkFormat:
    if metadata.store_class == DIRECTORY_CLASS:
        return FORMATS.get(metadata.format)
    return FORMATS.get(metadata.format if metadata.format in FORMATS else _VIDEO_READER)
