"""The chunk being written: images, journal, extra data, and in the end its index."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from imgstore.errors import ChunkError
from imgstore.extra import EXTRA_SUFFIX, ExtraWriter
from imgstore.formats import ChunkFormat, FormatSettings
from imgstore.frame import Frame, FrameSpec
from imgstore.index import ChunkIndex, save_chunk_index
from imgstore.journal import Journal
from imgstore.layout import VIDEO_SUFFIXES, chunk_name, journal_path


def chunk_path(root: Path, chunk: int, suffix: str) -> Path:
    """Return the file of a chunk, or its folder if `suffix` is empty."""
    return root / (chunk_name(chunk) + suffix)


def find_chunk(root: Path, chunk: int, suffix: str) -> Path:
    """Return where the images of a chunk lie: `chunk_path`, or a video with another ending in its stead."""
    path = chunk_path(root, chunk, suffix)
    if suffix not in VIDEO_SUFFIXES or path.exists():
        return path
    return next((other for end in VIDEO_SUFFIXES if (other := path.with_suffix(end)).is_file()), path)


def index_stem(root: Path, chunk: int, suffix: str) -> Path:
    """Return where the files beside a chunk lie, without their endings."""
    path = root / chunk_name(chunk)
    return path if suffix else path / "index"


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
        self._suffix = chunk_format.suffix
        self._store = store
        self._path = chunk_path(root, number, self._suffix)
        self._stem = index_stem(root, number, self._suffix)
        self._writer = chunk_format.open_writer(self._path, spec, settings)
        self._journal = Journal(journal_path(root, number))
        self._extra: ExtraWriter | None = None
        self._numbers: list[int] = []
        self._times: list[float] = []
        self._broken = False

    @property
    def broken(self) -> bool:
        """Whether an append failed: what the chunk holds after the last journalled frame is unknown."""
        return self._broken

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

        Raises ChunkError if the disk says that it could not.
        """
        if not self._numbers:
            return
        try:
            self._writer.sync()
            self._journal.sync()
        except OSError as exc:
            raise ChunkError(f"{self._path} cannot be made safe on the disk ({exc.strerror})") from exc

    def finish(self) -> None:
        """Close the images, write the index, and drop the journal, each only after the one before is safe.

        The journal of a chunk that is broken, or that the codec cannot finish, stays, and the chunk is
        read by it.
        """
        if not (self._numbers or self._broken):
            self.discard()
            return
        try:
            self._writer.close()
            if self._broken:
                return
            self._writer.sync()
            index = ChunkIndex(np.array(self._numbers, np.int64), np.array(self._times, np.float64))
            save_chunk_index(self._stem.with_name(self._stem.name + ".npz"), index, self._store)
        except OSError as exc:
            raise ChunkError(f"the chunk {self._path} cannot be finished ({exc.strerror})") from exc
        finally:
            self._journal.close()
            if self._extra is not None:
                self._extra.close()
        journal_path(self._root, self._number).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove a chunk that no frame was appended to; records beside it stay."""
        if self._extra is not None:
            self._extra.close()
        with suppress(ChunkError):
            self._writer.close()
        self._journal.close()
        journal_path(self._root, self._number).unlink(missing_ok=True)
        if self._suffix:
            self._path.unlink(missing_ok=True)
        else:
            with suppress(OSError):
                self._path.rmdir()
