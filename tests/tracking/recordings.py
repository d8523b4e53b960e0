"""Stores of made recordings, and runs over them in processes that can be killed."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import h5py
import numpy as np

import imgstore
from imgstore import Frame
from tests.conftest import ROOT
from tests.tracking.arenas import Arena, walk
from tracking import ResultFileError, open_results

SHAPE = (60, 100)
LAYOUT = """regions:
  - {polygon: [[0, 0], [49, 0], [49, 59], [0, 59]], name: left}
  - {polygon: [[50, 0], [99, 0], [99, 59], [50, 59]], name: right}
"""
_DISTINCT = 100


@cache
def images():
    """Return images of two animals, one on its way and one that sits."""
    paths = [walk(_DISTINCT, (10, 12), (40, 48)), walk(_DISTINCT, (75, 30), (75, 30))]
    return tuple(frame.image for frame in Arena(paths, shape=SHAPE, axes=(12, 6)))


def frames(count, *, step=1 / 20, first=0):
    """Yield frames in which the animal walks to and fro."""
    for index in range(first, first + count):
        place = index % (2 * _DISTINCT)
        image = images()[min(place, 2 * _DISTINCT - 1 - place)]
        yield Frame(image, index, index, 1000.0 + index * step)


def store_of(path, given, *, format="npy", chunksize=100, shape=SHAPE, dtype="uint8"):  # noqa: A002
    """Make a store of these frames, and return its path."""
    with imgstore.create(path, shape, format=format, chunksize=chunksize, dtype=dtype) as writer:
        for frame in given:
            writer.append(frame)
    return path


def layout_file(folder):
    """Write the layout of the two animals, and return its path."""
    path = Path(folder) / "halves.yaml"
    path.write_text(LAYOUT)
    return str(path)


def datasets(path):
    """Return the bytes of all datasets of a result."""
    found = {}
    with h5py.File(path, "r", locking=False) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[...].tobytes()}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def rows_so_far(path):
    """Return how many frames a result that is being written holds; -1 as long as there is none."""
    try:
        with open_results(path) as results:
            return len(results.frames)
    except (ResultFileError, OSError, KeyError):
        return -1  # it is just being made


def run_script(script, *arguments, check=False):
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=check,
    )


def still(count):
    """Yield frames in which there is nothing."""
    noise = np.random.default_rng(0)
    for index in range(count):
        image = np.clip(noise.normal(150, 2, SHAPE), 0, 255).astype(np.uint8)
        yield Frame(image, index, index, 1000.0 + index / 20)
