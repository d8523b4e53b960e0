"""The sinks of a recording: opened together, fed together, and tried again when a disk refuses."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TypeAlias

from hardware.frame import CameraFrame
from hardware.losses import Cause, EventSink, Note, RecordSink
from imgstore import ChunkError, FrameSink, FrameSpec

SinkOpener: TypeAlias = Callable[[FrameSpec], Sequence[FrameSink]]

_DISK_PATIENCE_S = 10.0  # that a disk may refuse before the recording ends
_DISK_PAUSE_S = 0.1
_MOST_REFUSED = 100  # frames one after the other that an encoder refuses, before the recording ends


class Sinks:
    """All sinks of one recording.

    A disk that refuses is asked again for ten seconds, while frames wait in the queue: it may have been made
    room on it, or be back on the network. A frame that an encoder refuses is left out.

    Parameters
    ----------
    open_sinks : makes them.
    spec : of the frames.
    """

    def __init__(self, open_sinks: SinkOpener, spec: FrameSpec) -> None:
        self._open_sinks = open_sinks
        self._spec = spec
        self._sinks: list[FrameSink] = []
        self._opened = False
        self._refused = 0
        self._trouble: Cause | None = None

    def drop_cause(self) -> Cause:
        """Return what is in the way when frames do not leave the queue fast enough; from any thread."""
        return self._trouble or "queue"

    def open(self) -> None:
        """Make the sinks, the first time."""
        if not self._opened:
            self._opened = True
            self._sinks = list(self._open_sinks(self._spec))

    def append(self, frame: CameraFrame) -> bool:
        """Hand a frame to all sinks; return whether all have taken it.

        Raises ChunkError if a disk refused for ten seconds or an encoder a hundred frames, and whatever else
        a sink raises.
        """
        taken = [self._hand(sink, frame) for sink in self._sinks]
        return all(taken)

    def note(self, note: Note) -> None:
        """Hand what happened to those sinks that keep events. Raises ChunkError as `append` does."""
        for sink in self._sinks:
            if isinstance(sink, EventSink):
                self._insist(partial(sink.append_event, note.kind, note.time, **note.detail))

    def record(self, record: Mapping[str, object]) -> None:
        """Hand a record of extra data to those sinks that keep them. Raises ChunkError as `append` does."""
        for sink in self._sinks:
            if isinstance(sink, RecordSink):
                self._insist(partial(sink.append_extra, record))

    def close(self) -> None:
        """Close all sinks, in order, whatever goes wrong."""
        with ExitStack() as stack:
            for sink in reversed(self._sinks):
                stack.callback(sink.close)

    def _hand(self, sink: FrameSink, frame: CameraFrame) -> bool:
        try:
            self._insist(lambda: sink.append(frame))
        except ChunkError as exc:
            self._refused += 1
            if _is_of_disk(exc) or self._refused >= _MOST_REFUSED:
                raise
            return False
        self._refused = 0
        return True

    def _insist(self, write: Callable[[], None]) -> None:
        """Write, again and again while the disk refuses. Raises ChunkError."""
        give_up = time.monotonic() + _DISK_PATIENCE_S
        while True:
            try:
                write()
            except ChunkError as exc:
                if not _is_of_disk(exc):
                    raise
                self._trouble = "disk"
                if time.monotonic() >= give_up:
                    raise
                time.sleep(_DISK_PAUSE_S)
            else:
                self._trouble = None
                return


def _is_of_disk(error: BaseException | None) -> bool:
    """Return whether an error comes from the operating system, and not from an encoder."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return True
        error = error.__cause__ or error.__context__
    return False
