"""Loopbio's module of this name: its names and manners on top of our reader and writer."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import numpy.typing as npt

from imgstore.chunk import find_chunk
from imgstore.chunks import insert_chunk, remove_chunks
from imgstore.constants import (
    EXTRA_DATA_FILE_EXTENSIONS,
    FRAME_MD,
    STORE_INDEX_FILENAME,
    STORE_LOCK_FILENAME,
    STORE_MD_FILENAME,
    STORE_MD_KEY,
)
from imgstore.encoding import decoded_spec, decoder
from imgstore.errors import (
    ClosedError,
    EmptyStoreError,
    FrameFormatError,
    FrameIndexError,
    FrameNotFoundError,
    MissingDependencyError,
    NotAStoreError,
    UnknownNameError,
)
from imgstore.extra import find_extra, load_extra, sample_rate
from imgstore.formats import FORMATS
from imgstore.frame import Frame, FrameSpec, Image
from imgstore.layout import chunk_name, list_store
from imgstore.metadata import (
    DIRECTORY_CLASS,
    VIDEO_CLASS,
    find_metadata,
    load_metadata,
    merge_store_section,
)
from imgstore.reader import StoreReader
from imgstore.reindex import reindex
from imgstore.samples import find_samples
from imgstore.signals import unfinished_tables
from imgstore.sqlite_index import ImgStoreIndex, check_fresh
from imgstore.util import ensure_color, ensure_grayscale
from imgstore.writer import StoreWriter, create, rewrite

if TYPE_CHECKING:
    import pandas as pd

_COMMON_FORMATS = (
    *("npy", "png", "tif", "bmp", "ppm", "pgm", "jpg", "png+color", "tif+color", "jpg+color", "bmp+color"),
    *("mjpeg/avi", "h264/mkv", "avc1/mp4"),
)
_ALIASES = {"mjpeg": "mjpeg/avi"}

FrameAndMetadata = tuple[Image, tuple[int, float]]
AnyPath = str | os.PathLike[str]


def get_supported_formats() -> list[str]:
    """Return the names of the formats that both packages write; `imgstore.FORMATS` has more."""
    return [*DirectoryImgStore.supported_formats(), *VideoImgStore.supported_formats()]


def new_for_filename(
    path: AnyPath | None = None,
    mode: str = "r",
    basedir: AnyPath | None = None,
    index: ImgStoreIndex | None = None,
    seek: bool = True,
    gpu_id: object = None,
    videosize: object = None,
) -> "ImgStore":
    """Open a store for reading.

    Parameters
    ----------
    path : its folder or its `metadata.yaml`; or give
    basedir : its folder.
    index : of the store, from `ImgStoreIndex.new_from_file`, so that the chunks' need not be read.
    seek, gpu_id, videosize : are of no effect; the frame asked for is the frame returned, always.

    Raises ValueError unless exactly one is given and is a store, FileNotFoundError for a metadata file
    that does not exist.
    """
    if mode != "r":
        raise UnknownNameError("mode", mode, ["r"])
    file = find_metadata(_place(path, basedir, must_exist=True))
    kind = DirectoryImgStore if load_metadata(file).store_class == DIRECTORY_CLASS else VideoImgStore
    return kind(basedir=file.parent, index=index, seek=seek)


def new_for_format(
    fmt: str | None,
    path: AnyPath | None = None,
    *,
    mode: str = "w",
    basedir: AnyPath | None = None,
    imgshape: Sequence[int] | None = None,
    imgdtype: npt.DTypeLike = np.uint8,
    chunksize: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    encoding: str | None = None,
    format: str | None = None,  # noqa: A002  # loopbio's name, which says the same as `fmt`
    index: ImgStoreIndex | None = None,
    seek: bool = True,
    gpu_id: object = None,
    videosize: object = None,
) -> "ImgStore":
    """Make a store of format `fmt`, or with `mode="r"` open one, whatever its format.

    Parameters
    ----------
    path : folder that does not exist yet, or the `metadata.yaml` in it; or give `basedir`, the folder.
    imgshape : (rows, columns) or (rows, columns, 3), of the images as they are added.
    encoding : code of their encoding, "cv_bayerbg"; they are decoded to blue, green, red on reading, or
        before they are written if the format ends in "+color".
    index, seek, gpu_id, videosize : as in `new_for_filename`.
    """
    if mode == "r":
        return new_for_filename(path, basedir=basedir, index=index, seek=seek)
    place = _place(path, basedir, must_exist=False)
    name = _ALIASES.get(fmt or "", fmt or "")
    kind = DirectoryImgStore if FORMATS.get(name).store_class == DIRECTORY_CLASS else VideoImgStore
    return kind(
        basedir=place,
        mode=mode,
        imgshape=imgshape,
        imgdtype=imgdtype,
        chunksize=chunksize,
        metadata=metadata,
        encoding=encoding,
        format=name,
    )


def extract_only_frame(path: AnyPath, frame_index: int) -> Image:
    """Return the image at `frame_index` of the store at `path`."""
    with new_for_filename(path) as store:
        return store.get_image(frame_number=None, frame_index=frame_index)[0]


class ImgStore:
    """A store as loopbio's package presents it.

    Parameters
    ----------
    basedir : folder of the store.
    mode : "r" to read one, "w" to make one, for which the others are:
    imgshape, imgdtype : of the images as they are added.
    chunksize : images per chunk; None for the format's own.
    metadata : what else to keep in `metadata.yaml`.
    encoding : code of the images' encoding, which is undone on reading.
    write_encode_encoding : code of an encoding that is undone before they are written.
    format : name of the chunk format.
    index : of a store to read, if there is one.
    seek, gpu_id, videosize : are of no effect.
    """

    FRAME_MD: ClassVar[tuple[str, ...]] = FRAME_MD
    _store_class: ClassVar[str]
    _default_format: ClassVar[str]

    def __init__(
        self,
        basedir: AnyPath,
        mode: str = "r",
        imgshape: Sequence[int] | None = None,
        imgdtype: npt.DTypeLike = np.uint8,
        chunksize: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        encoding: str | None = None,
        write_encode_encoding: str | None = None,
        format: str | None = None,  # noqa: A002  # loopbio's name
        index: ImgStoreIndex | None = None,
        seek: bool = True,
        gpu_id: object = None,
        videosize: object = None,
    ) -> None:
        self._mode = mode
        self._basedir = os.fspath(basedir)
        self._lock = RLock()
        self._loaded_index: ImgStoreIndex | None = None
        self._writer: StoreWriter | None = None
        self._reader: StoreReader | None = None
        self._encode: Callable[[Image], Image] = decoder(None)
        self._chunk_n_and_chunk_paths: list[tuple[int, str]] | None = None
        self._at = -1
        self.frame_number: float = np.nan
        self.frame_time: float = np.nan
        self._reset()
        if mode == "w":
            name = _ALIASES.get(format or "", format) or self._default_format
            self._open_writer(name, imgshape, imgdtype, chunksize, metadata, encoding, write_encode_encoding)
        elif mode == "r":
            self._open_reader(index)
        else:
            raise UnknownNameError("mode", mode, ["r", "w"])

    @property
    def mode(self) -> str:
        """ "r" or "w"."""
        return self._mode

    @property
    def filename(self) -> str:
        """Folder of the store."""
        return self._basedir

    @property
    def full_path(self) -> str:
        """Path of the metadata file."""
        return str(Path(self._basedir) / STORE_MD_FILENAME)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of the images as they are read."""
        return self._stored.spec.shape

    @property
    def image_dtype(self) -> np.dtype[Any]:
        """Type of the pixels as they are read."""
        return self._stored.spec.dtype

    @property
    def user_metadata(self) -> dict[str, Any]:
        """What the caller of the writer wanted to keep."""
        return self._user_metadata

    @property
    def uuid(self) -> str | None:
        """Identifier of the store."""
        return self._stored.uuid

    @property
    def created(self) -> tuple[datetime, ZoneInfo]:
        """When the store was made, in UTC, and the zone of the machine."""
        return self._stored.created, self._stored.timezone

    @property
    def lossless(self) -> bool:
        """Whether images come back bit for bit."""
        return self._reader.lossless if self._reader else FORMATS.get(self._stored.format).lossless

    @property
    def chunks(self) -> list[int]:
        """Numbers of the chunks that hold frames; while writing, of those that are full."""
        if self._reader is not None:
            return list(self._reader.chunks)
        return list(range(self._chunk_n))

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last; 0.0 for an empty store."""
        return self.frame_time_max - self.frame_time_min

    @property
    def has_extra_data(self) -> bool:
        """Whether there is something beside the frames."""
        return bool(self.find_extra_data_files() or find_samples(Path(self._basedir)))

    @classmethod
    def supported_formats(cls) -> list[str]:
        """Return the names of the formats that both packages write such a store in."""
        return [name for name in _COMMON_FORMATS if cls.supports_format(name)]

    @classmethod
    def supports_format(cls, fmt: str) -> bool:
        """Return whether such a store can be written in this format here."""
        name = _ALIASES.get(fmt, fmt)
        try:
            return name in FORMATS and FORMATS.get(name).store_class == cls._store_class
        except MissingDependencyError:
            return False

    @classmethod
    def extract_only_frame(cls, full_path: AnyPath, frame_index: int, _smd: object = None) -> Image:
        """Return the image at `frame_index` of the store with this metadata file."""
        return extract_only_frame(full_path, frame_index)

    def add_image(self, img: Image, frame_number: int, frame_time: float) -> None:
        """Append an image. Raises ValueError if it is not one of this store, and writes nothing."""
        writer = self._writing()
        number, time = int(frame_number), float(frame_time)
        if number != frame_number:
            raise FrameFormatError(f"frame numbers are whole, not {frame_number}")
        image = _fitting(self._encode(np.asarray(img)), writer.spec)
        writer.append(Frame(image, self.frame_count, number, time))
        self._count_in([number], [time])
        self.frame_number, self.frame_time = frame_number, frame_time
        if (self.frame_count - self._inserted) % self._stored.chunksize == 0:
            self._chunk_n += 1

    def add_extra_data(self, **data: object) -> None:
        """Append a record, stamped with the last frame. Raises TypeError if it holds what JSON cannot."""
        if data:
            self._writing().append_extra(data)

    def insert_chunk(
        self,
        video_path: AnyPath,
        frame_numbers: Sequence[int],
        frame_times: Sequence[float],
        move: bool = True,
    ) -> None:
        """Make a video that exists already the next chunk; see `imgstore.chunks.insert_chunk`."""
        writer = self._writing()
        added = insert_chunk(writer, self._stored, Path(video_path), frame_numbers, frame_times, move=move)
        self._chunk_n = added + 1
        self._inserted += len(frame_numbers)
        self._count_in(frame_numbers, frame_times)

    def empty(self) -> None:
        """Remove all chunks of a store that is being written, with all that lies beside them."""
        self._writing().close()
        remove_chunks(Path(self._basedir), self._stored.suffix)
        self._reset()
        self._writer = rewrite(Path(self._basedir), self._stored)

    def get_next_image(self) -> FrameAndMetadata:
        """Return the image after the last one read, in order of the index. Raises EOFError at the end."""
        with self._lock:
            return self._show(self._reading()[self._next()])

    def get_next_framenumber(self) -> int:
        """Return the number of the frame that `get_next_image` gives. Raises EOFError at the end."""
        return int(self._reading().numbers[self._next()])

    def get_image(
        self, frame_number: float | None, exact_only: bool = True, frame_index: int | None = None
    ) -> FrameAndMetadata:
        """Return the image with this number (or unless `exact_only` the nearest), or at `frame_index`.

        Raises ValueError if there is none.
        """
        reader = self._reading()
        if frame_index is not None:
            if frame_index < 0:
                raise FrameIndexError(f"frame_index counts from 0, not {frame_index}")
            return self._show(reader[int(frame_index)])
        if frame_number is None:
            raise FrameNotFoundError("give a frame_number or a frame_index")
        return self._show(reader.by_number(frame_number, exact=exact_only))

    def get_nearest_image(self, frame_time: float) -> FrameAndMetadata:
        """Return the image whose time is nearest. Raises TypeError if the store is empty."""
        if not self.frame_count:
            raise EmptyStoreError(f"{self._basedir} holds no frames to look among")
        return self._show(self._reading().by_time(frame_time))

    def get_frame_metadata(self) -> dict[str, list[Any]]:
        """Return `frame_number` and `frame_time` of all frames, in order of the index."""
        return self._index.get_all_metadata()

    def find_extra_data_files(self, extensions: Sequence[str] = EXTRA_DATA_FILE_EXTENSIONS) -> list[str]:
        """Return the paths of the files of extra data, in the order of the chunks."""
        return [str(file.path) for file in find_extra(Path(self._basedir), self._stored.suffix, extensions)]

    def get_extra_data(self, ignore_corrupt_chunks: bool = False) -> "pd.DataFrame | None":
        """Return all extra data, a row per record or sample, each with its frame; None if there is none.

        Loopbio's package gives of our chunks with streams the first only, and no records.

        Raises ValueError for a file that is broken, unless they are to be ignored.
        """
        import pandas as pd

        root = Path(self._basedir)
        reader = self._reader
        unfinished = unfinished_tables(root, reader.index, reader.seconds) if reader is not None else {}
        files = [
            file
            for file in find_extra(root, self._stored.suffix)
            if not (file.streams and file.path in unfinished)  # it may be there by now
        ]
        table = load_extra(files, skip_broken=ignore_corrupt_chunks)
        tables = [part for parts in unfinished.values() for part in parts]
        tables = tables if table is None else [table, *tables]
        return pd.concat(tables, ignore_index=True) if tables else None

    def get_extra_data_samplerate(self) -> float:
        """Return how often signals were sampled, per second. Raises ValueError unless there is one rate."""
        return sample_rate(find_extra(Path(self._basedir), self._stored.suffix))

    def disable_decoding(self) -> None:
        """Give images as they are stored from now on, not decoded."""
        reader = self._reading()
        raw = replace(self._stored, spec=self._stored.stored_spec, encoding=None)
        self._reader = StoreReader(Path(self._basedir), raw, index=reader.index, raw_times=True)
        reader.close()

    def save_index(self, path: AnyPath | None = None) -> None:
        """Write the index of the whole store to `.index.sqlite` in its folder, or to `path`."""
        file = Path(path) if path is not None else Path(self._basedir) / STORE_INDEX_FILENAME
        self._index.to_file(file, lambda chunk: str(self._stem(chunk)))

    def reindex(self) -> None:
        """Count frames from the one with number 0; those before it get negative numbers.

        Indexes and extra data are written anew. Raises ValueError unless exactly one frame has number 0.
        """
        reader = self._reading()
        reindex(Path(self._basedir), self._stored.suffix, reader.index, self._stem)
        reader.close()
        self._open_reader(None)
        if (Path(self._basedir) / STORE_INDEX_FILENAME).exists():
            self.save_index()

    def convert_frame_time_to_datetime(self, frame_time: float, tz: tzinfo | None = None) -> datetime:
        """Return a frame's time as a datetime in the store's zone, or in `tz`."""
        epoch = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
        return (epoch + timedelta(seconds=frame_time)).astimezone(tz or self._stored.timezone)

    def close(self, save_index: bool = False) -> None:
        """Finish writing, or let go of the files. Closing twice is harmless.

        Parameters
        ----------
        save_index : write `.index.sqlite` beside a store that was written.
        """
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()
            if save_index:
                self.save_index()

    def __len__(self) -> int:
        return self.frame_count

    def __enter__(self) -> "ImgStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to open the store and stand at the same frame."""
        if self._mode != "r":
            raise ClosedError(f"{self._basedir} is open for writing, which only one process can do")
        raw = self._reading().metadata.encoding != self._stored.encoding
        return {"basedir": str(Path(self._basedir).absolute()), "at": self._at, "raw": raw}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        ImgStore.__init__(self, state["basedir"])
        if state["raw"]:
            self.disable_decoding()
        self._at = state["at"]

    # What follows is not loopbio's public interface either, but code that people have uses it.

    @property
    def _metadata(self) -> Mapping[str, Any]:
        return self._stored.store

    @property
    def _format(self) -> str:
        return self._stored.format

    @property
    def _encoding(self) -> str | None:
        return self._stored.encoding

    @property
    def _chunksize(self) -> int:
        return self._stored.chunksize

    @property
    def _index(self) -> ImgStoreIndex:
        if self._loaded_index is not None:
            return self._loaded_index
        return ImgStoreIndex.new_from_chunks((n, str(self._stem(n))) for n in self._found_chunks())

    def _get_chunk_metadata(self, chunk_n: int) -> dict[str, list[Any]]:
        return self._index.get_chunk_metadata(chunk_n)

    def _iter_chunk_n_and_chunk_paths(self) -> Iterator[tuple[int, str]]:
        if self._chunk_n_and_chunk_paths is None:
            self._chunk_n_and_chunk_paths = [(n, str(self._stem(n))) for n in self._found_chunks()]
        yield from self._chunk_n_and_chunk_paths

    def _found_chunks(self) -> list[int]:
        return sorted(list_store(Path(self._basedir), self._stored.suffix).chunks)

    def _stem(self, chunk: int) -> Path:
        """Return the path of a chunk's index without ending."""
        path = Path(self._basedir) / chunk_name(chunk)
        return path if self._stored.suffix else path / "index"

    def _open_reader(self, index: ImgStoreIndex | None) -> None:
        self._stored = load_metadata(find_metadata(Path(self._basedir)))
        if (self._stored.store_class == DIRECTORY_CLASS) != (self._store_class == DIRECTORY_CLASS):
            raise NotAStoreError(
                f"{self._basedir} is a {self._stored.store_class}, not a {self._store_class}"
            )
        self._user_metadata = dict(self._stored.user)
        if index is None:
            list(self._iter_chunk_n_and_chunk_paths())
        elif isinstance(index, ImgStoreIndex):
            check_fresh(index.store_index, self._found_chunks(), self._stem)
        else:
            raise TypeError(f"index is an ImgStoreIndex, not a {type(index).__name__}")
        known = None if index is None else index.store_index
        self._reader = StoreReader(Path(self._basedir), self._stored, index=known, raw_times=True)
        self._loaded_index = index or ImgStoreIndex(self._reader.index)
        self._reset()
        self.frame_count = self._loaded_index.frame_count
        self.frame_min, self.frame_max = self._loaded_index.frame_min, self._loaded_index.frame_max
        self.frame_time_min = self._loaded_index.frame_time_min
        self.frame_time_max = self._loaded_index.frame_time_max
        self._chunk_n = self._reader.chunks[0] if self._reader.chunks else 0

    def _open_writer(
        self,
        name: str,
        imgshape: Sequence[int] | None,
        imgdtype: npt.DTypeLike,
        chunksize: int | None,
        metadata: Mapping[str, Any] | None,
        encoding: str | None,
        write_encode_encoding: str | None,
    ) -> None:
        if imgshape is None:
            raise NotAStoreError("a new store needs imgshape=(rows, columns[, 3])")
        if not self.supports_format(name):
            raise UnknownNameError("format", name, self.supported_formats())
        if encoding and name.endswith("+color"):
            write_encode_encoding, encoding = encoding, None
        spec = decoded_spec(FrameSpec(tuple(imgshape), np.dtype(imgdtype)), write_encode_encoding)
        self._encode = decoder(write_encode_encoding)
        user = dict(metadata or {})
        section = user.pop(STORE_MD_KEY, None)
        self._writer = create(
            self._basedir,
            spec.shape,
            spec.dtype,
            format=name,
            chunksize=chunksize,
            metadata=user,
            encoding=encoding,
        )
        if section and self._store_class == DIRECTORY_CLASS:
            merge_store_section(Path(self._basedir), section)
        self._stored = load_metadata(find_metadata(Path(self._basedir)))
        self._user_metadata = dict(self._stored.user)

    def _reset(self) -> None:
        """Forget all frames."""
        self._at = -1
        self._chunk_n = 0  # of the frame in hand, or of the chunk being written
        self._inserted = 0
        self.frame_count = 0
        self.frame_number = self.frame_time = np.nan
        self.frame_min = self.frame_max = np.nan
        self.frame_time_min = self.frame_time_max = 0.0

    def _count_in(self, numbers: Sequence[float], times: Sequence[float]) -> None:
        if not len(numbers):
            return
        known = [self.frame_time_min, self.frame_time_max] if self.frame_count else []
        self.frame_time_min, self.frame_time_max = _extremes([*times, *known])
        self.frame_min, self.frame_max = _extremes([*numbers, self.frame_min, self.frame_max])
        self.frame_count += len(numbers)

    def _next(self) -> int:
        if self._at + 1 >= self.frame_count:
            raise EOFError(f"all {self.frame_count} frames of {self._basedir} are read")
        return self._at + 1

    def _show(self, frame: Frame) -> FrameAndMetadata:
        with self._lock:
            self._at, self.frame_number, self.frame_time = frame.index, frame.number, frame.time
            self._chunk_n = self._reading().index.locate(frame.index)[0]
        return frame.image, (frame.number, frame.time)

    def _reading(self) -> StoreReader:
        if self._reader is None:
            raise NotAStoreError(f"{self._basedir} is open for writing; open it with mode='r' to read")
        return self._reader

    def _writing(self) -> StoreWriter:
        if self._writer is None:
            raise NotAStoreError(f"{self._basedir} is open for reading; nothing can be added")
        return self._writer


class VideoImgStore(ImgStore):
    """A store whose chunks are videos."""

    _store_class = VIDEO_CLASS
    _default_format = "mjpeg/avi"
    _capture: cv2.VideoCapture | None = None
    _capture_path = ""

    def close(self, save_index: bool = False) -> None:
        """Finish writing, or let go of the files. Closing twice is harmless."""
        super().close(save_index)
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    @property
    def _ext(self) -> str:
        return self._stored.suffix

    @property
    def _chunk_paths(self) -> list[str]:
        return [path + self._ext for _, path in self._iter_chunk_n_and_chunk_paths()]

    @property
    def _cap(self) -> cv2.VideoCapture:
        """OpenCV's reader of the chunk of the last frame; ours does without it."""
        path = str(find_chunk(Path(self._basedir), self._chunk_n, self._ext))
        if self._capture is None or path != self._capture_path:
            if self._capture is not None:
                self._capture.release()
            self._capture, self._capture_path = cv2.VideoCapture(path, cv2.CAP_FFMPEG), path
        return self._capture


class DirectoryImgStore(ImgStore):
    """A store whose chunks are folders of images."""

    _store_class = DIRECTORY_CLASS
    _default_format = "png"


def _place(path: AnyPath | None, basedir: AnyPath | None, *, must_exist: bool) -> Path:
    """Return the folder of a store, given one way or the other."""
    if bool(path) == bool(basedir):
        raise NotAStoreError("give either path or basedir")
    if basedir and Path(basedir).name == STORE_MD_FILENAME:
        raise NotAStoreError(f"basedir is the folder of a store, not {basedir}")
    place = Path(path or basedir or "")
    if place.name != STORE_MD_FILENAME:
        return place
    if must_exist and not place.exists():
        raise FileNotFoundError(f"{place} does not exist")
    return place.parent


def _fitting(image: Image, spec: FrameSpec) -> Image:
    """Return an image in grey or in colour, as the store is, if that is all that it lacks."""
    if image.shape == spec.shape or image.shape[:2] != spec.shape[:2]:
        return image
    if spec.is_colour and image.shape[2:] in ((), (1,)):
        return ensure_color(image)
    if len(spec.shape) == 2 and image.shape[2:] in ((1,), (3,)):
        return ensure_grayscale(image).reshape(spec.shape)
    return image


def _extremes(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest that is a number; NaN if none is."""
    lowest, highest = np.fmin.reduce(values), np.fmax.reduce(values)
    return float(lowest), float(highest)


__all__ = [
    "EXTRA_DATA_FILE_EXTENSIONS",
    "STORE_INDEX_FILENAME",
    "STORE_LOCK_FILENAME",
    "STORE_MD_FILENAME",
    "STORE_MD_KEY",
    "DirectoryImgStore",
    "ImgStore",
    "VideoImgStore",
    "extract_only_frame",
    "get_supported_formats",
    "new_for_filename",
    "new_for_format",
]
