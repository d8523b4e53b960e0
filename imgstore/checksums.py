"""Checksums of finished chunks, which tell years later whether a file is still what was written.

`.checksums` has a line per file, `XXH3 (000000.mkv) = 0123456789abcdef`, which `xxhsum -c` checks too. The
images of a folder share one, `# XXH3 (000000/*.png) = ...`: of all of them one after the other, in the order
of their names. Lines are only ever added; of several for one name the last counts. A store without this file
keeps no checksums.
"""

import fcntl
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import xxhash

from imgstore.chunk import find_chunk, index_stem
from imgstore.errors import ChunkError
from imgstore.extra import EXTRA_SUFFIXES
from imgstore.layout import chunk_name, open_plain, read_whole

CHECKSUMS_FILENAME = ".checksums"

_LINE = re.compile(
    r"(?:# )?XXH3 \(([0-9]{6,18}(?:/\*|/index)?(?:\.[A-Za-z0-9_]{1,16}){1,2})\) = ([0-9a-f]{16})"
)
_IMAGE = re.compile(r"[0-9]{6,}(\.[A-Za-z0-9]{1,8})")
_BLOCK = 1 << 20  # bytes
_MOST_BYTES = 1 << 28
_LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class Checksums:
    """What a store's file of checksums says.

    Attributes
    ----------
    of_files : name within the store to its checksum, 16 hexadecimal digits; "000000/*.png" stands for all
        images of a folder.
    broken : lines, counted from 1, that say nothing that can be understood.
    """

    of_files: Mapping[str, str]
    broken: tuple[int, ...]

    @property
    def chunks(self) -> set[int]:
        """Numbers of the chunks of which anything is recorded."""
        return {chunk_of(name) for name in self.of_files}


def chunk_of(name: str) -> int:
    """Return the number of the chunk that a name, as `files_of_chunk` gives it, belongs to."""
    return int(name.partition("/")[0].partition(".")[0])


def keep_checksums(root: Path) -> None:
    """Make a store one that keeps checksums, and forget those that it has."""
    file = root / CHECKSUMS_FILENAME
    file.unlink(missing_ok=True)
    file.touch(exist_ok=False)


def keeps_checksums(root: Path) -> bool:
    """Return whether a store keeps checksums."""
    return os.path.lexists(root / CHECKSUMS_FILENAME)


def record_chunk(root: Path, chunk: int, suffix: str) -> None:
    """Write down the checksums of all files of a chunk; any thread or process may, of another chunk each.

    Does nothing if the store keeps none, or the chunk has no index yet.

    Parameters
    ----------
    root : folder of the store.
    suffix : ending of its chunks, "" if they are folders.

    Raises ChunkError if the disk refuses.
    """
    images = find_chunk(root, chunk, suffix)
    if keeps_checksums(root) and images.exists() and has_index(root, chunk, suffix):
        record_files(root, files_of_chunk(root, chunk, suffix))


def record_files(root: Path, names: Iterable[str]) -> None:
    """Write down the checksums of files that were written, or written anew.

    Does nothing if the store keeps none.

    Parameters
    ----------
    names : within the store, as `files_of_chunk` gives them.

    Raises ChunkError if the disk refuses.
    """
    if not keeps_checksums(root):
        return
    try:
        lines = [f"{'# ' * ('*' in name)}XXH3 ({name}) = {checksum(root, name)}\n" for name in names]
        if lines:
            _append(root / CHECKSUMS_FILENAME, "".join(lines).encode())
    except OSError as exc:
        raise ChunkError(f"the checksums of {root} cannot be recorded ({exc.strerror})") from exc


def load_checksums(root: Path) -> Checksums | None:
    """Return the checksums of a store, None if it keeps none. Raises ChunkError if they cannot be read."""
    try:
        with open_plain(root / CHECKSUMS_FILENAME) as file:
            text = read_whole(file, _MOST_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ChunkError(f"{root / CHECKSUMS_FILENAME} cannot be read ({exc.strerror})") from exc
    found: dict[str, str] = {}
    broken = []
    lines = text.split("\n")
    for count, line in enumerate(lines[:-1], 1):  # what follows the last end of a line was not all written
        match = _LINE.fullmatch(line)
        if match is None:
            broken.append(count)
        else:
            found[match[1]] = match[2]
    return Checksums(found, tuple(broken))


def checksum(root: Path, name: str, stop: Event | None = None) -> str:
    """Return the checksum of a file of a store, or of images such as "000000/*.png". Raises OSError.

    Parameters
    ----------
    stop : set to end early, with the checksum of a part.
    """
    digest = xxhash.xxh3_64()
    block = memoryview(bytearray(_BLOCK))
    for path in _matching(root, name):
        with open_plain(path) as file:
            while size := file.readinto(block):  # type: ignore[attr-defined]  # files have it
                digest.update(block[:size])
                if stop is not None and stop.is_set():
                    return digest.hexdigest()
    return digest.hexdigest()


def files_of_chunk(root: Path, chunk: int, suffix: str) -> Iterator[str]:
    """Yield the names of the files of a chunk, all that there are: images, index, extra data."""
    name = chunk_name(chunk)
    stem = index_stem(root, chunk, suffix)
    if suffix:
        candidates = [find_chunk(root, chunk, suffix)]
    else:
        with os.scandir(root / name) as entries:
            endings = {match[1] for entry in entries if (match := _IMAGE.fullmatch(entry.name))}
        candidates = []
        yield from (f"{name}/*{ending}" for ending in sorted(endings))
    beside = [stem.with_name(stem.name + ending) for ending in (".npz", ".yaml", *EXTRA_SUFFIXES)]
    in_root = [root / (name + ending) for ending in EXTRA_SUFFIXES]
    for path in dict.fromkeys([*candidates, *beside, *in_root]):
        if path.is_file():
            yield path.relative_to(root).as_posix()


def has_index(root: Path, chunk: int, suffix: str) -> bool:
    """Return whether a chunk is finished."""
    stem = index_stem(root, chunk, suffix)
    return any(stem.with_name(stem.name + ending).exists() for ending in (".npz", ".yaml"))


def _matching(root: Path, name: str) -> list[Path]:
    folder, star, ending = name.partition("/*")
    if not star:
        return [root / name]
    names = sorted(entry.name for entry in os.scandir(root / folder))
    found = (_IMAGE.fullmatch(name) for name in names)
    return [root / folder / match[0] for match in found if match and match[1] == ending]


def _append(file: Path, lines: bytes) -> None:
    """Add lines behind the last whole one."""
    handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        last = os.pread(handle, _LONGEST_LINE, max(0, size - _LONGEST_LINE))
        if torn := len(last) - (last.rfind(b"\n") + 1):
            os.ftruncate(handle, size - torn)
        while lines:
            lines = lines[os.write(handle, lines) :]
        os.fsync(handle)
    finally:
        os.close(handle)


class ChecksumRecorder:
    """Records the checksums of chunks in a thread of its own, so that whoever finishes them does not wait.

    Parameters
    ----------
    root, suffix : see `record_chunk`.
    """

    def __init__(self, root: Path, suffix: str) -> None:
        self._root = root
        self._suffix = suffix
        self._pool = ThreadPoolExecutor(1, "store-checksums")
        self._running: deque[Future[None]] = deque()

    def record(self, chunk: int) -> None:
        """Have a finished chunk recorded. Returns at once."""
        while self._running and self._running[0].done() and self._running[0].exception() is None:
            self._running.popleft()
        self._running.append(self._pool.submit(record_chunk, self._root, chunk, self._suffix))

    def close(self) -> None:
        """Wait until all is recorded. Raises the ChunkError of the first chunk that could not be."""
        self._pool.shutdown()
        running, self._running = self._running, deque()
        for done in running:
            done.result()
