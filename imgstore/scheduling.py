"""How threads are scheduled, and who may change that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Undo what the body does to the scheduling of the thread that runs it.

    SVT-AV1 makes its caller and its own threads real-time ones of the highest priority where it may, that is,
    as root: what they leave of the processors is all that there is for anybody else, and processes that the
    caller forks are the same. Its own threads, which are idle but for the frames they are given, are left as
    they are: with others' priority they were seen to wait for each other for ever (SVT-AV1 4.1, low delay).
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
