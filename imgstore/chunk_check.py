"""Whether the files of one chunk are whole and say the same."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np

from imgstore.checksums import Checksums, checksum, chunk_of, files_of_chunk
from imgstore.chunk import chunk_path, find_chunk
from imgstore.errors import ChunkError, ImgstoreError
from imgstore.extra import EXTRA_SUFFIXES, ExtraFile, ends_early, load_extra_file
from imgstore.findings import Finding, Severity, first_of, shown
from imgstore.formats import ChunkFormat, ChunkReader
from imgstore.formats.video import VideoFormat, VideoReader, presentation_times
from imgstore.index import ChunkIndex
from imgstore.metadata import StoreMetadata

_IN_FOLDERS = re.compile(r"[0-9]{6,}\.[A-Za-z0-9]{1,8}|index\.(?:npz|yaml|extra\.json|extra_data\.json)")
_REPAIR = "`ethostore repair`"
_PRESENTED_WITHIN_S = 0.0025  # Matroska counts milliseconds, and rounding may add one more


@dataclass(frozen=True, slots=True)
class ChunkRows:
    """What is known of the frames of a chunk before its images are looked at.

    Attributes
    ----------
    chunk : its number.
    index : numbers and times, of its index or, if it is not finished, of its journal.
    first : index in the store of its first frame.
    finished : whether it has an index.
    """

    chunk: int
    index: ChunkIndex
    first: int
    finished: bool


@dataclass(slots=True)
class Tally:
    """What was looked at in a chunk."""

    decoded: int = 0
    checksums: int = 0
    findings: list[Finding] = field(default_factory=list)


class ChunkCheck:
    """Checks chunks of one store, each on its own; any thread may.

    Parameters
    ----------
    root, metadata, chunk_format : of the store.
    checksums : that are recorded, None if the store keeps none.
    live : whether the store is being written.
    decode : whether images and extra data are read; else only checksums are compared.
    looked : called after every frame.
    stop : set to end early.
    """

    def __init__(
        self,
        root: Path,
        metadata: StoreMetadata,
        chunk_format: ChunkFormat,
        checksums: Checksums | None,
        *,
        live: bool,
        decode: bool,
        looked: Callable[[int], None],
        stop: Event,
    ) -> None:
        self._root = root
        self._metadata = metadata
        self._format = chunk_format
        self._recorded = _by_chunk(checksums) if checksums is not None else None
        self._live = live
        self._decode = decode
        self._looked = looked
        self._stop = stop

    def check(self, rows: ChunkRows) -> Tally:
        """Return what is wrong with a chunk."""
        tally = Tally()
        if rows.finished and self._recorded is not None:
            tally.findings += self._check_checksums(rows, self._recorded, tally)
        if self._decode:
            if len(rows.index.numbers):
                tally.findings += self._check_images(rows, tally)
            if rows.finished or not self._live:
                tally.findings += self._check_extra(rows)
        else:
            self._looked(len(rows.index.numbers))
        if not self._metadata.suffix:
            tally.findings += first_of(self._strays(rows.chunk))
        return tally

    def _check_checksums(
        self, rows: ChunkRows, recorded: Mapping[int, Mapping[str, str]], tally: Tally
    ) -> Iterator[Finding]:
        of_chunk = recorded.get(rows.chunk, {})
        for name, expected in of_chunk.items():
            frames = range(rows.first, rows.first + len(rows.index.numbers))
            try:
                found = checksum(self._root, name, self._stop)
            except OSError as exc:
                reason = f"its checksum is recorded, but it cannot be read ({exc.strerror})"
                yield Finding("error", name, reason, rows.chunk, frames)
                continue
            tally.checksums += 1
            if found != expected and not self._stop.is_set():
                reason = f"it is not what was written: its checksum is {found}, recorded is {expected}"
                yield Finding("error", name, reason, rows.chunk, frames)
        if not self._live:  # else they may be on their way
            names = files_of_chunk(self._root, rows.chunk, self._metadata.suffix)
            if missing := [name for name in names if name not in of_chunk]:
                what = f"no checksum is recorded ({_REPAIR} records what is there now)"
                yield Finding("note", ", ".join(missing), what, rows.chunk)

    def _check_images(self, rows: ChunkRows, tally: Tally) -> Iterator[Finding]:
        path = find_chunk(self._root, rows.chunk, self._metadata.suffix)
        count = len(rows.index.numbers)
        try:
            with closing(self._format.open_reader(path, self._metadata.stored_spec)) as reader:
                there = len(reader)
                if there > count:
                    yield self._surplus(rows, path.name, there - count)
                if not rows.finished:
                    count = min(count, there)
                yield from first_of(self._broken_frames(rows, reader, count, tally))
                if isinstance(reader, VideoReader) and isinstance(self._format, VideoFormat):
                    yield from self._check_presentation(rows, reader, self._format)
        except (ChunkError, OSError) as exc:
            self._looked(count)
            if rows.finished or count > 1:  # of one just begun not even the first frame may be on the disk
                yield self._at("error", rows, f"no frame can be read: {self._reason(exc)}", range(count))

    def _surplus(self, rows: ChunkRows, name: str, more: int) -> Finding:
        severity: Severity = "warning" if rows.finished else "note"
        what = f"it holds {more} more images than it has numbers and times; these cannot be read"
        return Finding(severity, name, what, rows.chunk)

    def _broken_frames(
        self, rows: ChunkRows, reader: ChunkReader, count: int, tally: Tally
    ) -> Iterator[Finding]:
        """Read all frames, and yield a finding for every row of frames that cannot be read."""
        start, reason = -1, ""
        odd: set[str] = set()
        for offset in range(count):
            if self._stop.is_set():
                return
            try:
                image = reader.read(offset)
            except (ImgstoreError, OSError) as exc:
                if start < 0:
                    start, reason = offset, self._reason(exc)
            else:
                if start >= 0:
                    yield self._unreadable(rows, range(start, offset), reason)
                    start = -1
                tally.decoded += 1
                if image.dtype != self._metadata.stored_spec.dtype and str(image.dtype) not in odd:
                    odd.add(str(image.dtype))
                    expected = self._metadata.stored_spec.dtype
                    what = f"image {offset} is of {image.dtype}, the metadata say {expected}"
                    yield self._at("warning", rows, what, range(offset, offset + 1))
            self._looked(1)
        if start >= 0 and rows.finished:  # else the writer died on the way, and these are counted as lost
            yield self._unreadable(rows, range(start, count), reason)

    def _unreadable(self, rows: ChunkRows, offsets: range, reason: str) -> Finding:
        numbers = rows.index.numbers[offsets.start], rows.index.numbers[offsets.stop - 1]
        which = f"number {numbers[0]}" if len(offsets) == 1 else f"numbers {numbers[0]} to {numbers[1]}"
        many = "the frame with" if len(offsets) == 1 else f"{len(offsets)} frames,"
        return self._at("error", rows, f"{many} {which} cannot be read: {reason}", offsets)

    def _check_presentation(
        self, rows: ChunkRows, reader: VideoReader, video_format: VideoFormat
    ) -> Iterator[Finding]:
        """Compare when frames are shown with their times, where the video says more than a rate."""
        ticks = video_format.container.ticks
        count = min(len(reader.times), len(rows.index.times))
        if ticks is None or self._metadata.settings is None or count < 2:
            return
        shown_at, due = reader.times[:count], presentation_times(rows.index.times[:count], ticks)
        if np.ptp(np.diff(shown_at)) < _PRESENTED_WITHIN_S:
            return  # a steady rate: a video from elsewhere may know no more
        wrong = np.flatnonzero(np.abs(shown_at - due) > _PRESENTED_WITHIN_S)
        if len(wrong):
            first = int(wrong[0])
            number, seen, expected = rows.index.numbers[first], shown_at[first], due[first]
            what = (
                f"{len(wrong)} frames are shown at other times than the index says; the first, "
                f"number {number}, {seen:.3f} s after the start, not {expected:.3f} s"
            )
            yield self._at("warning", rows, what, range(first, int(wrong[-1]) + 1))

    def _check_extra(self, rows: ChunkRows) -> Iterator[Finding]:
        for name in files_of_chunk(self._root, rows.chunk, self._metadata.suffix):
            if name.endswith(EXTRA_SUFFIXES):
                path = self._root / name
                try:
                    load_extra_file(ExtraFile(path, beside=True))
                    if path.suffix == ".json" and ends_early(path):
                        what = "it ends early; its whole records are read"
                        yield Finding("warning", name, what, rows.chunk)
                except (ChunkError, OSError) as exc:
                    yield Finding("error", name, self._reason(exc), rows.chunk)

    def _strays(self, chunk: int) -> Iterator[Finding]:
        folder = chunk_path(self._root, chunk, "")
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if not _IN_FOLDERS.fullmatch(entry.name) and not (self._live and entry.name.startswith(".")):
                left = entry.name.endswith(".partial")
                what = "left by a writer that died" if left else "it does not belong to the store"
                yield Finding("note", f"{folder.name}/{shown(entry.name)}", what, chunk)

    def _at(self, severity: Severity, rows: ChunkRows, what: str, offsets: range) -> Finding:
        name = find_chunk(self._root, rows.chunk, self._metadata.suffix).name
        frames = range(rows.first + offsets.start, rows.first + offsets.stop)
        return Finding(severity, name, what, rows.chunk, frames)

    def _reason(self, exc: BaseException) -> str:
        text = str(exc).replace(f"{self._root}/", "")
        return text if text.isprintable() else ascii(text)


def _by_chunk(checksums: Checksums) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for name, value in checksums.of_files.items():
        found.setdefault(chunk_of(name), {})[name] = value
    return found
