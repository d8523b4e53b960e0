"""Extra data beside the frames: records of our writer, and the records and sampled signals of Motif."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError
from imgstore.layout import chunk_name, is_chunk_name, list_store, open_plain, read_whole, replacing
from imgstore.motif import BEFORE, kind_of, read_all_signals, read_attributes

if TYPE_CHECKING:
    import pandas as pd

EXTRA_SUFFIX = ".extra.json"
MOTIF_RECORDS_SUFFIX = ".extra_data.json"
MOTIF_SIGNALS_SUFFIX = ".extra_data.h5"
_MOST_BYTES = 1 << 30  # of a file of records
_BLOCK = 512  # bytes that a disk writes as one, at least
_MOST_CELLS = 10_000_000  # of a table that has more than the usual columns
_USUAL_COLUMNS = 200
_CLOSING = {"{": "}", "[": "]"}
EXTRA_SUFFIXES = (EXTRA_SUFFIX, MOTIF_RECORDS_SUFFIX, MOTIF_SIGNALS_SUFFIX)


class ExtraWriter:
    """Appends records to a JSON array that is whole after every record, also after one that failed.

    Parameters
    ----------
    file : made with the first record.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        self._file = -1
        self._size = 0

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record. Raises TypeError if it holds what JSON cannot, ChunkError if the disk refuses."""
        data = to_json(record).encode()
        try:
            if self._file < 0:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            self._write((b", " if self._size else b"[") + data + b"]")
        except OSError as exc:
            raise ChunkError(f"{self._path} cannot be written ({exc.strerror})") from exc

    def _write(self, text: bytes) -> None:
        """Write over the last bracket. What is written in part is taken back."""
        start = max(self._size - 1, 0)
        written = 0
        try:
            while written < len(text):
                written += os.pwrite(self._file, text[written:], start + written)
        except OSError:
            os.ftruncate(self._file, self._size)
            os.pwrite(self._file, b"]" if self._size else b"", start)
            raise
        self._size = start + len(text)

    def sync(self) -> None:
        """Make what was appended survive a power cut. Raises OSError."""
        if self._file >= 0:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file, and remove it if no record could be written. Closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            if not self._size:
                self._path.unlink(missing_ok=True)


def stamp(record: Mapping[str, Any], number: int | None, time: float | None, index: int) -> dict[str, Any]:
    """Return a record with the number, time and index of the last frame.

    What the caller had under these names, and that says something else, is kept as "frame_time_given"
    and so on.
    """
    frame = {"frame_time": time, "frame_number": number, "frame_index": index}
    given = {f"{key}_given": record[key] for key in frame if key in record and record[key] != frame[key]}
    return {**record, **given, **frame}


@dataclass(frozen=True, slots=True)
class ExtraFile:
    """A file of extra data.

    Attributes
    ----------
    path : of the file.
    beside : whether it lies beside the index of its chunk, as our writer puts it; else in the root of the
        store, where Motif puts it.
    streams : whether it holds samples of streams, and is read besides the records of its chunk.
    """

    path: Path
    beside: bool
    streams: bool = False


def find_extra(root: Path, suffix: str, extensions: Sequence[str] = EXTRA_SUFFIXES) -> list[ExtraFile]:
    """Return the files of extra data of a store, in the order of their chunks.

    Parameters
    ----------
    root : folder of the store.
    suffix : ending of its chunks, "" if they are folders.
    extensions : endings of the files to look for.
    """
    chunks = set(list_store(root, suffix).chunks)
    for path in root.iterdir():
        stem, dot, ending = path.name.partition(".")
        if dot + ending in extensions and is_chunk_name(stem):
            chunks.add(int(stem))  # of a chunk whose writer died before its first frame was whole
    return [file for chunk in sorted(chunks) for file in _of_chunk(root, suffix, chunk, extensions)]


def _of_chunk(root: Path, suffix: str, chunk: int, extensions: Sequence[str]) -> Iterator[ExtraFile]:
    """Yield our streams; then Motif's file in the root, signals first, or else those beside the index."""
    name = chunk_name(chunk)
    for ending in (MOTIF_SIGNALS_SUFFIX, MOTIF_RECORDS_SUFFIX):
        file = root / (name + ending)
        if ending in extensions and file.is_file():
            kind = kind_of(file) if ending == MOTIF_SIGNALS_SUFFIX else "records"
            yield ExtraFile(file, beside=False, streams=kind == "streams")
            if kind in ("signals", "records"):
                return
    folder, stem = (root, name) if suffix else (root / name, "index")
    for ending in (EXTRA_SUFFIX, MOTIF_RECORDS_SUFFIX):
        if ending in extensions and (folder / (stem + ending)).is_file():
            yield ExtraFile(folder / (stem + ending), beside=True)


def load_extra(files: Iterable[ExtraFile], *, skip_broken: bool = False) -> "pd.DataFrame | None":
    """Return what stands in `files`, a row per record or sample; None if there is nothing.

    Parameters
    ----------
    skip_broken : leave out files that are broken, else they raise ChunkError, which names the file. A file
        of a writer that died is not broken: it ends with its last whole record.
    """
    import pandas as pd

    tables = []
    for file in files:
        try:
            tables.append(load_extra_file(file))
        except ChunkError:
            if not skip_broken:
                raise
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, axis=0, ignore_index=True) if tables else None


def load_extra_file(file: ExtraFile) -> "pd.DataFrame":
    """Return what stands in a file of extra data. Raises ChunkError if it is broken."""
    import pandas as pd

    if file.path.suffix == ".h5":
        return read_all_signals(file.path)
    records = read_records(file.path)
    try:
        table = pd.DataFrame(records)
        return table if file.beside else _in_order(table)
    except (TypeError, ValueError, OverflowError) as exc:  # no numbers where Motif has numbers
        raise ChunkError(f"{file.path} is broken ({exc})") from exc


def sample_rate(files: Iterable[ExtraFile]) -> float:
    """Return at which rate the signals in `files` were sampled, per second.

    Raises ChunkError if there are no signals, or several with rates of their own.
    """
    for file in files:
        if file.path.suffix == ".h5":
            attributes = read_attributes(file.path)
            names = attributes["_datasets"]
            if len(names) > 1:
                raise ChunkError(f"{file.path} holds several signals, {', '.join(names)}, each with a rate")
            if "samplerate" in attributes.get(names[0], {}):
                return float(attributes[names[0]]["samplerate"])
    raise ChunkError("there are no signals that say at which rate they were sampled")


def read_records(file: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON file; of one whose writer died, the whole ones. Raises ChunkError."""
    try:
        with open_plain(file) as stream:
            text = read_whole(stream, _MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ChunkError(f"{file} is broken ({getattr(exc, 'strerror', None) or exc})") from exc
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return _whole_records(text, file, exc)
    return _checked(records, file)


def _checked(records: object, file: Path) -> list[dict[str, Any]]:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ChunkError(f"{file} is broken: it holds no list of records")
    columns = set().union(*records)
    if len(columns) * len(records) > max(_MOST_CELLS, _USUAL_COLUMNS * len(records)):
        raise ChunkError(f"{file} would make a table of {len(records)} rows and {len(columns)} columns")
    return records


def mend_records(file: Path) -> None:
    """Write anew, for readers that take whole JSON only, a file of records that a writer left when it died.

    Raises ChunkError if it is broken otherwise, OSError.
    """
    if ends_early(file):
        records = read_records(file)
        with replacing(file) as stream:
            stream.write(json.dumps(records).encode())


def ends_early(file: Path) -> bool:
    """Return whether the end of a list of records is missing, or not at the end. Raises OSError."""
    with open_plain(file) as stream:
        text = read_whole(stream, _MOST_BYTES).rstrip()
    if not text.endswith(b"]"):
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError) as exc:
        try:
            _whole_records(text.decode(errors="replace"), file, exc)
        except ChunkError:
            return False
        return True
    return False


def _whole_records(text: str, file: Path, reason: Exception) -> list[dict[str, Any]]:
    """Return the records of a list whose end is missing; where it is broken otherwise, raise.

    After a power cut an end that was written over may still be there, and behind it what was to follow.
    """
    text = text.rstrip("\0")  # where the file had grown, and nothing was written yet
    records: list[dict[str, Any]] = []
    place = _next_value(text, 0)
    if place < len(text) and text[place] != "[":
        raise ChunkError(f"{file} is broken ({reason})") from reason
    decoder = json.JSONDecoder()
    place = _next_value(text, place + 1)
    while place < len(text):
        try:
            record, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            if _is_cut(text, place) or _is_old_end(text, place):
                break
            raise ChunkError(f"{file} is broken ({reason})") from reason
        records.append(record)
        place = _next_value(text, place)
    return _checked(records, file)


def _is_old_end(text: str, place: int) -> bool:
    """Return whether the list ends at `place`, and the rest of that block of the disk is empty."""
    rest = text[place + 1 :].lstrip("\0")
    return text[place] == "]" and (not rest or (len(text) - len(rest)) % _BLOCK == 0)


def _next_value(text: str, place: int) -> int:
    """Return where the next value begins, or the end of the text."""
    while place < len(text) and text[place] in ", \t\r\n":
        place += 1
    return place


def _is_cut(text: str, start: int) -> bool:
    """Return whether `text` holds from `start` on the beginning of a JSON object, and no whole one."""
    due, quoted, escaped = [], False, False  # due: the brackets that have to close, the next one last
    for place in range(start, len(text)):
        char = text[place]
        if quoted:
            quoted, escaped = escaped or char != '"', not escaped and char == "\\"
            continue
        quoted = char == '"'
        if char in "{[":
            due.append(_CLOSING[char])
        elif char in "}]" and (not due or due.pop() != char):
            return False
        if not due:
            return False
    return True


def _in_order(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return Motif's records in the order of the frames, without those that belong to none."""
    if "frame_number" in table:
        table = table[table[BEFORE if BEFORE in table else "frame_number"] >= 0]
    by = [column for column in ("frame_index", "sensor_time") if column in table] if len(table) else []
    return table.sort_values(by, ignore_index=True, kind="stable") if by else table.reset_index(drop=True)


def to_json(record: Mapping[str, Any]) -> str:
    """Return a record of any JSON-like values as one line of ASCII. Raises TypeError."""
    try:
        text = json.dumps(record, default=plain)
    except TypeError:  # if it is for a key, which `default` is not asked about
        text = json.dumps(_with_plain_keys(record), default=plain)
    if "\\ud" in text:  # perhaps half a character, as in a file name that is no UTF-8: no table takes it
        whole = json.dumps(json.loads(text), ensure_ascii=False).encode(errors="replace")
        text = json.dumps(json.loads(whole))
    return text


def _with_plain_keys(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            key.item() if isinstance(key, np.generic) else key: _with_plain_keys(item)
            for key, item in value.items()
        }
    return [_with_plain_keys(item) for item in value] if isinstance(value, list | tuple) else value


def plain(value: object) -> object:
    """Return what JSON can hold for what it cannot. Raises TypeError."""
    if isinstance(value, np.generic | np.ndarray):
        return _plain_numbers(np.asanyarray(value)).tolist()
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda item: (str(type(item)), item))
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="replace")
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"extra data cannot hold {value!r}, a {type(value).__name__}")


def _plain_numbers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what Python has a type for: times as ISO 8601, durations as seconds, and 64 bits at most."""
    kind = values.dtype.kind
    if kind == "M":
        texts = np.asarray(np.datetime_as_string(values), object)
        texts[np.isnat(values)] = None
        return texts
    if kind == "m":
        seconds: npt.NDArray[np.float64] = values / np.timedelta64(1, "s")
        return seconds
    return values.astype("f8" if kind == "f" else "c16") if kind in "fc" else values
