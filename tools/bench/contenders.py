"""Who takes part in `tools.bench.store`, and how each does what is measured.

A contender runs in the environment that has its packages: what it needs, ours included, its `load` imports.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from tools.bench.mark import Grey
from tools.bench.peer import UnableError

Picture: TypeAlias = Any  # of whatever kind the contender gives: array, tensor, frame of the decoder

Place: TypeAlias = tuple[int, int]
"""Chunk, and offset in it."""

_THREADS = 2
_NO_H264 = "cannot write H.264: OpenCV's wheels have no encoder"


class Video(Protocol):
    """A video file, or a store with one chunk, opened by a contender."""

    def in_order(self) -> Iterator[Picture]:
        """Yield all frames."""

    def at(self, index: int) -> Picture:
        """Return one frame."""

    def batch(self, indices: list[int]) -> Iterable[Picture]:
        """Return frames at rising indices."""

    def grey(self, picture: Picture) -> Grey:
        """Return luma or one of three equal channels, without converting."""

    def close(self) -> None:
        """Let go of the file."""


class Lookup(Protocol):
    """Tells where frames are; closed with the process."""

    def by_index(self, index: int) -> Place:
        """Return chunk and offset."""

    def by_number(self, number: int) -> Place:
        """Return the same."""

    def by_time(self, time: float) -> Place:
        """Return the same, of the frame whose time is nearest."""


class Contender:
    """What a contender can do; what it does not override it cannot."""

    packages: tuple[str, ...] = ()

    def load(self) -> None:
        """Import what it needs."""

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        """Open a store of one chunk, or the file that is its chunk."""
        raise NotImplementedError

    def writer(self, chunk_format: str, path: Path, images: list[Grey]) -> Callable[[], None]:
        """Return what writes the images, from opening to closing."""
        raise UnableError("does not write")

    def lookup(self, store: Path) -> Lookup:
        """Open a store to look for frames in it."""
        raise UnableError("does not read stores")


class Ethostore(Contender):
    """This package."""

    packages = ("ethostore",)

    def load(self) -> None:
        import imgstore

        self._imgstore = imgstore

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        return _StoreVideo(self._imgstore.open(store))

    def writer(self, chunk_format: str, path: Path, images: list[Grey]) -> Callable[[], None]:
        frame = self._imgstore.Frame

        def write() -> None:
            with self._imgstore.create(path, images[0].shape, format=chunk_format) as writer:
                for place, image in enumerate(images):
                    writer.append(frame(image, place, place, 1e9 + place / 25))

        return write

    def lookup(self, store: Path) -> Lookup:
        return _StoreLookup(self._imgstore.open(store).index)


class _StoreVideo:
    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def in_order(self) -> Iterator[Picture]:
        return (frame.image for frame in self._reader)

    def at(self, index: int) -> Picture:
        return self._reader[index].image

    def batch(self, indices: list[int]) -> Iterable[Picture]:
        return cast("Grey", self._reader[indices])

    def grey(self, picture: Picture) -> Grey:
        return cast("Grey", picture)

    def close(self) -> None:
        self._reader.close()


class _StoreLookup:
    def __init__(self, index: Any) -> None:
        self._index = index

    def by_index(self, index: int) -> Place:
        return cast("Place", self._index.locate(index))

    def by_number(self, number: int) -> Place:
        return cast("Place", self._index.locate(self._index.of_number(number)))

    def by_time(self, time: float) -> Place:
        return cast("Place", self._index.locate(self._index.nearest_time(time)))


class Bare(Contender):
    """The codec and the container alone."""

    packages = ("av",)

    def load(self) -> None:
        from tools.bench import bare

        self._bare = bare

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        video = self._bare.BareVideo(file, "AUTO" if in_order else "SLICE", _THREADS)
        return _BareVideo(video, self._bare.luma_of)

    def writer(self, chunk_format: str, path: Path, images: list[Grey]) -> Callable[[], None]:
        if "/" in chunk_format:
            path = path.with_suffix("." + chunk_format.split("/")[1])
            return self._bare.bare_writer(chunk_format, path, images, "balanced")
        return self._bare.bare_image_writer(chunk_format, path, images, "balanced")


class _BareVideo:
    def __init__(self, video: Any, grey: Callable[[Picture], Grey]) -> None:
        self._video = video
        self.grey = grey
        self._is_listed = False

    def in_order(self) -> Iterator[Picture]:
        return cast("Iterator[Picture]", self._video.in_order())

    def at(self, index: int) -> Picture:
        if not self._is_listed:
            self._video.list_packets()
            self._is_listed = True
        return self._video.at(index)

    def batch(self, indices: list[int]) -> Iterable[Picture]:
        return map(self.at, indices)

    def close(self) -> None:
        self._video.close()


class OpenCv(Contender):
    """OpenCV with its FFmpeg, reading the luma plane alone, which is its fastest way."""

    packages = ("opencv-python",)

    def load(self) -> None:
        os.environ["OPENCV_LOG_LEVEL"] = "ERROR"  # it warns of reading luma alone, once a frame
        import cv2

        cv2.setNumThreads(_THREADS)
        self._cv2 = cv2

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        return _OpenCvVideo(self._cv2, file)

    def writer(self, chunk_format: str, path: Path, images: list[Grey]) -> Callable[[], None]:
        if chunk_format == "h264/mkv":
            raise UnableError(_NO_H264)
        if chunk_format == "npy":
            raise UnableError("does not write npy")
        cv2, (rows, columns) = self._cv2, images[0].shape

        def write_images() -> None:
            path.mkdir()
            for place, image in enumerate(images):
                cv2.imwrite(f"{path}/{place:06d}.{chunk_format}", image)

        def write_video() -> None:
            code = cv2.VideoWriter.fourcc(*"MJPG")
            file = str(path.with_suffix(".avi"))
            writer = cv2.VideoWriter(file, cv2.CAP_FFMPEG, code, 25, (columns, rows), isColor=False)
            for image in images:
                writer.write(image)
            writer.release()

        return write_video if "/" in chunk_format else write_images


class _OpenCvVideo:
    def __init__(self, cv2: Any, file: Path) -> None:
        self._cv2 = cv2
        self._capture = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, _THREADS])
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        self._next = 0

    def in_order(self) -> Iterator[Picture]:
        while (found := self._capture.read())[0]:
            yield found[1]

    def at(self, index: int) -> Picture:
        if index != self._next:
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, index)
        self._next = index + 1
        return self._capture.read()[1]

    def batch(self, indices: list[int]) -> Iterable[Picture]:
        return map(self.at, indices)

    def grey(self, picture: Picture) -> Grey:
        return cast("Grey", picture)

    def close(self) -> None:
        self._capture.release()


class TorchCodec(Contender):
    """Torchcodec on the CPU, in its exact mode."""

    packages = ("torchcodec", "torch")

    def load(self) -> None:
        import torch
        from torchcodec.decoders import VideoDecoder

        torch.set_num_threads(_THREADS)
        self._decoder = VideoDecoder

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        return _TorchVideo(
            self._decoder(str(file), dimension_order="NHWC", num_ffmpeg_threads=_THREADS, seek_mode="exact")
        )


class _TorchVideo:
    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def in_order(self) -> Iterator[Picture]:
        return (self._decoder[index] for index in range(len(self._decoder)))

    def at(self, index: int) -> Picture:
        return self._decoder[index]

    def batch(self, indices: list[int]) -> Iterable[Picture]:
        return cast("Iterable[Picture]", self._decoder.get_frames_at(indices).data)

    def grey(self, picture: Picture) -> Grey:
        return cast("Grey", picture.numpy()[..., 1])

    def close(self) -> None:
        del self._decoder


class Decord(Contender):
    """Decord on the CPU."""

    packages = ("decord",)

    def load(self) -> None:
        import decord

        self._decord = decord

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        decord = self._decord
        return _DecordVideo(decord.VideoReader(str(file), ctx=decord.cpu(0), num_threads=_THREADS))


class _DecordVideo:
    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def in_order(self) -> Iterator[Picture]:
        return (self._reader.next().asnumpy() for _ in range(len(self._reader)))

    def at(self, index: int) -> Picture:
        return self._reader[index].asnumpy()

    def batch(self, indices: list[int]) -> Iterable[Picture]:
        return cast("Iterable[Picture]", self._reader.get_batch(indices).asnumpy())

    def grey(self, picture: Picture) -> Grey:
        return cast("Grey", picture[..., 1])

    def close(self) -> None:
        del self._reader


class Upstream(Contender):
    """Loopbio's imgstore."""

    packages = ("imgstore", "opencv-python")

    def load(self) -> None:
        import cv2

        import imgstore

        cv2.setNumThreads(_THREADS)
        self._imgstore = imgstore

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        return _UpstreamVideo(self._imgstore.new_for_filename(str(store)))

    def writer(self, chunk_format: str, path: Path, images: list[Grey]) -> Callable[[], None]:
        if chunk_format == "h264/mkv":
            raise UnableError(_NO_H264)

        def write() -> None:
            store = self._imgstore.new_for_format(
                chunk_format, str(path), mode="w", imgshape=images[0].shape, imgdtype=np.uint8
            )
            for place, image in enumerate(images):
                store.add_image(image, place, 1e9 + place / 25)
            store.close()

        return write

    def lookup(self, store: Path) -> Lookup:
        return _UpstreamLookup(self._imgstore.new_for_filename(str(store)))


class _UpstreamVideo:
    def __init__(self, store: Any) -> None:
        self._store = store

    def in_order(self) -> Iterator[Picture]:
        return (self._store.get_next_image()[0] for _ in range(self._store.frame_count))

    def at(self, index: int) -> Picture:
        return self._store.get_image(None, frame_index=index)[0]

    def batch(self, indices: list[int]) -> Iterable[Picture]:
        return map(self.at, indices)

    def grey(self, picture: Picture) -> Grey:
        return cast("Grey", picture)

    def close(self) -> None:
        self._store.close()


class _UpstreamLookup:
    def __init__(self, store: Any) -> None:
        self._store = store
        self._index = store._index  # what its `get_image` asks

    def by_index(self, index: int) -> Place:
        return cast("Place", self._index.find_chunk("index", index))

    def by_number(self, number: int) -> Place:
        return cast("Place", self._index.find_chunk("frame_number", number))

    def by_time(self, time: float) -> Place:
        return cast("Place", self._index.find_chunk_nearest("frame_time", time))


CONTENDERS: dict[str, type[Contender]] = {
    "ethostore": Ethostore,
    "bare": Bare,
    "upstream": Upstream,
    "opencv": OpenCv,
    "torchcodec": TorchCodec,
    "decord": Decord,
}
