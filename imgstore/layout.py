"""What the files of a store are called, how they appear, and who may write."""

import errno
import fcntl
import json
import os
import re
import secrets
import socket
import stat
import weakref
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, TypeAlias

from imgstore.errors import StoreInUseError

METADATA_FILENAME = "metadata.yaml"
LOCK_FILENAME = ".lock"

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv")
"""Endings of chunk files that the readers of stores know."""

_LONGEST_HOLDER = 1000  # characters that a lock file says

_CHUNK_NAME = re.compile(r"[0-9]{6}|[1-9][0-9]{6,17}")  # of each number one name only, in 64 bits
_JOURNAL_NAME = re.compile(rf"\.({_CHUNK_NAME.pattern})\.journal")


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
        if dot + ending == suffix and _CHUNK_NAME.fullmatch(stem) and _is_chunk(entry, suffix):
            found.append(int(stem))
    return sorted(found)


def _is_chunk(entry: os.DirEntry[str], suffix: str) -> bool:
    """Return whether an entry is a file or a folder, as a chunk has to be, and not a link to one."""
    return entry.is_file(follow_symlinks=False) if suffix else entry.is_dir(follow_symlinks=False)


IndexStamp: TypeAlias = tuple[int, int]
"""What tells whether an index file is still the one that was read: its size in bytes, and the time of its
last change in nanoseconds. A plain tuple, since there are tens of thousands of them."""


class Listing(NamedTuple):
    """What lies in the folder of a store.

    Attributes
    ----------
    chunks : numbers of the chunks that have images, in a file with the store's ending, or, where they have
        an index, in one with another ending: FlyHostel's recorder writes its first chunk as `.avi`.
    stamps : numbers of the chunks that have an index, to its stamp.
    journals : numbers of the chunks that have a journal, in order.
    links : names of chunks, indexes and journals that are symbolic links, which are not followed.
    """

    chunks: set[int]
    stamps: dict[int, IndexStamp]
    journals: list[int]
    links: list[str]


def list_store(root: Path, suffix: str) -> Listing:
    """Look once through the folder of a store; tens of thousands of chunks take a fraction of a second.

    Parameters
    ----------
    suffix : see `find_chunks`.
    """
    images: list[str] = []
    indexes: dict[str, IndexStamp] = {}
    chunks, stamps, journals, links, others = set(), {}, [], [], set()
    with _folder(root) as handle, os.scandir(handle) as entries:
        for entry in entries:  # nearly all are one of the first two kinds, of which the names are read later
            name = entry.name
            if suffix and name.endswith(suffix) and entry.is_file(follow_symlinks=False):
                images.append(name.removesuffix(suffix))
            elif suffix and name.endswith(".npz") and entry.is_file(follow_symlinks=False):
                indexes[name.removesuffix(".npz")] = _stamp(entry.stat(follow_symlinks=False))
            elif match := _JOURNAL_NAME.fullmatch(name):
                journals.append(int(match[1]))
            else:
                stem, dot, ending = name.partition(".")
                ending = dot + ending
                if not is_chunk_name(stem):
                    continue
                if entry.is_symlink():
                    if ending == suffix or (suffix and ending in (".npz", ".yaml")):
                        links.append(name)
                elif ending == suffix and _is_chunk(entry, suffix):
                    chunks.add(int(stem))
                elif suffix and ending == ".yaml":
                    stamps[int(stem)] = _stamp(entry.stat(follow_symlinks=False))
                elif suffix in VIDEO_SUFFIXES and ending in VIDEO_SUFFIXES and _is_chunk(entry, suffix):
                    others.add(int(stem))
    chunks.update(_numbers(images).values())
    numbers = _numbers(indexes)
    stamps.update({numbers[stem]: stamp for stem, stamp in indexes.items() if stem in numbers})
    for chunk in chunks - stamps.keys() - set(journals) if suffix else chunks:
        if (mark := _index_stamp(root, chunk, suffix)) is not None:
            stamps[chunk] = mark  # of a chunk that was finished while the folder was listed, its journal gone
    chunks |= others & stamps.keys()
    return Listing(chunks, stamps, sorted(journals), sorted(links))


def _numbers(stems: Collection[str]) -> dict[str, int]:
    """Return the number of each chunk among `stems`; tens of thousands of six digits are read at once."""
    text = "".join(stems)
    if text.isascii() and text.isdecimal() and set(map(len, stems)) == {6}:
        return dict(zip(stems, map(int, stems), strict=True))
    return {stem: int(stem) for stem in stems if is_chunk_name(stem)}


def _stamp(found: os.stat_result) -> IndexStamp:
    return found.st_size, found.st_mtime_ns


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """Open a folder, so that what lies in it is found without going through its parents for each file."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def index_stamps(root: Path, suffix: str, chunks: Iterable[int]) -> list[IndexStamp] | None:
    """Return the stamps of the indexes of `chunks`, None unless each has one in a plain `.npz` file."""
    ending = ".npz" if suffix else "/index.npz"
    stamps = []
    with _folder(root) as handle:
        for chunk in chunks:
            try:
                found = os.stat(f"{chunk:06d}{ending}", dir_fd=handle, follow_symlinks=False)
            except OSError:
                return None
            if not stat.S_ISREG(found.st_mode):
                return None
            stamps.append((found.st_size, found.st_mtime_ns))
    return stamps


def names_changed_ns(root: Path) -> int | None:
    """Return when a name last appeared in or went from a folder, in nanoseconds since the Unix epoch.

    None where that cannot be told: of a folder that came with its times from somewhere else, or has other
    permissions since, and on a file system that counts in seconds.
    """
    found = root.stat()
    told = found.st_mtime_ns == found.st_ctime_ns and found.st_mtime_ns % 1_000_000_000
    return found.st_mtime_ns if told else None


def _index_stamp(root: Path, chunk: int, suffix: str) -> IndexStamp | None:
    stem = f"{root}/{chunk_name(chunk)}" + ("" if suffix else "/index")
    for ending in ("npz", "yaml"):
        try:
            found = os.lstat(f"{stem}.{ending}")
        except OSError:
            continue
        return _stamp(found)
    return None


def journal_path(root: Path, chunk: int) -> Path:
    """Return where the journal of a chunk lies: a dot-file, which no other reader takes for a chunk."""
    return root / f".{chunk_name(chunk)}.journal"


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears complete or not at all.

    What the block writes goes to a new dot-file beside `path`; it is synced and renamed when the block ends,
    and removed when it raises.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")  # several may write at a time
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "this folder does not exist", str(path.parent))
    try:
        with beside.open("xb") as file:
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


def append_whole(handle: int, data: bytes) -> None:
    """Write all of `data` at the end of a file that was opened to be appended to, or nothing of it.

    Raises OSError; should the disk not even take back a part, it stays there.
    """
    size = os.fstat(handle).st_size
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(handle, left) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, size)
        raise


def check_plain(path: Path) -> os.stat_result:
    """Return the status of a file of a store. Raises OSError unless it is a plain file.

    A store that comes from somewhere else may hold links, which lead to files that are none of its business,
    and pipes and devices, which never end.
    """
    return _checked_plain(path, os.lstat(path))


def open_plain(path: Path) -> BinaryIO:
    """Open a file of a store for reading. Raises OSError unless it is a plain file; see `check_plain`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            check_plain(path)
        raise
    try:
        _checked_plain(path, os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_whole(file: BinaryIO, most: int) -> bytes:
    """Return what stands in an open file. Raises OSError if that is more than `most` bytes."""
    if os.fstat(file.fileno()).st_size > most:
        raise OSError(errno.EFBIG, f"it is over {most} bytes")
    return file.read()


def _checked_plain(path: Path, found: os.stat_result) -> os.stat_result:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "it is a link, and links in a store are not followed", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return found


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
            file = self._open()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                file.seek(0)
                holder = file.read(_LONGEST_HOLDER).strip() or "another process"
                file.close()
                raise StoreInUseError(f"{self._path.parent} is being written by {holder}") from exc
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            file.close()  # it was removed, by who had it, just before it was locked

    def _open(self) -> IO[str]:
        """Open the lock file, made if need be, for it is going to be emptied: never what a link leads to."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            if self._path.exists() or self._path.is_symlink():
                check_plain(self._path)
            handle = os.open(self._path, flags, 0o666)
        except OSError as exc:
            if exc.errno not in (errno.ELOOP, errno.EINVAL, errno.EISDIR):
                raise
            raise StoreInUseError(f"{self._path} is no plain file; remove it if nobody writes there") from exc
        return os.fdopen(handle, "a+", encoding="utf-8", errors="replace")

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
        file = open_plain(root / LOCK_FILENAME)
    except FileNotFoundError:
        return "complete"
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.EINVAL):
            return "interrupted"  # no writer's
        raise
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "recording"
        fcntl.flock(file, fcntl.LOCK_UN)
    return "interrupted"
