"""A plain video of a store, that plays at the pace at which was recorded, anywhere."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from imgstore.chunk import chunk_path
from imgstore.errors import ChunkError, FrameFormatError, UnknownNameError, VideoError
from imgstore.frame import Frame, FrameSpec, Image
from imgstore.index import Times
from imgstore.interrupt import deferred_interrupt
from imgstore.layout import sync
from imgstore.metadata import find_metadata
from imgstore.options import AS_STORED, Crop, ReadOptions
from imgstore.reader import Moment, StoreReader
from imgstore.transcode.audio import Block, Sound, SoundFile, SoundSignal, aac_rate, as_frames, continuous
from imgstore.transcode.caption import Caption
from imgstore.transcode.convert import open_frames
from imgstore.transcode.output import FrameProgress, Tick, check_output, check_outside, counter
from imgstore.transcode.packets import PacketTable, list_packets, packets_of
from imgstore.transcode.span import RangeBy, find_range
from imgstore.transcode.timeline import Timeline, make_timeline

DEFAULT_QUALITY = 20

_CONTAINERS = {".mp4": ("mp4", 90_000), ".mov": ("mov", 90_000), ".mkv": ("matroska", 1_000)}
_PLAYABLE = ("yuv420p", "yuvj420p")
_PROFILES = ("Constrained Baseline", "Baseline", "Main", "High")  # of H.264, that any player knows
_KEYFRAME_EVERY = 120
_NEUTRAL = 128
_FASTEST_RATE = 60.0  # frames per second, that a video is sped up to
_TO_VIDEO_RANGE = np.rint(16 + np.arange(256) * 219 / 255).astype(np.uint8)
_LOOKED_AT = 16  # frames that tell how bright deep images get
_BT709 = 1
_AHEAD = 3  # images that wait for the encoder


@dataclass(frozen=True, slots=True)
class Exported:
    """A video that was written.

    Attributes
    ----------
    path : of the file.
    frames : how many it holds; when sped up it may be fewer than there are in the range.
    seconds : how long it plays.
    copied : whether the frames are those of the store bit for bit, not encoded again.
    changed : frames whose distance from the one before is not that of their times; see `Timeline`.
    """

    path: Path
    frames: int
    seconds: float
    copied: bool
    changed: int


def export_video(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    start: Moment | None = None,
    stop: Moment | None = None,
    *,
    by: RangeBy = "time",
    speed: float = 1.0,
    overlay: bool = False,
    grey: bool = False,
    crop: Crop | None = None,
    scale: float = 1.0,
    quality: int | None = None,
    audio: str | os.PathLike[str] | None = None,
    audio_start: Moment | None = None,
    progress: FrameProgress | None = None,
    force: bool = False,
) -> Exported:
    """Write a store, or part of it, as one video file that shows each frame when it was taken.

    It is H.264 in yuv420p. Where the store is, too, and nothing is asked that needs pixels, its packets are
    copied, as long as the range starts at a keyframe. Where the camera paused, so does the video, up to six
    hours; where the clock stepped back, the next frame comes after the usual interval.

    Parameters
    ----------
    source : folder of the store.
    destination : .mp4, .mov or .mkv; it must not exist, and not lie in the store.
    start, stop, by : which frames; see `find_range`.
    speed : 2 for twice as fast; of what would be more than 60 frames a second, frames are left out.
    overlay : draw number and local time on each frame; frames too small for text become larger.
    grey, crop, scale : how frames are read; see `open`.
    quality : CRF of H.264, 0 (best) to 51; None to copy packets if that can be, else 20.
    audio : a sound file, or the name of a signal that was recorded with the store.
    audio_start : time of the first sample of the file; None for the time of the first frame of the store.
    progress : called with the frames that are done, and all.
    force : replace a file at `destination`.

    Raises
    ------
    OutputExistsError
        There is something at `destination`.
    FrameNotFoundError
        There is no frame in the range.
    FrameFormatError, VideoError, UnknownNameError
        The frames cannot be shown, the sound cannot be read, or the file has an ending that is none of these.
    ChunkError
        A frame cannot be read, or the disk refuses.
    KeyboardInterrupt
        At Ctrl-C; there is no file then.
    """
    place = Path(destination)
    root = find_metadata(Path(source)).parent
    check_outside(place, root)
    _check_place(place, force=force)
    options = ReadOptions(grey, crop, scale)
    if not speed > 0 or (audio is not None and speed != 1):
        raise FrameFormatError(f"speed is above 0, and 1 where there is sound, got {speed!r}")
    with open_frames(root, options) as reader:
        frames = find_range(reader, start, stop, by=by)
        timeline = make_timeline(reader.times[frames.start : frames.stop], speed)
        indices: Sequence[int] = frames
        if speed > 1:
            timeline, kept = timeline.thinned(_FASTEST_RATE)
            indices = (frames.start + kept).tolist()
        sound = None if audio is None else _find_sound(reader, audio, audio_start)
        may_copy = quality is None and not overlay and options == AS_STORED and len(indices) == len(frames)
        runs = _copyable(reader, frames) if may_copy else None
        with deferred_interrupt() as pressed, _replacing(place) as beside:
            movie = _Movie(beside, place.suffix.lower(), timeline, sound)
            tick = counter(len(indices), progress, pressed.is_set)
            if runs is not None:
                movie.copy(runs, tick)
            else:
                chosen = DEFAULT_QUALITY if quality is None else quality
                painter = _Painter(reader, indices, overlay=overlay)
                movie.encode(painter.images(), painter.spec, chosen, tick)
    return Exported(place, len(indices), timeline.duration, runs is not None, timeline.changed)


def encode_video(
    destination: str | os.PathLike[str],
    times: Times,
    spec: FrameSpec,
    draw: Callable[[Sequence[int]], Generator[Image, None, None]],
    *,
    speed: float = 1.0,
    quality: int = DEFAULT_QUALITY,
    progress: FrameProgress | None = None,
    force: bool = False,
) -> Exported:
    """Write images as one video file that shows each at its time, as `export_video` does.

    Parameters
    ----------
    destination : .mp4, .mov or .mkv; it must not exist.
    times : of all images that there are, shape (n,), n of at least 1; seconds.
    spec : of the images, of 8 bit.
    draw : called once with the places in `times` of the images to be shown, rising; yields these images: grey
        or blue, green, red, of `spec.shape`; or, if the sides are even, planes as the encoder takes them
        (yuv420p): shape (3 / 2 rows, columns), luma of 16 to 235, below it both chroma planes.
        Each is copied before the next is asked for, so they may share an array.
    speed : 2 for twice as fast; of what would be more than 60 images a second, some are left out.
    quality : CRF of H.264, 0 (best) to 51.
    progress, force : see `export_video`, as for the errors.
    """
    place = Path(destination)
    _check_place(place, force=force)
    if not speed > 0:
        raise FrameFormatError(f"speed is above 0, got {speed!r}")
    timeline, places = make_timeline(times, speed), np.arange(len(times))
    if speed > 1:
        timeline, places = timeline.thinned(_FASTEST_RATE)
    with deferred_interrupt() as pressed, _replacing(place) as beside:
        movie = _Movie(beside, place.suffix.lower(), timeline, None)
        tick = counter(len(places), progress, pressed.is_set)
        movie.encode(draw(places.tolist()), spec, quality, tick)
    return Exported(place, len(places), timeline.duration, False, timeline.changed)


def _check_place(place: Path, *, force: bool) -> None:
    if place.suffix.lower() not in _CONTAINERS:
        raise UnknownNameError("kind of video", place.suffix or place.name, _CONTAINERS)
    check_output(place, force=force)


@contextmanager
def _replacing(place: Path) -> Iterator[Path]:
    """Give where to write a file that appears complete or not at all."""
    beside = place.with_name(f".{place.name}.partial")
    try:
        yield beside
        sync(beside)
        beside.replace(place)
    except (av.FFmpegError, OSError) as exc:
        if isinstance(exc, (ChunkError, VideoError)):
            raise
        raise ChunkError(f"{place} cannot be written ({exc.strerror or exc})") from exc
    finally:
        beside.unlink(missing_ok=True)
    sync(place.parent)


def _find_sound(reader: StoreReader, audio: str | os.PathLike[str], start: Moment | None) -> Sound:
    if Path(audio).is_file():
        return SoundFile(Path(audio), float(reader.times[0]) if start is None else reader.seconds(start))
    if Path(audio).suffix:
        raise VideoError(f"{audio} does not exist; give a sound file, or the name of a signal of the store")
    return SoundSignal(reader, os.fspath(audio))


@dataclass(frozen=True, slots=True)
class _Run:
    """Frames of a video that follow each other in a file."""

    path: Path
    positions: range


def _copyable(reader: StoreReader, frames: range) -> list[_Run] | None:
    """Return where the packets of frames lie, None unless they can be put into one video as they are."""
    metadata = reader.metadata
    if not metadata.suffix or metadata.encoding or metadata.suffix == ".avi":
        return None
    runs, first = [], None
    for chunk in reader.chunks:
        whole = reader.chunk_range(chunk)
        wanted = range(max(whole.start, frames.start), min(whole.stop, frames.stop))
        if not wanted:
            continue
        path = chunk_path(reader.path, chunk, metadata.suffix)
        positions = range(wanted.start - whole.start, wanted.stop - whole.start)
        packets = list_packets(path)
        first = first or packets
        if not _joins(packets, first, positions):
            return None
        runs.append(_Run(path, positions))
    return runs


def _joins(packets: PacketTable, first: PacketTable, positions: range) -> bool:
    """Return whether frames of a file can follow those of another, and be played by any player."""
    return (
        packets.codec == "h264"
        and packets.profile in _PROFILES
        and packets.pixel_format in _PLAYABLE
        and packets.in_order
        and packets.extradata == first.extradata
        and packets.keyframe_from(positions.start) == positions.start
        and positions.stop <= packets.count
    )


class _Painter:
    """Gives the frames of a range as 8-bit images of even size, with or without text on them."""

    def __init__(self, reader: StoreReader, frames: Sequence[int], *, overlay: bool) -> None:
        spec = reader.spec
        if len(spec.shape) == 3 and not spec.is_colour:
            raise FrameFormatError(
                f"frames of shape {spec.shape} cannot be shown; those in grey or colour can"
            )
        self._reader = reader
        self._frames = frames
        self._range = _brightness(reader, frames)
        spec = FrameSpec(spec.shape)
        self._caption: Caption | None = None
        if overlay:
            longest = str(max(map(abs, reader.numbers[[frames[0], frames[-1]]].tolist())))
            self._caption = Caption(spec, (f"-{longest}", "2222-22-22", "22:22:22.222"))
            spec = self._caption.spec
        self.spec = spec

    def images(self) -> Generator[Image, None, None]:
        """Yield the images, in order."""
        for frame in self._reader.read_ahead(self._frames):
            image = self._as_bytes(frame.image)
            yield image if self._caption is None else self._caption.draw(image, self._words(frame))

    def _as_bytes(self, image: Image) -> Image:
        if self._range is None:
            return image
        low, high = self._range
        stretched = (image.astype(np.float32) - low) * (255 / (high - low))
        return np.asarray(np.clip(stretched, 0, 255).astype(np.uint8))

    def _words(self, frame: Frame) -> tuple[str, ...]:
        local: datetime | None = None
        with suppress(ValueError):
            local = self._reader.local_time(frame.time)
        if local is None:
            return str(frame.number), "", f"{frame.time}"
        return str(frame.number), f"{local:%Y-%m-%d}", local.strftime("%H:%M:%S.%f")[:-3]


def _brightness(reader: StoreReader, frames: Sequence[int]) -> tuple[float, float] | None:
    """Return what is black and what is white in images that are not of 8 bit, by some of them."""
    if reader.spec.dtype == np.uint8:
        return None
    places = np.unique(np.linspace(0, len(frames) - 1, _LOOKED_AT).astype(int))
    some = [reader[frames[place]].image for place in places.tolist()]
    low = min(0.0, float(np.nanmin(some)))
    return low, max(float(np.nanmax(some)), low + 1e-9)


class _Movie:
    """The file, and what goes into it."""

    def __init__(self, path: Path, suffix: str, timeline: Timeline, sound: Sound | None) -> None:
        self._path = path
        self._container, per_second = _CONTAINERS[suffix]
        self._tick = Fraction(1, per_second)
        self._ticks = timeline.ticks(per_second).tolist()
        self._timeline = timeline
        self._sound = sound

    def copy(self, runs: list[_Run], tick: Tick) -> None:
        """Write the packets of frames, each when its frame is shown."""
        with self._open() as file, packets_of(runs[0].path, runs[0].positions) as (track, _):
            stream = file.add_stream_from_template(track, opaque=True)
            stream.time_base = self._tick
            heard = _Track(file, self._sound, self._timeline)
            place = 0
            for run in runs:
                with packets_of(run.path, run.positions) as (_, packets):
                    for packet in packets:
                        heard.write_to(self._timeline.shown[place])
                        packet.stream = stream
                        packet.time_base = self._tick
                        packet.pts = packet.dts = self._ticks[place]
                        packet.duration = self._ticks[place + 1] - self._ticks[place]
                        file.mux(packet)
                        place += 1
                        tick()
            heard.finish()

    def encode(self, images: Generator[Image, None, None], spec: FrameSpec, quality: int, tick: Tick) -> None:
        """Encode images, each to be seen when its frame was taken, while the next ones are drawn."""
        with self._open() as file:
            stream = self._video_stream(file, spec, quality)
            heard = _Track(file, self._sound, self._timeline)

            def write(frame: VideoFrame, shown: float) -> None:
                heard.write_to(shown)
                file.mux(stream.encode(frame))

            with closing(images), ThreadPoolExecutor(1, "encode") as helper:
                waiting: deque[Future[None]] = deque()
                for place, image in enumerate(images):
                    frame = _as_frame(image, planar=image.shape[0] > spec.rows)
                    frame.pts, frame.time_base = self._ticks[place], self._tick
                    frame.duration = self._ticks[place + 1] - self._ticks[place]
                    waiting.append(helper.submit(write, frame, self._timeline.shown[place]))
                    if len(waiting) > _AHEAD:
                        waiting.popleft().result()
                    tick()
                for written in waiting:
                    written.result()
            file.mux(stream.encode(None))
            heard.finish()

    def _open(self) -> OutputContainer:
        options = {} if self._container == "matroska" else {"movflags": "faststart"}
        return av.open(str(self._path), "w", format=self._container, options=options)

    def _video_stream(self, file: OutputContainer, spec: FrameSpec, quality: int) -> VideoStream:
        rate = Fraction(1 / self._timeline.interval).limit_denominator(1000)
        options = {"crf": str(quality), "preset": "veryfast"}
        stream = file.add_stream("libx264", rate=max(rate, Fraction(1, 1000)), options=options)
        context = stream.codec_context
        context.height, context.width = spec.rows + spec.rows % 2, spec.columns + spec.columns % 2
        context.pix_fmt = "yuv420p"
        context.time_base = self._tick
        context.gop_size = _KEYFRAME_EVERY
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        return stream


def _as_frame(image: Image, *, planar: bool) -> VideoFrame:
    """Return an image as all players know it: even sides, 16 is black and 235 is white."""
    if planar:
        return VideoFrame.from_ndarray(image, format="yuv420p")
    below, right = image.shape[0] % 2, image.shape[1] % 2
    if below or right:
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    if image.ndim == 3:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        return frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
    luma = cv2.LUT(image, _TO_VIDEO_RANGE)
    chroma = np.full((image.shape[0] // 2, image.shape[1]), _NEUTRAL, np.uint8)
    return VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")


class _Track:
    """The sound of a video, written as far as the images are."""

    def __init__(self, file: OutputContainer, sound: Sound | None, timeline: Timeline) -> None:
        self._file = file
        self._stream: AudioStream | None = None
        self._written = 0.0
        if sound is None:
            return
        layout = "mono" if sound.channels == 1 else "stereo"
        self._stream = file.add_stream("aac", rate=aac_rate(sound.rate))
        self._stream.codec_context.layout = layout
        self._rate = round(sound.rate)
        heard = _on(timeline, sound.blocks(timeline.times))
        self._frames = as_frames(continuous(heard, sound.rate, timeline.duration), self._rate)

    def write_to(self, seconds: float) -> None:
        """Write the sound up to a time of the video."""
        while self._stream is not None and self._written < seconds:
            frame = next(self._frames, None)
            if frame is None:
                return
            self._written += frame.samples / self._rate
            self._file.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is left."""
        self.write_to(np.inf)
        if self._stream is not None:
            self._file.mux(self._stream.encode(None))


def _on(timeline: Timeline, blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks with the times at which they are heard in the video."""
    for block in blocks:
        yield Block(None if block.time is None else timeline.at(block.time), block.samples)
