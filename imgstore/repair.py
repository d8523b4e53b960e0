"""Finish a store whose writer died."""

import os
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from imgstore.checksums import files_of_chunk, load_checksums, record_chunk, record_files
from imgstore.chunk import chunk_path, index_stem
from imgstore.contents import is_empty_chunk, read_contents
from imgstore.decoder import open_container
from imgstore.errors import ChunkError
from imgstore.events import EVENTS_FILENAME, mend_events
from imgstore.extra import EXTRA_SUFFIX, mend_records
from imgstore.formats.growing import LastPacket, as_muxed, held_back
from imgstore.formats.video import VideoFormat, presentation_times
from imgstore.index import ChunkIndex, StoreIndex, Times, save_chunk_index
from imgstore.journal import load_journal
from imgstore.layout import StoreLock, find_chunks, journal_path, list_store, sync
from imgstore.metadata import StoreMetadata, find_metadata, load_metadata
from imgstore.reader import format_of
from imgstore.streams import recover_streams


@dataclass(frozen=True, slots=True)
class Repaired:
    """What `repair` did.

    Attributes
    ----------
    finished : chunk to the number of frames that it holds now.
    removed : chunks that held nothing.
    problems : what could not be mended, a line each.
    streams : chunk to the names of the streams whose samples it has now.
    """

    finished: dict[int, int]
    removed: list[int]
    problems: list[str]
    streams: dict[int, list[str]] = field(default_factory=dict)


def repair(path: str | os.PathLike[str]) -> Repaired:
    """Finish the unfinished chunks of a store, so that any reader of the format reads them.

    Nothing is taken away that can be read; a store that is whole is not touched.

    Parameters
    ----------
    path : folder of the store, or its `metadata.yaml`.

    Raises
    ------
    NotAStoreError, MetadataError
        There is no store at `path`, or nothing says what it holds.
    StoreInUseError
        It is being written.
    """
    file = find_metadata(Path(path))
    root, metadata = file.parent, load_metadata(file)
    lock = StoreLock(root)
    lock.acquire()
    try:
        return _finish(root, metadata)
    finally:
        lock.release()


def _finish(root: Path, metadata: StoreMetadata) -> Repaired:
    contents = read_contents(root, metadata, format_of(metadata), locked=True)
    done = Repaired({}, [], list(contents.problems))
    for place in (root, *(chunk_path(root, chunk, "") for chunk in contents.unfinished)):
        for half in place.glob(".*.partial") if place.is_dir() else ():
            if half.is_symlink() or half.is_file():
                half.unlink()  # what was being written when the writer died
    _mend_extra(root, metadata, contents.unfinished, done)  # first: finished chunks are not looked at again
    for chunk in contents.unfinished:
        images = chunk_path(root, chunk, metadata.suffix)
        try:
            frames = _finish_chunk(root, chunk, images, contents.index, metadata)
        except (ChunkError, OSError) as exc:
            done.problems.append(f"{images} could not be finished: {exc}")
            continue
        done.finished[chunk] = frames
        journal_path(root, chunk).unlink()
    for tail in root.glob(".*.tail"):
        tail.unlink()  # what it held is in the video now
    try:
        mend_events(root)
    except OSError as exc:
        done.problems.append(f"{root / EVENTS_FILENAME} could not be mended: {exc.strerror}")
    for chunk in find_chunks(root, metadata.suffix):
        images = chunk_path(root, chunk, metadata.suffix)
        if is_empty_chunk(images):
            images.rmdir() if images.is_dir() else images.unlink()
            done.removed.append(chunk)
    listing = list_store(root, metadata.suffix)
    for chunk in listing.journals:
        if chunk in listing.stamps or (chunk not in listing.chunks and not _journalled(root, chunk)):
            journal_path(root, chunk).unlink()  # its index was written before the writer died, or nothing was
    streams, problems = recover_streams(root, contents.index)
    done.streams.update(streams)
    done.problems.extend(problems)
    _record_checksums(root, metadata.suffix, listing.chunks & listing.stamps.keys(), done)
    return done


def _record_checksums(root: Path, suffix: str, chunks: Iterable[int], done: Repaired) -> None:
    """Write down the checksums that the writer could not, since it died."""
    known = load_checksums(root)
    if known is not None:
        for chunk in sorted(chunks):
            if chunk in done.finished:
                record_chunk(root, chunk, suffix)
            else:  # images and streams are recorded one by one
                names = files_of_chunk(root, chunk, suffix)
                record_files(root, [name for name in names if name not in known.of_files])


def _journalled(root: Path, chunk: int) -> int:
    return len(load_journal(journal_path(root, chunk)).numbers)


def _mend_extra(root: Path, metadata: StoreMetadata, chunks: Collection[int], done: Repaired) -> None:
    """Give the records of chunks the end that others need."""
    for chunk in chunks:
        stem = index_stem(root, chunk, metadata.suffix)
        file = stem.with_name(stem.name + EXTRA_SUFFIX)
        try:
            if file.is_file():
                mend_records(file)
        except (ChunkError, OSError) as exc:
            done.problems.append(f"{file} could not be mended: {exc}")


def _finish_chunk(root: Path, chunk: int, images: Path, whole: StoreIndex, metadata: StoreMetadata) -> int:
    """Make a chunk what a writer would have left, and return how many frames it holds."""
    if chunk not in whole.chunks and metadata.suffix:  # others do not open a store with a video of no frames
        if _journalled(root, chunk):
            images.replace(images.with_name(f".{images.name}.unreadable"))  # nothing is deleted
        else:
            images.unlink()  # it was opened, and nothing appended
        return 0
    if chunk not in whole.chunks and is_empty_chunk(images) and chunk > max(whole.chunks, default=-1):
        images.rmdir()
        return 0
    frames = whole.chunk_range(chunk) if chunk in whole.chunks else range(0)
    part = slice(frames.start, frames.stop)
    only = held_back(images, 0) if metadata.suffix and len(frames) == 1 else None
    if only is not None and not _has_packets(images):
        _begin_video(images, only, metadata)
    elif metadata.suffix:
        _end_video(images, whole.times[part])
    stem = index_stem(root, chunk, metadata.suffix)
    index = ChunkIndex(whole.numbers[part], whole.times[part])
    save_chunk_index(stem.with_name(stem.name + ".npz"), index, metadata.store)
    return len(frames)


def _has_packets(path: Path) -> bool:
    try:
        with open_container(path) as source:
            return any(packet.size for packet in source.demux(video=0))
    except (av.FFmpegError, OSError, IndexError):
        return False


def _begin_video(path: Path, only: LastPacket, metadata: StoreMetadata) -> None:
    """Make a video anew of its only frame, which the muxer held back when the writer died."""
    beside = path.with_name(f".{path.name}.partial")
    chunk_format = format_of(metadata)
    if not isinstance(chunk_format, VideoFormat):
        raise ChunkError(f"{path} is no video of this package")
    try:
        writer = chunk_format.open_writer(beside, metadata.stored_spec, metadata.settings)
        with closing(writer):
            writer.append_packet(only.packet)
        sync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync(path.parent)


def _packet_of(
    last: LastPacket, track: VideoStream, new: VideoStream, stamps: list[int], times: Times
) -> "Packet[Stream]":
    """Return the packet that the muxer held back when its writer died, as the next one of the copy."""
    packet = Packet(as_muxed(last.packet, track))
    base = track.time_base or Fraction(1)
    due = round(presentation_times(times, base.denominator // base.numerator)[-1] / base)
    packet.pts = packet.dts = max(stamps[0] + due, stamps[-1] + 1) if stamps else 0
    packet.is_keyframe = not stamps
    packet.time_base = base
    packet.stream = new
    return packet


def _container(names: str) -> str:
    """Return what to write a file as of which FFmpeg says that it is one of several: "mov,mp4,m4a"."""
    known = names.split(",")
    return "mp4" if "mp4" in known else known[0]


def _end_video(path: Path, times: Times) -> None:
    """Give a video whose writer died the end that others need; its packets stay as they are."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        with (
            open_container(path) as source,
            av.open(str(beside), "w", format=_container(source.format.name)) as copy,
        ):
            track = source.streams.video[0]
            new = copy.add_stream_from_template(track, opaque=True)
            stamps: list[int] = []
            for packet in source.demux(track):
                if packet.size and len(stamps) < len(times):
                    stamps.append(packet.pts or packet.dts or 0)
                    packet.stream = new
                    copy.mux(packet)
            last = held_back(path, len(stamps)) if len(stamps) == len(times) - 1 else None
            if last is not None:
                copy.mux(_packet_of(last, track, new, stamps, times))
        sync(beside)
        beside.replace(path)
    except (av.FFmpegError, OSError) as exc:
        raise ChunkError(f"{path} cannot be copied ({exc.strerror})") from exc
    finally:
        beside.unlink(missing_ok=True)
    sync(path.parent)
