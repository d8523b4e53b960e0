"""What frames a store holds: indexes of chunks, journals of unfinished ones, and what is wrong."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from imgstore.cache import CachedIndex, load_cache, save_cache, vouch_for_cache
from imgstore.chunk import chunk_path, count_held, index_stem
from imgstore.errors import ChunkError
from imgstore.formats import ChunkFormat
from imgstore.index import ChunkIndex, StoreIndex, join_indexes, load_chunk_index
from imgstore.journal import load_journal
from imgstore.layout import (
    IndexStamp,
    Listing,
    chunk_name,
    journal_path,
    list_store,
    names_changed_ns,
    writer_state,
)
from imgstore.metadata import StoreMetadata

Progress = Callable[[int, int], None]
"""Called with how many chunks are done and how many there are."""

_WORTH_CACHING = 50  # chunks; fewer are read faster than it takes to look at a cache
_READERS = 8
_BLOCK = 32  # chunks that a reader is given at once: handing one over takes longer than reading it
_MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in a store.

    Attributes
    ----------
    index : of all frames that can be read.
    unfinished : chunks that have a journal instead of an index.
    problems : what is missing or broken, a line each, with the name of the file.
    """

    index: StoreIndex
    unfinished: tuple[int, ...]
    problems: tuple[str, ...]


def read_contents(
    root: Path,
    metadata: StoreMetadata,
    chunk_format: ChunkFormat,
    progress: Progress | None = None,
    *,
    locked: bool = False,
) -> Contents:
    """Find out what frames a store holds.

    Chunks that are broken or missing are left out and named; the frames of an unfinished chunk are those that
    both its journal and its images hold.

    Parameters
    ----------
    locked : whether it is the caller who holds the lock, so that nothing is being written.
    """
    return _Search(root, metadata, chunk_format, locked=locked).run(progress)


class _Search:
    def __init__(
        self, root: Path, metadata: StoreMetadata, chunk_format: ChunkFormat, *, locked: bool
    ) -> None:
        self._root = root
        self._locked = locked
        self._metadata = metadata
        self._format = chunk_format
        self._suffix = metadata.suffix
        self._problems: list[str] = []

    def run(self, progress: Progress | None) -> Contents:
        cache = load_cache(self._root)
        if cache is not None and cache.is_all(self._root, self._suffix):
            return Contents(cache.whole(), (), ())
        changed_ns = names_changed_ns(self._root)
        listing = list_store(self._root, self._suffix)
        finished = listing.chunks & listing.stamps.keys()
        unfinished = [chunk for chunk in listing.journals if chunk in listing.chunks - listing.stamps.keys()]
        self._name_gaps(listing)
        complete = not unfinished and len(finished) == len(listing.stamps)
        if cache is not None and complete and cache.stamps == listing.stamps:
            if not self._problems:
                vouch_for_cache(self._root, changed_ns)
            return Contents(cache.whole(), (), tuple(self._problems))
        indexes = self._read(sorted(finished), listing.stamps, cache, progress)
        if len(indexes) >= _WORTH_CACHING and len(indexes) == len(listing.stamps):
            save_cache(self._root, indexes, listing.stamps)
        for chunk in unfinished:
            indexes[chunk], is_whole = self._recover(chunk)
            if not (is_whole or self._locked) and writer_state(self._root) == "recording":
                break  # the last frame is not in the file yet: a chunk after this one has to wait for it
        chunks = sorted(chunk for chunk, index in indexes.items() if len(index.numbers))
        whole = join_indexes(chunks, [indexes[chunk] for chunk in chunks])
        return Contents(whole, tuple(unfinished), tuple(self._problems))

    def _read(
        self,
        chunks: list[int],
        stamps: dict[int, IndexStamp],
        cache: CachedIndex | None,
        progress: Progress | None,
    ) -> dict[int, ChunkIndex]:
        """Return the indexes of chunks, from the cache where it still holds."""
        cached = cache.stamps if cache is not None else {}

        def read(chunk: int) -> ChunkIndex | ChunkError | None:
            if cache is not None and cached.get(chunk) == stamps[chunk]:
                return cache.chunk_index(chunk)
            try:
                return load_chunk_index(index_stem(self._root, chunk, self._suffix))
            except ChunkError as exc:
                return exc

        def read_block(start: int) -> list[ChunkIndex | ChunkError | None]:
            return [read(chunk) for chunk in chunks[start : start + _BLOCK]]

        indexes: dict[int, ChunkIndex] = {}
        with ThreadPoolExecutor(_READERS) as pool:
            blocks = pool.map(read_block, range(0, len(chunks), _BLOCK))
            every = chain.from_iterable(blocks)
            for done, (chunk, found) in enumerate(zip(chunks, every, strict=True), 1):
                if isinstance(found, ChunkError):
                    self._problems.append(str(found))
                elif found is not None:
                    indexes[chunk] = found
                if progress is not None:
                    progress(done, len(chunks))
        return indexes

    def _recover(self, chunk: int) -> tuple[ChunkIndex, bool]:
        """Return what both the journal and the images of an unfinished chunk hold, and if that is all."""
        path = self._path(chunk)
        finished = load_chunk_index(index_stem(self._root, chunk, self._suffix))
        if finished is not None:  # meanwhile
            return finished, True
        try:
            journal = load_journal(journal_path(self._root, chunk))
        except ChunkError:
            finished = load_chunk_index(index_stem(self._root, chunk, self._suffix))
            if finished is None:
                raise
            return finished, True
        try:
            count = count_held(path, journal, self._format, self._metadata.stored_spec)
        except ChunkError as exc:
            count = 0
            if len(journal.numbers) > 1:  # a single frame may still be on its way to the disk
                self._problems.append(f"of the unfinished chunk {path} nothing can be read: {exc}")
        return ChunkIndex(journal.numbers[:count], journal.times[:count]), count == len(journal.numbers)

    def _name_gaps(self, listing: Listing) -> None:
        """Name chunks that are missing, in part or as a whole, and those of which nothing is known."""
        for name in listing.links:
            self._problems.append(f"{self._root / name} is a link, and links in a store are not followed")
        for chunk in sorted(listing.stamps.keys() - listing.chunks):
            self._problems.append(f"{self._path(chunk)} is missing; its frames cannot be read")
        gaps = [*islice(chain.from_iterable(missing_chunks(listing)), _MOST_NAMES + 1)]
        if gaps:
            names = ", ".join(map(chunk_name, gaps[:_MOST_NAMES])) + (
                " ..." if len(gaps) > _MOST_NAMES else ""
            )
            self._problems.append(f"chunks are missing from {self._root}: {names}")
        for chunk in sorted(listing.chunks - listing.stamps.keys() - set(listing.journals)):
            if not (is_empty_chunk(self._path(chunk)) or self._begun_since(chunk)):
                self._problems.append(
                    f"{self._path(chunk)} has neither index nor journal; its frames have no times"
                )

    def _begun_since(self, chunk: int) -> bool:
        """Say whether a chunk has got a journal after it was listed, or was even finished since.

        The order matters: a writer makes the journal before the first frame, and removes it after the index.
        """
        if journal_path(self._root, chunk).exists():
            return True
        return load_chunk_index(index_stem(self._root, chunk, self._suffix)) is not None

    def _path(self, chunk: int) -> Path:
        return chunk_path(self._root, chunk, self._suffix)


def missing_chunks(listing: Listing) -> Iterator[range]:
    """Yield the numbers of chunks of which nothing is there though later ones are, row by row."""
    upcoming = 0
    known = listing.chunks | listing.stamps.keys()
    if known and len(known) == max(known) + 1:
        return
    for chunk in sorted(known):
        if chunk > upcoming:
            yield range(upcoming, chunk)
        upcoming = chunk + 1


def is_empty_chunk(path: Path) -> bool:
    """Say whether a chunk was opened and nothing written to it, as the next one of a writer is."""
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0
