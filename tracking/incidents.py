"""What happened to frames on their way: some were lost, a clock stepped, a chunk is broken."""

import math
from collections.abc import Mapping

import numpy as np

from imgstore import StoreReader
from tracking.blocks import Stamped, UnreadFrame
from tracking.result_tables import Event

FRAMES_MISSING = "frames-missing"
"""Kind of the events that say which frames the camera counted are not there."""

_MOST_REASON_BYTES = 300  # the detail of an event has a fixed length on disk
_Planned = list[tuple[int, Event]]


class Incidents:
    """Makes events of what is noticed in frames that come in order.

    Parameters
    ----------
    planned : index of a frame and an event that comes before it, in order; None to go by the numbers of the
        frames.
    """

    def __init__(self, planned: _Planned | None = None) -> None:
        self._by_number = planned is None
        self._planned = planned or []
        self._next = 0
        self._last: tuple[int, float] | None = None
        self._unread: list[UnreadFrame] = []

    def before(self, frame: Stamped) -> list[Event]:
        """Return what happened since the last frame."""
        events: list[Event] = []
        while self._next < len(self._planned) and self._planned[self._next][0] <= frame.index:
            events.append(self._planned[self._next][1])
            self._next += 1
        if self._last is not None:
            number, time = self._last
            missing = frame.number - number - 1
            if self._by_number and missing > 0:
                detail = {"first_number": number + 1, "count": missing}
                events.append(Event(frame.time, 0, FRAMES_MISSING, detail))
            if frame.time < time:
                events.append(Event(frame.time, 0, "clock-step", {"seconds": round(frame.time - time, 6)}))
        last_time = frame.time if math.isfinite(frame.time) or self._last is None else self._last[1]
        self._last = (frame.number, last_time)
        if isinstance(frame, UnreadFrame):
            self._unread.append(frame)
            return events
        return self._end_of_unread() + events

    def rest(self) -> list[Event]:
        """Return what happened after the last frame."""
        events = self._end_of_unread() + [event for _, event in self._planned[self._next :]]
        self._next = len(self._planned)
        return events

    def _end_of_unread(self) -> list[Event]:
        if not self._unread:
            return []
        first, count = self._unread[0], len(self._unread)
        self._unread = []
        detail = {"first_index": first.index, "count": count, "reason": _short(first.reason)}
        return [Event(first.time, 0, "frames-unreadable", detail)]


def incidents_of(store: StoreReader, count: int) -> Incidents:
    """Return the incidents of the first `count` frames of a store; its ledger knows why some are missing."""
    start = float(store.times[0]) if len(store) else 0.0
    planned: _Planned = [
        (0, Event(start, 0, "recording-damaged", {"problem": _short(problem)})) for problem in store.problems
    ]
    for lost in store.lost:
        said: dict[str, object] = {"first_number": lost.first, "count": lost.count, "cause": lost.cause}
        if lost.estimated:
            said["estimated"] = True
        moment = lost.before if lost.before is not None else lost.after
        planned.append((lost.index, Event(start if moment is None else moment, 0, FRAMES_MISSING, said)))
    for gap in store.unsaved:
        unsaved = {"first_number": gap.first, "count": gap.count}
        planned.append((gap.index, Event(float(store.times[gap.index]), 0, "frames-not-saved", unsaved)))
    for event in store.events:
        if event.kind == "clock_step":
            step = {"seconds": _seconds(event.detail), "times_follow": False}
            index = int(np.searchsorted(np.fmax.accumulate(store.times), event.time))
            planned.append((index, Event(event.time, 0, "clock-step", step)))
    planned = [(index, event) for index, event in planned if index <= count]
    return Incidents(sorted(planned, key=lambda entry: entry[0]))


def _seconds(detail: Mapping[str, object]) -> float | None:
    seconds = detail.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None


def _short(text: str) -> str:
    return text.encode()[:_MOST_REASON_BYTES].decode(errors="ignore")
