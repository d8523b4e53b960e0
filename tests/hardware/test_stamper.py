"""Numbers of frames from a device's own count: every loss told, whatever the count does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.stamper import COUNTER_16_BIT, Counter, Stamper

IMAGE = np.zeros((4, 6), np.uint8)
PERIOD_NS = 50_000_000

counters = st.sampled_from(
    [Counter(), Counter(1), COUNTER_16_BIT, Counter(0, 65535), Counter(0, 255), Counter(1, 2**32 - 1)]
)


def stamp_all(stamper, numbers, arrived_ns, device_ns=None):
    """Return the frames of a device that says these numbers."""
    shown = device_ns or [None] * len(numbers)
    return [
        stamper.stamp(IMAGE, at, device_number=number, device_ns=ns)
        for number, at, ns in zip(numbers, arrived_ns, shown, strict=True)
    ]


@given(
    counter=counters,
    start=st.integers(0, 70_000),
    lost=st.lists(st.integers(0, 100), min_size=1, max_size=300),
    late=st.lists(st.floats(0, 0.5), min_size=1, max_size=20),
)
@settings(max_examples=100)
def test_numbers_are_those_of_the_exposures_less_the_first(counter, start, lost, late):
    exposures = np.cumsum([0, *(n + 1 for n in lost)]).tolist()
    arrived = [round((n + 10 * late[n % len(late)]) * PERIOD_NS) for n in exposures]
    arrived = np.maximum.accumulate(arrived).tolist()
    frames = stamp_all(Stamper(counter), [counter.number(start + n) for n in exposures], arrived)

    assert [frame.number for frame in frames] == exposures
    assert [frame.lost for frame in frames] == [0, *lost]
    assert [frame.index for frame in frames] == list(range(len(exposures)))
    assert np.all(np.diff([frame.time for frame in frames]) > 0)


def test_a_count_of_16_bits_goes_from_65535_to_1():
    said = [65534, 65535, 1, 2, 5]
    frames = stamp_all(Stamper(COUNTER_16_BIT), said, range(0, 5 * PERIOD_NS, PERIOD_NS))

    assert [frame.number for frame in frames] == [0, 1, 2, 3, 6]
    assert [frame.device_number for frame in frames] == said


@pytest.mark.parametrize("counter", [Counter(), Counter(1), COUNTER_16_BIT], ids=["0", "1", "16 bit"])
@given(before=st.integers(20, 60_000), away=st.floats(0.05, 60), again=st.integers(0, 3))
@settings(max_examples=30)
def test_a_device_that_counts_anew_is_counted_on(counter, before, away, again):
    said = [*range(before, before + 20), *range(counter.first + again, counter.first + again + 20)]
    moments = np.arange(40) * PERIOD_NS
    moments[20:] += round(away * 1e9)
    frames = stamp_all(Stamper(counter), said, moments.tolist())

    possible = 2 * (away * 1e9 / PERIOD_NS) + 40
    assert frames[20].lost <= possible  # of a count that wraps, fewer cannot be told from a loss
    assert sum(frame.lost for frame in frames) == frames[20].lost
    assert frames[20].lost == 0 or counter is COUNTER_16_BIT


def test_a_count_that_wraps_begins_anew_if_the_device_was_switched_off():
    said = [*range(65500, 65520), *range(1, 21)]
    shown = [
        *range(10**12, 10**12 + 20 * PERIOD_NS, PERIOD_NS),
        *range(10**9, 10**9 + 20 * PERIOD_NS, PERIOD_NS),
    ]
    moments = [n * PERIOD_NS + (n >= 20) * 10**10 for n in range(40)]
    frames = stamp_all(Stamper(COUNTER_16_BIT), said, moments, shown)

    assert [frame.number for frame in frames] == list(range(40))


def test_more_than_half_of_a_short_count_can_be_lost():
    counter = Counter(0, 255)
    said = [*range(20), 220]
    moments = [*range(0, 20 * PERIOD_NS, PERIOD_NS), 220 * PERIOD_NS]

    assert stamp_all(Stamper(counter), said, moments)[-1].lost == 200


def test_a_burst_after_a_stall_in_which_frames_were_lost_is_no_new_count():
    said = [*range(1, 101), 101, 102, 103, 104, 400, 401]
    moments = [*(n * PERIOD_NS for n in range(100)), *(400 * PERIOD_NS + n for n in range(6))]
    frames = stamp_all(Stamper(COUNTER_16_BIT), said, moments)

    assert frames[-1].number == 400
    assert [frame.lost for frame in frames[-3:]] == [0, 295, 0]


def test_a_camera_that_is_triggered_faster_than_before_has_its_losses_told():
    said = [*range(20_000, 20_100), *range(20_140, 20_160)]
    moments = [*(n * 10**9 for n in range(100)), *(100 * 10**9 + n * 10**7 for n in range(20))]
    frames = stamp_all(Stamper(COUNTER_16_BIT), said, moments)

    assert sum(frame.lost for frame in frames) == 40


def test_a_camera_that_begins_anew_with_a_high_number_is_counted_on():
    said = [*range(100, 200), *range(65401, 65421)]
    moments = [n * PERIOD_NS for n in range(120)]
    frames = stamp_all(Stamper(COUNTER_16_BIT), said, moments)

    assert [frame.number for frame in frames] == list(range(120))


def test_a_number_that_comes_twice_is_two_frames_and_what_follows_is_counted_from_it():
    frames = stamp_all(Stamper(), [5, 6, 6, 7, 9], range(0, 5 * PERIOD_NS, PERIOD_NS))

    assert [frame.number for frame in frames] == [0, 1, 2, 3, 5]
    assert [frame.lost for frame in frames] == [0, 0, 0, 0, 1]


def test_frames_without_a_number_are_counted():
    frames = stamp_all(Stamper(), [5, None, None, 8, None, 11], range(0, 6 * PERIOD_NS, PERIOD_NS))

    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4, 6]
    assert [frame.lost for frame in frames] == [0, 0, 0, 0, 0, 1]


def test_what_the_device_said_is_kept_as_it_was():
    frame = Stamper().stamp(IMAGE, 123_456_789, device_number=17, device_ns=5_000, incomplete=True)

    assert (frame.arrived_ns, frame.device_number, frame.device_ns) == (123_456_789, 17, 5_000)
    assert frame.incomplete
