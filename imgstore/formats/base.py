"""What a chunk format gives: a writer and a reader of the images of one chunk."""

from pathlib import Path
from typing import Protocol

from imgstore.frame import FrameSpec, Image


class ChunkWriter(Protocol):
    """Takes the images of one chunk, in order."""

    def append(self, image: Image, time: float) -> None:
        """Write the next image. Raises ChunkError if it cannot be written."""

    def sync(self) -> None:
        """Make what was appended survive a power cut; any thread may call it. Raises OSError."""

    def close(self) -> None:
        """Finish the chunk. Closing twice is harmless."""


class ChunkReader(Protocol):
    """Gives the images of one chunk by offset."""

    def __len__(self) -> int:
        """Return the number of images that can be read."""

    def read(self, offset: int) -> Image:
        """Return the image at `offset`, from 0, as a new array. Raises ChunkError."""

    def close(self) -> None:
        """Let go of all files. Closing twice is harmless."""


class ChunkFormat(Protocol):
    """One way to keep the images of a chunk.

    Attributes
    ----------
    store_class : class name in the metadata, which says whether chunks are files or folders.
    suffix : ending of a chunk file; "" where a chunk is a folder.
    lossless : whether the images come back bit for bit.
    chunksize : frames per chunk unless the caller says otherwise.
    """

    @property
    def store_class(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def lossless(self) -> bool: ...
    @property
    def chunksize(self) -> int: ...

    def check(self, spec: FrameSpec) -> None:
        """Raise FrameFormatError, naming a format that can, if such frames cannot be kept."""

    def pads(self, spec: FrameSpec) -> bool:
        """Return whether images lie on disk one row or column larger than they are."""

    def open_writer(self, path: Path, spec: FrameSpec) -> ChunkWriter:
        """Make a new chunk at `path`, which must not exist."""

    def open_reader(self, path: Path, spec: FrameSpec) -> ChunkReader:
        """Open the chunk at `path`. Raises ChunkError if it is missing or broken."""
