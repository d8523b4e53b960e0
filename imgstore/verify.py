"""Read all of a store, and say what is wrong with it."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Event, Lock

import numpy as np

from imgstore.cache import CACHE_FILENAME, load_cache
from imgstore.checksums import CHECKSUMS_FILENAME, Checksums, has_index, load_checksums
from imgstore.chunk import chunk_path, index_stem
from imgstore.chunk_check import ChunkCheck, ChunkRows, Tally
from imgstore.contents import Progress, is_empty_chunk, missing_chunks
from imgstore.errors import ChunkError, MetadataError, UnknownNameError
from imgstore.events import EVENTS_FILENAME, load_events
from imgstore.extra import EXTRA_SUFFIXES
from imgstore.findings import SEVERITIES, Finding, Verification, first_of, not_too_many, shown
from imgstore.index import ChunkIndex, StoreIndex, join_indexes, load_chunk_index
from imgstore.journal import load_journal
from imgstore.layout import (
    LOCK_FILENAME,
    METADATA_FILENAME,
    Listing,
    chunk_name,
    is_chunk_name,
    journal_path,
    list_store,
    writer_state,
)
from imgstore.lost import GAP, claim_of
from imgstore.metadata import StoreMetadata, find_metadata, load_metadata
from imgstore.reader import format_of
from imgstore.samples import SAMPLES_NAME
from imgstore.sqlite_index import FILENAME as SQLITE_FILENAME
from imgstore.sqlite_index import check_same
from imgstore.totals import check_totals

_OWN_FILES = (
    *(METADATA_FILENAME, LOCK_FILENAME, CACHE_FILENAME, CHECKSUMS_FILENAME, EVENTS_FILENAME),
    SQLITE_FILENAME,
)
_RESULTS = ".tracks.h5"
_REPAIR = "run `ethostore repair`"
_STEPS = 1000  # how often progress is told at most


def verify(
    path: str | os.PathLike[str],
    *,
    decode: bool = True,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Verification:
    """Read everything in a store, and say what is wrong with it. Nothing is changed.

    Every frame is decoded, and counted against index and journal; files are compared with their checksums
    where these were recorded; numbers, times, extra data and events are looked through. Of a store that is
    being written, what is not finished is checked as far as it is whole.

    Parameters
    ----------
    path : folder of the store, or its `metadata.yaml`.
    decode : read images and extra data; else only indexes and checksums are checked.
    progress : called with how many frames are done, and how many there are; from any thread, one at a time.
    workers : chunks that are read at the same time; None for one per core.

    Raises
    ------
    NotAStoreError
        There is no store at `path`.
    MissingDependencyError
        The format needs a library that is not there.
    """
    file = find_metadata(Path(path))
    try:
        metadata = load_metadata(file)
        chunk_format = format_of(metadata)
    except (MetadataError, UnknownNameError) as exc:
        return Verification(
            file.parent, writer_state(file.parent), findings=(Finding("error", METADATA_FILENAME, str(exc)),)
        )
    search = _Search(file.parent, metadata)
    findings = [*search.look_around()]
    rows, whole = search.rows()
    findings += [
        *search.problems,
        *search.check_copies(whole),
        *search.check_events(len(whole)),
        *_check_order(whole),
    ]
    counter = _Counter(len(whole), progress)
    stop = Event()
    check = ChunkCheck(
        file.parent,
        metadata,
        chunk_format,
        search.checksums,
        live=search.live,
        decode=decode,
        looked=counter.add,
        stop=stop,
    )
    tallies = _check_all(check, rows, stop, workers or len(os.sched_getaffinity(0)))
    findings += [finding for tally in tallies for finding in tally.findings]
    return Verification(
        file.parent,
        search.state,
        chunks=len(whole.chunks),
        frames=len(whole),
        decoded=sum(tally.decoded for tally in tallies),
        checksums=sum(tally.checksums for tally in tallies),
        findings=tuple(
            sorted(not_too_many(findings), key=lambda finding: SEVERITIES.index(finding.severity))
        ),
    )


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._lock = Lock()
        self._done = self._told = 0

    def add(self, count: int) -> None:
        """Count frames that are done."""
        with self._lock:
            self._done += count
            due = self._told + self._total // _STEPS
            if self._progress is not None and (self._done >= due or self._done == self._total):
                self._told = self._done
                self._progress(self._done, self._total)


def _check_all(check: ChunkCheck, rows: list[ChunkRows], stop: Event, workers: int) -> list[Tally]:
    """Check chunks in several threads; what ends this early, Ctrl-C say, ends them too."""
    tallies = []
    with ThreadPoolExecutor(max(1, workers), "verify") as pool:
        try:
            upcoming = iter(rows)
            running = deque(pool.submit(check.check, row) for row in islice(upcoming, 2 * workers))
            while running:
                tallies.append(running.popleft().result())
                running.extend(pool.submit(check.check, row) for row in islice(upcoming, 1))
        finally:
            stop.set()
    return tallies


class _Search:
    """Looks at what a store holds, without its images."""

    def __init__(self, root: Path, metadata: StoreMetadata) -> None:
        self._root = root
        self._suffix = metadata.suffix
        self.state = writer_state(root)
        self.live = self.state == "recording"
        self._listing: Listing = list_store(root, self._suffix)
        self.problems: list[Finding] = []
        self._indexes: dict[int, ChunkIndex] = {}
        self.checksums = self._load_checksums()

    def _load_checksums(self) -> Checksums | None:
        try:
            found = load_checksums(self._root)
        except ChunkError as exc:
            self.problems.append(Finding("error", CHECKSUMS_FILENAME, str(exc)))
            return None
        if found is not None:
            self.problems += first_of(
                Finding("error", CHECKSUMS_FILENAME, f"line {line} cannot be understood")
                for line in found.broken
            )
            gone = found.chunks - self._listing.chunks - self._listing.stamps.keys()
            self.problems += first_of(
                Finding("error", self._name(chunk), "it was recorded, and is gone", chunk)
                for chunk in sorted(gone)
            )
        return found

    def look_around(self) -> Iterator[Finding]:
        """Yield what is wrong with the names in the store's folder, and with its lock."""
        if self.live:
            yield Finding(
                "note", LOCK_FILENAME, "it is being written; what is not finished is checked in part"
            )
        elif self.state == "interrupted":
            yield Finding("warning", LOCK_FILENAME, f"its writer died before it was done; {_REPAIR}")
        listing = self._listing
        for name in listing.links:
            yield Finding("error", name, "it is a link, and links in a store are not followed; copy the file")
        for chunk in sorted(listing.stamps.keys() - listing.chunks):
            yield Finding("error", self._name(chunk), "it is missing, its index is there", chunk)
        yield from first_of(self._missing(gap) for gap in missing_chunks(listing))
        for chunk in sorted(listing.chunks - listing.stamps.keys() - set(listing.journals)):
            finished_meanwhile = has_index(self._root, chunk, self._suffix)
            if not (finished_meanwhile or is_empty_chunk(chunk_path(self._root, chunk, self._suffix))):
                what = "it has neither index nor journal; its frames have no numbers and times"
                yield Finding("error", self._name(chunk), what, chunk)
        yield from first_of(self._strays())

    def _missing(self, gap: range) -> Finding:
        more = f", and all up to {self._name(gap[-1])} are" if len(gap) > 1 else ""
        return Finding("error", self._name(gap[0]), f"it is missing{more}", gap[0])

    def rows(self) -> tuple[list[ChunkRows], StoreIndex]:
        """Return what indexes and journals say of the frames, chunk by chunk and as a whole."""
        listing = self._listing
        for chunk in listing.chunks & listing.stamps.keys():
            self._load_index(chunk)
        for chunk in listing.journals:
            self._load_journal(chunk)
        chunks = sorted(chunk for chunk, index in self._indexes.items() if len(index.numbers))
        whole = join_indexes(chunks, [self._indexes[chunk] for chunk in chunks])
        rows = []
        for chunk in chunks:
            place = whole.chunk_range(chunk)
            part = slice(place.start, place.stop)
            index = ChunkIndex(whole.numbers[part], whole.times[part])
            rows.append(ChunkRows(chunk, index, place.start, chunk in listing.stamps))
        none = ChunkIndex(np.empty(0, np.int64), np.empty(0, np.float64))
        others = listing.chunks & listing.stamps.keys() - set(chunks)  # empty, or their index is broken
        rows += [ChunkRows(chunk, none, len(whole), finished=True) for chunk in sorted(others)]
        return rows, whole

    def _load_index(self, chunk: int) -> None:
        try:
            index = load_chunk_index(index_stem(self._root, chunk, self._suffix))
        except ChunkError as exc:
            what = str(exc).replace(f"{self._root}/", "")
            self.problems.append(Finding("error", self._name(chunk), what, chunk))
        else:
            if index is not None:
                self._indexes[chunk] = index

    def _load_journal(self, chunk: int) -> None:
        path = journal_path(self._root, chunk)
        try:
            journal = load_journal(path)
        except ChunkError as exc:
            if path.is_symlink() or path.exists():
                self.problems.append(Finding("error", path.name, str(exc), chunk))
            elif chunk in self._listing.chunks and chunk not in self._indexes:
                self._load_index(chunk)  # it was finished meanwhile
            return
        if chunk in self._indexes:
            self._compare(path.name, chunk, journal)
        elif chunk in self._listing.chunks and chunk not in self._listing.stamps:
            self._indexes[chunk] = journal
            if not self.live:
                what = f"it is not finished: its writer died; {_REPAIR}"
                self.problems.append(Finding("error", self._name(chunk), what, chunk))
        elif chunk not in self._listing.chunks and not self.live:
            what = f"a journal of {len(journal.numbers)} frames, whose images are missing"
            self.problems.append(Finding("error", path.name, what, chunk))

    def _compare(self, name: str, chunk: int, journal: ChunkIndex) -> None:
        index = self._indexes[chunk]
        count = min(len(journal.numbers), len(index.numbers))
        same = np.array_equal(journal.numbers[:count], index.numbers[:count]) and np.array_equal(
            journal.times[:count], index.times[:count], equal_nan=True
        )
        if not same:
            self.problems.append(Finding("error", name, "it says other frames than the index does", chunk))
        elif not self.live:
            self.problems.append(Finding("warning", name, f"left beside the index; {_REPAIR}", chunk))

    def check_copies(self, whole: StoreIndex) -> Iterator[Finding]:
        """Yield what is wrong with the copies of all indexes."""
        if os.path.lexists(self._root / CACHE_FILENAME):
            yield from self._check_cache()
        if os.path.lexists(self._root / SQLITE_FILENAME) and not self.live:
            try:
                check_same(self._root / SQLITE_FILENAME, whole)
            except ChunkError as exc:
                yield Finding("warning", SQLITE_FILENAME, f"{exc}; write it again with save_index()")

    def check_events(self, frames: int) -> Iterator[Finding]:
        """Yield what is wrong with the file of events, of a store that holds so many frames."""
        found = load_events(self._root)
        if found.problem:
            yield Finding("error", EVENTS_FILENAME, found.problem)
        yield from first_of(
            Finding("error", EVENTS_FILENAME, f"line {line} is no event") for line in found.broken
        )
        if found.torn and not self.live:
            yield Finding("warning", EVENTS_FILENAME, f"its last line was not all written; {_REPAIR}")
        yield from first_of(
            Finding(
                "warning", EVENTS_FILENAME, f"the gap at {event.time} s does not say which frames were lost"
            )
            for event in found.events
            if event.kind == GAP and claim_of(event) is None
        )
        if not (self.live or found.problem or found.broken):  # else not all is known that it would be held to
            yield from check_totals(found.events, frames)

    def _check_cache(self) -> Iterator[Finding]:
        cache = load_cache(self._root)
        if cache is None:
            yield Finding("warning", CACHE_FILENAME, "it is broken; it is made anew at the next opening")
            return
        for chunk, mark in cache.stamps.items():
            index = self._indexes.get(chunk)
            if index is None or self._listing.stamps.get(chunk) != mark:
                continue  # it is older than the index, which readers notice
            copy = cache.chunk_index(chunk)
            same = np.array_equal(copy.numbers, index.numbers)
            if not (same and np.array_equal(copy.times, index.times, equal_nan=True)):
                yield Finding(
                    "error", CACHE_FILENAME, "it says other frames than the index; delete it", chunk
                )

    def _strays(self) -> Iterator[Finding]:
        """Yield what lies in the folder and is none of the store's."""
        for entry in sorted(os.scandir(self._root), key=lambda entry: entry.name):
            name = entry.name
            is_half = name.startswith(".") and name.endswith((".partial", ".new", ".tail"))
            if is_half or SAMPLES_NAME.fullmatch(name):
                if not self.live:
                    yield Finding("warning", shown(name), f"left by a writer that died; {_REPAIR}")
            elif name.startswith(".") and name.endswith(".unreadable"):
                yield Finding("note", shown(name), "a chunk that could not be repaired, kept")
            elif not self._is_known(entry):
                yield Finding("note", shown(name), "it does not belong to the store")

    def _is_known(self, entry: os.DirEntry[str]) -> bool:
        stem, dot, ending = entry.name.lstrip(".").partition(".")
        ours = entry.name in _OWN_FILES or entry.name.endswith(_RESULTS)
        if ours or not is_chunk_name(stem):
            return ours
        endings = (self._suffix, *EXTRA_SUFFIXES, ".journal", *((".npz", ".yaml") if self._suffix else ()))
        return dot + ending in endings and (bool(dot) or entry.is_dir(follow_symlinks=False))

    def _name(self, chunk: int) -> str:
        return chunk_name(chunk) + self._suffix


def _check_order(whole: StoreIndex) -> Iterator[Finding]:
    """Yield what is odd about the numbers and times of all frames."""
    before, after = whole.numbers[:-1], whole.numbers[1:]
    gaps = np.flatnonzero((after > before) & (after - before != 1))
    if len(gaps):
        missing = int((after[gaps].astype(np.float64) - before[gaps] - 1).sum())
        first = int(gaps[0]) + 1
        what = f"{missing} frames are missing in {len(gaps)} gaps, the first before number {after[first - 1]}"
        yield Finding("note", "numbers", what, frames=range(first, first + 1))
    yield from _odd("numbers", "repeat the one before", after == before)
    yield from _odd("numbers", "step back", after < before)
    yield from _odd("times", "are not known", ~np.isfinite(whole.times), shift=0)
    known = np.flatnonzero(np.isfinite(whole.times))
    back = np.zeros(len(whole), bool)
    back[known[1:]] = whole.times[known[1:]] < whole.times[known[:-1]]
    yield from _odd("times", "step back", back, shift=0)


def _odd(
    what: str, how: str, places: "np.ndarray[tuple[int], np.dtype[np.bool_]]", shift: int = 1
) -> Iterator[Finding]:
    found = np.flatnonzero(places)
    if len(found):
        first = int(found[0]) + shift
        text = f"{len(found)} {what} {how}, the first at index {first}"
        yield Finding("warning", what, text, frames=range(first, first + 1))
