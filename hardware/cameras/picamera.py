"""The cameras of a Raspberry Pi, through Picamera2. How to install and try it: `hardware/PICAMERA.md`."""

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from hardware.camera import CameraIdentity, CameraSettings, FoundCamera
from hardware.cameras.picamera_arrivals import Arrival, Arrivals, FrameTimer
from hardware.cameras.picamera_controls import PicameraOptions, check_known, check_ranges, read_back
from hardware.cameras.picamera_library import (
    CompletedRequest,
    Layout,
    Library,
    Picamera,
    load_library,
)
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CaptureError,
    HardwareError,
    SettingError,
    SourceError,
)
from hardware.frame import CameraFrame
from hardware.options import parse_options
from imgstore import FrameSpec, Image

_WHO = "a Raspberry Pi's camera"
_EXPOSURES = 4  # at most, before the first frame that comes
_LIBRARY_ERRORS = (RuntimeError, OSError)  # all that picamera2 and libcamera raise


def open_picamera(address: str, settings: CameraSettings) -> "PicameraCamera":
    """Make the camera of `picamera:INDEX`, `picamera:MODEL` or `picamera:ID`."""
    if not address:
        raise SourceError(
            "picamera: needs the number, the model or the id of a camera, as in picamera:0 or "
            "picamera:imx708; `rpicam-hello --list-cameras` shows them"
        )
    return PicameraCamera(address, settings)


def find_picamera(load: Callable[[], Library] = load_library) -> list[FoundCamera]:
    """Return the cameras on the connectors of this Raspberry Pi, without opening them.

    Parameters
    ----------
    load : gives picamera2.
    """
    return [
        FoundCamera(f"picamera:{number}", _identity(info))
        for number, info in enumerate(load().Picamera2.global_camera_info())
    ]


class PicameraCamera:
    """One camera of a Raspberry Pi.

    Frames are taken where Picamera2 hands over each completed request, never by asking for one, which gives
    the newest and leaves others out. The image is copied at once, so that its buffer goes back to the camera,
    and waits in a bounded queue. What the queue has no place for counts as lost.

    The device's number is libcamera's sequence of the image's buffer, its time is SensorTimestamp: when the
    first row was read out. The time of a frame is the start of its exposure, that is ExposureTime earlier.
    Where that clock agrees with this machine's (CLOCK_MONOTONIC, or CLOCK_BOOTTIME that goes on in suspend)
    it is used as it is, else it is fitted to the arrivals. Images that the sensor took, and that no buffer
    was filled with, leave no gap in the sequence of some models: a gap in the time counts, too.

    Parameters
    ----------
    address : number, model or id of the camera.
    settings : size, rate, colour and the options of `PicameraOptions` are used.
    load : gives picamera2.
    first_frame_s : seconds that `start` waits for a frame, besides a few exposures; a sensor takes half a
        second.
    """

    def __init__(
        self,
        address: str,
        settings: CameraSettings,
        load: Callable[[], Library] = load_library,
        *,
        first_frame_s: float = 5.0,
    ) -> None:
        settings.allow(_WHO, "size", "rate", "colour", "realtime", "options")
        self._name = f"picamera:{address}"
        self._address = address
        self._settings = settings
        self._options = parse_options(PicameraOptions, settings.options, _WHO)
        self._controls = self._options.controls(settings.rate)
        self._load = load
        self._first_frame_s = first_frame_s + _EXPOSURES * self._controls.get("ExposureTime", 0) / 1e6
        self._device: Picamera | None = None
        self._arrivals = Arrivals(0)
        self._first: Arrival | None = None
        self._timer = FrameTimer()
        self._spec: FrameSpec | None = None
        self._identity = CameraIdentity("picamera")
        self._given: dict[str, object] = {}

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames; known once it is started."""
        if self._spec is None:
            raise CameraStateError(f"{self._name} knows its frames only once it is started")
        return self._spec

    @property
    def live(self) -> bool:
        """True: a device does not wait."""
        return True

    @property
    def rate(self) -> float | None:
        """Frames per second, as the camera said with its first frame."""
        rate = self._given.get("rate")
        return rate if isinstance(rate, float) else None

    @property
    def identity(self) -> CameraIdentity:
        """Which device it is. Camera modules have no serial number: it is their place on the board."""
        return self._identity

    @property
    def given(self) -> Mapping[str, object]:
        """Size, format and stride as configured; what the first frame was taken with."""
        return self._given

    def start(self) -> None:
        """Open the camera, begin, and wait for the first frame.

        Raises
        ------
        MissingDependencyError
            picamera2 or libcamera is not installed.
        CameraNotFoundError
            There is no such camera, or another program uses it.
        SettingError
            It cannot do what was asked, or there is no memory for it.
        CaptureError
            It gives no frames.
        """
        if self._device is not None:
            raise CameraStateError(f"{self._name} runs already; stop it first")
        library = self._load()
        number, self._identity = self._choose(library)
        with _translated(partial(_not_opened, self._name)):
            device = library.Picamera2(number)
        try:
            self._begin(device, library)
        except BaseException:
            device.close()  # which stops it, too
            self._spec = None
            raise
        self._device = device

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame; a camera has no end."""
        if self._device is None:
            raise CameraStateError(f"{self._name} is not running; start it first")
        first, self._first = self._first, None
        return self._timer.stamp(first or self._arrivals.get(self._name, timeout))

    def stop(self) -> None:
        """Release the camera. Does nothing if it is released."""
        device, self._device = self._device, None
        if device is None:
            return
        self._spec = self._first = None
        with _translated(lambda exc: CaptureError(f"{self._name} did not stop cleanly ({exc})")):
            try:
                device.stop()
            finally:
                device.close()

    def _choose(self, library: Library) -> tuple[int, CameraIdentity]:
        """Return the number of the camera that the address means, and which one it is."""
        infos = library.Picamera2.global_camera_info()
        matches = [
            number
            for number, info in enumerate(infos)
            if self._address in (str(number), info.get("Model"), info.get("Id"))
        ]
        if len(matches) == 1:
            return matches[0], _identity(infos[matches[0]])
        there = ", ".join(
            f"{number} ({info.get('Model')}, {info.get('Id')})" for number, info in enumerate(infos)
        )
        what = "names several cameras; give one's number or id" if matches else "is not there"
        hint = there or "none; check the cable, and that `rpicam-hello --list-cameras` shows it"
        raise CameraNotFoundError(f"{self._name} {what}; cameras on this machine: {hint}")

    def _begin(self, device: Picamera, library: Library) -> None:
        """Configure the camera, start it, and take its first frame."""
        check_known(self._name, self._controls, device.camera_controls)
        with _translated(self._not_configured):
            device.configure(self._configuration(device))
        configuration = device.camera_configuration()
        layout = self._layout(configuration)
        check_ranges(self._name, self._controls, device.camera_controls)
        take = layout.colour if self._settings.colour else layout.grey
        self._arrivals = arrivals = Arrivals(self._options.queue_frames)
        self._timer = FrameTimer()

        def receive(request: CompletedRequest) -> None:
            arrivals.receive(request, partial(_image, library, request, self._options.stream, take))

        device.post_callback = receive
        with _translated(self._not_configured):
            device.start()
        self._first = arrivals.get_first(self._name, self._first_frame_s)
        shape = (layout.rows, layout.columns)
        self._spec = FrameSpec((*shape, 3) if self._settings.colour else shape)
        self._given = self._read_back(configuration, layout) | read_back(self._first.metadata)

    def _read_back(self, configuration: Mapping[str, Any], layout: Layout) -> dict[str, object]:
        """Return the settings as the camera is configured."""
        return {
            "size": (layout.rows, layout.columns),
            "format": layout.format,
            "stride": layout.stride,
            "stream": self._options.stream,
            "buffer_count": configuration["buffer_count"],
            "colour_space": str(configuration["colour_space"]),
        }

    def _configuration(self, device: Picamera) -> dict[str, Any]:
        """Return what to configure the camera with."""
        is_main = self._options.stream == "main"
        main: dict[str, Any] = {"format": "RGB888" if self._settings.colour and is_main else "YUV420"}
        if self._settings.size is not None:
            main["size"] = self._settings.size[::-1]
        lores_shape = self._options.lores_shape()
        configuration = device.create_video_configuration(
            main=main,
            lores=None if lores_shape is None else {"format": "YUV420", "size": lores_shape[::-1]},
            raw=None,  # which would take memory, and is not read
            buffer_count=self._options.buffer_count,
            controls=self._controls,
            queue=False,  # else a buffer is held back for those who ask for the newest image
        )
        if not self._settings.colour:
            # video is 16 to 235; images for the screen, from which this colour space is, are 0 to 255
            configuration["colour_space"] = device.create_preview_configuration()["colour_space"]
        return configuration

    def _layout(self, configuration: Mapping[str, Any]) -> Layout:
        """Return how images lie in the buffers of the stream that is recorded."""
        stream = configuration[self._options.stream]
        columns, rows = stream["size"]
        wanted = self._settings.size if self._options.stream == "main" else self._options.lores_shape()
        if wanted is not None and (rows, columns) != tuple(wanted):
            raise SettingError(
                f"{self._name} was asked for {wanted[1]}x{wanted[0]} and gives {columns}x{rows}; ask for "
                "that, or leave the size out"
            )
        return Layout(stream["format"], rows, columns, stream["stride"])

    def _not_configured(self, exc: Exception) -> HardwareError:
        no_memory = isinstance(exc, OSError) and exc.errno == errno.ENOMEM
        if no_memory or "allocate" in str(exc):  # libcamera and the kernel's heap have no class for it
            return SettingError(
                f"{self._name}: {self._options.buffer_count} buffers do not fit into contiguous memory (CMA; "
                f"{exc}); ask for fewer (buffer_count=4), a smaller size, or give it more in "
                "/boot/firmware/config.txt: dtoverlay=vc4-kms-v3d,cma-512"
            )
        return SettingError(f"{self._name} cannot be set up as asked ({exc})")


def _image(library: Library, request: CompletedRequest, stream: str, take: Callable[[Any], Image]) -> Image:
    """Return a copy of the image of a request: the buffer is the camera's again when this returns."""
    with library.MappedArray(request, stream, reshape=False, write=False) as mapped:
        return take(mapped.array)


def _identity(info: Mapping[str, Any]) -> CameraIdentity:
    return CameraIdentity("picamera", str(info.get("Model", "")), str(info.get("Id", "")))


@contextmanager
def _translated(error: Callable[[Exception], HardwareError]) -> Iterator[None]:
    """Raise an error of ours for one of the library's."""
    try:
        yield
    except _LIBRARY_ERRORS as exc:
        raise error(exc) from exc


def _not_opened(name: str, exc: Exception) -> CameraNotFoundError:
    reasons = [str(exc)]
    cause = exc.__cause__
    while cause is not None:  # picamera2 says only that it failed; the reason stands behind that
        reasons.append(str(cause))
        cause = cause.__cause__
    if "busy" in reasons[-1].lower() or "in use" in reasons[-1].lower():  # libcamera has no class for it
        return CameraNotFoundError(
            f"{name} is in use by another program, or by another camera of this one ({reasons[-1]}); end "
            "that first: `fuser -v /dev/media*` names it"
        )
    return CameraNotFoundError(f"{name} cannot be opened ({reasons[-1]})")
