"""What `tools.bench.exposures` shows, as a camera of ours."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware import Camera, CameraFrame, CameraIdentity, CameraJob, StoreSink
from imgstore import Frame, FrameSpec
from tools.bench.exposures import Exposures, Script, Tally, new_tally


class MadeCamera:
    """Gives the frames of a script.

    Parameters
    ----------
    script : what is shown, and when.
    shape : rows and columns of it.
    """

    def __init__(self, script: Script, shape: tuple[int, int]) -> None:
        self._script = script
        self._shape = shape
        self._exposures = Exposures(script)
        self._index = 0
        self._expected = 0
        self._wall_ns = 0

    @property
    def spec(self) -> FrameSpec:
        return FrameSpec(self._shape, np.dtype(np.uint8))

    @property
    def live(self) -> bool:
        return True

    @property
    def rate(self) -> float | None:
        return self._script.rate

    @property
    def identity(self) -> CameraIdentity:
        return CameraIdentity("made")

    @property
    def given(self) -> Mapping[str, object]:
        return {}

    def start(self) -> None:
        """Begin at the first `read`."""
        self._wall_ns = time.time_ns() - time.monotonic_ns()

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame when it is due, None at the end of the script."""
        exposure = self._exposures.take()
        if exposure is None:
            return None
        lost, self._expected = exposure.number - self._expected, exposure.number + 1
        frame = CameraFrame(
            image=exposure.image,
            index=self._index,
            number=exposure.number,
            time=(exposure.due_ns + self._wall_ns) / 1e9,
            arrived_ns=exposure.due_ns,
            lost=lost,
        )
        self._index += 1
        return frame

    def stop(self) -> None:
        """There is nothing to release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCameraJob(CameraJob):
    """A job whose source is the file of a made scene, shown for ever.

    Attributes
    ----------
    shape, rate : of the camera.
    """

    shape: tuple[int, int]
    rate: float

    def camera(self) -> Camera:
        """Return the camera, which begins when it is started."""
        tally = new_tally()
        tally.is_open = 1
        return MadeCamera(Script(Path(self.source), self.rate, math.inf, tally), self.shape)


class CountingSink:
    """A store that tells the camera how many frames its encoder has taken."""

    def __init__(self, sink: StoreSink, tally: Tally) -> None:
        self._sink = sink
        self._tally = tally

    def append(self, frame: Frame) -> None:
        """Write the next frame."""
        self._sink.append(frame)
        self._tally.saved += 1

    def append_event(self, kind: str, time: float | None = None, **detail: object) -> None:
        """Write down what happened."""
        self._sink.append_event(kind, time, **detail)

    def close(self) -> None:
        """Finish the store."""
        self._sink.close()
