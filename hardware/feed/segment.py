"""The files of feeds in shared memory: how they are called, whose writer lives, and what the dead left.

A living writer holds a lock on its file, of the kind that belongs to an open file: the kernel drops it
however the writer ends. The files are opened directly: what `multiprocessing` opens it may also remove, when
a reader ends (https://github.com/python/cpython/issues/82300).
"""

import errno
import fcntl
import mmap
import os
import re
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hardware.errors import FeedError, FeedInUseError, FeedNotFoundError, FeedSpaceError
from hardware.feed.layout import HEADER_BYTES, FeedLayout, unpack_layout
from hardware.feed.ring import Ring

_FOLDER = Path("/dev/shm")  # noqa: S108  # files here are made exclusively, checked and locked
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOCK = struct.Struct("hhqqi0q")  # kind, whence, start, length, pid
_LIFE, _READY = 0, 1  # bytes that the writer locks: at once, and when what lies in the file is described
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class FeedInfo:
    """A feed that lies in shared memory.

    Attributes
    ----------
    name : of the feed.
    alive : whether its writer lives; if not, `remove_stale_feeds` removes it.
    size : bytes of memory.
    pid : of its writer; None if that cannot be read.
    """

    name: str
    alive: bool
    size: int
    pid: int | None


def find_feeds() -> list[FeedInfo]:
    """Return the feeds of this user, living and dead, by name."""
    prefix = _prefix()
    found = []
    for path in sorted(_FOLDER.glob(f"{prefix}*")):
        with suppress(FeedError):  # it is no feed of ours, or went away just now
            handle = _open(path, os.O_RDONLY)
            try:
                found.append(_describe(path.name.removeprefix(prefix), handle))
            finally:
                os.close(handle)
    return found


def remove_stale_feeds() -> list[str]:
    """Remove the feeds whose writers died; return their names. Those of living writers are left alone."""
    removed = []
    for info in find_feeds():
        path = feed_path(info.name)
        with suppress(FeedError):
            handle = _open(path, os.O_RDWR)
            try:
                if _lock(handle, _LIFE) and _is_at(handle, path):
                    path.unlink()
                    removed.append(info.name)
            finally:
                os.close(handle)
    return removed


def feed_path(name: str) -> Path:
    """Return where a feed lies. Raises FeedError if that cannot be a name."""
    if not _NAME.fullmatch(name):
        raise FeedError(
            f"a feed's name is up to 100 letters, digits, dots, dashes and underscores, not {name!r}"
        )
    return _FOLDER / (_prefix() + name)


class WrittenSegment:
    """The file of a feed, on the side of its writer.

    Parameters
    ----------
    name : of the feed; a dead writer's of that name is removed.
    layout : what is to lie in it.

    Raises
    ------
    FeedInUseError
        A living writer has this name.
    FeedSpaceError
        There is no room in shared memory.
    """

    def __init__(self, name: str, layout: FeedLayout) -> None:
        self._path = feed_path(name)
        self._lock = _take(self._path)  # holds the lock, and is closed in forked processes
        self._file = -1
        try:
            _reserve(self._lock, layout)
            # Apart from the lock: a mapping keeps a descriptor of its own, in forked processes, too.
            self._file = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            memory = mmap.mmap(self._file, layout.size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
            self.ring = Ring(memory, self._file, layout)
            os.pwrite(self._file, layout.pack(), 0)
            _lock(self._lock, _READY)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the file and let go of it; the memory goes with the last reader."""
        if _is_at(self._lock, self._path):
            self._path.unlink()
        self.let_go()

    def let_go(self) -> None:
        """Close the file, as a forked process must: it would hold the lock as long as it lives."""
        for handle in (self._lock, self._file):
            if handle >= 0:
                os.close(handle)
        self._lock = self._file = -1


class ReadSegment:
    """The file of a feed, on the side of a reader, who cannot write into it.

    Parameters
    ----------
    name : of the feed.

    Raises
    ------
    FeedNotFoundError
        Nobody writes it.
    FeedError
        It is damaged, or of another version.
    """

    def __init__(self, name: str) -> None:
        path = feed_path(name)
        self._file = _open(path, os.O_RDONLY)
        try:
            self.layout = self._read_layout(name, path)
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            memory = mmap.mmap(self._file, self.layout.size, flags=flags, prot=mmap.PROT_READ)
            self.ring = Ring(memory, self._file, self.layout)
        except BaseException:
            self.close()
            raise

    def is_alive(self) -> bool:
        """Return whether the writer lives and has not closed the feed."""
        return _is_locked(self._file, _LIFE)

    def close(self) -> None:
        """Let go of the file; the memory goes with the last view of it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read_layout(self, name: str, path: Path) -> FeedLayout:
        if not _is_locked(self._file, _READY):
            raise _nobody_writes(name)
        try:
            return unpack_layout(os.pread(self._file, HEADER_BYTES, 0), os.fstat(self._file).st_size)
        except FeedError as exc:
            raise FeedError(f"the feed {name} cannot be read, {path}: {exc}") from exc


def _prefix() -> str:
    return f"ethostore-{os.geteuid()}-"


def _take(path: Path) -> int:
    """Return a descriptor of a new, empty file at `path` that is locked."""
    while True:
        handle = _open(path, os.O_RDWR | os.O_CREAT)
        try:
            if not _lock(handle, _LIFE):
                raise FeedInUseError(_in_use(path, handle))
            if _is_at(handle, path):  # else it was removed, by who had it, just before it was locked
                if os.fstat(handle).st_size == 0:
                    taken, handle = handle, -1
                    return taken
                path.unlink()  # not made shorter: readers of the dead writer may have it mapped
        finally:
            if handle >= 0:
                os.close(handle)


def _in_use(path: Path, handle: int) -> str:
    info = _describe(path.name.removeprefix(_prefix()), handle)
    who = "another process" if info.pid is None else f"process {info.pid}"
    return f"the feed {info.name} is being written by {who}; stop it, or choose another name"


def _reserve(handle: int, layout: FeedLayout) -> None:
    """Set memory aside, so that writing never finds it full. Raises FeedSpaceError."""
    about = os.statvfs(_FOLDER)
    free = about.f_bavail * about.f_frsize
    if layout.size > free:
        raise FeedSpaceError(_too_small(layout, free))
    try:
        os.posix_fallocate(handle, 0, layout.size)
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        raise FeedSpaceError(_too_small(layout, free)) from exc


def _too_small(layout: FeedLayout, free: int) -> str:
    fitting = (free - HEADER_BYTES) // layout.slot_bytes
    fewer = f"ask for {fitting} slots, or " if fitting > 1 else ""
    enough = int(layout.size * 1.25 / _MEGABYTE) + 1
    return (
        f"a feed of {layout.slots} frames of shape {layout.spec.shape} needs {layout.size / _MEGABYTE:.1f} MB "
        f"of shared memory, and {_FOLDER} has {free / _MEGABYTE:.1f} MB left; "
        f"{fewer}raise it: `docker run --shm-size={enough}m`, or elsewhere "
        f"`sudo mount -o remount,size={enough}m {_FOLDER}`"
    )


def _open(path: Path, flags: int) -> int:
    """Return a descriptor of a file of ours; raises FeedNotFoundError, FeedError if it is none."""
    name = path.name.removeprefix(_prefix())
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        if exc.errno == errno.ENOENT and path.parent.is_dir():
            raise _nobody_writes(name) from exc
        raise FeedError(f"the feed {name} cannot be opened: {exc}") from exc
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        os.close(handle)
        raise FeedError(f"{path} is not a file of this user's; have it removed, or choose another name")
    return handle


def _nobody_writes(name: str) -> FeedNotFoundError:
    living = ", ".join(info.name for info in find_feeds() if info.alive)
    return FeedNotFoundError(
        f"nobody writes a feed called {name}; living feeds of this user: {living or 'none'}"
    )


def _describe(name: str, handle: int) -> FeedInfo:
    size = os.fstat(handle).st_size
    pid: int | None = None
    with suppress(FeedError):  # it is being made, or was not finished
        pid = unpack_layout(os.pread(handle, HEADER_BYTES, 0), size).pid
    return FeedInfo(name, _is_locked(handle, _LIFE), size, pid)


def _is_at(handle: int, path: Path) -> bool:
    """Return whether the open file still is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _lock(handle: int, byte: int) -> bool:
    """Lock a byte of a file for as long as it is open; return False if another has it."""
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, 0, byte, 1, 0))
    except OSError as exc:
        if exc.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def _is_locked(handle: int, byte: int) -> bool:
    """Return whether another open file has the lock of a byte."""
    answer = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, _LOCK.pack(fcntl.F_WRLCK, 0, byte, 1, 0))
    return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)
