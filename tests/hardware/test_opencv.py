"""Cameras through OpenCV and V4L2. No machine that runs these tests need have one: the kernel's answers are
played back to the code that asks for them, and a stand-in behaves as OpenCV's V4L2 back end does."""

import errno
import os
import struct
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from hardware import (
    FINDERS,
    CameraIdentity,
    CameraNotFoundError,
    CameraSettings,
    CameraTimeoutError,
    CaptureError,
    HardwareError,
    SettingError,
    SourceError,
    open_camera,
    v4l2,
)
from hardware.cameras.opencv import OpenCVCamera, OpenCVOptions
from hardware.capture import V4L2Device, find_device, find_opencv
from hardware.options import parse_options
from hardware.v4l2 import VideoDevices
from tests.hardware.film import Film

TIMEOUT = 5.0
VIDEO, META = 0x04200001, 0x04A00000  # flags of a node that gives frames, and of its twin
WEBCAM_MODES = {
    "MJPG": {(1280, 720): [(1, 30), (1, 15)], (640, 480): [(1, 30)]},
    "YUYV": {(640, 480): [(1, 30)]},
}


class Kernel:
    """Answers as the kernel would for device files that are plain files here."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, object]] = {}

    def ioctl(self, fd: int, request: int, structure: bytearray) -> None:
        device = self.devices.get(Path(f"/proc/self/fd/{fd}").readlink().name)
        if device is None:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        answer = self.answers(device, request, structure)
        if answer is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        structure[:] = answer.ljust(len(structure), b"\0")

    def answers(self, device, request, structure):
        modes = device["modes"]
        index, code, columns, rows = struct.unpack_from("=4I", structure)
        letters = v4l2.fourcc_text(code)
        match request:
            case v4l2.QUERYCAP:
                words = struct.pack(
                    "=16s32s32s", b"uvcvideo", device["name"].encode(), device["bus"].encode()
                )
                return words + struct.pack("=3I", 0x060100, 0x84A00001, device["flags"])
            case v4l2.ENUM_FMT:
                assert code == 1  # capture
                if index < len(modes):
                    return struct.pack("=3I32s4s", index, 1, 0, b"a format", list(modes)[index].encode())
            case v4l2.ENUM_FRAMESIZES:
                sizes = list(modes[letters])
                if index < len(sizes) and len(sizes[index]) == 2:
                    return struct.pack("=5I", index, code, 1, *sizes[index])
                if index == 0 and len(sizes[0]) != 2:  # a range
                    return struct.pack("=9I", index, code, 3, *sizes[0])
            case v4l2.ENUM_FRAMEINTERVALS:
                intervals = next(iter(modes[letters].values()))
                intervals = modes[letters].get((columns, rows), intervals)
                if index < len(intervals) and len(intervals[index]) == 2:
                    return struct.pack("=7I", index, code, columns, rows, 1, *intervals[index])
                if index == 0 and intervals and len(intervals[0]) != 2:
                    return struct.pack("=11I", index, code, columns, rows, 3, *intervals[0])
        return None


class Machine:
    """A /sys and a /dev with cameras in them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kernel = Kernel()
        self.devices = VideoDevices(root / "sys", root / "dev", self.kernel.ioctl)
        self.devices.sys.mkdir()
        self.devices.dev.mkdir()

    def plug_in(self, number, name, *, serial="", flags=VIDEO, modes=WEBCAM_MODES, bus="usb-0000:00:14.0-1"):
        """Add one node; the nodes of one camera share its folder."""
        usb = self.root / "usb" / f"{bus}{serial}"
        (usb / "1.0").mkdir(parents=True, exist_ok=True)
        (usb / "idVendor").write_text("046d\n")
        if serial:
            (usb / "serial").write_text(f"{serial}\n")
        entry = self.devices.sys / f"video{number}"
        entry.mkdir()
        (entry / "name").write_text(f"{name}\n")
        (entry / "device").symlink_to(usb / "1.0")
        path = self.devices.dev / f"video{number}"
        path.touch()
        self.kernel.devices[path.name] = {"name": name, "bus": bus, "flags": flags, "modes": modes}
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A webcam with its twin at 0 and 1, and another camera at 10."""
    made = Machine(tmp_path)
    made.plug_in(0, "HD Pro Webcam C920", serial="A1B2")
    made.plug_in(1, "HD Pro Webcam C920", serial="A1B2", flags=META, modes={})
    made.plug_in(10, "Microscope", bus="usb-0000:00:14.0-2", modes={"GREY": {(640, 480): [(1, 60)]}})
    return made


def test_the_requests_are_those_of_the_kernel():
    assert v4l2.QUERYCAP == 0x80685600
    assert v4l2.ENUM_FMT == 0xC0405602
    assert v4l2.ENUM_FRAMESIZES == 0xC02C564A
    assert v4l2.ENUM_FRAMEINTERVALS == 0xC034564B


def test_cameras_are_found_with_model_serial_number_and_modes_and_their_twins_are_not(machine):
    webcam, microscope = find_opencv(machine.devices)

    assert (webcam.source, microscope.source) == ("opencv:0", "opencv:10")
    assert webcam.identity == CameraIdentity("opencv", "HD Pro Webcam C920", "A1B2")
    assert microscope.identity == CameraIdentity("opencv", "Microscope", "usb-0000:00:14.0-2")
    assert webcam.modes == (
        "1280x720 MJPG 30/15 frames/s",
        "640x480 MJPG 30 frames/s",
        "640x480 YUYV 30 frames/s",
    )


def test_a_range_of_sizes_and_rates_is_given_by_the_most_of_it(machine):
    path = machine.plug_in(
        2, "Sensor", modes={"GREY": {(16, 2592, 16, 16, 1944, 2): [(1, 90, 1, 1, 1000, 90)]}}
    )
    (mode,) = machine.devices.modes(path)
    assert str(mode) == "2592x1944 GREY 90 frames/s"


def test_a_driver_that_lists_for_ever_is_not_believed(machine):
    endless = {"GREY": {(640, 480 + step): [] for step in range(1000)}}
    path = machine.plug_in(2, "Endless", modes=endless)
    assert len(machine.devices.modes(path)) < 1000


def test_a_node_that_cannot_be_asked_is_listed_without_modes(machine):
    machine.plug_in(2, "Elsewhere")
    del machine.kernel.devices["video2"]
    (found,) = [one for one in find_opencv(machine.devices) if one.source == "opencv:2"]
    assert found.identity.model == "Elsewhere"
    assert found.modes == ()


@pytest.mark.parametrize(
    ("address", "number"),
    [("0", 0), ("HD Pro Webcam C920", 0), ("hd pro webcam", 0), ("microscope", 10), ("10", 10)],
)
def test_a_camera_is_found_by_its_number_or_its_name(machine, address, number):
    device = find_device(address, machine.devices)
    assert device.identity == V4L2Device(machine.devices.nodes()[number and 2], machine.devices).identity


def test_a_camera_is_found_by_a_link_to_its_path(machine):
    link = machine.devices.dev / "by id"
    link.symlink_to("video10")
    assert find_device(str(link), machine.devices).identity.model == "Microscope"


@pytest.mark.parametrize("address", ["7", "Sony", "/dev/v4l/by-id/absent"])
def test_a_camera_that_is_not_there_is_told_with_those_that_are(machine, address):
    with pytest.raises(CameraNotFoundError, match=r"video0 \(HD Pro Webcam C920\), .*video10 \(Microscope\)"):
        find_device(address, machine.devices)


def test_a_name_that_two_cameras_have_is_told_with_their_paths(machine):
    machine.plug_in(2, "Microscope", bus="usb-0000:00:14.0-3")
    with pytest.raises(CameraNotFoundError, match=r"video2, .*video10"):
        find_device("Microscope", machine.devices)


def test_a_node_that_gives_no_frames_is_told(machine):
    with pytest.raises(CameraNotFoundError, match="gives no frames"):
        find_device("1", machine.devices)


def test_the_table_of_finders_looks_at_this_machine():
    assert isinstance(FINDERS.get("opencv")(), list)


class StandIn:
    """Behaves as OpenCV's V4L2 back end with a webcam behind it."""

    def __init__(self, modes=WEBCAM_MODES, *, controls=(), frames=10) -> None:
        self.modes = modes
        self.set_in_order: list[int] = []
        self.values = {
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*list(modes)[-1]),
            cv2.CAP_PROP_FRAME_WIDTH: 640,
            cv2.CAP_PROP_FRAME_HEIGHT: 480,
            cv2.CAP_PROP_FPS: 30.0,
            cv2.CAP_PROP_BUFFERSIZE: 4,
            cv2.CAP_PROP_CONVERT_RGB: 1,
            **dict.fromkeys(controls, 0.0),
        }
        self.left = frames
        self.clock = time.monotonic_ns
        self.stamped_ns = 0
        self.jpeg_tail = b"\0\0\0"  # as drivers pad
        self.is_released = False

    def isOpened(self):  # noqa: N802
        return not self.is_released

    def getBackendName(self):  # noqa: N802
        return "V4L2"

    def get(self, prop):
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamped_ns / 1e6
        return float(self.values.get(prop, -1))

    def set(self, prop, value):
        self.set_in_order.append(prop)
        if prop not in self.values:
            return False
        if prop == cv2.CAP_PROP_FOURCC and v4l2.fourcc_text(int(value)) not in self.modes:
            return False
        before, self.values[prop] = self.values[prop], value
        if prop == cv2.CAP_PROP_FRAME_WIDTH and self.size not in self.modes[self.fourcc]:
            self.values[prop] = before
            self.values[cv2.CAP_PROP_FRAME_HEIGHT] = 480
        if prop == cv2.CAP_PROP_FPS:  # the driver takes the nearest
            rates = [below / above for above, below in self.modes[self.fourcc][self.size]]
            self.values[prop] = min(rates, key=lambda rate: abs(rate - value))
        return True

    @property
    def fourcc(self):
        return v4l2.fourcc_text(int(self.values[cv2.CAP_PROP_FOURCC]))

    @property
    def size(self):
        return int(self.values[cv2.CAP_PROP_FRAME_WIDTH]), int(self.values[cv2.CAP_PROP_FRAME_HEIGHT])

    def grab(self):
        self.left -= 1
        self.stamped_ns = self.clock()
        return self.left >= 0

    def retrieve(self):
        grey = np.full(self.size[::-1], 100, np.uint8)
        if self.values[cv2.CAP_PROP_CONVERT_RGB]:
            return True, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        if self.fourcc == "MJPG":
            data = cv2.imencode(".jpg", grey)[1].tobytes()
            return True, np.frombuffer(self.cut(data) + self.jpeg_tail, np.uint8)[None]
        if self.fourcc == "YUYV":
            return True, np.dstack([grey, np.full_like(grey, 128)])
        return True, grey

    def cut(self, data):
        return data

    def release(self):
        self.is_released = True


class Plugged:
    """A device with a stand-in behind it."""

    def __init__(self, capture, machine: Machine | None = None) -> None:
        self.capture = capture
        self.identity = CameraIdentity("opencv", "HD Pro Webcam C920", "A1B2")
        self.plugged_in = True
        self._machine = machine

    def open(self):
        return self.capture

    def modes(self):
        return [] if self._machine is None else list(find_opencv(self._machine.devices)[0].modes)

    def is_there(self):
        return self.plugged_in


def started(device, *, options=None, **settings) -> OpenCVCamera:
    parsed = parse_options(OpenCVOptions, options or {}, "an OpenCV camera")
    camera = OpenCVCamera("opencv:0", lambda: device, CameraSettings(**settings), parsed)
    camera.start()
    return camera


def test_everything_is_asked_for_in_the_order_that_v4l2_needs():
    controls = (cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_GAIN, cv2.CAP_PROP_FOCUS)
    capture = StandIn(controls=(*controls, cv2.CAP_PROP_AUTOFOCUS))
    options = {"fourcc": "mjpg", "exposure": "12.34", "gain": 7, "focus": 30, "buffers": 8}
    camera = started(Plugged(capture), size=(720, 1280), rate=15, options=options)
    camera.stop()

    assert [prop for prop in capture.set_in_order if prop != cv2.CAP_PROP_CONVERT_RGB] == [
        cv2.CAP_PROP_FOURCC,
        cv2.CAP_PROP_FRAME_HEIGHT,
        cv2.CAP_PROP_FRAME_WIDTH,
        cv2.CAP_PROP_FPS,
        cv2.CAP_PROP_BUFFERSIZE,
        cv2.CAP_PROP_AUTO_EXPOSURE,
        cv2.CAP_PROP_EXPOSURE,
        cv2.CAP_PROP_GAIN,
        cv2.CAP_PROP_AUTOFOCUS,
        cv2.CAP_PROP_FOCUS,
    ]
    assert camera.given["exposure"] == 12.3  # V4L2 counts 0.1 ms
    assert camera.given["fourcc"] == "MJPG"
    assert camera.given["asked"] == {
        "size": (720, 1280),
        "rate": 15,
        "fourcc": "MJPG",
        "exposure": 12.34,
        "gain": 7.0,
        "focus": 30.0,
        "buffers": 8,
    }


def test_what_is_not_asked_for_is_not_set():
    capture = StandIn()
    camera = started(Plugged(capture))
    camera.stop()
    assert set(capture.set_in_order) <= {cv2.CAP_PROP_CONVERT_RGB}
    assert camera.given == {"size": (480, 640), "rate": 30.0, "fourcc": "YUYV", "asked": {}}


def test_exposure_and_focus_may_be_automatic():
    capture = StandIn(controls=(cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_AUTOFOCUS))
    camera = started(Plugged(capture), options={"exposure": "auto", "focus": "auto"})
    camera.stop()
    assert (camera.given["exposure"], camera.given["focus"]) == ("auto", "auto")
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3
    assert capture.values[cv2.CAP_PROP_AUTOFOCUS] == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"size": (720, 1280)},  # as MJPG only
        {"rate": 60.0},
        {"options": {"fourcc": "GREY"}},
    ],
    ids=["size", "rate", "fourcc"],
)
def test_what_the_camera_does_not_give_is_an_error_that_lists_what_it_can_do(machine, asked):
    capture = StandIn()
    with pytest.raises(SettingError, match="1280x720 MJPG 30/15 frames/s"):
        started(Plugged(capture, machine), **asked)
    assert capture.is_released


def test_a_control_that_the_camera_does_not_have_is_an_error():
    for name in ("exposure", "gain", "focus"):
        with pytest.raises(SettingError, match=name):
            started(Plugged(StandIn()), options={name: 5})


@pytest.mark.parametrize(
    "wrong",
    [{"fourcc": "MJPEG"}, {"exposure": 0}, {"exposure": "fast"}, {"gain": "nan"}, {"buffers": 0}, {"iso": 1}],
)
def test_an_option_that_makes_no_sense_is_told_before_the_camera_is_opened(wrong):
    with pytest.raises(SettingError):
        open_camera("opencv:0", CameraSettings(options=wrong))


@pytest.mark.parametrize("fourcc", ["MJPG", "YUYV", "GREY", "BGR3"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_frames_of_every_pixel_format_come_out_right(fourcc, colour):
    capture = StandIn({fourcc: {(640, 480): [(1, 30)]}})
    camera = started(Plugged(capture), colour=colour)
    frame = camera.read(TIMEOUT)
    camera.spec.check(frame.image)
    camera.stop()

    assert frame.image.shape == ((480, 640, 3) if colour else (480, 640))
    assert not frame.incomplete
    assert capture.values[cv2.CAP_PROP_CONVERT_RGB] == (fourcc == "BGR3")
    np.testing.assert_allclose(frame.image, 100, atol=20 if fourcc == "YUYV" and colour else 1)


def test_a_jpeg_that_is_cut_short_is_an_incomplete_frame():
    capture = StandIn({"MJPG": {(640, 480): [(1, 30)]}})
    camera = started(Plugged(capture))
    whole = camera.read(TIMEOUT)
    capture.cut = lambda data: data[: len(data) // 2]
    torn = camera.read(TIMEOUT)
    camera.stop()
    assert (whole.incomplete, torn.incomplete) == (False, True)
    camera_shape = (480, 640)
    assert torn.image.shape == camera_shape
    assert torn.number == 1


def test_the_drivers_time_is_taken_if_it_goes_by_the_monotonic_clock():
    capture = StandIn()
    camera = started(Plugged(capture))
    stamped = camera.read(TIMEOUT)
    capture.clock = time.time_ns  # some drivers do
    other = camera.read(TIMEOUT)
    capture.clock = lambda: 0  # old kernels
    none = camera.read(TIMEOUT)
    camera.stop()

    assert stamped.device_ns is not None
    assert other.device_ns is None
    assert none.device_ns is None


def test_a_camera_that_is_unplugged_is_told_as_such():
    device = Plugged(StandIn(frames=1))
    camera = started(device)
    camera.read(TIMEOUT)
    device.plugged_in = False
    with pytest.raises(CaptureError, match="unplugged"):
        camera.read(0.0)
    camera.stop()
    assert device.capture.is_released


def test_a_camera_that_gives_nothing_for_longer_than_the_timeout_is_told():
    camera = started(Plugged(StandIn(frames=0)))
    with pytest.raises(CameraTimeoutError):
        camera.read(0.0)
    with pytest.raises(CaptureError):
        camera.read(TIMEOUT)  # it did not wait as long: something else is wrong
    camera.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="devices are files on Linux only")
@pytest.mark.parametrize("address", ["/dev/video987", "987", "no camera is called so"])
def test_a_camera_that_is_not_there_is_named_and_nothing_is_printed(capfd, address):
    camera = open_camera(f"opencv:{address}")
    with pytest.raises(CameraNotFoundError, match=address):
        camera.start()
    assert capfd.readouterr() == ("", "")


def test_an_empty_address_is_an_error():
    with pytest.raises(SourceError, match="opencv:0"):
        open_camera("opencv: ")


@pytest.mark.parametrize(
    ("colour", "shape"), [(False, (48, 64)), (True, (48, 64, 3))], ids=["grey", "colour"]
)
def test_an_opencv_camera_counts_frames_and_fails_when_there_are_no_more(video, colour, shape):
    camera = started(Film(video), colour=colour)
    assert camera.live
    assert camera.spec.shape == shape
    taken = [camera.read(TIMEOUT) for _ in range(12)]
    with pytest.raises(HardwareError):
        camera.read(TIMEOUT)
    camera.stop()

    assert [frame.number for frame in taken] == list(range(12))
    assert np.all(np.diff([frame.time for frame in taken]) > 0)
    np.testing.assert_allclose([frame.image.mean() for frame in taken], np.arange(12) * 10, atol=4)


def test_an_opencv_camera_that_gives_another_size_or_rate_is_an_error(video):
    for wrong in ({"size": (480, 640)}, {"rate": 100.0}):
        with pytest.raises(SettingError):
            started(Film(video), **wrong)
