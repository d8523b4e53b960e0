"""What is known of the frames in the chunk being written: a file that survives the death of its writer.

A journal is a row of records of 24 bytes, one per frame: number (int64), time (float64), a count from 0
(uint32) and the CRC-32 of those 20 bytes (uint32), little-endian. It is valid up to the first record that
is not.
"""

import os
import struct
import zlib
from pathlib import Path

import numpy as np

from imgstore.errors import ChunkError
from imgstore.index import ChunkIndex

_BODY = struct.Struct("<qdI")
_CHECK = struct.Struct("<I")
_RECORD = np.dtype([("number", "<i8"), ("time", "<f8"), ("count", "<u4"), ("check", "<u4")])


class Journal:
    """Writes a journal; what was appended is the operating system's before `append` returns.

    Parameters
    ----------
    path : of a file that does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except OSError as exc:
            raise ChunkError(f"the journal {path} cannot be made ({exc.strerror})") from exc

    @property
    def closed(self) -> bool:
        """Whether nothing more can be appended."""
        return self._file < 0

    def append(self, number: int, time: float) -> None:
        """Write down a frame. Raises ChunkError."""
        body = _BODY.pack(number, time, self._count)
        try:
            written = os.write(self._file, body + _CHECK.pack(zlib.crc32(body)))
        except OSError as exc:
            raise ChunkError(f"the journal {self._path} cannot be written ({exc.strerror})") from exc
        if written != _RECORD.itemsize:
            raise ChunkError(f"the journal {self._path} cannot be written (the disk is full)")
        self._count += 1

    def sync(self) -> None:
        """Make what was appended survive a power cut. Does nothing once the journal is closed."""
        if self._file >= 0:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file, which stays. Closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def load_journal(path: Path, start: int = 0) -> ChunkIndex:
    """Return the valid records of a journal from record `start` on. Raises ChunkError."""
    try:
        with path.open("rb") as file:
            file.seek(start * _RECORD.itemsize)
            data = file.read()
    except OSError as exc:
        raise ChunkError(f"the journal {path} cannot be read ({exc.strerror})") from exc
    records = np.frombuffer(data, _RECORD, len(data) // _RECORD.itemsize)
    valid = _valid_records(data, records, start)
    return ChunkIndex(records["number"][:valid].astype(np.int64), records["time"][:valid].astype(np.float64))


def _valid_records(data: bytes, records: np.ndarray, start: int) -> int:
    size = _RECORD.itemsize
    for place, (count, check) in enumerate(
        zip(records["count"].tolist(), records["check"].tolist(), strict=True)
    ):
        body = data[place * size : place * size + _BODY.size]
        if count != start + place or check != zlib.crc32(body):
            return place
    return len(records)
