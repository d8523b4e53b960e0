"""A user's function that looks at frames while they are recorded, and never holds the recording up."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TypeAlias

from hardware.errors import SettingError
from hardware.frame import CameraFrame
from imgstore import ClosedError, Frame

FrameFunction: TypeAlias = Callable[[CameraFrame, Sequence[CameraFrame]], Mapping[str, object] | None]
"""Gets a frame and the last ones, that frame last; what it returns, if anything, is JSON-like, by name."""

ResultTaker: TypeAlias = Callable[[CameraFrame, Mapping[str, object]], None]

_WAITING = 8  # frames
_POLL_S = 0.1
_ANSWER_S = 10.0


def find_function(where: str) -> FrameFunction:
    """Return the function of "package.module:name". Raises SettingError if there is none."""
    module, colon, name = where.partition(":")
    if not (module and colon and name):
        raise SettingError(f"a function is named as package.module:name, not {where!r}")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise SettingError(f"there is no function {where}: {exc}") from exc
    if not callable(function):
        raise SettingError(f"{where} is no function but {type(function).__name__}")
    return function  # type: ignore[no-any-return]


class Callback:
    """A sink that hands frames to a function, in a thread of its own.

    If the function is too slow, it does not get every frame: of those that wait the oldest are left out, and
    counted. An error that it raises ends it, and comes out of `close`.

    Parameters
    ----------
    function : gets each frame and the last ones. It must not change them: others have them, too.
    last : how many of the last frames it gets, the present one among them.
    results : gets what it returns, with the frame, in the same thread.
    """

    def __init__(self, function: FrameFunction, *, last: int = 1, results: ResultTaker | None = None) -> None:
        if last < 1:
            raise SettingError(f"a callback gets the last frame at least, not {last}")
        self._function = function
        self._last: deque[CameraFrame] = deque(maxlen=last)
        self._results = results
        self._waiting: deque[CameraFrame] = deque()
        self._some = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.seen = 0
        self.left_out = 0

    def append(self, frame: Frame) -> None:
        """Hand over a frame; returns at once."""
        if not isinstance(frame, CameraFrame):
            raise TypeError(f"a callback gets the frames of cameras, not {type(frame).__name__}")
        with self._some:
            if self._is_closed:
                raise ClosedError("the callback is closed; no more frames can be handed to it")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="callback", daemon=True)
                self._thread.start()
            if len(self._waiting) == _WAITING:
                self._waiting.popleft()
                self.left_out += 1
            self._waiting.append(frame)
            self._some.notify()

    def close(self) -> None:
        """Let the function see what waits, and end. Raises what it raised. Closing twice is harmless."""
        with self._some:
            if self._is_closed:
                return
            self._is_closed = True
            self._some.notify()
        if self._thread is not None:
            self._thread.join(_ANSWER_S)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while (frame := self._next()) is not None:
                self._last.append(frame)
                result = self._function(frame, tuple(self._last))
                self.seen += 1
                if result is not None and self._results is not None:
                    self._results(frame, result)
        except Exception as exc:  # noqa: BLE001  # raised in `close`
            self._error = exc
            with self._some:
                self._waiting.clear()

    def _next(self) -> CameraFrame | None:
        with self._some:
            while not self._waiting:
                if self._is_closed:
                    return None
                self._some.wait(_POLL_S)
            return self._waiting.popleft()


def as_record(name: str, frame: CameraFrame, result: Mapping[str, object]) -> dict[str, object]:
    """Return what a callback said as a record of extra data, with its frame, and how late it came."""
    delay_ms = (time.monotonic_ns() - frame.arrived_ns) / 1e6
    return {
        "callback": name,
        "of_number": frame.number,
        "of_time": frame.time,
        "delay_ms": round(delay_ms, 3),
        **result,
    }
