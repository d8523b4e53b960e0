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
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from hardware.errors import FeedError, FeedInUseError, FeedNotFoundError, FeedSpaceError
from hardware.feed.layout import HEADER_BYTES, FeedLayout, unpack_layout
from hardware.feed.ring import Ring
from imgstore import FrameSpec

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
    spec, slots : of its frames, and how many there is room for; None if that cannot be read.
    """

    name: str
    alive: bool
    size: int
    pid: int | None
    spec: FrameSpec | None = None
    slots: int | None = None


def find_feeds() -> list[FeedInfo]:
    """Return the feeds of this user, living and dead, by name."""
    prefix = _prefix()
    found = []
    for path in sorted(_FOLDER.glob(f"{prefix}*")):
        with suppress(FeedError), _open(path, os.O_RDONLY) as file:  # no error of ours if it just went away
            found.append(_describe(path.name.removeprefix(prefix), file))
    return found


def remove_stale_feeds() -> list[str]:
    """Remove the feeds whose writers died; return their names. Those of living writers are left alone."""
    removed = []
    for info in find_feeds():
        path = feed_path(info.name)
        with suppress(FeedError), _open(path, os.O_RDWR) as file:
            if _lock(file, _LIFE) and _is_at(file, path):
                path.unlink()
                removed.append(info.name)
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
        self._lock = _take(self._path)  # closed in forked processes, which would hold the lock, too
        self._file: FileIO | None = None
        try:
            _reserve(self._lock, layout)
            # Apart from the lock: a mapping keeps a descriptor of its own, in forked processes, too.
            self._file = _open(self._path, os.O_RDWR)
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self.ring = Ring(mmap.mmap(self._file.fileno(), layout.size, flags=flags), self._file, layout)
            self._file.write(layout.pack())
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
        self._lock.close()
        if self._file is not None:
            self._file.close()


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
            memory = mmap.mmap(self._file.fileno(), self.layout.size, flags=flags, prot=mmap.PROT_READ)
            self.ring = Ring(memory, self._file, self.layout)
        except BaseException:
            self.close()
            raise

    def is_alive(self) -> bool:
        """Return whether the writer lives and has not closed the feed."""
        return _is_locked(self._file, _LIFE)

    def close(self) -> None:
        """Let go of the file; the memory goes with the last view of it."""
        self._file.close()

    def _read_layout(self, name: str, path: Path) -> FeedLayout:
        if not _is_locked(self._file, _READY):
            raise _nobody_writes(name)
        try:
            return _layout_in(self._file)
        except FeedError as exc:
            raise FeedError(f"the feed {name} cannot be read, {path}: {exc}") from exc


def _prefix() -> str:
    return f"ethostore-{os.geteuid()}-"


def _take(path: Path) -> FileIO:
    """Return a new, empty file at `path` that is locked."""
    while True:
        with ExitStack() as stack:
            file = stack.enter_context(_open(path, os.O_RDWR | os.O_CREAT))
            if not _lock(file, _LIFE):
                raise FeedInUseError(_in_use(path, file))
            if _is_at(file, path):  # else it was removed, by who had it, just before it was locked
                if _size(file) == 0:
                    stack.pop_all()
                    return file
                path.unlink()  # not made shorter: readers of the dead writer may have it mapped


def _in_use(path: Path, file: FileIO) -> str:
    info = _describe(path.name.removeprefix(_prefix()), file)
    who = "another process" if info.pid is None else f"process {info.pid}"
    return f"the feed {info.name} is being written by {who}; stop it, or choose another name"


def _reserve(file: FileIO, layout: FeedLayout) -> None:
    """Set memory aside, so that writing never finds it full. Raises FeedSpaceError."""
    about = os.statvfs(_FOLDER)
    free = about.f_bavail * about.f_frsize
    if layout.size > free:
        raise FeedSpaceError(_too_small(layout, free))
    try:
        os.posix_fallocate(file.fileno(), 0, layout.size)
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        raise FeedSpaceError(_too_small(layout, free)) from exc


def _too_small(layout: FeedLayout, free: int) -> str:
    fitting = (free - HEADER_BYTES) // layout.slot_bytes
    needed, left = layout.size / _MEGABYTE, free / _MEGABYTE
    fewer = f"ask for {fitting} slots, or " if fitting > 1 else ""
    enough = int(layout.size * 1.25 / _MEGABYTE) + 1
    return (
        f"a feed of {layout.slots} frames of shape {layout.spec.shape} needs {needed:.1f} MB of shared "
        f"memory, and {_FOLDER} has {left:.1f} MB left; "
        f"{fewer}raise it: `docker run --shm-size={enough}m`, or elsewhere "
        f"`sudo mount -o remount,size={enough}m {_FOLDER}`"
    )


def _open(path: Path, flags: int) -> FileIO:
    """Return a file of ours; raises FeedNotFoundError, FeedError if it is none."""
    name = path.name.removeprefix(_prefix())
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        if exc.errno == errno.ENOENT and path.parent.is_dir():
            raise _nobody_writes(name) from exc
        raise FeedError(f"the feed {name} cannot be opened: {exc}") from exc
    file = FileIO(handle, "rb" if flags == os.O_RDONLY else "r+b")
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        file.close()
        raise FeedError(f"{path} is not a file of this user's; have it removed, or choose another name")
    return file


def _nobody_writes(name: str) -> FeedNotFoundError:
    living = ", ".join(info.name for info in find_feeds() if info.alive)
    return FeedNotFoundError(
        f"nobody writes a feed called {name}; living feeds of this user: {living or 'none'}"
    )


def _describe(name: str, file: FileIO) -> FeedInfo:
    alive, size = _is_locked(file, _LIFE), _size(file)
    try:
        layout = _layout_in(file)
    except FeedError:  # it is being made, or was not finished
        return FeedInfo(name, alive, size, None)
    return FeedInfo(name, alive, size, layout.pid, layout.spec, layout.slots)


def _layout_in(file: FileIO) -> FeedLayout:
    """Return what lies in a file. Raises FeedError if it is no feed."""
    return unpack_layout(os.pread(file.fileno(), HEADER_BYTES, 0), _size(file))


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _is_at(file: FileIO, path: Path) -> bool:
    """Return whether the open file still is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _lock(file: FileIO, byte: int) -> bool:
    """Lock a byte of a file for as long as it is open; return False if another has it."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, 0, byte, 1, 0))
    except OSError as exc:
        if exc.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def _is_locked(file: FileIO, byte: int) -> bool:
    """Return whether another open file has the lock of a byte."""
    answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _LOCK.pack(fcntl.F_WRLCK, 0, byte, 1, 0))
    return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)
