"""Puts the frames of a recording where other processes see them."""

import os
import weakref
from dataclasses import replace
from functools import partial
from types import TracebackType

from hardware.feed.layout import DEFAULT_SLOTS, FeedLayout, pack_frame
from hardware.feed.segment import WrittenSegment, feed_path
from hardware.frame import CameraFrame
from imgstore import ClosedError, Frame, FrameSpec


class FeedWriter:
    """Takes frames, and lets any process of this user read them; it never waits for any.

    To append is to copy the image once. Readers come and go as they like; one that falls behind by more than
    `slots` frames loses some, and nobody else does.

    Parameters
    ----------
    name : of the feed: letters, digits, dots, dashes, underscores.
    spec : of the frames.
    slots : how many frames lie in memory, so how far a reader may fall behind.

    Raises FeedError for a name or number of slots that cannot be.
    """

    def __init__(self, name: str, spec: FrameSpec, *, slots: int = DEFAULT_SLOTS) -> None:
        feed_path(name)
        self._name = name
        self._layout = FeedLayout(spec, slots, os.getpid())
        self._segment: WrittenSegment | None = None
        self._closed = False
        self._count = 0
        self._lost = 0

    def __enter__(self) -> "FeedWriter":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def count(self) -> int:
        """How many frames were appended."""
        return self._count

    def start(self) -> None:
        """Make the feed; readers find it from now on. Does nothing if it is made.

        Raises
        ------
        FeedInUseError
            A living writer has this name.
        FeedSpaceError
            Shared memory is too small.
        ClosedError
            It was closed.
        """
        self._started()

    def append(self, frame: Frame) -> None:
        """Show a frame to all readers; the first one starts the feed if nobody has.

        Raises FrameFormatError if the frame is not as `spec` says, else as `start`.
        """
        self._layout.spec.check(frame.image)
        header = pack_frame(frame, self._lost)
        self._started().ring.write(header, frame.image)
        self._count += 1
        if isinstance(frame, CameraFrame):
            self._lost += frame.lost

    def close(self) -> None:
        """Tell readers that it ends, and remove the feed. Closing twice is harmless."""
        self._closed = True
        if self._segment is not None:
            segment, self._segment = self._segment, None
            segment.ring.end()
            segment.remove()

    def let_go(self) -> None:
        """Forget the feed, as a forked process must: it is its parent's."""
        if self._segment is not None:
            self._segment.let_go()
            self._segment, self._closed = None, True

    def _started(self) -> WrittenSegment:
        if self._closed:
            raise ClosedError(f"the feed {self._name} is closed; make another FeedWriter")
        if self._segment is None:
            self._segment = WrittenSegment(self._name, replace(self._layout, pid=os.getpid()))
            os.register_at_fork(after_in_child=partial(_let_go, weakref.ref(self)))
        return self._segment


def _let_go(writer: "weakref.ref[FeedWriter]") -> None:
    held = writer()
    if held is not None:
        held.let_go()
