"""Which frame lies where: arithmetic on arrays, and the index file of a chunk."""

import json
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError, FrameIndexError, FrameNotFoundError
from imgstore.layout import replacing
from imgstore.npz import read_stored_npz
from imgstore.safe_yaml import parse_yaml

_NUMPY_LOAD = (
    threading.Lock()
)  # np.load parses headers with `ast`, which Python 3.11 cannot do in two threads

Numbers = npt.NDArray[np.int64]
TimeMatch: TypeAlias = Literal["nearest", "before", "after", True]
Times = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChunkIndex:
    """Numbers and times of the frames of one chunk, both of shape (n,)."""

    numbers: Numbers
    times: Times


def save_chunk_index(file: Path, index: ChunkIndex, store: Mapping[str, Any]) -> None:
    """Write the `.npz` index of a chunk; it appears complete or not at all.

    Parameters
    ----------
    store : the store section of the metadata; a copy goes into every index, so that a chunk
        explains itself.
    """
    plain = {key: json.dumps(value) if isinstance(value, Mapping) else value for key, value in store.items()}
    extras = {key: np.asarray(value) for key, value in plain.items() if value is not None}
    with replacing(file) as stream:
        np.savez(stream, frame_number=index.numbers, frame_time=index.times, **extras)  # type: ignore[arg-type]


def load_chunk_index(stem: Path) -> ChunkIndex | None:
    """Read the index beside a chunk, `stem` with `.npz` or `.yaml`; None if there is none.

    Raises ChunkError, naming the file, if it is broken.
    """
    file = stem.with_name(stem.name + ".npz")
    try:
        if file.is_file():
            data = file.read_bytes()
            numbers, times = read_stored_npz(data) or _load_npz(data)
        else:
            file = stem.with_name(stem.name + ".yaml")
            if not file.is_file():
                return None
            content: Any = parse_yaml(file.read_bytes())
            numbers, times = np.asarray(content["frame_number"]), np.asarray(content["frame_time"])
        index = ChunkIndex(_as_numbers(numbers), times.astype(np.float64))
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise ChunkError(f"the index {file} is broken ({exc})") from exc
    if index.numbers.ndim != 1 or index.numbers.shape != index.times.shape:
        raise ChunkError(f"the index {file} is broken: {numbers.shape} numbers, {times.shape} times")
    return index


def _load_npz(data: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    with _NUMPY_LOAD, np.load(BytesIO(data), allow_pickle=False) as content:
        return content["frame_number"], content["frame_time"]


def _as_numbers(values: npt.NDArray[Any]) -> Numbers:
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise ValueError("frame numbers are not whole")
    return whole


class Ranking(NamedTuple):
    """Frames in the order of their numbers or times.

    Attributes
    ----------
    order : indices of the frames; empty where it is their own order.
    values : their numbers or times, in that order.
    """

    order: npt.NDArray[np.int64]
    values: npt.NDArray[Any]


class StoreIndex:
    """Where every frame of a store is.

    Parameters
    ----------
    chunks : numbers of the chunks, rising.
    starts : index of the first frame of every chunk, and in the end the number of frames.
    numbers, times : of all frames.
    by_number, by_time : rankings, where they are known; without frames whose time is not.
    """

    def __init__(
        self,
        chunks: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        numbers: Numbers,
        times: Times,
        *,
        by_number: Ranking | None = None,
        by_time: Ranking | None = None,
    ) -> None:
        self._chunks = chunks
        self._starts = starts
        self._by_number = by_number
        self._by_time = by_time
        self.numbers = numbers
        self.times = times
        self.numbers.flags.writeable = False
        self.times.flags.writeable = False

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """Numbers of the chunks, in order."""
        return tuple(self._chunks.tolist())

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, index: int) -> int:
        """Return `index` as one from 0, negative ones counted from the end. Raises FrameIndexError."""
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise FrameIndexError(f"there is no frame at index {index}: the store holds {len(self)} frames")
        return int(at)

    def locate(self, index: int) -> tuple[int, int]:
        """Return the chunk of a frame and its offset in it."""
        position = int(self._starts.searchsorted(index, "right")) - 1
        return int(self._chunks[position]), index - int(self._starts[position])

    def chunk_range(self, chunk: int) -> range:
        """Return the indices of the frames in `chunk`."""
        position = int(self._chunks.searchsorted(chunk))
        return range(int(self._starts[position]), int(self._starts[position + 1]))

    def of_number(self, number: float) -> int:
        """Return the index of the first frame with this number. Raises FrameNotFoundError."""
        order, ranked = self.by_number
        rank = int(ranked.searchsorted(number))
        if rank == len(ranked) or ranked[rank] != number:
            raise FrameNotFoundError(f"there is no frame with number {number}{self._number_hint()}")
        return int(order[rank]) if len(order) else rank

    def nearest_number(self, number: float) -> int:
        """Return the index of the frame whose number is nearest; the first of equals."""
        return self._nearest(self.by_number, number)

    def nearest_time(self, time: float) -> int:
        """Return the index of the frame whose time is nearest; the first of equals."""
        return self._nearest(self.by_time, time)

    def of_time(self, time: float, exact: TimeMatch) -> int:
        """Return the index of the frame of a time; see `StoreReader.by_time`. Raises FrameNotFoundError."""
        if exact == "nearest":
            return self.nearest_time(time)
        order, ranked = self.by_time
        side: Literal["left", "right"] = "right" if exact == "before" else "left"
        rank = int(ranked.searchsorted(time, side)) - (exact == "before")
        if not 0 <= rank < len(ranked) or (exact is True and ranked[rank] != time):
            how = "of exactly" if exact is True else f"at or {exact}"
            raise FrameNotFoundError(f"there is no frame {how} the time {time!r}{self._time_hint()}")
        return int(order[rank]) if len(order) else rank

    def first_at(self, time: float) -> int:
        """Return the smallest index of a frame at or after `time`; the number of frames if there is none."""
        order, ranked = self.by_time
        rank = int(ranked.searchsorted(time))
        if rank == len(ranked):
            return len(self)
        return int(order[rank:].min()) if len(order) else rank

    def last_at(self, times: Times) -> npt.NDArray[np.int64]:
        """Return for every time the index of the last frame at or before it.

        Before all frames it is that of the first; -1 if no frame has a time.
        """
        order, ranked = self.by_time
        if not len(ranked):
            return np.full(len(times), -1, np.int64)
        rank = np.maximum(ranked.searchsorted(times, "right") - 1, 0)
        return order[rank] if len(order) else rank

    @cached_property
    def by_number(self) -> Ranking:
        """The frames in the order of their numbers."""
        return self._by_number or rank(self.numbers)

    @cached_property
    def by_time(self) -> Ranking:
        """The frames whose time is known in the order of their times."""
        return self._by_time or rank(self.times)

    def in_seconds(self, ticks: int) -> "StoreIndex":
        """Return the same index where `ticks` units of these times are a second."""
        ranked = self._by_time
        return StoreIndex(
            self._chunks,
            self._starts,
            self.numbers,
            self.times / ticks,
            by_number=self._by_number,
            by_time=Ranking(ranked.order, ranked.values / ticks) if ranked else None,
        )

    def _nearest(self, ranking: Ranking, value: float) -> int:
        order, ranked = ranking
        if not len(ranked):
            raise FrameNotFoundError("the store has no frames to look among")
        if np.isnan(value):
            raise FrameNotFoundError("no frame is nearest to NaN")
        above = int(ranked.searchsorted(value))
        if above == len(ranked):
            best = int(ranked.searchsorted(ranked[-1]))  # the first of those that are equal
        elif above == 0:
            best = 0
        else:
            below = int(ranked.searchsorted(ranked[above - 1]))
            apart = float(ranked[above]) - value - (value - float(ranked[below]))
            earlier = not len(order) or order[below] < order[above]
            best = below if apart > 0 or (apart == 0 and earlier) else above
        return int(order[best]) if len(order) else best

    def _time_hint(self) -> str:
        ranked = self.by_time.values
        return f": they go from {ranked[0]!s} to {ranked[-1]!s}" if len(ranked) else ": no frame has a time"

    def _number_hint(self) -> str:
        if not len(self):
            return ": the store is empty"
        return f": they go from {self.numbers.min()} to {self.numbers.max()}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that are missing.

    Attributes
    ----------
    index : of the first frame after the gap.
    first, last : the numbers that are missing.
    """

    index: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many frames are missing."""
        return self.last - self.first + 1


def find_gaps(numbers: Numbers) -> list[Gap]:
    """Return where numbers jump by more than one, in order; steps back are no gaps."""
    places = np.flatnonzero(np.diff(numbers) > 1) + 1
    return [Gap(int(place), int(numbers[place - 1]) + 1, int(numbers[place]) - 1) for place in places]


def join_indexes(chunks: Sequence[int], indexes: Sequence[ChunkIndex]) -> StoreIndex:
    """Return the index of a store with these chunks, whose numbers rise."""
    return StoreIndex(
        np.array(chunks, np.int64),
        np.cumsum([0, *(len(index.numbers) for index in indexes)]),
        np.concatenate([np.empty(0, np.int64), *(index.numbers for index in indexes)]),
        np.concatenate([np.empty(0, np.float64), *(index.times for index in indexes)]),
    )


def rank(values: npt.NDArray[np.int64 | np.float64]) -> Ranking:
    """Return frames in the order of their numbers or times, without those whose time is not known."""
    unknown = int(np.isnan(values).sum())
    if not unknown and bool((values[1:] > values[:-1]).all()):
        return Ranking(np.empty(0, np.int64), values)
    order = np.argsort(values, kind="stable").astype(np.int64)[
        : len(values) - unknown
    ]  # NaN sorts to the end
    return Ranking(order, values[order])


# Code written for loopbio's package imports its index from here.
from imgstore.sqlite_index import ImgStoreIndex as ImgStoreIndex  # noqa: E402
