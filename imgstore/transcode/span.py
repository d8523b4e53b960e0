"""Which frames of a store lie from one time, index or number to another."""

from datetime import datetime
from typing import Literal, TypeAlias, get_args

import numpy as np

from imgstore.errors import FrameNotFoundError, UnknownNameError
from imgstore.reader import Moment, StoreReader

RangeBy: TypeAlias = Literal["time", "seconds", "index", "number"]
"""What the ends of a range are: times, seconds since the first frame, indices, or camera numbers."""

RANGES_BY: tuple[RangeBy, ...] = get_args(RangeBy)

NO_DATE_BELOW = 1e8
"""Times below that, of 1973, are no dates but count from the start of a video."""


def find_range(
    reader: StoreReader, start: Moment | None = None, stop: Moment | None = None, *, by: RangeBy = "time"
) -> range:
    """Return the indices of the frames from `start` to before `stop`.

    Parameters
    ----------
    start : the first frame is the first at or after this; None for the first of the store.
    stop : the last frame is the last before this; None for the last of the store.
    by : what `start` and `stop` are. Times are given as to `StoreReader.by_time`; indices below 0 count from
        the end. Where times or numbers step back, frames in between may lie outside.

    Raises
    ------
    FrameNotFoundError
        There are none.
    """
    if by not in RANGES_BY:
        raise UnknownNameError("way to give a range", by, RANGES_BY)
    first = 0 if start is None else _first_at(reader, start, by)
    last = len(reader) if stop is None else _first_at(reader, stop, by)
    if first < last:
        return range(first, last)
    raise FrameNotFoundError(
        f"there is no frame from {by} {'the start' if start is None else start} to "
        f"{'the end' if stop is None else stop}: {_all_of(reader, by)}"
    )


def check_dated(time: float, first: float) -> None:
    """Raise FrameNotFoundError if a time is none since 1970 though that of the first frame is.

    Whoever says 6 means six seconds from the start, most likely, and would get all frames.
    """
    if time < NO_DATE_BELOW <= first:
        raise FrameNotFoundError(
            f"{time:g} is that many seconds after 1970 began, and the recording is of later; "
            "give a date and time, or say that they count from the first frame: by='seconds', --by seconds"
        )


def _first_at(reader: StoreReader, moment: Moment, by: RangeBy) -> int:
    """Return the index of the first frame at or after an end of a range."""
    if by == "time":
        seconds = reader.seconds(moment)
        if len(reader):
            check_dated(seconds, float(reader.times[0]))
        return reader.index.first_at(seconds)
    if isinstance(moment, datetime):
        raise FrameNotFoundError(f"{moment} is a time; give the range by time")
    try:
        value = float(moment)
    except ValueError as exc:
        raise FrameNotFoundError(f"{by} is a number, not {moment!r}") from exc
    if by == "seconds":
        return reader.index.first_at(value + float(reader.times[0])) if len(reader) else 0
    if by == "index":
        return int(min(max(value + len(reader) if value < 0 else value, 0), len(reader)))
    later = np.flatnonzero(reader.numbers >= value)
    return int(later[0]) if len(later) else len(reader)


def _all_of(reader: StoreReader, by: RangeBy) -> str:
    """Say what there is."""
    if not len(reader):
        return f"{reader.path} is empty"
    first, last = float(reader.times[0]), float(reader.times[-1])
    ends = {
        "time": (first, last),
        "seconds": (0, last - first),
        "index": (0, len(reader) - 1),
        "number": (int(reader.numbers[0]), int(reader.numbers[-1])),
    }[by]
    if by == "time" and np.isfinite(ends).all():
        return "those of {} go from {} to {}".format(reader.path, *map(reader.local_time, ends))
    return f"those of {reader.path} go from {ends[0]} to {ends[1]}"
