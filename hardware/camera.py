"""What every camera does, and the cameras there are."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Protocol, TypeAlias

from hardware.address import without_secrets
from hardware.errors import SettingError, SourceError
from hardware.frame import CameraFrame
from imgstore import FrameSpec, Registry, UnknownNameError


@dataclass(frozen=True, slots=True)
class CameraIdentity:
    """Which device it is.

    Attributes
    ----------
    driver : the name of its kind in the table of cameras, "opencv".
    model, serial : as the device says; empty if it does not.
    """

    driver: str
    model: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A camera that is connected to this machine, or can be made up on it.

    Attributes
    ----------
    source : what opens it, "opencv:0".
    identity : which device it is.
    modes : what it can do, a line each, "1280x960 MJPG 30/s"; empty if that is not known without opening it.
    """

    source: str
    identity: CameraIdentity
    modes: tuple[str, ...] = ()


class Camera(Protocol):
    """A source of frames that has to be started and stopped. Making one opens nothing.

    It can be started again after it was stopped; the count of frames then begins anew.
    """

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames to come.

        Most devices know it only once they run: until `start` it may raise CameraStateError.
        """

    @property
    def live(self) -> bool:
        """Whether frames come at their own pace, so that a slow reader loses some; a file waits."""

    @property
    def rate(self) -> float | None:
        """Frames per second, nominally; None if that is not known. Until `start` it may raise, as `spec`."""

    @property
    def identity(self) -> CameraIdentity:
        """Which device it is; before `start` perhaps only its driver."""

    @property
    def given(self) -> Mapping[str, object]:
        """Settings as the device has them, read back after `start`, by name; they go into the metadata."""

    def start(self) -> None:
        """Begin exposing.

        Raises CameraNotFoundError if the device is not there, SettingError if it cannot do what was
        asked, CameraStateError if it runs already.
        """

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame, or None when the source has ended.

        The image is the caller's. `number` counts from 0 at `start`; a gap is a lost frame. A buffer that
        came with parts missing is a frame, too, marked `incomplete`.

        Raises
        ------
        CameraTimeoutError
            `timeout` seconds passed without a frame; reading again is fine.
        CaptureError
            The device failed; only `stop` is left to do.
        CameraStateError
            It is not running.
        """

    def stop(self) -> None:
        """Release the device. Does nothing if it is already stopped."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What is asked of a camera; None leaves it to the camera.

    Attributes
    ----------
    size : (rows, columns).
    rate : frames per second.
    colour : frames of shape (rows, columns, 3), blue, green, red; else grey.
    realtime : simulated cameras and files: frames come at their own pace, not as fast as they are read.
        Devices always do that.
    start_time : simulated cameras and files: time of the first frame, seconds since the Unix epoch;
        None for the moment of `start`.
    seed : simulated cameras: the same seed gives the same frames.
    options : what else this kind of camera can be told, by name; each driver says what it knows.
    """

    size: tuple[int, int] | None = None
    rate: float | None = None
    colour: bool = False
    realtime: bool = False
    start_time: float | None = None
    seed: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise SettingError(f"size is (rows, columns), both at least 1, not {self.size}")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise SettingError(f"rate is a number of frames per second above 0, not {self.rate}")
        if self.seed is not None and self.seed < 0:
            raise SettingError(f"seed is an integer from 0, not {self.seed}")

    def allow(self, camera: str, *names: str) -> None:
        """Raise SettingError if anything but the settings called `names` was given.

        Parameters
        ----------
        camera : who is asked, for the message.
        """
        for name in self._asked():
            if name not in names:
                raise SettingError(
                    f"{camera} cannot take the setting {name} = {getattr(self, name)}; "
                    f"it takes {', '.join(names) or 'none'}"
                )

    def _asked(self) -> list[str]:
        """Return the names of what was given."""
        asked = []
        for one in fields(self):
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            if getattr(self, one.name) != default:
                asked.append(one.name)
        return asked


CameraMaker: TypeAlias = Callable[[str, CameraSettings], Camera]
"""Makes a camera from what stands behind the colon of a source, and settings. Touches no device."""

CAMERAS: Registry[CameraMaker] = Registry(
    "camera",
    {
        "simulated": "hardware.cameras.simulated:open_simulated",
        "video": "hardware.cameras.replay:open_replay",
        "store": "hardware.cameras.replay:open_store_replay",
        "opencv": "hardware.cameras.opencv:open_opencv",
        "picamera": "hardware.cameras.picamera:open_picamera",
        "genicam": "hardware.cameras.genicam:open_genicam",
        "basler": "hardware.cameras.basler:open_basler",
        "stream": "hardware.cameras.stream:open_stream",
    },
    extras={"genicam": "genicam", "basler": "basler"},
)

OPTIONS: Registry[type[object]] = Registry(
    "kind of camera",
    {
        "simulated": "hardware.faults:Faults",
        "video": "hardware.cameras.replay:ReplayOptions",
        "store": "hardware.cameras.replay:ReplayOptions",
        "opencv": "hardware.cameras.opencv:OpenCVOptions",
        "picamera": "hardware.cameras.picamera_controls:PicameraOptions",
        "genicam": "hardware.vision:GenICamOptions",
        "basler": "hardware.vision:VisionOptions",
        "stream": "hardware.cameras.stream:StreamOptions",
    },
)
"""What each kind of camera can be told, for `describe_options`; no library is needed to ask."""

CameraFinder: TypeAlias = Callable[[], list[FoundCamera]]
"""Lists the cameras of one kind that are there. Raises MissingDependencyError, HardwareError."""

FINDERS: Registry[CameraFinder] = Registry(
    "kind of camera",
    {
        "simulated": "hardware.cameras.simulated:find_simulated",
        "opencv": "hardware.capture:find_opencv",
        "picamera": "hardware.cameras.picamera:find_picamera",
        "genicam": "hardware.cameras.genicam:find_genicam",
        "basler": "hardware.cameras.basler:find_basler",
    },
    extras={"genicam": "genicam", "basler": "basler"},
)

SOURCES = (
    "simulated, simulated:pattern, video:PATH, store:PATH, opencv:INDEX, stream:URL, picamera:INDEX, "
    "genicam:SERIAL, basler:SERIAL"
)
"""What a source may look like, for help and messages."""


def open_camera(source: str, settings: CameraSettings | None = None) -> Camera:
    """Return the camera called `source`; it is not started.

    Parameters
    ----------
    source : "simulated"; "simulated:pattern"; "video:PATH"; "store:PATH"; "opencv:INDEX",
        "opencv:/dev/videoN" or "opencv:NAME"; "stream:URL"; "picamera:INDEX", or the model or id instead of
        the index; "genicam:SERIAL", "genicam:MODEL" or "genicam:INDEX"; "basler:SERIAL" or "basler:INDEX".

    Raises
    ------
    SourceError
        It names no camera.
    SettingError
        The camera cannot take one of the settings.
    MissingDependencyError
        The camera needs a library that is not installed.
    """
    name, _, address = source.partition(":")
    try:
        make = CAMERAS.get(name)
    except UnknownNameError as exc:
        if Path(source).expanduser().is_file():
            raise SourceError(f"{source} is a file; did you mean video:{source}?") from exc
        if "://" in source:
            raise SourceError(
                f"{without_secrets(source)!r} names no camera; did you mean stream:{without_secrets(source)}?"
            ) from exc
        raise SourceError(f"{source!r} names no camera: {exc}. A source looks like {SOURCES}") from exc
    return make(address, settings or CameraSettings())


def frames(camera: Camera, *, timeout: float = 1.0) -> Iterator[CameraFrame]:
    """Run `camera` for as long as the caller keeps asking, then stop it.

    Parameters
    ----------
    timeout : seconds without a frame after which CameraTimeoutError is raised.
    """
    camera.start()
    try:
        while (frame := camera.read(timeout)) is not None:
            yield frame
    finally:
        camera.stop()
