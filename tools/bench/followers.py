"""Who takes the frames of `tools.bench.recorder` while they are recorded, and says when they came."""

import time
from pathlib import Path
from typing import TypeAlias

import imgstore
from hardware import FeedReader

Arrivals: TypeAlias = list[tuple[int, int]]
"""Number of each frame, and when it came, in nanoseconds of the monotonic clock."""

_PATIENCE_S = 60.0
_POLL_S = 0.01


def follow_store(path: str) -> Arrivals:
    """Read each frame of a store that somebody is about to make, as soon as it is there."""
    give_up = time.monotonic() + _PATIENCE_S
    while not (Path(path) / "metadata.yaml").exists():
        if time.monotonic() > give_up:
            return []
        time.sleep(_POLL_S)
    with imgstore.open(path) as store:
        return [(int(frame.number), time.monotonic_ns()) for frame in store.follow()]


def read_feed(name: str) -> Arrivals:
    """Take each frame of a live feed that somebody is about to make."""
    reader = FeedReader(name)
    reader.start(_PATIENCE_S)
    try:
        return [(int(frame.number), time.monotonic_ns()) for frame in reader]
    finally:
        reader.close()
