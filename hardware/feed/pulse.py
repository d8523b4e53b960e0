"""How a feed goes: by the frames that lie in it, so that nobody has to wait for more."""

import time
from dataclasses import dataclass

from hardware.feed.layout import SlotHeader
from hardware.feed.segment import ReadSegment


@dataclass(frozen=True, slots=True)
class FeedPulse:
    """How a feed goes at this moment.

    Attributes
    ----------
    rate : frames per second that arrived lately; None while there are fewer than two.
    silent_s : seconds since the newest arrived; None before the first.
    number, time : of the newest; None before the first.
    """

    rate: float | None = None
    silent_s: float | None = None
    number: int | None = None
    time: float | None = None


def look_at_feed(name: str) -> FeedPulse:
    """Return how a feed goes. Raises FeedNotFoundError if nobody writes it, FeedError if it is damaged."""
    segment = ReadSegment(name)
    try:
        headers = _whole_headers(segment)
    finally:
        segment.close()
    if not headers:
        return FeedPulse()
    first, last = headers[0], headers[-1]
    span_ns = last.arrived_ns - first.arrived_ns
    rate = (len(headers) - 1) * 1e9 / span_ns if span_ns > 0 else None
    silent_s = max(time.monotonic_ns() - last.arrived_ns, 0) / 1e9
    return FeedPulse(rate, silent_s, last.number, last.time)


def _whole_headers(segment: ReadSegment) -> list[SlotHeader]:
    """Return what the slots say of their frames, oldest first, without those that were being overwritten."""
    ring = segment.ring
    count = ring.published(ring.progress(), 0)
    first = max(ring.oldest(count), 0)
    found = [(sequence, ring.header(sequence)) for sequence in range(first, count)]
    oldest = ring.oldest(count)
    return [header for sequence, header in found if sequence >= oldest]
