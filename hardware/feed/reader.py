"""Reads the frames that another process puts into a feed."""

import time
from collections.abc import Iterator
from types import TracebackType

from hardware.errors import CameraStateError, CameraTimeoutError, FeedDiedError, FeedNotFoundError
from hardware.feed.layout import SlotHeader
from hardware.feed.segment import ReadSegment, feed_path
from hardware.frame import CameraFrame
from imgstore import FrameSpec, Image

_LOOK_S = 0.25  # how often one who waits looks whether the writer lives
_POLL_S = 0.05  # how often one who waits for a writer looks whether it is there


class FeedReader:
    """The frames of a feed from now on: each in order, or always the newest.

    What the writer overwrites before it is read is lost for this reader, and counted: in `lost`, and in that
    of the frame that comes next. A frame that is overwritten while it is read is never given.

    Parameters
    ----------
    name : of the feed.
    copy : give images that are the caller's; else they are the shared memory itself, for reading only, which
        the writer overwrites some frames later. Ask `still_valid` after such an image was used.

    Raises FeedError for a name that cannot be.
    """

    def __init__(self, name: str, *, copy: bool = True) -> None:
        feed_path(name)
        self._name = name
        self._copy = copy
        self._segment: ReadSegment | None = None
        self._next = 0  # the sequence of the frame to be read
        self._gap = 0  # frames lost since the last one that was given
        self._camera_lost: int | None = None  # by the camera, up to that one
        self._lost = self._torn = self._skipped = 0

    def __enter__(self) -> "FeedReader":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[CameraFrame]:
        """Yield every frame, in order, until the writer closes the feed. Raises FeedDiedError."""
        while (frame := self.read(float("inf"))) is not None:
            yield frame

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames; known once it is started."""
        return self._running().layout.spec

    @property
    def lost(self) -> int:
        """Frames that were overwritten before they were read. What the camera lost is not among them."""
        return self._lost

    @property
    def torn(self) -> int:
        """Those among the lost that were overwritten while they were being read."""
        return self._torn

    @property
    def skipped(self) -> int:
        """Frames that `latest` left out for a newer one."""
        return self._skipped

    def start(self, timeout: float = 0.0) -> None:
        """Find the feed; the frames that come from now on are read, all of one that was waited for.

        Parameters
        ----------
        timeout : seconds to wait for a writer, if there is none yet.

        Raises
        ------
        FeedNotFoundError
            Nobody writes a feed of this name.
        FeedError
            It is damaged, or of another version.
        CameraStateError
            It is started already.
        """
        if self._segment is not None:
            raise CameraStateError(f"the reader of the feed {self._name} runs already; close it first")
        self._segment, was_there = _find(self._name, time.monotonic() + timeout)
        ring = self._segment.ring
        published = ring.published(ring.progress(), 0)
        self._next = published if was_there else max(0, ring.oldest(published))
        self._gap = self._lost = self._torn = self._skipped = 0
        self._camera_lost = None

    def read(self, timeout: float) -> CameraFrame | None:
        """Return the next frame, or None when the writer has closed the feed and all are read.

        `lost` of the frame counts what the camera lost and what this reader lost since the frame before.

        Raises
        ------
        CameraTimeoutError
            `timeout` seconds passed without a frame; reading again is fine.
        FeedDiedError
            The writer ended without closing the feed, and all that it wrote is read.
        CameraStateError
            It is not started.
        """
        deadline = time.monotonic() + timeout
        while self._await(deadline):
            frame = self._take()
            if frame is not None:
                return frame
        return None

    def latest(self, timeout: float) -> CameraFrame | None:
        """Return the newest frame, waiting for one that was not given yet; those before it are skipped.

        Raises what `read` does.
        """
        deadline = time.monotonic() + timeout
        while (count := self._await(deadline)) > 0:
            self._skipped += count - 1
            self._next += count - 1
            frame = self._take()
            if frame is not None:
                return frame
        return None

    def still_valid(self) -> bool:
        """Return whether the image that was given last has not been overwritten until now.

        Of copies it always is true.
        """
        return self._copy or self._is_whole(self._next - 1)

    def close(self) -> None:
        """Let go of the feed. Closing twice is harmless."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _await(self, deadline: float) -> int:
        """Wait until there are frames to read, and return how many; 0 at the end of the feed."""
        segment = self._running()
        ring = segment.ring
        while True:
            progress = ring.progress()
            count = ring.published(progress, self._next) - self._next
            if count or ring.ended(progress):
                return count
            if ring.wait(progress, min(max(deadline - time.monotonic(), 0.0), _LOOK_S)):
                continue
            if not segment.is_alive() and ring.progress() == progress:
                raise FeedDiedError(
                    f"the writer of the feed {self._name}, process {segment.layout.pid}, ended without "
                    "closing it; once it runs again, close and start this reader"
                )
            if time.monotonic() >= deadline:
                raise CameraTimeoutError(f"the feed {self._name} gave no frame in time; its writer lives")

    def _take(self) -> CameraFrame | None:
        """Return the next frame, which was published, or None if it was overwritten."""
        ring = self._running().ring
        sequence = self._next
        if not self._is_whole(sequence):
            self._fall_behind()
            return None
        header, image = ring.header(sequence), ring.image(sequence)
        if self._copy:
            image = image.copy()
        if not self._is_whole(sequence):
            self._torn += 1
            self._fall_behind()
            return None
        self._next += 1
        return self._frame(header, image)

    def _frame(self, header: SlotHeader, image: Image) -> CameraFrame:
        camera_lost = header.lost if self._camera_lost is None else header.lost_ever - self._camera_lost
        lost, self._gap, self._camera_lost = camera_lost + self._gap, 0, header.lost_ever
        return CameraFrame(
            image=image,
            index=header.index,
            number=header.number,
            time=header.time,
            arrived_ns=header.arrived_ns,
            device_number=header.device_number,
            device_ns=header.device_ns,
            lost=lost,
            incomplete=header.incomplete,
        )

    def _is_whole(self, sequence: int) -> bool:
        """Return whether what was loaded of a frame before this call was not being overwritten."""
        return self._running().ring.oldest(sequence) <= sequence

    def _fall_behind(self) -> None:
        """Go on with a frame that is not about to be overwritten, too, and count those before it as lost."""
        segment = self._running()
        ring = segment.ring
        published = ring.published(ring.progress(), self._next)
        margin = max(1, segment.layout.slots // 4)
        resume = min(ring.oldest(self._next) + margin, published)
        self._lost += resume - self._next
        self._gap += resume - self._next
        self._next = resume

    def _running(self) -> ReadSegment:
        if self._segment is None:
            raise CameraStateError(f"the reader of the feed {self._name} is not started; start it first")
        return self._segment


def _find(name: str, deadline: float) -> tuple[ReadSegment, bool]:
    """Return a feed, and whether it was there at once."""
    was_there = True
    while True:
        try:
            return ReadSegment(name), was_there
        except FeedNotFoundError:
            if time.monotonic() >= deadline:
                raise
        was_there = False
        time.sleep(_POLL_S)
