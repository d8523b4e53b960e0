"""Cameras to test with."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from hardware import Camera, CameraSettings, open_camera

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
    params=["simulated", "simulated in real time", "video", "video in real time", "genicam", "basler"]
)
def make_camera(request: pytest.FixtureRequest, video: Path) -> Callable[[], Camera]:
    """What makes a camera of each kind that needs no device."""
    if request.param == "basler":
        request.getfixturevalue("basler_emulator")
        return lambda: open_camera("basler:0", CameraSettings(size=(96, 128), rate=100))
    if request.param == "genicam":
        options = {"producer": str(request.getfixturevalue("producer"))}
        return lambda: open_camera("genicam:0", CameraSettings(rate=100, options=options))
    realtime = request.param.endswith("real time")
    if request.param.startswith("video"):
        return lambda: open_camera(f"video:{video}", CameraSettings(realtime=realtime))
    settings = CameraSettings(size=(240, 320), rate=100, realtime=realtime)
    return lambda: open_camera("simulated", settings)
