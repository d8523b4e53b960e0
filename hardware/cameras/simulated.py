"""Cameras for trying everything without one: an arena of flies, and a pattern that says which frame it is."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hardware.arena.simulation import Arena, FlyTruth
from hardware.camera import CameraIdentity, CameraSettings, FoundCamera
from hardware.clock import FastPace, Pace, Timeline, WallClock, skip_missed
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CaptureError,
    SettingError,
    SourceError,
)
from hardware.faults import Exposures, Fate, FaultPlan, Faults
from hardware.frame import CameraFrame
from hardware.options import parse_options
from hardware.pattern import Pattern
from hardware.stamper import Stamper
from imgstore import FrameSpec, Image

_SIZE = (960, 1280)
_SMALLEST = (96, 128)
_RATE = 20.0
_NS = 1_000_000_000
_WHO = "the simulated camera"


class Scene(Protocol):
    """What a simulated camera films."""

    def prepare(self) -> None:
        """Draw what does not change, so that the first image comes as fast as all others."""

    def image(self, number: int) -> Image:
        """Return the image of an exposure."""


def find_simulated() -> list[FoundCamera]:
    """List the simulated cameras, which are always there."""
    mode = (f"{_SIZE[1]}x{_SIZE[0]} grey {_RATE:g}/s, or as asked",)
    return [
        FoundCamera("simulated", CameraIdentity("simulated", "arena"), mode),
        FoundCamera("simulated:pattern", CameraIdentity("simulated", "pattern"), mode),
    ]


def open_simulated(address: str, settings: CameraSettings) -> "SimulatedCamera":
    """Make the camera of `simulated` or `simulated:pattern`."""
    if address not in ("", *_SCENES):
        raise SourceError(
            f"simulated cameras are 'simulated' and 'simulated:pattern'; 'simulated:{address}' is none"
        )
    colour = ("colour",) if address == "pattern" else ()
    settings.allow(_WHO, "size", "rate", "realtime", "start_time", "seed", "options", *colour)
    return SimulatedCamera(
        scene=address or "arena",
        size=settings.size or _SIZE,
        rate=settings.rate or _RATE,
        colour=settings.colour,
        realtime=settings.realtime,
        start_time=settings.start_time,
        seed=settings.seed or 0,
        faults=parse_options(Faults, settings.options, _WHO),
    )


class SimulatedCamera:
    """Films an arena of which everything is known, or a pattern that counts; it never ends.

    What goes wrong with it is asked for with `faults`; `exposures` tells what did. As long as no fault of
    clock or counter is asked for, number and time of a frame are true. With them, frames are stamped as those
    of a device: counted from the first that came, with times that are found out from arrivals. Read as
    fast as it can be, such a camera also says that they arrived when they would have.

    Parameters
    ----------
    size : (rows, columns).
    rate : frames per second.
    realtime : frames come when they are due, and a reader who is late misses some. Else they come as fast as
        they are read, and time is what is waited for: a silence of 3 seconds ends after three reads with a
        timeout of a second, at once.
    start_time : time of frame 0, seconds since the Unix epoch; None for the moment of `start`.
    seed : the same seed gives the same frames and faults.
    scene : "arena" or "pattern".
    colour : of the pattern.
    faults : what goes wrong.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] = _SIZE,
        rate: float = _RATE,
        realtime: bool = False,
        start_time: float | None = None,
        seed: int = 0,
        scene: str = "arena",
        colour: bool = False,
        faults: Faults | None = None,
    ) -> None:
        if scene not in _SCENES:
            raise SettingError(f"a simulated camera films {' or '.join(_SCENES)}, not {scene!r}")
        self._spec = FrameSpec((*size, 3) if colour else size)
        self._rate = rate
        self._realtime = realtime
        self._start_time = start_time
        self._seed = seed
        self._name = scene
        self._scene = _SCENES[scene](self._spec.shape, rate, seed)
        self._faults = faults or Faults()
        self._run: _Run | None = None
        self._runs = 0
        self._away_until = 0.0  # by the monotonic clock
        self._tally: Tally[str] = Tally()

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames."""
        return self._spec

    @property
    def live(self) -> bool:
        """Whether frames come at their own pace."""
        return self._realtime

    @property
    def rate(self) -> float | None:
        """Frames per second."""
        return self._rate

    @property
    def identity(self) -> CameraIdentity:
        """That it is none."""
        return CameraIdentity("simulated", self._name)

    @property
    def given(self) -> Mapping[str, object]:
        """Size, rate and faults."""
        return {"size": self._spec.shape, "rate": self._rate, **self._faults.asked}

    @property
    def exposures(self) -> Exposures:
        """What became of all exposures so far, from the first start on."""
        return Exposures(**self._tally)

    @property
    def targets(self) -> npt.NDArray[np.float64]:
        """Centres of the targets, shape (3, 2) as x, y: upper right, lower right, lower left."""
        return self._arena().targets

    def truth(self, number: int) -> tuple[FlyTruth, ...]:
        """Return where the flies are in the frame with this number; any, at any time."""
        return self._arena().truth(number)

    def start(self) -> None:
        """Begin with frame 0. Raises CameraNotFoundError while it is disconnected."""
        if self._run is not None:
            raise CameraStateError("the simulated camera runs already; stop it first")
        away = self._away_until - time.monotonic()
        if away > 0:
            raise CameraNotFoundError(f"the simulated camera is disconnected for another {away:.3g} s")
        self._scene.prepare()
        faults = self._faults
        if self._tally["disconnects"] >= faults.disconnects:
            faults = replace(faults, disconnect_frame=None, disconnect_at=None)
        plan = FaultPlan(faults, self._rate, self._seed, self._runs)
        self._run = _begin_run(faults, plan, self._start_time, realtime=self._realtime)
        self._runs += 1

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame.

        Raises CameraTimeoutError in a silence, CaptureError once it is disconnected.
        """
        run = self._run
        if run is None:
            raise CameraStateError("the simulated camera is not running; start it first")
        self._hang(run)
        number, lost = self._next(run)
        if self._goes(run, number, timeout):
            raise CaptureError("the simulated camera was disconnected; stop it, and start it again later")
        arrival = max(run.arrival, number / self._rate + run.plan.delay(number))
        run.pace.wait(arrival, timeout)
        frame = self._frame(run, number, time.monotonic_ns())
        run.arrival = arrival
        run.given_number, run.count = number, run.count + 1
        self._tally.update(lost)
        self._tally.update(exposed=lost.total() + 1, given=1)
        return frame

    def stop(self) -> None:
        """Stop filming. Does nothing if it is stopped."""
        self._run = None

    def _hang(self, run: "_Run") -> None:
        """Let the reader wait, whatever its timeout, when it is time for that."""
        at = self._faults.stuck_at
        if at is not None and not run.hung and (run.given_number + 1) / self._rate >= at:
            run.hung = True
            time.sleep(self._faults.stuck_s)

    def _next(self, run: "_Run") -> tuple[int, Tally[str]]:
        """Return which exposure comes next, and how many do not come before it, by cause."""
        lost: Tally[str] = Tally()
        number = _pass_lost(run.plan, run.given_number + 1, lost)
        if self._realtime:
            held_up = max(run.arrival - max(run.given_number, 0) / self._rate, 0)  # not the reader's fault
            kept = skip_missed(number, int((run.pace.elapsed - held_up) * self._rate))
            lost["overrun"] += kept - number
            number = _pass_lost(run.plan, kept, lost)
        return number, lost

    def _goes(self, run: "_Run", number: int, timeout: float) -> bool:
        """Return whether the device is gone at an exposure; wait for it to go. Raises CameraTimeoutError."""
        if run.gone or not run.plan.is_gone(number):
            return run.gone
        run.pace.wait(number / self._rate, timeout)
        run.gone = True
        self._tally["disconnects"] += 1
        self._away_until = time.monotonic() + self._faults.away_s
        return True

    def _frame(self, run: "_Run", number: int, arrived_ns: int) -> CameraFrame:
        """Return the frame of an exposure, as it comes."""
        plan = run.plan
        pictured = plan.pictured(number)
        image = self._scene.image(pictured)
        incomplete = plan.fate(number) is Fate.INCOMPLETE
        if incomplete:
            image = plan.damaged(number, image)
        self._tally.update(incomplete=int(incomplete), frozen=int(pictured != number))
        if run.stamper is not None:
            return run.stamper.stamp(
                image,
                arrived_ns if self._realtime else run.began_ns + round(run.pace.elapsed * _NS),
                device_number=plan.device_number(number),
                device_ns=plan.device_ns(number),
                incomplete=incomplete,
            )
        return CameraFrame(
            image=image,
            index=run.count,
            number=number,
            time=run.began + number / self._rate,
            arrived_ns=arrived_ns,
            device_number=number,
            lost=number - run.given_number - 1,
            incomplete=incomplete,
        )

    def _arena(self) -> Arena:
        if not isinstance(self._scene, Arena):
            raise CameraStateError("a pattern has no flies; the camera 'simulated' has")
        return self._scene


def _pass_lost(plan: FaultPlan, number: int, lost: Tally[str]) -> int:
    """Return the first exposure from `number` on that comes, or finds the device gone; tally the others."""
    while not plan.is_gone(number) and (fate := plan.fate(number)) in (Fate.DROPPED, Fate.SILENT):
        following = plan.after(number)
        lost[fate.value] += following - number
        number = following
    return number


@dataclass(slots=True)
class _Run:
    """How far a camera is, from a start to a stop.

    Attributes
    ----------
    began, began_ns : Unix time and monotonic time of exposure 0.
    given_number, arrival : the last exposure that was given, and when it came, seconds after the start.
    count : how many were given.
    """

    plan: FaultPlan
    pace: Timeline
    stamper: Stamper | None
    began: float
    began_ns: int
    given_number: int = -1
    arrival: float = 0.0
    count: int = 0
    hung: bool = False
    gone: bool = False


def _begin_run(faults: Faults, plan: FaultPlan, start_time: float | None, *, realtime: bool) -> _Run:
    began = time.time() if start_time is None else start_time
    began_ns = time.monotonic_ns()
    stamper = None
    if faults.stamped:
        wall = WallClock(lambda: round(began * _NS), lambda: began_ns)
        stamper = Stamper(faults.counter, wall)
    return _Run(plan, Pace() if realtime else FastPace(), stamper, began, began_ns)


_SceneMaker: TypeAlias = Callable[[tuple[int, ...], float, int], Scene]
"""Makes a scene of a shape, a rate and a seed."""


def _make_arena(shape: tuple[int, ...], rate: float, seed: int) -> Scene:
    if len(shape) != 2:
        raise SettingError("the arena is grey; the simulated pattern can be had in colour")
    if shape[0] < _SMALLEST[0] or shape[1] < _SMALLEST[1]:
        raise SettingError(
            f"flies cannot be seen in {shape[1]}x{shape[0]} pixels; "
            f"the simulated camera needs {_SMALLEST[1]}x{_SMALLEST[0]}"
        )
    return Arena((shape[0], shape[1]), rate, seed)


def _make_pattern(shape: tuple[int, ...], rate: float, seed: int) -> Scene:
    return Pattern(shape)


_SCENES: Mapping[str, _SceneMaker] = {"arena": _make_arena, "pattern": _make_pattern}
