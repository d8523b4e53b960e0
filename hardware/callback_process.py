"""A user's function that looks at the frames of a live feed in a process of its own."""

import multiprocessing
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TypeAlias

from hardware.callback import as_record, find_function
from hardware.errors import CaptureError, HardwareError, SettingError
from hardware.feed.reader import FeedReader
from hardware.frame import CameraFrame
from imgstore import Frame

RecordTaker: TypeAlias = Callable[[Mapping[str, object]], None]

_START_S = 30.0  # that the recording may take to show its first frame
_ANSWER_S = 10.0


class CallbackProcess:
    """Runs a function over the frames of a feed, and hands back what it returns.

    The function cannot slow the recording down, nor take it along if it crashes. If it is too slow it misses
    frames, which `CameraFrame.lost` of the next one counts.

    Parameters
    ----------
    feed : name of the live feed; it may begin later.
    where : "package.module:function", see `FrameFunction`.
    last : how many of the last frames it gets, the present one among them.
    results : gets what it returns as a record that names the frame (see `as_record`), in a thread of this
        process: `queue.put`, or `Recorder.append_extra`.
    """

    def __init__(self, feed: str, where: str, *, last: int = 1, results: RecordTaker | None = None) -> None:
        if last < 1:
            raise SettingError(f"a callback gets the last frame at least, not {last}")
        find_function(where)
        self._arguments = (feed, where, last)
        self._results = results
        self._process: multiprocessing.process.BaseProcess | None = None
        self._thread: threading.Thread | None = None
        self._error: str | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Start the process. Raises SettingError if it runs already."""
        if self._process is not None:
            raise SettingError("this callback runs already; make another")
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_look, args=(*self._arguments, there), name="callback")
        self._process.start()
        there.close()
        self._thread = threading.Thread(target=self._listen, args=(here,), name="callback results")
        self._thread.start()

    def stop(self) -> None:
        """Wait until the function has seen the end of the feed, ten seconds at most, and end the process.

        Raises CaptureError with what the function raised, or if its process died. Stopping twice is harmless.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.join(_ANSWER_S)
        self._is_stopping = process.is_alive()
        process.kill()
        process.join()
        code = process.exitcode
        process.close()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise CaptureError(f"the callback {self._arguments[1]} failed: {self._error}")
        if code and not self._is_stopping:
            raise CaptureError(f"the process of the callback {self._arguments[1]} died, code {code}")

    def append(self, frame: Frame) -> None:
        """Do nothing, since frames come by the feed; so it can stand behind that among a recorder's taps."""

    def close(self) -> None:
        """The same as `stop`; the feed has to be closed before."""
        self.stop()

    def __enter__(self) -> "CallbackProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listen(self, connection: Connection) -> None:
        with connection, suppress(EOFError, OSError):
            while True:
                said = connection.recv()
                if isinstance(said, str):
                    self._error = said
                elif self._results is not None:
                    self._results(said)


def _look(feed: str, where: str, last: int, connection: Connection) -> None:
    """Call the function for each frame until the feed ends; the whole of the process."""
    function = find_function(where)
    reader = FeedReader(feed)
    frames: deque[CameraFrame] = deque(maxlen=last)
    try:
        reader.start(_START_S)
        for frame in reader:
            frames.append(frame)
            result = function(frame, tuple(frames))
            if result is not None:
                connection.send(as_record(where, frame, result))
    except HardwareError as exc:  # the recording died, or never began
        connection.send(str(exc))
    except Exception as exc:  # noqa: BLE001  # raised in `stop`
        connection.send(f"{type(exc).__name__}: {exc}")
    finally:
        reader.close()
        connection.close()
