"""Stores with one damaged file, read in a process of its own, which may crash, hang, or eat memory.

Run as python -m tests.faults.hostile (truncate | flip) STORE COUNT: every case is named before it is
tried, so that the last line says which one was fatal.
"""

import random
import resource
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import av
import numpy as np

import imgstore
from imgstore import Frame, ImgstoreError
from tests.conftest import ROOT

SHAPE = (16, 24)
FRAMES = 5
CHUNKSIZE = 3
LOSSLESS = ("npy", "blosc2", "png", "tif", "bmp", "ffv1/mkv")
MEMORY = 4 << 30  # bytes of addresses; libraries reserve much more than they use
CASE_S = 20


def picture(number):
    """Return an image that tells its number to any codec, by blocks that are dark or bright."""
    blocks = np.array([40 + 170 * (number + 1 >> bit & 1) for bit in range(6)], np.uint8)
    return np.repeat(np.repeat(blocks.reshape(2, 3), 8, axis=0), 8, axis=1)


def number_in(image):
    """Return the number that an image tells."""
    return sum(1 << bit for bit, level in enumerate(image[4::8, 4::8].ravel()) if level > 125) - 1


def make(path, fmt):
    """Make a store with numbers 10, 11 ... and extra data."""
    with imgstore.create(path, SHAPE, format=fmt, chunksize=CHUNKSIZE, metadata={"fly": "CS"}) as writer:
        for n in range(FRAMES):
            writer.append(Frame(picture(n), 0, 10 + n, 1000 + n / 10))
            writer.append_extra({"light": n})
    return path


def read(path, *, pixels=True):
    """Read all that can be read, and raise AssertionError if anything of it is not what was written.

    Parameters
    ----------
    pixels : whether images have to be right, not numbers and times only.
    """
    try:
        with imgstore.open(path) as store:
            assert store.state in ("complete", "interrupted")
            for index in range(len(store)):
                number, time = int(store.numbers[index]), float(store.times[index])
                assert time == 1000 + (number - 10) / 10, f"frame {number} has time {time}"
                try:
                    image = store[index].image
                except ImgstoreError:
                    continue
                assert image.shape == SHAPE
                if pixels:
                    assert number_in(image) == number - 10, f"frame {number} shows {number_in(image)}"
                    if store.metadata.format in LOSSLESS:
                        np.testing.assert_array_equal(image, picture(number - 10))
            records = store.extra()
            assert records is None or not pixels or set(records["light"]) <= set(range(FRAMES))
    except ImgstoreError:
        pass


def images_of(path):
    """Return the video of the first chunk, or the first image in its folder."""
    (found,) = [
        file
        for file in (*path.glob("000000.*"), *path.glob("000000/000000.*"))
        if not file.name.endswith((".npz", ".json"))
    ]
    return found


def truncate(path, every):
    """Cut images at every byte and read the chunk; at every n-th read the whole store."""
    with imgstore.open(path) as store:
        chunk_format = imgstore.FORMATS.get(store.metadata.format)
        spec = store.metadata.stored_spec
    file = images_of(path)
    whole = file.read_bytes()
    for length in range(len(whole)):
        print(file.relative_to(path), length, flush=True)
        signal.alarm(CASE_S)
        file.write_bytes(whole[:length])
        if length % every == 0:
            read(path)
            continue
        with (
            suppress(ImgstoreError),
            closing(chunk_format.open_reader(path / f"000000{chunk_format.suffix}", spec)) as reader,
        ):
            for offset in range(len(reader)):
                assert number_in(reader.read(offset)) == offset, f"image {offset} is another"


def flip(path, count):
    """Flip bits here and there in every file; what is of a finished chunk must be found by its checksum."""
    chance = random.Random(0)  # noqa: S311
    files = {
        images_of(path),
        *(file for file in path.rglob("*") if file.is_file() and "0000/0" not in str(file)),
    }
    for file in sorted(files):
        whole = file.read_bytes()
        name = str(file.relative_to(path))
        for place in sorted(chance.sample(range(len(whole)), min(count, len(whole)))):
            bit = chance.randrange(8)
            print(name, place, bit, flush=True)
            signal.alarm(CASE_S)
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            read(path, pixels=not name.startswith("0"))
            found = imgstore.verify(path, decode=False)
            assert not (name.startswith("0") and found.ok), "verify finds nothing"
        file.write_bytes(whole)


def in_child(*arguments):
    """Run this module in another process. Raises AssertionError with the case that ended it."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.faults.hostile", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1:]
    assert done.returncode == 0, f"{arguments}: {done.returncode} at {last}\n{done.stderr[-2000:]}"


def main():
    """Do what the command line says."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    av.logging.set_level(None)
    {"truncate": truncate, "flip": flip}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))


if __name__ == "__main__":
    main()
