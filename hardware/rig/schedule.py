"""When a rig records: from a moment on, or in a window of every day; nights of daylight saving included."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone_name

from hardware.errors import SettingError
from hardware.rig.values import check_fields, clock_time, moment, optional, rule, text

_DAYS_BACK, _DAYS_AHEAD = 2, 10  # a window is a day long at most; a zone may skip a day


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """A time of every day.

    Attributes
    ----------
    begin, end : times of day, local. An end that is not after the beginning is on the next day; the same
        time twice is the whole day.
    """

    begin: time
    end: time

    def __str__(self) -> str:
        """Return it as it is written in a rig file."""
        return f"{_time_text(self.begin)}-{_time_text(self.end)}"


def daily_window(value: object) -> DailyWindow:
    """Return the window of "20:00-08:00". Raises SettingError."""
    if isinstance(value, DailyWindow):
        return value
    begin, _, end = value.partition("-") if isinstance(value, str) else ("", "", "")
    try:
        return DailyWindow(clock_time(begin), clock_time(end))
    except SettingError:
        raise SettingError(f"is a window of every day, as 20:00-08:00, not {value!r}") from None


def zone_name(value: object) -> str:
    """Return the name of a time zone that this machine knows. Raises SettingError."""
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", name):
        raise SettingError(f"is a time zone, as Europe/Berlin, not {value!r}")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingError(f"is a time zone, as Europe/Berlin; {name!r} is not known here") from None
    return name


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to record; with nothing said, at once and without end.

    Attributes
    ----------
    start : not before this; without a zone it is local.
    daily : every day, but only in this window.
    zone : name of the zone in which times are local; None for this machine's.
    """

    start: datetime | None = field(default=None, metadata=rule(optional(moment)))
    daily: DailyWindow | None = field(default=None, metadata=rule(optional(daily_window)))
    zone: str | None = field(default=None, metadata=rule(optional(zone_name)))

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def timezone(self) -> ZoneInfo:
        """The zone in which times are local."""
        return ZoneInfo(self.zone or get_localzone_name() or "Etc/UTC")


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which to record.

    Attributes
    ----------
    start, stop : Unix times in seconds; None if there is no end.
    """

    start: float
    stop: float | None


def next_window(schedule: Schedule, now: float, zone: ZoneInfo) -> Window:
    """Return the window in which `now` lies, or the next.

    A local time that is skipped, as the clocks are put forward, stands for the first moment after it; of one
    that comes twice the first counts. A window of which nothing is left by that is passed over.

    Parameters
    ----------
    now : Unix time in seconds.
    zone : in which times are local.

    Returns
    -------
    `stop` is always after `now`; `start` may be before it.
    """
    earliest = now if schedule.start is None else unix_time(schedule.start, zone)
    if schedule.daily is None:
        return Window(earliest, None)
    at_least = max(now, earliest)
    today = datetime.fromtimestamp(at_least, zone).date()
    for days in range(-_DAYS_BACK, _DAYS_AHEAD):
        start, stop = _window_of(schedule.daily, today + timedelta(days), zone)
        if schedule.start is not None:
            start = max(start, earliest)
        if stop > at_least and stop > start:
            return Window(start, stop)
    raise AssertionError(f"{schedule.daily} never comes in {zone}")  # no zone skips a week


def unix_time(local: datetime, zone: ZoneInfo) -> float:
    """Return the Unix time of a date and time, which is in `zone` unless it names one; see `next_window`."""
    if local.tzinfo is not None:
        return local.timestamp()
    first = local.replace(tzinfo=zone, fold=0).timestamp()
    if datetime.fromtimestamp(first, zone).replace(tzinfo=None, fold=0) == local.replace(fold=0):
        return first
    return _end_of_gap(local, zone)


def next_time_of_day(when: time, after: float, zone: ZoneInfo) -> float:
    """Return the first Unix time after `after` at which it is `when` in `zone`."""
    today = datetime.fromtimestamp(after, zone).date()
    moments = (
        unix_time(datetime.combine(today + timedelta(days), when), zone) for days in range(-1, _DAYS_AHEAD)
    )
    return next(one for one in moments if one > after)


def _window_of(daily: DailyWindow, day: date, zone: ZoneInfo) -> tuple[float, float]:
    """Return the Unix times of the window that begins on a day."""
    last = day if daily.end > daily.begin else day + timedelta(1)
    return (
        unix_time(datetime.combine(day, daily.begin), zone),
        unix_time(datetime.combine(last, daily.end), zone),
    )


def _end_of_gap(local: datetime, zone: ZoneInfo) -> float:
    """Return the first moment after a gap of the local time, of a time that lies in the gap."""
    before = int(local.replace(tzinfo=zone, fold=1).timestamp())  # by the offset after the gap: too early
    after = int(local.replace(tzinfo=zone, fold=0).timestamp()) + 1  # by the offset before it: too late
    offset = _offset(before, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return float(after)


def _offset(moment_s: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(moment_s, UTC).astimezone(zone).utcoffset()


def _time_text(one: time) -> str:
    return one.isoformat("auto" if one.microsecond else "seconds" if one.second else "minutes")
