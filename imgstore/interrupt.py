"""Ctrl-C that waits until a piece of work is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Set an event at Ctrl-C instead of raising in the middle of a write; the second Ctrl-C raises.

    Only the main thread gets Ctrl-C; elsewhere, or where a program has its own handler, nothing is changed.
    """
    pressed = threading.Event()
    previous = signal.getsignal(signal.SIGINT)
    if (
        threading.current_thread() is not threading.main_thread()
        or previous is not signal.default_int_handler
    ):
        yield pressed
        return

    def handle(number: int, stack: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, previous)
