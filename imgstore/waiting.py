"""Waiting for what another process writes."""

import time
from collections.abc import Callable

POLL_S = 0.003


def wait(ready: Callable[[], bool], hope: Callable[[], bool]) -> bool:
    """Wait until something is ready; return False when there is no hope left that it will be."""
    while not ready():
        if not hope():
            return ready()
        time.sleep(POLL_S)
    return True
