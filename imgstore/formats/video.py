"""A video file per chunk, through PyAV."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from imgstore.decoder import VideoDecoder, image_of
from imgstore.errors import ChunkError, FrameFormatError, MissingDependencyError, SettingsError, VideoError
from imgstore.formats.growing import GrowingVideo, Tail, decode_held_back, held_back
from imgstore.formats.patience import Encode, PatientEncoder
from imgstore.formats.settings import FormatSettings, SettingsTable
from imgstore.frame import FrameSpec, Image
from imgstore.index import Times
from imgstore.layout import check_plain, sync, write_whole
from imgstore.metadata import VIDEO_CLASS
from imgstore.options import AS_STORED, ReadOptions
from imgstore.scheduling import scheduling_kept
from imgstore.waiting import POLL_S

GOP = 30
"""Frames from a keyframe to the next: what a random read decodes at most."""

NOMINAL_RATE = 25
"""Frames per second for containers that know no times of frames."""

_NEUTRAL = 128
_LONGEST_STEP_S = 3600  # a longer pause is cut, in the video's own times only: containers count in 32 bits


@dataclass(frozen=True, slots=True)
class Container:
    """A file that videos lie in.

    Attributes
    ----------
    name : by FFmpeg.
    suffix : of the file.
    ticks : per second, of presentation times; None if it knows a rate only.
    options : which make the file readable without its end.
    """

    name: str
    suffix: str
    ticks: int | None
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Encoder:
    """What makes a video of images.

    Attributes
    ----------
    codec : by FFmpeg's name.
    decoder : the same.
    options : of the encoder, from settings.
    grey, colour : pixel formats that it takes for 8-bit frames, the usual one first.
    grey16, colour16 : the same for 16-bit frames.
    rgb_codec : for pixel formats without luma, where it is another one.
    smallest : side in pixels that it can encode.
    needs : which machine, where not every one can.
    may_hang : whether it was seen to wait for itself for ever.
    """

    codec: str
    decoder: str
    options: Callable[[FormatSettings], dict[str, str]]
    grey: tuple[str, ...]
    colour: tuple[str, ...]
    grey16: tuple[str, ...] = ()
    colour16: tuple[str, ...] = ()
    rgb_codec: str = ""
    smallest: int = 1
    needs: str = ""
    may_hang: bool = False

    def pixel_formats(self, spec: FrameSpec) -> tuple[str, ...]:
        """Return what frames of `spec` can be in the video, none if it cannot hold them."""
        if len(spec.shape) != 2 and not spec.is_colour:
            return ()
        of_dtype = {"uint8": (self.grey, self.colour), "uint16": (self.grey16, self.colour16)}
        return of_dtype.get(spec.dtype.name, ((), ()))[spec.is_colour]


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """Images as frames of a video."""

    name: str
    container: Container
    encoder: Encoder
    table: SettingsTable

    store_class = VIDEO_CLASS
    chunksize = 10_000
    readers = 1  # decoding goes on from frame to frame

    @property
    def suffix(self) -> str:
        """Ending of a chunk file."""
        return self.container.suffix

    @property
    def lossless(self) -> bool:
        """Whether grey images come back bit for bit with the settings of "balanced"."""
        return "quality" not in self.table.limits

    def check(self, spec: FrameSpec) -> None:
        """Raise FrameFormatError unless the encoder takes such frames.

        Raises MissingDependencyError if this machine cannot run it.
        """
        if not self.encoder.pixel_formats(spec):
            words = " or uint16" if self.encoder.grey16 else ""
            raise FrameFormatError(
                f"format {self.name!r} holds grey or colour frames of uint8{words}, "
                f"not {spec.dtype} of shape {spec.shape}; "
                "'png' and 'ffv1/mkv' hold uint16, 'npy' and 'blosc2' any"
            )
        if min(spec.rows, spec.columns) < self.encoder.smallest:
            raise FrameFormatError(
                f"format {self.name!r} holds frames of {self.encoder.smallest} pixels or more a side, "
                f"not of shape {spec.shape}; 'h264/mkv' holds any"
            )
        if self.encoder.needs:
            _try_encoder(self, spec)

    def kept(self, spec: FrameSpec) -> FrameSpec:
        """Return `spec`."""
        return spec

    def settings(self, spec: FrameSpec, choice: str | FormatSettings | None = None) -> FormatSettings:
        """Return what `choice` means, pixel format included."""
        chosen = self.table.choose(self.name, choice)
        possible = self.encoder.pixel_formats(spec)
        if chosen.pixel_format is None:
            exact = [name for name in possible if not spec.is_colour or _is_rgb(name)]
            usual = exact if chosen.quality == 0 and exact else possible
            return replace(chosen, pixel_format=usual[0]) if usual else chosen
        if chosen.pixel_format not in possible:
            raise SettingsError(
                f"pixel_format of format {self.name!r} is, for {spec.dtype} frames of shape {spec.shape}, "
                f"{' or '.join(map(repr, possible))}, not {chosen.pixel_format!r}"
            )
        return chosen

    def is_lossless(self, spec: FrameSpec, settings: FormatSettings | None) -> bool:
        """Return whether the encoder drops nothing, and no trip to luma and chroma does."""
        if settings is None or settings.quality not in (None, 0):
            return False
        return not spec.is_colour or _is_rgb(settings.pixel_format or "")

    def pads(self, spec: FrameSpec) -> bool:
        """Return whether a side is odd: the codecs take even ones."""
        return bool(spec.rows % 2 or spec.columns % 2)

    def open_writer(
        self, path: Path, spec: FrameSpec, settings: FormatSettings | None = None
    ) -> "VideoWriter":
        """Make the file at `path`."""
        self.check(spec)
        return VideoWriter(path, self, spec, settings or self.settings(spec))

    def open_reader(self, path: Path, spec: FrameSpec, options: ReadOptions = AS_STORED) -> "VideoReader":
        """Open the file at `path`."""
        return VideoReader(path, spec, options, self.encoder.decoder)

    def follow(
        self, path: Path, spec: FrameSpec, options: ReadOptions, ended: Callable[[], bool]
    ) -> Iterator[Image]:
        """Yield the images as they are encoded, and what is left when the file is finished from there."""
        given = 0
        while True:
            is_whole = ended()  # asked first: what is read after that is all
            if not is_whole:
                video = GrowingVideo(path, self.encoder.decoder, _even(spec))
                for frame in islice(video.frames(ended), given, None):
                    yield _image(frame, spec, options)
                    given += 1
                time.sleep(POLL_S)  # it is being opened, or finished
                continue
            with closing(self.open_reader(path, spec, options)) as reader:
                for offset in range(given, len(reader)):
                    yield reader.read(offset)
            return


class VideoWriter:
    """Encodes the images of one chunk.

    Grey travels in the luma plane with neutral chroma, full range, which plays everywhere.
    """

    def __init__(
        self, path: Path, video_format: VideoFormat, spec: FrameSpec, settings: FormatSettings
    ) -> None:
        container = video_format.container
        self._path = path
        self._ticks = container.ticks
        self._first_time = np.nan
        self._last_tick = -1
        self._closed = False
        try:
            self._file = _File(path)
        except OSError as exc:
            raise ChunkError(f"the chunk {path} cannot be made ({exc.strerror})") from exc
        self._container: OutputContainer = av.open(
            self._file, "w", format=container.name, options=dict(container.options)
        )
        try:
            self._stream = _add_stream(self._container, video_format, spec, settings)
            with scheduling_kept():
                self._stream.codec_context.open()  # not the container: an MP4 without frames crashes FFmpeg
        except (av.FFmpegError, OSError) as exc:
            self._container.close()
            self._file.close()
            path.unlink(missing_ok=True)
            raise ChunkError(f"the chunk {path} cannot be made ({exc.strerror}) with {settings}") from exc
        self._canvas = Canvas(spec, self._stream)
        self._tail = Tail(path)
        self._encode: Encode = self._stream.encode
        self._patient: PatientEncoder | None = None
        if video_format.encoder.may_hang:
            self._patient = PatientEncoder(self._stream.encode, str(path))
            self._encode = self._patient.encode

    def append(self, image: Image, time: float) -> None:
        """Encode the next image."""
        frame = self._canvas.paint(image)
        frame.pts = self._tick(time)
        frame.time_base = self._stream.codec_context.time_base
        try:
            self._path.stat()  # a file that was removed would take images for ever
            for packet in self._encode(frame):
                self._tail.write(self._stream.codec_context.extradata or b"", bytes(packet))
                self._container.mux(packet)
        except (av.FFmpegError, OSError) as exc:
            raise ChunkError(f"{self._path} cannot be written ({exc.strerror})") from exc

    def append_packet(self, data: bytes) -> None:
        """Write a frame that was encoded before, as the first of the file."""
        packet = Packet(data)
        packet.stream = self._stream
        packet.time_base = self._stream.codec_context.time_base
        packet.pts = packet.dts = 0
        packet.is_keyframe = True
        try:
            self._container.mux(packet)
        except (av.FFmpegError, OSError) as exc:
            raise ChunkError(f"{self._path} cannot be written ({exc.strerror})") from exc

    def sync(self) -> None:
        """Make the file survive a power cut."""
        sync(self._path)

    def close(self) -> None:
        """Write what the encoder still holds, and the container's end."""
        if self._closed:
            return
        self._closed = True
        try:
            try:
                if self._last_tick >= 0:  # some encoders crash when they are flushed without a frame
                    self._container.mux(self._encode(None))
            finally:
                self._container.close()
        except (av.FFmpegError, OSError) as exc:
            raise ChunkError(f"{self._path} cannot be finished ({exc.strerror})") from exc
        finally:
            if self._patient is not None:
                self._patient.close()
            self._file.close()
            self._tail.close()

    def _tick(self, time: float) -> int:
        """Return the presentation time of a frame: its own where the container can say it, and rising."""
        if self._ticks and np.isfinite(time) and np.isnan(self._first_time):
            self._first_time = time
        self._last_tick = _next_tick(self._last_tick, time - self._first_time, self._ticks)
        return self._last_tick


class _File:
    """A new file that FFmpeg writes through us: its own stays open for ever where a header cannot be written.

    Raises OSError, FileExistsError where there is something at `path`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)

    def write(self, data: bytes) -> int:
        """Write all of `data`: a disk that is nearly full takes a part first, and then says so."""
        write_whole(self._file, memoryview(data))
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the file, and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._file.close()


class Canvas:
    """The frame that images are painted on, one after the other, as the encoder wants them.

    Parameters
    ----------
    spec : of the images; the frame may be one row and column larger.
    stream : says the size and the pixel format of the frame.
    """

    def __init__(self, spec: FrameSpec, stream: VideoStream) -> None:
        self._padding = (stream.height - spec.rows, stream.width - spec.columns)
        self._pixel_format = str(stream.pix_fmt)
        self._packed = ("bgr48le" if spec.dtype == np.uint16 else "bgr24") if spec.is_colour else ""
        self._frame = VideoFrame(stream.width, stream.height, self._pixel_format)
        for plane in self._frame.planes:
            np.frombuffer(memoryview(plane), np.uint8)[:] = _NEUTRAL
        self._frame.color_range = ColorRange.JPEG

    def paint(self, image: Image) -> VideoFrame:
        """Return a frame of `image`, to be given to the encoder before the next is painted."""
        if any(self._padding):
            below, right = self._padding
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        if self._packed:
            return self._paint_colour(image)
        self._frame.make_writable()  # the encoder may still hold the last one
        _pixels(self._frame.planes[0], image.dtype)[: image.shape[0], : image.shape[1]] = image
        return self._frame

    def _paint_colour(self, image: Image) -> VideoFrame:
        image = np.ascontiguousarray(image)
        if self._pixel_format == self._packed:
            return VideoFrame.from_ndarray(image, format=self._packed)
        frame = VideoFrame.from_numpy_buffer(image, format=self._packed)
        frame = frame.reformat(format=self._pixel_format, dst_color_range=ColorRange.JPEG)
        frame.color_range = ColorRange.JPEG
        return frame


class VideoReader:
    """Reads the images of one chunk, cut to the size of the store.

    Of a chunk that is being written, or whose writer died, that is also the one that the muxer holds back.

    Parameters
    ----------
    path : of the video.
    spec, options : of the images.
    codec : name of the decoder.
    """

    def __init__(self, path: Path, spec: FrameSpec, options: ReadOptions, codec: str) -> None:
        self._path = path
        self._spec = spec
        self._options = options
        self._codec = codec
        self._decoder: VideoDecoder | None = None  # of a file in which there is no frame yet
        try:
            self._decoder = self._open()
        except ChunkError:
            self._in_file, self._held_back = 0, held_back(path, 0)
            if self._held_back is None:
                raise
        else:
            self._in_file = len(self._decoder)
            self._held_back = held_back(path, self._in_file)

    def _open(self) -> VideoDecoder:
        spec, path = self._spec, self._path
        colour = spec.is_colour and not self._options.grey
        try:
            check_plain(path)
            decoder = VideoDecoder(
                path, colour=colour, dtype=spec.dtype, options=_within(spec, self._options)
            )
        except FileNotFoundError as exc:
            raise ChunkError(f"the chunk {path} is missing") from exc
        except OSError as exc:
            raise ChunkError(f"the chunk {path} cannot be read ({exc.strerror})") from exc
        except VideoError as exc:
            raise ChunkError(str(exc)) from exc
        more = [has - asked for has, asked in zip(decoder.shape[:2], spec.shape[:2], strict=True)]
        if not set(more) <= {0, 1}:
            decoder.close()
            raise ChunkError(f"{path} has frames of {decoder.shape[:2]}, the store of {spec.shape[:2]}")
        return decoder

    def __len__(self) -> int:
        return self._in_file + (self._held_back is not None)

    def read(self, offset: int) -> Image:
        """Return the image at `offset`."""
        if offset >= len(self):
            raise ChunkError(f"frame {offset} of {self._path} is missing: it holds {len(self)} frames")
        if self._held_back is not None and offset == self._in_file:
            frame = decode_held_back(self._path, self._codec, _even(self._spec), self._held_back)
            return _image(frame, self._spec, self._options)
        try:
            return cast("VideoDecoder", self._decoder).read(offset)
        except VideoError as exc:
            raise ChunkError(str(exc)) from exc

    @property
    def times(self) -> Times:
        """When the images that the file holds are shown, shape (n,), seconds since the first."""
        return self._decoder.times if self._decoder is not None else np.empty(0)

    def close(self) -> None:
        """Let go of the file."""
        if self._decoder is not None:
            self._decoder.close()


def _image(frame: VideoFrame, spec: FrameSpec, options: ReadOptions) -> Image:
    colour = spec.is_colour and not options.grey
    return image_of(frame, colour=colour, dtype=spec.dtype, options=_within(spec, options))


def _even(spec: FrameSpec) -> tuple[int, int]:
    """Return rows and columns of the video, which are even."""
    return spec.rows + spec.rows % 2, spec.columns + spec.columns % 2


def _within(spec: FrameSpec, options: ReadOptions) -> ReadOptions:
    """Return options that leave out what was added to make the sides even."""
    return replace(options, crop=options.crop or (0, 0, spec.columns, spec.rows))


def presentation_times(times: Times, ticks: int) -> Times:
    """Return when the frames of a chunk are shown in a video of ours, shape (n,), seconds since the first.

    Parameters
    ----------
    times : of the frames, Unix seconds.
    ticks : of the container, per second.
    """
    known = times[np.isfinite(times)]
    last, found = -1, []
    for seconds in (times - known[0] if len(known) else times).tolist():
        last = _next_tick(last, seconds, ticks)
        found.append(last)
    return (np.array(found) - found[0]) / ticks


def _next_tick(last: int, seconds: float, ticks: int | None) -> int:
    """Return the presentation time of a frame: its own where the container can say it, and rising."""
    if not ticks or not np.isfinite(seconds):
        return last + 1
    return min(max(round(seconds * ticks), last + 1), last + 1 + _LONGEST_STEP_S * ticks)


def _add_stream(
    container: OutputContainer, video_format: VideoFormat, spec: FrameSpec, settings: FormatSettings
) -> VideoStream:
    encoder = video_format.encoder
    codec = encoder.rgb_codec if _is_rgb(settings.pixel_format or "") and encoder.rgb_codec else encoder.codec
    stream = cast(
        "VideoStream", container.add_stream(codec, rate=NOMINAL_RATE, options=encoder.options(settings))
    )
    _set_up(stream.codec_context, video_format, spec, settings)
    return stream


def _set_up(
    context: VideoCodecContext, video_format: VideoFormat, spec: FrameSpec, settings: FormatSettings
) -> None:
    context.height, context.width = _even(spec)
    context.pix_fmt = settings.pixel_format
    context.time_base = Fraction(1, video_format.container.ticks or NOMINAL_RATE)
    context.gop_size = settings.gop or 1
    context.max_b_frames = 0
    context.color_range = ColorRange.JPEG
    context.thread_count = settings.threads or 1


def _try_encoder(video_format: VideoFormat, spec: FrameSpec) -> None:
    """Raise MissingDependencyError unless this machine has what the encoder needs."""
    encoder = video_format.encoder
    settings = video_format.settings(spec)
    try:
        context = cast("VideoCodecContext", VideoCodecContext.create(encoder.codec, "w"))
        context.options = encoder.options(settings)
        _set_up(context, video_format, spec, settings)
        context.open()
    except (av.FFmpegError, ValueError) as exc:
        raise MissingDependencyError(
            f"format {video_format.name!r} needs {encoder.needs}, which this machine does not offer "
            f"({getattr(exc, 'strerror', None) or exc}); 'h264/mkv' and 'hevc/mkv' work everywhere"
        ) from exc


def _is_rgb(pixel_format: str) -> bool:
    return pixel_format.startswith(("bgr", "gbr", "rgb"))


def _pixels(plane: VideoPlane, dtype: np.dtype[Any]) -> Image:
    """Return a plane as an array that writes to it, padding at the end of its rows included."""
    return np.asarray(np.frombuffer(memoryview(plane), dtype)).reshape(plane.height, -1)
