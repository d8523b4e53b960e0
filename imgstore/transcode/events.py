"""Events of a store, to go with its frames into another one."""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from imgstore.errors import ChunkError
from imgstore.events import EVENTS_FILENAME, Event, load_events, mend_events, save_events
from imgstore.layout import open_plain, replacing
from imgstore.lost import GAP, claim_of
from imgstore.reader import StoreReader
from imgstore.totals import ENDED


def copy_events(source: Path, folder: Path) -> None:
    """Copy all events of a store, up to the last whole line.

    Raises ChunkError if the file cannot be read, or the disk refuses.
    """
    path = source / EVENTS_FILENAME
    try:
        file = open_plain(path)
    except FileNotFoundError:
        save_events(folder, ())
        return
    except OSError as exc:
        raise ChunkError(_unreadable(path, exc.strerror)) from exc
    with file, _writing(folder):
        with replacing(folder / EVENTS_FILENAME) as copy:
            shutil.copyfileobj(file, copy)
        mend_events(folder)


def cut_events(reader: StoreReader, frames: range, folder: Path) -> None:
    """Write the events of some frames of a store into another one.

    These are gaps whose numbers lie among those of the frames, and whatever else happened from the first to
    the last. What happened before the first frame of the store goes with that frame, what happened after the
    last with that. The sums with which a recording ended are those of the whole store, and go with it alone.

    Raises ChunkError if the file of events cannot be read, or the disk refuses.
    """
    found = load_events(reader.path)
    if found.problem:
        raise ChunkError(_unreadable(reader.path / EVENTS_FILENAME, found.problem))
    span = _Span(reader, frames)
    with _writing(folder):
        save_events(folder, filter(span.holds, found.events))


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ChunkError(f"{folder / EVENTS_FILENAME} cannot be written ({exc.strerror})") from exc


def _unreadable(path: Path, reason: str | None) -> str:
    return f"the events {path} cannot be copied ({reason}); move the file away to do without them"


class _Span:
    """Which numbers and times the frames of a part have."""

    def __init__(self, reader: StoreReader, frames: range) -> None:
        part = slice(frames.start, frames.stop)
        begins, ends = frames.start == 0, frames.stop == len(reader)
        self._is_whole = begins and ends
        numbers, times = reader.numbers[part], reader.times[part]
        known = times[np.isfinite(times)]
        self._first = -math.inf if begins else int(numbers.min())
        self._last = math.inf if ends else int(numbers.max())
        self._start = -math.inf if begins else float(known.min(initial=math.inf))
        self._stop = math.inf if ends else float(known.max(initial=-math.inf))

    def holds(self, event: Event) -> bool:
        """Return whether an event goes with these frames."""
        if event.kind == ENDED and not self._is_whole:
            return False
        claim = claim_of(event) if event.kind == GAP else None
        if claim is None or claim.first is None or claim.last is None:
            return self._start <= event.time <= self._stop
        return claim.first <= self._last and claim.last >= self._first
