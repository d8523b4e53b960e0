"""GenICam cameras, on a producer whose pictures say which frame they are."""

import signal
import threading
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from hardware import (
    FINDERS,
    CameraNotFoundError,
    CameraSettings,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    SettingError,
    SourceError,
    frames,
    open_camera,
)

pytest.importorskip("genicam", reason="genicam is not installed")
pytest.importorskip("harvesters", reason="harvesters is not installed")

from hardware.gentl import Device, choose_device, find_devices
from hardware.stamper import COUNTER_16_BIT
from hardware.vision import VisionCamera

TIMEOUT = 5.0
SIZE = (800, 800)  # the square needs 700 frames from the middle to a wall


def square(image):
    """Return how far the black square has moved; it goes down and right by a pixel with every frame."""
    _, columns = np.nonzero(image == 0)
    return columns.mean() - 11.5


@pytest.fixture
def camera(producer):
    """A function that makes one of the producer's cameras, of 800x800 pixels, 200 frames per second."""

    def make(address="0", **options):
        settings = {"size": SIZE, "rate": 200, "colour": options.pop("colour", False)}
        options = {"producer": str(producer), **options}
        return open_camera(f"genicam:{address}", CameraSettings(**settings, options=options))

    return make


def read_many(camera, count):
    """Read frames one after the other."""
    for _ in range(count):
        camera.read(TIMEOUT)


class Meddled:
    """A device that is there, and whose deliveries are changed on the way."""

    def __init__(self, device, change, counter=None):
        self._device = device
        self._change = change
        self.counter = counter or device.counter

    def __getattr__(self, name):
        return getattr(self._device, name)

    def wait(self, timeout):
        return self._change(self._device.wait(timeout))


def meddled_camera(producer, change, counter=None):
    """Return the first camera of a producer with changed deliveries, and the devices that it opens."""
    opened = []

    def open_device():
        device = Device(choose_device(find_devices([str(producer)]), "0"))
        opened.append(device)
        return Meddled(device, change, counter)

    settings = CameraSettings(size=SIZE, rate=200)
    return VisionCamera("genicam", "meddled", open_device, settings), opened


def test_the_loss_of_a_slow_reader_is_what_the_pictures_show(camera):
    slow = camera(buffers=3)
    slow.start()
    taken = []
    for _ in range(25):
        taken.append(slow.read(TIMEOUT))
        time.sleep(0.03)
    slow.stop()

    places = np.array([square(frame.image) for frame in taken])
    assert sum(frame.lost for frame in taken) == places[-1] - places[0] - 24
    assert sum(frame.lost for frame in taken) > 20
    np.testing.assert_array_equal([frame.number for frame in taken], places - places[0])
    np.testing.assert_array_equal(np.diff([frame.device_number for frame in taken]), np.diff(places))


def test_a_reader_who_is_quick_loses_nothing(camera):
    taken = list(islice(frames(camera(buffers=40), timeout=TIMEOUT), 40))
    assert [frame.number for frame in taken] == list(range(40))
    assert [frame.lost for frame in taken] == [0] * 40


def test_what_the_device_does_not_say_is_not_made_up(camera):
    frame = next(frames(camera(), timeout=TIMEOUT))
    assert frame.device_ns is None
    assert frame.device_number == 1
    assert not frame.incomplete


def test_a_camera_says_who_it_is_and_what_it_was_given(camera):
    green = camera("1", BouncingBallSize="30")
    assert green.identity.driver == "genicam"
    green.start()
    assert (green.identity.model, green.identity.serial) == ("Viky", "1")
    assert green.spec.shape == SIZE
    assert green.rate == 200
    assert green.live
    given = dict(green.given)
    image = green.read(TIMEOUT).image
    green.stop()

    assert given == {
        "PixelFormat": "Mono8",
        "Height": 800,
        "Width": 800,
        "AcquisitionFrameRate": 200.0,
        "BouncingBallSize": 30,
    }
    assert (image == 0).sum() == 30**2
    with pytest.raises(CameraStateError):
        _ = green.spec


def test_settings_of_one_start_are_not_those_of_the_next(producer, camera):
    list(islice(frames(camera(BouncingBallSize=30)), 1))
    plain = open_camera("genicam:0", CameraSettings(options={"producer": str(producer)}))
    frame = next(frames(plain, timeout=TIMEOUT))
    assert frame.image.shape == (400, 400)
    assert (frame.image == 0).sum() == 400


def test_colour_comes_as_blue_green_red(camera):
    red = camera("0", colour=True)
    red.start()
    image = red.read(TIMEOUT).image
    given = red.given["PixelFormat"]
    red.stop()
    assert given == "RGBa8"
    assert image.shape == (*SIZE, 3)
    ball = image[np.any(image != 255, axis=2)]
    assert ball[:, 2].mean() > ball[:, :2].mean() + 50  # it is red


def test_colour_is_made_grey_where_that_was_asked_for(camera):
    image = next(frames(camera(pixel_format="RGBa8"), timeout=TIMEOUT)).image
    assert image.shape == SIZE


def test_cameras_of_one_producer_run_side_by_side(camera):
    red, green = camera("0"), camera("1")
    red.start()
    green.start()
    red_id = red.read(TIMEOUT).device_number
    green_id = green.read(TIMEOUT).device_number
    red.stop()
    assert green.read(TIMEOUT).device_number > green_id
    green.stop()
    assert red_id == 1


def test_a_camera_that_another_one_has_is_not_there_twice(camera):
    first, second = camera(), camera()
    first.start()
    with pytest.raises(CameraNotFoundError, match="another program"):
        second.start()
    first.stop()
    second.start()
    second.stop()


def test_a_frame_that_does_not_come_in_time_is_a_timeout_and_comes_later(producer):
    slow = open_camera("genicam:0", CameraSettings(rate=1, options={"producer": str(producer)}))
    slow.start()
    try:
        with pytest.raises(CameraTimeoutError, match=r"within 0\.01 s"):
            slow.read(0.01)
        assert slow.read(TIMEOUT).device_number == 1
    finally:
        slow.stop()


def test_other_threads_go_on_while_a_camera_waits(producer):
    slow = open_camera("genicam:0", CameraSettings(rate=1, options={"producer": str(producer)}))
    steps, done = [], threading.Event()

    def step():
        while not done.wait(0.001):
            steps.append(1)

    slow.start()
    thread = threading.Thread(target=step)
    thread.start()
    slow.read(TIMEOUT)
    done.set()
    thread.join()
    slow.stop()
    assert len(steps) > 50  # of a second's; the library's own wait lets none of them through


def test_a_camera_that_is_unplugged_fails_and_can_be_started_again(producer):
    camera, opened = meddled_camera(producer, lambda delivery: delivery)
    camera.start()
    camera.read(TIMEOUT)
    opened[0]._device.close()  # the nearest to pulling the cable
    with pytest.raises(CaptureError):
        read_many(camera, 100)  # what had arrived before may still come
    camera.stop()

    camera.start()
    frame = camera.read(TIMEOUT)
    camera.stop()
    assert (frame.number, frame.device_number) == (0, 1)


def test_an_incomplete_buffer_is_a_frame_and_what_did_not_come_is_black(producer):
    def cut(delivery):
        half = delivery.frame_id == 3
        return replace(delivery, complete=False, filled=400 * 800) if half else delivery

    camera, _ = meddled_camera(producer, cut)
    taken = list(islice(frames(camera, timeout=TIMEOUT), 5))

    assert [frame.incomplete for frame in taken] == [False, False, True, False, False]
    assert [frame.number for frame in taken] == list(range(5))
    assert [frame.lost for frame in taken] == [0] * 5
    assert (taken[2].image[400:] == 0).all()
    assert square(taken[2].image[:400]) == square(taken[3].image) - 1


def test_ids_of_16_bits_are_counted_on(producer):
    def wrapped(delivery):
        return replace(delivery, frame_id=(delivery.frame_id + 65531) % 65535 + 1)

    camera, _ = meddled_camera(producer, wrapped, COUNTER_16_BIT)
    taken = list(islice(frames(camera, timeout=TIMEOUT), 6))

    assert [frame.device_number for frame in taken] == [65533, 65534, 65535, 1, 2, 3]
    assert [frame.number for frame in taken] == list(range(6))


def test_of_several_components_the_first_is_the_image(camera):
    both = camera(ComponentSelector="Range", ComponentEnable="yes")
    taken = list(islice(frames(both, timeout=TIMEOUT), 3))
    assert [square(frame.image) for frame in taken] == [0, 1, 2]


def test_what_is_no_image_is_not_taken_for_one(camera):
    with pytest.raises(CaptureError, match="GenDC"):
        next(frames(camera(GenDCStreamingMode="On"), timeout=TIMEOUT))


def test_a_size_that_changes_under_way_is_an_error(producer):
    camera, _ = meddled_camera(producer, lambda delivery: replace(delivery, size=(400, 400)))
    with pytest.raises(CaptureError, match="800x800"):
        next(frames(camera, timeout=TIMEOUT))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"exposre": 5}, "did you mean exposure"),
        ({"Widht": 500}, "did you mean Width"),
        ({"Width": 801}, "from 100 to 800"),
        ({"Width": "wide"}, "a whole number"),
        ({"PixelFormat": "Mono9"}, "one of RGBa8, Mono8"),
        ({"pixel_format": "Mono9"}, "cannot be read"),
        ({"pixel_format": "Mono16"}, "one of RGBa8, Mono8"),
        ({"exposure": 5}, "no exposure"),
        ({"gain": 5}, "no gain"),
        ({"trigger": "software"}, "no trigger"),
        ({"buffers": 0}, "at least one"),
        ({"settings": "absent.yaml"}, "absent.yaml"),
    ],
)
def test_what_a_camera_cannot_do_is_said_and_it_is_let_go(camera, options, says):
    with pytest.raises(SettingError, match=says):
        camera(**options).start()
    list(islice(frames(camera(), timeout=TIMEOUT), 1))


@pytest.mark.parametrize("wrong", [{"size": (900, 400)}, {"rate": 1000}])
def test_a_size_or_rate_out_of_range_is_said(producer, wrong):
    camera = open_camera("genicam:0", CameraSettings(**wrong, options={"producer": str(producer)}))
    with pytest.raises(SettingError, match="from 1"):
        camera.start()


@pytest.mark.parametrize(
    ("address", "says"), [("9", "Viky 0, Viky 1, Viky 2"), ("Viky", "say which: 0, 1, 2")]
)
def test_an_address_that_means_no_camera_is_said_with_those_that_are_there(camera, address, says):
    with pytest.raises(CameraNotFoundError, match=says):
        camera(address).start()


def test_a_camera_has_an_address():
    with pytest.raises(SourceError):
        open_camera("genicam:")


def test_producers_are_found_where_the_standard_says(producer, monkeypatch):
    monkeypatch.setenv("GENICAM_GENTL64_PATH", f"/nowhere:{producer.parent}")
    found = FINDERS.get("genicam")()
    assert [one.source for one in found] == ["genicam:0", "genicam:1", "genicam:2"]
    assert [one.identity.serial for one in found] == ["0", "1", "2"]
    assert "Machine Vision Games" in found[0].identity.model
    assert len(list(islice(frames(open_camera(found[2].source), timeout=TIMEOUT), 2))) == 2


def test_missing_producers_are_said(tmp_path, monkeypatch, camera):
    monkeypatch.delenv("GENICAM_GENTL64_PATH", raising=False)
    with pytest.raises(CameraNotFoundError, match="GENICAM_GENTL64_PATH is not set"):
        FINDERS.get("genicam")()
    with pytest.raises(CameraNotFoundError, match=r"absent\.cti"):
        camera(producer="absent.cti").start()
    broken = tmp_path / "broken.cti"
    broken.write_text("no library")
    with pytest.raises(CameraNotFoundError, match="cannot be loaded"):
        camera(producer=str(broken)).start()


def test_ctrl_c_stays_whose_it_was(camera):
    before = signal.getsignal(signal.SIGINT)
    list(islice(frames(camera(), timeout=TIMEOUT), 1))
    assert signal.getsignal(signal.SIGINT) is before
