"""Frames of a store as they are appended to it."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from imgstore.chunk import find_chunk, index_stem
from imgstore.errors import ChunkError
from imgstore.frame import Frame, Image
from imgstore.index import ChunkIndex, load_chunk_index
from imgstore.journal import load_journal
from imgstore.layout import journal_path, writer_state
from imgstore.waiting import wait

FollowChunk = Callable[[Path, Callable[[], bool]], Iterator[Image]]


class Follower:
    """Yields the frames of a store that is being written, in order, each as soon as it can be read.

    It ends when the writer closes the store, or dies.

    Parameters
    ----------
    root : folder of the store.
    suffix : ending of its chunks, "" if they are folders.
    images : yields the images of the chunk at a path as they come, until the function that it is given says
        that nothing more will.
    until : asked again and again while it waits; if true, what is not there is not waited for.
    """

    def __init__(
        self, root: Path, suffix: str, images: FollowChunk, until: Callable[[], bool] | None = None
    ) -> None:
        self._root = root
        self._suffix = suffix
        self._images = images
        self._until = until

    def frames(self) -> Iterator[Frame]:
        """Yield all frames, from the first of the store."""
        chunk = index = 0
        while wait(partial(self._begun, chunk), self._writing):
            ended = partial(self._ended, chunk)
            rows = _Rows(journal_path(self._root, chunk), partial(self._index, chunk))
            images = self._images(find_chunk(self._root, chunk, self._suffix), ended)
            for offset in count():
                image = self._next_image(images, rows, offset)
                if image is None or not wait(partial(rows.reach, offset), lambda: not ended()):  # noqa: B023
                    break
                yield Frame(image, index, *rows.at(offset))
                index += 1
            chunk += 1

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
        return load_chunk_index(index_stem(self._root, chunk, self._suffix))


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
