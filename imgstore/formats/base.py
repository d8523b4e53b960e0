"""What a chunk format gives: a writer and a reader of the images of one chunk."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from imgstore.formats.settings import FormatSettings
from imgstore.frame import FrameSpec, Image
from imgstore.options import AS_STORED, ReadOptions


class ChunkWriter(Protocol):
    """Takes the images of one chunk, in order."""

    def append(self, image: Image, time: float) -> None:
        """Write the next image; the caller may change it afterwards.

        Raises ChunkError if it, or one before it that was still being written, cannot be written. The
        image is then not counted: the next one appended takes its place.
        """

    def sync(self) -> None:
        """Make what was appended survive a power cut; any thread may call it. Raises OSError."""

    def close(self) -> None:
        """Finish the chunk. Raises ChunkError. Closing twice is harmless."""


class ChunkReader(Protocol):
    """Gives the images of one chunk by offset."""

    def __len__(self) -> int:
        """Return how many images there are, up to the last that can be read."""

    def read(self, offset: int) -> Image:
        """Return the image at `offset`, from 0, as a new array. Raises ChunkError."""

    def close(self) -> None:
        """Let go of all files. Closing twice is harmless."""


class ChunkFormat(Protocol):
    """One way to keep the images of a chunk.

    Attributes
    ----------
    name : in the metadata. "png+color" is a way to write "png", and says so here.
    store_class : class name in the metadata, which says whether chunks are files or folders.
    suffix : ending of a chunk file; "" where a chunk is a folder.
    lossless : whether grey images come back bit for bit with the settings of "balanced".
    chunksize : frames per chunk unless the caller says otherwise.
    readers : how many images of a chunk may be decoded at once; 0 if that is not worth handing them over.
    """

    @property
    def name(self) -> str: ...
    @property
    def store_class(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def lossless(self) -> bool: ...
    @property
    def chunksize(self) -> int: ...
    @property
    def readers(self) -> int: ...

    def check(self, spec: FrameSpec) -> None:
        """Raise FrameFormatError, naming a format that can, if such frames cannot be kept."""

    def kept(self, spec: FrameSpec) -> FrameSpec:
        """Return what frames of `spec` are when they are read: colour, where the format makes them so."""

    def settings(self, spec: FrameSpec, choice: str | FormatSettings | None = None) -> FormatSettings:
        """Return the settings that frames of `spec` are encoded with.

        Parameters
        ----------
        choice : a profile ("fast", "balanced", "small", "lossless"), or settings of which those that
            are None are taken from "balanced".

        Raises SettingsError, which says what would work, UnknownNameError.
        """

    def is_lossless(self, spec: FrameSpec, settings: FormatSettings | None) -> bool:
        """Return whether images come back bit for bit; None are the unknown settings of another writer."""

    def pads(self, spec: FrameSpec) -> bool:
        """Return whether images lie on disk one row or column larger than they are."""

    def open_writer(self, path: Path, spec: FrameSpec, settings: FormatSettings | None = None) -> ChunkWriter:
        """Make a new chunk at `path`, which must not exist, with what `settings` returned."""

    def open_reader(self, path: Path, spec: FrameSpec, options: ReadOptions = AS_STORED) -> ChunkReader:
        """Open the chunk at `path`, whose images are of `spec`, to be read as `options` say.

        Raises ChunkError if it is missing or broken.
        """

    def follow(
        self, path: Path, spec: FrameSpec, options: ReadOptions, ended: Callable[[], bool]
    ) -> Iterator[Image]:
        """Yield the images of a chunk that is being written, in order, each as soon as it can be read.

        Parameters
        ----------
        ended : says whether nothing more will be written to the chunk.

        Raises ChunkError.
        """
