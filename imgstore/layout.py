"""What the files of a store are called, how they appear, and who may write."""

import errno
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from imgstore.errors import StoreInUseError

METADATA_FILENAME = "metadata.yaml"
LOCK_FILENAME = ".lock"

_CHUNK_NAME = re.compile(r"[0-9]{6,}")


def chunk_name(chunk: int) -> str:
    """Return the stem of every file of a chunk: six digits, more where they are needed."""
    return f"{chunk:06d}"


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
        if dot + ending == suffix and _CHUNK_NAME.fullmatch(stem):
            is_chunk = entry.is_file() if suffix else entry.is_dir()
            if is_chunk:
                found.append(int(stem))
    return sorted(found)


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
        """Take the lock. Raises StoreInUseError if another writer has it."""
        file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise StoreInUseError(f"{self._path.parent} is being written by {holder}") from exc
        file.truncate(0)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "started_utc": started}, file)
        file.flush()
        self._file = file

    def release(self) -> None:
        """Remove the lock file and let go. Does nothing if the lock is not held."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


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
