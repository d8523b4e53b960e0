"""The sinks of a recording: opened together, fed together, and tried again when a disk refuses."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from hardware.frame import CameraFrame
from hardware.losses import CAUSES, Cause, EventSink, KeepingSink, Loss, Note, RecordSink
from imgstore import ChunkError, FrameSink, FrameSpec, ImgstoreError

SinkOpener: TypeAlias = Callable[[FrameSpec], Sequence[FrameSink]]

_DISK_PATIENCE_S = 10.0  # that a disk may refuse before the recording ends
_DISK_PAUSE_S = 0.1
_MOST_REFUSED = 100  # frames one after the other that an encoder refuses, before the recording ends


class Sinks:
    """All sinks of one recording, and what became of the frames in each.

    A disk that refuses is asked again for ten seconds, while frames wait in the queue: it may have been made
    room on it, or be back on the network. A frame that an encoder refuses is left out. Whatever goes wrong
    with one sink, the others get the same frames and events.

    Parameters
    ----------
    open_sinks : makes them.
    spec : of the frames.
    """

    def __init__(self, open_sinks: SinkOpener, spec: FrameSpec) -> None:
        self._open_sinks = open_sinks
        self._spec = spec
        self._fed: list[_Fed] = []
        self._opened = False

    @property
    def unwritten(self) -> int:
        """How many events a sink that keeps them could not write down."""
        return sum(fed.unwritten for fed in self._fed)

    def drop_cause(self) -> Cause:
        """Return what is in the way when frames do not leave the queue fast enough; from any thread."""
        return next((cause for fed in self._fed if (cause := fed.failed or fed.trouble) is not None), "queue")

    def open(self) -> None:
        """Make the sinks, the first time."""
        if not self._opened:
            self._opened = True
            self._fed = [_Fed(sink) for sink in self._open_sinks(self._spec)]

    def append(self, frame: CameraFrame) -> bool:
        """Hand a frame to all sinks; return whether all have taken it.

        Raises ChunkError if a disk refused for ten seconds or an encoder a hundred frames, and whatever else
        a sink raises.
        """
        before = [fed.taken for fed in self._fed]
        _all_of([partial(fed.append, frame) for fed in self._fed])
        return all(fed.taken > taken for fed, taken in zip(self._fed, before, strict=True))

    def note(self, *notes: Note) -> None:
        """Hand what happened to those sinks that keep events. Raises ChunkError as `append` does."""
        _all_of([partial(fed.note, note) for note in notes for fed in self._fed])

    def lose(self, *losses: Loss) -> None:
        """Count what never came to any sink, and write it down as `note` does. All is counted first."""
        for fed in self._fed:
            for loss in losses:
                fed.lost[loss.cause] += loss.count
        self.note(*(loss.note() for loss in losses))

    def record(self, record: Mapping[str, object]) -> None:
        """Hand a record of extra data to those sinks that keep them. Raises ChunkError as `append` does."""
        _all_of([partial(fed.record, record) for fed in self._fed])

    def settle(self) -> None:
        """Have finished what is in hand, so that `lose_unkept` knows all. Raises ChunkError."""
        _all_of([fed.settle for fed in self._fed])

    def lose_unkept(self) -> int:
        """Count frames that sinks had taken and their disks did not keep, and write them down in these sinks.

        Returns how many frames they are, each once. What cannot be written down is in `unwritten`.
        """
        numbers: set[int] = set()
        for fed in self._fed:
            for loss in fed.lose_unkept():
                numbers.update(range(loss.first, loss.last + 1))
        return len(numbers)

    def end(self, time: float, reason: str) -> None:
        """Write down that the recording ended, and what it came to. Raises ChunkError as `append` does."""
        _all_of([partial(fed.end, time, reason) for fed in self._fed])

    def close(self) -> None:
        """Close all sinks, in order, whatever goes wrong."""
        _all_of([fed.sink.close for fed in self._fed])


class _Fed:
    """One sink, what became of the frames in it, and what is wrong with it."""

    def __init__(self, sink: FrameSink) -> None:
        self.sink = sink
        self.taken = 0
        self.lost: dict[Cause, int] = dict.fromkeys(CAUSES, 0)
        self.unwritten = 0
        self.trouble: Cause | None = None  # what is in the way now
        self.failed: Cause | None = None  # what made it refuse a frame for good
        self._troubled_since: float | None = None  # by the disk
        self._refused = 0  # by the encoder, one after the other

    def append(self, frame: CameraFrame) -> None:
        """Hand over a frame; one that the encoder refuses is counted, and written down."""
        loss = Loss.of("encoder", frame)
        try:
            self._insist(partial(self.sink.append, frame))
        except ChunkError as exc:
            self._refused += not _is_of_disk(exc)
            if not _is_of_disk(exc) and self._refused < _MOST_REFUSED:
                self._lose(loss)
                return
            self.failed = "disk" if _is_of_disk(exc) else "encoder"
            self._lose(replace(loss, cause=self.failed))
            raise
        except BaseException:
            self._lose(replace(loss, cause=self.trouble or "queue"))
            raise
        self._refused = 0
        self.taken += 1

    def note(self, note: Note) -> None:
        """Hand over what happened, if the sink keeps that."""
        if isinstance(self.sink, EventSink):
            try:
                self._insist(partial(self.sink.append_event, note.kind, note.time, **note.detail))
            except BaseException:
                self.unwritten += 1
                raise

    def record(self, record: Mapping[str, object]) -> None:
        """Hand over a record of extra data, if the sink keeps them."""
        if isinstance(self.sink, RecordSink):
            self._insist(partial(self.sink.append_extra, record))

    def settle(self) -> None:
        """Have finished what is in hand."""
        if isinstance(self.sink, KeepingSink):
            self.sink.settle()

    def lose_unkept(self) -> list[Loss]:
        """Count and write down what the disk did not keep; return it."""
        losses = list(self.sink.unkept()) if isinstance(self.sink, KeepingSink) else []
        self.taken -= sum(loss.count for loss in losses)
        for loss in losses:
            self._lose(loss)
        return losses

    def end(self, time: float, reason: str) -> None:
        """Write down what the recording came to."""
        lost = {cause: count for cause, count in self.lost.items() if count}
        detail = {"captured": self.taken + sum(lost.values()), "written": self.taken, "lost": lost}
        self.note(Note(time, "recording_ended", {**detail, "reason": reason}))

    def _lose(self, loss: Loss) -> None:
        """Count a loss, and write it down if that can be."""
        self.lost[loss.cause] += loss.count
        with suppress(ImgstoreError, OSError):  # counted as unwritten
            self.note(loss.note())

    def _insist(self, write: Callable[[], None]) -> None:
        """Write, again and again while the disk refuses: for ten seconds in all. Raises ChunkError."""
        while True:
            try:
                write()
            except ChunkError as exc:
                if not _is_of_disk(exc):
                    raise
                now = time.monotonic()
                self.trouble = "disk"
                self._troubled_since = self._troubled_since or now
                if now - self._troubled_since >= _DISK_PATIENCE_S:
                    raise
                time.sleep(_DISK_PAUSE_S)
            else:
                self.trouble = self._troubled_since = None
                return


def _all_of(actions: Sequence[Callable[[], object]]) -> None:
    """Do all, in order, whatever goes wrong with any; raise what went wrong."""
    with ExitStack() as stack:
        for action in reversed(actions):
            stack.callback(action)


def _is_of_disk(error: BaseException | None) -> bool:
    """Return whether an error comes from the operating system, and not from an encoder."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return True
        error = error.__cause__ or error.__context__
    return False
