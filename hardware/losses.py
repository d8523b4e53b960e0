"""Frames that were lost, each counted once by what lost it, and what else happens beside the frames."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

from imgstore import Frame

Cause: TypeAlias = Literal["camera", "buffer", "queue", "encoder", "disk"]
"""What lost a frame: the camera or its cable did not deliver it; it came with parts missing; the queue was
full, since the sinks were too slow; the encoder refused it; the disk refused it, was full, or had taken it
and did not keep it."""

CAUSES: tuple[Cause, ...] = get_args(Cause)

TIME_SLACK_S = 1e-6
"""Unix times are no more exact than that."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened; it goes into the events of a store.

    Attributes
    ----------
    time : when, seconds since the Unix epoch.
    kind : what, in a word.
    detail : what else there is to say, by name.
    """

    time: float
    kind: str
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames that were lost one after the other, by one cause.

    Attributes
    ----------
    cause : what lost them.
    first, last : their numbers.
    began, time : when the first and the last of them would have been taken, seconds since the Unix epoch.
    estimated : whether how many they are follows from the time that passed, since nobody counted them.
    """

    cause: Cause
    first: int
    last: int
    began: float
    time: float
    estimated: bool = False

    @classmethod
    def of(cls, cause: Cause, frame: Frame) -> "Loss":
        """Return the loss of a frame that came."""
        return cls(cause, int(frame.number), int(frame.number), frame.time, frame.time)

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    def within(self, since: float, until: float) -> "Loss | None":
        """Return those of them from `since` on and before `until`, as if they came evenly; None for none."""
        span = self.time - self.began
        if self.count == 1 or span <= 0:
            return self if since - TIME_SLACK_S <= self.time < until - TIME_SLACK_S else None
        step = span / (self.count - 1)
        start, stop = (
            math.ceil(min(max((moment - TIME_SLACK_S - self.began) / step, 0), self.count))
            for moment in (since, until)
        )
        if start >= stop:
            return None
        return replace(
            self,
            first=self.first + start,
            last=self.first + stop - 1,
            began=self.began + start * step,
            time=self.began + (stop - 1) * step,
        )

    def note(self) -> Note:
        """Return what is written down of it."""
        detail: dict[str, object] = {
            "first": self.first,
            "last": self.last,
            "count": self.count,
            "cause": self.cause,
        }
        return Note(self.time, "gap", {**detail, "estimated": True} if self.estimated else detail)


def add_loss(losses: list[Loss], loss: Loss) -> None:
    """Append a loss to those before it, as one with the last if it goes on where that ends."""
    if losses and (losses[-1].cause, losses[-1].estimated, losses[-1].last + 1) == (
        loss.cause,
        loss.estimated,
        loss.first,
    ):
        losses[-1] = replace(losses[-1], last=loss.last, time=loss.time)
    else:
        losses.append(loss)


def merged(losses: Sequence[Loss]) -> list[Loss]:
    """Return losses in order, those as one that go on where the one before ends."""
    joined: list[Loss] = []
    for loss in losses:
        add_loss(joined, loss)
    return joined


@runtime_checkable
class EventSink(Protocol):
    """A sink that also keeps what happened beside the frames, as the writer of a store does."""

    def append_event(self, kind: str, time: float | None = None, **detail: object) -> None:
        """Write down that something happened."""


@runtime_checkable
class RecordSink(Protocol):
    """A sink that also keeps records of extra data, as the writer of a store does."""

    def append_extra(self, record: Mapping[str, object], /) -> None:
        """Write a record beside the last frame."""


@runtime_checkable
class KeepingSink(Protocol):
    """A sink that knows which of the frames that it took the disk did not keep, as a store does."""

    def settle(self) -> None:
        """Finish what is in hand, so that it is known what is kept of it. Raises ChunkError."""

    def unkept(self) -> Sequence[Loss]:
        """Return what it had taken and is not there, as far as that is known; each frame once."""
