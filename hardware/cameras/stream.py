"""Cameras on the network: RTSP, MJPEG over HTTP, MPEG-TS over TCP or UDP."""

import threading
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hardware.camera import CameraIdentity, CameraSettings
from hardware.errors import (
    CameraNotFoundError,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    HardwareError,
    SettingError,
)
from hardware.frame import CameraFrame
from hardware.network import NetworkStream, Picture, StreamAddress, connect
from hardware.options import about, parse_options
from hardware.stamper import Stamper
from imgstore import FrameSpec, Image, image_of

_WHO = "a network stream"
_TRANSPORTS = ("tcp", "udp")
_MOST_BYTES = 256 * 2**20  # of pictures that wait


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a network stream can be told."""

    transport: str | None = field(
        default=None,
        metadata=about("how RTSP brings the video; by tcp nothing is lost", values="tcp, udp", default="tcp"),
    )
    buffer_s: float = field(
        default=1.0,
        metadata=about(
            "video kept for a late reader, then the oldest is lost; 0: the newest", unit="s", values="from 0"
        ),
    )
    open_s: float = field(
        default=10.0,
        metadata=about("how long to wait for the server, and for a picture", unit="s", values="above 0"),
    )
    silence_s: float = field(
        default=5.0, metadata=about("how long without video ends the stream", unit="s", values="above 0")
    )

    def __post_init__(self) -> None:
        if self.transport not in (None, *_TRANSPORTS):
            raise SettingError(f"transport is {' or '.join(_TRANSPORTS)}, not {self.transport!r}")
        for name in ("open_s", "silence_s"):
            if not 0 < getattr(self, name) < np.inf:
                raise SettingError(f"{name} is a number of seconds above 0, not {getattr(self, name)}")
        if not 0 <= self.buffer_s < np.inf:
            raise SettingError(f"buffer_s is a number of seconds from 0, not {self.buffer_s}")


def open_stream(address: str, settings: CameraSettings) -> "StreamCamera":
    """Make the camera of `stream:URL`."""
    url = StreamAddress(address)
    settings.allow(_WHO, "colour", "realtime", "options")
    options = parse_options(StreamOptions, settings.options, _WHO)
    if options.transport is not None and not url.is_rtsp:
        raise SettingError(f"transport can be chosen for rtsp:// only, not for {url.scheme}://")
    return StreamCamera(url, colour=settings.colour, options=options)


class StreamCamera:
    """One stream.

    A stream does not count its frames. By RTSP over TCP, HTTP and `tcp://` none is lost on the way; one that
    is lost by UDP leaves no gap in `number`, only in the times, and frames that build on it may be damaged
    without a sign. One that came but was not read in time is counted in `lost`.

    The device's time is the sender's, where the stream carries it: RTSP and MPEG-TS do, MJPEG over HTTP does
    not. H.264 is known to be whole only when the next frame begins: frames arrive a period late by RTSP and
    two by MPEG-TS, and as this is always so, their times are late by as much.

    Parameters
    ----------
    address : where it is.
    colour : give blue, green and red, else the luma plane.
    options : see there.
    """

    def __init__(self, address: StreamAddress, *, colour: bool, options: StreamOptions) -> None:
        self._address = address
        self._colour = colour
        self._options = options
        self._receiver: _Receiver | None = None
        self._spec: FrameSpec | None = None
        self._given: dict[str, object] = {}
        self._stamper = Stamper()

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames; known once it is started."""
        if self._spec is None:
            raise CameraStateError(f"{self._address} knows its frames only once it is started")
        return self._spec

    @property
    def live(self) -> bool:
        """True: a stream does not wait."""
        return True

    @property
    def rate(self) -> float | None:
        """Frames per second, as the stream says."""
        rate = self._given.get("rate")
        return rate if isinstance(rate, float) else None

    @property
    def identity(self) -> CameraIdentity:
        """Its address, without user and password."""
        return CameraIdentity("stream", str(self._address))

    @property
    def given(self) -> Mapping[str, object]:
        """Size, rate, codec, pixel format and container of the stream."""
        return self._given

    def start(self) -> None:
        """Connect, and wait for the first picture."""
        if self._receiver is not None:
            raise CameraStateError(f"{self._address} runs already; stop it first")
        options = self._options
        stream = connect(
            self._address,
            transport=options.transport or _TRANSPORTS[0],
            open_s=options.open_s,
            silence_s=options.silence_s,
        )
        try:
            pictures = stream.pictures()
            first = next(pictures)
            self._given = _describe(stream, first)
            image = self._image(first)
            self._spec = FrameSpec(image.shape, image.dtype)
        except BaseException as exc:
            stream.close()
            if isinstance(exc, CaptureError):
                raise CameraNotFoundError(str(exc)) from exc
            raise
        self._stamper = Stamper()
        self._receiver = _Receiver(stream, first, pictures, options.buffer_s)
        self._receiver.start()

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame; a live stream has no end, so that one which ends has failed."""
        if self._receiver is None:
            raise CameraStateError(f"{self._address} is not running; start it first")
        picture = self._receiver.take(timeout)
        if picture is None:
            raise CameraTimeoutError(f"{self._address} gave no frame within {timeout:g} s")
        image = self._image(picture)
        if picture.incomplete and image.shape != self.spec.shape:
            image = np.zeros(self.spec.shape, self.spec.dtype)
        if image.shape != self.spec.shape:
            before, now = (f"{shape[1]}x{shape[0]}" for shape in (self.spec.shape, image.shape))
            raise CaptureError(f"{self._address} changed its size from {before} to {now}; start it again")
        frame = self._stamper.stamp(
            image,
            picture.arrived_ns,
            device_number=picture.number,  # for what was lost here
            device_ns=picture.sent_ns,
            incomplete=picture.incomplete,
        )
        return replace(frame, device_number=None)  # which the device did not say

    def stop(self) -> None:
        """Leave the server. If it has fallen silent this takes until that is noticed."""
        if self._receiver is not None:
            self._receiver.stop()
            self._receiver = None
            self._spec = None

    def _image(self, picture: Picture) -> Image:
        if picture.frame is None:
            return np.zeros((0, 0), np.uint8)
        return image_of(picture.frame, colour=self._colour)


class _Receiver:
    """The thread that takes pictures off the network, read or not: a late reader must not delay all after.

    Parameters
    ----------
    stream : closed by this.
    first : a picture that came already.
    pictures : those to come.
    buffer_s : seconds of pictures that are kept; at least one always is.
    """

    def __init__(
        self, stream: NetworkStream, first: Picture, pictures: Generator[Picture], buffer_s: float
    ) -> None:
        self._stream = stream
        self._pictures = pictures
        self._buffer_ns = buffer_s * 1e9
        self._waiting = deque([first])
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def start(self) -> None:
        """Begin to receive."""
        self._thread.start()

    def take(self, timeout: float) -> Picture | None:
        """Return the oldest picture that waits, None if none came in time. Raises what ended the stream."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._error, max(timeout, 0))
            if self._waiting:
                return self._waiting.popleft()
            if self._error is not None:
                raise self._error
            return None

    def stop(self) -> None:
        """End the thread and close the stream."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for picture in self._pictures:
                if self._stop.is_set():
                    break
                self._put(picture)
        except Exception as exc:  # noqa: BLE001  # raised by `take`, in the caller's thread
            with self._changed:
                self._error = (
                    exc if isinstance(exc, HardwareError) else CaptureError(f"{type(exc).__name__}: {exc}")
                )
                self._changed.notify_all()
        finally:
            self._pictures.close()
            self._stream.close()

    def _put(self, picture: Picture) -> None:
        with self._changed:
            waiting = self._waiting
            waiting.append(picture)
            while len(waiting) > 1 and (
                picture.arrived_ns - waiting[0].arrived_ns > self._buffer_ns
                or self._buffer_ns == 0
                or len(waiting) * _bytes_of(picture) > _MOST_BYTES
            ):
                waiting.popleft()
            self._changed.notify_all()


def _bytes_of(picture: Picture) -> int:
    return sum(plane.buffer_size for plane in picture.frame.planes) if picture.frame is not None else 0


def _describe(stream: NetworkStream, first: Picture) -> dict[str, object]:
    given: dict[str, object] = {"codec": stream.codec, "container": stream.container}
    if first.frame is not None:
        given["size"] = (first.frame.height, first.frame.width)
        given["pixel_format"] = first.frame.format.name
    if stream.rate is not None:
        given["rate"] = stream.rate
    return given
