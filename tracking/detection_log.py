"""What was detected so far, beside a result file that is being written, so that a run can be gone on with.

Linking needs what was detected from the first frame on, and detecting is what takes the time. The file goes
when its run is complete. Records that a run that died left torn are dropped.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tracking.blocks import Block

_MAGIC = b"ethostore-detections-1\n"
_RECORD = struct.Struct("<QI")  # length and checksum of what follows
_MOST_BYTES = 1 << 31


def log_path(result: Path) -> Path:
    """Return where the log of a result file lies."""
    return result.with_name(f".{result.name}.detections")


def fingerprint(*parts: bytes) -> bytes:
    """Return what tells a tracker that is prepared in one way from all others."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


class DetectionLog:
    """Keeps blocks, in order, in a file.

    Parameters
    ----------
    path : of the file; what another tracker left there is overwritten, what this one left is gone on with.
    mark : see `fingerprint`.

    Raises OSError.
    """

    def __init__(self, path: Path, mark: bytes) -> None:
        self.path = path
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        self._file: BinaryIO = os.fdopen(handle, "r+b")
        self._header = _MAGIC + mark
        self._is_known = self._file.read(len(self._header)) == self._header
        if not self._is_known:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(self._header)
            self._file.flush()

    def read(self) -> Iterator[Block]:
        """Yield the blocks that are there; what follows the last whole one is cut off."""
        at = len(self._header)
        while (data := self._read_record(at)) is not None:
            try:
                block = Block.decode(data)
            except (ValueError, KeyError, TypeError, OSError, EOFError):
                break
            yield block
            at += _RECORD.size + len(data)
        self.cut(at)

    def cut(self, at: int | None = None) -> None:
        """Keep what lies before a byte, or nothing; what is appended comes behind."""
        end = len(self._header) if at is None else at
        self._file.truncate(end)
        self._file.seek(end)

    def append(self, block: Block) -> None:
        """Keep one more block."""
        data = block.encode()
        self._file.write(_RECORD.pack(len(data), zlib.crc32(data)) + data)
        self._file.flush()

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        self._file.close()

    def remove(self) -> None:
        """Close and delete the file: the run is complete."""
        self.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> "DetectionLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_record(self, at: int) -> bytes | None:
        self._file.seek(at)
        head = self._file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            return None
        length, checksum = _RECORD.unpack(head)
        if length > _MOST_BYTES:
            return None
        data = self._file.read(length)
        return data if len(data) == length and zlib.crc32(data) == checksum else None
