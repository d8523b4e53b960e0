"""Read streams: samples of DAQ channels or audio beside the frames, as one sequence over all chunks."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError, FrameIndexError, UnknownNameError
from imgstore.extra import MOTIF_SIGNALS_SUFFIX
from imgstore.index import StoreIndex, Times
from imgstore.layout import chunk_name
from imgstore.motif import read_parts
from imgstore.samples import BlockFile, Samples, StreamSpec, find_samples, load_blocks
from imgstore.wav import SavedWav, save_wav

if TYPE_CHECKING:
    import pandas as pd

_SIGNALS_NAME = re.compile(rf"([0-9]{{6,}}){re.escape(MOTIF_SIGNALS_SUFFIX)}")
_PIECE = 1 << 18  # samples

Moment: TypeAlias = float | datetime | str
"""Seconds since the Unix epoch, a datetime, or an ISO 8601 string."""


class Part(Protocol):
    """What lies in one file of a stream; see `StreamFile`."""

    @property
    def path(self) -> Path: ...
    @property
    def spec(self) -> StreamSpec: ...
    @property
    def count(self) -> int: ...
    @property
    def first_sample(self) -> int | None: ...
    @property
    def moments(self) -> "Moments": ...
    def read(self, first: int, stop: int) -> Samples: ...


class Moments(Protocol):
    """When the samples of a part were taken; see `Runs`."""

    def at(self, first: int, stop: int) -> Times: ...
    def first_at(self, time: float) -> int | None: ...
    def frames(self, first: int, stop: int, index: StoreIndex) -> npt.NDArray[np.int64]: ...


class Found(NamedTuple):
    """What there is of all streams of a store.

    Attributes
    ----------
    parts : name to the parts of a stream, in order.
    problems : what is broken, a line each.
    """

    parts: dict[str, list[Part]]
    problems: list[str]


class StreamReader:
    """The samples of a stream in the order in which they came; made by `StoreReader.stream`.

    A slice, and `between`, give a part of it as another such reader. Nothing is read before it is asked for;
    then all samples of this part are, so take one that fits into memory.

    Parameters
    ----------
    root : folder of the store.
    parts : in order.
    index : of the store.
    seconds : makes seconds since the Unix epoch of a time.
    problems : what is missing or broken.
    first, stop : which samples of those in `parts`.
    """

    def __init__(
        self,
        root: Path,
        parts: Sequence[Part],
        index: StoreIndex,
        seconds: Callable[[Moment], float],
        problems: Sequence[str],
        first: int = 0,
        stop: int | None = None,
    ) -> None:
        self._root = root
        self._parts = parts
        self._index = index
        self._seconds = seconds
        self._problems = tuple(problems)
        self._starts = np.cumsum([0, *(part.count for part in parts)])
        self._first = first
        self._stop = int(self._starts[-1]) if stop is None else stop

    @property
    def name(self) -> str:
        """Of the stream."""
        return self._parts[0].spec.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what is sampled."""
        return self._parts[0].spec.columns

    @property
    def rate(self) -> float:
        """Samples per second, nominally; NaN if nothing says it."""
        return self._parts[0].spec.rate

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        return self._parts[0].spec.dtype

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the whole stream is missing or broken, a line each; empty if all is well."""
        return self._problems

    def __repr__(self) -> str:
        columns = ", ".join(self.columns)
        return f"<StreamReader {self.name!r}: {len(self)} samples of {columns}, {self.rate} per second>"

    def __len__(self) -> int:
        return self._stop - self._first

    @cached_property
    def samples(self) -> Samples:
        """The samples, shape (n, columns). Raises ChunkError if a file is broken."""
        empty = np.empty((0, len(self.columns)), self.dtype)
        return np.concatenate([empty, *(self._read(part, a, b) for part, a, b in self._pieces())])

    @cached_property
    def times(self) -> Times:
        """When the samples were taken, Unix seconds, shape (n,)."""
        return np.concatenate([np.empty(0), *(part.moments.at(a, b) for part, a, b in self._pieces())])

    @cached_property
    def frame_index(self) -> npt.NDArray[np.int64]:
        """The index of the frame that each sample belongs to, shape (n,): the last one at or before it.

        Before the first frame it is the first; -1 if there are none. In Motif's files it is the one that
        they name.
        """
        none = np.empty(0, np.int64)
        return np.concatenate(
            [none, *(part.moments.frames(a, b, self._index) for part, a, b in self._pieces())]
        )

    def table(self) -> "pd.DataFrame":
        """Return a row for every sample: its columns, and its frame.

        `frame_number`, `frame_time` and `frame_index` are the frame's, `sample_time` is its own time, and
        `sample_delay` how long after the frame it was taken.
        """
        import pandas as pd

        places, times = self.frame_index, self.times
        known = places >= 0
        numbers, frame_times = np.full(len(places), -1), np.full(len(places), np.nan)
        numbers[known], frame_times[known] = (
            self._index.numbers[places[known]],
            self._index.times[places[known]],
        )
        columns = dict(zip(self.columns, self.samples.T, strict=True))
        return pd.DataFrame(
            {
                **columns,
                "frame_number": numbers,
                "frame_time": frame_times,
                "frame_index": places,
                "sample_time": times,
                "sample_delay": times - frame_times,
            }
        )

    def __getitem__(self, key: slice, /) -> "StreamReader":
        """Return some samples that follow one another.

        Raises FrameIndexError for a slice with steps, TypeError for anything else.
        """
        if not isinstance(key, slice):
            raise TypeError(f"a stream is cut by slices, not by {key!r}; its `samples` are an array")
        if key.step not in (None, 1):
            raise FrameIndexError(f"samples are taken in a row, without the step {key.step}")
        first, stop, _ = key.indices(len(self))
        return self._part(self._first + first, self._first + max(first, stop))

    def between(self, start: Moment, end: Moment) -> "StreamReader":
        """Return the samples from the first at or after `start` to the last before `end`.

        Times are given as in `StoreReader.by_time`. Where they step back, samples in between may lie outside.
        """
        first, stop = (self._first_at(self._seconds(moment)) for moment in (start, end))
        first = min(max(first, self._first), self._stop)
        return self._part(first, min(max(stop, first), self._stop))

    def pieces(self, count: int = _PIECE) -> Iterator["StreamReader"]:
        """Yield the stream in pieces of at most `count` samples, so that it need not fit into memory."""
        for first in range(0, len(self), count):
            yield self[first : first + count]

    def save_wav(
        self, path: str | os.PathLike[str], *, start: Moment | None = None, tolerance: float = 0.02
    ) -> SavedWav:
        """Write the samples as sound of 16 bits that stays in step with the frames; see `imgstore.wav`.

        Parameters
        ----------
        path : of a file that does not exist.
        start : when the sound begins, the time of the first frame, say; None for that of the first sample.
        tolerance : seconds that a sample may come too early or late before silence is put in, or samples are
            left out.

        Raises
        ------
        StoreExistsError
            There is something at `path`.
        FrameFormatError, SettingsError
            The samples are of a type that is no sound; a WAV file cannot have this rate, or be so long.
        """
        begin = None if start is None else self._seconds(start)
        pieces = ((piece.samples, piece.times) for piece in self.pieces())
        return save_wav(Path(path), pieces, self._parts[0].spec, start=begin, tolerance=tolerance)

    def _part(self, first: int, stop: int) -> "StreamReader":
        return StreamReader(self._root, self._parts, self._index, self._seconds, self._problems, first, stop)

    def _first_at(self, time: float) -> int:
        for part, start in zip(self._parts, self._starts.tolist(), strict=False):
            found = part.moments.first_at(time)
            if found is not None:
                return int(start + found)
        return int(self._starts[-1])

    def _pieces(self) -> Iterator[tuple[Part, int, int]]:
        """Yield the parts that lie in the range, each with the first and the end of its samples."""
        for part, start in zip(self._parts, self._starts.tolist(), strict=False):
            first, stop = max(self._first - start, 0), min(self._stop - start, part.count)
            if first < stop:
                yield part, first, stop

    def _read(self, part: Part, first: int, stop: int) -> Samples:
        try:
            return part.read(first, stop)
        except FileNotFoundError:  # its chunk was finished meanwhile
            file = _signals_of(part.path)
            for other in read_parts(file):
                if other.spec == part.spec and other.count >= stop:
                    return other.read(first, stop)
            raise ChunkError(f"{part.path} has gone, and {file} has not what was in it") from None


def find_streams(root: Path, only: str | None = None) -> Found:
    """Find out what streams a store has, finished and unfinished. What is broken is left out and named.

    Parameters
    ----------
    only : name of a stream, if the others do not matter.
    """
    found = Found({}, [])
    unfinished = find_samples(root)  # before the others: what is gone from here is there
    chunks = {int(match[1]) for path in root.iterdir() if (match := _SIGNALS_NAME.fullmatch(path.name))}
    for chunk in sorted(chunks | unfinished.keys()):
        signals = root / (chunk_name(chunk) + MOTIF_SIGNALS_SUFFIX)
        parts: dict[str, Part] = {}
        if chunk in chunks:
            parts |= _finished(signals, found.problems)
        for path in unfinished.get(chunk, ()):
            if path.name.split(".")[2] not in parts:
                part = _unfinished(path, found.problems)
                if part is not None:
                    parts[part.spec.name] = part
                elif signals.exists():  # the chunk was finished meanwhile
                    parts = {**_finished(signals, found.problems), **parts}
        for name, piece in parts.items():
            if piece.count and only in (None, name):
                _add(found, name, piece)
    return found


def _finished(file: Path, problems: list[str]) -> dict[str, Part]:
    try:
        return {part.spec.name: part for part in read_parts(file)}
    except ChunkError as exc:
        problems.append(str(exc))
        return {}


def _unfinished(path: Path, problems: list[str]) -> BlockFile | None:
    try:
        part = load_blocks(path)
    except ChunkError as exc:
        problems.append(str(exc))
        return None
    if part is not None and part.problem:
        problems.append(part.problem)
    return part


def _add(found: Found, name: str, part: Part) -> None:
    """Append a part to its stream, if it goes on with what is there; say what is missing in between."""
    parts = found.parts.setdefault(name, [])
    before = parts[-1] if parts else None
    if before is not None:
        if (before.spec.columns, before.spec.dtype) != (part.spec.columns, part.spec.dtype) or (
            before.spec.rate != part.spec.rate and not np.isnan([before.spec.rate, part.spec.rate]).all()
        ):
            found.problems.append(
                f"{name!r} is another in {part.path} than before: {part.spec}, {before.spec}"
            )
            return
        if before.first_sample is not None and part.first_sample is not None:
            missing = part.first_sample - before.first_sample - before.count
            if missing:
                found.problems.append(
                    f"{missing} samples of {name!r} are missing between {before.path} and {part.path.name}"
                )
    parts.append(part)


def open_stream(root: Path, name: str, index: StoreIndex, seconds: Callable[[Moment], float]) -> StreamReader:
    """Return the reader of a stream. Raises UnknownNameError if there is none."""
    parts, problems = find_streams(root, name)
    if name not in parts:
        raise UnknownNameError("stream", name, find_streams(root).parts, "; ".join(problems))
    return StreamReader(root, parts[name], index, seconds, problems)


def unfinished_tables(
    root: Path, index: StoreIndex, seconds: Callable[[Moment], float]
) -> "dict[Path, list[pd.DataFrame]]":
    """Return the samples of unfinished chunks, a table for each stream, by the HDF5 file they will be in."""
    tables: dict[Path, list[pd.DataFrame]] = {}
    for parts in find_streams(root).parts.values():
        for part in parts:
            if isinstance(part, BlockFile):
                table = StreamReader(root, [part], index, seconds, ()).table()
                tables.setdefault(_signals_of(part.path), []).append(table)
    return tables


def stream_files(root: Path) -> list[Path]:
    """Return all files in which a store's streams lie."""
    finished = [path for path in root.iterdir() if _SIGNALS_NAME.fullmatch(path.name)]
    return sorted(finished) + [path for paths in find_samples(root).values() for path in paths]


def _signals_of(samples: Path) -> Path:
    """Return the HDF5 file of the chunk that a file of samples is of."""
    return samples.with_name(samples.name.split(".")[1] + MOTIF_SIGNALS_SUFFIX)
