"""Times of frames from a device's own clock: right, without jumps, never backwards, whatever it does."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardware.clock import WallClock
from hardware.device_clock import DeviceClock
from hardware.envelope import Envelope

BEGAN = 1_700_000_000  # Unix time at monotonic time 0
WARM_UP_S = 60

drifts = st.floats(-200e-6, 200e-6)
offsets = st.integers(1, 10**18)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def stalls(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Times at which nothing arrives: when, and for how many seconds."""
    return draw(st.lists(st.tuples(st.floats(0, 90), st.floats(0.1, 6)), max_size=4))


def arrivals(exposed, rng, mean=5e-3, held=()):
    """Return when frames arrive: late by chance, in order, and none while the line is held."""
    arrived = exposed + rng.exponential(mean, len(exposed))
    for begin, seconds in held:
        during = (exposed >= begin) & (exposed < begin + seconds)
        arrived[during] = np.maximum(arrived[during], begin + seconds)
    return np.maximum.accumulate(arrived)


def new_clock():
    return DeviceClock(WallClock(lambda: BEGAN * 10**9, lambda: 0))


def times_of(clock, device, arrived, offset_ns=10**12):
    """Return the times that a clock gives, less `BEGAN`; all in seconds."""
    device_ns = (np.rint(np.asarray(device) * 1e9).astype(int) + offset_ns).tolist()
    arrived_ns = np.rint(np.asarray(arrived) * 1e9).astype(int).tolist()
    return np.array([clock.time_of(*pair) for pair in zip(device_ns, arrived_ns, strict=True)]) - BEGAN


@given(drift=drifts, offset=offsets, seed=seeds, held=stalls(), rate=st.sampled_from([10, 20, 50]))
@example(drift=200e-6, offset=1, seed=0, held=[(0.0, 6.0)], rate=10)
@example(drift=-200e-6, offset=1, seed=0, held=[(0.0, 6.0), (50.0, 6.0), (84.0, 6.0)], rate=50)
@settings(max_examples=60)
def test_times_are_right_within_a_millisecond_after_a_minute(drift, offset, seed, held, rate):
    exposed = np.arange(90 * rate) / rate
    arrived = arrivals(exposed, np.random.default_rng(seed), held=held)
    times = times_of(new_clock(), exposed * (1 + drift), arrived, offset)

    assert np.abs(times - exposed)[exposed >= WARM_UP_S].max() < 1e-3


@given(drift=drifts, seed=seeds, held=stalls(), mean=st.floats(0, 0.05))
@settings(max_examples=40)
def test_times_rise_from_frame_to_frame_and_are_never_later_than_the_arrival(drift, seed, held, mean):
    exposed = np.arange(900) / 10
    arrived = arrivals(exposed, np.random.default_rng(seed), mean, held) + np.arange(900) * 1e-5
    times = times_of(new_clock(), exposed * (1 + drift), arrived)

    assert (np.diff(times) > 0).all()
    assert (times <= arrived + 1e-6).all()


@given(drift=drifts, seed=seeds)
@settings(max_examples=20)
def test_a_fit_that_gets_better_moves_times_by_at_most_a_thousandth(drift, seed):
    exposed = np.arange(150 * 20) / 20
    device = exposed * (1 + drift)
    times = times_of(new_clock(), device, arrivals(exposed, np.random.default_rng(seed)))

    speed = (np.diff(times) / np.diff(device))[exposed[1:] > WARM_UP_S]
    assert np.abs(speed - 1).max() < 1e-3 + 201e-6


@given(back=st.booleans(), drift=drifts, seed=seeds, away=st.floats(0.05, 300))
@settings(max_examples=30)
def test_a_clock_that_is_set_is_fitted_anew(back, drift, seed, away):
    rng = np.random.default_rng(seed)
    before, after = np.arange(70 * 20) / 20, np.arange(90 * 20) / 20
    exposed = np.concatenate([before, before[-1] + away + after])
    shown = np.concatenate([1000 + before, (3 if back else 90_000) + after]) * (1 + drift)
    arrived = arrivals(exposed, rng) + np.arange(len(exposed)) * 1e-5
    times = times_of(new_clock(), shown, arrived)

    assert (np.diff(times) > 0).all()
    settled = exposed > before[-1] + away + WARM_UP_S
    assert np.abs(times - arrived + np.arange(len(exposed)) * 1e-5)[~settled].max() < 0.2
    assert np.abs(times - exposed)[settled].max() < 1e-3 + 0.04  # the arrivals here get later and later


@pytest.mark.parametrize("shown", [0, 12.5], ids=["at nothing", "at some time"])
def test_frames_of_a_clock_that_stands_still_have_the_times_of_arrival(shown):
    exposed = np.arange(200) / 20
    arrived = arrivals(exposed, np.random.default_rng(0)) + np.arange(200) * 1e-5
    times = times_of(new_clock(), np.full(200, float(shown)), arrived, offset_ns=0)

    np.testing.assert_allclose(times, arrived, atol=1e-6)


def test_a_clock_that_stood_still_and_goes_on_is_fitted_anew():
    exposed = np.arange(200 * 20) / 20
    shown = np.where(exposed < 80, exposed, np.where(exposed < 95, 80, exposed - 15))
    times = times_of(new_clock(), shown, arrivals(exposed, np.random.default_rng(1)))

    assert (np.diff(times) > 0).all()
    assert np.abs(times - exposed).max() < 0.06
    assert np.abs(times - exposed)[exposed > 95 + WARM_UP_S].max() < 1e-3


def test_a_device_that_slept_so_that_its_clock_is_behind_is_fitted_anew_after_some_time():
    exposed = np.concatenate([np.arange(1400) / 20, 100 + np.arange(4000) / 20])
    shown = np.concatenate([np.arange(1400), 1410 + np.arange(4000)]) / 20
    times = times_of(new_clock(), shown, arrivals(exposed, np.random.default_rng(2)))

    assert (np.diff(times) > 0).all()
    assert np.abs(times - exposed)[exposed > 100 + 2 * WARM_UP_S + 5].max() < 1e-3


def test_frames_without_a_time_among_others_have_that_of_their_arrival():
    exposed = np.arange(1400) / 20
    arrived = arrivals(exposed, np.random.default_rng(3))
    clock = new_clock()
    times = [
        clock.time_of(None if number % 7 == 0 else round(1e12 + 1e9 * at), round(1e9 * came)) - BEGAN
        for number, (at, came) in enumerate(zip(exposed, arrived, strict=True))
    ]

    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(times[::7], arrived[::7], atol=1e-4)
    assert np.abs(times - exposed)[(np.arange(1400) % 7 != 0) & (exposed > WARM_UP_S)].max() < 1e-3


def test_after_weeks_with_pauses_times_are_as_right_as_on_the_first_day():
    minute = np.arange(60 * 20) / 20
    exposed = np.concatenate([WARM_UP_S * (hours > 0) + hours * 3600 + minute for hours in range(0, 600, 25)])
    arrived = arrivals(exposed, np.random.default_rng(4))
    times = times_of(new_clock(), exposed * (1 + 150e-6), arrived)

    assert (np.diff(times) > 0).all()
    warm = (exposed % 3600 - WARM_UP_S * (exposed > 3600)) > 40
    assert np.abs(times - exposed)[warm & (exposed > 3600)].max() < 1e-3


def test_drift_is_told_in_the_direction_that_it_has():
    exposed = np.arange(100 * 20) / 20
    clock = new_clock()
    assert clock.drift is None
    times_of(clock, exposed * (1 + 80e-6), arrivals(exposed, np.random.default_rng(5)))
    assert clock.drift == pytest.approx(80e-6, abs=2e-6)


@given(
    steps=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**8)), min_size=1, max_size=100),
    slope=st.floats(-1e-4, 1e-4),
)
def test_an_envelope_is_never_above_the_newest_point(steps, slope):
    line, x = Envelope(10**15, 10**18), 10**15
    for step, above in steps:
        x += step
        y = 10**18 + round((x - 10**15) * slope) + above
        line.add(x, y)
        assert line.at(x) <= y + 1


def test_an_envelope_keeps_a_few_hundred_points_however_many_come():
    line = Envelope(0, 0)
    for second in range(5000):
        line.add(second * 10**9, second % 7)
    assert len(line._kept) <= 256


def test_a_step_of_the_systems_clock_bends_no_time_and_is_told():
    wall, monotonic = [1000 * 10**9], [5 * 10**9]
    clock = WallClock(lambda: wall[0], lambda: monotonic[0])
    wall[0] += 3 * 10**9
    monotonic[0] += 2 * 10**9

    assert clock.now() == 1002.0
    assert clock.at(6 * 10**9) == 1001.0
    assert clock.step() == 1.0


def test_the_wall_clock_of_this_machine_has_not_stepped():
    assert abs(WallClock().step()) < 10
