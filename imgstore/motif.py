"""Signals that loopbio's Motif samples beside a camera: DAQ channels and audio, an HDF5 file per chunk.

The streams of our writer lie in such files, too; those at other rates in groups that Motif's readers do not
look into. `FORMAT.md` has both.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError
from imgstore.index import Numbers, StoreIndex, Times
from imgstore.layout import check_plain, replacing
from imgstore.samples import Runs, Samples, StreamSpec

if TYPE_CHECKING:
    import pandas as pd

BEFORE = "_frame_number_before_reindex"
"""What the number was where frames were counted anew: a frame, whose number may be negative now, or none."""

_FORMAT = "ethostore-streams"
_VERSION = 1
_STREAMS = "streams"
_SAMPLES = "samples"
_RUNS = "runs"
_CAMERA = "camera"
_DELAY = "sample_delay"
_ROW = np.dtype(
    [("frame_number", "<i8"), ("frame_time", "<f8"), ("frame_index", "<i8"), ("sample_time", "<f8")]
)
_RUN = np.dtype([("start", "<i8"), ("time", "<f8")])

_PIECE = 1 << 14  # samples handled at a time; more would keep other threads waiting while they are compressed
_CHUNK_BYTES = 1 << 19
_COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}  # any HDF5 library reads it
_MOST_SPARSE = 4096  # times its file, so large may be what a file says that it holds
_BROKEN = (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError, MemoryError)


class SampleSource(Protocol):
    """Samples of a stream that are to be written; see `BlockFile`."""

    @property
    def spec(self) -> StreamSpec: ...
    @property
    def count(self) -> int: ...
    @property
    def first_sample(self) -> int: ...
    @property
    def moments(self) -> Runs: ...
    def read(self, first: int, stop: int) -> Samples: ...


def write_signals(file: Path, sources: Sequence[SampleSource], frames: StoreIndex, first_frame: int) -> None:
    """Write the streams of a chunk; the file appears complete or not at all.

    Parameters
    ----------
    sources : the samples, the stream that Motif's readers shall see first.
    frames : to which the samples belong, each to the last at or before it.
    first_frame : index in the store of the first of `frames`.

    Raises ChunkError.
    """
    main = sources[0].spec.name
    try:
        with replacing(file) as stream, h5py.File(stream.name, "w", rdcc_nbytes=0) as content:
            content.attrs.update(_as_bytes(format=_FORMAT, datasets=main))  # Motif's readers take bytes
            content.attrs["version"] = _VERSION
            streams = content.create_group(_STREAMS)
            for source in sources:
                _write_stream(streams.create_group(source.spec.name), source, frames, first_frame)
            _link(content, main)
    except ChunkError:
        raise
    except _BROKEN as exc:
        raise ChunkError(f"{file} cannot be written ({exc})") from exc


def _as_bytes(**texts: str) -> dict[str, np.bytes_]:
    return {name: np.bytes_(text) for name, text in texts.items()}


def _link(content: h5py.File, main: str) -> None:
    """Make a stream the one that Motif's readers see: other names of the same arrays."""
    group = content[_STREAMS][main]
    for name, place in ((main, _SAMPLES), (_CAMERA, _CAMERA), (_DELAY, _DELAY)):
        if name in content:
            del content[name]
        content[name] = group[place]


def _write_stream(group: h5py.Group, source: SampleSource, frames: StoreIndex, first_frame: int) -> None:
    spec, count = source.spec, source.count
    rows = _PIECE
    while rows > 1 and rows * len(spec.columns) * spec.dtype.itemsize > _CHUNK_BYTES:
        rows //= 2
    shape = (len(spec.columns), count)
    samples = group.create_dataset(
        _SAMPLES, shape, spec.dtype, chunks=(shape[0], min(rows, count)), **_COMPRESSION
    )
    samples.attrs.update(_as_bytes(column_names=",".join(spec.columns)))
    samples.attrs["samplerate"] = spec.rate
    samples.attrs["first_sample"] = source.first_sample
    camera = _new_rows(group, _CAMERA, count, _ROW)
    delay = _new_rows(group, _DELAY, count, np.dtype("<f8"))
    for start in range(0, count, _PIECE):
        stop = min(start + _PIECE, count)
        camera[start:stop] = table = _camera_rows(source.moments.at(start, stop), frames, first_frame)
        delay[start:stop] = table["sample_time"] - table["frame_time"]
        samples[:, start:stop] = source.read(start, stop).T
    runs = np.empty(len(source.moments.starts), _RUN)
    runs["start"], runs["time"] = source.moments.starts, source.moments.times
    group.create_dataset(_RUNS, data=runs, chunks=(min(_PIECE, len(runs)),), **_COMPRESSION)


def _new_rows(group: h5py.Group, name: str, count: int, dtype: np.dtype[Any]) -> h5py.Dataset:
    return group.create_dataset(name, (count,), dtype, chunks=(min(_PIECE, count),), **_COMPRESSION)


def _camera_rows(times: Times, frames: StoreIndex, first_frame: int) -> Samples:
    """Return Motif's row for every sample: the frame that it belongs to, and its own time."""
    rows = np.empty(len(times), _ROW)
    rows["sample_time"] = times
    places = frames.last_at(times)
    if len(frames):
        rows["frame_number"], rows["frame_time"] = frames.numbers[places], frames.times[places]
    rows["frame_index"] = places + first_frame
    none = places < 0
    rows["frame_number"][none], rows["frame_time"][none], rows["frame_index"][none] = -1, np.nan, -1
    return rows


@contextmanager
def _opened(file: Path, mode: str = "r") -> Iterator[h5py.File]:
    """Open a file; what goes wrong in the block is a ChunkError that names the file."""
    try:
        check_plain(file)
        with h5py.File(file, mode) as content:
            yield content
    except ChunkError:
        raise
    except _BROKEN as exc:
        raise ChunkError(f"{file} is broken ({exc})") from exc


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """Return what lies in a group itself, not behind a link to another place or file. Raises ValueError."""
    if "/" in name or name in ("", "."):
        raise ValueError(f"{name!r} is no name")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} leads to another place")  # noqa: TRY004
    return group[name]


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return an array of a group, if its numbers are in the file. Raises ValueError."""
    found = _member(group, name)
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{name!r} holds no samples of its own")
    size = found.size * found.dtype.itemsize
    if size > _MOST_SPARSE * Path(found.file.filename).stat().st_size:
        raise ValueError(f"{name!r} says that it holds {size} bytes, more than there can be")
    return found


def _streams(content: h5py.File) -> dict[str, h5py.Group] | None:
    """Return the groups of our streams, first the one that Motif's readers see; None for Motif's files."""
    if _text(content.attrs.get("format", "")) != _FORMAT:
        return None
    if content.attrs["version"] != _VERSION:
        raise ValueError(f"version {content.attrs['version']} of its format is not known, only {_VERSION}")
    group = _member(content, _STREAMS)
    main = _names(content.attrs["datasets"])[0]
    return {name: _member(group, name) for name in sorted(group, key=lambda name: (name != main, name))}


def kind_of(file: Path) -> Literal["streams", "signals", "broken"]:
    """Say whether a file is one of ours, with streams, or one of Motif's."""
    try:
        with _opened(file) as content:
            return "signals" if _streams(content) is None else "streams"
    except ChunkError:
        return "broken"


def read_signals(file: Path) -> "pd.DataFrame":
    """Return the samples of a file that Motif's readers see, a row each, with what the camera said then.

    Raises ChunkError if the file is broken.
    """
    import pandas as pd

    with _opened(file) as content:
        return pd.DataFrame(_columns(content, every_row=_streams(content) is not None))


def read_all_signals(file: Path) -> "pd.DataFrame":
    """Return all samples of a file: those of `read_signals`, and below them those of other streams.

    Raises ChunkError if the file is broken.
    """
    import pandas as pd

    with _opened(file) as content:
        streams = _streams(content)
        if streams is None:
            return pd.DataFrame(_columns(content))
        tables = [pd.DataFrame(_columns(group, [_SAMPLES], every_row=True)) for group in streams.values()]
    return pd.concat(tables, ignore_index=True)


def read_attributes(file: Path) -> dict[str, Any]:
    """Return the attributes of each dataset of a file, and as "_datasets" the names of the sampled ones.

    Raises ChunkError if the file is broken.
    """
    with _opened(file) as content:
        found: dict[str, Any] = {name: dict(_member(content, name).attrs) for name in content}
        found["_datasets"] = _names(content.attrs["datasets"])
    return found


def _columns(
    content: h5py.Group, names: Sequence[str] | None = None, *, every_row: bool = False
) -> dict[str, Samples]:
    """Return the columns of arrays that share a camera table: their own, the camera's, and the delay.

    Parameters
    ----------
    names : of the arrays; None for those that the file names.
    every_row : whether all rows are filled, as in our files.
    """
    camera = np.asarray(_dataset(content, _CAMERA))
    used = _filled(camera) | every_row
    columns: dict[str, Samples] = {}
    for name in _names(content.attrs["datasets"]) if names is None else names:
        found = _dataset(content, name)
        samples = np.asarray(found)[..., used]
        columns.update(zip(_names(found.attrs["column_names"]), samples, strict=True))
    columns.update({name: camera[name][used] for name in camera.dtype.names or ()})
    if _DELAY in content:
        columns[_DELAY] = np.asarray(_dataset(content, _DELAY))[used]
    return columns


def _filled(camera: Samples) -> npt.NDArray[np.bool_]:
    """Say of each row whether it is filled: room is made for a chunk, and a recording may end before."""
    filled: npt.NDArray[np.bool_] = (
        camera[BEFORE if BEFORE in (camera.dtype.names or ()) else "frame_number"] >= 0
    )
    return filled


def _names(value: str | bytes) -> list[str]:
    """Return the names in a list with commas."""
    return [name.strip() for name in _text(value).split(",")]


def _text(value: str | bytes) -> str:
    """Return a text; old writers of HDF5 left bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class StreamFile:
    """The samples of one of our streams in the file of a chunk.

    Attributes
    ----------
    path : of the file.
    spec : of the stream.
    first_sample : how many samples of the stream lie in earlier chunks.
    moments : when the samples were taken.
    """

    path: Path
    spec: StreamSpec
    first_sample: int
    moments: Runs

    @property
    def count(self) -> int:
        """How many samples there are."""
        return self.moments.count

    def read(self, first: int, stop: int) -> Samples:
        """Return samples, shape (n, columns). Raises ChunkError."""
        with _opened(self.path) as content:
            group = _member(_member(content, _STREAMS), self.spec.name)
            return np.ascontiguousarray(_dataset(group, _SAMPLES)[:, first:stop].T)


@dataclass(frozen=True, slots=True)
class MotifFile:
    """The samples of one of Motif's signals in the file of a chunk.

    Attributes
    ----------
    path : of the file.
    spec : of the signal; the rate is NaN if the file does not say it.
    moments : when the samples were taken.
    """

    path: Path
    spec: StreamSpec
    moments: "MotifTimes"

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.moments.rows)

    @property
    def first_sample(self) -> None:
        """Not known."""

    def read(self, first: int, stop: int) -> Samples:
        """Return samples, shape (n, columns). Raises ChunkError."""
        with _opened(self.path) as content:
            samples = _at_rows(_dataset(content, self.spec.name), self.moments.rows[first:stop])
            return np.ascontiguousarray(samples.T)


@dataclass(frozen=True, slots=True)
class MotifTimes:
    """When the samples in a file of Motif's were taken; see `Runs`.

    Attributes
    ----------
    path : of the file.
    rows : which of its rows are filled.
    """

    path: Path
    rows: npt.NDArray[np.int64]

    def at(self, first: int, stop: int) -> Times:
        """Return the times of samples: those that are said, or those of their frames and the delays."""
        rows = self.rows[first:stop]
        with _opened(self.path) as content:
            camera = _at_rows(_dataset(content, _CAMERA), rows)
            if "sample_time" in (camera.dtype.names or ()):
                return camera["sample_time"].astype(np.float64)
            times: Times = camera["frame_time"].astype(np.float64)
            if _DELAY in content:
                times += _at_rows(_dataset(content, _DELAY), rows)
        return times

    def first_at(self, time: float) -> int | None:
        """Return the first sample at or after `time`; None if there is none."""
        late = np.flatnonzero(self.at(0, len(self.rows)) >= time)
        return int(late[0]) if len(late) else None

    def frames(self, first: int, stop: int, index: StoreIndex) -> npt.NDArray[np.int64]:
        """Return the indices of the frames that the file names, shape (n,); -1 where there is none."""
        with _opened(self.path) as content:
            numbers = _at_rows(_dataset(content, _CAMERA), self.rows[first:stop])["frame_number"]
        order, ranked = index.by_number
        if not len(ranked):
            return np.full(len(numbers), -1, np.int64)
        rank = np.minimum(ranked.searchsorted(numbers), len(ranked) - 1)
        places = order[rank] if len(order) else rank
        return np.where(ranked[rank] == numbers, places, -1)


def _at_rows(dataset: h5py.Dataset, rows: npt.NDArray[np.int64]) -> Samples:
    """Return what an array holds at some rows, which rise, along its last axis."""
    if not len(rows):
        return np.asarray(dataset[..., :0])
    start = int(rows[0])
    return np.asarray(dataset[..., start : int(rows[-1]) + 1])[..., rows - start]


def read_parts(file: Path) -> list[StreamFile | MotifFile]:
    """Return what streams the file of a chunk holds. Raises ChunkError if it is broken."""
    with _opened(file) as content:
        streams = _streams(content)
        if streams is not None:
            return [_stream_file(file, name, group) for name, group in streams.items()]
        rows = np.flatnonzero(_filled(_dataset(content, _CAMERA)[()])).astype(np.int64)
        return [
            MotifFile(file, _spec(name, _dataset(content, name)), MotifTimes(file, rows))
            for name in _names(content.attrs["datasets"])
        ]


def _stream_file(file: Path, name: str, group: h5py.Group) -> StreamFile:
    samples = _dataset(group, _SAMPLES)
    spec = _spec(name, samples)
    runs = _dataset(group, _RUNS)[()]
    starts = runs["start"].astype(np.int64)
    count = int(samples.shape[1])
    if (np.diff(starts, prepend=-1, append=count) <= 0).any() or starts[:1].any():
        raise ValueError(f"the runs of {name!r} do not belong to its {count} samples")
    times = runs["time"].astype(np.float64)
    return StreamFile(file, spec, int(samples.attrs["first_sample"]), Runs(starts, times, count, spec.rate))


def _spec(name: str, samples: h5py.Dataset) -> StreamSpec:
    """Return what a file says of a stream. Raises ValueError if its array is another."""
    columns = tuple(_names(samples.attrs["column_names"]))
    if samples.ndim != 2 or samples.shape[0] != len(columns) or samples.dtype.kind not in "iuf":
        raise ValueError(f"{name!r} is {samples.dtype} of shape {samples.shape}, with columns {columns}")
    return StreamSpec(name, columns, float(samples.attrs.get("samplerate", np.nan)), samples.dtype)


def renumber_streams(file: Path, numbers: Numbers) -> None:
    """Give the frames in the tables of our streams new numbers, in place; the old ones are kept as `BEFORE`.

    Parameters
    ----------
    numbers : new ones of all frames of the store.

    Raises ChunkError if a sample belongs to a frame that there is not.
    """
    with _opened(file, "r+") as content:
        streams = _streams(content) or {}
        for group in streams.values():
            _renumber(group, numbers)
        _link(content, next(iter(streams)))


def _renumber(group: h5py.Group, numbers: Numbers) -> None:
    old = _dataset(group, _CAMERA)
    names = old.dtype.names
    dtype = old.dtype if BEFORE in names else np.dtype([*old.dtype.descr, (BEFORE, "<i8")])
    new = _new_rows(group, ".new", len(old), dtype)
    for start in range(0, len(old), _PIECE):
        rows = old[start : start + _PIECE]
        changed = np.empty(len(rows), dtype)
        for name in names:
            changed[name] = rows[name]
        if BEFORE not in names:
            changed[BEFORE] = rows["frame_number"]
        known = rows["frame_index"] >= 0
        changed["frame_number"][known] = numbers[rows["frame_index"][known]]
        new[start : start + _PIECE] = changed
    del group[_CAMERA]
    group.move(".new", _CAMERA)
