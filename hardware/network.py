"""Pictures out of a video stream on the network, through PyAV."""

import re
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hardware.address import without_secrets
from hardware.errors import CameraNotFoundError, CaptureError, SourceError

_NS = 1_000_000_000
_LONGEST_RUN = 250  # pictures between keyframes, as encoders have it; a stream may have none at all
_FASTEST = 1000  # frames per second that are believed
_MPEGTS_TURN = 2**33  # of MPEG-TS's clock, in 26.5 hours; FFmpeg counts over the first turn only


@dataclass(frozen=True, slots=True)
class _Scheme:
    """What FFmpeg may open for a kind of URL.

    FFmpeg goes by content: a server that answers with a playlist would make it read other servers, or files
    of this machine. No format that names other addresses is allowed, nor any protocol but the carriers.
    """

    protocols: str
    formats: str
    options: Mapping[str, str]


_ELEMENTARY = "mpegts,mpjpeg,mjpeg,h264,hevc"
_HTTP = _Scheme("http,https,httpproxy,tls,tcp", _ELEMENTARY, {"seekable": "0"})
_RTSP = _Scheme("rtsp,rtsps,rtp,srtp,tls,tcp,udp", "rtsp", {"allowed_media_types": "video"})
_SCHEMES = {
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "http": _HTTP,
    "https": _HTTP,
    "tcp": _Scheme("tcp", _ELEMENTARY, {}),
    "udp": _Scheme("udp", _ELEMENTARY, {"overrun_nonfatal": "1"}),
}
_CLOCKED = ("rtsp", "mpegts")  # the sender's clock is in the stream; FFmpeg makes up the times of others
_OPTIONS = {
    "analyzeduration": "1000000",  # microseconds; FFmpeg would look at the stream for five seconds
    "fpsprobesize": "4",  # pictures; FFmpeg would wait for twenty to find their rate
    "max_delay": "200000",  # microseconds that a packet which was overtaken is waited for
}


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """The URL of a stream.

    Attributes
    ----------
    url : as it was typed, perhaps with a password.
    """

    url: str

    def __post_init__(self) -> None:
        scheme, _, rest = self.url.partition("://")
        if scheme.lower() not in _SCHEMES or not rest or re.search(r"[\s\x00-\x1f\x7f]", self.url):
            raise SourceError(
                "stream: needs the URL of a stream, without spaces, that begins with "
                f"{', '.join(f'{name}://' for name in _SCHEMES)}; as in stream:rtsp://camera:554/live"
            )

    def __str__(self) -> str:
        return without_secrets(self.url)

    def __repr__(self) -> str:
        return f"StreamAddress({str(self)!r})"

    @property
    def scheme(self) -> str:
        """What it begins with, in lower case."""
        return self.url.partition("://")[0].lower()

    @property
    def is_rtsp(self) -> bool:
        """Whether the transport can be chosen."""
        return _SCHEMES[self.scheme] is _RTSP


@dataclass(frozen=True, slots=True)
class Picture:
    """What came out of a stream.

    Attributes
    ----------
    number : counts the pictures of the stream from 0.
    frame : as decoded; None if nothing could be made of it.
    arrived_ns : when its last packet arrived, by the monotonic clock.
    sent_ns : by the sender's clock; None if it does not say.
    incomplete : whether parts of it are missing, or of one that it builds on.
    """

    number: int
    frame: VideoFrame | None
    arrived_ns: int
    sent_ns: int | None
    incomplete: bool


class NetworkStream:
    """A stream that is open; use `connect`.

    Parameters
    ----------
    address : for messages.
    container : open for reading.
    stream : its video.
    silence_s : seconds without video after which the stream is taken for dead.
    first_by : when the first picture has to be there, by `time.monotonic`.
    """

    def __init__(
        self,
        address: StreamAddress,
        container: InputContainer,
        stream: VideoStream,
        *,
        silence_s: float,
        first_by: float,
    ) -> None:
        self._address = address
        self._container = container
        self._stream = stream
        self._silence_s = silence_s
        self._first_by = first_by
        self._clocked = container.format.name in _CLOCKED
        self._turn = _MPEGTS_TURN if container.format.name == "mpegts" else None
        self._stamp: int | None = None
        self._number = 0
        self._since_damage: int | None = None  # pictures; None while there is none
        _prepare(stream.codec_context)

    @property
    def codec(self) -> str:
        """Name of the codec, "h264"."""
        return self._stream.codec_context.name

    @property
    def container(self) -> str:
        """Name of what carries it, "rtsp"."""
        return self._container.format.name

    @property
    def rate(self) -> float | None:
        """Frames per second, as the stream says; None if it does not."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if self._clocked and rate and 0 < rate <= _FASTEST else None

    def pictures(self) -> Generator[Picture]:
        """Yield pictures as they come, from the first whole one on.

        Raises CaptureError at the end: a live stream has none.
        """
        for packet in self._packets():
            for picture in self._decode(packet, time.monotonic_ns()):
                if picture.number or not picture.incomplete:  # a stream is joined between two keyframes
                    self._number += 1
                    yield picture
            if not self._number and time.monotonic() > self._first_by:
                raise CaptureError(f"{self._address} sends {self.codec}, but no whole picture came in time")
        raise CaptureError(f"{self._address} ended; start it again")

    def close(self) -> None:
        """Leave the server. Closing twice is harmless."""
        self._container.close()

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        """Yield packets of the video. Raises CaptureError."""
        reason = ""
        heard = time.monotonic()
        try:
            for packet in self._container.demux():
                now = time.monotonic()
                if packet.stream.index == self._stream.index:
                    heard = now
                    yield packet  # type: ignore[misc]  # it is of the video
                elif now - heard > self._silence_s:  # sound, perhaps
                    break
            else:
                return
        except av.ExitError:
            heard -= self._silence_s  # FFmpeg waited as long, and then gave what it had held back
        except (av.FFmpegError, OSError) as exc:
            reason = _reason(exc)
        # raised here, because what FFmpeg raises holds the address with its password
        if time.monotonic() - heard >= self._silence_s:
            raise CaptureError(f"{self._address} sent no video for {self._silence_s:g} s; start it again")
        raise CaptureError(f"{self._address} broke off ({reason}); start it again")

    def _decode(self, packet: "Packet[VideoStream]", arrived_ns: int) -> Iterator[Picture]:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self._since_damage = 0
            yield Picture(self._number, None, arrived_ns, None, incomplete=True)
            return
        for frame in frames:
            is_damaged = self._is_damaged(frame, broken=packet.is_corrupt)
            yield Picture(self._number, frame, arrived_ns, self._sent_ns(frame.pts), is_damaged)

    def _is_damaged(self, frame: VideoFrame, *, broken: bool) -> bool:
        """Whether parts are missing, of it or of one before; all build on that until the next keyframe."""
        if frame.is_corrupt or broken:
            self._since_damage = 0
        elif frame.key_frame or self._since_damage == _LONGEST_RUN:
            self._since_damage = None
        elif self._since_damage is not None:
            self._since_damage += 1
        return self._since_damage is not None

    def _sent_ns(self, stamp: int | None) -> int | None:
        base = self._stream.time_base
        if stamp is None or base is None or not self._clocked:
            return None
        self._stamp = stamp if self._turn is None else unturned(self._stamp, stamp, self._turn)
        return self._stamp * base.numerator * _NS // base.denominator


def connect(address: StreamAddress, *, transport: str, open_s: float, silence_s: float) -> NetworkStream:
    """Open a stream.

    Parameters
    ----------
    transport : "tcp" or "udp", for RTSP.
    open_s : seconds that it may take until the server answers, and again until the first picture.
    silence_s : seconds without video after which the stream is taken for dead.

    Raises CameraNotFoundError if the server does not answer, or sends no video.
    """
    scheme = _SCHEMES[address.scheme]
    options = {
        **_OPTIONS,
        **scheme.options,
        "protocol_whitelist": scheme.protocols,
        "format_whitelist": scheme.formats,
    }
    if address.is_rtsp:
        options["rtsp_transport"] = transport
    reason = ""
    began = time.monotonic()
    try:
        container = av.open(
            address.url, "r", options=options, timeout=(open_s, silence_s), metadata_errors="replace"
        )
    except (av.FFmpegError, OSError, ValueError) as exc:
        reason = _reason(exc)
        if time.monotonic() - began >= open_s:
            reason = f"it said nothing for {open_s:g} s"
    if reason:  # raised here, because what FFmpeg raises holds the address with its password
        raise CameraNotFoundError(
            f"{address} cannot be opened ({reason}); look whether it plays elsewhere, as with "
            "`ffplay URL`, and whether it asks for a password"
        )
    for stream in container.streams.video[:1]:
        if isinstance(stream.codec_context, VideoCodecContext):  # FFmpeg knows the codec
            first_by = time.monotonic() + open_s
            return NetworkStream(address, container, stream, silence_s=silence_s, first_by=first_by)
    container.close()
    raise CameraNotFoundError(f"{address} sends no video of a known codec")


def unturned(before: int | None, now: int, turn: int) -> int:
    """Return what a clock that begins again from 0 after each `turn` has counted: the nearest to `before`."""
    return now if before is None else now + (before - now + turn // 2) // turn * turn


def _prepare(codec: VideoCodecContext) -> None:
    """Have the decoder tell of all damage. In several threads it is silent about slices that are missing."""
    codec.thread_count = 1
    codec.thread_type = "NONE"
    codec.flags |= Flags.output_corrupt
    if codec.name == "mjpeg":
        codec.options = {"err_detect": "explode"}  # it would fill in what is missing and not say so


def _reason(exc: BaseException) -> str:
    """Return what FFmpeg or the system says is wrong, without the address."""
    return getattr(exc, "strerror", None) or type(exc).__name__
