"""Samples of a stream in the chunk being written: a file that survives the death of its writer.

It begins with what the stream is, and then is a row of blocks, each with its time and checksums. It is valid
up to the first block that is not. `FORMAT.md` has it byte by byte.
"""

import errno
import json
import math
import os
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError, SettingsError
from imgstore.index import StoreIndex, Times
from imgstore.layout import append_whole, chunk_name

Samples = npt.NDArray[Any]

_MAGIC = b"ethoSMP1"
_HEAD = struct.Struct("<8sII")  # magic, bytes of JSON that follow, their CRC-32
_BODY = struct.Struct(
    "<dIII"
)  # time of the first sample, samples, which block this is, CRC-32 of the samples
_CHECK = struct.Struct("<I")  # CRC-32 of the body
_BLOCK_BYTES = 1 << 20  # at most, unless a single sample is larger
_MOST_HEAD = 1 << 20
_STREAM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_RESERVED_STREAMS = ("camera", "sample_delay", "streams")
_COLUMN_NAME = re.compile(
    r"[!-+\--~](?:[ -+\--~]*[!-+\--~])?"
)  # printable ASCII, no comma, no space at the ends
RESERVED_COLUMNS = (
    *("frame_number", "frame_time", "frame_index", "sample_time", "sample_delay"),
    "_frame_number_before_reindex",
)
"""Columns that every table of samples has beside those of the stream."""

SAMPLES_NAME = re.compile(r"\.([0-9]{6,})\.([A-Za-z][A-Za-z0-9_]*)\.samples")


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What a stream is.

    Attributes
    ----------
    name : of the stream.
    columns : names of what is sampled, in order.
    rate : samples per second, nominally.
    dtype : of the samples.
    """

    name: str
    columns: tuple[str, ...]
    rate: float
    dtype: np.dtype[Any]


def checked_spec(name: str, columns: Sequence[str], rate: float, dtype: npt.DTypeLike) -> StreamSpec:
    """Return what a stream is. Raises SettingsError if there can be no such stream."""
    if not _STREAM_NAME.fullmatch(str(name)) or name in _RESERVED_STREAMS:
        raise SettingsError(
            f"a stream cannot be called {name!r}: it takes up to 64 letters, digits and _ that begin with a "
            f"letter, and none of {', '.join(_RESERVED_STREAMS)}"
        )
    found = (columns,) if isinstance(columns, str) else tuple(columns)
    for column in found:
        if not _COLUMN_NAME.fullmatch(str(column)) or column in RESERVED_COLUMNS:
            raise SettingsError(
                f"a column of {name!r} cannot be called {column!r}: ASCII without commas, and none of "
                f"{', '.join(RESERVED_COLUMNS)}"
            )
    if not found or len(set(found)) < len(found):
        raise SettingsError(f"{name!r} needs columns, each with a name of its own, got {list(found)}")
    try:
        samples_per_second, kind = float(rate), np.dtype(dtype)
    except (TypeError, ValueError) as exc:
        raise SettingsError(f"{name!r} needs a rate and a type of numbers, got {rate!r}, {dtype!r}") from exc
    if not 0 < samples_per_second < math.inf:
        raise SettingsError(f"the rate of {name!r} is in samples per second, above 0, not {rate!r}")
    if kind.kind not in "iuf" or kind.itemsize > 8:
        raise SettingsError(f"{name!r} holds whole or floating-point numbers of up to 64 bits, not {kind}")
    return StreamSpec(str(name), tuple(map(str, found)), samples_per_second, kind.newbyteorder("<"))


@dataclass(frozen=True, slots=True)
class Runs:
    """When samples were taken: in runs, in each of which they follow one another at the rate.

    Attributes
    ----------
    starts : (m,), int64, which sample is the first of each run, from 0.
    times : (m,), float64, its time.
    count : how many samples there are.
    rate : samples per second.
    """

    starts: npt.NDArray[np.int64]
    times: Times
    count: int
    rate: float

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many samples each run has, shape (m,)."""
        return np.diff(self.starts, append=self.count)

    def at(self, first: int, stop: int) -> Times:
        """Return the times of the samples from `first` to before `stop`."""
        run = slice(max(int(self.starts.searchsorted(first, "right")) - 1, 0), self.starts.searchsorted(stop))
        starts, ends = self.starts[run], (self.starts + self.lengths)[run]
        lengths = np.maximum(np.minimum(ends, stop) - np.maximum(starts, first), 0)
        since = np.arange(first, first + int(lengths.sum())) - np.repeat(starts, lengths)
        return np.repeat(self.times[run], lengths) + since / self.rate

    def frames(self, first: int, stop: int, index: StoreIndex) -> npt.NDArray[np.int64]:
        """Return the indices of the frames that samples belong to, shape (n,); -1 if there are none."""
        return index.last_at(self.at(first, stop))

    def first_at(self, time: float) -> int | None:
        """Return the first sample at or after `time`; None if there is none."""
        reach = np.flatnonzero(self.times + (self.lengths - 1) / self.rate >= time)
        if not len(reach):
            return None
        run = reach[0]
        start, length = int(self.starts[run]), int(self.lengths[run])
        guess = int(np.clip((time - self.times[run]) * self.rate, 0, length - 1))
        near = range(start + max(guess - 1, 0), start + min(guess + 3, length))
        return int(near[int((self.at(near.start, near.stop) >= time).argmax())])


def join_blocks(counts: Sequence[int], times: Sequence[float], rate: float) -> Runs:
    """Return the runs that blocks make: one goes on with a run if its time is exactly the one due."""
    starts: list[int] = []
    begins: list[float] = []
    place = 0
    for count, time in zip(counts, times, strict=True):
        if not starts or begins[-1] + (place - starts[-1]) / rate != time:
            starts.append(place)
            begins.append(time)
        place += count
    return Runs(np.array(starts, np.int64), np.array(begins, np.float64), place, rate)


def samples_path(root: Path, chunk: int, name: str) -> Path:
    """Return where the samples of a stream lie while their chunk is being written."""
    return root / f".{chunk_name(chunk)}.{name}.samples"


def find_samples(root: Path) -> dict[int, list[Path]]:
    """Return the sample files of unfinished chunks, by chunk, in order."""
    found: dict[int, list[Path]] = {}
    for entry in sorted(path.name for path in root.iterdir()):
        if match := SAMPLES_NAME.fullmatch(entry):
            found.setdefault(int(match[1]), []).append(root / entry)
    return dict(sorted(found.items()))


def row_bytes(spec: StreamSpec) -> int:
    """Return how many bytes a sample of all columns has."""
    return len(spec.columns) * spec.dtype.itemsize


def block_rows(spec: StreamSpec) -> int:
    """Return how many samples a block holds at most."""
    return max(1, _BLOCK_BYTES // row_bytes(spec))


class BlockWriter:
    """Writes samples; what was appended is the operating system's before `append` returns.

    Parameters
    ----------
    path : of a file that does not exist.
    spec : of the stream.
    order : how many streams of the store were declared before this one.
    first_sample : how many samples of the stream lie in earlier chunks.
    """

    def __init__(self, path: Path, spec: StreamSpec, order: int, first_sample: int) -> None:
        self._path = path
        self._spec = spec
        self._count = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except OSError as exc:
            raise ChunkError(f"the samples {path} cannot be made ({exc.strerror})") from exc
        about = {
            "name": spec.name,
            "columns": spec.columns,
            "rate": spec.rate,
            "dtype": spec.dtype.str,
            "order": order,
            "first_sample": first_sample,
        }
        text = json.dumps(about).encode()
        try:
            self._write(_HEAD.pack(_MAGIC, len(text), zlib.crc32(text)) + text)
        except ChunkError:
            self.close()
            path.unlink(missing_ok=True)
            raise

    def append(self, samples: Samples, time: float) -> None:
        """Write a block.

        Parameters
        ----------
        samples : shape (n, columns), C order, the stream's dtype, at most `block_rows` of them.
        time : of the first, Unix seconds.

        Raises ChunkError; the block then is not in the file, and what comes later can be.
        """
        data = samples.tobytes()
        body = _BODY.pack(time, len(samples), self._count, zlib.crc32(data))
        self._write(body + _CHECK.pack(zlib.crc32(body)) + data)
        self._count += 1

    def sync(self) -> None:
        """Make what was appended survive a power cut; other threads may append or close meanwhile."""
        try:
            same = os.dup(self._file)
            try:
                os.fdatasync(same)
            finally:
                os.close(same)
        except OSError as exc:
            if exc.errno != errno.EBADF:  # which says that it was closed meanwhile, and synced where it goes
                raise ChunkError(f"{self._path} cannot be made safe on the disk ({exc.strerror})") from exc

    def close(self) -> None:
        """Close the file, which stays. Closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, data: bytes) -> None:
        try:
            append_whole(self._file, data)  # else nothing after a half would be read
        except OSError as exc:
            raise ChunkError(f"the samples {self._path} cannot be written ({exc.strerror})") from exc


@dataclass(frozen=True)
class BlockFile:
    """A file of samples, as far as it is valid.

    Attributes
    ----------
    path : of the file.
    spec : of the stream.
    order, first_sample : see `BlockWriter`.
    offsets : where the samples of each block begin in the file.
    starts : which sample is the first of each block, and in the end how many there are.
    times : of the first sample of each block.
    problem : what is wrong with it, "" if it is only cut off, as a writer leaves it that dies.
    """

    path: Path
    spec: StreamSpec
    order: int
    first_sample: int
    offsets: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    times: Times
    problem: str

    @property
    def count(self) -> int:
        """How many samples there are."""
        return int(self.starts[-1])

    @cached_property
    def moments(self) -> Runs:
        """When the samples were taken."""
        return join_blocks(np.diff(self.starts).tolist(), self.times.tolist(), self.spec.rate)

    def read(self, first: int, stop: int) -> Samples:
        """Return samples, shape (n, columns). Raises ChunkError, FileNotFoundError if the file has gone."""
        parts = [np.empty((0, len(self.spec.columns)), self.spec.dtype)]
        try:
            with self.path.open("rb") as file:
                parts += [self._block(file, block) for block in self._blocks(first, stop)]
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as exc:
            raise ChunkError(f"the samples {self.path} cannot be read ({exc})") from exc
        before = self.starts[max(int(self.starts.searchsorted(first, "right")) - 1, 0)]
        return np.concatenate(parts)[first - before : stop - before]

    def _blocks(self, first: int, stop: int) -> range:
        start = int(self.starts.searchsorted(first, "right")) - 1
        return range(start, int(self.starts.searchsorted(stop)))

    def _block(self, file: IO[bytes], block: int) -> Samples:
        file.seek(self.offsets[block])
        rows = int(self.starts[block + 1] - self.starts[block])
        data = file.read(rows * row_bytes(self.spec))
        return np.frombuffer(data, self.spec.dtype).reshape(rows, len(self.spec.columns))


def load_blocks(path: Path) -> BlockFile | None:
    """Look through a file of samples; None if there is none, or none in which anything stands yet.

    Raises ChunkError if it is broken from its beginning.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = _read_head(file, path)
            if head is None:
                return None
            spec, order, first_sample = head
            blocks, problem = _read_blocks(file, size, spec)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ChunkError(f"the samples {path} cannot be read ({exc.strerror})") from exc
    return BlockFile(
        path,
        spec,
        order,
        first_sample,
        np.array([block.offset for block in blocks], np.int64),
        np.cumsum([0, *(block.rows for block in blocks)]),
        np.array([block.time for block in blocks], np.float64),
        f"the samples {path} are {problem}" if problem else "",
    )


def _read_head(file: IO[bytes], path: Path) -> tuple[StreamSpec, int, int] | None:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    magic, size, check = _HEAD.unpack(head)
    if magic != _MAGIC or size > _MOST_HEAD:
        raise ChunkError(f"the samples {path} are none: they begin with {head!r}")
    text = file.read(size)
    if len(text) < size:
        return None
    if zlib.crc32(text) != check:
        raise ChunkError(f"the samples {path} do not say what they are: their head is damaged")
    try:
        about = json.loads(text)
        spec = checked_spec(about["name"], about["columns"], about["rate"], about["dtype"])
        return spec, int(about["order"]), int(about["first_sample"])
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise ChunkError(f"the samples {path} do not say what they are: {exc}") from exc


class _Block(NamedTuple):
    offset: int
    rows: int
    time: float


def _read_blocks(file: IO[bytes], size: int, spec: StreamSpec) -> tuple[list[_Block], str]:
    """Return all valid blocks, and what is wrong with what follows, if it is not merely cut off."""
    blocks: list[_Block] = []
    while len(head := file.read(_BODY.size + _CHECK.size)) == _BODY.size + _CHECK.size:
        offset = file.tell()
        time, count, number, check = _BODY.unpack_from(head)
        whole = head.endswith(_CHECK.pack(zlib.crc32(head[: _BODY.size])))
        if not whole or number != len(blocks) or not 0 < count <= block_rows(spec):
            if not any(head):  # zeros are what a power cut leaves at the end of a file that was growing
                break
            return blocks, f"damaged at byte {offset - len(head)} of {size}; what follows is not read"
        data = file.read(count * row_bytes(spec))
        if len(data) < count * row_bytes(spec):
            break
        if zlib.crc32(data) != check:
            if file.tell() == size:  # the last: not all of it had come to the disk
                break
            return blocks, f"damaged after byte {offset} of {size}; what follows is not read"
        blocks.append(_Block(offset, count, time))
    return blocks, ""
