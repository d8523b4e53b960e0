"""The index of a whole store in one mapped file, so that opening does not read the chunks' indexes again.

`.frames.index` holds a header, a row per chunk with size and time of the chunk's index file (which tell
whether the row still holds), the numbers and times of all frames, and, where those do not rise, their
ranking. It is only ever a copy: a missing, stale or broken one is made anew, and a folder that cannot be
written works without.

Its own time of change is 1970 until it is set to that of the folder. It then says that the folder was looked
through and holds nothing but these chunks: as long as no name comes or goes, it need not be listed again.
"""

import mmap
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from imgstore.index import ChunkIndex, Ranking, StoreIndex, join_indexes
from imgstore.layout import IndexStamp, index_stamps, names_changed_ns, open_plain, replacing

CACHE_FILENAME = ".frames.index"

_MAGIC = b"ethoIDX2"
_HEADER = struct.Struct("<8sQQQQ")  # magic, chunks, frames, flags, XXH3 of these and of all that follows
_ROW = np.dtype([("chunk", "<i8"), ("frames", "<i8"), ("size", "<i8"), ("changed_ns", "<i8")])
_NUMBERS_RISE, _TIMES_RISE = 1, 2
_TICK_NS = 100_000_000  # the clock that file systems take times from ticks every few milliseconds
_PART = 1 << 24  # bytes that are looked at at once; whole pages


class CachedIndex:
    """A cache file that was found whole; `StoreIndex` works on its arrays where they lie.

    Parameters
    ----------
    rows : one per chunk.
    arrays : numbers, times, and for each of them that does not rise its order and its values in order.
    changed_ns : when the file was last changed.
    """

    def __init__(
        self, rows: npt.NDArray[np.void], arrays: list[npt.NDArray[Any]], flags: int, changed_ns: int
    ) -> None:
        self._rows = rows
        self._arrays = arrays
        self._flags = flags
        self._changed_ns = changed_ns

    def is_all(self, root: Path, suffix: str) -> bool:
        """Return whether it is known, without listing the folder, that this is all that a store holds."""
        if self._changed_ns != names_changed_ns(root) or (np.diff(self._rows["chunk"]) <= 0).any():
            return False
        stamps = index_stamps(root, suffix, self._rows["chunk"].tolist())
        return stamps == list(self.stamps.values())

    @cached_property
    def stamps(self) -> dict[int, IndexStamp]:
        """Chunk to the stamp of the index file it was read from, in order."""
        chunks, sizes, changes = (self._rows[name].tolist() for name in ("chunk", "size", "changed_ns"))
        return dict(zip(chunks, zip(sizes, changes, strict=True), strict=True))

    def chunk_index(self, chunk: int) -> ChunkIndex:
        """Return the copy of the index of one chunk."""
        (place,) = np.flatnonzero(self._rows["chunk"] == chunk)
        start = int(self._rows["frames"][:place].sum())
        part = slice(start, start + int(self._rows["frames"][place]))
        return ChunkIndex(self._arrays[0][part], self._arrays[1][part])

    def whole(self) -> StoreIndex:
        """Return the index of the store that it was made for."""
        numbers, times, *rest = self._arrays
        starts = np.concatenate([[0], np.cumsum(self._rows["frames"])])
        none = np.empty(0, np.int64)
        by_number = Ranking(none, numbers) if self._flags & _NUMBERS_RISE else Ranking(rest[0], rest[1])
        by_time = Ranking(none, times)
        if not self._flags & _TIMES_RISE:
            known = len(times) - int(np.isnan(rest[-1]).sum())
            by_time = Ranking(rest[-2][:known], rest[-1][:known])
        chunks = self._rows["chunk"].copy()
        return StoreIndex(chunks, starts, numbers, times, by_number=by_number, by_time=by_time)


def load_cache(root: Path) -> CachedIndex | None:
    """Return the cache of a store, None if there is none that is whole."""
    file = root / CACHE_FILENAME
    try:
        with open_plain(file) as stream:
            changed_ns = os.fstat(stream.fileno()).st_mtime_ns
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    plain = np.frombuffer(mapped, np.uint8)
    if len(plain) < _HEADER.size:
        return None
    head = plain[: _HEADER.size].tobytes()
    magic, chunks, frames, flags, check = _HEADER.unpack(head)
    orders = 2 * (not flags & _NUMBERS_RISE) + 2 * (not flags & _TIMES_RISE)
    rows_end = _HEADER.size + chunks * _ROW.itemsize
    if magic != _MAGIC or len(plain) != rows_end + 8 * frames * (2 + orders):
        return None
    if check != _check(head[:-8], _passing(mapped, plain)):
        return None
    rows = plain[_HEADER.size : rows_end].view(_ROW)
    if rows["frames"].min(initial=0) < 0 or rows["frames"].sum() != frames:
        return None
    kinds = [np.int64, np.float64]
    kinds += [] if flags & _NUMBERS_RISE else [np.int64, np.int64]
    kinds += [] if flags & _TIMES_RISE else [np.int64, np.float64]
    arrays = [
        plain[rows_end + 8 * frames * place : rows_end + 8 * frames * (place + 1)].view(kind)
        for place, kind in enumerate(kinds)
    ]
    return CachedIndex(rows, arrays, flags, changed_ns)


def vouch_for_cache(root: Path, changed_ns: int | None) -> None:
    """Note that a folder holds what its cache says, and nothing else of a store.

    Parameters
    ----------
    changed_ns : `names_changed_ns` from before the folder was listed. If that is too near to now, or no more
        so, the listing may have missed the last change, and nothing is noted.
    """
    if changed_ns is None or changed_ns != names_changed_ns(root) or time.time_ns() - changed_ns < _TICK_NS:
        return
    with suppress(OSError):
        os.utime(root / CACHE_FILENAME, ns=(changed_ns, changed_ns), follow_symlinks=False)


def save_cache(root: Path, indexes: Mapping[int, ChunkIndex], stamps: Mapping[int, IndexStamp]) -> None:
    """Write the cache of a store; where the folder cannot be written, do without.

    Parameters
    ----------
    indexes, stamps : of the finished chunks, in order.
    """
    chunks = list(indexes)
    whole = join_indexes(chunks, list(indexes.values()))
    rows = np.zeros(len(chunks), _ROW)
    rows["chunk"] = chunks
    rows["frames"] = [len(index.numbers) for index in indexes.values()]
    rows["size"], rows["changed_ns"] = np.array([stamps[chunk] for chunk in chunks]).reshape(-1, 2).T
    flags, arrays = 0, [whole.numbers, whole.times]
    for flag, ranking in ((_NUMBERS_RISE, whole.by_number), (_TIMES_RISE, whole.by_time)):
        if len(ranking.values) == len(whole) and not len(ranking.order):
            flags |= flag
            continue
        order = np.full(len(whole), -1, np.int64)
        values = np.full(len(whole), -1 if flag == _NUMBERS_RISE else np.nan, ranking.values.dtype)
        order[: len(ranking.order)] = ranking.order  # shorter where times are unknown
        values[: len(ranking.values)] = ranking.values
        arrays += [order, values]
    parts = [rows, *map(np.ascontiguousarray, arrays)]
    head = _HEADER.pack(_MAGIC, len(chunks), len(whole), flags, 0)[:-8]
    with suppress(OSError), replacing(root / CACHE_FILENAME) as file:
        file.write(head + _check(head, parts).to_bytes(8, "little"))
        for part in parts:
            file.write(part.data)
        file.flush()
        os.utime(file.fileno(), (0, 0))  # and not that of the folder, which changes within the same tick


def _passing(mapped: mmap.mmap, plain: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield what stands behind the header part by part, of which none stays in this process's memory."""
    for start in range(0, len(plain), _PART):
        yield plain[max(start, _HEADER.size) : start + _PART]
        mapped.madvise(mmap.MADV_DONTNEED, start, min(_PART, len(plain) - start))


def _check(head: bytes, parts: Iterable[npt.NDArray[Any]]) -> int:
    digest = xxhash.xxh3_64(head)
    for part in parts:
        digest.update(part.data.cast("B") if part.size else b"")
    return digest.intdigest()
