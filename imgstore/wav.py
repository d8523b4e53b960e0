"""Write samples as sound, a WAV file that stays in step with the time."""

import math
import wave
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgstore.errors import FrameFormatError, SettingsError, StoreExistsError
from imgstore.index import Times
from imgstore.layout import replacing
from imgstore.samples import Samples, StreamSpec

_MOST_BYTES = 0xFFFFFFFF - 64  # that the head of a WAV file can count
_SILENCE = 1 << 16  # samples written at a time

_SOUND: dict[str, Callable[[Samples], Samples]] = {
    "int16": lambda samples: samples,
    "int32": lambda samples: samples >> 16,
    "uint8": lambda samples: (samples.astype(np.int16) - 128) << 8,
    "float32": lambda samples: _scaled(samples),
    "float64": lambda samples: _scaled(samples),
}


@dataclass(frozen=True, slots=True)
class SavedWav:
    """What stands in a WAV file.

    Attributes
    ----------
    path : of the file.
    start : when the sound begins, Unix seconds.
    samples : how many it has.
    filled : how many of them are silence where samples were missing.
    cut : how many samples were left out, because others were there for their time.
    clipped : how many values were louder than there can be.
    """

    path: Path
    start: float
    samples: int
    filled: int
    cut: int
    clipped: int


def save_wav(
    path: Path,
    pieces: Iterable[tuple[Samples, Times]],
    spec: StreamSpec,
    *,
    start: float | None,
    tolerance: float,
) -> SavedWav:
    """Write samples as sound of 16 bits, a channel per column.

    Whole numbers of 8 (unsigned), 16 and 32 bits keep their place in the range of their type; of
    floating-point numbers 1.0 is full scale, and what is beyond is clipped. A sample stands where its time
    says, at the stream's rate from `start` on, give or take `tolerance`: gaps are filled with silence, and
    what is too much is left out.

    Parameters
    ----------
    pieces : samples (n, columns) and their times (n,), in order.
    spec : of the stream.
    start : Unix seconds; None for the time of the first sample.
    tolerance : seconds.

    Raises
    ------
    StoreExistsError
        There is something at `path`.
    FrameFormatError
        The samples are of another type.
    SettingsError
        The rate is not whole, or the file would be longer than a WAV file can be (4 GiB).
    """
    if path.exists():
        raise StoreExistsError(f"{path} is there already; remove it, or choose another name")
    if spec.dtype.name not in _SOUND:
        raise FrameFormatError(f"{spec.name!r} holds {spec.dtype}; sound is one of {', '.join(_SOUND)}")
    if not spec.rate.is_integer():
        raise SettingsError(
            f"{spec.name!r} has {spec.rate} samples per second; a WAV file has a whole number"
        )
    begin = math.nan if start is None else start
    with replacing(path) as file, wave.open(file, "wb") as sound:
        track = _Track(sound, spec, tolerance)
        for samples, times in pieces:
            begin = float(times[0]) if math.isnan(begin) else begin
            track.append(samples, times - begin)
    return SavedWav(path, begin, track.count, track.filled, track.cut, track.clipped)


class _Track:
    def __init__(self, sound: wave.Wave_write, spec: StreamSpec, tolerance: float) -> None:
        self._rate = int(spec.rate)
        self._channels = len(spec.columns)
        self._convert = _SOUND[spec.dtype.name]
        self._tolerance = tolerance * spec.rate
        self._wave = sound
        self._wave.setparams((self._channels, 2, self._rate, 0, "NONE", ""))
        self.count = self.filled = self.cut = self.clipped = 0

    def append(self, samples: Samples, since: Times) -> None:
        """Write samples, taken `since` seconds after the sound begins."""
        apart = np.flatnonzero(np.abs(np.diff(since) * self._rate - 1) > 0.5) + 1
        for first, stop in zip([0, *apart.tolist()], [*apart.tolist(), len(since)], strict=True):
            self._append_run(samples[first:stop], float(since[first]) * self._rate)

    def _append_run(self, samples: Samples, place: float) -> None:
        late = round(place) - self.count
        if late > self._tolerance:
            self._fill(late)
        elif -late > self._tolerance:
            self.cut += min(-late, len(samples))
            samples = samples[-late:]
        self._write(self._sound(samples))

    def _sound(self, samples: Samples) -> Samples:
        if samples.dtype.kind == "f":
            self.clipped += int((np.abs(samples) > 1).sum())
        return self._convert(samples).astype("<i2")

    def _fill(self, count: int) -> None:
        self._check(count)
        self.filled += count
        for first in range(0, count, _SILENCE):
            self._write(np.zeros((min(_SILENCE, count - first), self._channels), "<i2"))

    def _write(self, sound: Samples) -> None:
        self._check(len(sound))
        self._wave.writeframes(sound.tobytes())
        self.count += len(sound)

    def _check(self, more: int) -> None:
        if (self.count + more) * self._channels * 2 > _MOST_BYTES:
            seconds = (self.count + more) / self._rate
            raise SettingsError(f"{seconds:.0f} s of sound are more than a WAV file holds; save it in parts")


def _scaled(samples: Samples) -> Samples:
    scaled: Samples = np.rint(np.nan_to_num(np.clip(samples, -1, 1)) * 32767)
    return scaled
