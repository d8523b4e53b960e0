"""Reading many frames in a known order, ahead of who takes them."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from threading import Lock
from typing import Protocol

from imgstore.errors import ChunkError
from imgstore.formats import ChunkReader
from imgstore.frame import Frame
from imgstore.index import StoreIndex

_VIDEO_BLOCK = 4  # frames that are handed over at once: each handing over costs some 40 microseconds
_WORTH_THREADS = 10  # frames; fewer are read in the time that it takes to start any


class ChunkLender(Protocol):
    """Who keeps chunks open, and lends them to one borrower at a time."""

    def borrow(self, chunk: int) -> ChunkReader:
        """Return the chunk of a number, opened if need be. Raises ChunkError."""

    def give_back(self, chunk: int, reader: ChunkReader) -> None:
        """Take back what was borrowed."""


def sweep(index: StoreIndex, indices: Sequence[int], chunks: ChunkLender, readers: int) -> Iterator[Frame]:
    """Yield the frames at `indices`, in that order.

    Frames are decoded by other threads while the caller works on those before. What others read
    meanwhile, and where, changes nothing. A process that is forked meanwhile can go on, too.

    Parameters
    ----------
    index : of the store.
    indices : from 0; rising ones are read fastest.
    chunks : gives the chunks.
    readers : how many images of a chunk may be decoded at once; 0 for no reading ahead.

    Raises
    ------
    ChunkError
        A frame cannot be read; those before it have been yielded.
    """
    cores = len(os.sched_getaffinity(0))
    with ExitStack() as stack:
        frames = _FramesOfChunks(index, chunks)
        stack.callback(frames.close)
        process = os.getpid()
        if not readers or cores < 2 or len(indices) < _WORTH_THREADS:
            for at in indices:
                yield frames.read(at)
            return
        threads = min(readers, cores)
        pool = ThreadPoolExecutor(threads, "read-ahead")
        stack.callback(pool.shutdown, cancel_futures=True)
        size = _VIDEO_BLOCK if readers == 1 else 1
        blocks = (indices[start : start + size] for start in range(0, len(indices), size))
        waiting = deque(pool.submit(frames.read_block, block) for block in islice(blocks, threads + 1))
        given = 0
        while waiting:
            if os.getpid() != process:
                yield from _read_rest(index, indices[given:], chunks, stack)
                return
            ready, error = waiting.popleft().result()
            given += len(ready)
            if error is None and (block := next(blocks, None)) is not None:
                waiting.append(pool.submit(frames.read_block, block))
            yield from ready
            if error is not None:
                raise error


def _read_rest(
    index: StoreIndex, indices: Sequence[int], chunks: ChunkLender, stack: ExitStack
) -> Iterator[Frame]:
    """Yield frames in a forked process: threads, and locks that these may have held, are the parent's."""
    stack.pop_all()
    with closing(_FramesOfChunks(index, chunks)) as frames:
        for at in indices:
            yield frames.read(at)


class _FramesOfChunks:
    """Reads frames with the chunk of the last one kept."""

    def __init__(self, index: StoreIndex, chunks: ChunkLender) -> None:
        self._index = index
        self._chunks = chunks
        self._lock = Lock()
        self._held: tuple[int, ChunkReader] | None = None

    def read(self, at: int) -> Frame:
        """Return the frame at an index."""
        chunk, offset = self._index.locate(at)
        image = self._reader_of(chunk).read(offset)
        return Frame(image, at, int(self._index.numbers[at]), float(self._index.times[at]))

    def read_block(self, indices: Sequence[int]) -> tuple[list[Frame], ChunkError | None]:
        """Return frames, and why the one after the last cannot be read."""
        frames: list[Frame] = []
        try:
            for at in indices:
                frames.append(self.read(at))
        except ChunkError as exc:
            return frames, exc
        return frames, None

    def close(self) -> None:
        """Give the chunk back."""
        held, self._held = self._held, None
        if held is not None:
            self._chunks.give_back(*held)

    def _reader_of(self, chunk: int) -> ChunkReader:
        with self._lock:
            if self._held is None or self._held[0] != chunk:
                self.close()  # where several threads read, those that are not done yet may go on with it
                self._held = (chunk, self._chunks.borrow(chunk))
            return self._held[1]
