"""Append frames to a new store, rolling from chunk to chunk."""

import math
import os
import threading
import time as clock
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from imgstore.checksums import ChecksumRecorder, keep_checksums
from imgstore.chunk import OpenChunk
from imgstore.encoding import check_encoding
from imgstore.errors import (
    ChunkError,
    ClosedError,
    FrameFormatError,
    NotAStoreError,
    SettingsError,
    StoreExistsError,
)
from imgstore.events import Event, EventLog
from imgstore.extra import stamp
from imgstore.formats import FORMATS, ChunkFormat, FormatSettings
from imgstore.frame import Frame, FrameSpec
from imgstore.index import ChunkIndex
from imgstore.layout import METADATA_FILENAME, StoreLock
from imgstore.metadata import (
    CHUNK_SECONDS,
    STORE_KEY,
    StoreMetadata,
    chunk_seconds_of,
    new_metadata,
    save_metadata,
)
from imgstore.streams import Streams, StreamWriter

DEFAULT_FORMAT = "h264/mkv"

_OPEN_NEXT_AT = 0.9  # of a chunk
_TIME_SLACK_S = 1e-6  # Unix times are no more exact than that
_SYNC_INTERVAL_S = 0.8  # with the time that it takes, a second


def create(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    dtype: npt.DTypeLike = np.uint8,
    *,
    format: str = DEFAULT_FORMAT,  # noqa: A002  # the format's own word for it
    chunksize: int | None = None,
    settings: str | FormatSettings | None = None,
    metadata: Mapping[str, Any] | None = None,
    encoding: str | None = None,
    checksums: bool = True,
    chunk_seconds: float | None = None,
) -> "StoreWriter":
    """Make a new store and return its writer.

    Parameters
    ----------
    path : folder of the store; it must not exist, or be empty.
    shape : (rows, columns) of the frames, or (rows, columns, 3) for colour.
    dtype : of the pixels.
    format : how chunks lie on disk; one of `imgstore.FORMATS`.
    chunksize : frames per chunk; None for the format's own default.
    settings : "fast", "balanced" (the default), "small" or "lossless", or settings of which those that are
        None are taken from "balanced".
    metadata : what else to keep in `metadata.yaml`: genotype, arena, camera ...
    encoding : of the frames, "cv_bayerbg": they are kept as they come, and decoded to blue, green and red
        on reading; `shape` is the one that they come in.
    checksums : write down a checksum of every file of a finished chunk, by which `verify` tells whether it is
        still what was written. A thread computes them; `append` never waits for it.
    chunk_seconds : a chunk ends before the first frame whose time is so much later than that of its first,
        however many frames that are. `chunksize` then is only what the metadata says.

    Raises
    ------
    StoreExistsError
        There is something at `path` already; nothing was touched.
    UnknownNameError, FrameFormatError, SettingsError, MetadataError
        The format does not exist, cannot hold such frames or take such settings, or the metadata cannot be
        written.
    MissingDependencyError
        The format needs a library or a device that is not there.
    """
    spec = FrameSpec(tuple(shape), np.dtype(dtype))
    chunk_format = FORMATS.get(format)
    chunk_format.check(spec)  # what cannot be kept at all is told before what is wrong with the settings
    chosen = chunk_format.settings(spec, settings)
    content = describe(chunk_format, spec, chosen, chunksize, metadata or {}, encoding, stacklevel=3)
    if chunk_seconds is not None:
        content[STORE_KEY][CHUNK_SECONDS] = _checked_seconds(chunk_seconds)
    root = Path(path)
    _make_folder(root)
    lock = StoreLock(root)
    lock.acquire()
    try:
        _check_new(root)
        save_metadata(root / METADATA_FILENAME, content)
        if checksums:
            keep_checksums(root)
    except BaseException:
        lock.release()
        raise
    return StoreWriter(root, spec, chunk_format, chosen, content[STORE_KEY], lock)


def describe(
    chunk_format: ChunkFormat,
    spec: FrameSpec,
    settings: FormatSettings,
    chunksize: int | None,
    user: Mapping[str, Any],
    encoding: str | None = None,
    *,
    stacklevel: int,
) -> dict[str, Any]:
    """Return the content of the metadata of a new store; see `create` for the parameters and what is raised.

    Parameters
    ----------
    stacklevel : of the warning that a lossy format spoils a mosaic.
    """
    if encoding:
        lossless = chunk_format.is_lossless(spec, settings)
        check_encoding(spec, encoding, lossless=lossless, stacklevel=stacklevel + 1)
    return new_metadata(
        chunk_format.kept(spec),
        store_class=chunk_format.store_class,
        chunk_format=chunk_format.name,
        suffix=chunk_format.suffix,
        chunksize=chunk_format.chunksize if chunksize is None else chunksize,
        padded=chunk_format.pads(spec),
        settings=settings,
        user=user,
        encoding=encoding or None,
    )


class StoreWriter:
    """Takes frames, in the order in which they are to be read; made by `create`.

    Threads of its own open the next chunk before it is needed, finish the last one, record its checksums, and
    sync once a second, so that `append` waits for none of these. Frames and records are appended by one
    thread at a time, samples of streams and events by any.

    Parameters
    ----------
    root : folder of the store, with its metadata in place.
    spec : of the frames.
    chunk_format : of the chunks.
    settings : that the format encodes with.
    store : the store section of the metadata.
    lock : held; the writer releases it.
    """

    def __init__(
        self,
        root: Path,
        spec: FrameSpec,
        chunk_format: ChunkFormat,
        settings: FormatSettings,
        store: Mapping[str, Any],
        lock: StoreLock,
    ) -> None:
        self._root = root
        self._spec = spec
        self._format = chunk_format
        self._settings = settings
        self._store = store
        self._chunksize = int(store["chunksize"])
        self._chunk_s = chunk_seconds_of(store)
        self._lock = lock
        self._process = os.getpid()
        self._closed = False
        self._count = 0
        self._chunks = 0
        self._last: Frame | None = None
        self._chunk: OpenChunk | None = None
        self._next: Future[OpenChunk] | None = None
        self._finishing: Future[None] | None = None
        self._is_settled = False
        self._unkept: deque[ChunkIndex] = deque()
        self._helper = ThreadPoolExecutor(1, "store-writer")
        self._streams = Streams(root, chunk_format.suffix)
        self._checksums = ChecksumRecorder(root, chunk_format.suffix)
        self._events = EventLog(root)
        self._syncer = _Syncer(self._sync)

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
            The image has another shape or dtype than the store, or number and time are none. Nothing was
            written.
        ChunkError
            The disk or the encoder refused, now or in the last second. What was appended before is kept.
        ClosedError
            The writer is closed.
        """
        self._check()
        if not isinstance(frame, Frame):
            raise TypeError(f"append takes Frame(image, index, number, time), not {type(frame).__name__}")
        frame = self._checked(frame)
        chunk = self._current(frame.time)
        chunk.append(frame)
        self._last = frame
        self._count += 1
        if self._next is None and self._is_full(chunk, frame.time, _OPEN_NEXT_AT):
            self._next = self._helper.submit(self._open, self._chunks)

    def _checked(self, frame: Frame) -> Frame:
        """Return the frame with plain numbers. Raises FrameFormatError before anything of it is written."""
        self._spec.check(frame.image)
        try:
            number, time = int(frame.number), float(frame.time)
        except (TypeError, ValueError, OverflowError) as exc:
            raise FrameFormatError(
                f"number and time of a frame are numbers, got {frame.number!r} and {frame.time!r}"
            ) from exc
        if not -(1 << 63) <= number < 1 << 63:
            raise FrameFormatError(f"the number of a frame is one of 64 bits, got {number}")
        return Frame(frame.image.astype(self._spec.dtype, copy=False), self._count, number, time)

    def append_extra(self, record: Mapping[str, Any]) -> None:
        """Write a record of any JSON-like values beside the frames, stamped with the last frame.

        Raises TypeError if a value is not JSON-like, ChunkError if the disk refuses, ClosedError.
        """
        self._check()
        number, time = (int(self._last.number), float(self._last.time)) if self._last else (None, None)
        self._current().append_extra(stamp(record, number, time, self._count - 1))

    def append_event(self, kind: str, time: float | None = None, **detail: object) -> None:
        """Write down what happened, from any thread; once this returns, it survives the death of the process.

        Parameters
        ----------
        kind : a word; `FORMAT.md` has the kinds that mean something to readers: "gap", "mark" ...
        time : when, Unix seconds by the clock of the frames' times; None for now.
        detail : what else is known, any JSON-like values.

        Raises
        ------
        FrameFormatError
            The kind is no word, the time no number, or it takes more than 64 KiB. Nothing was written.
        TypeError
            A value is not JSON-like.
        ChunkError
            The disk refused. What was appended before is kept.
        ClosedError
            The writer is closed.
        """
        self._check_mine()
        self._events.append(Event(clock.time() if time is None else time, kind, detail))

    def stream(
        self, name: str, columns: Sequence[str], rate: float, dtype: npt.DTypeLike = np.float64
    ) -> StreamWriter:
        """Declare a stream of samples beside the frames, from a DAQ or a microphone, and return its writer.

        Samples go with the chunk that is written when they come, and close with the store.

        Parameters
        ----------
        name : letters, digits and `_`. The first stream is the one that readers of Motif's files see.
        columns : names of what is sampled, others than those of the other streams.
        rate : samples per second.
        dtype : of the samples, whole or floating-point numbers of up to 64 bits.

        Raises SettingsError if there can be no such stream or its names are taken, ClosedError.
        """
        self._check()
        return self._streams.add(name, columns, rate, dtype)

    def reserve_chunk(self, frames: int) -> int:
        """Finish the chunk in hand and return the number of the next: the caller puts `frames` into it."""
        self._check()
        self._finish_last()
        self._count += frames
        self._chunks += 1
        self._streams.roll(self._chunks, self._count)
        return self._chunks - 1

    def record_checksums(self, chunk: int) -> None:
        """Have the checksums of a chunk recorded that the caller has put in place. Returns at once."""
        self._checksums.record(chunk)

    def settle(self) -> None:
        """Finish the chunk in hand now; a frame that is appended later begins another.

        Raises ChunkError as `close` does.
        """
        self._check_mine()
        self._is_settled |= self._chunk is not None
        self._finish_last()

    def unkept(self) -> list[tuple[int, float]]:
        """Return number and time of frames that `append` had taken and that the disk then did not keep.

        It is known once their chunk is finished: a while after the disk failed, or by `settle` or `close`.
        Each frame is returned once.
        """
        found: list[tuple[int, float]] = []
        while self._unkept:
            index = self._unkept.popleft()
            found += zip(index.numbers.tolist(), index.times.tolist(), strict=True)
        return found

    def close(self) -> None:
        """Finish the last chunk and let go of the store. Closing twice is harmless.

        Raises ChunkError if a chunk could not be finished; its frames are read by its journal, the samples of
        its streams where they are.
        """
        if self._closed:
            return
        self._closed = True
        if self._process != os.getpid():
            return  # all of it is the parent's
        self._syncer.stop()
        with ExitStack() as ending:  # from the last to the first, whatever goes wrong
            ending.callback(self._release)
            ending.callback(self._helper.shutdown)
            ending.callback(self._checksums.close)
            ending.callback(self._events.close)
            ending.callback(self._streams.close)
            self._finish_last()
        self._syncer.check()

    def _release(self) -> None:
        try:
            self._lock.release()
        except OSError as exc:
            raise ChunkError(f"the lock of {self._root} cannot be removed ({exc.strerror})") from exc

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        """Raise what a helper could not, and see `_check_mine`."""
        self._check_mine()
        self._syncer.check()
        if self._finishing is not None and self._finishing.done():
            self._wait_for_finishing()

    def _check_mine(self) -> None:
        """Raise ClosedError if nothing can be appended, or not by this process."""
        if self._closed:
            raise ClosedError(f"the store {self._root} is closed; nothing more can be appended")
        if self._process != os.getpid():
            raise ClosedError(
                f"the store {self._root} is written by process {self._process}; a process forked from it "
                "cannot append, but can make a store of its own"
            )

    def _current(self, time: float | None = None) -> OpenChunk:
        """Return the chunk to append to, a new one if there is none or it is full for a frame of `time`."""
        chunk = self._chunk
        if chunk is not None and (chunk.broken or (time is not None and self._is_full(chunk, time))):
            self._wait_for_finishing()  # of one before, if it takes longer than to fill a chunk
            self._streams.roll(self._chunks, self._count)
            self._finishing = self._helper.submit(self._finish, chunk)
            chunk = self._chunk = None
        if chunk is None:
            chunk = self._opened()
            if self._is_settled:
                self._streams.roll(self._chunks, self._count)
                self._is_settled = False
            self._chunk = chunk
            self._chunks += 1
        return chunk

    def _is_full(self, chunk: OpenChunk, time: float, share: float = 1.0) -> bool:
        """Return whether a chunk holds all that belongs into it, or a share of that, before `time`."""
        if self._chunk_s is None:
            return len(chunk) >= share * self._chunksize
        return time - chunk.began >= share * self._chunk_s - _TIME_SLACK_S

    def _opened(self) -> OpenChunk:
        """Return the next chunk, opened beforehand or now, when what went wrong before may be over."""
        upcoming, self._next = self._next, None
        if upcoming is not None:
            with suppress(ChunkError):
                return upcoming.result()
        return self._open(self._chunks)

    def _open(self, number: int) -> OpenChunk:
        return OpenChunk(self._root, number, self._format, self._spec, self._settings, self._store)

    def _finish(self, chunk: OpenChunk) -> None:
        try:
            chunk.finish()
        except ChunkError:
            self._unkept.append(chunk.unkept())
            raise
        if chunk.broken:
            self._unkept.append(chunk.unkept())
        self._checksums.record(chunk.number)

    def _finish_last(self) -> None:
        """Finish the chunk in hand, and drop the next if it was opened already."""
        chunk, self._chunk = self._chunk, None
        upcoming, self._next = self._next, None
        try:
            self._wait_for_finishing()
        finally:
            try:
                if chunk is not None:
                    self._finish(chunk)
            finally:
                if upcoming is not None:
                    with suppress(ChunkError):  # it was not needed
                        upcoming.result().discard()

    def _wait_for_finishing(self) -> None:
        finishing, self._finishing = self._finishing, None
        if finishing is not None:
            finishing.result()

    def _sync(self) -> None:
        chunk = self._chunk
        with ExitStack() as all_of_them:  # from the last to the first, whatever goes wrong
            all_of_them.callback(self._events.sync)
            if chunk is not None:
                all_of_them.callback(chunk.sync)
            self._streams.sync()


class _Syncer:
    """Calls a function once a second in a thread, and keeps the error it raises."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._stop = threading.Event()
        self._error: ChunkError | None = None
        self._thread = threading.Thread(target=self._run, name="store-sync", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what the thread could not."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_SYNC_INTERVAL_S):
            try:
                self._sync()
            except ChunkError as exc:
                self._error = exc


def rewrite(root: Path, metadata: StoreMetadata) -> StoreWriter:
    """Return a writer of a store that has its metadata, and no chunks any more."""
    lock = StoreLock(root)
    lock.acquire()
    chunk_format = FORMATS.get(metadata.format)
    settings = metadata.settings or chunk_format.settings(metadata.stored_spec)
    return StoreWriter(root, metadata.stored_spec, chunk_format, settings, metadata.store, lock)


def _checked_seconds(seconds: float) -> float:
    """Return a plain number. Raises SettingsError."""
    if not 0 < seconds < math.inf:
        raise SettingsError(f"a chunk lasts more than 0 seconds and not for ever, not {seconds!r}")
    return float(seconds)


def _check_new(root: Path) -> None:
    """Raise StoreExistsError if another writer was quicker, and is done already."""
    if (root / METADATA_FILENAME).exists():
        raise StoreExistsError(f"{root} was made a store just now; give a folder that does not exist yet")


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
