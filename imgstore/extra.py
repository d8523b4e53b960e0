"""Extra data: irregular records beside the frames, one JSON file per chunk."""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from imgstore.errors import ChunkError

EXTRA_SUFFIX = ".extra.json"


class ExtraWriter:
    """Appends records to a JSON array that is whole after every record.

    Parameters
    ----------
    file : made with the first record.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        self._file: IO[bytes] | None = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record. Raises TypeError if it holds what JSON cannot, ChunkError if the disk refuses."""
        data = json.dumps(record, default=_plain).encode()
        try:
            if self._file is None:
                self._file = self._path.open("xb")
                self._file.write(b"[" + data + b"]")
            else:
                self._file.seek(-1, os.SEEK_END)
                self._file.write(b", " + data + b"]")
            self._file.flush()
        except OSError as exc:
            raise ChunkError(f"{self._path} cannot be written ({exc.strerror})") from exc

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None


def load_extra(files: Iterable[Path]) -> pd.DataFrame | None:
    """Return the records of `files`, those that exist, one row each; None if there are none.

    Raises ChunkError, naming the file, if one is broken.
    """
    records: list[dict[str, Any]] = []
    for file in files:
        if not file.is_file():
            continue
        try:
            content = json.loads(file.read_bytes())
        except ValueError as exc:
            raise ChunkError(f"{file} is broken ({exc})") from exc
        if not isinstance(content, list):
            raise ChunkError(f"{file} is broken: it holds no list of records")
        records.extend(content)
    return pd.DataFrame(records) if records else None


def _plain(value: object) -> object:
    """Return what JSON can hold for what it cannot."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"extra data cannot hold {value!r}, a {type(value).__name__}")
