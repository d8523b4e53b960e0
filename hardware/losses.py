"""Frames that were lost, each counted once by what lost it, and what else happens beside the frames."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

Cause: TypeAlias = Literal["camera", "buffer", "queue", "encoder", "disk"]
"""What lost a frame: the camera or its cable did not deliver it; it came with parts missing; the queue was
full, since the sinks were too slow; the encoder refused it; the disk refused it, or was full."""

CAUSES: tuple[Cause, ...] = get_args(Cause)


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
    time : when the last of them was noticed, seconds since the Unix epoch.
    estimated : whether how many they are follows from the time that passed, since nobody counted them.
    """

    cause: Cause
    first: int
    last: int
    time: float
    estimated: bool = False

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

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
