"""When frames were to be saved, and which of the lost ones belong to that."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from hardware.losses import Loss


@dataclass(slots=True)
class _Span:
    """Times of frames: from one to before the other, Unix seconds."""

    since: float
    until: float = math.inf


class SavedSpans:
    """The stretches of a recording in which frames are saved: none at first.

    What was lost is often known only when the next frame comes. So a stretch that has ended is remembered
    until a frame from after it was saved.
    """

    def __init__(self) -> None:
        self._spans: deque[_Span] = deque()

    @property
    def is_open(self) -> bool:
        """Whether frames are saved now."""
        return bool(self._spans) and self._spans[-1].until == math.inf

    def begin(self, since: float) -> None:
        """Save frames from a time on, but not from before the end of the last stretch."""
        before = self._spans[-1].until if self._spans else -math.inf
        self._spans.append(_Span(max(since, before)))

    def end(self, until: float) -> None:
        """Save none from a time on."""
        if self.is_open:
            self._spans[-1].until = max(until, self._spans[-1].since)

    def forget(self, before: float) -> None:
        """Forget stretches that ended before a time: nothing that comes later is of these."""
        while self._spans and self._spans[0].until <= before:
            self._spans.popleft()

    def parts(self, losses: Iterable[Loss], end: float) -> list[Loss]:
        """Return those of the lost frames that were to be saved.

        Parameters
        ----------
        end : the time from which frames do not belong to the recording.
        """
        parts = (loss.within(one.since, min(one.until, end)) for loss in losses for one in self._spans)
        return [part for part in parts if part is not None]
