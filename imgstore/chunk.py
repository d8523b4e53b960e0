"""The chunk being written: images, journal, extra data, and in the end its index."""

import math
import os
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from imgstore.errors import ChunkError
from imgstore.extra import EXTRA_SUFFIX, ExtraWriter
from imgstore.formats import ChunkFormat, ChunkReader, FormatSettings
from imgstore.frame import Frame, FrameSpec
from imgstore.index import ChunkIndex, save_chunk_index
from imgstore.journal import Journal, load_journal
from imgstore.layout import VIDEO_SUFFIXES, chunk_name, journal_path, sync


def chunk_path(root: Path, chunk: int, suffix: str) -> Path:
    """Return the file of a chunk, or its folder if `suffix` is empty."""
    return root / (chunk_name(chunk) + suffix)


def find_chunk(root: Path, chunk: int, suffix: str) -> Path:
    """Return where the images of a chunk lie: `chunk_path`, or a video with another ending in its stead."""
    path = chunk_path(root, chunk, suffix)
    if suffix not in VIDEO_SUFFIXES or os.path.lexists(path):
        return path
    return next((other for end in VIDEO_SUFFIXES if os.path.lexists(other := path.with_suffix(end))), path)


def index_stem(root: Path, chunk: int, suffix: str) -> Path:
    """Return where the files beside a chunk lie, without their endings."""
    path = root / chunk_name(chunk)
    return path if suffix else path / "index"


def count_held(path: Path, journal: ChunkIndex, chunk_format: ChunkFormat, spec: FrameSpec) -> int:
    """Return how many frames, from the first on, both the journal and the images of a chunk hold.

    Raises ChunkError if there is nothing that can be opened.
    """
    with closing(chunk_format.open_reader(path, spec)) as reader:
        count = min(len(journal.numbers), len(reader))
        while count and not _readable(reader, count - 1):
            count -= 1
    return count


def _readable(reader: ChunkReader, offset: int) -> bool:
    try:
        reader.read(offset)
    except ChunkError:
        return False
    return True


class OpenChunk:
    """One chunk while it is being written.

    Nothing of a frame lives only in memory: once `append` returns, its number and time are in the journal and
    its image is with the codec, which hands it on at once. Until `finish` has written the index, a reader
    goes by the journal.

    Parameters
    ----------
    root : folder of the store.
    number : of the chunk.
    chunk_format, spec, settings : of its images.
    store : the store section of the metadata.
    """

    def __init__(
        self,
        root: Path,
        number: int,
        chunk_format: ChunkFormat,
        spec: FrameSpec,
        settings: FormatSettings,
        store: Mapping[str, Any],
    ) -> None:
        self._root = root
        self._number = number
        self._format = chunk_format
        self._spec = spec
        self._suffix = chunk_format.suffix
        self._store = store
        self._path = chunk_path(root, number, self._suffix)
        self._stem = index_stem(root, number, self._suffix)
        self._writer = chunk_format.open_writer(self._path, spec, settings)
        try:
            self._journal = Journal(journal_path(root, number))
        except ChunkError:
            self._discard_images()
            raise
        self._extra: ExtraWriter | None = None
        self._numbers: list[int] = []
        self._times: list[float] = []
        self._broken = False
        self._suspect = False
        self._named = False
        self._busy = threading.Lock()  # syncing or finishing: each in a thread of its own

    @property
    def broken(self) -> bool:
        """Whether an append failed, so that what the chunk holds after the last journalled frame is unknown,
        or the disk could not keep what it had taken, so that nothing of it is certain."""
        return self._broken or self._suspect

    @property
    def number(self) -> int:
        """Of the chunk in its store."""
        return self._number

    @property
    def began(self) -> float:
        """Time of its first frame; NaN before that."""
        return self._times[0] if self._times else math.nan

    def __len__(self) -> int:
        return len(self._numbers)

    def append(self, frame: Frame) -> None:
        """Write the next frame. Raises ChunkError; the frame then is not in the chunk."""
        number, time = int(frame.number), float(frame.time)
        self._broken = True  # until all of it is done
        self._writer.append(frame.image, time)
        self._journal.append(number, time)
        self._broken = False
        self._numbers.append(number)
        self._times.append(time)

    def append_extra(self, record: Mapping[str, Any]) -> None:
        """Write a record beside the frames."""
        if self._extra is None:
            self._extra = ExtraWriter(self._stem.with_name(self._stem.name + EXTRA_SUFFIX))
        self._extra.append(record)

    def sync(self) -> None:
        """Make what was appended survive a power cut: the images first, then the journal that speaks of them.

        Raises ChunkError if the disk says that it could not. It says so only once: the chunk stays broken.
        """
        with self._busy:
            if not self._numbers or self.broken or self._journal.closed:
                return
            try:
                self._writer.sync()
                self._journal.sync()
                if self._extra is not None:
                    self._extra.sync()
                if not self._named:
                    sync(self._root)
                    self._named = True
            except OSError as exc:
                self._suspect = True
                raise ChunkError(f"{self._path} cannot be made safe on the disk ({exc.strerror})") from exc

    def finish(self) -> None:
        """Close the images, write the index, and drop the journal, each only after the one before is safe.

        The journal of a chunk that is broken, or that the codec cannot finish, stays, and the chunk is
        read by it.
        """
        if not (self._numbers or self.broken):
            self.discard()
            return
        try:
            with self._busy:
                self._finish()
        except OSError as exc:
            raise ChunkError(f"the chunk {self._path} cannot be finished ({exc.strerror})") from exc

    def _finish(self) -> None:
        try:
            if self.broken:
                with suppress(ChunkError):  # it was told already
                    self._writer.close()
                return
            self._writer.close()
            self._writer.sync()
            if self._extra is not None:
                self._extra.sync()
            self._save_index()
        finally:
            self._journal.close()
            if self._extra is not None:
                self._extra.close()
        journal_path(self._root, self._number).unlink(missing_ok=True)

    def _save_index(self) -> None:
        index = ChunkIndex(np.array(self._numbers, np.int64), np.array(self._times, np.float64))
        save_chunk_index(self._stem.with_name(self._stem.name + ".npz"), index, self._store)

    def unkept(self) -> ChunkIndex:
        """Return the frames that were appended and cannot be read; of a chunk that could not be finished."""
        try:
            journal = load_journal(journal_path(self._root, self._number))
            held = count_held(self._path, journal, self._format, self._format.kept(self._spec))
        except (ChunkError, OSError):
            held = 0
        return ChunkIndex(np.array(self._numbers[held:], np.int64), np.array(self._times[held:], np.float64))

    def discard(self) -> None:
        """Remove a chunk that no frame was appended to; records beside it stay. Raises ChunkError."""
        try:
            if self._extra is not None:
                self._extra.close()
                if not self._suffix:
                    self._save_index()  # a chunk of no frames, whose folder holds the records
            self._discard_images()
            self._journal.close()
            journal_path(self._root, self._number).unlink(missing_ok=True)
        except OSError as exc:
            raise ChunkError(f"the chunk {self._path} cannot be removed ({exc.strerror})") from exc

    def _discard_images(self) -> None:
        with suppress(ChunkError):
            self._writer.close()
        if self._suffix:
            self._path.unlink(missing_ok=True)
        else:
            with suppress(OSError):  # it holds records, or is gone
                self._path.rmdir()
