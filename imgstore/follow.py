"""Frames of a store as they are appended to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imgstore.chunk import find_chunk, index_stem
from imgstore.errors import ChunkError
from imgstore.formats import ChunkReader
from imgstore.frame import Frame, Image
from imgstore.index import ChunkIndex, load_chunk_index
from imgstore.journal import load_journal
from imgstore.layout import find_chunks, journal_path, writer_state
from imgstore.waiting import wait

FollowChunk = Callable[[Path, Callable[[], bool]], Iterator[Image]]


@dataclass(frozen=True, slots=True)
class BrokenFrame:
    """A frame that is known and cannot be read: its index, number and time, and why."""

    index: int
    number: int
    time: float
    reason: str


class Chunks(NamedTuple):
    """How the chunks of a store are read.

    Attributes
    ----------
    root : folder of the store.
    suffix : ending of its chunks, "" if they are folders.
    follow : yields the images of the chunk at a path as they come, until the function that it is given says
        that nothing more will.
    open : opens a chunk that is finished.
    """

    root: Path
    suffix: str
    follow: FollowChunk
    open: Callable[[Path], ChunkReader]

    def path(self, chunk: int) -> Path:
        """Return where the images of a chunk lie."""
        return find_chunk(self.root, chunk, self.suffix)


class Follower:
    """Yields the frames of a store that is being written, in order, each as soon as it can be read.

    It ends when the writer closes the store, or dies.

    Parameters
    ----------
    chunks : of the store.
    until : asked again and again while it waits; if true, what is not there is not waited for.
    broken : called in place of raising ChunkError, for each frame that cannot be read and in order. What
        can be read of a chunk in which that happens comes when it is finished.
    """

    def __init__(
        self,
        chunks: Chunks,
        until: Callable[[], bool] | None = None,
        broken: Callable[[BrokenFrame], None] | None = None,
    ) -> None:
        self._chunks = chunks
        self._root = chunks.root
        self._until = until
        self._broken = broken

    def frames(self) -> Iterator[Frame]:
        """Yield all frames, from the first of the store. Raises ChunkError if there is no `broken`."""
        first = 0
        for chunk in self._numbers():
            rows = _Rows(journal_path(self._root, chunk), partial(self._index, chunk))
            done = 0
            try:
                for done, image in enumerate(self._coming(chunk, rows), 1):
                    yield Frame(image, first + done - 1, *rows.at(done - 1))
            except ChunkError as exc:
                if self._broken is None:
                    raise
                wait(partial(self._ended, chunk), lambda: True)
                yield from self._rest(chunk, rows, first, done, str(exc))
            first += max(done, len(rows))

    def _numbers(self) -> Iterator[int]:
        """Yield the numbers of the chunks as they are begun; some may have been removed."""
        chunk = 0
        while True:
            if wait(lambda: self._begun(chunk) or self._begun(chunk + 1), self._writing):  # noqa: B023
                if self._begun(chunk):
                    yield chunk
                chunk += 1
                continue
            later = [number for number in find_chunks(self._root, self._chunks.suffix) if number > chunk]
            if not later:
                return
            chunk = min(later)

    def _coming(self, chunk: int, rows: "_Rows") -> Iterator[Image]:
        """Yield the images of a chunk whose rows are known, as they come."""
        ended = partial(self._ended, chunk)
        path = self._chunks.path(chunk)
        images = self._chunks.follow(path, ended)
        for offset in count():
            image = self._next_image(images, rows, offset)
            if image is None or not wait(partial(rows.reach, offset), lambda: not ended()):
                break
            yield image
        if self._index(chunk) is not None and rows.reach(offset):
            raise ChunkError(f"{path} holds {offset} frames, and its index speaks of more")

    def _rest(self, chunk: int, rows: "_Rows", first: int, done: int, why: str) -> Iterator[Frame]:
        """Yield what can be read of a finished chunk from its frame `done` on, one by one."""
        assert self._broken is not None  # noqa: S101  # who calls sees to it
        rows.reach_all()
        try:
            reader: ChunkReader | None = self._chunks.open(self._chunks.path(chunk))
        except ChunkError as exc:
            reader, why = None, str(exc)
        with ExitStack() as stack:
            if reader is not None:
                stack.callback(reader.close)
            for offset in range(done, len(rows)):
                try:
                    image = None if reader is None or offset >= len(reader) else reader.read(offset)
                except ChunkError as exc:
                    image, why = None, str(exc)
                if image is None:
                    self._broken(BrokenFrame(first + offset, *rows.at(offset), why))
                else:
                    yield Frame(image, first + offset, *rows.at(offset))

    @staticmethod
    def _next_image(images: Iterator[Image], rows: "_Rows", offset: int) -> Image | None:
        try:
            return next(images, None)
        except ChunkError:
            if rows.reach(offset):
                raise
            return None  # a frame was begun when the writer died

    def _writing(self) -> bool:
        """Say whether more may come that is worth to be waited for."""
        return writer_state(self._root) == "recording" and not (self._until is not None and self._until())

    def _begun(self, chunk: int) -> bool:
        return self._index(chunk) is not None or journal_path(self._root, chunk).exists()

    def _ended(self, chunk: int) -> bool:
        """Say whether nothing more will come to a chunk."""
        return self._index(chunk) is not None or not self._writing()

    def _index(self, chunk: int) -> ChunkIndex | None:
        try:
            return load_chunk_index(index_stem(self._root, chunk, self._chunks.suffix))
        except ChunkError:
            if self._broken is None:
                raise
            return ChunkIndex(np.empty(0, np.int64), np.empty(0))  # the store's reader leaves it out as well


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

    def reach_all(self) -> None:
        """Read on to the end of what is known."""
        while self.reach(len(self)):
            pass

    def __len__(self) -> int:
        return len(self._numbers)

    def at(self, offset: int) -> tuple[int, float]:
        """Return number and time of a frame that is known."""
        return self._numbers[offset], self._times[offset]
