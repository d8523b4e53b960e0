"""What every camera promises, and what is special to each."""

import subprocess
import sys
import time
from itertools import islice

import numpy as np
import pytest

from hardware import (
    CAMERAS,
    CameraNotFoundError,
    CameraSettings,
    CameraStateError,
    CameraTimeoutError,
    SettingError,
    SourceError,
    frames,
    open_camera,
)
from imgstore import MissingDependencyError

TIMEOUT = 5.0
CLOCK_SLACK = 0.01  # a frame that is stamped on arrival came a moment after it was exposed


def test_frames_look_as_the_spec_says(make_camera):
    camera = make_camera()
    camera.start()
    try:
        for _ in range(3):
            frame = camera.read(TIMEOUT)
            camera.spec.check(frame.image)
    finally:
        camera.stop()


def test_numbers_and_times_rise_from_frame_to_frame(make_camera):
    taken = list(islice(frames(make_camera(), timeout=TIMEOUT), 5))

    assert [frame.index for frame in taken] == list(range(len(taken)))
    assert np.all(np.diff([frame.number for frame in taken]) >= 1)
    assert np.all(np.diff([frame.time for frame in taken]) > 0)


def test_the_first_frame_has_the_time_of_the_start(make_camera):
    camera = make_camera()
    if camera.identity.driver == "store":
        pytest.skip("a store has times of its own")
    before = time.time()
    camera.start()
    after = time.time()
    first = camera.read(TIMEOUT)
    camera.stop()

    if not camera.live:  # a live one may have lost it
        assert first.number == 0
        assert before <= first.time <= after + CLOCK_SLACK
    assert first.time >= before


def test_a_source_that_waits_leaves_no_frame_out(make_camera):
    camera = make_camera()
    if camera.live:
        pytest.skip("a live source may lose frames")
    assert [frame.number for frame in islice(frames(camera), 10)] == list(range(10))


def test_an_image_is_not_overwritten_by_the_next_one(make_camera):
    camera = make_camera()
    camera.start()
    try:
        first = camera.read(TIMEOUT).image
        copy = first.copy()
        camera.read(TIMEOUT)
        np.testing.assert_array_equal(first, copy)
        first[:] = 0  # it is ours
    finally:
        camera.stop()


def test_reading_before_the_start_or_after_the_stop_is_an_error(make_camera):
    camera = make_camera()
    with pytest.raises(CameraStateError):
        camera.read(TIMEOUT)
    camera.start()
    camera.stop()
    with pytest.raises(CameraStateError):
        camera.read(TIMEOUT)


def test_starting_twice_is_an_error_and_stopping_twice_is_not(make_camera):
    camera = make_camera()
    camera.start()
    with pytest.raises(CameraStateError):
        camera.start()
    camera.stop()
    camera.stop()


def test_a_camera_can_be_started_again_and_counts_anew(make_camera):
    camera = make_camera()
    first = list(islice(frames(camera, timeout=TIMEOUT), 4))
    second = list(islice(frames(camera, timeout=TIMEOUT), 4))

    assert second[0].index == 0
    for a in first:
        for b in second:
            if a.number == b.number:
                np.testing.assert_array_equal(a.image, b.image)
    if not camera.live:
        assert [frame.number for frame in second] == [0, 1, 2, 3]


def test_frames_stops_the_camera_when_its_caller_leaves(make_camera):
    camera = make_camera()
    source = frames(camera, timeout=TIMEOUT)
    next(source)
    source.close()
    with pytest.raises(CameraStateError):
        camera.read(TIMEOUT)


@pytest.mark.parametrize("name", CAMERAS.names())
def test_every_camera_of_the_table_can_be_imported(name):
    try:
        assert callable(CAMERAS.get(name))
    except MissingDependencyError as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize(
    ("name", "library"), [("genicam", "genicam"), ("genicam", "harvesters"), ("basler", "pypylon")]
)
def test_a_camera_whose_library_is_missing_names_what_brings_it(name, library):
    program = f"import sys; sys.modules[{library!r}] = None; import hardware; hardware.CAMERAS.get({name!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "MissingDependencyError" in done.stderr
    assert f"pip install 'ethostore[{name}]'" in done.stderr


@pytest.mark.parametrize("name", ["genicam", "basler"])
def test_loading_a_camera_s_library_changes_nothing_for_others(name):
    program = (
        "import sys, warnings, hardware, imgstore; before = list(warnings.filters)\n"
        f"try: hardware.CAMERAS.get({name!r})\n"
        "except imgstore.MissingDependencyError: sys.exit()\n"
        "assert warnings.filters[: len(before)] == before, warnings.filters[:3]"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "source",
    [
        *("simulate", "", "film.mp4", "video:", "opencv:", "simulated:2", "store:"),
        "picamera:",
    ],
)
def test_a_source_that_names_no_camera_is_an_error(source):
    with pytest.raises(SourceError):
        open_camera(source)


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ("simulated", CameraSettings(colour=True)),
        ("simulated", CameraSettings(size=(10, 10))),
        ("video:film.mp4", CameraSettings(rate=10)),
        ("video:film.mp4", CameraSettings(seed=0)),
        ("opencv:0", CameraSettings(seed=1)),
        ("opencv:0", CameraSettings(start_time=0.0)),
        ("picamera:0", CameraSettings(seed=1)),
        ("picamera:0", CameraSettings(options={"exposure": 1})),
    ],
)
def test_a_setting_that_a_camera_cannot_take_is_an_error(source, settings):
    with pytest.raises(SettingError):
        open_camera(source, settings)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": float("nan")}, {"size": (0, 4)}, {"seed": -1}])
def test_settings_are_checked_when_they_are_made(wrong):
    with pytest.raises(SettingError):
        CameraSettings(**wrong)


def test_a_video_gives_its_frames_in_order_and_then_ends(video):
    taken = list(frames(open_camera(f"video:{video}", CameraSettings(start_time=1000.0))))

    assert [frame.number for frame in taken] == list(range(12))
    np.testing.assert_allclose([frame.time for frame in taken], 1000 + np.arange(12) / 25)
    np.testing.assert_allclose([frame.image.mean() for frame in taken], np.arange(12) * 10, atol=2)


def test_a_video_in_colour_has_three_channels(video):
    frame = next(frames(open_camera(f"video:{video}", CameraSettings(colour=True))))
    assert frame.image.shape == (48, 64, 3)


def test_a_file_that_is_no_video_is_named_when_the_camera_starts(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a video")
    for wrong in (path, tmp_path / "absent.mp4"):
        camera = open_camera(f"video:{wrong}")
        with pytest.raises(CameraNotFoundError, match=wrong.name):
            camera.start()


def test_a_reader_who_is_late_misses_frames_of_a_live_source():
    camera = open_camera("simulated", CameraSettings(size=(96, 128), rate=1000, realtime=True))
    source = frames(camera)
    next(source)
    time.sleep(0.05)
    assert next(source).number > 1
    source.close()


def test_a_frame_that_is_not_due_in_time_is_a_timeout():
    camera = open_camera("simulated", CameraSettings(size=(96, 128), rate=0.1, realtime=True))
    camera.start()
    try:
        assert camera.read(TIMEOUT).number == 0
        with pytest.raises(CameraTimeoutError):
            camera.read(0.01)
    finally:
        camera.stop()
