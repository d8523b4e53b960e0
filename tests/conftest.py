"""Fixtures for all tests: made recordings, real recordings, and a check that nothing stays open."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import imgstore
from imgstore import Frame, Image

ROOT = Path(__file__).parents[1]

FORMATS_HERE = [name for name in imgstore.FORMATS.names() if "+" not in name and "nvenc" not in name]
"""Formats that any machine can write and that keep grey as grey."""

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

MakeImages = Callable[..., list[Image]]


@pytest.fixture(autouse=True)
def nothing_stays_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves files or threads open."""
    before_files, before_threads = _open_files(), set(threading.enumerate())
    gc.freeze()  # or each collection looks through all modules and all tests, which takes 0.2 s
    yield
    gc.collect()
    left = sorted(_open_files() - before_files)
    assert not left, f"files left open: {left}"
    threads = [thread.name for thread in set(threading.enumerate()) - before_threads if thread.is_alive()]
    assert not threads, f"threads left running: {threads}"


def _open_files() -> set[str]:
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = str(Path(entry.path).readlink())
        except OSError:
            continue  # the one that scandir itself had open
        if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/sys/", sys.prefix)):
            found.add(target)
    return found


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real recordings."""
    folder = Path(os.environ.get("ETHOSTORE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "arena_10x2.mp4").exists():
        pytest.skip("no real recordings: set ETHOSTORE_DATA to the folder that holds arena_10x2.mp4")
    return folder


def numbered_images(shape: tuple[int, ...], count: int, dtype: str = "uint8") -> list[Image]:
    """Return images that tell which one they are: a bright bar whose place is the number, on a gradient."""
    images = []
    for number in range(count):
        image = np.empty(shape, dtype)
        ramp = np.linspace(20, 120, shape[1]).astype(dtype)
        image[...] = ramp if len(shape) == 2 else ramp[:, None]
        column = (number * 3) % (shape[1] - 4)
        image[:, column : column + 4] = 220
        images.append(image)
    return images


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Path]:
    """Make a finished store of numbered images."""

    def make(
        *,
        format: str = "npy",  # noqa: A002
        shape: tuple[int, ...] = (32, 48),
        numbers: list[int] | None = None,
        times: list[float] | None = None,
        chunksize: int = 5,
        name: str = "made.store",
    ) -> Path:
        numbers = list(range(12)) if numbers is None else numbers
        times = [1000.0 + 0.05 * number for number in numbers] if times is None else times
        images = numbered_images(shape, len(numbers))
        with imgstore.create(tmp_path / name, shape, format=format, chunksize=chunksize) as writer:
            for index, (image, number, time) in enumerate(zip(images, numbers, times, strict=True)):
                writer.append(Frame(image, index, number, time))
        return tmp_path / name

    return make
