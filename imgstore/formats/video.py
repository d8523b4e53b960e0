"""A video file per chunk, through PyAV."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from imgstore.decoder import VideoDecoder
from imgstore.errors import ChunkError, FrameFormatError, VideoError
from imgstore.frame import FrameSpec, Image
from imgstore.layout import sync
from imgstore.metadata import VIDEO_CLASS

GOP = 30
"""Frames from a keyframe to the next: what a random read decodes at most."""

NOMINAL_RATE = 25
"""Frames per second for containers that know no times of frames."""

_NEUTRAL = 128
_LONGEST_STEP_S = 3600  # a longer pause is cut, in the video's own times only: containers count in 32 bits


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """Images as frames of a video.

    Attributes
    ----------
    suffix : ending of a chunk file.
    container, codec, pixel_format : by FFmpeg's names.
    ticks : per second, of presentation times; None for a container that knows a rate only.
    options : of the encoder.
    container_options : which make the file readable without its end.
    """

    suffix: str
    container: str
    codec: str
    pixel_format: str
    ticks: int | None
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)

    store_class = VIDEO_CLASS
    lossless = False
    chunksize = 10_000

    def check(self, spec: FrameSpec) -> None:
        """Raise FrameFormatError unless frames are 8-bit grey or colour."""
        if spec.dtype != np.uint8 or not (len(spec.shape) == 2 or spec.is_colour):
            raise FrameFormatError(
                f"video holds grey or colour frames of uint8, not {spec.dtype} of shape {spec.shape}; "
                "'png' holds uint16, 'npy' any"
            )

    def pads(self, spec: FrameSpec) -> bool:
        """Return whether a side is odd: the codecs take even ones."""
        return bool(spec.rows % 2 or spec.columns % 2)

    def open_writer(self, path: Path, spec: FrameSpec) -> "VideoWriter":
        """Make the file at `path`."""
        self.check(spec)
        return VideoWriter(path, self, spec)

    def open_reader(self, path: Path, spec: FrameSpec) -> "VideoReader":
        """Open the file at `path`."""
        return VideoReader(path, spec)


class VideoWriter:
    """Encodes the images of one chunk.

    Grey travels in the luma plane with neutral chroma, full range, which plays everywhere.
    """

    def __init__(self, path: Path, video_format: VideoFormat, spec: FrameSpec) -> None:
        self._path = path
        self._ticks = video_format.ticks
        self._grey = not spec.is_colour
        self._size = (spec.rows, spec.columns)
        self._padding = (spec.rows % 2, spec.columns % 2)
        self._first_time = np.nan
        self._last_tick = -1
        self._closed = False
        try:
            self._container: OutputContainer = av.open(
                str(path), "w", format=video_format.container, options=dict(video_format.container_options)
            )
            self._stream = self._add_stream(video_format)
        except (av.FFmpegError, OSError) as exc:
            raise ChunkError(f"the chunk {path} cannot be made ({exc.strerror})") from exc
        rows, columns = self._stream.height, self._stream.width
        self._planes = np.full((rows * 3 // 2, columns), _NEUTRAL, np.uint8)

    def append(self, image: Image, time: float) -> None:
        """Encode the next image."""
        frame = self._frame(image)
        frame.pts = self._tick(time)
        frame.time_base = self._stream.codec_context.time_base
        try:
            self._container.mux(self._stream.encode(frame))
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
            self._container.mux(self._stream.encode(None))
        except (av.FFmpegError, OSError) as exc:
            raise ChunkError(f"{self._path} cannot be finished ({exc.strerror})") from exc
        finally:
            self._container.close()

    def _add_stream(self, video_format: VideoFormat) -> VideoStream:
        stream = cast(
            "VideoStream",
            self._container.add_stream(
                video_format.codec, rate=NOMINAL_RATE, options=dict(video_format.options)
            ),
        )
        stream.height = self._size[0] + self._padding[0]
        stream.width = self._size[1] + self._padding[1]
        stream.pix_fmt = video_format.pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, video_format.ticks or NOMINAL_RATE)
        context.gop_size = GOP
        context.max_b_frames = 0
        context.color_range = ColorRange.JPEG
        context.thread_count = 1  # more threads hold back frames, or cut the picture into slices
        return stream

    def _frame(self, image: Image) -> VideoFrame:
        if any(self._padding):
            image = np.pad(image, [(0, n) for n in self._padding] + [(0, 0)] * (image.ndim - 2), mode="edge")
        if self._grey:
            self._planes[: image.shape[0]] = image
            frame = VideoFrame.from_ndarray(self._planes, format="yuv420p")
        else:
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame = frame.reformat(format="yuv420p", dst_color_range=ColorRange.JPEG)
        frame.color_range = ColorRange.JPEG
        if self._stream.pix_fmt == "yuvj420p":
            frame = frame.reformat(format="yuvj420p")
        return frame

    def _tick(self, time: float) -> int:
        """Return the presentation time of a frame: its own where the container can say it, and rising."""
        lowest = self._last_tick + 1
        tick = lowest
        if self._ticks and np.isfinite(time):
            if np.isnan(self._first_time):
                self._first_time = time
            highest = lowest + _LONGEST_STEP_S * self._ticks
            tick = int(np.clip(round((time - self._first_time) * self._ticks), lowest, highest))
        self._last_tick = tick
        return tick


class VideoReader:
    """Reads the images of one chunk, cut to the size of the store."""

    def __init__(self, path: Path, spec: FrameSpec) -> None:
        self._path = path
        try:
            self._decoder = VideoDecoder(path, colour=spec.is_colour)
        except VideoError as exc:
            raise ChunkError(f"the chunk {path} is missing" if not path.exists() else str(exc)) from exc
        self._spec = spec
        if self._decoder.shape[:2] < spec.shape[:2]:
            self._decoder.close()
            raise ChunkError(f"{path} has frames of {self._decoder.shape[:2]}, the store of {spec.shape[:2]}")

    def __len__(self) -> int:
        return len(self._decoder)

    def read(self, offset: int) -> Image:
        """Return the image at `offset`."""
        if offset >= len(self):
            raise ChunkError(f"frame {offset} of {self._path} is missing: it holds {len(self)} frames")
        try:
            image = self._decoder.read(offset)
        except VideoError as exc:
            raise ChunkError(str(exc)) from exc
        if image.shape == self._spec.shape:
            return image
        return np.ascontiguousarray(image[: self._spec.rows, : self._spec.columns])

    def close(self) -> None:
        """Let go of the file."""
        self._decoder.close()


_X264 = {"preset": "veryfast", "crf": "23", "tune": "zerolatency"}  # no frame waits in the encoder

H264_MKV = VideoFormat(
    ".mkv",
    "matroska",
    "libx264",
    "yuv420p",
    1_000,
    _X264,
    {"cluster_time_limit": "1", "flush_packets": "1"},
)
AVC1_MP4 = VideoFormat(
    ".mp4",
    "mp4",
    "libx264",
    "yuv420p",
    90_000,
    _X264,
    {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"},
)
MJPEG_AVI = VideoFormat(
    ".avi", "avi", "mjpeg", "yuvj420p", None, {"qmin": "2", "qmax": "2"}, {"flush_packets": "1"}
)
