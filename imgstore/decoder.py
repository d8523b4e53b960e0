"""Any frame of a video file by its position, exactly, through PyAV."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from imgstore.errors import FrameIndexError, VideoError
from imgstore.frame import Image
from imgstore.options import AS_STORED, ReadOptions

LUMA_FORMATS = frozenset(
    {"gray", "yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12"}
)
"""Pixel formats whose first plane is 8-bit luma: grey is a copy of it, without a trip through colour."""

DEEP_FORMATS = frozenset({"gray16le", "gray14le", "gray12le", "gray10le", "gray9le"})
"""Pixel formats of grey in 16-bit words: read as uint16 they are a copy, values as they stand."""

_CONVERTED = {
    (True, True): "bgr48le",
    (True, False): "bgr24",
    (False, True): "gray16le",
    (False, False): "gray",
}  # colour, 16 bit

Threading = Literal["AUTO", "SLICE"]

_SKIMMED = ("h264", "hevc")  # what others' decoders, that of MPEG-2 say, give while they skip has wrong times

_START_CODE = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_SLICES = (1, 5)
_CONTAINERS = (
    *("matroska", "webm", "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "avi", "mpegts", "mpeg", "mpegvideo"),
    *("asf", "flv", "ogg", "nut", "ivf", "gif", "mxf", "dv", "h264", "hevc", "m4v", "mjpeg", "obu", "av1"),
)
_OPTIONS = {  # FFmpeg goes by content: a playlist called 000000.mkv would make it read other files
    "format_whitelist": ",".join(_CONTAINERS),
    "protocol_whitelist": "file",
}

_DARKEST, _LIGHTEST = 16, 235  # of luma, where its range is limited (ITU-T H.273, 8.3)
_most_threads = 2  # of a decoder


def set_decoder_threads(count: int) -> None:
    """Give decoders of this process that are made from now on at most so many threads.

    Two are quicker than one, and take a tenth more of the processors' time: one is better where there are as
    many processes as processors.

    Raises ValueError below 1.
    """
    if count < 1:
        raise ValueError(f"a decoder has a thread at least, got {count}")
    global _most_threads
    _most_threads = count


class VideoDecoder:
    """Reads the frames of one video file by position.

    All packets are listed once without decoding (microseconds each), so the number of frames, their
    presentation times and the keyframes are known, and a frame is told by its presentation time, never
    by counting what a seek may have skipped. Reading on from where the decoder stands does not seek.

    Parameters
    ----------
    path : the file.
    colour : give (rows, columns, 3) images in the order blue, green, red, else (rows, columns) grey.
    dtype : of the images, uint8 or uint16; deeper video is scaled to uint8, grey of up to 16 bit stands in
        uint16 as it is.
    options : which part of the images is read, and how.
    threads : of the decoder, at most (see `set_decoder_threads`); more than one makes reading in order faster
        and single frames slower.

    Raises
    ------
    VideoError
        The file is not there, is no video, or holds no frames with times.
    """

    def __init__(
        self,
        path: Path,
        *,
        colour: bool,
        dtype: npt.DTypeLike = np.uint8,
        options: ReadOptions = AS_STORED,
        threads: int = 2,
    ) -> None:
        self._path = path
        self._colour = colour
        self._dtype = np.dtype(dtype)
        self._options = options
        self._threads = min(threads, _most_threads)
        self._threading: Threading = "AUTO"
        self._open()
        try:
            self._list_packets()
        except BaseException:
            self._container.close()
            raise
        self._decoded: Iterator[VideoFrame] = iter(())
        self._next = len(self)  # position that the decoder yields next; at the end: nothing is running
        self._reach = len(self)  # position up to which it may be decoded from the start
        self._broken: dict[int, int] = {}  # keyframe to the first position that cannot be decoded from it
        self._last_failed = 0
        self._skims = False

    def __len__(self) -> int:
        return len(self._pts)

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) of the frames in the file, and 3 if it is read in colour."""
        size = (self._stream.codec_context.height, self._stream.codec_context.width)
        return (*size, 3) if self._colour else size

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Presentation times, shape (n,), seconds since the first frame."""
        base = self._stream.time_base or Fraction(1)
        seconds: npt.NDArray[np.float64] = (self._pts - self._pts[0]) * float(base)
        return seconds

    def read(self, position: int) -> Image:
        """Return the frame at `position`, from 0, as a new array.

        Raises FrameIndexError outside of the file, VideoError if the frame cannot be decoded.
        """
        keyframe = self._keyframe_of(position)
        self._skim(on=False)
        if keyframe <= self._next <= position:
            return self._image(self._decode_to(position))
        if position >= self._broken.get(keyframe, len(self)):
            raise VideoError(
                f"frame {position} of {self._path} cannot be decoded (one that it needs is broken)"
            )
        try:
            self._last_failed = keyframe
            self._seek(keyframe)
            frame = self._decode_to(position)
        except VideoError:
            self._broken[keyframe] = max(self._last_failed, keyframe)
            if position >= self._reach:
                raise
            frame = self._decode_from_start(keyframe, position)
        return self._image(frame)

    def read_near(self, position: int, within: int) -> tuple[int, Image]:
        """Return a frame at most `within` frames away that takes little to decode, and its position.

        That is a keyframe if one is so near, else one that others are decoded from: those that none is
        decoded from are passed over, which are half of many files.

        Raises FrameIndexError outside of the file, VideoError if no such frame can be decoded.
        """
        keyframe = self._keyframe_of(position)
        nearest = int(self._keyframes[np.abs(self._keyframes - position).argmin()])
        if abs(nearest - position) <= within:
            return nearest, self.read(nearest)
        if self._stream.codec_context.name not in _SKIMMED:
            return position, self.read(position)
        self._skim(on=True)
        try:
            if not keyframe <= self._next <= position - within:  # which frame comes must not depend on that
                self._seek(keyframe)
            for frame in self._decoded:
                place = int(np.searchsorted(self._pts, self._stamp(frame)))
                if place < self._next:
                    continue  # before the keyframe, and of what lies before that
                self._next = place + 1
                if place > position + within:
                    break
                if place >= position - within:
                    self._check(frame)
                    return place, self._image(frame)
        except (av.FFmpegError, OSError, VideoError):
            self._next = len(self)
        return position, self.read(position)

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        self._decoded = iter(())
        self._container.close()

    def __enter__(self) -> "VideoDecoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        try:
            self._container: InputContainer = open_container(self._path)
        except (av.FFmpegError, OSError) as exc:
            raise VideoError(f"{self._path} cannot be read as video ({_reason(exc)})") from exc
        self._find_stream()

    def _find_stream(self) -> None:
        for stream in self._container.streams.video[:1]:
            self._stream: VideoStream = stream
            codec = cast("VideoCodecContext | None", stream.codec_context)
            if codec is not None:  # FFmpeg knows it
                stream.thread_type = self._threading
                codec.thread_count = self._threads
                return
        self._container.close()
        raise VideoError(f"{self._path} holds no video of a known codec")

    def _list_packets(self) -> None:
        stamps: list[int] = []
        keys: list[bool] = []
        places: list[int | None] = []  # in the file
        try:
            for packet in self._container.demux(self._stream):
                stamp = packet.pts if packet.pts is not None else packet.dts
                is_whole = packet.size and not packet.is_corrupt  # the last may be cut where the file ends
                if is_whole and stamp is not None and not packet.is_discard:
                    if not stamps and _has_slices(packet):
                        self._threading = self._stream.thread_type = "SLICE"
                    stamps.append(stamp)
                    keys.append(packet.is_keyframe)
                    places.append(packet.pos)
        except (av.FFmpegError, OSError) as exc:
            if not stamps:
                raise VideoError(f"{self._path} cannot be read as video ({_reason(exc)})") from exc
        if not stamps:
            raise VideoError(f"{self._path} holds no frames with presentation times")
        pts = np.array(stamps, np.int64)
        order = np.argsort(pts, kind="stable")  # packets come in order of decoding
        self._pts: npt.NDArray[np.int64] = pts[order]
        self._keyframes = np.flatnonzero(np.array(keys)[order])
        self._places = {int(key): places[order[key]] for key in self._keyframes}
        if not len(self._keyframes) or self._keyframes[0] != 0:
            self._keyframes = np.concatenate([[0], self._keyframes])

    def _keyframe_of(self, position: int) -> int:
        """Return the position from which a frame can be decoded. Raises FrameIndexError."""
        if not 0 <= position < len(self):
            raise FrameIndexError(f"there is no frame {position} in {self._path}: it holds {len(self)}")
        return int(self._keyframes[np.searchsorted(self._keyframes, position, side="right") - 1])

    def _skim(self, *, on: bool) -> None:
        """Make the decoder give only frames that others are decoded from, or all."""
        if self._skims != on:
            self._skims = on
            self._stream.codec_context.skip_frame = "NONREF" if on else "DEFAULT"
            self._next = len(self)  # what runs began otherwise

    def _seek(self, keyframe: int) -> None:
        """Make the decoder run from a keyframe."""
        try:
            self._container.seek(int(self._pts[keyframe]), stream=self._stream)
        except (av.FFmpegError, OSError) as exc:
            raise VideoError(f"{self._path} cannot be read from frame {keyframe} ({_reason(exc)})") from exc
        self._decoded = self._decode_from(keyframe)
        self._next = keyframe

    def _decode_from_start(self, keyframe: int, position: int) -> VideoFrame:
        """Return a frame by way of all before: MPEG-TS and its like cannot be entered everywhere."""
        self.close()
        self._open()
        self._decoded = self._container.decode(self._stream)
        self._next = 0
        try:
            frame = self._decode_to(position)
        except VideoError:
            self._reach = self._last_failed
            raise
        del self._broken[keyframe]
        return frame

    def _decode_from(self, keyframe: int) -> Iterator[VideoFrame]:
        """Yield frames from the packet of a keyframe on; none if the container does not come to it."""
        found = False
        for packet in self._container.demux(self._stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            found = found or (stamp == self._pts[keyframe] and packet.pos == self._places.get(keyframe))
            if found:
                yield from packet.decode()
            elif stamp is not None and packet.dts is not None and packet.dts > self._pts[keyframe]:
                return

    def _decode_to(self, position: int) -> VideoFrame:
        """Return the frame at a position that the decoder has not passed."""
        while True:
            frame = self._decode_next()
            if self._next > position:
                return frame

    def _decode_next(self) -> VideoFrame:
        """Return the next frame that the file lists, and count it."""
        try:
            for frame in self._decoded:
                stamp = self._stamp(frame)
                if (
                    stamp != self._pts[self._next]
                ):  # which it nearly always is, and to look further takes time
                    place = int(np.searchsorted(self._pts, stamp))
                    if place > self._next:
                        break  # the decoder left one out: it is broken
                    if place < self._next:
                        continue
                self._check(frame)
                self._next += 1
                return frame
        except (av.FFmpegError, OSError, VideoError) as exc:
            reason = _reason(exc)
        else:
            reason = "the decoder gave another frame or none"
        self._last_failed, self._next = self._next, len(self)
        raise VideoError(f"frame {self._last_failed} of {self._path} cannot be decoded ({reason})")

    def _check(self, frame: VideoFrame) -> None:
        if frame.is_corrupt:
            raise VideoError("part of it is lost, and made up by the decoder")
        if (frame.height, frame.width) != self.shape[:2]:
            raise VideoError(f"it is of {frame.height} rows and {frame.width} columns")

    def _image(self, frame: VideoFrame) -> Image:
        return image_of(frame, colour=self._colour, dtype=self._dtype, options=self._options)

    def _stamp(self, frame: VideoFrame) -> int:
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None:
            raise VideoError(f"a frame of {self._path} has no presentation time")
        return stamp


def open_container(path: Path) -> InputContainer:
    """Open a video and nothing that it may lead to. Raises FFmpegError, OSError."""
    return av.open(f"file:{path}", "r", options=_OPTIONS, metadata_errors="replace")


def _has_slices(packet: "Packet[VideoStream]") -> bool:
    """Say whether threads can share a frame: then none is decoded only to keep them busy."""
    context = packet.stream.codec_context
    if context.name == "h264":
        data, extra = bytes(packet), context.extradata or b""
        return sum(kind in _SLICES for kind in _nal_kinds(data, extra)) > 1
    return bool(context.name == "ffv1")


def _nal_kinds(data: bytes, extra: bytes) -> Iterator[int]:
    """Yield the types of the units of an H.264 packet (ITU-T H.264, 7.3.1 and annex B; ISO 14496-15)."""
    if extra[:1] != b"\x01" or len(extra) < 5:  # units begin with a code
        yield from (match[1][0] & 31 for match in _START_CODE.finditer(data))
        return
    size, at = (extra[4] & 3) + 1, 0  # units begin with their length
    while at + size < len(data):
        yield data[at + size] & 31
        at += size + int.from_bytes(data[at : at + size], "big")


def image_of(
    frame: VideoFrame, *, colour: bool, dtype: npt.DTypeLike = np.uint8, options: ReadOptions = AS_STORED
) -> Image:
    """Return a decoded frame as a new array; see `VideoDecoder` for the parameters."""
    deep = np.dtype(dtype) == np.uint16
    name = frame.format.name
    if colour or name not in (DEEP_FORMATS if deep else LUMA_FORMATS):
        pixels = frame.to_ndarray(format=_CONVERTED[colour, deep])
        return np.ascontiguousarray(options.resize(options.cut(pixels)))
    plane = options.cut(_first_plane(frame, dtype))
    is_full = deep or name.startswith(("yuvj", "gray")) or frame.color_range == ColorRange.JPEG
    image = options.resize(plane if is_full else _to_full_range(plane))
    return image.copy() if image is plane else image


def _to_full_range(luma: Image) -> Image:
    """Return limited luma stretched to 0 to 255; in half the time that a table takes."""
    scale = 255 / (_LIGHTEST - _DARKEST)
    return np.asarray(cv2.addWeighted(luma, scale, luma, 0.0, -scale * _DARKEST))


def _first_plane(frame: VideoFrame, dtype: npt.DTypeLike) -> Image:
    """Return the first plane as a view into the frame."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : frame.width]


def _reason(exc: BaseException) -> str:
    """Return what FFmpeg or the system says is wrong, without the file's name."""
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
