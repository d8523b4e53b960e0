"""The camera of a Raspberry Pi, with a stand-in for its library."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from hardware import (
    FINDERS,
    CameraFrame,
    CameraNotFoundError,
    CameraSettings,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    SettingError,
    open_camera,
)
from hardware.cameras.picamera import PicameraCamera, find_picamera
from hardware.clock import WallClock
from imgstore import MissingDependencyError
from tests.hardware.picamera_stand_in import Picamera2, Scene, StandIn, luma

TIMEOUT = 10.0
SIZE = (48, 70)  # rows of 70 bytes lie 128 bytes apart
PLENTY = {"buffer_count": 40, "queue_frames": 80}
TWO = [{"Model": "imx708", "Id": f"/base/axi/rp1/i2c@{place}/imx708@1a", "Num": place} for place in (0, 1)]


def make(scene: Scene | None = None, *, address: str = "0", **settings: object) -> PicameraCamera:
    """Return a camera that is not started; its options are the settings that are no common ones.

    It has so many buffers that none is lost on a machine that has other things to do.
    """
    common = {key: settings.pop(key) for key in ("rate", "colour", "size") if key in settings}
    library = StandIn(scene)
    asked = CameraSettings(**{"size": SIZE, "rate": 200, **common}, options={**PLENTY, **settings})
    return PicameraCamera(address, asked, lambda: library, first_frame_s=TIMEOUT)


@contextmanager
def running(camera: PicameraCamera) -> Iterator[PicameraCamera]:
    """Start a camera, and stop it."""
    camera.start()
    try:
        yield camera
    finally:
        camera.stop()


def take(camera: PicameraCamera, count: int) -> list[CameraFrame]:
    """Return the first frames of a camera."""
    with running(camera):
        return [camera.read(TIMEOUT) for _ in range(count)]


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait for another thread, for as long as it takes."""
    while not reached():
        time.sleep(0.002)


def test_each_frame_is_the_image_of_its_buffer_without_the_padding_of_the_rows():
    camera = make()
    taken = take(camera, 60)  # more than there are buffers: each was written over by now

    for frame in taken:
        np.testing.assert_array_equal(frame.image, luma(frame.device_number, *SIZE))
        assert frame.image.flags.owndata
        assert frame.image.flags.c_contiguous
    assert camera.given["stride"] == 128


@pytest.mark.parametrize(
    "given", ["YUV420", "NV12", "R8", "RGB888", "BGR888", "XRGB8888", "XBGR8888", "YUYV"]
)
def test_grey_is_read_from_any_format_that_the_camera_chooses(given):
    camera = make(Scene(formats={"YUV420": given}))
    frame = take(camera, 1)[0]

    blue = luma(frame.device_number, *SIZE).astype(float)
    packed = given not in ("YUV420", "NV12", "R8", "YUYV")
    expected = 0.114 * blue + 0.587 * (blue // 2) + 0.299 * (255 - blue) if packed else blue
    np.testing.assert_allclose(frame.image, expected, atol=1 if packed else 0)
    assert camera.given["format"] == given


@pytest.mark.parametrize("given", ["RGB888", "BGR888", "XRGB8888", "XBGR8888"])
def test_colour_comes_as_blue_green_red(given):
    camera = make(Scene(formats={"RGB888": given}), colour=True)
    frame = take(camera, 1)[0]

    blue = luma(frame.device_number, *SIZE)
    np.testing.assert_array_equal(frame.image, np.stack([blue, blue // 2, 255 - blue], axis=-1))
    assert frame.image.flags.owndata


@pytest.mark.parametrize("given", ["YUV420", "YVU420", "NV12", "NV21", "R8", "YUYV"])
def test_colour_without_colours_is_grey(given):
    frame = take(make(Scene(formats={"RGB888": given}), colour=True), 1)[0]

    assert frame.image.shape == (*SIZE, 3)
    assert np.all(frame.image == frame.image[..., :1])
    ramp = luma(frame.device_number, *SIZE).astype(float)
    expected = ramp if given == "R8" else np.clip((ramp - 16) * 255 / 219, 0, 255)
    np.testing.assert_allclose(frame.image[..., 0], expected, atol=2)


def test_the_smaller_image_can_be_recorded():
    camera = make(stream="lores", lores_size="64x32")
    frame = take(camera, 1)[0]

    np.testing.assert_array_equal(frame.image, luma(frame.device_number, 32, 64))
    assert camera.given["stream"] == "lores"


def test_the_smaller_image_can_be_there_while_the_main_one_is_recorded():
    frame = take(make(lores_size="32x32"), 1)[0]
    assert frame.image.shape == SIZE


@pytest.mark.parametrize("how", ["skipped", "unseen"])
def test_images_that_never_came_are_counted_whether_the_sequence_tells_of_them_or_not(how):
    taken = take(make(Scene(**{how: frozenset({3, 7, 8})})), 7)

    assert [frame.number for frame in taken] == [0, 1, 2, 4, 5, 6, 9]
    assert [frame.lost for frame in taken] == [0, 0, 0, 1, 0, 0, 2]
    assert [frame.index for frame in taken] == list(range(7))


def test_images_before_the_first_that_came_are_not_lost():
    taken = take(make(Scene(skipped=frozenset({0, 1}))), 2)
    assert [frame.number for frame in taken] == [0, 1]
    assert [frame.device_number for frame in taken] == [2, 3]


def test_the_sequence_goes_on_after_32_bits():
    first = 2**32 - 3
    taken = take(make(Scene(first_sequence=first)), 6)
    assert [frame.device_number for frame in taken] == [first, first + 1, first + 2, 0, 1, 2]
    assert [frame.number for frame in taken] == list(range(6))


def test_what_a_late_reader_has_no_place_for_is_lost_and_the_camera_never_waits():
    library = StandIn()
    asked = CameraSettings(size=SIZE, rate=500, options={"queue_frames": 3, "buffer_count": 4})
    camera = PicameraCamera("0", asked, lambda: library, first_frame_s=TIMEOUT)
    with running(camera):
        device = library.opened[0]
        wait_until(lambda: device.images >= 30)
        taken = [camera.read(TIMEOUT) for _ in range(10)]

    assert sum(frame.lost for frame in taken) >= 20
    assert [frame.number for frame in taken] == [frame.device_number for frame in taken]
    for frame in taken:
        np.testing.assert_array_equal(frame.image, luma(frame.device_number, *SIZE))


def test_no_buffer_is_kept_from_the_camera():
    library = StandIn()
    camera = PicameraCamera("0", CameraSettings(size=SIZE, rate=200), lambda: library, first_frame_s=TIMEOUT)
    with running(camera):
        for _ in range(20):
            camera.read(TIMEOUT)
        device = library.opened[0]
        with device.condition:
            came_back = device.condition.wait_for(lambda: len(device.free) == 6, TIMEOUT)
    assert came_back


def test_a_camera_whose_buffers_are_kept_stalls():
    """That the stand-in would show it."""
    device = Picamera2(Scene())
    device.configure(device.create_video_configuration(main={"format": "YUV420", "size": (64, 32)}))
    kept = []
    device.post_callback = lambda request: (request.acquire(), kept.append(request))
    device.start()
    wait_until(lambda: device.starved >= 3)
    device.stop()
    for request in kept:
        request.release()
    device.close()
    assert len(kept) == 6


def test_the_time_of_a_frame_is_the_start_of_its_exposure():
    camera = make(exposure_ms=4.0)
    wall = WallClock()
    for frame in take(camera, 5):
        assert frame.time == pytest.approx(wall.at(frame.device_ns) - 0.004, abs=1e-3)
        assert frame.device_ns <= frame.arrived_ns


def test_times_are_as_far_apart_as_the_camera_says():
    taken = take(make(), 10)
    np.testing.assert_allclose(np.diff([frame.time for frame in taken]), 0.005, atol=1e-6)


def test_a_camera_with_a_clock_of_its_own_is_fitted_to_the_arrivals():
    hour_ns = 3600 * 10**9
    wall = WallClock()
    for frame in take(make(Scene(clock_ahead_ns=-hour_ns), exposure_ms=1.0), 5):
        assert frame.device_ns < frame.arrived_ns - hour_ns // 2
        assert wall.at(frame.arrived_ns) - 60 < frame.time <= wall.at(frame.arrived_ns) + 1e-3


def test_settings_are_read_back():
    scene = Scene()
    scene.controls |= {"AfMode", "LensPosition"}
    camera = make(scene, exposure_ms=2.5, gain=2.0, focus=0.0, red_gain=1.2, blue_gain=2.3, awb=None)
    with running(camera):
        given = camera.given
        assert camera.rate == pytest.approx(200)
    assert given["size"] == SIZE
    assert (given["exposure_ms"], given["gain"], given["focus"]) == (2.5, 2.0, 0.0)
    assert (given["red_gain"], given["blue_gain"]) == (1.2, 2.3)
    assert given["buffer_count"] == 40
    assert "sYCC" in given["colour_space"]  # grey goes from 0 to 255


def test_words_become_the_numbers_that_libcamera_knows():
    library = StandIn()
    options = {"awb": "daylight", "noise_reduction": "off", "gain": "4"}
    camera = PicameraCamera("0", CameraSettings(size=SIZE, options=options), lambda: library)
    with running(camera):
        controls = library.opened[0].controls
    assert controls["AwbMode"] == 5
    assert controls["NoiseReductionMode"] == 0
    assert controls["AnalogueGain"] == 4.0
    assert controls["FrameDurationLimits"] == (33333, 33333)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"focus": 2.0}, "focus"),
        ({"gain": 50.0}, "gain = 50.*1 to 10.67"),
        ({"size": (2464, 3280), "rate": 60.0}, "rate = 60.*1 to 21.19"),
        ({"size": (49, 70)}, "70x49 and gives 70x48"),
        ({"size": (48, 4000)}, "4000x48 and gives 3280x48"),
        ({"stream": "lores", "lores_size": "640x480"}, "lores"),
        ({"size": (2464, 3280), "rate": 10.0}, "buffer_count=4"),
    ],
)
def test_what_the_camera_cannot_do_is_said_when_it_starts(settings, words):
    scene = Scene(memory=20 << 20) if "buffer" in words else Scene(memory=1 << 30)
    camera = make(scene, **settings)
    with pytest.raises(SettingError, match=words):
        camera.start()
    with pytest.raises(CameraStateError):
        camera.read(0)


def test_a_format_that_cannot_be_read_is_named():
    with pytest.raises(SettingError, match="MJPEG"):
        make(Scene(formats={"YUV420": "MJPEG"})).start()


@pytest.mark.parametrize(
    "wrong",
    [
        {"exposure_ms": 0.0},
        {"exposure_ms": 50.0, "rate": 100.0},
        {"exposure": 2.0},
        {"stream": "raw"},
        {"stream": "lores"},
        {"lores_size": "640"},
        {"lores_size": "0x480"},
        {"awb": "sunny"},
        {"awb": "auto", "red_gain": 1.0, "blue_gain": 1.0},
        {"red_gain": 1.0},
        {"noise_reduction": "much"},
        {"buffer_count": 1},
        {"queue_frames": 0},
        {"gain": "high"},
    ],
)
def test_options_are_checked_when_the_camera_is_made(wrong):
    with pytest.raises(SettingError):
        make(**wrong)


def test_a_camera_is_found_by_its_model_or_id():
    for address in ("imx219", "/base/soc/i2c0mux/i2c@1/imx219@10"):
        camera = make(address=address)
        take(camera, 1)
        assert camera.identity.model == "imx219"
        assert camera.identity.serial.endswith("imx219@10")


@pytest.mark.parametrize(
    ("scene", "address", "words"),
    [
        (Scene(), "1", "0 .imx219"),
        (Scene(infos=[]), "0", "rpicam-hello"),
        (Scene(infos=TWO), "imx708", "several"),
        (Scene(busy=True), "0", "in use"),
    ],
)
def test_a_camera_that_cannot_be_had_is_named(scene, address, words):
    with pytest.raises(CameraNotFoundError, match=words):
        make(scene, address=address).start()


def test_a_camera_that_gives_nothing_does_not_start():
    library = StandIn(Scene(silent_after=0))
    camera = PicameraCamera("0", CameraSettings(size=SIZE), lambda: library, first_frame_s=0.05)
    with pytest.raises(CaptureError, match="cable"):
        camera.start()
    assert not library.opened[0].is_open


def test_a_camera_that_falls_silent_is_a_timeout():
    camera = make(Scene(silent_after=2))
    with running(camera):
        assert [camera.read(TIMEOUT).number for _ in range(2)] == [0, 1]
        for _ in range(2):
            with pytest.raises(CameraTimeoutError):
                camera.read(0.01)


def test_a_buffer_that_cannot_be_read_fails_the_camera_and_it_can_be_started_again():
    camera = make(Scene(unmappable=2))
    for _ in range(2):
        with running(camera):
            assert [camera.read(TIMEOUT).number for _ in range(2)] == [0, 1]
            with pytest.raises(CaptureError, match="dma buf"):
                camera.read(TIMEOUT)


def test_a_camera_that_does_not_start_or_stop_is_released_all_the_same():
    library = StandIn(Scene(start_fails=True))
    with pytest.raises(SettingError, match="Broken pipe"):
        PicameraCamera("0", CameraSettings(size=SIZE), lambda: library).start()

    library.scene = Scene(stop_fails=True)
    camera = PicameraCamera("0", CameraSettings(size=SIZE, rate=200), lambda: library)
    camera.start()
    with pytest.raises(CaptureError, match="Broken pipe"):
        camera.stop()
    camera.stop()
    assert not any(device.is_open for device in library.opened)


def test_cameras_are_listed_without_opening_them():
    library = StandIn(Scene(infos=TWO))
    found = find_picamera(lambda: library)
    assert [one.source for one in found] == ["picamera:0", "picamera:1"]
    assert found[1].identity.serial.endswith("i2c@1/imx708@1a")
    assert library.opened == []


@pytest.mark.skipif(importlib.util.find_spec("picamera2") is not None, reason="picamera2 is installed here")
def test_without_the_library_it_is_said_how_to_get_it():
    for call in (open_camera("picamera:0").start, FINDERS.get("picamera")):
        with pytest.raises(MissingDependencyError, match="python3-picamera2"):
            call()
