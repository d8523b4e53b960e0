"""Part of a store as a store of its own, copied rather than encoded anew wherever that can be."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import numpy as np

from imgstore.chunk import chunk_path, index_stem
from imgstore.errors import ChunkError, ImgstoreError, VideoError
from imgstore.extra import EXTRA_SUFFIX, ExtraWriter
from imgstore.formats import FORMATS
from imgstore.formats.folders import FolderFormat
from imgstore.index import ChunkIndex, load_chunk_index, save_chunk_index
from imgstore.layout import chunk_name, sync
from imgstore.metadata import STORE_KEY, StoreMetadata, find_metadata
from imgstore.reader import Moment, StoreReader, format_of
from imgstore.transcode.carry import ExtraData
from imgstore.transcode.convert import (
    MADE_FROM,
    Converted,
    FrameProgress,
    Run,
    fill,
    fitting_settings,
    identity,
    keep_origin,
    open_frames,
)
from imgstore.transcode.events import cut_events
from imgstore.transcode.packets import copy_packets, list_packets
from imgstore.transcode.pieces import Piece, PieceWriter, Recipe, remove_chunk
from imgstore.transcode.span import RangeBy, find_range
from imgstore.transcode.staging import staged
from imgstore.transcode.workers import Tick

_ENCODERS = {".mkv": "h264/mkv", ".mp4": "avc1/mp4", ".avi": "mjpeg/avi"}
_AT_ONCE = 1 << 26
_CLOSE_QUALITY = 12  # CRF at which encoding once more is not seen
_LOOKED_AT = 3  # frames at either end of copied packets that are compared with what they were


def cut(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    start: Moment | None = None,
    stop: Moment | None = None,
    *,
    by: RangeBy = "time",
    progress: FrameProgress | None = None,
    force: bool = False,
) -> Converted:
    """Make a new store of part of a store.

    Chunks of which every frame is wanted are copied, and so are single images, and the packets of a video
    from a keyframe on. Only the frames of a video before its first keyframe in the range are encoded again;
    they become a chunk of their own. Frames keep number and time, and are otherwise counted from 0. Events go
    with the frames during which they happened.

    The first chunks may be short, which the format allows; loopbio's `extract_only_frame` and `reindex` take
    it that all chunks but the last have `chunksize` frames, and then are of no use. `convert` fills chunks.

    Parameters
    ----------
    source : folder of the store.
    destination : folder of the new one; it must not exist.
    start, stop, by : which frames; see `find_range`.
    progress, force : see `convert`.

    Raises
    ------
    FrameNotFoundError
        There is no frame in the range.
    StoreExistsError, ChunkError, KeyboardInterrupt
        As `convert` does.
    """
    root = find_metadata(Path(source)).parent
    with open_frames(root, raw=True) as reader:
        frames = find_range(reader, start, stop, by=by)
        content = _content(reader, frames)
        with staged(Path(destination), content, source=root, force=force) as (folder, store):
            worker = _Cutter(root, _recipe(folder, reader.metadata, store, frames.start))
            suffix = reader.metadata.suffix
            run = Run(1, progress, force)
            cut_events(reader, frames, folder)
            return fill(folder, worker, list(_pieces(reader, frames)), Path(destination), run, suffix=suffix)


@dataclass(frozen=True, slots=True)
class CutPiece(Piece):
    """A chunk to make, of which chunk, and how: "whole", by "images", by "packets", or "encoded"."""

    of: int = 0
    how: str = "encoded"


def _pieces(reader: StoreReader, frames: range) -> Iterator[CutPiece]:
    """Yield what is made of each chunk that holds some of the frames."""
    new = 0
    for chunk in reader.chunks:
        whole = reader.chunk_range(chunk)
        wanted = range(max(whole.start, frames.start), min(whole.stop, frames.stop))
        for part, how in _parts(reader, chunk, whole, wanted) if wanted else ():
            yield CutPiece(new, part, how == "encoded", chunk, how)
            new += 1


def _parts(reader: StoreReader, chunk: int, whole: range, wanted: range) -> list[tuple[range, str]]:
    metadata = reader.metadata
    if wanted == whole and _is_closed(reader, chunk, whole):
        return [(wanted, "whole")]
    if not metadata.suffix:
        return [(wanted, "images")]
    try:
        packets = list_packets(chunk_path(reader.path, chunk, metadata.suffix))
    except VideoError as exc:
        raise ChunkError(str(exc)) from exc
    if not packets.in_order:
        return [(wanted, "encoded")]
    key = min(whole.start + packets.keyframe_from(wanted.start - whole.start), wanted.stop)
    parts = ((range(wanted.start, key), "encoded"), (range(key, wanted.stop), "packets"))
    return [(part, how) for part, how in parts if part]


def _is_closed(reader: StoreReader, chunk: int, whole: range) -> bool:
    """Return whether a chunk has the index of all its frames, so that it will not change any more."""
    index = load_chunk_index(index_stem(reader.path, chunk, reader.metadata.suffix))
    return index is not None and len(index.numbers) == len(whole)


def _content(reader: StoreReader, frames: range) -> dict[str, Any]:
    """Return the metadata of a part: that of the store, but for who it is."""
    store = {
        **reader.metadata.store,
        "uuid": uuid4().hex,
        MADE_FROM: {"did": "cut", **identity(reader), "first": frames.start, "stop": frames.stop},
    }
    content = {**reader.metadata.user, STORE_KEY: store}
    keep_origin(content, reader.metadata)
    return content


def _recipe(folder: Path, metadata: StoreMetadata, store: Mapping[str, Any], origin: int) -> Recipe:
    """Return how frames are encoded that cannot be copied: as the rest, and so well that none sees it."""
    name = metadata.format
    if metadata.suffix and (name not in FORMATS or "nvenc" in name):
        name = _ENCODERS.get(metadata.suffix, "h264/mkv")
    chunk_format = FORMATS.get(name)
    spec = metadata.stored_spec
    settings = fitting_settings(chunk_format, spec, metadata.settings if name == metadata.format else None)
    if metadata.suffix and name != "mjpeg/avi" and settings.quality:
        settings = replace(settings, quality=min(settings.quality, _CLOSE_QUALITY))
    return Recipe(folder, name, spec, settings, store, origin)


class _Cutter:
    """Makes the chunks of a part.

    Parameters
    ----------
    root : folder of the store that is cut.
    recipe : for what has to be encoded.
    """

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self._root = root
        self._recipe = recipe
        self._encoder = PieceWriter(partial(open_frames, root, raw=True), recipe)

    def __enter__(self) -> None:
        self._encoder.__enter__()
        self._reader = open_frames(self._root, raw=True)
        self._suffix = self._reader.metadata.suffix
        self._extra = ExtraData(self._reader, self._recipe.origin)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._encoder.__exit__(kind, exc, trace)

    def do(self, piece: CutPiece, tick: Tick) -> None:
        """Make a chunk. Raises ChunkError; the chunk then is not there."""
        if piece.how == "encoded":
            self._encoder.do(piece, tick)
            return
        root, chunk = self._recipe.root, piece.chunk
        remove_chunk(root, chunk, self._suffix)
        try:
            self._copy(piece, tick)
            if piece.how == "packets" and not self._is_same(piece):
                self._encoder.do(piece, lambda _: tick(0))
            else:
                self._finish(piece)
        except BaseException as exc:
            remove_chunk(root, chunk, self._suffix)
            if isinstance(exc, OSError) and not isinstance(exc, ImgstoreError):
                what = f"chunk {piece.of} of {self._root} cannot be copied"
                raise ChunkError(f"{what} ({exc.strerror}: {exc.filename})") from exc
            raise

    def _copy(self, piece: CutPiece, tick: Tick) -> None:
        source = chunk_path(self._root, piece.of, self._suffix)
        place = chunk_path(self._recipe.root, piece.chunk, self._suffix)
        positions = self._positions(piece)
        if not self._suffix:
            chunk_format = format_of(self._reader.metadata)
            assert isinstance(chunk_format, FolderFormat)  # noqa: S101  # its chunks have no suffix
            ending = chunk_format.ending
            place.mkdir()
            for new, old in enumerate(positions):
                copy_file(source / f"{chunk_name(old)}{ending}", place / f"{chunk_name(new)}{ending}")
                tick(1)
            return
        if piece.how == "whole":
            copy_file(source, place)
        else:
            copy_packets(source, positions, place)
            sync(place)
        tick(len(piece.frames))

    def _positions(self, piece: CutPiece) -> range:
        """Return where the frames of a piece lie in their chunk."""
        start = self._reader.chunk_range(piece.of).start
        return range(piece.frames.start - start, piece.frames.stop - start)

    def _is_same(self, piece: CutPiece) -> bool:
        """Return whether copied packets decode to the frames that they were, at both ends."""
        place = chunk_path(self._recipe.root, piece.chunk, self._suffix)
        count = len(piece.frames)
        try:
            with closing(format_of(self._reader.metadata).open_reader(place, self._recipe.spec)) as copy:
                return len(copy) == count and all(
                    np.array_equal(copy.read(offset), self._reader[piece.frames[offset]].image)
                    for offset in sorted({*range(count)[:_LOOKED_AT], *range(count)[-_LOOKED_AT:]})
                )
        except ChunkError:
            return False

    def _finish(self, piece: CutPiece) -> None:
        """Write what goes beside the images of a chunk, the index last."""
        root, stem = self._recipe.root, index_stem(self._recipe.root, piece.chunk, self._suffix)
        self._extra.save_signals(piece.frames, root, piece.chunk)
        with closing(ExtraWriter(stem.with_name(stem.name + EXTRA_SUFFIX))) as extra:
            for record in self._extra.records(piece.frames):
                extra.append(record)
        part = slice(piece.frames.start, piece.frames.stop)
        index = ChunkIndex(self._reader.numbers[part], self._reader.times[part])
        save_chunk_index(stem.with_name(stem.name + ".npz"), index, self._recipe.store)


def copy_file(source: Path, place: Path) -> None:
    """Copy a file; on file systems that can, without copying its content. Raises OSError."""
    with source.open("rb") as old, place.open("xb") as new:
        if not _clone(old.fileno(), new.fileno()):
            old.seek(0)
            new.truncate(0)
            shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())


def _clone(old: int, new: int) -> bool:
    """Return whether the system copied a file by itself; it does not across all file systems."""
    try:
        while os.copy_file_range(old, new, _AT_ONCE):
            pass
    except OSError:
        return False
    return True
