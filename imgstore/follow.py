"""Frames of a store as they are appended to it."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from imgstore.chunk import find_chunk, index_stem
from imgstore.errors import ChunkError
from imgstore.formats import ChunkFormat
from imgstore.frame import Frame, Image
from imgstore.index import ChunkIndex, load_chunk_index
from imgstore.journal import load_journal
from imgstore.layout import journal_path, writer_state
from imgstore.metadata import StoreMetadata

_POLL_S = 0.005


class Follower:
    """Yields the frames of a store that is being written, in order, each as soon as it can be read.

    It ends when the writer closes the store, or dies. A frame of a video can be read when the next is
    appended, or the chunk ends.

    Parameters
    ----------
    root : folder of the store.
    metadata, chunk_format : of the store.
    """

    def __init__(self, root: Path, metadata: StoreMetadata, chunk_format: ChunkFormat) -> None:
        self._root = root
        self._metadata = metadata
        self._format = chunk_format
        self._suffix = metadata.suffix

    def frames(self) -> Iterator[Frame]:
        """Yield all frames, from the first of the store."""
        chunk = index = 0
        while self._wait(partial(self._begun, chunk), self._writing):
            rows = _Rows(journal_path(self._root, chunk), partial(self._index, chunk))
            for offset, image in enumerate(self._images(chunk)):
                if not self._wait(partial(rows.reach, offset), partial(self._growing, chunk)):
                    break
                yield Frame(image, index, *rows.at(offset))
                index += 1
            chunk += 1

    def _writing(self) -> bool:
        return writer_state(self._root) == "recording"

    def _begun(self, chunk: int) -> bool:
        return self._index(chunk) is not None or journal_path(self._root, chunk).exists()

    def _growing(self, chunk: int) -> bool:
        """Say whether more may come to a chunk."""
        return self._index(chunk) is None and self._writing()

    def _index(self, chunk: int) -> ChunkIndex | None:
        return load_chunk_index(index_stem(self._root, chunk, self._suffix))

    @staticmethod
    def _wait(ready: Callable[[], bool], hope: Callable[[], bool]) -> bool:
        """Wait until something is ready; return False when there is no hope left that it will be."""
        while not ready():
            if not hope():
                return ready()
            time.sleep(_POLL_S)
        return True

    def _images(self, chunk: int) -> Iterator[Image]:
        """Yield the images of a chunk, which is opened anew whenever it has grown."""
        path = find_chunk(self._root, chunk, self._suffix)
        offset, seen = 0, -1
        growing = True
        while growing:
            growing = self._growing(chunk)  # looked at before the chunk: nothing comes to it after
            size = _size(path)
            if size == seen and growing:
                time.sleep(_POLL_S)
                continue
            seen = size
            try:
                with closing(self._format.open_reader(path, self._metadata.stored_spec)) as reader:
                    while offset < len(reader):
                        yield reader.read(offset)
                        offset += 1
            except ChunkError:
                if not growing:
                    raise


class _Rows:
    """Numbers and times of the frames of a chunk, as they become known."""

    def __init__(self, journal: Path, index: Callable[[], ChunkIndex | None]) -> None:
        self._journal = journal
        self._index = index
        self._numbers: list[int] = []
        self._times: list[float] = []

    def reach(self, offset: int) -> bool:
        """Read on if that is needed, and say whether the frame at `offset` is known."""
        if offset >= len(self._numbers):
            more: ChunkIndex | None
            try:
                more = load_journal(self._journal, len(self._numbers))
            except ChunkError:
                more = self._index()
                if more is not None:  # the chunk is finished
                    self._numbers, self._times = [], []
            if more is not None:
                self._numbers += more.numbers.tolist()
                self._times += more.times.tolist()
        return offset < len(self._numbers)

    def at(self, offset: int) -> tuple[int, float]:
        """Return number and time of a frame that is known."""
        return self._numbers[offset], self._times[offset]


def _size(path: Path) -> int:
    """Return what changes when an image comes to a chunk: the size of a file, the images in a folder."""
    if path.is_dir():
        return sum(1 for _ in path.iterdir())
    return path.stat().st_size if path.exists() else 0
