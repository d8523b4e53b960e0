"""A folder per chunk, a file per image, written by a few threads."""

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from imgstore.errors import ChunkError
from imgstore.formats.settings import FormatSettings, SettingsTable
from imgstore.frame import FrameSpec, Image
from imgstore.layout import chunk_name, sync, write_whole
from imgstore.metadata import DIRECTORY_CLASS
from imgstore.options import AS_STORED, ReadOptions
from imgstore.waiting import wait

WRITE_THREADS = range(1, 65)
"""How many threads may write images."""

Data = Sequence[bytes | memoryview]
"""What follows each other in a file."""

_QUEUED_PER_THREAD = 3


@dataclass(frozen=True, slots=True)
class FolderFormat:
    """Images as files of their own.

    Attributes
    ----------
    name : in the metadata.
    ending : of an image file.
    lossless : whether grey images come back bit for bit.
    encode : an image to what stands in its file.
    decode : the open file to an image of the spec; raises ValueError if it is broken.
    check : raises FrameFormatError if such frames cannot be kept.
    table : of the settings.
    colour : whether grey images are made colour before they are written.
    grey : whether colour images are made grey; reading gives three equal channels.
    readers : how many images may be decoded at once; 0 where that is quicker than to hand them over.
    """

    name: str
    ending: str
    lossless: bool
    encode: Callable[[Image, FormatSettings], Data]
    decode: Callable[[BinaryIO, FrameSpec], Image]
    check: Callable[[FrameSpec], None]
    table: SettingsTable
    colour: bool = False
    grey: bool = False
    readers: int = 0

    store_class = DIRECTORY_CLASS
    suffix = ""
    chunksize = 200

    def kept(self, spec: FrameSpec) -> FrameSpec:
        """Return `spec`, in colour if the format makes it so."""
        return FrameSpec((spec.rows, spec.columns, 3), spec.dtype) if self.colour else spec

    def settings(self, spec: FrameSpec, choice: str | FormatSettings | None = None) -> FormatSettings:
        """Return what `choice` means."""
        return self.table.choose(self.name, choice)

    def is_lossless(self, spec: FrameSpec, settings: FormatSettings | None) -> bool:
        """Return whether images come back bit for bit; settings change nothing in it."""
        return self.lossless and not (self.grey and spec.is_colour)

    def pads(self, spec: FrameSpec) -> bool:
        """Return False: an image file holds any size."""
        return False

    def open_writer(
        self, path: Path, spec: FrameSpec, settings: FormatSettings | None = None
    ) -> "FolderWriter":
        """Make the folder at `path`."""
        self.check(spec)
        try:
            path.mkdir()
        except OSError as exc:
            raise ChunkError(f"the chunk {path} cannot be made ({exc.strerror})") from exc
        return FolderWriter(path, self, settings or self.settings(spec))

    def open_reader(self, path: Path, spec: FrameSpec, options: ReadOptions = AS_STORED) -> "FolderReader":
        """Open the folder at `path`."""
        if not path.is_dir():
            raise ChunkError(f"the chunk {path} is missing")
        return FolderReader(path, self, spec, options)

    def follow(
        self, path: Path, spec: FrameSpec, options: ReadOptions, ended: Callable[[], bool]
    ) -> Iterator[Image]:
        """Yield the images as their files appear."""
        reader = self.open_reader(path, spec, options)
        for offset in count():
            if not wait(partial(reader.has, offset), lambda: not ended()):
                return
            yield reader.read(offset)


class FolderWriter:
    """Writes a file per image, a few at a time; a file appears whole or not at all.

    At most a few images per thread wait to be written: `append` blocks while there are more.
    """

    def __init__(self, path: Path, chunk_format: FolderFormat, settings: FormatSettings) -> None:
        threads = settings.threads or 1
        self._path = path
        self._format = chunk_format
        self._settings = settings
        self._count = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"write {path.name}")
        self._queued: deque[Future[Image]] = deque()
        self._spare: list[Image] = []  # what was copied into and is written: fresh memory costs more
        self._room = threads * _QUEUED_PER_THREAD
        self._unsynced: deque[Path] = deque()

    def append(self, image: Image, time: float) -> None:
        """Hand a copy of the image to a thread; its time stands in the index only."""
        self._settle(self._room - 1)
        file = self._path / f"{chunk_name(self._count)}{self._format.ending}"
        self._queued.append(self._pool.submit(self._write, file, self._copy(image)))
        self._count += 1

    def sync(self) -> None:
        """Make all images that are written survive a power cut."""
        while self._unsynced:
            sync(self._unsynced.popleft())
        sync(self._path)

    def close(self) -> None:
        """Wait until all images are written. Raises the ChunkError of the first that could not be."""
        try:
            self._settle(0)
        finally:
            self._pool.shutdown()
            self._queued.clear()  # of several errors the first is told

    def _settle(self, room: int) -> None:
        """Wait until at most `room` images are queued; raise what went wrong with those that are done."""
        while self._queued and (len(self._queued) > room or self._queued[0].done()):
            self._spare.append(self._queued.popleft().result())

    def _copy(self, image: Image) -> Image:
        if not self._spare:
            return image.copy()
        copy = self._spare.pop()
        copy[...] = image
        return copy

    def _write(self, file: Path, image: Image) -> Image:
        """Write a file and return the image, for its memory."""
        beside = file.with_name(f".{file.name}.partial")
        try:
            data = self._format.encode(self._converted(image), self._settings)
            with beside.open("wb", buffering=0) as stream:
                for part in data:
                    write_whole(stream, memoryview(part).cast("B"))
            beside.replace(file)
            self._unsynced.append(file)
        except (OSError, ValueError, cv2.error) as exc:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            reason = getattr(exc, "strerror", None) or exc
            raise ChunkError(f"{file} cannot be written ({reason})") from exc
        return image

    def _converted(self, image: Image) -> Image:
        if self._format.colour and image.ndim == 2:
            return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if self._format.grey and image.ndim == 3:
            return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return image


class FolderReader:
    """Reads a file per image."""

    def __init__(
        self, path: Path, chunk_format: FolderFormat, spec: FrameSpec, options: ReadOptions = AS_STORED
    ) -> None:
        self._path = path
        self._format = chunk_format
        self._spec = spec
        self._options = options

    def __len__(self) -> int:
        """Return how many images there are before the first that is missing, or empty after a power cut."""
        name = re.compile(r"([0-9]{6,})" + re.escape(self._format.ending))
        with os.scandir(self._path) as entries:
            offsets = {
                int(match[1])
                for entry in entries
                if (match := name.fullmatch(entry.name)) and entry.stat().st_size
            }
        return next(offset for offset in count() if offset not in offsets)

    def has(self, offset: int) -> bool:
        """Say whether there is an image at `offset`."""
        return self._file(offset).exists()

    def read(self, offset: int) -> Image:
        """Return the image at `offset`."""
        file = self._file(offset)
        try:
            with file.open("rb") as stream:
                image = self._format.decode(stream, self._spec)
        except OSError as exc:
            raise ChunkError(f"{file} cannot be read ({exc.strerror})") from exc
        except (ValueError, EOFError, MemoryError, cv2.error) as exc:
            what = f"{file} is broken: it holds no {self._format.ending[1:]} image of this store"
            raise ChunkError(f"{what} ({exc})" if isinstance(exc, ValueError) else what) from exc
        if image.shape != self._spec.shape:
            raise ChunkError(f"{file} has shape {image.shape}, the store {self._spec.shape}")
        return np.ascontiguousarray(self._options.apply(image))

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _file(self, offset: int) -> Path:
        return self._path / f"{chunk_name(offset)}{self._format.ending}"
