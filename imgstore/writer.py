"""Append frames to a new store, rolling from chunk to chunk."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from imgstore.encoding import check_encoding
from imgstore.errors import ClosedError, NotAStoreError, StoreExistsError
from imgstore.extra import EXTRA_SUFFIX, ExtraWriter, stamp
from imgstore.formats import FORMATS, ChunkFormat, ChunkWriter
from imgstore.frame import Frame, FrameSpec
from imgstore.index import ChunkIndex, save_chunk_index
from imgstore.layout import METADATA_FILENAME, StoreLock, chunk_name
from imgstore.metadata import STORE_KEY, StoreMetadata, new_metadata, save_metadata

DEFAULT_FORMAT = "h264/mkv"


def create(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    dtype: npt.DTypeLike = np.uint8,
    *,
    format: str = DEFAULT_FORMAT,  # noqa: A002  # the format's own word for it
    chunksize: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    encoding: str | None = None,
) -> "StoreWriter":
    """Make a new store and return its writer.

    Parameters
    ----------
    path : folder of the store; it must not exist, or be empty.
    shape : (rows, columns) of the frames, or (rows, columns, 3) for colour.
    dtype : of the pixels.
    format : how chunks lie on disk; one of `imgstore.formats`.
    chunksize : frames per chunk; None for the format's own default.
    metadata : what else to keep in `metadata.yaml`: genotype, arena, camera ...
    encoding : of the frames, "cv_bayerbg": they are kept as they come, and decoded to blue, green and red
        on reading; `shape` is the one that they come in.

    Raises
    ------
    StoreExistsError
        There is something at `path` already; nothing was touched.
    UnknownNameError, FrameFormatError, MetadataError
        The format does not exist, cannot hold such frames, or the metadata cannot be written.
    """
    chunk_format = FORMATS.get(format)
    spec = FrameSpec(tuple(shape), np.dtype(dtype))
    chunk_format.check(spec)
    if encoding:
        check_encoding(spec, encoding, lossless=chunk_format.lossless, stacklevel=3)
    content = new_metadata(
        spec,
        store_class=chunk_format.store_class,
        chunk_format=format,
        suffix=chunk_format.suffix,
        chunksize=chunk_format.chunksize if chunksize is None else chunksize,
        padded=chunk_format.pads(spec),
        user=metadata or {},
        encoding=encoding or None,
    )
    root = Path(path)
    _make_folder(root)
    lock = StoreLock(root)
    lock.acquire()
    try:
        save_metadata(root / METADATA_FILENAME, content)
    except BaseException:
        lock.release()
        raise
    return StoreWriter(root, spec, chunk_format, content[STORE_KEY], lock)


class StoreWriter:
    """Takes frames, in the order in which they are to be read; made by `create`.

    Parameters
    ----------
    root : folder of the store, with its metadata in place.
    spec : of the frames.
    chunk_format : of the chunks.
    store : the store section of the metadata.
    lock : held; the writer releases it.
    """

    def __init__(
        self,
        root: Path,
        spec: FrameSpec,
        chunk_format: ChunkFormat,
        store: Mapping[str, Any],
        lock: StoreLock,
    ) -> None:
        self._root = root
        self._spec = spec
        self._format = chunk_format
        self._store = store
        self._chunksize = int(store["chunksize"])
        self._lock: StoreLock | None = lock
        self._count = 0
        self._chunk = -1
        self._writer: ChunkWriter | None = None
        self._extra: ExtraWriter | None = None
        self._numbers: list[int] = []
        self._times: list[float] = []

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self._root

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames to append."""
        return self._spec

    def __len__(self) -> int:
        return self._count

    def append(self, frame: Frame) -> None:
        """Write the next frame; its `index` is ignored.

        Raises
        ------
        FrameFormatError
            The image has another shape or dtype than the store. Nothing was written.
        ChunkError
            The disk or the encoder refused. What was appended before is kept by `close`.
        ClosedError
            The writer is closed.
        """
        self._check_open()
        self._spec.check(frame.image)
        if self._writer is None or len(self._numbers) >= self._chunksize:
            self._roll()
            assert self._writer is not None  # noqa: S101  # _roll has made it
        self._writer.append(frame.image, frame.time)
        self._numbers.append(int(frame.number))
        self._times.append(float(frame.time))
        self._count += 1

    def append_extra(self, record: Mapping[str, Any]) -> None:
        """Write a record of any JSON-like values beside the frames, stamped with the last frame.

        Raises TypeError if a value is not JSON-like, ChunkError if the disk refuses, ClosedError.
        """
        self._check_open()
        if self._writer is None:
            self._roll()
        if self._extra is None:
            self._extra = ExtraWriter(self._index_stem().with_name(self._index_stem().name + EXTRA_SUFFIX))
        number, time = (self._numbers[-1], self._times[-1]) if self._numbers else (None, None)
        self._extra.append(stamp(record, number, time, self._count - 1))

    def reserve_chunk(self, frames: int) -> int:
        """Finish the chunk in hand and return the number of the next: the caller puts `frames` into it."""
        self._check_open()
        self._finish_chunk()
        self._chunk += 1
        self._count += frames
        return self._chunk

    def close(self) -> None:
        """Finish the last chunk and let go of the store. Closing twice is harmless."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        try:
            self._finish_chunk()
        finally:
            lock.release()

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._lock is None:
            raise ClosedError(f"the store {self._root} is closed; nothing more can be appended")

    def _roll(self) -> None:
        self._finish_chunk()
        self._chunk += 1
        path = self._root / (chunk_name(self._chunk) + self._format.suffix)
        self._writer = self._format.open_writer(path, self._spec)

    def _finish_chunk(self) -> None:
        """Close the chunk and write its index, also of one whose end the codec could not write."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        index = ChunkIndex(np.array(self._numbers, np.int64), np.array(self._times, np.float64))
        try:
            writer.close()
        finally:
            save_chunk_index(self._index_stem().with_suffix(".npz"), index, self._store)
            if self._extra is not None:
                self._extra.close()
                self._extra = None
            self._numbers, self._times = [], []

    def _index_stem(self) -> Path:
        """Return where the files beside a chunk lie, without their endings."""
        chunk = self._root / chunk_name(self._chunk)
        return chunk if self._format.suffix else chunk / "index"


def rewrite(root: Path, metadata: StoreMetadata) -> StoreWriter:
    """Return a writer of a store that has its metadata, and no chunks any more."""
    lock = StoreLock(root)
    lock.acquire()
    return StoreWriter(root, metadata.stored_spec, FORMATS.get(metadata.format), metadata.store, lock)


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True)
    except FileExistsError:
        if not root.is_dir():
            raise StoreExistsError(f"{root} is a file; give a folder that does not exist yet") from None
        if any(root.iterdir()):
            what = "a store" if (root / METADATA_FILENAME).exists() else "files"
            raise StoreExistsError(
                f"{root} holds {what} already; give a folder that does not exist yet"
            ) from None
    except NotADirectoryError as exc:
        raise NotAStoreError(f"{root} cannot be made: one of its parents is a file") from exc
