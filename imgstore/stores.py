"""Loopbio's names and manners on top of our reader and writer."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from imgstore.errors import FrameIndexError, FrameNotFoundError, NotAStoreError, UnknownNameError
from imgstore.formats import FORMATS
from imgstore.frame import Frame, FrameSpec, Image
from imgstore.layout import LOCK_FILENAME, METADATA_FILENAME
from imgstore.metadata import DIRECTORY_CLASS, STORE_KEY, StoreMetadata, find_metadata, load_metadata
from imgstore.reader import StoreReader
from imgstore.writer import StoreWriter, create

STORE_MD_KEY = STORE_KEY
STORE_MD_FILENAME = METADATA_FILENAME
STORE_LOCK_FILENAME = LOCK_FILENAME

_ALIASES = {"mjpeg": "mjpeg/avi"}

FrameAndMetadata = tuple[Image, tuple[int, float]]


def get_supported_formats() -> list[str]:
    """Return the names of the formats that can be written."""
    return FORMATS.names()


def new_for_filename(
    path: str | os.PathLike[str] | None = None,
    mode: str = "r",
    basedir: str | os.PathLike[str] | None = None,
) -> "ImgStore":
    """Open a store for reading.

    Parameters
    ----------
    path : its folder or its `metadata.yaml`; or give
    basedir : its folder.

    Raises ValueError unless exactly one is given and is a store, FileNotFoundError for a metadata file
    that does not exist.
    """
    if (path is None) == (basedir is None):
        raise NotAStoreError("give either path or basedir")
    if mode != "r":
        raise UnknownNameError("mode", mode, ["r"])
    if basedir is not None and Path(basedir).name == METADATA_FILENAME:
        raise NotAStoreError(f"basedir is the folder of a store, not {basedir}")
    place = Path(path if path is not None else basedir or "")
    if place.name == METADATA_FILENAME and not place.exists():
        raise FileNotFoundError(f"{place} does not exist")
    file = find_metadata(place)
    metadata = load_metadata(file)
    kind = DirectoryImgStore if metadata.store_class == DIRECTORY_CLASS else VideoImgStore
    return kind(basedir=file.parent)


def new_for_format(
    fmt: str | None,
    path: str | os.PathLike[str] | None = None,
    *,
    mode: str = "w",
    basedir: str | os.PathLike[str] | None = None,
    imgshape: Sequence[int] | None = None,
    imgdtype: npt.DTypeLike = np.uint8,
    chunksize: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> "ImgStore":
    """Make a store of format `fmt`, or with `mode="r"` open one, whatever its format.

    Parameters
    ----------
    path : folder that does not exist yet, or the `metadata.yaml` in it; or give `basedir`, the folder.
    imgshape : (rows, columns) or (rows, columns, 3).
    """
    if mode == "r":
        return new_for_filename(path, basedir=basedir)
    if path is not None and Path(path).name == METADATA_FILENAME:
        path = Path(path).parent
    place = path if path is not None else basedir
    if place is None or imgshape is None or fmt is None:
        raise NotAStoreError("a new store needs a format, a path and imgshape=(rows, columns[, 3])")
    name = _ALIASES.get(fmt, fmt)
    kind = DirectoryImgStore if FORMATS.get(name).store_class == DIRECTORY_CLASS else VideoImgStore
    return kind(
        basedir=place,
        mode=mode,
        imgshape=imgshape,
        imgdtype=imgdtype,
        chunksize=chunksize,
        metadata=metadata,
        format=name,
    )


def extract_only_frame(path: str | os.PathLike[str], frame_index: int) -> Image:
    """Return the image at `frame_index` of the store at `path`."""
    with new_for_filename(path) as store:
        return store.get_image(frame_number=None, frame_index=frame_index)[0]


class ImgStore:
    """A store as loopbio's package presents it, for reading (`mode="r"`) or writing (`mode="w"`)."""

    _default_format = ""

    def __init__(
        self,
        basedir: str | os.PathLike[str],
        mode: str = "r",
        imgshape: Sequence[int] | None = None,
        imgdtype: npt.DTypeLike = np.uint8,
        chunksize: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        format: str | None = None,  # noqa: A002  # loopbio's name
    ) -> None:
        if mode not in ("r", "w"):
            raise UnknownNameError("mode", mode, ["r", "w"])
        self.mode = mode
        self._writer: StoreWriter | None = None
        self._reader: StoreReader | None = None
        if mode == "w":
            if imgshape is None:
                raise NotAStoreError("a new store needs imgshape=(rows, columns[, 3])")
            name = _ALIASES.get(format or "", format) or self._default_format
            self._writer = create(
                basedir, imgshape, imgdtype, format=name, chunksize=chunksize, metadata=metadata
            )
        file = find_metadata(Path(basedir))
        self._metadata_value = load_metadata(file)
        if mode == "r":
            self._reader = StoreReader(file.parent, self._metadata_value)
        self._basedir = str(file.parent)
        self._at = -1
        self._first_time = self._last_time = np.nan
        self.frame_number: float = np.nan
        self.frame_time: float = np.nan
        self.frame_min: float = np.nan
        self.frame_max: float = np.nan
        self.frame_count = 0
        if self._reader is not None and len(self._reader):
            self.frame_count = len(self._reader)
            self.frame_min = float(self._reader.numbers.min())
            self.frame_max = float(self._reader.numbers.max())
            self._first_time = float(np.nanmin(self._reader.times))
            self._last_time = float(np.nanmax(self._reader.times))

    @property
    def filename(self) -> str:
        """Folder of the store."""
        return self._basedir

    @property
    def full_path(self) -> str:
        """Path of the metadata file."""
        return str(Path(self._basedir) / METADATA_FILENAME)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of the images as they are read."""
        return self._metadata_value.spec.shape

    @property
    def user_metadata(self) -> dict[str, Any]:
        """What the caller of the writer wanted to keep."""
        return dict(self._metadata_value.user)

    @property
    def uuid(self) -> str | None:
        """Identifier of the store."""
        return self._metadata_value.uuid

    @property
    def created(self) -> tuple[datetime, ZoneInfo]:
        """When the store was made, in UTC, and the zone of the machine."""
        return self._metadata_value.created, self._metadata_value.timezone

    @property
    def lossless(self) -> bool:
        """Whether images come back bit for bit."""
        return FORMATS.get(self._metadata_value.format).lossless

    @property
    def chunks(self) -> list[int]:
        """Numbers of the chunks that hold frames."""
        return list(self._reading().chunks)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last; 0.0 for an empty store."""
        return self._last_time - self._first_time if self.frame_count else 0.0

    @property
    def frame_time_min(self) -> float:
        """Earliest time."""
        return self._first_time

    @property
    def frame_time_max(self) -> float:
        """Latest time."""
        return self._last_time

    @property
    def has_extra_data(self) -> bool:
        """Whether there are records beside the frames."""
        return self.get_extra_data() is not None

    @property
    def _metadata(self) -> Mapping[str, Any]:
        return self._metadata_value.store

    def add_image(self, img: Image, frame_number: int, frame_time: float) -> None:
        """Append an image."""
        self._writing().append(Frame(img, self.frame_count, frame_number, frame_time))
        self._first_time = float(np.fmin(self._first_time, frame_time))
        self._last_time = float(np.fmax(self._last_time, frame_time))
        self.frame_min = float(np.fmin(self.frame_min, frame_number))
        self.frame_max = float(np.fmax(self.frame_max, frame_number))
        self.frame_number, self.frame_time = frame_number, frame_time
        self.frame_count += 1

    def add_extra_data(self, **data: object) -> None:
        """Append a record, stamped with the last frame."""
        self._writing().append_extra(data)

    def get_next_image(self) -> FrameAndMetadata:
        """Return the image after the last one read, in order of the index. Raises EOFError at the end."""
        if self._at + 1 >= self.frame_count:
            raise EOFError(f"all {self.frame_count} frames of {self._basedir} are read")
        return self._read(self._at + 1)

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
            return self._read(int(frame_index))
        if frame_number is None:
            raise FrameNotFoundError("give a frame_number or a frame_index")
        return self._show(reader.by_number(frame_number, exact=exact_only))

    def get_nearest_image(self, frame_time: float) -> FrameAndMetadata:
        """Return the image whose time is nearest."""
        return self._show(self._reading().by_time(frame_time))

    def get_next_framenumber(self) -> int:
        """Return the number of the frame that `get_next_image` gives. Raises EOFError at the end."""
        if self._at + 1 >= self.frame_count:
            raise EOFError(f"all {self.frame_count} frames of {self._basedir} are read")
        return int(self._reading().numbers[self._at + 1])

    def get_frame_metadata(self) -> dict[str, list[Any]]:
        """Return `frame_number` and `frame_time` of all frames, in order of the index."""
        reader = self._reading()
        return {"frame_number": reader.numbers.tolist(), "frame_time": reader.times.tolist()}

    def get_extra_data(self) -> pd.DataFrame | None:
        """Return all records, a row each; None if there are none."""
        if self._reader is not None:
            return self._reader.extra()
        with StoreReader(Path(self._basedir), self._metadata_value) as reader:
            return reader.extra()

    def convert_frame_time_to_datetime(self, time: float, tz: ZoneInfo | None = None) -> datetime:
        """Return a frame's time as a datetime in the store's zone, or in `tz`."""
        epoch = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
        return (epoch + timedelta(seconds=time)).astimezone(tz or self._metadata_value.timezone)

    def close(self) -> None:
        """Finish writing, or let go of the files. Closing twice is harmless."""
        for side in (self._writer, self._reader):
            if side is not None:
                side.close()

    def __len__(self) -> int:
        return self.frame_count

    def __enter__(self) -> "ImgStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, index: int) -> FrameAndMetadata:
        return self._show(self._reading()[index])

    def _show(self, frame: Frame) -> FrameAndMetadata:
        self._at, self.frame_number, self.frame_time = frame.index, frame.number, frame.time
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

    _default_format = "mjpeg/avi"


class DirectoryImgStore(ImgStore):
    """A store whose chunks are folders of images."""

    _default_format = "png"


__all__ = [
    "STORE_LOCK_FILENAME",
    "STORE_MD_FILENAME",
    "STORE_MD_KEY",
    "DirectoryImgStore",
    "FrameSpec",
    "ImgStore",
    "StoreMetadata",
    "VideoImgStore",
    "extract_only_frame",
    "get_supported_formats",
    "new_for_filename",
    "new_for_format",
]
