"""When a rig records, nights in which the clocks are set included."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hardware import DailyWindow, Limits, Schedule, SettingError, Window, next_window
from hardware.rig.schedule import next_time_of_day, unix_time

BERLIN, NEW_YORK, LORD_HOWE = map(ZoneInfo, ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))

NIGHTS = {  # of 2026 and 2027 in which clocks are set: forward, back
    BERLIN: ("2026-03-29", "2026-10-25"),
    NEW_YORK: ("2026-03-08", "2026-11-01"),
    LORD_HOWE: ("2026-10-04", "2027-04-04"),  # by half an hour
}
SET = [(zone, datetime.fromisoformat(night)) for zone, nights in NIGHTS.items() for night in nights]

times_of_day = st.one_of(
    st.times(max_value=time(4, 59)).map(lambda one: one.replace(microsecond=0)),  # when clocks are set
    st.times().map(lambda one: one.replace(microsecond=0)),
)
moments = st.builds(
    lambda case, minutes: (case[0], case[1].replace(tzinfo=case[0]).timestamp() + 60 * minutes),
    st.sampled_from(SET),
    st.integers(-3 * 1440, 3 * 1440),
)


def local(moment: float, zone: ZoneInfo) -> datetime:
    """Return what a clock on the wall shows."""
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    """Return whether a clock on the wall ever shows this."""
    there = wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there.replace(tzinfo=None, fold=0) == wall


def utc(text: str) -> float:
    """Return a Unix time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def daily(begin: str, end: str) -> Schedule:
    """Return the schedule of a window of every day."""
    return Schedule(daily=DailyWindow(time.fromisoformat(begin), time.fromisoformat(end)))


def test_with_nothing_said_recording_begins_now_and_does_not_end():
    assert next_window(Schedule(), 1000.0, BERLIN) == Window(1000.0, None)


def test_a_start_is_local_unless_it_names_a_zone():
    schedule = Schedule(start=datetime(2026, 7, 1, 20, 0))  # noqa: DTZ001  # local
    assert next_window(schedule, 0.0, BERLIN) == Window(utc("2026-07-01T18:00"), None)
    schedule = Schedule(start=datetime(2026, 7, 1, 20, 0, tzinfo=NEW_YORK))
    assert next_window(schedule, 0.0, BERLIN) == Window(utc("2026-07-02T00:00"), None)


def test_a_night_is_one_window():
    schedule = daily("20:00", "08:00")
    night = Window(utc("2026-07-01T18:00"), utc("2026-07-02T06:00"))
    for now in ("2026-07-01T10:00", "2026-07-01T18:00", "2026-07-01T23:00", "2026-07-02T05:59:59"):
        assert next_window(schedule, utc(now), BERLIN) == night
    assert next_window(schedule, utc("2026-07-02T06:00"), BERLIN).start == utc("2026-07-02T18:00")


def test_windows_before_the_start_are_left_out_and_the_first_is_cut():
    schedule = Schedule(start=datetime(2026, 7, 4, 23, 0, tzinfo=UTC), daily=daily("20:00", "08:00").daily)
    first = next_window(schedule, utc("2026-07-01T10:00"), BERLIN)
    assert first == Window(utc("2026-07-04T23:00"), utc("2026-07-05T06:00"))
    assert next_window(schedule, first.stop, BERLIN).start == utc("2026-07-05T18:00")


@pytest.mark.parametrize(
    ("zone", "now", "window", "start", "stop"),
    [
        # put forward: 02:30 is skipped, and stands for 03:00
        (BERLIN, "2026-03-28T12:00", ("02:30", "06:00"), "2026-03-29T01:00", "2026-03-29T04:00"),
        (BERLIN, "2026-03-28T12:00", ("20:00", "02:30"), "2026-03-28T19:00", "2026-03-29T01:00"),
        (NEW_YORK, "2026-03-08T06:00", ("02:30", "06:00"), "2026-03-08T07:00", "2026-03-08T10:00"),
        (LORD_HOWE, "2026-10-03T12:00", ("02:15", "06:00"), "2026-10-03T15:30", "2026-10-03T19:00"),
        # put back: 02:30 comes twice, and the first counts
        (BERLIN, "2026-10-24T12:00", ("02:30", "06:00"), "2026-10-25T00:30", "2026-10-25T05:00"),
        (BERLIN, "2026-10-24T12:00", ("20:00", "02:30"), "2026-10-24T18:00", "2026-10-25T00:30"),
        (NEW_YORK, "2026-11-01T00:00", ("01:30", "06:00"), "2026-11-01T05:30", "2026-11-01T11:00"),
        (LORD_HOWE, "2027-04-03T10:00", ("01:45", "06:00"), "2027-04-03T14:45", "2027-04-03T19:30"),
        # in between the second time, it is over until tomorrow
        (BERLIN, "2026-10-25T01:15", ("01:00", "02:30"), "2026-10-26T00:00", "2026-10-26T01:30"),
        # nothing is left of it in this night
        (BERLIN, "2026-03-29T00:00", ("02:10", "02:50"), "2026-03-30T00:10", "2026-03-30T00:50"),
    ],
)
def test_windows_of_nights_in_which_clocks_are_set(zone, now, window, start, stop):
    assert next_window(daily(*window), utc(now), zone) == Window(utc(start), utc(stop))


@given(moments, times_of_day, times_of_day)
@example((BERLIN, utc("2026-10-25T00:45")), time(2, 10), time(2, 50))
@example((BERLIN, utc("2026-03-29T00:59")), time(2, 10), time(2, 50))
@example((LORD_HOWE, utc("2026-10-03T15:00")), time(2, 0), time(2, 0))
def test_a_window_is_the_one_of_now_or_the_next(moment, begin, end):
    zone, now = moment
    window = next_window(Schedule(daily=DailyWindow(begin, end)), now, zone)
    assert window.start < window.stop
    assert window.stop > now
    assert window.start - now < 3 * 86_400
    for instant, wanted in ((window.start, begin), (window.stop, end)):
        shown = local(instant, zone)
        if shown.time() == wanted:
            earlier = local(instant - 3600, zone), local(instant - 1800, zone)
            assert shown not in earlier  # the first of two
        else:  # it was skipped, and this is the first moment after it
            assert not exists(datetime.combine(shown.date(), wanted), zone)
            assert local(instant - 1, zone) + timedelta(seconds=1) < shown
    for inside in (window.start, (window.start + window.stop) / 2, window.stop - 1):
        assert next_window(Schedule(daily=DailyWindow(begin, end)), inside, zone) == window


@given(moments, times_of_day, times_of_day)
def test_there_is_one_window_a_day_and_none_overlap(moment, begin, end):
    zone, now = moment
    schedule = Schedule(daily=DailyWindow(begin, end))
    windows = [next_window(schedule, now, zone)]
    for _ in range(4):
        windows.append(next_window(schedule, windows[-1].stop, zone))
    for before, after in pairwise(windows):
        assert before.stop <= after.start
        days = (local(after.start, zone).date() - local(before.start, zone).date()).days
        assert days == 1 or (days == 2 and is_skipped(local(before.start, zone).date(), begin, end, zone))
        if begin == end:
            assert before.stop == after.start  # around the clock


def is_skipped(before, begin, end, zone):
    """Return whether nothing is left of the window of the next day."""
    day = before + timedelta(1)
    return not exists(datetime.combine(day, begin), zone) and not exists(datetime.combine(day, end), zone)


@given(moments, times_of_day, times_of_day, st.integers(0, 5 * 1440))
def test_a_start_only_cuts_windows(moment, begin, end, minutes):
    zone, now = moment
    start = now + 60 * minutes
    window = DailyWindow(begin, end)
    cut = next_window(Schedule(start=datetime.fromtimestamp(start, UTC), daily=window), now, zone)
    whole = next_window(Schedule(daily=window), start, zone)
    assert cut == Window(max(whole.start, start), whole.stop)


@given(st.sampled_from(SET), st.integers(-2 * 86_400, 2 * 86_400))
def test_a_local_time_that_is_shown_once_is_that_moment(case, seconds):
    zone, night = case
    instant = night.replace(tzinfo=zone).timestamp() + seconds
    shown = local(instant, zone)
    meant = unix_time(shown, zone)
    assert meant <= instant  # the first of two
    assert local(meant, zone) == shown


@given(moments, times_of_day)
def test_the_next_time_of_day_is_within_two_days(moment, when):
    zone, now = moment
    found = next_time_of_day(when, now, zone)
    assert 0 < found - now <= 49 * 3600
    assert local(found, zone).time() == when or not exists(
        datetime.combine(local(found, zone).date(), when), zone
    )


def test_the_end_is_the_first_of_what_the_clock_says():
    began = utc("2026-10-24T20:00")
    assert Limits().ends(began, BERLIN) is None
    assert Limits(frames=5).ends(began, BERLIN) is None
    assert Limits(seconds=60).ends(began, BERLIN) == began + 60
    assert Limits(until=time(8, 0)).ends(began, BERLIN) == utc("2026-10-25T07:00")
    assert Limits(until=time(8, 0), seconds=60).ends(began, BERLIN) == began + 60
    until = datetime(2026, 10, 26, 8, 0)  # noqa: DTZ001  # local
    assert Limits(until=until).ends(began, BERLIN) == utc("2026-10-26T07:00")


@pytest.mark.parametrize(
    "wrong", [{"zone": "Europe/Berli"}, {"zone": "../etc/passwd"}, {"daily": "20:00"}, {"start": "tomorrow"}]
)
def test_a_schedule_is_checked_when_it_is_made(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Schedule(**wrong)
