"""Loopbio's index of a whole store, and the SQLite file in which it is kept: `.index.sqlite`."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError, FrameIndexError, FrameNotFoundError, UnknownNameError
from imgstore.index import ChunkIndex, StoreIndex, join_indexes, load_chunk_index
from imgstore.layout import check_plain, chunk_name, replacing

FILENAME = ".index.sqlite"

_SCHEMA = """
CREATE TABLE frames (chunk INTEGER, frame_idx INTEGER, frame_number INTEGER, frame_time REAL);
CREATE TABLE chunks (chunk INTEGER, chunk_path TEXT);
CREATE TABLE index_information (name TEXT, value TEXT);
CREATE TABLE summary (name TEXT, value REAL);
"""
_LOOKUP = "CREATE INDEX chunk_index ON frames (chunk, frame_idx)"
_BLOCK = 10_000  # rows that are compared at a time
_SUMMARIES = ("frame_time_min", "frame_time_max", "frame_min", "frame_max")

FrameMetadata = dict[str, list[int] | list[float]]


class ImgStoreIndex:
    """Which frame lies where, as loopbio's code asks for it.

    Parameters
    ----------
    index : of the store.
    """

    VERSION = "1"

    def __init__(self, index: StoreIndex) -> None:
        self.store_index = index
        self.frame_count = len(index)
        self.frame_min, self.frame_max = _extremes(index.numbers, empty=np.nan)
        self.frame_time_min, self.frame_time_max = _extremes(index.times, empty=0.0)

    @classmethod
    def new_from_file(cls, path: str | os.PathLike[str]) -> "ImgStoreIndex":
        """Read an index file. Raises ChunkError if it is none, or of another version."""
        return cls(_read(Path(path)))

    @classmethod
    def new_from_chunks(cls, chunk_n_and_chunk_paths: Iterable[tuple[int, str]]) -> "ImgStoreIndex":
        """Read the indexes of chunks, each given with its path without ending."""
        found = [(chunk, load_chunk_index(Path(path))) for chunk, path in sorted(chunk_n_and_chunk_paths)]
        filled = [(chunk, index) for chunk, index in found if index is not None and len(index.numbers)]
        return cls(join_indexes([chunk for chunk, _ in filled], [index for _, index in filled]))

    @property
    def chunks(self) -> tuple[int, ...]:
        """Numbers of the chunks that hold frames."""
        return self.store_index.chunks

    @property
    def _chunks(self) -> tuple[int, ...]:
        return self.chunks

    def _summary(self, what: str) -> float:
        if what not in _SUMMARIES:
            raise UnknownNameError("summary", what, _SUMMARIES)
        return float(getattr(self, what))

    def to_file(self, path: str | os.PathLike[str], chunk_path: Callable[[int], str] | None = None) -> None:
        """Write an index file; it appears complete or not at all, and replaces one that is there.

        Parameters
        ----------
        chunk_path : gives a chunk's path without ending, of which the file keeps a note.
        """
        file = Path(path)
        with TemporaryDirectory() as folder, replacing(file) as stream:
            made = Path(folder) / FILENAME
            with closing(sqlite3.connect(made)) as database, database:
                self._fill(database, chunk_path or (lambda chunk: str(file.parent / chunk_name(chunk))))
            stream.write(made.read_bytes())

    def get_all_metadata(self) -> FrameMetadata:
        """Return `frame_number` and `frame_time` of all frames, in order."""
        return self._metadata(slice(None))

    def get_chunk_metadata(self, chunk_n: int) -> FrameMetadata:
        """Return `frame_number` and `frame_time` of the frames of a chunk, none if there is no such chunk."""
        if chunk_n not in self.chunks:
            return self._metadata(slice(0))
        place = self.store_index.chunk_range(chunk_n)
        return self._metadata(slice(place.start, place.stop))

    def find_chunk(self, what: str, value: float) -> tuple[int, int]:
        """Return the chunk of a frame and its place in it, (-1, -1) if there is none.

        Parameters
        ----------
        what : what `value` is: "index", "frame_number" or "frame_time".
        """
        try:
            return self.store_index.locate(self._find(what, value))
        except (FrameNotFoundError, FrameIndexError):
            return -1, -1

    def find_chunk_nearest(self, what: str, value: float) -> tuple[int, int]:
        """Return chunk and place in it of the frame whose "frame_number" or "frame_time" is nearest."""
        index = self.store_index
        nearest = {"frame_number": index.nearest_number, "frame_time": index.nearest_time}
        return index.locate(_named(nearest, what)(value))

    def find_all(self, what: str, value: float) -> tuple[int, int, int, float]:
        """Return chunk, place in it, number and time of a frame; see `find_chunk`.

        Raises FrameNotFoundError.
        """
        found = self._find(what, value)
        index = self.store_index
        return (*index.locate(found), int(index.numbers[found]), float(index.times[found]))

    def get_start_of_chunks(self) -> list[tuple[int, int]]:
        """Return each chunk with the number of its first frame."""
        index = self.store_index
        return [(chunk, int(index.numbers[index.chunk_range(chunk).start])) for chunk in self.chunks]

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _find(self, what: str, value: float) -> int:
        index = self.store_index
        ways = {"index": _not_negative, "frame_number": index.of_number, "frame_time": self._of_time}
        return index.at(_named(ways, what)(value))

    def _of_time(self, time: float) -> int:
        nearest = self.store_index.nearest_time(time)
        if self.store_index.times[nearest] != time:
            raise FrameNotFoundError(f"there is no frame with time {time}")
        return nearest

    def _metadata(self, part: slice) -> FrameMetadata:
        index = self.store_index
        return {"frame_number": index.numbers[part].tolist(), "frame_time": index.times[part].tolist()}

    def _fill(self, database: sqlite3.Connection, chunk_path: Callable[[int], str]) -> None:
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO index_information VALUES ('version', ?)", (self.VERSION,))
        for name in _SUMMARIES:  # SQLite keeps no NaN: it becomes NULL, as for an empty store
            database.execute("INSERT INTO summary VALUES (?, ?)", (name, self._summary(name)))
        for chunk in self.chunks:
            database.execute("INSERT INTO chunks VALUES (?, ?)", (chunk, chunk_path(chunk)))
            database.executemany("INSERT INTO frames VALUES (?, ?, ?, ?)", self._rows(chunk))
        database.execute(_LOOKUP)

    def _rows(self, chunk: int) -> Iterator[tuple[int, int, int, float]]:
        content = self.get_chunk_metadata(chunk)
        pairs = zip(content["frame_number"], content["frame_time"], strict=True)
        return ((chunk, place, int(number), time) for place, (number, time) in enumerate(pairs))


def check_fresh(index: StoreIndex, found: Sequence[int], stem: Callable[[int], Path]) -> None:
    """Raise ChunkError if an index cannot be that of the store as it is now.

    It has to know all chunks that hold frames and no others, and what stands in the first and the last.

    Parameters
    ----------
    found : the chunks that there are.
    stem : gives the path of a chunk's own index, without ending.
    """
    remedy = "it is not of this store, or of an older state: write it again with save_index()"
    if missing := sorted(set(index.chunks) - set(found)):
        raise ChunkError(f"the index knows the chunks {missing}, which are not there; {remedy}")
    for chunk in sorted({*index.chunks[:1], *index.chunks[-1:], *(set(found) - set(index.chunks))}):
        now = load_chunk_index(stem(chunk))
        place = index.chunk_range(chunk) if chunk in index.chunks else range(0)
        known = index.numbers[place.start : place.stop]
        if not np.array_equal(known, now.numbers if now is not None else []):
            raise ChunkError(f"the index has other frames for chunk {chunk} than there are; {remedy}")


def check_same(file: Path, index: StoreIndex) -> None:
    """Raise ChunkError unless an index file says of all frames what `index` says."""
    try:
        check_plain(file)
        with closing(_connect(file)) as database:
            _read_version(database)
            rows = database.execute("SELECT frame_number, frame_time FROM frames ORDER BY rowid")
            place = 0
            while block := rows.fetchmany(_BLOCK):
                numbers, times = zip(*block, strict=True)
                part = slice(place, place + len(block))
                same = np.array_equal(numbers, index.numbers[part])
                if not (
                    same and np.array_equal(np.array(times, np.float64), index.times[part], equal_nan=True)
                ):
                    raise ChunkError("it says other frames than the indexes of the chunks")
                place += len(block)
    except (sqlite3.Error, OSError, TypeError, ValueError, OverflowError) as exc:
        if isinstance(exc, ChunkError):
            raise
        raise ChunkError(f"it is no index of a store ({exc})") from exc
    if place != len(index):
        raise ChunkError(f"it knows {place} frames, the indexes of the chunks {len(index)}")


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _read(file: Path) -> StoreIndex:
    if not file.is_file():
        raise FileNotFoundError(f"there is no index file {file}")
    try:
        with closing(_connect(file)) as database:
            version = _read_version(database)
            rows = database.execute("SELECT chunk, frame_number, frame_time FROM frames ORDER BY rowid")
            columns = list(zip(*rows, strict=True)) or [(), (), ()]
            chunks, numbers = (np.array(column, np.int64) for column in columns[:2])
            times = np.array(columns[2], np.float64)  # NULL is NaN
    except (sqlite3.Error, TypeError, ValueError, OverflowError) as exc:
        raise ChunkError(f"{file} is no index of a store ({exc})") from exc
    if version != (ImgStoreIndex.VERSION,):
        raise ChunkError(f"{file} has version {version}, known is {ImgStoreIndex.VERSION!r}")
    names, starts = np.unique(chunks, return_index=True)
    if np.any(np.diff(chunks) < 0):
        raise ChunkError(f"{file} is broken: its chunks are not in order")
    parts = zip(np.split(numbers, starts[1:]), np.split(times, starts[1:]), strict=True)
    return join_indexes(names.tolist(), [ChunkIndex(*part) for part in parts] if len(names) else [])


def _read_version(database: sqlite3.Connection) -> tuple[object, ...] | None:
    """Return the version that a file says. Raises ValueError if its tables are none: a view may never end."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
    if not {"frames", "index_information"} <= {name for (name,) in database.execute(tables)}:
        raise ValueError("it has no table of frames")
    found: tuple[object, ...] | None = database.execute(
        "SELECT value FROM index_information WHERE name = 'version'"
    ).fetchone()
    return found


def _extremes(values: npt.NDArray[np.int64 | np.float64], *, empty: float) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else (empty, empty)


def _named(ways: dict[str, Callable[[float], int]], what: str) -> Callable[[float], int]:
    try:
        return ways[what]
    except KeyError:
        raise UnknownNameError("kind of value", what, ways) from None


def _not_negative(index: float) -> int:
    if index < 0:
        raise FrameIndexError(f"frame_index counts from 0, not {index}")
    return int(index)
