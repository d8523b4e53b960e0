"""Cameras to test with."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

import imgstore
from hardware import Camera, CameraSettings, Pattern, open_camera
from hardware.cameras.picamera import PicameraCamera
from tests.hardware.picamera_stand_in import StandIn

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
    ]
)
def make_camera(request: pytest.FixtureRequest, video: Path, pattern_store: Path) -> Callable[[], Camera]:
    """What makes a camera of each kind that needs no device."""
    source, _, how = request.param.partition(" ")
    realtime = how == "in real time"
    path = {"video": f":{video}", "store": f":{pattern_store}"}.get(source)
    if path is not None:
        return lambda: open_camera(source + path, CameraSettings(realtime=realtime))
    if source == "picamera":
        return lambda: PicameraCamera("0", CameraSettings(size=(240, 320), rate=100), StandIn)
    options = {"drift": 50, "jitter": 0.0001} if how == "with a clock of its own" else {}
    settings = CameraSettings(size=(240, 320), rate=100, realtime=realtime, options=options)
    return lambda: open_camera(source, settings)
