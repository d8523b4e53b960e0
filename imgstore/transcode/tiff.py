"""A store as one TIFF file, a page for each frame, with a table of the frames beside it."""

import json
import math
import os
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from imgstore.errors import (
    FrameFormatError,
    FrameNotFoundError,
    MissingDependencyError,
    UnknownNameError,
)
from imgstore.frame import Frame, FrameSpec
from imgstore.interrupt import deferred_interrupt
from imgstore.layout import replacing
from imgstore.metadata import find_metadata
from imgstore.options import Crop, ReadOptions
from imgstore.reader import Moment, StoreReader
from imgstore.transcode.convert import open_frames
from imgstore.transcode.output import FrameProgress, check_output, check_outside, counter
from imgstore.transcode.span import RangeBy, find_range

if TYPE_CHECKING:
    from tifffile import TiffWriter

TiffCompression: TypeAlias = Literal["none", "deflate", "lzw"]
"""How pages are compressed, without loss."""

TIFF_COMPRESSIONS: tuple[TiffCompression, ...] = get_args(TiffCompression)

_SUFFIXES = (".tif", ".tiff")
_DTYPES = ("uint8", "uint16", "float32")
_PAGE_BYTES = 1024  # of a page, besides its pixels
_MOST_GROWTH = 1.5  # noise becomes larger when it is compressed
_CLASSIC_BYTES = 1 << 32
_CODES = {"deflate": 8, "lzw": 5}  # 8 is Adobe's; the older number for the same, 32946, is less known
_DEFLATE_LEVEL = 1  # 6 takes five times as long, for files that are a tenth to a quarter smaller


@dataclass(frozen=True, slots=True)
class ExportedTiff:
    """A TIFF that was written.

    Attributes
    ----------
    path : of the file.
    table : of the table beside it.
    frames : how many pages it has.
    is_big : whether it is a BigTIFF, which may be larger than 4 GB.
    """

    path: Path
    table: Path
    frames: int
    is_big: bool


def export_tiff(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    start: Moment | None = None,
    stop: Moment | None = None,
    *,
    by: RangeBy = "time",
    grey: bool = False,
    crop: Crop | None = None,
    scale: float = 1.0,
    compression: TiffCompression = "none",
    progress: FrameProgress | None = None,
    force: bool = False,
) -> ExportedTiff:
    """Write a store, or part of it, as one TIFF with a page for each frame, pixel for pixel as it is read.

    Each page says in its description, as JSON, which frame it is: `index`, `number`, `time` (Unix seconds)
    and `local` time. The same stands in a table, a row for each page from 1, in a file of this name that ends
    with `.csv`. Frames that were lost have no page. What may become larger than 4 GB is a BigTIFF.

    These are plain pages, no ImageJ hyperstack, which cannot be compressed or exceed 4 GB, and no OME-TIFF,
    whose first page would have to list all frames, megabytes of XML for an hour.

    Parameters
    ----------
    source : folder of the store.
    destination : .tif or .tiff; it must not exist, and not lie in the store.
    start, stop, by : which frames; see `find_range`.
    grey, crop, scale : how frames are read; see `open`.
    compression : of the pages.
    progress : called with the frames that are done, and all.
    force : replace a file at `destination`, and its table.

    Raises
    ------
    OutputExistsError
        There is something at `destination`, or where its table goes.
    FrameNotFoundError
        There is no frame in the range.
    FrameFormatError, UnknownNameError
        The frames are neither grey nor colour, of 8 or 16 bit or float32; the ending or the compression is
        none of these.
    MissingDependencyError
        tifffile is not installed, or for LZW imagecodecs.
    ChunkError
        A frame cannot be read.
    KeyboardInterrupt
        At Ctrl-C; there is no file then.
    """
    place, table = _places(destination, force=force)
    if compression not in TIFF_COMPRESSIONS:
        raise UnknownNameError("compression of a TIFF", compression, TIFF_COMPRESSIONS)
    writer = _writer_class()
    root = find_metadata(Path(source)).parent
    check_outside(place, root)
    with open_frames(root, ReadOptions(grey, crop, scale)) as reader, ExitStack() as stack:
        _check_spec(reader.spec)
        options = _page_options(reader.spec, compression)
        frames = find_range(reader, start, stop, by=by)
        is_big = _needs_big(reader.spec, len(frames), compression)
        pressed = stack.enter_context(deferred_interrupt())
        image_file = stack.enter_context(replacing(place))
        rows_file = stack.enter_context(replacing(table))
        tick = counter(len(frames), progress, pressed.is_set)
        tiff = stack.enter_context(writer(image_file, bigtiff=is_big))
        pages = stack.enter_context(closing(_frames(reader, frames)))
        rows_file.write(b"page,index,number,time,local\n")
        for page, (frame, local) in enumerate(pages, 1):
            _write_page(tiff, frame, local, options)
            rows_file.write(_row(page, frame, local))
            tick()
    return ExportedTiff(place, table, len(frames), is_big)


def _places(destination: str | os.PathLike[str], *, force: bool) -> tuple[Path, Path]:
    """Return where the file and its table go."""
    place = Path(destination)
    if place.suffix.lower() not in _SUFFIXES:
        raise UnknownNameError("kind of TIFF", place.suffix or place.name, _SUFFIXES)
    return check_output(place, force=force), check_output(place.with_suffix(".csv"), force=force)


def _writer_class() -> type["TiffWriter"]:
    try:
        from tifffile import TiffWriter
    except ModuleNotFoundError as exc:
        raise MissingDependencyError("TIFF needs tifffile: pip install 'ethostore[tiff]'") from exc
    return TiffWriter


def _check_spec(spec: FrameSpec) -> None:
    if not (len(spec.shape) == 2 or spec.is_colour) or spec.dtype.name not in _DTYPES:
        raise FrameFormatError(
            f"frames of {spec.dtype} of shape {spec.shape} cannot be pages of a TIFF; those in grey or "
            f"colour, of {', '.join(_DTYPES)}, can"
        )


def _needs_big(spec: FrameSpec, frames: int, compression: TiffCompression) -> bool:
    """Return whether the file may become too large for offsets of 32 bits."""
    growth = 1.0 if compression == "none" else _MOST_GROWTH
    page = math.prod(spec.shape) * spec.dtype.itemsize * growth + _PAGE_BYTES
    return page * (frames + 1) >= _CLASSIC_BYTES


def _frames(reader: StoreReader, frames: range) -> Generator[tuple[Frame, datetime | None], None, None]:
    """Yield frames with their local times, None for what is no time."""
    for frame in reader.read_ahead(frames):
        local: datetime | None = None
        with suppress(FrameNotFoundError):
            local = reader.local_time(frame.time)
        yield frame, local


def _facts(frame: Frame, local: datetime | None) -> dict[str, object]:
    """Return which frame a page is."""
    return {
        "index": frame.index,
        "number": frame.number,
        "time": frame.time if math.isfinite(frame.time) else None,
        "local": local and local.isoformat(),
    }


def _row(page: int, frame: Frame, local: datetime | None) -> bytes:
    """Return the line of a page in the table."""
    values = ("" if value is None else str(value) for value in _facts(frame, local).values())
    return f"{page},{','.join(values)}\n".encode()


def _page_options(spec: FrameSpec, compression: TiffCompression) -> dict[str, Any]:
    """Return how tifffile writes each page. Raises MissingDependencyError."""
    options: dict[str, Any] = {
        "photometric": "rgb" if spec.is_colour else "minisblack",
        "contiguous": False,  # else there would be one description for all
        "metadata": None,
        "software": "ethostore",
    }
    if compression == "none":
        return options
    if compression == "lzw" and find_spec("imagecodecs") is None:
        raise MissingDependencyError(
            "LZW needs imagecodecs: pip install 'ethostore[tiff-lzw]'; deflate does without"
        )
    if compression == "deflate":
        options["compressionargs"] = {"level": _DEFLATE_LEVEL}
    # neighbours differ by little, and little packs well; of floats few programs can undo it
    return options | {"compression": _CODES[compression], "predictor": spec.dtype.kind == "u"}


def _write_page(tiff: "TiffWriter", frame: Frame, local: datetime | None, options: Mapping[str, Any]) -> None:
    image = frame.image
    tiff.write(
        np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image),  # red first
        description=json.dumps(_facts(frame, local)),
        datetime=local,
        **options,
    )
