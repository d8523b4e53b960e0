"""Which frame lies where: arithmetic on arrays, and the index file of a chunk."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from imgstore.errors import ChunkError, FrameIndexError, FrameNotFoundError
from imgstore.layout import replacing

Numbers = npt.NDArray[np.int64]
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
    extras = {key: np.asarray(value) for key, value in store.items() if value is not None}
    with replacing(file) as stream:
        np.savez(stream, frame_number=index.numbers, frame_time=index.times, **extras)  # type: ignore[arg-type]


def load_chunk_index(stem: Path) -> ChunkIndex | None:
    """Read the index beside a chunk, `stem` with `.npz` or `.yaml`; None if there is none.

    Raises ChunkError, naming the file, if it is broken.
    """
    file = stem.with_name(stem.name + ".npz")
    try:
        if file.is_file():
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
                numbers, times = content["frame_number"], content["frame_time"]
        else:
            file = stem.with_name(stem.name + ".yaml")
            if not file.is_file():
                return None
            content = yaml.safe_load(file.read_bytes())
            numbers, times = np.asarray(content["frame_number"]), np.asarray(content["frame_time"])
        index = ChunkIndex(_as_numbers(numbers), times.astype(np.float64))
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, yaml.YAMLError) as exc:
        raise ChunkError(f"the index {file} is broken ({exc})") from exc
    if index.numbers.ndim != 1 or index.numbers.shape != index.times.shape:
        raise ChunkError(f"the index {file} is broken: {numbers.shape} numbers, {times.shape} times")
    return index


def _as_numbers(values: npt.NDArray[Any]) -> Numbers:
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise ValueError("frame numbers are not whole")
    return whole


class StoreIndex:
    """Where every frame of a store is.

    Parameters
    ----------
    chunks : numbers of the chunks, in order.
    indexes : their indexes.
    """

    def __init__(self, chunks: Sequence[int], indexes: Sequence[ChunkIndex]) -> None:
        self.chunks = tuple(chunks)
        self.numbers: Numbers = np.concatenate([np.empty(0, np.int64), *(i.numbers for i in indexes)])
        self.times: Times = np.concatenate([np.empty(0, np.float64), *(i.times for i in indexes)])
        self.numbers.flags.writeable = False
        self.times.flags.writeable = False
        self._starts = np.cumsum([0, *(len(i.numbers) for i in indexes)])

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
        position = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.chunks[position], index - int(self._starts[position])

    def chunk_range(self, chunk: int) -> range:
        """Return the indices of the frames in `chunk`."""
        position = self.chunks.index(chunk)
        return range(int(self._starts[position]), int(self._starts[position + 1]))

    def of_number(self, number: float) -> int:
        """Return the index of the first frame with this number. Raises FrameNotFoundError."""
        order, ranked = self._by_number
        rank = int(np.searchsorted(ranked, number))
        if rank == len(order) or ranked[rank] != number:
            raise FrameNotFoundError(f"there is no frame with number {number}{self._number_hint()}")
        return int(order[rank])

    def nearest_number(self, number: float) -> int:
        """Return the index of the frame whose number is nearest; the first of equals."""
        return self._nearest(*self._by_number, number)

    def nearest_time(self, time: float) -> int:
        """Return the index of the frame whose time is nearest; the first of equals."""
        return self._nearest(*self._by_time, time)

    @cached_property
    def _by_number(self) -> tuple[npt.NDArray[np.intp], Numbers]:
        order = np.argsort(self.numbers, kind="stable")
        return order, self.numbers[order]

    @cached_property
    def _by_time(self) -> tuple[npt.NDArray[np.intp], Times]:
        order = np.argsort(self.times, kind="stable")
        order = order[: len(order) - int(np.isnan(self.times).sum())]  # NaN sorts to the end
        return order, self.times[order]

    def _nearest(
        self, order: npt.NDArray[np.intp], ranked: npt.NDArray[np.int64 | np.float64], value: float
    ) -> int:
        if not len(order):
            raise FrameNotFoundError("the store has no frames to look among")
        if np.isnan(value):
            raise FrameNotFoundError("no frame is nearest to NaN")
        above = int(np.searchsorted(ranked, value))
        nearest = [rank for rank in (above - 1, above) if 0 <= rank < len(order)]
        firsts = [int(np.searchsorted(ranked, ranked[rank])) for rank in nearest]  # of those that are equal
        best = min(firsts, key=lambda rank: (abs(float(ranked[rank]) - value), order[rank]))
        return int(order[best])

    def _number_hint(self) -> str:
        if not len(self):
            return ": the store is empty"
        return f": they go from {self.numbers.min()} to {self.numbers.max()}"


# Code written for loopbio's package imports its index from here.
from imgstore.sqlite_index import ImgStoreIndex as ImgStoreIndex  # noqa: E402
