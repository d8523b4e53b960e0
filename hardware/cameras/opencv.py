"""Cameras that OpenCV drives: webcams, and everything else that speaks V4L2."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import cv2
import numpy as np

from hardware.camera import CameraIdentity, CameraSettings
from hardware.capture import Capture, CaptureDevice, CaptureFinder, find_device
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    SettingError,
    SourceError,
)
from hardware.frame import CameraFrame
from hardware.options import about, parse_options
from hardware.stamper import Stamper
from hardware.v4l2 import fourcc_text
from imgstore import FrameSpec, Image

_WHO = "an OpenCV camera"
_RATE_TOLERANCE = 0.05  # drivers round: 29.97 for 30
_MOST_BUFFERS = 10  # OpenCV's own limit
_SANE_DELAY_NS = 10_000_000_000  # between a frame and its arrival, if both are told by one clock
_JPEG_END = b"\xff\xd9"

_AUTO = "auto"
_MANUAL_EXPOSURE = 1  # of V4L2_CID_EXPOSURE_AUTO; cameras know one of the other two
_AUTO_EXPOSURES = (3, 0)
_EXPOSURES_PER_MS = 10  # V4L2 counts 0.1 ms

_JPEGS = ("MJPG", "JPEG")
_LUMA_CHANNEL = {"YUYV": 0, "UYVY": 1}
_TO_BGR = {"YUYV": cv2.COLOR_YUV2BGR_YUY2, "UYVY": cv2.COLOR_YUV2BGR_UYVY}
_UNCONVERTED = ("GREY", *_JPEGS, *_LUMA_CHANNEL)
"""Pixel formats that are taken as the driver gives them; OpenCV makes colour of the others."""


@dataclass(frozen=True, slots=True)
class OpenCVOptions:
    """What an OpenCV camera can be told beside size, rate and colour; None leaves it as it is."""

    fourcc: str | None = field(
        default=None, metadata=about("pixel format", values="four letters: MJPG, YUYV, GREY ...")
    )
    exposure: float | str | None = field(
        default=None, metadata=about("exposure time", unit="ms", values="from 0.1 in steps of 0.1, or auto")
    )
    gain: float | None = field(default=None, metadata=about("gain, in the camera's own units"))
    focus: float | str | None = field(
        default=None, metadata=about("focus, in the camera's own units; 0 is far", values="from 0, or auto")
    )
    buffers: int | None = field(
        default=None,
        metadata=about(
            "frames that the driver keeps for a late reader", values=f"1 to {_MOST_BUFFERS}", default="4"
        ),
    )

    def __post_init__(self) -> None:
        if self.fourcc is not None:
            if not (self.fourcc.isascii() and 1 <= len(self.fourcc) <= 4):
                raise SettingError(f"fourcc is up to four letters, such as MJPG, not {self.fourcc!r}")
            object.__setattr__(self, "fourcc", self.fourcc.upper().rstrip())
        for name, least in (("exposure", 1 / _EXPOSURES_PER_MS), ("focus", 0)):
            value = getattr(self, name)
            if value not in (None, _AUTO) and not (isinstance(value, float) and least <= value < np.inf):
                raise SettingError(f"{name} is a number from {least:g}, or {_AUTO}, not {value!r}")
        if self.gain is not None and not np.isfinite(self.gain):
            raise SettingError(f"gain is a number, not {self.gain}")
        if self.buffers is not None and not 1 <= self.buffers <= _MOST_BUFFERS:
            raise SettingError(f"buffers is a number from 1 to {_MOST_BUFFERS}, not {self.buffers}")


def open_opencv(address: str, settings: CameraSettings) -> "OpenCVCamera":
    """Make the camera of `opencv:INDEX`, `opencv:PATH` or `opencv:NAME`."""
    if not address.strip():
        raise SourceError(
            "opencv: needs the number, path or name of a camera, as in opencv:0, opencv:/dev/video0 or "
            "opencv:HD Pro Webcam"
        )
    settings.allow(_WHO, "size", "rate", "colour", "realtime", "options")
    options = parse_options(OpenCVOptions, settings.options, _WHO)
    return OpenCVCamera(f"opencv:{address}", lambda: find_device(address), settings, options)


class OpenCVCamera:
    """One `cv2.VideoCapture`.

    OpenCV tells no number of the driver's, so `number` counts the frames that were read: a frame that the
    driver lost leaves no gap in it, only in the times. Their time is the driver's where it gives one by this
    machine's monotonic clock, else that of the frame's arrival.

    Grey is taken from the camera's own luma, values as they come, where the pixel format has it.

    Parameters
    ----------
    name : of the camera, for messages.
    find : finds the device.
    settings : size, rate and colour are used.
    options : what else is asked.
    """

    def __init__(
        self,
        name: str,
        find: CaptureFinder,
        settings: CameraSettings,
        options: OpenCVOptions | None = None,
    ) -> None:
        self._name = name
        self._find = find
        self._settings = settings
        self._options = options or OpenCVOptions()
        self._device: CaptureDevice | None = None
        self._capture: Capture | None = None
        self._spec: FrameSpec | None = None
        self._identity = CameraIdentity("opencv")
        self._given: dict[str, object] = {}
        self._has_driver_time = False
        self._stamper = Stamper()

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
        """Frames per second, as the driver says."""
        rate = self._given.get("rate")
        return rate if isinstance(rate, float) else None

    @property
    def identity(self) -> CameraIdentity:
        """Which device it is; before `start` only the driver."""
        return self._identity

    @property
    def given(self) -> Mapping[str, object]:
        """What the driver gave: size, rate, fourcc and the options asked for; and what was `asked`."""
        return self._given

    def start(self) -> None:
        """Open the device and check that it does what was asked."""
        if self._capture is not None:
            raise CameraStateError(f"{self._name} runs already; stop it first")
        device = self._find()
        self._identity = device.identity
        capture = device.open()
        try:
            self._given = self._configure(capture, device)
        except BaseException:
            capture.release()
            raise
        size = _size_of(capture)
        self._spec = FrameSpec((*size, 3) if self._settings.colour else size)
        self._has_driver_time = capture.getBackendName() == "V4L2"
        self._device, self._capture = device, capture
        self._stamper = Stamper()

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame; a camera has no end.

        OpenCV cannot be told how long to wait: it gives up after some ten seconds, or at once if the device
        is gone, and only then can `timeout` be looked at.
        """
        if self._capture is None or self._device is None:
            raise CameraStateError(f"{self._name} is not running; start it first")
        began = time.monotonic()
        grabbed = self._capture.grab()
        arrived_ns = time.monotonic_ns()
        retrieved, raw = self._capture.retrieve() if grabbed else (False, None)
        if not retrieved or raw is None:
            raise self._failure(self._device, time.monotonic() - began, timeout)
        image = self._convert(raw)
        return self._stamper.stamp(
            np.zeros(self.spec.shape, np.uint8) if image is None else image,
            arrived_ns,
            device_ns=self._driver_time(self._capture, arrived_ns),
            incomplete=image is None,
        )

    def stop(self) -> None:
        """Release the device. Does nothing if it is released."""
        if self._capture is not None:
            self._capture.release()
            self._capture = self._device = None
            self._spec = None

    def _configure(self, capture: Capture, device: CaptureDevice) -> dict[str, object]:
        """Ask for everything, in the order that V4L2 needs, and return what was given."""
        if not capture.isOpened():
            raise CameraNotFoundError(
                f"{self._name} cannot be opened; another program may be using it, or it is no camera"
            )
        options, size, rate = self._options, self._settings.size, self._settings.rate
        given: dict[str, object] = {}
        if options.fourcc is not None:
            letters = options.fourcc.ljust(4)
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*letters))
        if size is not None:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        if rate is not None:
            capture.set(cv2.CAP_PROP_FPS, rate)
        if options.buffers is not None:
            given["buffers"] = self._set(capture, "buffers", cv2.CAP_PROP_BUFFERSIZE, options.buffers)
        fourcc = fourcc_text(int(capture.get(cv2.CAP_PROP_FOURCC)))
        if capture.getBackendName() == "V4L2" and fourcc in _UNCONVERTED:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        given |= self._check(capture, fourcc, device)
        given |= self._set_controls(capture)
        asked = {"size": size, "rate": rate, **asdict(options)}
        given["asked"] = {name: value for name, value in asked.items() if value is not None}
        return given

    def _check(self, capture: Capture, fourcc: str, device: CaptureDevice) -> dict[str, object]:
        """Return pixel format, size and rate. Raises SettingError if others were asked for."""
        size, rate = _size_of(capture), float(capture.get(cv2.CAP_PROP_FPS))  # 0 if the driver does not say
        wanted = self._settings
        if self._options.fourcc not in (None, fourcc):
            raise self._refusal(f"{self._options.fourcc} frames", fourcc or "others", device)
        if min(size) < 1:
            raise CameraNotFoundError(
                f"{self._name} was opened but gives no frames; unplug it, or stop what uses it"
            )
        if wanted.size is not None and size != tuple(wanted.size):
            raise self._refusal(f"{wanted.size[1]}x{wanted.size[0]}", f"{size[1]}x{size[0]}", device, fourcc)
        if wanted.rate is not None and rate > 0 and abs(rate - wanted.rate) > _RATE_TOLERANCE * wanted.rate:
            raise self._refusal(f"{wanted.rate:g} frames per second", f"{rate:g}", device, fourcc)
        given: dict[str, object] = {"size": size}
        if rate > 0:
            given["rate"] = rate
        if fourcc:
            given["fourcc"] = fourcc
        return given

    def _refusal(self, asked: str, got: str, device: CaptureDevice, fourcc: str = "") -> SettingError:
        modes = device.modes()
        can = "it can do:\n  " + "\n  ".join(modes) if modes else "the camera can do"
        as_what = f" as {fourcc}" if fourcc else ""
        return SettingError(
            f"{self._name} was asked for {asked} and gives {got}{as_what}; "
            f"leave that out, or ask for what {can}"
        )

    def _set_controls(self, capture: Capture) -> dict[str, object]:
        options, given = self._options, dict[str, object]()
        if options.exposure == _AUTO:
            if not any(capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, mode) for mode in _AUTO_EXPOSURES):
                raise self._missing("automatic exposure")
            given["exposure"] = _AUTO
        elif isinstance(options.exposure, float):
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL_EXPOSURE)  # some know no other
            counts = round(options.exposure * _EXPOSURES_PER_MS)
            got = self._set(capture, "exposure", cv2.CAP_PROP_EXPOSURE, counts)
            given["exposure"] = got / _EXPOSURES_PER_MS
        if options.gain is not None:
            given["gain"] = self._set(capture, "gain", cv2.CAP_PROP_GAIN, options.gain)
        if options.focus == _AUTO:
            given["focus"] = _AUTO
            self._set(capture, "automatic focus", cv2.CAP_PROP_AUTOFOCUS, 1)
        elif isinstance(options.focus, float):
            capture.set(cv2.CAP_PROP_AUTOFOCUS, 0)  # some know no other
            given["focus"] = self._set(capture, "focus", cv2.CAP_PROP_FOCUS, options.focus)
        return given

    def _set(self, capture: Capture, name: str, prop: int, value: float) -> float:
        """Set something and return what the driver made of it."""
        if not capture.set(prop, value):
            raise self._missing(f"{name} {value:g}")
        return float(capture.get(prop))

    def _missing(self, what: str) -> SettingError:
        return SettingError(
            f"{self._name} did not take {what}; `v4l2-ctl --list-ctrls` shows what it has, and in which range"
        )

    def _convert(self, raw: Image) -> Image | None:
        """Return the image grey or in colour, as was asked; None if parts of it are missing."""
        colour, fourcc, size = self._settings.colour, self._given.get("fourcc"), self.spec.shape[:2]
        if raw.shape == (*size, 3):
            return raw if colour else cv2.cvtColor(raw, cv2.COLOR_BGR2GRAY)
        if raw.shape == size and raw.dtype == np.uint8:
            return cv2.cvtColor(raw, cv2.COLOR_GRAY2BGR) if colour else raw
        if raw.shape == (*size, 2) and fourcc in _LUMA_CHANNEL:
            name = str(fourcc)
            return (
                cv2.cvtColor(raw, _TO_BGR[name]) if colour else cv2.extractChannel(raw, _LUMA_CHANNEL[name])
            )
        if fourcc in _JPEGS and raw.dtype == np.uint8 and raw.size == max(raw.shape):
            return self._decode(raw)
        raise CaptureError(
            f"{self._name} gives {fourcc} as {raw.dtype} of shape {raw.shape}, not {size}; its format changed"
        )

    def _decode(self, raw: Image) -> Image | None:
        data = raw.tobytes()
        end = data.rfind(_JPEG_END)  # drivers pad what they give
        if end < 0:
            return None
        how = cv2.IMREAD_COLOR if self._settings.colour else cv2.IMREAD_GRAYSCALE
        image = cv2.imdecode(np.frombuffer(data, np.uint8, end + len(_JPEG_END)), how)
        return image if image is not None and image.shape == self.spec.shape else None

    def _driver_time(self, capture: Capture, arrived_ns: int) -> int | None:
        """Return when the driver stamped the frame, if it goes by the monotonic clock, as most do."""
        if not self._has_driver_time:
            return None
        stamped_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        is_sane = stamped_ns > 0 and 0 <= arrived_ns - stamped_ns < _SANE_DELAY_NS
        return stamped_ns if is_sane else None

    def _failure(
        self, device: CaptureDevice, waited: float, timeout: float
    ) -> CameraTimeoutError | CaptureError:
        if not device.is_there():
            return CaptureError(f"{self._name} was unplugged; plug it in, then start it again")
        if waited >= timeout:
            return CameraTimeoutError(f"{self._name} gave no frame within {waited:.3g} s; check its cable")
        return CaptureError(f"{self._name} stopped giving frames; check its cable, then start it again")


def _size_of(capture: Capture) -> tuple[int, int]:
    return int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
