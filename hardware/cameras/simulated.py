"""The demo arena: twenty flies in tubes, for trying everything without a camera."""

import time
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hardware.arena.simulation import Arena, FlyTruth
from hardware.camera import CameraIdentity, CameraSettings, FoundCamera
from hardware.clock import Pace, skip_missed
from hardware.errors import CameraStateError, SettingError, SourceError
from hardware.frame import CameraFrame
from imgstore import FrameSpec

_SIZE = (960, 1280)
_SMALLEST = (96, 128)
_RATE = 20.0


def open_simulated(address: str, settings: CameraSettings) -> "SimulatedCamera":
    """Make the camera of `simulated`."""
    if address:
        raise SourceError(f"there is one simulated camera, 'simulated'; 'simulated:{address}' is none")
    settings.allow("the simulated camera", "size", "rate", "realtime", "start_time", "seed")
    return SimulatedCamera(
        size=settings.size or _SIZE,
        rate=settings.rate or _RATE,
        realtime=settings.realtime,
        start_time=settings.start_time,
        seed=settings.seed or 0,
    )


def find_simulated() -> list[FoundCamera]:
    """List the simulated cameras."""
    identity = CameraIdentity("simulated", "arena")
    modes = f"{_SIZE[1]}x{_SIZE[0]} grey {_RATE:g}/s", f"any size from {_SMALLEST[1]}x{_SMALLEST[0]}"
    return [FoundCamera("simulated", identity, modes)]


class SimulatedCamera:
    """Films an arena of which everything is known; it never ends.

    Parameters
    ----------
    size : (rows, columns).
    rate : frames per second.
    realtime : frames come when they are due, and a reader who is late misses some.
    start_time : time of frame 0, seconds since the Unix epoch; None for the moment of `start`.
    seed : the same seed gives the same frames.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] = _SIZE,
        rate: float = _RATE,
        realtime: bool = False,
        start_time: float | None = None,
        seed: int = 0,
    ) -> None:
        if size[0] < _SMALLEST[0] or size[1] < _SMALLEST[1]:
            raise SettingError(
                f"flies cannot be seen in {size[1]}x{size[0]} pixels; "
                f"the simulated camera needs {_SMALLEST[1]}x{_SMALLEST[0]}"
            )
        self._spec = FrameSpec(size)
        self._rate = rate
        self._realtime = realtime
        self._start_time = start_time
        self._arena = Arena(size, rate, seed)
        self._pace: Pace | None = None
        self._began = 0.0
        self._next = 0
        self._count = 0

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
        return CameraIdentity("simulated", "arena")

    @property
    def given(self) -> Mapping[str, object]:
        """Size and rate."""
        return {"size": self._spec.shape, "rate": self._rate}

    @property
    def targets(self) -> npt.NDArray[np.float64]:
        """Centres of the targets, shape (3, 2) as x, y: upper right, lower right, lower left."""
        return self._arena.targets

    def truth(self, number: int) -> tuple[FlyTruth, ...]:
        """Return where the flies are in the frame with this number; any, at any time."""
        return self._arena.truth(number)

    def start(self) -> None:
        """Begin with frame 0."""
        if self._pace is not None:
            raise CameraStateError("the simulated camera runs already; stop it first")
        self._arena.prepare()
        self._began = time.time() if self._start_time is None else self._start_time
        self._next = self._count = 0
        self._pace = Pace()

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame."""
        if self._pace is None:
            raise CameraStateError("the simulated camera is not running; start it first")
        number = self._next
        if self._realtime:
            number = skip_missed(self._next, int(self._pace.elapsed * self._rate))
            self._pace.wait(number / self._rate, timeout)
        frame = CameraFrame(
            image=self._arena.image(number),
            index=self._count,
            number=number,
            time=self._began + number / self._rate,
            arrived_ns=time.monotonic_ns(),
            device_number=number,
            lost=number - self._next,
        )
        self._next, self._count = number + 1, self._count + 1
        return frame

    def stop(self) -> None:
        """Stop filming. Does nothing if it is stopped."""
        self._pace = None
