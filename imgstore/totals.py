"""What a recorder says at the end of a recording, compared with what the store holds and its gaps name."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

from imgstore.events import EVENTS_FILENAME, Event
from imgstore.findings import Finding, Severity, shown
from imgstore.lost import GAP, claim_of

ENDED = "recording_ended"


def check_totals(events: Sequence[Event], frames: int) -> Iterator[Finding]:
    """Yield where the sums that a recording ended with are not those of the store; none if it has no end.

    What is missing, in the store or among the gaps, is an error; what there is too much of is a warning.

    Parameters
    ----------
    events : all of the store's.
    frames : that it holds.
    """
    ends = [event.detail for event in events if event.kind == ENDED]
    if not ends:
        return
    written, captured, lost, named = (
        _sum(ends, "written"),
        _sum(ends, "captured"),
        _lost(ends),
        _named(events),
    )
    if written is not None and written != frames:
        yield _finding(written, frames, f"{written} frames written, the store holds {frames}")
    for cause in sorted({*lost, *named}):
        said, found = lost[cause], named[cause]
        if said != found:
            yield _finding(said, found, f"{said} frames lost by {shown(cause)}, its gaps name {found}")
    if captured is not None and written is not None and captured != (known := written + lost.total()):
        what = f"{captured} frames captured, but {written} written and {lost.total()} lost are {known}"
        yield _finding(captured, known, what)


def _finding(said: int, found: int, what: str) -> Finding:
    severity: Severity = "error" if said > found else "warning"
    return Finding(severity, EVENTS_FILENAME, f"the recording ended with {what}")


def _sum(ends: Sequence[Mapping[str, object]], name: str) -> int | None:
    """Return the sum of a count over all ends; None if one of them does not say it."""
    counts = [end.get(name) for end in ends]
    known = [count for count in counts if _is_count(count)]
    return sum(known) if len(known) == len(counts) else None


def _lost(ends: Sequence[Mapping[str, object]]) -> Counter[str]:
    lost: Counter[str] = Counter()
    for end in ends:
        said = end.get("lost")
        for cause, count in said.items() if isinstance(said, Mapping) else ():
            if _is_count(count):
                lost[str(cause)] += count
    return lost


def _named(events: Sequence[Event]) -> Counter[str]:
    """Return how many lost frames the gaps name, by cause. One without a cause is not the recorder's."""
    named: Counter[str] = Counter()
    for event in events:
        claim = claim_of(event) if event.kind == GAP else None
        if claim is not None and claim.cause is not None:
            named[claim.cause] += claim.count
    return named


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
