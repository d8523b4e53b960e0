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

from hardware import Camera, CameraSettings, open_camera
from hardware.cameras.opencv import OpenCVCamera
from tests.hardware.film import Film
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


@pytest.fixture(
    params=["simulated", "simulated in real time", "video", "video in real time", "opencv", "stream"]
)
def make_camera(request: pytest.FixtureRequest, video: Path) -> Callable[[], Camera]:
    """What makes a camera of each kind that needs no device."""
    if request.param == "opencv":
        return lambda: OpenCVCamera("film", lambda: Film(video), CameraSettings())
    if request.param == "stream":
        port = request.getfixturevalue("start_server")("mpegts")
        return lambda: open_camera(f"stream:tcp://127.0.0.1:{port}")
    realtime = request.param.endswith("real time")
    if request.param.startswith("video"):
        return lambda: open_camera(f"video:{video}", CameraSettings(realtime=realtime))
    settings = CameraSettings(size=(240, 320), rate=100, realtime=realtime)
    return lambda: open_camera("simulated", settings)


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
