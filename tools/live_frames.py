"""The frames of a live feed for a tracker, which may be busy for some seconds."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from queue import Empty, Full, Queue

from hardware import CameraTimeoutError, FeedReader, HardwareError
from imgstore import Frame
from tracking import LiveFrames

_LOOK_S = 0.1
_MOST_BYTES = 512 << 20  # of frames that wait
_MOST_FRAMES = 1000


def feed_frames(name: str, stack: ExitStack, wait: float) -> LiveFrames:
    """Return the frames of a live feed from now on; `stack` lets go of it.

    Parameters
    ----------
    wait : seconds to wait for its writer.

    Raises FeedNotFoundError.
    """
    reader = FeedReader(name)
    reader.start(wait)
    stack.callback(reader.close)
    ahead = _ReadAhead(reader)
    ahead.start()
    stack.callback(ahead.stop)
    return ahead.frames


class _ReadAhead:
    """Reads a feed in a thread: its ring holds a second or two, and learning a background takes longer.

    Parameters
    ----------
    reader : started.
    """

    def __init__(self, reader: FeedReader) -> None:
        self._reader = reader
        room = max(
            1, min(_MOST_FRAMES, _MOST_BYTES // (math.prod(reader.spec.shape) * reader.spec.dtype.itemsize))
        )
        self._waiting: Queue[Frame | HardwareError | None] = Queue(room)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="read feed")

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._ended.set()
        self._thread.join()

    def frames(self, is_over: Callable[[], bool]) -> Iterator[Frame]:
        """Yield the frames, until the feed ends or `is_over`. Raises FeedDiedError."""
        while True:
            try:
                found = self._waiting.get(timeout=_LOOK_S)
            except Empty:
                if is_over():
                    return
                continue
            if found is None:
                return
            if isinstance(found, HardwareError):
                raise found
            yield found

    def _read(self) -> None:
        last = False
        while not last and not self._ended.is_set():
            found: Frame | HardwareError | None
            try:
                found = self._reader.read(_LOOK_S)
            except CameraTimeoutError:
                continue
            except HardwareError as exc:
                found = exc
            last = not isinstance(found, Frame)
            while not self._ended.is_set():  # while there is no room the feed itself keeps what it can
                with suppress(Full):
                    self._waiting.put(found, timeout=_LOOK_S)
                    break
