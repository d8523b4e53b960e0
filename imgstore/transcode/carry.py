"""Extra data of some frames of a store, to go with these frames into another one."""

import shutil
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError, FrameNotFoundError
from imgstore.extra import (
    EXTRA_SUFFIX,
    MOTIF_RECORDS_SUFFIX,
    MOTIF_SIGNALS_SUFFIX,
    ExtraFile,
    find_extra,
    read_records,
)
from imgstore.layout import check_plain, chunk_name, replacing
from imgstore.motif import BEFORE
from imgstore.reader import StoreReader
from imgstore.transcode.substreams import StreamParts

_FILES_KEPT = 4
_CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class _Placed:
    """Records or samples of a file, and the index of the frame of each, -1 before the first frame."""

    content: Any
    indices: npt.NDArray[np.int64]


class ExtraData:
    """The extra data of a store, by frame.

    Records of our writer and of Motif come out as records. Streams, and signals, Motif's HDF5 files, go into
    files of the same layout; of a file with another layout only the whole can be had.

    Parameters
    ----------
    reader : of the store.
    origin : index of the frame that is the first of the new store.
    """

    def __init__(self, reader: StoreReader, origin: int = 0) -> None:
        self._reader = reader
        self._origin = origin
        root, suffix = reader.path, reader.metadata.suffix
        self._records = _by_chunk(find_extra(root, suffix, (EXTRA_SUFFIX, MOTIF_RECORDS_SUFFIX)))
        signals = find_extra(root, suffix, (MOTIF_SIGNALS_SUFFIX,))
        self._signals = _by_chunk([file for file in signals if not file.streams])
        self._streams = StreamParts(reader, origin)
        self._read: OrderedDict[Path, _Placed] = OrderedDict()

    def records(self, frames: range) -> list[dict[str, Any]]:
        """Return the records of these frames, with the indices that the frames have in the new store."""
        found = []
        for file in self._files(self._records, frames):
            placed = self._placed(file)
            for record, index in zip(placed.content, placed.indices.tolist(), strict=True):
                if index in frames or (index == -1 == frames.start - 1):
                    moved = max(index - self._origin, -1)
                    found.append({**record, "frame_index": moved})
        return found

    def save_signals(self, frames: range, root: Path, chunk: int) -> None:
        """Write streams and signals of these frames beside a chunk of the new store, if there are any.

        Raises ChunkError if the file of a chunk that is to be cut is none of ours, and none of Motif's.
        """
        place = root / (chunk_name(chunk) + MOTIF_SIGNALS_SUFFIX)
        of, _ = self._reader.index.locate(frames.start)
        is_whole = self._reader.chunk_range(of) == frames
        own = self._reader.path / (chunk_name(of) + MOTIF_SIGNALS_SUFFIX)
        known = of not in self._signals or _is_flat(own)
        if is_whole and own.is_file() and (self._origin == 0 or not known):
            with replacing(place) as target, own.open("rb") as source:
                shutil.copyfileobj(source, target)
            return
        self._streams.save(frames, root, chunk)
        files = self._signals.get(of, []) if is_whole else self._files(self._signals, frames)
        parts = [(file.path, used) for file in files if (used := self._samples(file, frames)).any()]
        if parts:
            beside = place.with_name(f".{place.name}.partial")
            _join_signals(parts, beside, self._origin)
            beside.replace(place)

    def _files(self, files: Mapping[int, list[ExtraFile]], frames: range) -> list[ExtraFile]:
        """Return the files that may hold something of these frames: of their chunks, and of those beside.

        A record between two chunks may lie with either.
        """
        if not files:
            return []
        first, last = (self._reader.index.locate(index)[0] for index in (frames[0], frames[-1]))
        near = [chunk for chunk in files if first <= chunk <= last]
        before = [chunk for chunk in files if chunk < first][-1:]
        after = [chunk for chunk in files if chunk > last][:1]
        return [file for chunk in before + near + after for file in files[chunk]]

    def _placed(self, file: ExtraFile) -> _Placed:
        """Return the records of a file, each with the frame that it belongs to."""
        if file.path not in self._read:
            records = read_records(file.path)
            if not file.beside:
                records = [record for record in records if _is_used(record)]
            indices, at = [], self._frames_of(file).start - 1
            for record in records:
                at = self._index_of(record, at)
                indices.append(at)
            self._read[file.path] = _Placed(records, np.array(indices, np.int64))
            while len(self._read) > _FILES_KEPT:
                self._read.popitem(last=False)
        return self._read[file.path]

    def _frames_of(self, file: ExtraFile) -> range:
        """Return the indices of the frames of the chunk that a file lies beside; none if it has no frames."""
        chunk = _chunk_of(file.path)
        return self._reader.chunk_range(chunk) if chunk in self._reader.chunks else range(0)

    def _index_of(self, record: Mapping[str, Any], before: int) -> int:
        """Return the index of the frame of a record; that of the one before if it does not say."""
        index, number = record.get("frame_index"), record.get("frame_number")
        numbers = self._reader.numbers
        if index == -1:
            return -1
        if isinstance(index, int) and 0 <= index < len(numbers) and number in (None, int(numbers[index])):
            return index
        try:
            return self._reader.index.of_number(number) if isinstance(number, int) else before
        except FrameNotFoundError:
            return before  # the frame is lost, or was never kept

    def _samples(self, file: ExtraFile, frames: range) -> npt.NDArray[np.bool_]:
        """Return which samples of a file belong to these frames, shape (samples,)."""
        if file.path not in self._read:
            self._read[file.path] = _Placed(None, self._place_samples(file))
            while len(self._read) > _FILES_KEPT:
                self._read.popitem(last=False)
        indices = self._read[file.path].indices
        return (indices >= frames.start) & (indices < frames.stop)

    def _place_samples(self, file: ExtraFile) -> npt.NDArray[np.int64]:
        """Return the index of the frame of each sample, shape (samples,); -2 for those of none."""
        try:
            if not _is_flat(file.path):
                raise ValueError("it holds more than one signal of the same rate")  # noqa: TRY301
            with h5py.File(file.path, "r") as content:
                camera = np.asarray(content[_CAMERA])
                said = camera[BEFORE if BEFORE in (camera.dtype.names or ()) else "frame_number"]
                number = camera["frame_number"].astype(np.int64)
        except (OSError, KeyError, ValueError, TypeError, IndexError) as exc:
            raise ChunkError(
                f"{file.path} cannot be cut at other frames than its chunk was ({exc}); "
                "keep the chunks as they are"
            ) from exc
        order, ranked = self._reader.index.by_number
        rank = np.minimum(ranked.searchsorted(number), len(ranked) - 1)
        index = order[rank] if len(order) else rank
        return np.where((ranked[rank] == number) & (said >= 0), index, -2).astype(np.int64)


def _is_flat(path: Path) -> bool:
    """Return whether a file has Motif's layout: arrays that all have a column per sample."""
    try:
        check_plain(path)
        with h5py.File(path, "r") as content:
            lengths = {getattr(content[name], "shape", (-1,))[-1:] for name in content}
            return _CAMERA in content and len(lengths) == 1
    except OSError as exc:
        raise ChunkError(f"{path} is broken ({exc})") from exc


def _is_used(record: Mapping[str, Any]) -> bool:
    """Return whether a record of Motif's belongs to a frame."""
    number = record.get(BEFORE, record.get("frame_number"))
    return number is None or number >= 0


def _by_chunk(files: list[ExtraFile]) -> dict[int, list[ExtraFile]]:
    found: dict[int, list[ExtraFile]] = {}
    for file in files:
        found.setdefault(_chunk_of(file.path), []).append(file)
    return found


def _chunk_of(path: Path) -> int:
    stem = path.name.partition(".")[0]
    return int(path.parent.name if stem == "index" else stem)


def _join_signals(parts: list[tuple[Path, npt.NDArray[np.bool_]]], place: Path, origin: int) -> None:
    """Write the samples that are used of some files into one of Motif's layout.

    Parameters
    ----------
    parts : files, each with which of its samples are used.
    origin : what the frames' indices go down by.
    """
    with h5py.File(place, "w") as joined:
        for path, used in parts:
            with h5py.File(path, "r") as content:
                if not joined.attrs:
                    joined.attrs.update(content.attrs)
                for name in content:
                    _append(joined, content[name], name, used, origin)


def _append(
    joined: h5py.File, dataset: h5py.Dataset, name: str, used: npt.NDArray[np.bool_], origin: int
) -> None:
    samples = np.asarray(dataset)
    samples = samples[..., used] if samples.shape[-1:] == used.shape else samples
    if name == _CAMERA and "frame_index" in (samples.dtype.names or ()):
        samples["frame_index"] -= origin
    if name not in joined:
        shape = (*samples.shape[:-1], None)
        new = joined.create_dataset(name, data=samples, maxshape=shape if samples.ndim else None)
        new.attrs.update(dataset.attrs)
        return
    there = joined[name]
    before = there.shape[-1]
    there.resize(before + samples.shape[-1], axis=samples.ndim - 1)
    there[..., before:] = samples
