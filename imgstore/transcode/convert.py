"""Stores made of recordings: other formats, chunks, colours and sizes, the same frames."""

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from imgstore.checksums import keep_checksums, record_chunk
from imgstore.encoding import is_mosaic
from imgstore.errors import EmptyStoreError, SettingsError
from imgstore.formats import FORMATS, ChunkFormat, FormatSettings
from imgstore.formats.settings import parse_settings
from imgstore.frame import FrameSequence, FrameSpec
from imgstore.layout import journal_path
from imgstore.metadata import STORE_KEY, StoreMetadata, find_metadata, load_metadata
from imgstore.options import AS_STORED, Crop, ReadOptions
from imgstore.reader import StoreReader
from imgstore.transcode.events import copy_events
from imgstore.transcode.output import FrameProgress as FrameProgress
from imgstore.transcode.pieces import Piece, PieceWriter, Recipe, is_finished
from imgstore.transcode.staging import staged
from imgstore.transcode.workers import Worker, run_tasks
from imgstore.writer import DEFAULT_FORMAT, describe

P = TypeVar("P", bound=Piece)

MADE_FROM = "made_from"
"""Key of the store section: what the store was made from, and how."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A store that was made.

    Attributes
    ----------
    path : folder of the store.
    frames, chunks : how many it holds.
    kept : chunks that an earlier attempt had finished.
    encoded : frames that were encoded in this one; others were copied as they lay, or had been done.
    """

    path: Path
    frames: int
    chunks: int
    kept: int
    encoded: int


def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  # the format's own word for it
    chunksize: int | None = None,
    settings: str | FormatSettings | None = None,
    grey: bool = False,
    crop: Crop | None = None,
    scale: float = 1.0,
    workers: int | None = 1,
    progress: FrameProgress | None = None,
    force: bool = False,
) -> Converted:
    """Make a new store of a store: frames keep their numbers, times and extra data, the store its metadata.

    Its events go along as they are. Chunks are written one by one, or several at a time in processes of their
    own. A call that was interrupted or killed goes on where it stopped when it is made again. A store that is
    still being written is converted up to the frame that it holds now.

    Parameters
    ----------
    source : folder of the store.
    destination : folder of the new one; it must not exist.
    format : of the chunks; None for that of the source, or "h264/mkv" if it cannot be written.
    chunksize : frames per chunk; None for that of the source, or the format's own where files of chunks
        become folders, or folders files.
    settings : see `create`; None for those of the source if the format stays, else "balanced".
    grey, crop, scale : how frames are read; see `open`. Frames that lie as the camera gave them, Bayer
        mosaics, stay so as long as none of these and no lossy format is asked for.
    workers : processes; None for as many as the processor has room for. Programs that use more than one need
        the usual `if __name__ == "__main__"`.
    progress : called with the frames that are done, and all.
    force : replace a store at `destination` when the new one is complete, and drop an unfinished one.

    Raises
    ------
    StoreExistsError
        There is something at `destination`, or an unfinished conversion of another store, or to another one.
    FrameFormatError, SettingsError, UnknownNameError
        The format cannot hold such frames, does not take these settings, or does not exist.
    ChunkError
        A frame cannot be read, or the disk refuses.
    EmptyStoreError
        The source holds no frames.
    KeyboardInterrupt
        At Ctrl-C; finished chunks stay in `DESTINATION.partial`, to be gone on with.
    """
    options = ReadOptions(grey, crop, scale)
    root = find_metadata(Path(source)).parent
    metadata = load_metadata(root / "metadata.yaml")
    name = format or writable_format(metadata)
    keeps_format = FORMATS.get(name).name == metadata.format
    choice = settings if settings is not None else (metadata.settings if keeps_format else None)
    raw = options == AS_STORED and _stays_raw(metadata, FORMATS.get(name), choice)
    if chunksize is None and FORMATS.get(name).store_class == metadata.store_class:
        chunksize = metadata.chunksize
    with open_frames(root, options, raw=raw) as reader:
        made_from = {"did": "convert", **identity(reader), **plain_options(options)}
        content = new_store(
            reader.spec,
            format=name,
            chunksize=chunksize,
            settings=choice,
            user=metadata.user,
            encoding=metadata.encoding if raw else None,
            made_from=made_from,
        )
        keep_origin(content, metadata)
        return encode_store(
            partial(open_frames, root, options, raw=raw),
            reader,
            Path(destination),
            content,
            Run(workers, progress, force),
            source=root,
            format=name,
            begin=partial(copy_events, root),
        )


def open_frames(root: Path, options: ReadOptions = AS_STORED, *, raw: bool = False) -> StoreReader:
    """Open a store; if `raw`, to read frames as they lie, not decoded to colour."""
    metadata = load_metadata(root / "metadata.yaml")
    if raw:
        metadata = replace(metadata, spec=metadata.stored_spec, encoding=None)
    return StoreReader(root, metadata, options=options)


def writable_format(metadata: StoreMetadata) -> str:
    """Return the format of a store if it can be written, else the default one."""
    if metadata.format == "mjpeg":  # what it was called in old stores
        return "mjpeg/avi"
    return metadata.format if metadata.format in FORMATS else DEFAULT_FORMAT


def new_store(
    spec: FrameSpec,
    *,
    format: str,  # noqa: A002
    chunksize: int | None,
    settings: str | FormatSettings | None,
    user: Mapping[str, Any],
    made_from: Mapping[str, Any],
    encoding: str | None = None,
) -> dict[str, Any]:
    """Return the content of the metadata of a store that is made from another recording.

    Raises FrameFormatError, SettingsError, UnknownNameError if the format cannot hold frames of `spec`.
    """
    chunk_format = FORMATS.get(format)
    chunk_format.check(spec)
    chosen = fitting_settings(chunk_format, spec, settings)
    content = describe(chunk_format, spec, chosen, chunksize, user, encoding, stacklevel=4)
    content[STORE_KEY][MADE_FROM] = {key: value for key, value in made_from.items() if value is not None}
    return content


def keep_origin(content: dict[str, Any], metadata: StoreMetadata) -> None:
    """Let a new store say when and where was recorded, not when it was made."""
    content[STORE_KEY]["created_utc"] = metadata.created.replace(tzinfo=None).isoformat()
    content[STORE_KEY]["timezone_local"] = metadata.timezone.key


def identity(reader: StoreReader) -> dict[str, Any]:
    """Return what tells a store from others, and from itself when it held fewer frames."""
    check = zlib.crc32(np.ascontiguousarray(reader.times).data, zlib.crc32(reader.numbers.tobytes()))
    return {
        "name": reader.path.resolve().name,
        "uuid": reader.metadata.uuid,
        "frames": len(reader),
        "numbers_and_times_crc32": check,
        MADE_FROM: reader.metadata.store.get(MADE_FROM),
    }


def plain_options(options: ReadOptions) -> dict[str, Any]:
    """Return reading options as they stand in the metadata."""
    crop = options.crop and [int(pixels) for pixels in options.crop]
    return {"grey": options.grey, "crop": crop, "scale": float(options.scale)}


def encode_store(
    open_source: Callable[[], FrameSequence],
    frames: FrameSequence,
    destination: Path,
    content: Mapping[str, Any],
    run: "Run",
    *,
    source: Path,
    format: str,  # noqa: A002
    begin: Callable[[Path], None] = lambda folder: None,
) -> Converted:
    """Encode all frames of a recording into a new store.

    Parameters
    ----------
    open_source : opens the recording in a process that works on it.
    frames : the recording, open.
    destination : folder of the new store.
    content : of its metadata.
    run : how to go about it.
    source : where the recording lies.
    format : of the chunks, as the caller named it.
    begin : called with the folder that the chunks go into, to put into it what goes beside them.
    """
    if not len(frames):
        raise EmptyStoreError(f"{source} holds no frames")
    with staged(destination, content, source=source, force=run.force) as (root, store):
        size = int(store["chunksize"])
        starts = range(0, len(frames), size)
        pieces = [
            Piece(chunk, range(first, min(first + size, len(frames)))) for chunk, first in enumerate(starts)
        ]
        settings = parse_settings(store["settings"]) or FormatSettings()
        worker = PieceWriter(open_source, Recipe(root, format, frames.spec, settings, store))
        begin(root)
        return fill(root, worker, pieces, destination, run, suffix=store.get("extension", ""))


@dataclass(frozen=True, slots=True)
class Run:
    """How a store is made; see `convert`."""

    workers: int | None = 1
    progress: FrameProgress | None = None
    force: bool = False


def fill(
    root: Path, worker: Worker[P], pieces: Sequence[P], destination: Path, run: Run, *, suffix: str
) -> Converted:
    """Write the pieces of a new store that an earlier attempt has not finished.

    Parameters
    ----------
    root : folder that the chunks go into.
    destination : what it will be called.
    """
    total = sum(len(piece.frames) for piece in pieces)
    missing = [piece for piece in pieces if not is_finished(root, piece, suffix)]
    for piece in pieces:
        journal_path(root, piece.chunk).unlink(missing_ok=True)  # an index was written, and the writer killed
    done = total - sum(len(piece.frames) for piece in missing)

    def tick(more: int) -> None:
        nonlocal done
        done += more
        if run.progress is not None:
            run.progress(done, total)

    tick(0)
    run_tasks(worker, missing, run.workers or processors(), tick)
    keep_checksums(root)
    for piece in pieces:
        record_chunk(root, piece.chunk, suffix)
    encoded = sum(len(piece.frames) for piece in missing if piece.is_encoded)
    return Converted(destination, total, len(pieces), len(pieces) - len(missing), encoded)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stays_raw(
    metadata: StoreMetadata, chunk_format: ChunkFormat, choice: str | FormatSettings | None
) -> bool:
    """Return whether frames that are encoded, as mosaics say, are kept so: lossy video would spoil them."""
    if metadata.encoding is None:
        return False
    if not is_mosaic(metadata.encoding) or chunk_format.name == metadata.format:
        return True
    settings = fitting_settings(chunk_format, metadata.stored_spec, choice)
    return chunk_format.is_lossless(metadata.stored_spec, settings)


def fitting_settings(
    chunk_format: ChunkFormat, spec: FrameSpec, choice: str | FormatSettings | None
) -> FormatSettings:
    """Return what frames are encoded with; what stands in a store may have been chosen for colour.

    Raises SettingsError.
    """
    try:
        return chunk_format.settings(spec, choice)
    except SettingsError:
        if not isinstance(choice, FormatSettings) or choice.pixel_format is None:
            raise
        return chunk_format.settings(spec, replace(choice, pixel_format=None))
