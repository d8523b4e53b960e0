"""Cameras on the network, against servers on this machine that send pictures which show their own number."""

import re
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgstore
from hardware import (
    CameraNotFoundError,
    CameraSettings,
    CameraTimeoutError,
    CaptureError,
    SettingError,
    SourceError,
    open_camera,
    without_secrets,
)
from hardware.network import StreamAddress, unturned
from tests.hardware.stream_server import RATE, SHAPE, number_of

pytestmark = pytest.mark.slow

TIMEOUT = 10.0
PATIENT = {"open_s": 30, "silence_s": 30}  # on a machine with other things to do

StartServer = Callable[..., int]


def camera_of(source: str, *, colour: bool = False, **options):
    return open_camera(source, CameraSettings(colour=colour, options={**PATIENT, **options}))


def read(camera, count: int) -> list:
    return [camera.read(TIMEOUT) for _ in range(count)]


def read_to_the_end(camera, *, match: str = "") -> list:
    """Read until the stream fails, as all do in the end."""
    taken = []
    try:
        while True:
            taken.append(camera.read(TIMEOUT))
    except CaptureError as exc:
        assert match in str(exc)  # noqa: PT017  # what was read before is needed
    return taken


@pytest.fixture
def connected():
    """Start a camera and stop it after the test."""
    cameras = []

    def connect(source: str, **settings):
        camera = camera_of(source, **settings)
        camera.start()
        cameras.append(camera)
        return camera

    yield connect
    for camera in cameras:
        camera.stop()


every_kind = pytest.mark.parametrize(
    ("kind", "scheme"),
    [("mjpeg", "http"), ("mpegts", "tcp"), ("rtsp", "rtsp")],
    ids=["mjpeg", "mpegts", "rtsp"],
)


def check_pictures(frames) -> None:
    """Every picture shows the number that its frame has."""
    assert [number_of(frame.image) for frame in frames] == [frame.number % 256 for frame in frames]


@every_kind
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_a_stream_gives_all_its_pictures_in_order(start_server, connected, kind, scheme, colour):
    camera = connected(f"stream:{scheme}://127.0.0.1:{start_server(kind)}/", colour=colour, buffer_s=30)
    frames = read(camera, 25)

    assert camera.spec.shape == (SHAPE if not colour else (*SHAPE, 3))
    assert [frame.number for frame in frames] == list(range(25))
    assert [frame.index for frame in frames] == list(range(25))
    assert not any(frame.lost or frame.incomplete for frame in frames)
    check_pictures(frames)
    assert np.all(np.diff([frame.arrived_ns for frame in frames]) > 0)


def test_a_stream_by_udp_is_joined_where_it_is(start_server, connected):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start_server("udp", port=port)
    camera = connected(f"stream:udp://127.0.0.1:{port}")
    whole = [frame for frame in read(camera, 20) if not frame.incomplete]

    steps = np.diff([number_of(frame.image) for frame in whole]) % 256
    assert np.all((steps >= 1) & (steps < 128))  # it may lose some
    assert all(frame.device_ns is not None for frame in whole)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_stream_of_another_rtsp_server_gives_its_pictures(start_rtsp_server, connected, transport):
    camera = connected(
        f"stream:rtsp://127.0.0.1:{start_rtsp_server()}/camera", transport=transport, buffer_s=30
    )
    frames = read_to_the_end(camera)

    assert (camera.given["container"], camera.given["codec"], camera.rate) == ("rtsp", "h264", RATE)
    assert len(frames) > RATE
    check_pictures(frames)


@pytest.mark.parametrize(("kind", "scheme"), [("mpegts", "tcp"), ("rtsp", "rtsp")])
def test_the_senders_time_is_told_where_it_is_in_the_stream(start_server, connected, kind, scheme):
    camera = connected(f"stream:{scheme}://127.0.0.1:{start_server(kind)}/", buffer_s=30)
    frames = read(camera, 20)[1:]  # FFmpeg knows that of RTSP's first picture only later
    np.testing.assert_allclose(np.diff([frame.device_ns for frame in frames]), 1e9 / RATE, atol=1e5)
    assert camera.rate == RATE


def test_mjpeg_by_http_has_no_time_of_the_senders(start_server, connected):
    camera = connected(f"stream:http://127.0.0.1:{start_server('mjpeg')}")
    assert [frame.device_ns for frame in read(camera, 3)] == [None] * 3
    assert camera.rate is None


@pytest.mark.parametrize("scheme", ["tcp", "http", "rtsp"])
def test_a_server_that_accepts_and_says_nothing_is_given_up(start_server, scheme):
    camera = camera_of(f"stream:{scheme}://127.0.0.1:{start_server('mute')}/", open_s=0.3)
    with pytest.raises(CameraNotFoundError, match="said nothing"):
        camera.start()


def test_a_server_that_is_not_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(CameraNotFoundError, match=str(port)):
        camera_of(f"stream:tcp://127.0.0.1:{port}").start()


@every_kind
def test_a_stream_that_falls_silent_has_failed(start_server, connected, kind, scheme):
    port = start_server(kind, "--silent-after", 12)
    camera = connected(f"stream:{scheme}://127.0.0.1:{port}", silence_s=0.5)
    frames = read_to_the_end(camera, match="sent no video")
    assert len(frames) in (12, 13)  # a picture may be known to be whole only when the next begins


def test_a_picture_that_does_not_come_in_time_is_a_timeout(start_server, connected):
    camera = connected(f"stream:http://127.0.0.1:{start_server('mjpeg', '--silent-after', 9)}", silence_s=2)
    read(camera, 10)
    with pytest.raises(CameraTimeoutError):
        camera.read(0.01)


def test_a_stream_that_ends_has_failed_and_can_be_started_again(start_server, connected):
    camera = connected(f"stream:http://127.0.0.1:{start_server('mjpeg', '--frames', 8)}", buffer_s=30)
    assert len(read_to_the_end(camera)) == 8
    with pytest.raises(CaptureError):
        camera.read(TIMEOUT)
    camera.stop()
    camera.start()
    assert [frame.number for frame in read_to_the_end(camera)] == list(range(8))


@every_kind
def test_a_server_that_is_killed_and_comes_back_is_connected_to_again(start_server, connected, kind, scheme):
    port = start_server(kind)
    camera = connected(f"stream:{scheme}://127.0.0.1:{port}", buffer_s=30)
    read(camera, 5)
    start_server.kill(port)
    read_to_the_end(camera)
    camera.stop()
    with pytest.raises(CameraNotFoundError):
        camera.start()
    start_server(kind, port=port)
    camera.start()
    frames = read(camera, 5)
    assert [frame.number for frame in frames] == list(range(5))
    check_pictures(frames)


def test_a_jpeg_that_is_cut_short_is_an_incomplete_frame(start_server, connected):
    camera = connected(f"stream:http://127.0.0.1:{start_server('mjpeg', '--damage-at', 5)}", buffer_s=30)
    frames = read(camera, 10)
    assert [frame.number for frame in frames if frame.incomplete] == [5]
    assert [frame.number for frame in frames] == list(range(10))
    check_pictures([frame for frame in frames if not frame.incomplete])


def test_all_that_builds_on_a_damaged_picture_is_incomplete_until_the_next_keyframe(start_server, connected):
    camera = connected(f"stream:tcp://127.0.0.1:{start_server('mpegts', '--damage-at', 13)}", buffer_s=30)
    frames = read(camera, 25)
    assert [frame.number for frame in frames if frame.incomplete] == list(range(13, 20))
    check_pictures([frame for frame in frames if not frame.incomplete])
    camera.spec.check(frames[13].image)


@every_kind
def test_a_stream_that_changes_its_size_has_failed(start_server, connected, kind, scheme):
    port = start_server(kind, "--resize-at", 10)
    camera = connected(f"stream:{scheme}://127.0.0.1:{port}", buffer_s=30)
    read(camera, 10)
    with pytest.raises(CaptureError, match="128x96 to 256x192"):
        camera.read(TIMEOUT)


def test_a_late_reader_gets_the_newest_and_is_told_how_many_it_missed(start_server, connected):
    camera = connected(f"stream:http://127.0.0.1:{start_server('mjpeg')}", buffer_s=0)
    before = camera.read(TIMEOUT)
    time.sleep(0.5)
    after = camera.read(TIMEOUT)

    assert after.lost == after.number - before.number - 1 > 0
    assert after.index == before.index + 1
    assert after.device_number is None
    assert number_of(after.image) - number_of(before.image) == after.number - before.number


def test_a_reader_within_the_buffers_time_loses_nothing(start_server, connected):
    camera = connected(f"stream:http://127.0.0.1:{start_server('mjpeg')}", buffer_s=60)
    read(camera, 1)
    time.sleep(0.3)
    assert not any(frame.lost for frame in read(camera, 20))


def test_a_playlist_is_not_followed(start_server):
    camera = camera_of(f"stream:http://127.0.0.1:{start_server('mjpeg', '--playlist')}/live.m3u8")
    with pytest.raises(CameraNotFoundError):
        camera.start()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "camera.local",
        "file:///etc/hostname",
        "concat:a|b",
        "rtsp://",
        "http://cam/a b",
        "http://cam/\r\nHost: x",
        "subfile,,start,0,end,9,,:http://cam",
    ],
)
def test_what_is_no_url_of_a_stream_is_an_error(url):
    with pytest.raises(SourceError, match="rtsp://"):
        open_camera(f"stream:{url}")


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("http://cam/", CameraSettings(options={"transport": "udp"})),
        ("rtsp://cam/", CameraSettings(options={"transport": "sctp"})),
        ("rtsp://cam/", CameraSettings(options={"buffer_s": -1})),
        ("rtsp://cam/", CameraSettings(options={"silence_s": "nan"})),
        ("rtsp://cam/", CameraSettings(rate=10)),
    ],
)
def test_a_setting_that_a_stream_cannot_take_is_an_error(url, settings):
    with pytest.raises(SettingError):
        open_camera(f"stream:{url}", settings)


SECRET = "hunter2"  # noqa: S105


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1:PORT/live",
        f"http://127.0.0.1:PORT/video.cgi?user=admin&pwd={SECRET}",
        f"http://127.0.0.1:PORT/user=admin_password={SECRET}_channel=1.sdp",
    ],
)
def test_a_password_is_shown_nowhere(start_server, connected, capfd, url):
    refused = start_server("mjpeg", "--unauthorized")
    camera = camera_of("stream:" + url.replace("PORT", str(refused)))
    with pytest.raises(CameraNotFoundError, match="401") as caught:
        camera.start()
    shown = ["".join(traceback.format_exception(caught.value)), repr(camera.identity), repr(vars(camera))]

    given = connected("stream:" + url.replace("PORT", str(start_server("mjpeg", "--frames", 20))), buffer_s=9)
    with pytest.raises(CaptureError) as ended:
        read(given, 21)
    shown += ["".join(traceback.format_exception(ended.value)), repr(given.given), repr(given.identity)]

    for source in (f"stream:{url}", f"streem:{url}", url):
        with pytest.raises((SourceError, CameraNotFoundError)) as caught:
            open_camera(source.replace("PORT", "1")).start()
        shown.append("".join(traceback.format_exception(caught.value, chain=True)))

    assert not [text for text in shown if SECRET in text]
    assert capfd.readouterr() == ("", "")


def test_a_recordings_metadata_holds_no_password(start_server, tmp_path):
    port = start_server("mjpeg")
    store = tmp_path / "net.store"
    source = f"stream:http://user:{SECRET}@127.0.0.1:{port}/live?token={SECRET}"
    command = [sys.executable, "-c", "from tools.cli import main; main()"]
    ran = subprocess.run(
        [*command, "record", source, str(store), "--frames", "5"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    with imgstore.open(store) as reader:
        assert len(reader) == 5
    text = (store / "metadata.yaml").read_text()
    assert f"stream:http://127.0.0.1:{port}/live" in text
    assert SECRET not in text + ran.stdout + ran.stderr


@given(st.text(min_size=1), st.sampled_from(["rtsp://u:{}@h/p", "http://h/p?k={}", "http://h/k={}"]))
def test_whatever_a_password_holds_it_is_left_out(password, url):
    shown = without_secrets("stream:" + url.format(password))
    scheme, _, rest = shown.partition("://")
    assert scheme in ("stream:rtsp", "stream:http")
    if url.startswith("rtsp"):
        assert rest in ("h/p", "...")
    else:
        marks = re.split(r"[/&;]", password.partition("@")[0])
        assert rest in ("...", "h/p") or rest.startswith("h/k=...") or "@" in password or len(marks) > 1


@pytest.mark.parametrize("source", ["simulated", "video:/data/a=1/b@2.mp4", "opencv:/dev/video0"])
def test_what_holds_no_url_is_shown_as_it_is(source):
    assert without_secrets(source) == source


def test_an_address_does_not_show_its_password():
    address = StreamAddress(f"rtsp://user:{SECRET}@camera/live")
    assert SECRET not in repr(address) + str(address)


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(0, 10**6))
def test_a_clock_that_begins_again_is_counted_on(steps, start):
    turn = 4096
    truth = start + np.cumsum(steps)
    counted, before = [], None
    for now in truth:
        before = unturned(before, int(now) % turn, turn)
        counted.append(before)
    np.testing.assert_array_equal(np.diff(counted), np.diff(truth))
