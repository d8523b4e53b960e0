"""Sound that was recorded with the frames, as blocks with times, and as the track of a video."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from imgstore.errors import UnknownNameError, VideoError
from imgstore.index import Times
from imgstore.reader import StoreReader

Samples = npt.NDArray[np.float32]
"""(channels, samples), from -1 to 1."""

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)

_MOST_CHANNELS = 2
_AT_ONCE = 1 << 16
_LAST_FRAME_S = 60.0  # at most, that the last frame is shown for; what is too long is cut
_TOLERANCE_S = 0.01  # that two blocks may be apart before silence is put between them


@dataclass(frozen=True, slots=True)
class Block:
    """Samples that follow each other at the rate of the sound.

    Attributes
    ----------
    time : of the first sample, Unix seconds; None if it follows the block before.
    samples : (channels, samples).
    """

    time: float | None
    samples: Samples


class Sound(Protocol):
    """Sound to put beside frames: its rate, samples per second, and one or two channels."""

    @property
    def rate(self) -> float: ...
    @property
    def channels(self) -> int: ...
    def blocks(self, times: Times) -> Iterator[Block]:
        """Yield what was heard between the first and the last of the times, and perhaps before and after."""


class SoundFile:
    """A sound file, anything that FFmpeg reads.

    Parameters
    ----------
    path : of the file.
    start_time : of its first sample, Unix seconds.

    Raises VideoError if it holds no sound.
    """

    def __init__(self, path: Path, start_time: float) -> None:
        self._path = path
        self._start_time = start_time
        try:
            with av.open(str(path)) as file:
                context = file.streams.audio[0].codec_context
                self.rate, self.channels = float(context.sample_rate), min(context.channels, _MOST_CHANNELS)
        except (av.FFmpegError, OSError, IndexError) as exc:
            raise VideoError(f"{path} holds no sound that can be read ({exc})") from exc

    def blocks(self, times: Times) -> Iterator[Block]:
        """Yield the sound from its beginning; what is heard before the first frame is passed over."""
        resampler = AudioResampler("fltp", "mono" if self.channels == 1 else "stereo", int(self.rate))
        begin: float | None = self._start_time
        try:
            with av.open(str(self._path)) as file:
                for decoded in file.decode(audio=0):
                    for frame in resampler.resample(decoded):
                        yield Block(begin, frame.to_ndarray().astype(np.float32, copy=False))
                        begin = None
        except (av.FFmpegError, OSError) as exc:
            raise VideoError(f"the sound of {self._path} cannot be read ({exc})") from exc


class SoundSignal:
    """A stream that was recorded with a store, and that is sound.

    Parameters
    ----------
    reader : of the store.
    name : of the stream.

    Raises UnknownNameError if there is none of this name, VideoError if it does not say its rate.
    """

    def __init__(self, reader: StoreReader, name: str) -> None:
        known = reader.streams
        if name not in known:
            raise UnknownNameError("stream", name, known, "or give a sound file")
        self._stream = reader.stream(name)
        if not self._stream.rate > 0:
            raise VideoError(f"the stream {name!r} of {reader.path} does not say its rate")
        self.rate, self.channels = self._stream.rate, min(len(self._stream.columns), _MOST_CHANNELS)

    def blocks(self, times: Times) -> Iterator[Block]:
        """Yield the samples taken with the frames of these times, in blocks without a gap."""
        first, last = float(np.nanmin(times)), float(np.nanmax(times))
        for piece in self._stream.between(first, last + _LAST_FRAME_S).pieces(_AT_ONCE):
            samples, taken = piece.samples[:, : self.channels].T, piece.times
            gaps = np.flatnonzero(np.abs(np.diff(taken) - 1 / self.rate) > _TOLERANCE_S) + 1
            for start, stop in pairwise((0, *gaps.tolist(), len(taken))):
                yield Block(float(taken[start]), _as_sound(samples[:, start:stop]))


def _as_sound(raw: npt.NDArray[Any]) -> Samples:
    """Return samples from -1 to 1: whole numbers by their range, others as they are."""
    if raw.dtype.kind in "iu":
        limits = np.iinfo(raw.dtype)
        centre = 0.0 if limits.min < 0 else (limits.max + 1) / 2
        return ((raw.astype(np.float64) - centre) / (limits.max - centre)).astype(np.float32)
    return np.clip(raw.astype(np.float32), -1, 1)


def continuous(blocks: Iterator[Block], rate: float, duration: float) -> Iterator[Samples]:
    """Yield sound without gaps from 0 to `duration`: silence where there is none, nothing twice.

    Parameters
    ----------
    blocks : with times in seconds from 0 on.
    rate : samples per second.
    duration : seconds.
    """
    total = round(duration * rate)
    done, channels = 0, 1
    next_place: int | None = None  # of the next sample of the blocks; before 0 it is not heard
    for block in blocks:
        channels = block.samples.shape[0]
        place = next_place or 0
        if block.time is not None:
            said = round(block.time * rate)
            near = next_place is not None and abs(said - next_place) <= _TOLERANCE_S * rate
            place = place if near else said
        next_place = place + block.samples.shape[1]
        if place > done:
            yield from _silence(channels, min(place, total) - done)
            done = min(place, total)
        heard = block.samples[:, done - place : total - place] if place < total else block.samples[:, :0]
        if heard.shape[1]:
            yield heard
            done += heard.shape[1]
        if done >= total:
            return
    yield from _silence(channels, total - done)


def _silence(channels: int, count: int) -> Iterator[Samples]:
    for start in range(0, count, _AT_ONCE):
        yield np.zeros((channels, min(_AT_ONCE, count - start)), np.float32)


def as_frames(sound: Iterator[Samples], rate: int) -> Iterator[AudioFrame]:
    """Yield sound as FFmpeg takes it, with times from 0."""
    done = 0
    for samples in sound:
        layout = "mono" if samples.shape[0] == 1 else "stereo"
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate = rate
        frame.pts = done
        done += samples.shape[1]
        yield frame


def aac_rate(rate: float) -> int:
    """Return the rate, of those that AAC knows, that keeps most of a sound of another."""
    return next((known for known in AAC_RATES if known >= rate), AAC_RATES[-1])
