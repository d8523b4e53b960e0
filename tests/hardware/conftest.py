"""Cameras to test with."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

import imgstore
from hardware import Camera, CameraSettings, Pattern, open_camera
from hardware.cameras.opencv import OpenCVCamera
from hardware.cameras.picamera import PicameraCamera
from tests.hardware.film import Film
from tests.hardware.picamera_stand_in import StandIn
from tests.hardware.stream_server import RATE, SHAPE, picture

HERE = Path(__file__).parent

VIDEO_FRAMES = 12
VIDEO_RATE = 25
VIDEO_SHAPE = (48, 64)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 12 frames at 25 per second; each is as bright as ten times its number."""
    path = tmp_path_factory.mktemp("video") / "a video [1].mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=VIDEO_RATE, options={"crf": "10"})
        stream.height, stream.width = VIDEO_SHAPE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, VIDEO_RATE)
        for number in range(VIDEO_FRAMES):
            frame = VideoFrame.from_ndarray(np.full((*VIDEO_SHAPE, 3), 10 * number, np.uint8), format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def pattern_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 12 frames of the pattern at 25 per second."""
    path = tmp_path_factory.mktemp("store") / "a store [1]"
    pattern = Pattern(VIDEO_SHAPE)
    with imgstore.create(path, VIDEO_SHAPE) as writer:
        for number in range(VIDEO_FRAMES):
            writer.append(imgstore.Frame(pattern.image(number), number, number, 100 + number / VIDEO_RATE))
    return path


@pytest.fixture
def producer() -> Path:
    """A GenTL producer with three cameras, in which a black square moves by a pixel from frame to frame."""
    genicam = pytest.importorskip("genicam", reason="genicam is not installed")
    pytest.importorskip("harvesters", reason="harvesters is not installed")
    path = Path(genicam.__file__).parent / "viky.cti"
    if not path.exists():
        pytest.skip("this build of genicam has no producer with it")
    return path


@pytest.fixture(scope="session")
def basler_emulator() -> Iterator[None]:
    """Two emulated cameras of Basler's; pylon looks for them when it is loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYLON_CAMEMU", "2")
        pytest.importorskip("pypylon.pylon", reason="pypylon is not installed")
        yield


@pytest.fixture(
    params=[
        "simulated",
        "simulated in real time",
        "simulated:pattern",
        "simulated:pattern in real time",
        "simulated:pattern with a clock of its own",
        "video",
        "video in real time",
        "store",
        "store in real time",
        "picamera",
        "genicam",
        "basler",
        "opencv",
        "stream",
    ]
)
def make_camera(request: pytest.FixtureRequest, video: Path, pattern_store: Path) -> Callable[[], Camera]:
    """What makes a camera of each kind that needs no device."""
    source, _, how = request.param.partition(" ")
    if source in _SPECIAL:
        return _SPECIAL[source](request)
    realtime = how == "in real time"
    path = {"video": f":{video}", "store": f":{pattern_store}"}.get(source)
    if path is not None:
        return lambda: open_camera(source + path, CameraSettings(realtime=realtime))
    options = {"drift": 50, "jitter": 0.0001} if how == "with a clock of its own" else {}
    settings = CameraSettings(size=(240, 320), rate=100, realtime=realtime, options=options)
    return lambda: open_camera(source, settings)


def _picamera(request: pytest.FixtureRequest) -> Callable[[], Camera]:
    return lambda: PicameraCamera("0", CameraSettings(size=(240, 320), rate=100), StandIn)


def _genicam(request: pytest.FixtureRequest) -> Callable[[], Camera]:
    options = {"producer": str(request.getfixturevalue("producer"))}
    return lambda: open_camera("genicam:0", CameraSettings(rate=100, options=options))


def _basler(request: pytest.FixtureRequest) -> Callable[[], Camera]:
    request.getfixturevalue("basler_emulator")
    return lambda: open_camera("basler:0", CameraSettings(size=(96, 128), rate=100))


def _opencv(request: pytest.FixtureRequest) -> Callable[[], Camera]:
    video = request.getfixturevalue("video")
    return lambda: OpenCVCamera("film", lambda: Film(video), CameraSettings())


def _stream(request: pytest.FixtureRequest) -> Callable[[], Camera]:
    port = request.getfixturevalue("start_server")("mpegts")
    return lambda: open_camera(f"stream:tcp://127.0.0.1:{port}")


_SPECIAL = {
    "picamera": _picamera,
    "genicam": _genicam,
    "basler": _basler,
    "opencv": _opencv,
    "stream": _stream,
}


class Servers:
    """Cameras on the network, each a process of its own; call it to start one, which returns its port."""

    def __init__(self) -> None:
        self._running: dict[int, subprocess.Popen[str]] = {}

    def __call__(self, kind: str, *options: object, port: int = 0) -> int:
        """Start a server of `stream_server.py`."""
        words = [kind, "--port", str(port), *map(str, options)]
        return self.start([sys.executable, str(HERE / "stream_server.py"), *words])

    def start(self, command: list[str]) -> int:
        """Start a program that prints its port."""
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        line = server.stdout.readline().strip()
        if not line.isdecimal():
            server.stdout.close()
            pytest.skip(line or f"{command[0]} cannot run {command[1]}, code {server.wait()}")
        self._running[int(line)] = server
        return int(line)

    def kill(self, port: int) -> None:
        """End a server in the middle of what it does."""
        server = self._running.pop(port)
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()

    def close(self) -> None:
        """End all."""
        for port in list(self._running):
            self.kill(port)


@pytest.fixture
def start_server() -> Iterator[Servers]:
    """What starts cameras on the network."""
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture
def start_rtsp_server(start_server: Servers, tmp_path: Path) -> Callable[[], int]:
    """What starts an RTSP server, of two seconds of numbered pictures."""
    path = tmp_path / "numbered.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"g": "10", "tune": "zerolatency"})
        stream.height, stream.width = SHAPE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # one slice: rtph264pay takes each for a picture
        for number in range(2 * RATE):
            container.mux(stream.encode(VideoFrame.from_ndarray(picture(number), format="gray")))
        container.mux(stream.encode())
    return lambda: start_server.start(["/usr/bin/python3", str(HERE / "rtsp_server.py"), str(path)])
