"""What is to be recorded, as far as a machine has to be up to it."""

from dataclasses import dataclass

from hardware.errors import SettingError
from imgstore import DEFAULT_FORMAT, FORMATS, FrameSpec


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """What is to be recorded.

    Attributes
    ----------
    size : (rows, columns), grey.
    rate : frames per second of each camera.
    format : how frames are kept.
    cameras : how many at the same time.
    """

    size: tuple[int, int] = (960, 1280)
    rate: float = 30.0
    format: str = DEFAULT_FORMAT
    cameras: int = 1

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise SettingError(f"size is (rows, columns), both at least 1, not {self.size}")
        if not 0 < self.rate < float("inf"):
            raise SettingError(f"rate is a number of frames per second above 0, not {self.rate}")
        if self.cameras < 1:
            raise SettingError(f"there is at least one camera, not {self.cameras}")
        FORMATS.get(self.format)

    @property
    def spec(self) -> FrameSpec:
        """The frames."""
        return FrameSpec(self.size)

    @property
    def frame_bytes(self) -> int:
        """Of a frame in memory."""
        return self.size[0] * self.size[1]

    @property
    def frames_per_s(self) -> float:
        """Of all cameras together."""
        return self.rate * self.cameras

    def __str__(self) -> str:
        """Return it in words."""
        cameras = f"{self.cameras} cameras" if self.cameras > 1 else "one camera"
        return f"{cameras} of {self.size[1]}x{self.size[0]} grey at {self.rate:g}/s as {self.format}"
