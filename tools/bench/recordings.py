"""The recordings and stores that `tools.bench.store` measures on."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import imgstore
from imgstore import FormatSettings, Frame, Image
from tools.bench.mark import mark

RATE = 25
START = 1.7e9
"""Time of the first frame of what is made here."""

_BLOBS = 8
_NOISE = 2.0  # standard deviation, grey levels
_NOISES = 16


@dataclass(frozen=True, slots=True)
class Recording:
    """Grey frames, each with its number in the corner.

    Attributes
    ----------
    name : for people.
    images : yields that many.
    """

    name: str
    images: Callable[[int], Iterator[Image]]


@dataclass(frozen=True, slots=True)
class VideoStore:
    """A store of one chunk of H.264.

    Attributes
    ----------
    store, file : the folder, and the video in it.
    count : of frames.
    """

    store: Path
    file: Path
    count: int


def looped(video: Path) -> Recording:
    """Return a real recording, from the start again when it ends."""

    def images(count: int) -> Iterator[Image]:
        with imgstore.open_video(video) as source:
            for number in range(count):
                image = source[number % len(source)].image
                mark(image, number)
                yield image

    with imgstore.open_video(video) as source:
        rows, columns = source.spec.shape[:2]
    return Recording(f"{video.stem} {columns}x{rows}", images)


def made() -> Recording:
    """Return dark blobs that wander over a still texture, with a camera's noise."""

    def images(count: int) -> Iterator[Image]:
        random = np.random.default_rng(0)
        texture = cv2.GaussianBlur(random.normal(0, 1, (480, 640)), (0, 0), 3)
        floor = 128 + 30 * texture / texture.std()
        noises = random.normal(0, _NOISE, (_NOISES, 480, 640))
        phases = random.uniform(0, 2 * np.pi, (_BLOBS, 4))
        for number in range(count):
            image = np.clip(floor + noises[random.integers(_NOISES)], 0, 255).astype(np.uint8)
            for x, y, fast, slow in phases:
                turn = number / 40
                place = (320 + 280 * np.sin(x + turn * (1 + fast / 9)), 240 + 200 * np.sin(y + turn + slow))
                cv2.circle(image, (round(place[0]), round(place[1])), 9, 25, cv2.FILLED)
            mark(image, number)
            yield image

    return Recording("made 640x480", images)


def make_video_store(folder: Path, recording: Recording, count: int, gop: int) -> VideoStore:
    """Record a store of H.264 with a keyframe every `gop` frames."""
    images = recording.images(count)
    first = next(images)
    with imgstore.create(
        folder, first.shape, format="h264/mkv", chunksize=count, settings=FormatSettings(gop=gop)
    ) as writer:
        writer.append(Frame(first, 0, 0, START))
        for number, image in enumerate(images, 1):
            writer.append(Frame(image, number, number, START + number / RATE))
    return VideoStore(folder, folder / "000000.mkv", count)


def make_index_store(folder: Path, chunks: int, frames: int) -> None:
    """Make a store of many frames, of which only the indexes are real: all chunks are the same short video.

    The numbers have a gap in every chunk, as a camera's do.

    Parameters
    ----------
    frames : per chunk.
    """
    video = make_video_store(folder, made(), 2, gop=1)
    index = video.file.with_suffix(".npz")
    with np.load(index, allow_pickle=False) as content:
        others = {name: content[name] for name in content if not name.startswith("frame_")}
    for chunk in range(chunks):
        if chunk:
            os.link(video.file, folder / f"{chunk:06d}.mkv")
        places = np.arange(chunk * frames, (chunk + 1) * frames)
        np.savez(
            folder / f"{chunk:06d}.npz",
            frame_number=places + chunk,
            frame_time=START + places / RATE,
            **others,
        )


def forget_index(store: Path) -> None:
    """Remove the copy of all indexes, so that the next opening is the first."""
    (store / ".frames.index").unlink(missing_ok=True)


def images_at(recording: Recording, indices: list[int]) -> Image:
    """Return the frames at rising indices, shape (n, rows, columns)."""
    wanted = set(indices)
    images = enumerate(recording.images(max(indices) + 1))
    return np.stack([image for number, image in images if number in wanted])
