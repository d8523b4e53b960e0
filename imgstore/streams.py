"""Write streams beside the frames: samples of DAQ channels or audio, at rates of their own."""

import math
import threading
import time as clock
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgstore.checksums import record_files
from imgstore.chunk import index_stem
from imgstore.errors import ChunkError, ClosedError, FrameFormatError, SettingsError
from imgstore.extra import MOTIF_SIGNALS_SUFFIX
from imgstore.index import ChunkIndex, StoreIndex, join_indexes, load_chunk_index
from imgstore.journal import load_journal
from imgstore.layout import chunk_name, journal_path, sync
from imgstore.motif import read_parts, write_signals
from imgstore.samples import (
    BlockFile,
    BlockWriter,
    Samples,
    StreamSpec,
    block_rows,
    checked_spec,
    find_samples,
    load_blocks,
    samples_path,
)

_CHUNKS_BACK = 10  # in which the frames of samples that come late are looked for


class StreamWriter:
    """Takes the samples of a stream; made by `StoreWriter.stream`. Safe to use from several threads.

    Parameters
    ----------
    root : folder of the store.
    spec : of the stream.
    order : how many streams were declared before.
    chunk : gives the number of the chunk that is being written.
    check : raises what went wrong with the streams in the background.
    """

    def __init__(
        self, root: Path, spec: StreamSpec, order: int, chunk: Callable[[], int], check: Callable[[], None]
    ) -> None:
        self._root = root
        self._spec = spec
        self._order = order
        self._chunk = chunk
        self._check = check
        self._lock = threading.Lock()
        self._count = 0
        self._anchor: tuple[float, int] | None = None  # a time, and how many samples are due since
        self._file: BlockWriter | None = None
        self._file_chunk = -1
        self._full: list[BlockWriter] = []  # files of earlier chunks that are not yet synced
        self._new = False  # whether the folder does not yet hold the name of a file for sure
        self._closed = False

    @property
    def spec(self) -> StreamSpec:
        """Name, columns, rate and dtype of the stream."""
        return self._spec

    @property
    def count(self) -> int:
        """How many samples were appended."""
        return self._count

    def append(self, samples: npt.ArrayLike, time: float | None = None) -> None:
        """Write the next samples; once this returns, they survive the death of the process.

        Parameters
        ----------
        samples : shape (n, columns), or (n,) for a stream of one column.
        time : when the first was taken, Unix seconds. Without, they follow the ones before at the stream's
            rate; the first ones ended now. A device's clock drifts (one in 20,000 makes four seconds a day),
            so give the times in long recordings, and always where samples may be missing.

        Raises
        ------
        FrameFormatError
            The samples have another shape or type than the stream, or the time is none. Nothing was written.
        ChunkError
            The disk refused, now or in the background. What was appended before is kept.
        ClosedError
            The writer of the store is closed.
        """
        rows = self._fitting(samples)
        start = self._fitting_time(time)
        self._check()
        with self._lock:
            if self._closed:
                raise ClosedError(
                    f"the store {self._root} is closed; {self._spec.name!r} takes no more samples"
                )
            if not len(rows):
                return
            if start is not None or self._anchor is None:
                self._anchor = (clock.time() - len(rows) / self._spec.rate if start is None else start, 0)
            begin, due = self._anchor
            self._anchor = (begin, due + len(rows))  # if they are lost, too: time goes on
            for first in range(0, len(rows), block_rows(self._spec)):
                block = rows[first : first + block_rows(self._spec)]
                self._current().append(block, begin + (due + first) / self._spec.rate)
                self._count += len(block)

    def sync(self) -> None:
        """Make what was appended survive a power cut. Raises ChunkError."""
        with self._lock:
            full, self._full = self._full, []
            files = [*full, *([self._file] if self._file is not None else [])]
            new, self._new = self._new, False
        try:
            for file in files:
                file.sync()
            if new:
                sync(self._root)
        except OSError as exc:
            raise ChunkError(f"{self._root} cannot be made safe on the disk ({exc.strerror})") from exc
        finally:
            for file in full:
                file.close()

    def leave(self, chunk: int) -> None:
        """Make sure that nothing comes any more to the samples of a chunk that has been left."""
        with self._lock:
            if self._file_chunk <= chunk:
                self._turn_away()

    def close(self) -> None:
        """Take no more samples. Closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._turn_away()
            full, self._full = self._full, []
        for file in full:
            file.close()

    def _current(self) -> BlockWriter:
        chunk = self._chunk()
        if self._file is None or self._file_chunk != chunk:
            self._turn_away()
            path = samples_path(self._root, chunk, self._spec.name)
            self._file = BlockWriter(path, self._spec, self._order, self._count)
            self._file_chunk, self._new = chunk, True
        return self._file

    def _turn_away(self) -> None:
        if self._file is not None:
            self._full.append(self._file)
            self._file = None

    def _fitting(self, samples: npt.ArrayLike) -> Samples:
        """Return the samples as they are written. Raises FrameFormatError."""
        spec = self._spec
        try:
            given = np.asarray(samples)
        except ValueError as exc:
            raise FrameFormatError(f"samples of {spec.name!r} are an array of numbers ({exc})") from exc
        rows = given[:, None] if given.ndim == 1 and len(spec.columns) == 1 else given
        if rows.ndim != 2 or rows.shape[1] != len(spec.columns):
            raise FrameFormatError(
                f"samples of {spec.name!r} have the shape (n, {len(spec.columns)}), one column for each of "
                f"{', '.join(spec.columns)}; got {given.shape}"
            )
        whole = spec.dtype.kind in "iu"
        if rows.dtype.kind not in ("biu" if whole else "biuf") and rows.size:
            raise FrameFormatError(f"{spec.name!r} holds {spec.dtype}, and cannot take {rows.dtype}")
        if whole and rows.size and not np.can_cast(rows.dtype, spec.dtype):
            limits = np.iinfo(spec.dtype)
            if rows.min() < limits.min or rows.max() > limits.max:
                raise FrameFormatError(f"{spec.name!r} holds {spec.dtype}, some samples are beyond its range")
        with np.errstate(over="ignore"):  # to infinity
            return np.ascontiguousarray(rows, spec.dtype)

    def _fitting_time(self, time: float | None) -> float | None:
        if time is None:
            return None
        try:
            seconds = float(time)
        except (TypeError, ValueError) as exc:
            raise FrameFormatError(f"the time of samples is in Unix seconds, not {time!r}") from exc
        if not math.isfinite(seconds):
            raise FrameFormatError(f"the time of samples is in Unix seconds, not {time!r}")
        return seconds


class Streams:
    """All streams of a store that is being written.

    Samples go into the chunk that is written when they come. Its HDF5 file is made a chunk later, when the
    frames are known that they belong to, in a thread that nothing waits for before `close`.

    Parameters
    ----------
    root, suffix : folder of the store, and the ending of its chunks, "" for folders.
    """

    def __init__(self, root: Path, suffix: str) -> None:
        self._root = root
        self._suffix = suffix
        self._streams: dict[str, StreamWriter] = {}
        self._chunk = (0, 0)  # the one that is written, and the index of its first frame
        self._left: tuple[int, int] | None = None  # the one before, likewise
        self._helper = ThreadPoolExecutor(1, "store-streams")
        self._work: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    def add(self, name: str, columns: Sequence[str], rate: float, dtype: npt.DTypeLike) -> StreamWriter:
        """Declare a stream. Raises SettingsError if it cannot be, or its names are taken."""
        spec = checked_spec(name, columns, rate, dtype)
        with self._lock:
            for other in self._streams.values():
                if other.spec.name == name:
                    raise SettingsError(
                        f"there is a stream {name!r} already; append to it, or name it otherwise"
                    )
                shared = set(spec.columns) & set(other.spec.columns)
                if shared:  # one table holds all streams
                    column = min(shared)
                    raise SettingsError(
                        f"{other.spec.name!r} has a column {column!r} already; columns of a store need names "
                        f"of their own, such as {name}_{column}"
                    )
            stream = StreamWriter(self._root, spec, len(self._streams), self._number, self._check)
            self._streams = {**self._streams, name: stream}  # others may be looking through them
        return stream

    def roll(self, chunk: int, first_frame: int) -> None:
        """Put what comes from now on into another chunk; costs the caller nothing to speak of."""
        due, self._left, self._chunk = self._left, self._chunk, (chunk, first_frame)
        if due is not None:
            self._submit(*due)

    def sync(self) -> None:
        """Make what was appended survive a power cut. Raises ChunkError."""
        for stream in self._streams.values():
            stream.sync()

    def close(self) -> None:
        """Write what is left into HDF5 files. Raises ChunkError if some cannot; its samples stay readable."""
        for stream in self._streams.values():
            stream.close()
        for due in (self._left, self._chunk):
            if due is not None:
                self._submit(*due)
        self._helper.shutdown()
        failed = [exc for work in self._work if (exc := work.exception()) is not None]
        self._work.clear()
        if failed:
            raise failed[0]

    def _submit(self, chunk: int, first_frame: int) -> None:
        if self._streams:
            with self._lock:
                self._work.append(self._helper.submit(self._finish, chunk, first_frame))

    def _check(self) -> None:
        """Raise what the thread could not."""
        with self._lock:
            done = self._work.popleft() if self._work and self._work[0].done() else None
        if done is not None:
            done.result()

    def _number(self) -> int:
        return self._chunk[0]

    def _finish(self, chunk: int, first_frame: int) -> None:
        for stream in self._streams.values():
            stream.leave(chunk)
        paths = [samples_path(self._root, chunk, name) for name in self._streams]
        files = [file for path in paths if (file := load_blocks(path)) is not None]
        if files:
            frames, first = self._frames_around(chunk, first_frame, _earliest(files))
            finish_streams(self._root, chunk, files, frames, first)

    def _frames_around(self, chunk: int, first: int, earliest: float) -> tuple[StoreIndex, int]:
        """Return the frames that samples of a chunk may belong to, and the index of the first of them."""
        known = {n: found for n in (chunk, chunk + 1) if (found := self._frames_of(n)) is not None}
        begin = min((found.times[0] for found in known.values() if len(found.times)), default=math.inf)
        for before in range(chunk - 1, max(chunk - 1 - _CHUNKS_BACK, -1), -1):
            found = self._frames_of(before) if begin > earliest else None
            if found is None:
                break
            known[before] = found
            first -= len(found.times)
            begin = min([begin, *found.times[:1]])
        chunks = sorted(known)
        return join_indexes(chunks, [known[n] for n in chunks]), first

    def _frames_of(self, chunk: int) -> ChunkIndex | None:
        """Return what is known of a chunk, which may be finished in this moment; None if that is nothing."""
        stem = index_stem(self._root, chunk, self._suffix)
        index = load_chunk_index(stem)
        journal = journal_path(self._root, chunk)
        if index is None and journal.exists():
            try:
                return load_journal(journal)
            except ChunkError:
                index = load_chunk_index(stem)
        return index


def finish_streams(
    root: Path, chunk: int, files: Sequence[BlockFile], frames: StoreIndex, first_frame: int
) -> None:
    """Make the HDF5 file of a chunk of its samples, and remove those once it is safe.

    Parameters
    ----------
    files : the samples of the chunk, one for each stream.
    frames, first_frame : see `write_signals`.

    Raises ChunkError; the samples then stay where they are.
    """
    target = root / (chunk_name(chunk) + MOTIF_SIGNALS_SUFFIX)
    held = [file for file in files if file.count]
    if target.exists():  # of a writer that died before it had removed the samples, or of another program
        there = {part.spec.name: part.count for part in read_parts(target)}
        missing = [file.path for file in held if there.get(file.spec.name, -1) < file.count]
        if missing:
            raise ChunkError(f"{target} is there already, without the samples of {missing[0]}; move it away")
    elif held:
        held.sort(key=lambda file: file.order)
        write_signals(target, held, frames, first_frame)
        record_files(root, [target.name])
    for file in files:
        if file.problem:  # something is left in it that nobody can read yet
            file.path.replace(file.path.with_name(f"{file.path.name}.unreadable"))
        else:
            file.path.unlink(missing_ok=True)


def recover_streams(root: Path, frames: StoreIndex) -> tuple[dict[int, list[str]], list[str]]:
    """Make HDF5 files of all samples that a dead writer left.

    Parameters
    ----------
    frames : all of the store.

    Returns
    -------
    The names of the streams of each chunk, and what could not be mended, a line each.
    """
    done: dict[int, list[str]] = {}
    problems: list[str] = []
    for chunk, paths in find_samples(root).items():
        files = []
        for path in paths:
            try:
                if (file := load_blocks(path)) is not None:
                    files.append(file)
                else:
                    path.unlink()  # it was made, and nothing written yet
            except (ChunkError, OSError) as exc:
                problems.append(str(exc))
        try:
            finish_streams(root, chunk, files, frames, 0)
        except (ChunkError, OSError) as exc:
            problems.append(str(exc))
            continue
        problems += [file.problem for file in files if file.problem]
        if names := [file.spec.name for file in files if file.count]:
            done[chunk] = names
    return done, problems


def _earliest(files: Sequence[BlockFile]) -> float:
    return min((float(file.times.min()) for file in files if file.count), default=math.inf)
