"""A video that is being written, each frame as soon as it is encoded."""

import os
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, cast

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from imgstore.decoder import open_container
from imgstore.errors import ChunkError
from imgstore.waiting import POLL_S

_HEAD = struct.Struct(
    "<QIII"
)  # position of the packet, bytes of the codec's header and of the packet, CRC-32
_START_CODE = re.compile(rb"\x00*\x00\x00\x01")
_AS_ENCODED = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}  # muxers write these two another way


class Tail:
    """The last packet of a video that is being written, in a file of its own.

    Muxers hold a packet back until the next one comes, and a video that grows would have to be listed anew
    for each frame. Who follows a recording takes the packets from here.

    Parameters
    ----------
    chunk : the video. The tail is a dot-file beside it.
    """

    def __init__(self, chunk: Path) -> None:
        self._path = tail_path(chunk)
        self._file: IO[bytes] | None = None
        self._position = 0

    def write(self, header: bytes, packet: bytes) -> None:
        """Put the next packet, and the header of its codec, in the place of the last. Raises OSError."""
        if self._file is None:
            self._file = self._path.open("wb", buffering=0)
        data = header + packet
        head = _HEAD.pack(self._position, len(header), len(packet), zlib.crc32(data))
        os.pwrite(self._file.fileno(), head + data, 0)
        self._position += 1

    def close(self) -> None:
        """Remove the file. Closing twice is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)


def tail_path(chunk: Path) -> Path:
    """Return where the last packet of a video lies while it is being written."""
    return chunk.with_name(f".{chunk.stem}.tail")


class LastPacket(NamedTuple):
    """What stands in a tail."""

    position: int
    header: bytes
    packet: bytes


class GrowingVideo:
    """Gives the frames of a video that is being written by this package.

    Parameters
    ----------
    path : of the video.
    codec : name of the decoder.
    shape : rows and columns of the frames in the video.
    """

    def __init__(self, path: Path, codec: str, shape: tuple[int, int]) -> None:
        self._path = path
        self._codec = codec
        self._shape = shape
        self._decoder: VideoCodecContext | None = None
        self._given = 0

    def frames(self, ended: Callable[[], bool]) -> Iterator[VideoFrame]:
        """Yield the frames from the first on, until `ended` says that nothing more comes or the tail is gone.

        Raises ChunkError if what is there cannot be decoded.
        """
        try:
            while not ended() and (last := _read_tail(tail_path(self._path))) is not None:
                if last.position == self._given:
                    yield self._decode(last.header, Packet(last.packet))
                elif last.position > self._given:
                    yield from self._catch_up(last)
                time.sleep(POLL_S)
        except (av.FFmpegError, OSError, EOFError) as exc:
            raise ChunkError(f"{self._path} cannot be read while it is written ({exc})") from exc

    def _catch_up(self, last: LastPacket) -> Iterator[VideoFrame]:
        """Yield the frames before the last that the file has."""
        try:
            opened = open_container(self._path)
        except (av.EOFError, av.InvalidDataError):
            return  # the muxer still has its header
        with opened as container:
            stream = container.streams.video[0]
            filters = _as_encoded(stream)
            for packet in islice(container.demux(stream), self._given, last.position):
                if not packet.size or packet.is_corrupt:
                    return  # the rest is still on its way to the disk
                for part in filters.filter(packet) if filters is not None else (packet,):
                    yield self._decode(last.header, Packet(bytes(part)))

    def _decode(self, header: bytes, packet: "Packet[av.stream.Stream]") -> VideoFrame:
        """Return the frame of the next packet: nothing is held back, since the encoders have no B-frames."""
        if self._decoder is None:
            self._decoder = _new_decoder(self._codec, self._shape, header)
        (frame,) = self._decoder.decode(packet)
        self._given += 1
        return frame


def held_back(path: Path, packets: int) -> LastPacket | None:
    """Return the packet that a muxer still held when the file had so many; None if there is none."""
    last = _read_tail(tail_path(path))
    return last if last is not None and last.position == packets else None


def decode_held_back(path: Path, codec: str, shape: tuple[int, int], last: LastPacket) -> VideoFrame:
    """Return the frame of the packet that a muxer held, decoded after those since the last keyframe.

    Raises ChunkError.
    """
    try:
        since = _since_keyframe(path, last.position) if last.position else []
        decoder = _new_decoder(codec, shape, last.header)
        for data in since:
            decoder.decode(Packet(data))
        (frame,) = decoder.decode(Packet(last.packet))
    except (av.FFmpegError, OSError, EOFError, ValueError) as exc:
        raise ChunkError(f"the last frame of {path} cannot be read ({exc})") from exc
    return frame


def _since_keyframe(path: Path, stop: int) -> list[bytes]:
    """Return the packets from the last keyframe before `stop` on, as they were encoded."""
    found: list[bytes] = []
    with open_container(path) as container:
        stream = container.streams.video[0]
        filters = _as_encoded(stream)
        for packet in islice(container.demux(stream), stop):
            if packet.is_keyframe:
                found.clear()
            found += [bytes(part) for part in (filters.filter(packet) if filters else (packet,))]
    return found


def as_muxed(packet: bytes, stream: VideoStream) -> bytes:
    """Return a packet of the encoder as it stands in the file: H.264 and H.265 with lengths."""
    context = stream.codec_context
    if context.name in _AS_ENCODED and (context.extradata or b"")[:1] == b"\x01":
        units = [unit for unit in _START_CODE.split(packet) if unit]
        return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    return packet


def _as_encoded(stream: VideoStream) -> BitStreamFilterContext | None:
    """Return what makes the packets of a file those of the encoder again; None if they are."""
    name = _AS_ENCODED.get(stream.codec_context.name)
    return BitStreamFilterContext(name, stream) if name else None


def _new_decoder(codec: str, shape: tuple[int, int], header: bytes) -> VideoCodecContext:
    decoder = cast("VideoCodecContext", VideoCodecContext.create(codec, "r"))
    decoder.height, decoder.width = shape
    decoder.extradata = header
    decoder.thread_type = "SLICE"  # threads that share no frame hold some back
    decoder.thread_count = 1
    return decoder


def _read_tail(file: Path) -> LastPacket | None:
    with suppress(FileNotFoundError):
        while len(found := file.read_bytes()) >= _HEAD.size:
            position, of_header, of_packet, checksum = _HEAD.unpack_from(found)
            data = found[_HEAD.size : _HEAD.size + of_header + of_packet]
            if zlib.crc32(data) == checksum:
                return LastPacket(position, data[:of_header], data[of_header:])
            time.sleep(POLL_S)  # it is being replaced
    return None
