"""What the files of a store are called, how they appear, and who may write."""

import errno
import fcntl
import json
import os
import re
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path
from typing import IO, NamedTuple

from imgstore.errors import StoreInUseError

METADATA_FILENAME = "metadata.yaml"
LOCK_FILENAME = ".lock"

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv")
"""Endings of chunk files that the readers of stores know."""

_CHUNK_NAME = re.compile(r"[0-9]{6,}")
_JOURNAL_NAME = re.compile(r"\.([0-9]{6,})\.journal")


def chunk_name(chunk: int) -> str:
    """Return the stem of every file of a chunk: six digits, more where they are needed."""
    return f"{chunk:06d}"


def is_chunk_name(stem: str) -> bool:
    """Return whether the files of some chunk begin with `stem`."""
    return _CHUNK_NAME.fullmatch(stem) is not None


def find_chunks(root: Path, suffix: str) -> list[int]:
    """Return the numbers of the chunks in `root`, in order.

    Parameters
    ----------
    root : the store's folder.
    suffix : ".mkv" and so on for chunks that are files, "" for chunks that are folders.
        Whatever else lies in the folder is not a chunk.
    """
    found = []
    for entry in os.scandir(root):
        stem, dot, ending = entry.name.partition(".")
        if dot + ending == suffix and is_chunk_name(stem):
            is_chunk = entry.is_file() if suffix else entry.is_dir()
            if is_chunk:
                found.append(int(stem))
    return sorted(found)


class IndexStamp(NamedTuple):
    """What tells whether an index file is still the one that was read.

    Attributes
    ----------
    size : bytes.
    changed_ns : time of the last change, nanoseconds.
    """

    size: int
    changed_ns: int


class Listing(NamedTuple):
    """What lies in the folder of a store.

    Attributes
    ----------
    chunks : numbers of the chunks that have images, in a file with the store's ending, or, where they have
        an index, in one with another ending: FlyHostel's recorder writes its first chunk as `.avi`.
    stamps : numbers of the chunks that have an index, in order, to its stamp.
    journals : numbers of the chunks that have a journal, in order.
    """

    chunks: set[int]
    stamps: dict[int, IndexStamp]
    journals: list[int]


def list_store(root: Path, suffix: str) -> Listing:
    """Look once through the folder of a store; tens of thousands of chunks take a fraction of a second.

    Parameters
    ----------
    suffix : see `find_chunks`.
    """
    chunks, stamps, journals, others = set(), {}, [], set()
    with os.scandir(root) as entries:
        for entry in entries:
            name = entry.name
            if name[0] == ".":
                if match := _JOURNAL_NAME.fullmatch(name):
                    journals.append(int(match[1]))
                continue
            stem, dot, ending = name.partition(".")
            if not (stem.isdecimal() and stem.isascii() and len(stem) >= 6):
                continue
            if dot + ending == suffix and (entry.is_file() if suffix else entry.is_dir()):
                chunks.add(int(stem))
            elif suffix in VIDEO_SUFFIXES and dot + ending in VIDEO_SUFFIXES:
                others.add(int(stem))
            elif suffix and ending in ("npz", "yaml") and (ending == "npz" or int(stem) not in stamps):
                found = entry.stat()
                stamps[int(stem)] = IndexStamp(found.st_size, found.st_mtime_ns)
    for chunk in chunks - stamps.keys() - set(journals) if suffix else chunks:
        if (mark := _index_stamp(root, chunk, suffix)) is not None:
            stamps[chunk] = mark  # of a chunk that was finished while the folder was listed, its journal gone
    chunks |= others & stamps.keys()
    return Listing(chunks, dict(sorted(stamps.items())), sorted(journals))


def _index_stamp(root: Path, chunk: int, suffix: str) -> IndexStamp | None:
    stem = f"{root}/{chunk_name(chunk)}" + ("" if suffix else "/index")
    for ending in ("npz", "yaml"):
        try:
            found = os.stat(f"{stem}.{ending}")  # noqa: PTH116  # much faster
        except OSError:
            continue
        return IndexStamp(found.st_size, found.st_mtime_ns)
    return None


def journal_path(root: Path, chunk: int) -> Path:
    """Return where the journal of a chunk lies: a dot-file, which no other reader takes for a chunk."""
    return root / f".{chunk_name(chunk)}.journal"


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears complete or not at all.

    What the block writes goes to a dot-file beside `path`; it is synced and renamed when the block ends,
    and removed when it raises.
    """
    beside = path.with_name(f".{path.name}.partial")
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "this folder does not exist", str(path.parent))
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_whole(file: FileIO, data: memoryview) -> None:
    """Write all of `data` to an unbuffered file, which may take it in parts. Raises OSError."""
    while data:
        data = data[file.write(data) :]


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class StoreLock:
    """Held by the living writer of a store; the kernel lets go of it when the writer dies.

    Parameters
    ----------
    root : the store's folder. The lock is `flock` on its `.lock`, which says who holds it and where.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / LOCK_FILENAME
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises StoreInUseError if another writer has it, OSError."""
        self._file = self._locked()
        os.register_at_fork(after_in_child=partial(_let_go, weakref.ref(self)))
        self._file.truncate(0)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "started_utc": started}, self._file)
        self._file.flush()

    def _locked(self) -> IO[str]:
        while True:
            file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                raise StoreInUseError(f"{self._path.parent} is being written by {holder}") from exc
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            file.close()  # it was removed, by who had it, just before it was locked

    def release(self) -> None:
        """Remove the lock file and let go. Does nothing if the lock is not held. Raises OSError."""
        if self._file is not None:
            try:
                self._path.unlink(missing_ok=True)
            finally:
                self.let_go()

    def let_go(self) -> None:
        """Close the lock file, as a forked process must: it would hold the lock as long as it lives."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _let_go(lock: "weakref.ref[StoreLock]") -> None:
    held = lock()
    if held is not None:
        held.let_go()


def writer_state(root: Path) -> str:
    """Say what the lock file tells: "complete", "recording", or "interrupted" if the writer died."""
    try:
        file = (root / LOCK_FILENAME).open("rb")
    except FileNotFoundError:
        return "complete"
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "recording"
        fcntl.flock(file, fcntl.LOCK_UN)
    return "interrupted"
