"""Streams of some frames of a store, to go with these frames into another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgstore.extra import MOTIF_SIGNALS_SUFFIX
from imgstore.index import ChunkIndex, join_indexes
from imgstore.layout import chunk_name
from imgstore.motif import StreamFile, write_signals
from imgstore.reader import StoreReader
from imgstore.samples import BlockFile, Runs, Samples, StreamSpec
from imgstore.signals import find_streams


@dataclass(frozen=True, slots=True)
class _Cut:
    """Samples of a stream in the file of a chunk, from `start` to before `stop`."""

    part: StreamFile | BlockFile
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class _Joined:
    """Samples of a stream that are to lie in one file; see `BlockFile`, whose place it takes.

    Attributes
    ----------
    spec : of the stream.
    first_sample : how many samples of the stream lie in earlier chunks.
    cuts : in order.
    """

    spec: StreamSpec
    first_sample: int
    cuts: Sequence[_Cut]

    @property
    def count(self) -> int:
        """How many samples there are."""
        return sum(cut.stop - cut.start for cut in self.cuts)

    @property
    def moments(self) -> Runs:
        """When the samples were taken."""
        starts, times, before = [], [], 0
        for cut in self.cuts:
            runs = cut.part.moments
            inside = runs.starts[(runs.starts > cut.start) & (runs.starts < cut.stop)]
            begins = np.concatenate([[cut.start], inside]).astype(np.int64)
            starts.append(begins - cut.start + before)
            times += [float(runs.at(begin, begin + 1)[0]) for begin in begins.tolist()]
            before += cut.stop - cut.start
        return Runs(np.concatenate(starts), np.array(times), before, self.spec.rate)

    def read(self, first: int, stop: int) -> Samples:
        """Return samples, shape (n, columns). Raises ChunkError."""
        parts, before = [np.empty((0, len(self.spec.columns)), self.spec.dtype)], 0
        for cut in self.cuts:
            start, end = max(first - before, 0), min(stop - before, cut.stop - cut.start)
            if start < end:
                parts.append(cut.part.read(cut.start + start, cut.start + end))
            before += cut.stop - cut.start
        return np.concatenate(parts)


class StreamParts:
    """The streams of a store, by frame; those of Motif's files are not among them.

    Where a chunk of the new store begins at the first frame of an old one, so do its samples; elsewhere they
    begin with the first that was taken with its first frame, or later.

    Parameters
    ----------
    reader : of the store.
    origin : index of the frame that is the first of the new store.
    """

    def __init__(self, reader: StoreReader, origin: int) -> None:
        self._reader = reader
        self._origin = origin
        self._parts: dict[str, dict[int, StreamFile | BlockFile]] = {}
        for name, parts in find_streams(reader.path).parts.items():
            ours = [part for part in parts if isinstance(part, StreamFile | BlockFile)]
            if ours:
                self._parts[name] = {_chunk_of(part.path): part for part in ours}

    def save(self, frames: range, root: Path, chunk: int) -> None:
        """Write the samples of these frames beside a chunk of the new store, if there are any.

        Raises ChunkError.
        """
        joined = [self._joined(name, frames) for name in self._parts]
        sources = [source for source in joined if source is not None]
        if not sources:
            return
        part = slice(frames.start, frames.stop)
        index = join_indexes(
            [0], [ChunkIndex(self._reader.numbers[part].copy(), self._reader.times[part].copy())]
        )
        place = root / (chunk_name(chunk) + MOTIF_SIGNALS_SUFFIX)
        write_signals(place, sources, index, frames.start - self._origin)

    def _joined(self, name: str, frames: range) -> _Joined | None:
        parts = self._parts[name]
        first, last = (self._reader.index.locate(index)[0] for index in (frames[0], frames[-1]))
        ends = frames.stop == len(self._reader)  # samples may have come after the last frame
        cuts = []
        for chunk in sorted(parts):
            if (first <= chunk or not frames.start) and (chunk <= last or ends):
                start = self._place(name, frames.start) if chunk == first else 0
                within = chunk == last and self._reader.chunk_range(last).stop > frames.stop
                stop = self._place(name, frames.stop) if within else parts[chunk].count
                if start < stop:
                    cuts.append(_Cut(parts[chunk], start, stop))
        if not cuts:
            return None
        before = cuts[0].part.first_sample + cuts[0].start - self._before_origin(name)
        return _Joined(cuts[0].part.spec, before, cuts)

    def _place(self, name: str, index: int) -> int:
        """Return the position, in the file of its chunk, of the first sample that goes with a frame."""
        chunk, offset = self._reader.index.locate(index)
        part = self._parts[name].get(chunk)
        if part is None or not offset:
            return 0
        times = self._reader.times[index - offset : index + 1]
        latest = np.nanmax(times) if np.isfinite(times).any() else -np.inf  # so that no sample goes twice
        found = part.moments.first_at(float(latest))
        return part.count if found is None else found

    def _before_origin(self, name: str) -> int:
        """Return how many samples of a stream are left out before the first frame of the new store."""
        if not self._origin:
            return 0
        here, _ = self._reader.index.locate(self._origin)
        chunk = min(chunk for chunk in self._parts[name] if chunk >= here)
        first = self._parts[name][chunk].first_sample
        return first + (self._place(name, self._origin) if chunk == here else 0)


def _chunk_of(path: Path) -> int:
    return int(path.name.lstrip(".").partition(".")[0])
