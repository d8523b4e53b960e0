"""Simulated cameras that go wrong: as they were told, the same way again, and they know what they did."""

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware import (
    FINDERS,
    CameraNotFoundError,
    CameraSettings,
    CameraStateError,
    CameraTimeoutError,
    CaptureError,
    Exposures,
    Faults,
    SettingError,
    SimulatedCamera,
    open_camera,
    read_number,
)

SIZE = (48, 64)
RATE = 20


def pattern(*, realtime=False, rate=RATE, seed=0, **faults):
    """Return a camera that films the pattern from Unix time 1000 on."""
    settings = CameraSettings(
        size=SIZE, rate=rate, realtime=realtime, start_time=1000.0, seed=seed, options=faults
    )
    return open_camera("simulated:pattern", settings)


def film(camera, count, timeout=5.0):
    """Return `count` frames, and what was pictured on them."""
    camera.start()
    try:
        taken = [camera.read(timeout) for _ in range(count)]
    finally:
        camera.stop()
    return taken, [read_number(frame.image) for frame in taken]


def test_the_pattern_shows_the_number_of_its_frame():
    taken, shown = film(pattern(), 50)

    assert shown == [frame.number for frame in taken] == list(range(50))
    np.testing.assert_allclose([frame.time for frame in taken], 1000 + np.arange(50) / RATE)


def test_the_pattern_can_be_had_in_colour_and_the_arena_not():
    camera = open_camera("simulated:pattern", CameraSettings(size=SIZE, colour=True))
    taken, shown = film(camera, 2)
    assert taken[0].image.shape == (48, 64, 3)
    assert shown == [0, 1]
    with pytest.raises(SettingError):
        SimulatedCamera(colour=True)


def test_simulated_cameras_are_found_and_what_is_found_can_be_opened():
    found = FINDERS.get("simulated")()

    assert [camera.source for camera in found] == ["simulated", "simulated:pattern"]
    assert [open_camera(camera.source).identity for camera in found] == [one.identity for one in found]


def test_a_scene_that_there_is_not_is_an_error():
    with pytest.raises(SettingError, match="pattern"):
        SimulatedCamera(scene="beach")


def test_a_pattern_has_no_flies():
    with pytest.raises(CameraStateError):
        pattern().truth(0)


def test_every_third_frame_is_dropped_and_counted():
    camera = pattern(drop_every=3)
    taken, shown = film(camera, 8)

    assert shown == [frame.number for frame in taken] == [0, 1, 3, 4, 6, 7, 9, 10]
    assert [frame.lost for frame in taken] == [0, 0, 1, 0, 1, 0, 1, 0]
    assert camera.exposures == Exposures(exposed=11, given=8, dropped=3)


def test_every_fourth_frame_is_incomplete_and_lacks_its_lower_part():
    camera = pattern(bad_every=4)
    taken, _ = film(camera, 12)

    assert [frame.number for frame in taken if frame.incomplete] == [3, 7, 11]
    assert all((frame.image[-1] == 0).all() == frame.incomplete for frame in taken)
    assert camera.exposures == Exposures(exposed=12, given=12, incomplete=3)


@given(drop=st.floats(0, 0.9), bad=st.floats(0, 1), seed=st.integers(0, 2**31))
@settings(max_examples=20)
def test_the_camera_knows_what_it_did(drop, bad, seed):
    camera = pattern(drop=drop, bad=bad, seed=seed)
    taken, _ = film(camera, 60)
    did = camera.exposures

    assert did.given == 60
    assert did.exposed == taken[-1].number + 1
    assert did.lost == did.dropped == sum(frame.lost for frame in taken)
    assert did.incomplete == sum(frame.incomplete for frame in taken)


def test_chance_is_as_likely_as_asked_and_the_same_again_for_the_same_seed():
    first, again, other = (film(pattern(drop=0.3, bad=0.2, seed=seed), 500)[0] for seed in (1, 1, 2))

    assert pytest.approx(first[-1].number, rel=0.1) == 500 / 0.7
    assert sum(frame.incomplete for frame in first) == pytest.approx(100, rel=0.3)
    assert [frame.number for frame in first] == [frame.number for frame in again]
    assert all((a.image == b.image).all() for a, b in zip(first, again, strict=True))
    assert [frame.number for frame in first] != [frame.number for frame in other]


def test_a_frozen_image_comes_again_with_new_numbers():
    camera = pattern(freeze_at=5, freeze_frames=3)
    taken, shown = film(camera, 12)

    assert [frame.number for frame in taken] == list(range(12))
    assert shown == [0, 1, 2, 3, 4, 5, 5, 5, 5, 9, 10, 11]
    assert camera.exposures.frozen == 3


def test_a_silence_is_timeouts_and_then_a_gap():
    camera = pattern(silence_at=1.0, silence_s=3.0)
    camera.start()
    numbers, timeouts = [], 0
    while len(numbers) < 25:
        try:
            numbers.append(camera.read(0.5).number)
        except CameraTimeoutError:
            timeouts += 1
    camera.stop()

    assert numbers == [*range(20), *range(80, 85)]
    assert timeouts == 6
    assert camera.exposures == Exposures(exposed=85, given=25, silent=60)


def test_a_silence_in_real_time_is_not_the_readers_fault():
    camera = pattern(realtime=True, rate=100, silence_at=0.1, silence_s=0.2)
    camera.start()
    last = 0
    while last < 35:
        try:
            last = camera.read(0.05).number
        except CameraTimeoutError:
            continue
    camera.stop()

    assert camera.exposures.silent <= 20
    assert camera.exposures.lost == camera.exposures.silent + camera.exposures.overrun


@pytest.mark.parametrize("when", [{"disconnect_frame": 10}, {"disconnect_at": 0.5}], ids=["frame", "time"])
def test_a_camera_that_is_disconnected_cannot_be_started_for_some_time_and_then_counts_anew(when):
    camera = pattern(**when, away_s=1.0)
    camera.start()
    first = [camera.read(1.0).number for _ in range(10)]
    for _ in range(2):
        with pytest.raises(CaptureError):
            camera.read(1.0)
    camera.stop()
    with pytest.raises(CameraNotFoundError):
        camera.start()
    refused = 1
    while True:
        try:
            camera.start()
        except CameraNotFoundError:
            refused += 1
            time.sleep(0.02)
        else:
            break
    second = [camera.read(1.0).number for _ in range(30)]
    camera.stop()

    assert first == list(range(10))
    assert second == list(range(30))
    assert refused > 1
    assert camera.exposures == Exposures(exposed=40, given=40, disconnects=1)


def test_a_camera_goes_as_often_as_it_was_told():
    camera = pattern(disconnect_frame=3, disconnects=2, away_s=0.0, drop_every=2)
    for _ in range(2):
        camera.start()
        assert [camera.read(1.0).number for _ in range(2)] == [0, 2]
        with pytest.raises(CaptureError):
            camera.read(1.0)
        camera.stop()
    taken, _ = film(camera, 10)

    assert taken[-1].number == 18
    assert camera.exposures.disconnects == 2


def test_a_camera_in_real_time_is_silent_until_it_goes():
    camera = pattern(realtime=True, rate=50, silence_at=0.05, silence_s=60.0, disconnect_at=0.15)
    camera.start()
    gone = False
    while not gone:
        try:
            camera.read(0.02)
        except CameraTimeoutError:
            continue
        except CaptureError:
            gone = True
    camera.stop()

    assert camera.exposures.given <= 3
    assert camera.exposures.disconnects == 1


def test_a_camera_that_hangs_gives_its_frames_after_that():
    taken, _ = film(pattern(stuck_at=0.5, stuck_s=0.05), 20, timeout=0.01 + 1 / RATE)
    assert [frame.number for frame in taken] == list(range(20))


@pytest.mark.parametrize("realtime", [False, True])
def test_a_count_of_16_bits_that_begins_near_its_end_wraps_to_1(realtime):
    camera = pattern(
        realtime=realtime, rate=200, counter_bits=16, counter_first=1, counter_start=65530, drop_every=4
    )
    taken, shown = film(camera, 20)

    assert {0}.isdisjoint(frame.device_number for frame in taken)
    assert [frame.device_number for frame in taken] == [(65529 + n) % 65535 + 1 for n in shown]
    assert [frame.number for frame in taken] == [n - shown[0] for n in shown]


def test_a_count_that_stands_still_is_no_loss():
    taken, shown = film(pattern(counter_stuck_at=5, counter_first=1), 10)

    assert [frame.device_number for frame in taken] == [1, 2, 3, 4, 5, 6, 6, 6, 6, 6]
    assert [frame.number for frame in taken] == shown == list(range(10))


@given(
    drift=st.floats(-200, 200), offset=st.floats(0.001, 1e6), seed=st.integers(0, 99), drop=st.floats(0, 0.5)
)
@settings(max_examples=6)
def test_times_of_a_drifting_clock_and_late_frames_are_found_out(drift, offset, seed, drop):
    camera = pattern(drift=drift, offset=offset, jitter=0.005, drop=drop, seed=seed)
    taken, shown = film(camera, 1600)
    true = 1000 + np.array(shown) / RATE
    times = np.array([frame.time for frame in taken])

    assert (np.diff(times) > 0).all()
    assert np.abs(times - true)[true > 1060].max() < 1e-3
    late = [frame.arrived_ns - taken[0].arrived_ns for frame in taken] - (true - true[0]) * 1e9
    assert np.mean(late - late.min()) == pytest.approx(5e6, rel=0.3)
    first, last = taken[0], taken[-1]
    device_s = (last.device_ns - first.device_ns) / 1e9
    assert device_s == pytest.approx((shown[-1] - shown[0]) / RATE * (1 + drift * 1e-6), abs=1e-6)


def test_frames_of_a_clock_that_gets_stuck_have_the_times_of_arrival():
    taken, shown = film(pattern(clock_stuck_at=1.0, offset=5.0), 100)
    np.testing.assert_allclose([frame.time for frame in taken], 1000 + np.array(shown) / RATE, atol=1e-3)
    assert len({frame.device_ns for frame in taken}) == 21


def test_jitter_in_real_time_delays_frames_and_loses_none():
    camera = pattern(realtime=True, rate=100, jitter=0.02)
    taken, _ = film(camera, 30)
    did = camera.exposures

    assert did.exposed == did.given + did.overrun
    assert all(a.arrived_ns < b.arrived_ns for a, b in pairwise(taken))


def test_faults_are_told_with_the_settings_that_the_camera_has():
    assert pattern(drop=0.5).given == {"size": SIZE, "rate": RATE, "drop": 0.5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"drop": 1.0},
        {"drop": -0.1},
        {"drop": float("nan")},
        {"drop_every": 1},
        {"bad": 2},
        {"jitter": -1},
        {"counter_bits": 1},
        {"drp": 0.1},
        {"drop": "often"},
    ],
    ids=str,
)
def test_a_fault_that_cannot_be_is_an_error(wrong):
    with pytest.raises(SettingError):
        pattern(**wrong)


def test_faults_are_given_as_words_too():
    assert pattern(drop_every="3").given["drop_every"] == 3
    assert Faults(drop_every=3).asked == {"drop_every": 3}
