"""Frames of a video copied as they are, without decoding."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from imgstore.decoder import open_container
from imgstore.errors import ChunkError, VideoError

VideoPacket: TypeAlias = "Packet[VideoStream]"

_CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".avi": "avi"}


@dataclass(frozen=True, slots=True)
class PacketTable:
    """The packets of a video, a frame each, as they follow each other in the file.

    Attributes
    ----------
    keyframes : positions of frames from which decoding can start, rising.
    count : how many frames there are.
    in_order : whether frames lie in the order in which they are shown, so that those at the end can be
        left out without harm to those before.
    codec, profile, pixel_format : by FFmpeg's names.
    extradata : what decoders need to know beforehand.
    """

    keyframes: npt.NDArray[np.int64]
    count: int
    in_order: bool
    codec: str
    profile: str
    pixel_format: str
    extradata: bytes

    def keyframe_from(self, position: int) -> int:
        """Return the first keyframe at or after a position; the number of frames if there is none."""
        place = int(self.keyframes.searchsorted(position))
        return int(self.keyframes[place]) if place < len(self.keyframes) else self.count


def list_packets(path: Path) -> PacketTable:
    """Look through a video without decoding. Raises VideoError if it is none."""
    with _opened(path) as (_, track):
        stamps, keys = [], []
        for packet in _packets(track):
            stamps.append(packet.pts if packet.pts is not None else packet.dts)
            keys.append(packet.is_keyframe)
        known = np.array([-1 if stamp is None else stamp for stamp in stamps], np.int64)
        context = track.codec_context
        return PacketTable(
            np.flatnonzero(keys).astype(np.int64),
            len(stamps),
            None not in stamps and bool((np.diff(known) > 0).all()),
            context.name,
            str(context.profile),
            str(context.pix_fmt),
            bytes(context.extradata or b""),
        )


def copy_packets(source: Path, positions: range, place: Path) -> None:
    """Write some frames of a video, in order and from a keyframe on, to a new file of the same kind.

    Raises ChunkError if that cannot be done.
    """
    try:
        with _opened(source) as (container, track):
            name = _CONTAINERS.get(source.suffix, container.format.name.split(",")[0])
            with av.open(str(place), "w", format=name) as copy:
                new = copy.add_stream_from_template(track, opaque=True)
                for packet in _packets_at(track, positions):
                    packet.stream = new
                    copy.mux(packet)
    except (av.FFmpegError, OSError, VideoError) as exc:
        raise ChunkError(f"{source} cannot be copied to {place} ({exc})") from exc


@contextmanager
def packets_of(source: Path, positions: range) -> Iterator[tuple[VideoStream, Iterator[VideoPacket]]]:
    """Give the track of a video, and the packets of some of its frames. Raises VideoError."""
    with _opened(source) as (_, track):
        yield track, _packets_at(track, positions)


def _packets_at(track: VideoStream, positions: range) -> Iterator[VideoPacket]:
    """Yield the packets of some frames, with times that start at 0."""
    first: int | None = None
    for packet in islice(_packets(track), positions.start, positions.stop):
        stamp = packet.pts if packet.pts is not None else packet.dts
        first = stamp if first is None else first
        if stamp is not None and first is not None:
            packet.pts = packet.dts = stamp - first
        yield packet


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        with open_container(path) as container:
            if not container.streams.video:
                raise VideoError(f"{path} holds no video")
            yield container, container.streams.video[0]
    except (av.FFmpegError, OSError) as exc:
        raise VideoError(f"{path} cannot be read as video ({exc})") from exc


def _packets(track: VideoStream) -> Iterator[VideoPacket]:
    """Yield the packets that hold a frame that is shown."""
    container = cast("InputContainer", track.container)
    for packet in container.demux(track):
        if packet.size and not packet.is_discard:
            yield packet
