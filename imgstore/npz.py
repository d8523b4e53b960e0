"""The two arrays of a chunk's index out of an `.npz`, many times faster than NumPy reads it.

Opening a store reads thousands of these files. What is not laid out as NumPy writes it is read with more
care: whatever an archive or an array promises, no more is unpacked than an index may hold, and no pickle.
"""

import re
import struct
import threading
import zipfile
import zlib
from io import BytesIO
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

_LOCAL = struct.Struct("<4s5H3I2H")  # header of a member of a ZIP archive (APPNOTE.TXT 4.3.7)
_ZIP64 = struct.Struct("<HHQQ")
_END = struct.Struct("<12sIIH")  # end of the central directory (4.3.16): ..., its size, place, comment
_LONGEST_LIST = 1 << 20
_MOST_MEMBERS = 100  # that are passed over to find the two
_STORED = 0
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(<[if]8)', 'fortran_order': False, 'shape': \((\d+),\), \} *\n",
    re.DOTALL,
)
_WANTED = (b"frame_number.npy", b"frame_time.npy")

_MOST_UNPACKED = 1 << 28  # bytes of an array
_PARSING = threading.Lock()  # NumPy parses headers with `ast`, which Python 3.11 cannot do in two threads


def read_npz(data: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return `frame_number` and `frame_time` of an archive. Raises ValueError, KeyError if it is broken."""
    quick = read_stored_npz(data)
    if quick is not None:
        return quick
    _check_list(data)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            numbers, times = (_unpacked(archive, name.decode()) for name in _WANTED)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as exc:
        raise ValueError(str(exc) or "it ends early") from exc
    return numbers, times


def _check_list(data: bytes) -> None:
    """Raise ValueError if the archive's list of members would fill the memory: `zipfile` reads all of it."""
    end = data.rfind(b"PK\x05\x06")
    if end < 0 or end + _END.size > len(data):
        raise ValueError("it is no ZIP archive, or ends early")
    _, size, _, _ = _END.unpack_from(data, end)
    if size > _LONGEST_LIST or data[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise ValueError(f"its list of members takes {size} bytes")


def _unpacked(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    info = archive.getinfo(name)
    if info.file_size > _MOST_UNPACKED:
        raise ValueError(f"{name} would take {info.file_size} bytes")
    body = BytesIO(archive.read(info))
    version = np.lib.format.read_magic(body)
    try:
        with _PARSING:
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(body)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(body)
    except (SyntaxError, TokenError, RecursionError) as exc:
        raise ValueError(f"the header of {name} cannot be parsed") from exc
    rest = body.read()
    if dtype.hasobject or len(shape) != 1 or shape[0] * dtype.itemsize != len(rest):
        raise ValueError(f"{name} promises {dtype} of shape {shape} and holds {len(rest)} bytes")
    return np.frombuffer(rest, dtype)


def read_stored_npz(data: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Return `frame_number` and `frame_time`, both of shape (n,); None if NumPy must look.

    Checksums are checked, so what is returned is what was written.
    """
    found: dict[bytes, npt.NDArray[Any]] = {}
    place = 0
    for _ in range(_MOST_MEMBERS):
        member = _member(data, place)
        if member is None:
            return None
        name, start, end, check = member
        if name in _WANTED:
            array = _array(data, start, end, check)
            if array is None:
                return None
            found[name] = array
        place = end
        if len(found) == len(_WANTED):
            return found[_WANTED[0]], found[_WANTED[1]]
    return None


def _member(data: bytes, place: int) -> tuple[bytes, int, int, int] | None:
    """Return name, start, end and checksum of the member whose header is at `place`."""
    if place + _LOCAL.size > len(data):
        return None
    magic, _, flags, method, _, _, check, size, _, name_size, extra_size = _LOCAL.unpack_from(data, place)
    if magic != b"PK\x03\x04" or method != _STORED or flags & 0x9:  # encrypted, or sizes come behind
        return None
    start = place + _LOCAL.size + name_size + extra_size
    name = data[place + _LOCAL.size : place + _LOCAL.size + name_size]
    if size == 0xFFFFFFFF:
        if extra_size < _ZIP64.size or start > len(data):
            return None
        kind, _, size, _ = _ZIP64.unpack_from(data, start - extra_size)
        if kind != 1:
            return None
    return (name, start, start + size, check) if start + size <= len(data) else None


def _array(data: bytes, start: int, end: int, check: int) -> npt.NDArray[Any] | None:
    head = _NPY.match(data, start, min(end, start + 256))
    if head is None or zlib.crc32(memoryview(data)[start:end]) != check:
        return None
    count = int(head[2])
    if head.end() + 8 * count != end:
        return None
    return np.frombuffer(data, np.dtype(head[1].decode()), count, head.end())
