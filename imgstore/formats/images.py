"""A folder per chunk, a file per image."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from imgstore.errors import ChunkError, FrameFormatError
from imgstore.frame import FrameSpec, Image
from imgstore.layout import chunk_name, sync
from imgstore.metadata import DIRECTORY_CLASS


@dataclass(frozen=True, slots=True)
class FolderFormat:
    """Images as files of their own.

    Attributes
    ----------
    ending : of an image file.
    lossless : whether the images come back bit for bit.
    encode, decode : image to the bytes of a file and back; `decode` gets the spec of the store.
    check : raises FrameFormatError if such frames cannot be kept.
    """

    ending: str
    lossless: bool
    encode: Callable[[Image], bytes]
    decode: Callable[[bytes, FrameSpec], Image]
    check: Callable[[FrameSpec], None]

    store_class = DIRECTORY_CLASS
    suffix = ""
    chunksize = 200

    def pads(self, spec: FrameSpec) -> bool:
        """Return False: an image file holds any size."""
        return False

    def open_writer(self, path: Path, spec: FrameSpec) -> "FolderWriter":
        """Make the folder at `path`."""
        self.check(spec)
        try:
            path.mkdir()
        except OSError as exc:
            raise ChunkError(f"the chunk {path} cannot be made ({exc.strerror})") from exc
        return FolderWriter(path, self)

    def open_reader(self, path: Path, spec: FrameSpec) -> "FolderReader":
        """Open the folder at `path`."""
        if not path.is_dir():
            raise ChunkError(f"the chunk {path} is missing")
        return FolderReader(path, self, spec)


class FolderWriter:
    """Writes a file per image."""

    def __init__(self, path: Path, chunk_format: FolderFormat) -> None:
        self._path = path
        self._format = chunk_format
        self._count = 0
        self._unsynced: list[Path] = []

    def append(self, image: Image, time: float) -> None:
        """Write the next image; its time stands in the index only."""
        file = self._path / f"{chunk_name(self._count)}{self._format.ending}"
        try:
            file.write_bytes(self._format.encode(image))
        except OSError as exc:
            file.unlink(missing_ok=True)  # half an image is none
            raise ChunkError(f"{file} cannot be written ({exc.strerror})") from exc
        self._count += 1
        self._unsynced.append(file)

    def sync(self) -> None:
        """Make all images survive a power cut."""
        files, self._unsynced = self._unsynced, []
        for file in files:
            sync(file)
        sync(self._path)

    def close(self) -> None:
        """Do nothing: every image is whole as soon as it is appended."""


class FolderReader:
    """Reads a file per image."""

    def __init__(self, path: Path, chunk_format: FolderFormat, spec: FrameSpec) -> None:
        self._path = path
        self._format = chunk_format
        self._spec = spec

    def __len__(self) -> int:
        return sum(1 for _ in self._path.glob(f"[0-9]*{self._format.ending}"))

    def read(self, offset: int) -> Image:
        """Return the image at `offset`."""
        file = self._path / f"{chunk_name(offset)}{self._format.ending}"
        try:
            image = self._format.decode(file.read_bytes(), self._spec)
        except OSError as exc:
            raise ChunkError(f"{file} cannot be read ({exc.strerror})") from exc
        except (ValueError, EOFError, cv2.error) as exc:
            raise ChunkError(f"{file} is broken: it holds no {self._format.ending[1:]} image") from exc
        if image.shape != self._spec.shape:
            raise ChunkError(f"{file} has shape {image.shape}, the store {self._spec.shape}")
        return image

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _encoder(ending: str, *parameters: int) -> Callable[[Image], bytes]:
    def encode(image: Image) -> bytes:
        _, data = cv2.imencode(ending, image, parameters)
        return data.tobytes()

    return encode


def _decode(data: bytes, spec: FrameSpec) -> Image:
    flags = cv2.IMREAD_COLOR_BGR if spec.is_colour else cv2.IMREAD_GRAYSCALE
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_ANYDEPTH)
    if image is None:  # what OpenCV says of a broken file; its type stubs do not know
        raise ValueError("no image")
    return image


def _check_depth(name: str, dtypes: tuple[str, ...]) -> Callable[[FrameSpec], None]:
    def check(spec: FrameSpec) -> None:
        if spec.dtype.name not in dtypes or not (len(spec.shape) == 2 or spec.is_colour):
            raise FrameFormatError(
                f"format {name!r} holds grey or colour frames of {' or '.join(dtypes)}, "
                f"not {spec.dtype} of shape {spec.shape}; 'npy' holds any"
            )

    return check


PNG = FolderFormat(
    ".png",
    True,
    _encoder(".png", cv2.IMWRITE_PNG_COMPRESSION, 1),
    _decode,
    _check_depth("png", ("uint8", "uint16")),
)
JPG = FolderFormat(
    ".jpg", False, _encoder(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95), _decode, _check_depth("jpg", ("uint8",))
)
