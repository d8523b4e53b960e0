"""Whole chunks from outside: take a video that exists already into a store, remove what is there."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgstore.cache import CACHE_FILENAME
from imgstore.checksums import keep_checksums, keeps_checksums
from imgstore.errors import ChunkError, FrameFormatError
from imgstore.events import EVENTS_FILENAME
from imgstore.extra import EXTRA_SUFFIXES, find_extra
from imgstore.index import ChunkIndex, save_chunk_index
from imgstore.layout import chunk_name, find_chunks, journal_path, list_store
from imgstore.metadata import StoreMetadata
from imgstore.signals import stream_files
from imgstore.writer import StoreWriter


def insert_chunk(
    writer: StoreWriter,
    metadata: StoreMetadata,
    video: Path,
    numbers: Sequence[int],
    times: Sequence[float],
    *,
    move: bool,
) -> int:
    """Make `video` the next chunk of a store that is being written, and return the number of the chunk.

    Parameters
    ----------
    metadata : of the store.
    numbers, times : of the video's frames, one each.
    move : take the file away from where it is.

    Raises FrameFormatError if the video has another ending than the store's or there are not as many numbers
    as times, ChunkError if the file cannot be taken. Nothing was changed then.
    """
    if not metadata.suffix or video.suffix != metadata.suffix:
        raise FrameFormatError(f"chunks here end in {metadata.suffix or 'no suffix'}, not {video.name!r}")
    index = ChunkIndex(np.asarray(numbers, np.int64), np.asarray(times, np.float64))
    if index.numbers.shape != index.times.shape or index.numbers.ndim != 1:
        raise FrameFormatError(f"{len(numbers)} numbers and {len(times)} times do not belong together")
    if not video.is_file():
        raise ChunkError(f"{video} does not exist")
    chunk = writer.reserve_chunk(len(index.numbers))
    stem = writer.path / chunk_name(chunk)
    place = stem.with_suffix(metadata.suffix)
    try:
        shutil.move(video, place) if move else shutil.copy(video, place)
    except OSError as exc:
        raise ChunkError(f"{video} cannot be made the chunk {place} ({exc.strerror})") from exc
    save_chunk_index(stem.with_suffix(".npz"), index, metadata.store)
    writer.record_checksums(chunk)
    return chunk


def remove_chunks(root: Path, suffix: str) -> None:
    """Remove all chunks in `root`, with their indexes, extra data and streams, and what happened meanwhile.

    Parameters
    ----------
    suffix : ending of the chunks, "" if they are folders.
    """
    for journal in list_store(root, suffix).journals:
        journal_path(root, journal).unlink()
    for file in stream_files(root):
        file.unlink(missing_ok=True)
    for name in (CACHE_FILENAME, EVENTS_FILENAME):
        (root / name).unlink(missing_ok=True)
    if keeps_checksums(root):
        keep_checksums(root)
    for chunk in find_chunks(root, suffix):
        path = root / chunk_name(chunk)
        for ending in (".npz", ".yaml", suffix or ".npz", *EXTRA_SUFFIXES):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        if not suffix:
            shutil.rmtree(path)
    for extra in find_extra(root, suffix):
        extra.path.unlink()  # beside no chunk
