"""Ctrl-C that waits until a piece of work is done, and signals that wait until a process has begun."""

import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
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


@contextmanager
def signals_held(signals: Collection[int]) -> Iterator[None]:
    """Hold signals back from this thread, and from processes that it spawns meanwhile.

    These inherit it: until they know what to do with a signal, it must not end them.
    """
    resource_tracker.ensure_running()  # started with the first process, it would let the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
