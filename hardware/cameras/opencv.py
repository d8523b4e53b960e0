"""Cameras that OpenCV drives: webcams, and everything else that speaks V4L2."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

import cv2

from hardware.camera import CameraIdentity, CameraSettings
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    SettingError,
    SourceError,
)
from hardware.frame import CameraFrame
from hardware.stamper import Stamper
from imgstore import FrameSpec, Image

_RATE_TOLERANCE = 0.05  # drivers round: 29.97 for 30


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used here."""

    def isOpened(self) -> bool: ...  # noqa: N802
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Image]: ...
    def get(self, propId: int, /) -> float: ...  # noqa: N803
    def set(self, propId: int, value: float, /) -> bool: ...  # noqa: N803
    def release(self) -> None: ...


CaptureOpener: TypeAlias = Callable[[], Capture]


def open_opencv(address: str, settings: CameraSettings) -> "OpenCVCamera":
    """Make the camera of `opencv:INDEX` or `opencv:/dev/videoN`."""
    index = address.removeprefix("/dev/video")
    if not index.isascii() or not index.isdecimal():
        raise SourceError(
            f"opencv: needs the number of a camera, as in opencv:0 or opencv:/dev/video0, not {address!r}"
        )
    settings.allow("an OpenCV camera", "size", "rate", "colour", "realtime")
    return OpenCVCamera(f"opencv:{index}", lambda: open_device(int(index)), settings)


def open_device(index: int) -> Capture:
    """Open camera `index` of this machine.

    Raises CameraNotFoundError; the device is looked for first, because OpenCV would write to the terminal.
    """
    if not sys.platform.startswith("linux"):
        return cv2.VideoCapture(index, cv2.CAP_ANY)
    device = Path(f"/dev/video{index}")
    if not device.exists():
        there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        raise CameraNotFoundError(f"there is no camera {device}; cameras on this machine: {there}")
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraNotFoundError(f"{device} may not be used; add this user to the group 'video'")
    return cv2.VideoCapture(index, cv2.CAP_V4L2)


class OpenCVCamera:
    """One `cv2.VideoCapture`.

    OpenCV knows no number of the camera's own, so `number` counts the frames that were read: a frame that
    the driver lost leaves no gap in it, only in the times. The time is that of the frame's arrival.

    Parameters
    ----------
    name : of the camera, for messages.
    open_capture : opens the device.
    settings : size, rate and colour are used.
    """

    def __init__(self, name: str, open_capture: CaptureOpener, settings: CameraSettings) -> None:
        self._name = name
        self._open_capture = open_capture
        self._settings = settings
        self._capture: Capture | None = None
        self._spec: FrameSpec | None = None
        self._given: dict[str, object] = {}
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
        """Which device it is."""
        return CameraIdentity("opencv", self._name)

    @property
    def given(self) -> Mapping[str, object]:
        """Size and rate that the driver gave."""
        return self._given

    def start(self) -> None:
        """Open the device and check that it does what was asked."""
        if self._capture is not None:
            raise CameraStateError(f"{self._name} runs already; stop it first")
        capture = self._open_capture()
        try:
            self._spec = self._configure(capture)
        except BaseException:
            capture.release()
            raise
        self._capture = capture
        self._stamper = Stamper()

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame; a camera has no end.

        OpenCV cannot be told how long to wait: it gives up after some ten seconds, or at once if the device
        is gone, and only then can `timeout` be looked at.
        """
        if self._capture is None:
            raise CameraStateError(f"{self._name} is not running; start it first")
        began = time.monotonic()
        grabbed = self._capture.grab()
        arrived_ns = time.monotonic_ns()
        retrieved, image = self._capture.retrieve() if grabbed else (False, None)
        if not retrieved or image is None:
            raise self._failure(time.monotonic() - began, timeout)
        return self._stamper.stamp(self._convert(image), arrived_ns)

    def stop(self) -> None:
        """Release the device. Does nothing if it is released."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
            self._spec = None

    def _configure(self, capture: Capture) -> FrameSpec:
        """Ask for size and rate, and return what frames will be."""
        if not capture.isOpened():
            raise CameraNotFoundError(
                f"{self._name} cannot be opened; another program may be using it, or it is no camera"
            )
        size, rate = self._settings.size, self._settings.rate
        if size is not None:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        if rate is not None:
            capture.set(cv2.CAP_PROP_FPS, rate)
        got = (int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
        if size is not None and got != tuple(size):
            raise SettingError(
                f"{self._name} was asked for {size[1]}x{size[0]} and gives {got[1]}x{got[0]}; "
                "leave the size out, or ask for one that `v4l2-ctl --list-formats-ext` lists"
            )
        got_rate = capture.get(cv2.CAP_PROP_FPS)  # 0 if the driver does not say
        if rate is not None and got_rate > 0 and abs(got_rate - rate) > _RATE_TOLERANCE * rate:
            raise SettingError(
                f"{self._name} was asked for {rate:g} frames per second and gives {got_rate:g}; "
                "leave the rate out, or ask for one that `v4l2-ctl --list-formats-ext` lists"
            )
        self._given = {"size": got, "rate": got_rate} if got_rate > 0 else {"size": got}
        return FrameSpec((*got, 3) if self._settings.colour else got)

    def _convert(self, image: Image) -> Image:
        """Return the image grey or in colour, as was asked."""
        is_grey = image.ndim == 2
        if self._settings.colour:
            return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if is_grey else image
        return image if is_grey else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)

    def _failure(self, waited: float, timeout: float) -> CameraTimeoutError | CaptureError:
        if waited >= timeout:
            return CameraTimeoutError(f"{self._name} gave no frame within {waited:.3g} s; check its cable")
        return CaptureError(f"{self._name} stopped giving frames; check its cable, then start it again")
