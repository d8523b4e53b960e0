"""Recordings that are played: with their gaps and times, at any pace, step by step, in a loop."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

import imgstore
from hardware import (
    CameraNotFoundError,
    CameraSettings,
    CameraStateError,
    CameraTimeoutError,
    Pattern,
    SettingError,
    SourceError,
    frames,
    open_camera,
    read_number,
)

SHAPE = (48, 64)
NUMBERS = [7, 8, 9, 12, 13, 20, 3, 4]  # two gaps, and a camera that counted anew
TIMES = [500.0, 500.05, 500.1, 500.25, 500.3, 500.65, 501.0, 501.05]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the pattern; an image shows the index of its frame."""
    path = tmp_path / "a store"
    pattern = Pattern(SHAPE)
    with imgstore.create(path, SHAPE, format="png", chunksize=3) as writer:
        for index, (number, moment) in enumerate(zip(NUMBERS, TIMES, strict=True)):
            writer.append(imgstore.Frame(pattern.image(index), index, number, moment))
    return path


def play(path, *, start_time=None, realtime=False, colour=False, **options):
    return open_camera(
        f"store:{path}",
        CameraSettings(start_time=start_time, realtime=realtime, colour=colour, options=options),
    )


def shown(taken):
    return [read_number(frame.image) for frame in taken]


def test_a_store_keeps_its_gaps_and_its_times(store):
    taken = list(frames(play(store)))

    assert shown(taken) == list(range(8))
    assert [frame.device_number for frame in taken] == NUMBERS
    assert [frame.number for frame in taken] == [0, 1, 2, 5, 6, 13, 14, 15]
    assert [frame.lost for frame in taken] == [0, 0, 0, 2, 0, 6, 0, 0]
    assert [frame.time for frame in taken] == TIMES


def test_a_store_is_restamped_from_another_time(store):
    taken = list(frames(play(store, start_time=2000.0)))
    np.testing.assert_allclose([frame.time for frame in taken], np.array(TIMES) + 1500)


def test_a_store_knows_its_rate_whatever_pauses_it_has(store):
    camera = play(store)
    camera.start()
    assert camera.rate == pytest.approx(20)
    assert camera.spec.shape == SHAPE
    assert not camera.live
    camera.stop()


@pytest.mark.parametrize("speed", [None, 50.0])
def test_at_a_pace_no_frame_comes_before_its_time(store, speed):
    camera = play(store, realtime=True) if speed is None else play(store, speed=speed)
    before = time.monotonic_ns()
    taken = list(frames(camera, timeout=5.0))

    assert camera.live
    assert taken[-1].number == 15
    for frame in taken:
        assert (frame.arrived_ns - before) / 1e9 >= (frame.time - TIMES[0]) / (speed or 1) - 1e-6


def test_a_reader_who_is_late_misses_frames_of_a_store_that_plays_fast(store):
    camera = play(store, speed=1e5)
    taken = list(frames(camera))

    assert taken[0].lost == taken[0].number
    assert taken[-1].number == 15
    assert sum(frame.lost + 1 for frame in taken) == 16


def test_steps_let_frames_come(store):
    camera = play(store, stepwise=True)
    camera.start()
    with pytest.raises(CameraTimeoutError):
        camera.read(0.0)
    camera.step()
    first = camera.read(0.0)
    with pytest.raises(CameraTimeoutError):
        camera.read(0.01)
    camera.step(2)
    taken = [first, camera.read(0.0), camera.read(0.0)]
    camera.stop()

    assert shown(taken) == [0, 1, 2]


def test_steps_from_another_thread_let_frames_come(store):
    camera = play(store, stepwise=True)
    camera.start()
    stepper = threading.Thread(target=lambda: [camera.step() for _ in range(8)])
    stepper.start()
    taken = [camera.read(10.0) for _ in range(8)]
    stepper.join()

    assert shown(taken) == list(range(8))
    assert camera.read(0.0) is None
    camera.stop()


def test_a_recording_in_a_loop_counts_on_and_its_times_rise(store):
    source = frames(play(store, loop=True))
    taken = [next(source) for _ in range(20)]
    source.close()

    assert shown(taken) == [*range(8), *range(8), *range(4)]
    assert [frame.number for frame in taken[7:10]] == [15, 16, 17]
    assert sum(frame.lost for frame in taken) == 8 + 8 + 2
    assert np.all(np.diff([frame.time for frame in taken]) > 0)
    assert taken[8].time == pytest.approx(TIMES[-1] + 0.05)


def test_a_loop_at_a_pace_goes_on_for_ever(store):
    source = frames(play(store, loop=True, speed=200.0), timeout=5.0)
    taken = [next(source) for _ in range(20)]
    source.close()

    assert np.all(np.diff([frame.number for frame in taken]) >= 1)
    assert taken[-1].time > TIMES[-1]


def test_a_video_is_played_in_a_loop_and_stepwise_too(video):
    settings = CameraSettings(start_time=1000.0, options={"loop": "yes", "stepwise": "yes"})
    camera = open_camera(f"video:{video}", settings)
    camera.start()
    camera.step(30)
    taken = [camera.read(0.0) for _ in range(30)]
    camera.stop()

    assert [frame.number for frame in taken] == list(range(30))
    np.testing.assert_allclose([frame.time for frame in taken], 1000 + np.arange(30) / 25)


def test_colour_is_read_as_grey_unless_it_is_asked_for(tmp_path):
    pattern = Pattern((*SHAPE, 3))
    with imgstore.create(tmp_path / "b", (*SHAPE, 3), format="png") as writer:
        writer.append(imgstore.Frame(pattern.image(5), 0, 0, 0.0))
    for colour in (False, True):
        (frame,) = frames(play(tmp_path / "b", colour=colour))
        assert frame.image.ndim == 2 + colour
        assert read_number(frame.image) == 5


def test_a_grey_store_has_no_colour_to_give(store):
    with pytest.raises(SettingError, match="shape"):
        play(store, colour=True).start()


def test_what_is_no_store_is_named_when_the_camera_starts(tmp_path):
    with pytest.raises(CameraNotFoundError, match="absent"):
        play(tmp_path / "absent").start()
    with pytest.raises(SourceError):
        open_camera("store:")


def test_a_store_that_loses_a_chunk_while_it_is_played_is_a_failure(store):
    camera = play(store)
    camera.start()
    camera.read(1.0)
    for image in store.rglob("*.png"):
        image.unlink()
    with pytest.raises(CameraNotFoundError):
        list(iter(lambda: camera.read(1.0), None))
    camera.stop()


def test_only_a_stepwise_camera_that_runs_has_steps(store):
    camera = play(store)
    with pytest.raises(CameraStateError):
        camera.step()
    camera.start()
    with pytest.raises(CameraStateError):
        camera.step()
    camera.stop()


@pytest.mark.parametrize(
    "wrong",
    [{"speed": 0}, {"speed": -1}, {"speed": 2, "stepwise": True}, {"stepwise": True, "realtime": True}],
)
def test_a_pace_that_cannot_be_is_an_error(store, wrong):
    with pytest.raises(SettingError):
        play(store, **wrong)
