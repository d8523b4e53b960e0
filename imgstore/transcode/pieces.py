"""Chunks of a new store, each written from some frames of a recording, in any order and by any process."""

import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from imgstore.chunk import OpenChunk, chunk_path, index_stem
from imgstore.extra import EXTRA_SUFFIXES
from imgstore.formats import FORMATS, FormatSettings
from imgstore.frame import Frame, FrameSequence, FrameSpec
from imgstore.index import load_chunk_index
from imgstore.layout import chunk_name
from imgstore.reader import StoreReader
from imgstore.transcode.carry import ExtraData
from imgstore.transcode.workers import Tick
from imgstore.view import frames_at


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk to write: its number, the indices of its frames in the recording, and whether it is encoded."""

    chunk: int
    frames: range
    is_encoded: bool = True


@dataclass(frozen=True, slots=True)
class Recipe:
    """How chunks are written.

    Attributes
    ----------
    root : folder of the new store.
    format : name of the chunk format.
    spec, settings : of the images.
    store : the store section of the metadata.
    origin : index, in the recording, of the frame that is the first of the new store.
    """

    root: Path
    format: str
    spec: FrameSpec
    settings: FormatSettings
    store: Mapping[str, Any]
    origin: int = 0


class PieceWriter:
    """Decodes the frames of pieces and encodes them into chunks; extra data of a store go along.

    Parameters
    ----------
    open_frames : opens the recording; it is called in the process that does the work.
    recipe : of the chunks.
    """

    def __init__(self, open_frames: Callable[[], FrameSequence], recipe: Recipe) -> None:
        self._open_frames = open_frames
        self._recipe = recipe

    def __enter__(self) -> None:
        self._frames = self._open_frames()
        self._extra: ExtraData | None = None
        if isinstance(self._frames, StoreReader):
            self._extra = ExtraData(self._frames, self._recipe.origin)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.close()

    def do(self, piece: Piece, tick: Tick) -> None:
        """Write a chunk; what was left of it by an earlier attempt is removed.

        Raises ChunkError, VideoError; the chunk then is not there.
        """
        recipe = self._recipe
        chunk_format = FORMATS.get(recipe.format)
        remove_chunk(recipe.root, piece.chunk, chunk_format.suffix)
        chunk = OpenChunk(recipe.root, piece.chunk, chunk_format, recipe.spec, recipe.settings, recipe.store)
        try:
            if self._extra is not None:
                self._extra.save_signals(piece.frames, recipe.root, piece.chunk)
                for record in self._extra.records(piece.frames):
                    chunk.append_extra(record)
            with closing(self._read(piece.frames)) as frames:
                for frame in frames:
                    chunk.append(frame)
                    tick(1)
            chunk.finish()
        except BaseException:
            chunk.discard()
            remove_chunk(recipe.root, piece.chunk, chunk_format.suffix)
            raise

    def _read(self, indices: range) -> Generator[Frame, None, None]:
        yield from frames_at(self._frames, indices)


def remove_chunk(root: Path, chunk: int, suffix: str) -> None:
    """Remove all that there is of a chunk."""
    path, stem = chunk_path(root, chunk, suffix), index_stem(root, chunk, suffix)
    stem.with_name(stem.name + ".npz").unlink(missing_ok=True)
    for ending in EXTRA_SUFFIXES:
        stem.with_name(stem.name + ending).unlink(missing_ok=True) if suffix else None
        (root / (chunk_name(chunk) + ending)).unlink(missing_ok=True)
    for beside in root.glob(f".{chunk_name(chunk)}.*"):
        beside.unlink()  # the journal, and what a writer left that was killed
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_finished(root: Path, piece: Piece, suffix: str) -> bool:
    """Return whether an earlier attempt finished a chunk: its index is written last."""
    index = load_chunk_index(index_stem(root, piece.chunk, suffix))
    return index is not None and len(index.numbers) == len(piece.frames)
