"""Where a file that is made of a store may lie, and how far it is."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from imgstore.errors import OutputExistsError

FrameProgress = Callable[[int, int], None]
"""Called with how many frames are done and how many there are."""

Tick: TypeAlias = Callable[[], None]
"""Called after each frame."""


def check_output(destination: str | os.PathLike[str], *, force: bool) -> Path:
    """Return the path of a file to be written. Raises OutputExistsError if there is something already."""
    place = Path(destination)
    if place.is_dir() or (place.exists() and not force):
        raise OutputExistsError(f"{place} exists already; give another name, or --force")
    return place


def check_outside(place: Path, store: Path) -> None:
    """Raise OutputExistsError if a file would lie in the folder of the store that it is made of."""
    if store.resolve() in place.resolve().parents:
        raise OutputExistsError(f"{place} would lie in the store {store}; give another folder")


def counter(total: int, progress: FrameProgress | None, is_over: Callable[[], bool]) -> Tick:
    """Return what counts frames; it raises KeyboardInterrupt once `is_over`."""
    done = 0

    def tick() -> None:
        nonlocal done
        if is_over():
            raise KeyboardInterrupt
        done += 1
        if progress is not None:
            progress(done, total)

    return tick
