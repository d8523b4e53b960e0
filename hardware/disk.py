"""How full the disk of a recording is, and how long it lasts."""

import os
import shutil
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

_WINDOW = 120  # looks, one a second, over which the rate is taken
_SHORTEST_S = 5.0  # of looking, before a rate is believed


@dataclass(frozen=True, slots=True)
class DiskState:
    """What a look at the disk found.

    Attributes
    ----------
    free : bytes that may still be written.
    seconds_left : until only the reserve is left, if it goes on as in the last minutes; None if nothing is
        written, or that is not known yet.
    """

    free: int
    seconds_left: float | None


class DiskGuard:
    """Looks after the disk that a recording goes to.

    Parameters
    ----------
    path : of the recording; it, or a parent of it, is there.
    reserve : bytes that are left free: a recording ends, in order, before it takes them.
    warn_s : how long before that it is told, in seconds.
    """

    def __init__(self, path: Path, *, reserve: int, warn_s: float = 3600.0) -> None:
        self.reserve = reserve
        self.warn_s = warn_s
        self._path = path
        self._looks: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def look(self) -> DiskState:
        """Return how it is now. Raises OSError."""
        free = shutil.disk_usage(_nearest(self._path)).free
        now = time.monotonic()
        self._looks.append((now, free))
        since, before = self._looks[0]
        if now - since < _SHORTEST_S or before <= free:
            return DiskState(free, None)
        return DiskState(free, max(free - self.reserve, 0) * (now - since) / (before - free))


class FolderMeter:
    """Tells the size of a store that grows, without looking at all of it each time.

    Parameters
    ----------
    root : folder of the store. Folders in it that did not change since the last look are not opened again.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, tuple[int, int]] = {}

    def bytes(self) -> int:
        """Return the bytes in all files of the folder and of its folders; 0 if it is not there."""
        total = 0
        try:
            with os.scandir(self._root) as entries:
                for entry in entries:
                    total += self._folder(entry) if entry.is_dir(follow_symlinks=False) else _size(entry)
        except OSError:
            return total
        return total

    def _folder(self, entry: "os.DirEntry[str]") -> int:
        try:
            changed = entry.stat(follow_symlinks=False).st_mtime_ns
            known = self._folders.get(entry.name)
            if known is not None and known[0] == changed:
                return known[1]
            with os.scandir(entry.path) as files:
                size = sum(_size(file) for file in files)
        except OSError:
            return 0
        self._folders[entry.name] = (changed, size)
        return size


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _nearest(path: Path) -> Path:
    """Return the path, or the first of its parents that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
