"""What of picamera2 is used here, and what its buffers hold."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt

from hardware.errors import SettingError
from imgstore import Image, MissingDependencyError

Buffer: TypeAlias = npt.NDArray[np.uint8]
"""The bytes of one image as the camera wrote them, shape (n,): the camera's own memory."""


class FrameMetadata(Protocol):
    """What libcamera knows of a buffer."""

    @property
    def sequence(self) -> int:
        """Which image of the stream it holds; 32 bits."""


class FrameBuffer(Protocol):
    """A buffer of libcamera."""

    @property
    def metadata(self) -> FrameMetadata: ...


class Request(Protocol):
    """libcamera's side of a request."""

    @property
    def buffers(self) -> Mapping[Any, FrameBuffer]:
        """By stream."""


class CompletedRequest(Protocol):
    """One moment of the camera: an image in each stream. The buffers go back to the camera at its release."""

    @property
    def request(self) -> Request: ...

    def get_metadata(self) -> Mapping[str, Any]: ...


class MappedArray(Protocol):
    """A buffer as an array."""

    @property
    def array(self) -> Buffer: ...


class Picamera(Protocol):
    """The part of `picamera2.Picamera2` that is used here."""

    post_callback: Callable[[CompletedRequest], None] | None

    @property
    def camera_controls(self) -> Mapping[str, tuple[Any, Any, Any]]:
        """Least, greatest and usual value of each control."""

    def create_preview_configuration(self) -> dict[str, Any]: ...
    def create_video_configuration(
        self,
        *,
        main: dict[str, Any],
        lores: dict[str, Any] | None,
        raw: dict[str, Any] | None,
        buffer_count: int,
        controls: dict[str, Any],
        queue: bool,
    ) -> dict[str, Any]: ...
    def configure(self, camera_config: dict[str, Any]) -> None: ...
    def camera_configuration(self) -> dict[str, Any]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class PicameraClass(Protocol):
    """`picamera2.Picamera2` itself."""

    def __call__(self, camera_num: int) -> Picamera: ...
    def global_camera_info(self) -> list[Mapping[str, Any]]: ...


class Library(Protocol):
    """The part of the module `picamera2` that is used here."""

    @property
    def Picamera2(self) -> PicameraClass: ...  # noqa: N802
    @property
    def MappedArray(self) -> Callable[..., AbstractContextManager[MappedArray]]: ...  # noqa: N802


def load_library() -> Library:
    """Return the module `picamera2`. Raises MissingDependencyError if it, or libcamera, is not installed."""
    try:
        return cast(Library, import_module("picamera2"))
    except ModuleNotFoundError as exc:
        raise MissingDependencyError(
            f"a Raspberry Pi's camera needs {exc.name}: on Raspberry Pi OS `sudo apt install "
            "python3-picamera2` and an environment made with `python3 -m venv --system-site-packages`; "
            "pip install 'ethostore[picamera]' alone does not bring libcamera (see hardware/PICAMERA.md)"
        ) from exc


@dataclass(frozen=True, slots=True)
class _Packed:
    """Pixels one after the other."""

    pixel_bytes: int
    to_bgr: int | None
    to_grey: int


# libcamera names the bytes of a pixel from the last to the first: RGB888 is blue, green, red in memory
_PACKED = {
    "RGB888": _Packed(3, None, cv2.COLOR_BGR2GRAY),
    "BGR888": _Packed(3, cv2.COLOR_RGB2BGR, cv2.COLOR_RGB2GRAY),
    "XRGB8888": _Packed(4, cv2.COLOR_BGRA2BGR, cv2.COLOR_BGRA2GRAY),
    "XBGR8888": _Packed(4, cv2.COLOR_RGBA2BGR, cv2.COLOR_RGBA2GRAY),
    "YUYV": _Packed(2, cv2.COLOR_YUV2BGR_YUYV, cv2.COLOR_YUV2GRAY_YUYV),
}

# one plane of luma, then one or two of colour at half the size
_PLANAR = {
    "YUV420": cv2.COLOR_YUV2BGR_I420,
    "YVU420": cv2.COLOR_YUV2BGR_YV12,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "NV21": cv2.COLOR_YUV2BGR_NV21,
}
_LUMA_ONLY = "R8"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the images of a stream lie in its buffers.

    Attributes
    ----------
    format : libcamera's name for it.
    rows, columns : of the image.
    stride : bytes from one row to the next; those behind the columns mean nothing.

    Raises SettingError for a format that is not known here.
    """

    format: str
    rows: int
    columns: int
    stride: int

    def __post_init__(self) -> None:
        if self.format not in (*_PACKED, *_PLANAR, _LUMA_ONLY):
            raise SettingError(
                f"the camera gives images as {self.format}; {', '.join([*_PLANAR, *_PACKED, _LUMA_ONLY])} "
                "can be read here. A USB camera is better opened as opencv:0"
            )

    def grey(self, buffer: Buffer) -> Image:
        """Return a copy of the image in grey, shape (rows, columns)."""
        if self.format in _PACKED:
            return cv2.cvtColor(self._pixels(buffer), _PACKED[self.format].to_grey)
        return self._plane(buffer, self.rows)[:, : self.columns].copy()

    def colour(self, buffer: Buffer) -> Image:
        """Return a copy of the image, shape (rows, columns, 3): blue, green, red."""
        if self.format in _PLANAR:
            whole = cv2.cvtColor(self._plane(buffer, self.rows * 3 // 2), _PLANAR[self.format])
            return np.ascontiguousarray(whole[:, : self.columns])
        if self.format == _LUMA_ONLY:
            return cv2.cvtColor(self.grey(buffer), cv2.COLOR_GRAY2BGR)
        pixels, code = self._pixels(buffer), _PACKED[self.format].to_bgr
        return pixels.copy() if code is None else cv2.cvtColor(pixels, code)

    def _plane(self, buffer: Buffer, rows: int) -> Buffer:
        return buffer[: rows * self.stride].reshape(rows, self.stride)

    def _pixels(self, buffer: Buffer) -> Buffer:
        size = _PACKED[self.format].pixel_bytes
        used = self._plane(buffer, self.rows)[:, : self.columns * size]
        return used.reshape(self.rows, self.columns, size)
