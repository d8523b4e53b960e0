"""Basler's cameras, on pylon's emulator, which films our pictures and fails when it is told to."""

from itertools import islice

import cv2
import numpy as np
import pytest

from hardware import (
    FINDERS,
    CameraNotFoundError,
    CameraSettings,
    CameraTimeoutError,
    CaptureError,
    SettingError,
    SourceError,
    frames,
    open_camera,
)
from hardware.node_file import compare_nodes, dump_nodes, load_nodes
from hardware.nodes import get_node, write_node

TIMEOUT = 5.0
SIZE = (96, 128)
PICTURES = 6


@pytest.fixture(autouse=True)
def emulator(basler_emulator):
    """Every test here has the emulator."""


@pytest.fixture
def pictures(tmp_path):
    """A folder of six pictures, each as bright as twenty times its number and a bit."""
    for number in range(PICTURES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full(SIZE, 20 * number + 7, np.uint8))
    return tmp_path


def make(*, colour=False, rate=100.0, address="0", **options):
    """Return an emulated camera of 128x96 pixels."""
    return open_camera(
        f"basler:{address}", CameraSettings(size=SIZE, rate=rate, colour=colour, options=options)
    )


def test_our_pictures_come_in_order_and_none_is_lost(pictures):
    camera = make(
        TestImageSelector="Off",
        ImageFilename=str(pictures),
        ImageFileMode="On",
    )
    taken = list(islice(frames(camera, timeout=TIMEOUT), 3 * PICTURES))

    expected = [20 * (number % PICTURES) + 7 for number in range(3 * PICTURES)]
    assert [int(frame.image[50, 60]) for frame in taken] == expected
    assert all(np.ptp(frame.image) == 0 for frame in taken)
    assert [frame.number for frame in taken] == list(range(3 * PICTURES))
    assert [frame.device_number for frame in taken] == list(range(3 * PICTURES))
    assert not any(frame.lost or frame.incomplete for frame in taken)


def test_three_failed_buffers_are_three_incomplete_frames():
    camera = make(ForceFailedBufferCount=3, ForceFailedBuffer="yes")
    taken = list(islice(frames(camera, timeout=TIMEOUT), 12))

    assert sum(frame.incomplete for frame in taken) == 3
    assert [frame.number for frame in taken] == list(range(12))
    assert sum(frame.lost for frame in taken) == 0
    broken = next(frame for frame in taken if frame.incomplete)
    whole = next(frame for frame in taken if not frame.incomplete)
    assert broken.image.shape == whole.image.shape == SIZE
    assert (broken.image[SIZE[0] // 2 :] == 0).all()  # only the beginning came


def test_what_the_emulator_does_not_stamp_has_no_time_of_its_own():
    assert next(frames(make(), timeout=TIMEOUT)).device_ns is None


def test_a_camera_says_who_it_is_and_what_it_was_given():
    camera = make(exposure=2.5, gain=3)
    camera.start()
    given, identity, rate = dict(camera.given), camera.identity, camera.rate
    camera.stop()
    assert (identity.driver, identity.model, identity.serial) == ("basler", "Emulation", "0815-0000")
    assert rate == 100
    assert given["ExposureTime"] == 2500
    assert given["Gain"] == pytest.approx(3, rel=0.05)
    assert given["PixelFormat"] == "Mono8"
    assert given["TriggerMode"] == "Off"


def test_a_software_trigger_gives_one_frame_for_each_read():
    camera = make(trigger="software")
    camera.start()
    taken = [camera.read(TIMEOUT) for _ in range(5)]
    rate = camera.rate
    camera.stop()
    assert [frame.device_number for frame in taken] == list(range(5))
    assert rate is None


def test_a_trigger_that_does_not_come_is_a_timeout():
    camera = make(trigger="Line1")
    camera.start()
    with pytest.raises(CameraTimeoutError):
        camera.read(0.05)
    given = dict(camera.given)
    camera.stop()
    assert (given["TriggerMode"], given["TriggerSource"]) == ("On", "Line1")


@pytest.mark.parametrize(
    ("pixel_format", "colour", "dtype", "shape"),
    [
        ("Mono12", False, np.uint16, SIZE),
        ("BayerRG12", True, np.uint16, (*SIZE, 3)),
        ("RGB8Packed", True, np.uint8, (*SIZE, 3)),
        (None, True, np.uint8, (*SIZE, 3)),
        ("BayerBG8", False, np.uint8, SIZE),
    ],
)
def test_pixel_formats_become_images(pixel_format, colour, dtype, shape):
    options = {"pixel_format": pixel_format} if pixel_format else {}
    camera = make(colour=colour, **options)
    camera.start()
    frame = camera.read(TIMEOUT)
    camera.spec.check(frame.image)
    camera.stop()
    assert (frame.image.shape, frame.image.dtype) == (shape, dtype)


def test_a_dump_loads_and_brings_back_what_was_changed():
    with make().open_nodes() as nodes:
        file = dump_nodes(nodes)
        write_node(get_node(nodes, "Width"), 640)
        write_node(get_node(nodes, "OffsetX"), 64)
        write_node(get_node(nodes, "TriggerSelector"), "FrameEnd")
        write_node(get_node(nodes, "TriggerMode"), "On")
        assert {str(fault.entry) for fault in compare_nodes(nodes, file)} == {
            "Width",
            "OffsetX",
            "TriggerMode[TriggerSelector=FrameEnd]",
        }
        assert load_nodes(nodes, file).faults == []
        assert compare_nodes(nodes, file) == []
        assert get_node(nodes, "TriggerSelector").read() == "FrameEnd"  # as it was left


def test_a_camera_that_stops_under_way_fails_and_can_be_started_again():
    camera = make()
    camera.start()
    camera.read(TIMEOUT)
    camera._device._camera.StopGrabbing()  # what pylon does when a camera is unplugged
    with pytest.raises(CaptureError, match="start it again"):
        camera.read(0.2)
    camera.stop()
    assert next(frames(camera, timeout=TIMEOUT)).number == 0


def test_cameras_are_found_with_their_serial_numbers():
    found = FINDERS.get("basler")()
    assert [one.source for one in found] == ["basler:0815-0000", "basler:0815-0001"]
    frame = next(frames(make(address="0815-0001"), timeout=TIMEOUT))
    assert frame.image.shape == SIZE


def test_what_cannot_be_is_said():
    with pytest.raises(CameraNotFoundError, match="Emulation 0815-0000, Emulation 0815-0001"):
        make(address="77").start()
    with pytest.raises(SettingError, match="did you mean gain"):
        make(gian=3)
    with pytest.raises(SettingError, match="AcquisitionFrameRate is from"):
        make(rate=1e7).start()
    with pytest.raises(SourceError):
        open_camera("basler:")
