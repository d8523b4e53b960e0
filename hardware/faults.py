"""What goes wrong with a simulated camera, on demand and the same way again."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum

import numpy as np

from hardware.options import about, check_ranges
from hardware.stamper import Counter
from imgstore import Image

_NS = 1_000_000_000
_NEVER_S = 1e9


def _seconds(meaning: str, high: float = _NEVER_S) -> dict[str, object]:
    return about(meaning, unit="s", values="from 0" if high == _NEVER_S else "", low=0, high=high)


@dataclass(frozen=True, slots=True)
class Faults:
    """Settings of a simulated camera: all that goes wrong with it. Nothing does by default.

    Frames are counted and times are taken from each `start`.
    """

    jitter: float = field(
        default=0.0,
        metadata=about("frames come later by this on average, at random", unit="s", low=0, high=60),
    )
    drop: float = field(default=0.0, metadata=about("chance of a frame to be lost", low=0, high=0.99))
    drop_every: int | None = field(default=None, metadata=about("every so manieth frame is lost", low=2))
    bad: float = field(default=0.0, metadata=about("chance of a frame to come incomplete", low=0, high=1))
    bad_every: int | None = field(default=None, metadata=about("every so manieth frame is incomplete", low=1))
    freeze_at: int | None = field(default=None, metadata=about("frame whose image comes again", low=0))
    freeze_frames: int = field(default=10, metadata=about("how many frames after it show it", low=1))
    silence_at: float | None = field(default=None, metadata=_seconds("from when on nothing comes"))
    silence_s: float = field(default=1.0, metadata=_seconds("for how long; these frames are lost"))
    disconnect_frame: int | None = field(
        default=None, metadata=about("frame at which the device goes", low=0)
    )
    disconnect_at: float | None = field(default=None, metadata=_seconds("when the device goes"))
    disconnects: int = field(default=1, metadata=about("how often it goes, in all", low=0))
    away_s: float = field(default=1.0, metadata=_seconds("for how long it cannot be started then"))
    stuck_at: float | None = field(default=None, metadata=_seconds("when reading hangs, once"))
    stuck_s: float = field(default=1.0, metadata=_seconds("for how long, whatever the timeout", high=3600))
    drift: float | None = field(
        default=None,
        metadata=about("how much too fast its clock runs", unit="ppm", low=-500_000, high=500_000),
    )
    offset: float | None = field(default=None, metadata=_seconds("what its clock shows at the start"))
    clock_stuck_at: float | None = field(default=None, metadata=_seconds("when its clock stands still"))
    counter_bits: int | None = field(
        default=None, metadata=about("of its count, which wraps", unit="bits", low=2, high=64)
    )
    counter_first: int = field(default=0, metadata=about("the lowest number of its count", low=0, high=1))
    counter_start: int | None = field(
        default=None, metadata=about("number of the first frame", values="from 0", low=0, high=2**64 - 1)
    )
    counter_stuck_at: int | None = field(
        default=None, metadata=about("frame from which on the count stands still", low=0)
    )

    def __post_init__(self) -> None:
        check_ranges(self, "a simulated camera")

    @property
    def asked(self) -> Mapping[str, object]:
        """What differs from the default, by name."""
        return {
            one.name: value
            for one, value in zip(fields(self), asdict(self).values(), strict=True)
            if value != one.default
        }

    @property
    def has_clock(self) -> bool:
        """Whether the device stamps its frames by a clock of its own."""
        return any(one is not None for one in (self.drift, self.offset, self.clock_stuck_at))

    @property
    def stamped(self) -> bool:
        """Whether number and time of a frame are known only by what a device would say."""
        asked = self.asked
        return self.has_clock or any(name == "jitter" or name.startswith("counter") for name in asked)

    @property
    def counter(self) -> Counter:
        """How the device counts."""
        last = None if self.counter_bits is None else 2**self.counter_bits - 1
        return Counter(self.counter_first, last)


class Fate(Enum):
    """What becomes of an exposure."""

    GIVEN = "given"
    INCOMPLETE = "incomplete"
    DROPPED = "dropped"
    SILENT = "silent"


class _Chance(Enum):
    """What is left to chance; each has numbers of its own."""

    DROP = 0
    BAD = 1
    JITTER = 2
    DAMAGE = 3


class FaultPlan:
    """What goes wrong in one run, from a start to a stop; a function of the seed and the exposure's number.

    Parameters
    ----------
    faults : what is asked for.
    rate : exposures per second.
    seed, run : which numbers chance gives.
    """

    def __init__(self, faults: Faults, rate: float, seed: int, run: int) -> None:
        self._faults = faults
        self._rate = rate
        self._seed = seed, run
        self._counter = faults.counter
        self._silence = range(0)
        if faults.silence_at is not None:
            ends = self._first_from(faults.silence_at + faults.silence_s)
            self._silence = range(self._first_from(faults.silence_at), ends)
        gone = math.inf if faults.disconnect_frame is None else faults.disconnect_frame
        if faults.disconnect_at is not None:
            gone = min(gone, self._first_from(faults.disconnect_at))
        self._gone = gone

    def fate(self, number: int) -> Fate:
        """Return what becomes of an exposure."""
        faults = self._faults
        if number in self._silence:
            return Fate.SILENT
        if self._hit(_Chance.DROP, number, faults.drop, faults.drop_every):
            return Fate.DROPPED
        if self._hit(_Chance.BAD, number, faults.bad, faults.bad_every):
            return Fate.INCOMPLETE
        return Fate.GIVEN

    def after(self, number: int) -> int:
        """Return which exposure to look at after `number`: the next, or the first with another fate."""
        following = self._silence.stop if number in self._silence else number + 1
        return int(min(following, max(self._gone, number + 1)))

    def pictured(self, number: int) -> int:
        """Return which exposure's image comes with an exposure: its own, unless the image froze."""
        at = self._faults.freeze_at
        return at if at is not None and at < number <= at + self._faults.freeze_frames else number

    def delay(self, number: int) -> float:
        """Return how many seconds after its exposure a frame comes."""
        mean = self._faults.jitter
        return float(self._random(_Chance.JITTER, number).exponential(mean)) if mean else 0.0

    def damaged(self, number: int, image: Image) -> Image:
        """Return an image without its lower part, as if packets were lost; how much is left to chance."""
        image = image.copy()
        image[int(self._random(_Chance.DAMAGE, number).integers(len(image))) :] = 0
        return image

    def device_ns(self, number: int) -> int | None:
        """Return what the device's clock shows at an exposure; None if it has none."""
        faults = self._faults
        if not faults.has_clock:
            return None
        seconds = number / self._rate
        if faults.clock_stuck_at is not None:
            seconds = min(seconds, faults.clock_stuck_at)
        drifted = seconds * (1 + (faults.drift or 0) * 1e-6)
        return round((faults.offset or 0) * _NS) + round(drifted * _NS)

    def device_number(self, number: int) -> int:
        """Return what the device counts at an exposure."""
        faults = self._faults
        if faults.counter_stuck_at is not None:
            number = min(number, faults.counter_stuck_at)
        if faults.counter_start is not None:
            number += faults.counter_start - faults.counter_first
        return self._counter.number(number)

    def is_gone(self, number: int) -> bool:
        """Return whether the device is disconnected by an exposure."""
        return number >= self._gone

    def _first_from(self, seconds: float) -> int:
        """Return the first exposure at or after a time."""
        return math.ceil(round(seconds * self._rate, 6))  # 0.1 + 0.2 is a little more than 0.3

    def _hit(self, chance: _Chance, number: int, probability: float, every: int | None) -> bool:
        if every is not None and (number + 1) % every == 0:
            return True
        return probability > 0 and self._random(chance, number).random() < probability

    def _random(self, chance: _Chance, number: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, chance.value, number])


@dataclass(frozen=True, slots=True)
class Exposures:
    """What a simulated camera did, from its first start to the last frame that it gave.

    Attributes
    ----------
    exposed : all; the sum of `given`, `dropped`, `silent` and `overrun`.
    given : to who reads, complete or not.
    incomplete, frozen : of those given, how many had parts missing, or showed an earlier image.
    dropped : lost by `drop` and `drop_every`.
    silent : lost in a silence.
    overrun : lost since the reader was late.
    disconnects : how often the device went.
    """

    exposed: int = 0
    given: int = 0
    incomplete: int = 0
    frozen: int = 0
    dropped: int = 0
    silent: int = 0
    overrun: int = 0
    disconnects: int = 0

    @property
    def lost(self) -> int:
        """Exposures that did not come."""
        return self.exposed - self.given
