"""Which frames are missing from a store, when, how many, and why: the jumps of numbers, and what events say.

An event of the kind "gap" says which numbers were lost, or, where the camera counts none, how many frames.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from imgstore.errors import FrameNotFoundError
from imgstore.events import Event, is_word
from imgstore.index import Gap, StoreIndex, find_gaps

GAP, SAVING_STARTED, SAVING_STOPPED = "gap", "saving_started", "saving_stopped"

_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class LostFrames:
    """Frames that the camera took and that are not in the store, all for one cause.

    Attributes
    ----------
    index : of the first frame after them; how many frames there are, if there is none.
    count : how many they are.
    first, last : their numbers; None where the camera counts none.
    cause : "camera", "buffer", "queue", "encoder", "disk"; None if no event speaks of them.
    after, before : times of the frames on either side, Unix seconds; None if there is no such frame.
    estimated : whether it is a guess, by the time that passed, how many they are.
    """

    index: int
    count: int
    first: int | None
    last: int | None
    cause: str | None
    after: float | None
    before: float | None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What an event says was lost: numbers from `first` to `last`, or only how many; see `claim_of`."""

    first: int | None
    last: int | None
    count: int
    cause: str | None
    estimated: bool


class _Numbers(NamedTuple):
    """Numbers that were lost, or are missing."""

    first: int
    last: int
    cause: str | None = None
    estimated: bool = False


def claim_of(gap: Event) -> Claim | None:
    """Return what an event of the kind "gap" says was lost; None if it does not say that."""
    said = gap.detail
    first, last, count, cause = (said.get(key) for key in ("first", "last", "count", "cause"))
    reason = cause if isinstance(cause, str) and is_word(cause) else None
    estimated = said.get("estimated") is True
    if _is_number(first) and _is_number(last) and first <= last:
        return Claim(first, last, last - first + 1, reason, estimated)
    if first is None and last is None and _is_number(count) and count > 0:
        return Claim(None, None, count, reason, estimated)
    return None


def find_lost(index: StoreIndex, events: Sequence[Event]) -> tuple[tuple[LostFrames, ...], list[Gap]]:
    """Return the frames that a store lacks since they were lost, and those that were not to be saved.

    Parameters
    ----------
    index : of the store.
    events : of the store, in the order of writing.
    """
    gaps = [(event, claim) for event in events if event.kind == GAP if (claim := claim_of(event))]
    claimed = _Claimed(claim for _, claim in gaps)
    pauses = _Pauses(events)
    lost = [_uncounted(index, event, claim) for event, claim in gaps if claim.first is None]
    unsaved: list[Gap] = []
    for gap in find_gaps(index.numbers):
        known = claimed.within(gap.first, gap.last)
        rest = _between(known, gap)
        if pauses.touch(_time(index, gap.index - 1), _time(index, gap.index)):
            unsaved += [Gap(gap.index, part.first, part.last) for part in rest]
        else:
            known += rest
        lost += [_counted(index, gap.index, part) for part in known]
    lowest = int(index.numbers.min(initial=_HIGHEST))
    highest = max(int(index.numbers.max(initial=_LOWEST)), lowest - 1)
    lost += [_counted(index, 0, part) for part in claimed.within(_LOWEST, lowest - 1)]
    lost += [_counted(index, len(index), part) for part in claimed.within(highest + 1, _HIGHEST)]
    return tuple(sorted(lost, key=_place)), unsaved


def _place(lost: LostFrames) -> tuple[int, int]:
    return lost.index, _HIGHEST if lost.first is None else lost.first


def _counted(index: StoreIndex, at: int, part: _Numbers) -> LostFrames:
    count = part.last - part.first + 1
    after, before = _time(index, at - 1), _time(index, at)
    return LostFrames(at, count, part.first, part.last, part.cause, after, before, part.estimated)


def _uncounted(index: StoreIndex, gap: Event, claim: Claim) -> LostFrames:
    try:
        at = index.of_time(gap.time, "after")
    except FrameNotFoundError:
        at = len(index)
    after, before = _time(index, at - 1), _time(index, at)
    return LostFrames(at, claim.count, None, None, claim.cause, after, before, claim.estimated)


def _time(index: StoreIndex, at: int) -> float | None:
    """Return the time of the frame at `at`; None if there is no such frame, or its time is not known."""
    time = float(index.times[at]) if 0 <= at < len(index) else math.nan
    return time if math.isfinite(time) else None


def _is_number(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and _LOWEST <= value <= _HIGHEST


class _Claimed:
    """Numbers that events say were lost; of several for one number, that counts which begins first."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        counted = [
            _Numbers(claim.first, claim.last, claim.cause, claim.estimated)
            for claim in claims
            if claim.first is not None and claim.last is not None
        ]
        self._parts: list[_Numbers] = []
        upcoming = _LOWEST
        for part in sorted(counted, key=lambda part: part.first):
            if part.last >= upcoming:
                self._parts.append(part._replace(first=max(part.first, upcoming)))
                upcoming = part.last + 1
        self._firsts = [part.first for part in self._parts]
        self._lasts = [part.last for part in self._parts]

    def within(self, first: int, last: int) -> list[_Numbers]:
        """Return the numbers among these that were lost, in order."""
        parts = self._parts[bisect_left(self._lasts, first) : bisect_right(self._firsts, last)]
        return [part._replace(first=max(part.first, first), last=min(part.last, last)) for part in parts]


def _between(known: Sequence[_Numbers], gap: Gap) -> list[_Numbers]:
    """Return the numbers of a gap that are not among those known."""
    rest, upcoming = [], gap.first
    for part in [*known, _Numbers(gap.last + 1, gap.last + 1)]:
        if part.first > upcoming:
            rest.append(_Numbers(upcoming, part.first - 1))
        upcoming = part.last + 1
    return rest


class _Pauses:
    """When saving was stopped, until it was started again."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._starts: list[float] = []
        self._stops: list[float] = []
        for start, stop in sorted(_pauses(events)):
            if self._stops and start <= self._stops[-1]:
                self._stops[-1] = max(stop, self._stops[-1])
            else:
                self._starts.append(start)
                self._stops.append(stop)

    def touch(self, after: float | None, before: float | None) -> bool:
        """Return whether saving was stopped at any time between two frames."""
        if after is None or before is None:
            return False
        last = bisect_left(self._starts, before) - 1
        return last >= 0 and self._stops[last] > after


def _pauses(events: Iterable[Event]) -> Iterator[tuple[float, float]]:
    stopped: float | None = None
    for event in events:
        if event.kind == SAVING_STOPPED and stopped is None:
            stopped = event.time
        elif event.kind == SAVING_STARTED and stopped is not None:
            yield min(stopped, event.time), event.time
            stopped = None
