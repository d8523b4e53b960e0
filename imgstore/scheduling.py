"""How threads are scheduled, and who may change that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Undo what the body does to the scheduling of the thread that runs it, and of threads that it starts.

    SVT-AV1 makes both real-time threads of the highest priority where it may, that is, as root: what they
    leave of the processors is all that there is for anybody else. Processes that they fork are the same.
    """
    if not hasattr(os, "sched_setscheduler") or not _THREADS.is_dir():
        yield
        return
    policy, parameters, before = os.sched_getscheduler(0), os.sched_getparam(0), _threads()
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            for thread in (0, *(_threads() - before)):
                with suppress(ProcessLookupError):  # it has ended
                    os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    return {int(entry.name) for entry in _THREADS.iterdir()}
