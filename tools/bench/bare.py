"""The codecs of the chunk formats driven through PyAV alone, with the same settings: what there is to reach.

Nothing is copied in or out: frames to encode are made beforehand, decoded ones are left where they are.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from imgstore import FORMATS, FrameSpec, Image

_RATE = 25
_NEUTRAL = 128


def bare_writer(name: str, path: Path, images: list[Image], profile: str) -> Callable[[], None]:
    """Return what encodes and muxes images in a video format, as frames that are made here."""
    # what makes a video format is its own; here it is looked at
    chunk_format = cast("Any", FORMATS.get(name))
    settings = chunk_format.settings(FrameSpec(images[0].shape), profile)
    frames = [_frame(image, settings.pixel_format) for image in images]

    def write() -> None:
        encoder, container = chunk_format.encoder, chunk_format.container
        with av.open(str(path), "w", format=container.name, options=dict(container.options)) as output:
            stream = cast(
                "VideoStream", output.add_stream(encoder.codec, rate=_RATE, options=encoder.options(settings))
            )
            context: VideoCodecContext = stream.codec_context
            context.height, context.width = images[0].shape
            context.pix_fmt = settings.pixel_format
            context.gop_size = settings.gop or 1
            context.max_b_frames = 0
            context.color_range = ColorRange.JPEG
            context.thread_count = settings.threads
            for place, frame in enumerate(frames):
                frame.pts = place
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))

    return write


def bare_image_writer(name: str, path: Path, images: list[Image], profile: str) -> Callable[[], None]:
    """Return what encodes images and writes a file for each, without making it safe on the disk."""
    chunk_format = cast("Any", FORMATS.get(name))
    settings = chunk_format.settings(FrameSpec(images[0].shape), profile)

    def write() -> None:
        path.mkdir()
        for place, image in enumerate(images):
            with (path / f"{place:06d}{chunk_format.ending}").open("wb", buffering=0) as file:
                for part in chunk_format.encode(image, settings):
                    file.write(part)

    return write


class BareVideo:
    """The frames of a video file, decoded and left in the decoder's memory.

    Parameters
    ----------
    path : the file.
    threading : "AUTO" is quickest in order, "SLICE" for single frames.
    threads : of the decoder.
    """

    def __init__(self, path: Path, threading: Literal["AUTO", "SLICE"], threads: int = 2) -> None:
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = threading
        self._stream.codec_context.thread_count = threads
        self._stamps: list[int] = []
        self._keyframes = np.empty(0, np.int64)
        self._decoded: Iterator[VideoFrame] = iter(())
        self._next = -1

    def in_order(self) -> Iterator[VideoFrame]:
        """Yield all frames."""
        return self._container.decode(self._stream)

    def list_packets(self) -> None:
        """Find out where frames are, which `at` goes by."""
        packets = [(packet.pts, packet.is_keyframe) for packet in self._container.demux(self._stream)]
        known = sorted((pts, is_key) for pts, is_key in packets if pts is not None)
        self._stamps = [pts for pts, _ in known]
        self._keyframes = np.flatnonzero([is_key for _, is_key in known])

    def at(self, index: int) -> VideoFrame:
        """Return one frame: decoded on to where it lies ahead before the next keyframe, else after a seek."""
        keyframe = int(self._keyframes[np.searchsorted(self._keyframes, index, "right") - 1])
        if not keyframe <= self._next <= index:
            self._container.seek(self._stamps[keyframe], stream=self._stream)
            self._decoded = self._container.decode(self._stream)
        for frame in self._decoded:
            if frame.pts == self._stamps[index]:
                self._next = index + 1
                return frame
        raise IndexError(f"the decoder does not come to frame {index}")

    def close(self) -> None:
        """Let go of the file."""
        self._decoded = iter(())
        self._container.close()


def _frame(image: Image, pixel_format: str) -> VideoFrame:
    frame = VideoFrame(image.shape[1], image.shape[0], pixel_format)
    for plane in frame.planes:
        np.frombuffer(memoryview(plane), np.uint8)[:] = _NEUTRAL
    luma_of(frame)[...] = image
    frame.color_range = ColorRange.JPEG
    return frame


def luma_of(frame: VideoFrame) -> Image:
    """Return the luma of a frame of 8 bit, as a view."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : frame.width]
