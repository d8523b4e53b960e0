"""One contender of `tools.bench.store` in a process of its own: `python worker.py NAME`.

Answers requests on its input, a line of JSON each, with times. It runs in the environment of the contender,
so it imports nothing of ours but for ours. Every frame that is timed carries its number in its corner, which
is read back afterwards: nobody wins with the wrong frame.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Grey: TypeAlias = npt.NDArray[np.uint8]
Answer: TypeAlias = dict[str, Any]
Picture: TypeAlias = Any  # of whatever kind the contender gives: array, tensor, frame of the decoder

THREADS = 2
BITS, SIDE = 16, 8  # of the mark, in squares a row, and pixels
_DARK, _BRIGHT = 40, 215
_CLEAR_PEAK = Path("/proc/self/clear_refs")  # 5 resets the peak of resident memory (man 5 proc)
_NO_H264 = "cannot write H.264: OpenCV's wheels have no encoder"


class UnableError(Exception):
    """The contender cannot do that; the message says why."""


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

    def __len__(self) -> int: ...

    def by_index(self, index: int) -> object:
        """Return chunk and offset."""

    def by_number(self, number: int) -> object:
        """Return the same."""

    def by_time(self, time: float) -> object:
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


def mark(image: Grey, number: int) -> None:
    """Paint a number into the upper left corner."""
    bits = (number >> np.arange(BITS)) & 1
    row = np.repeat(np.where(bits, _BRIGHT, _DARK).astype(np.uint8), SIDE)
    image[:SIDE, : BITS * SIDE] = row


def read_mark(corner: Grey) -> int:
    """Return the number that was painted into a corner, of shape (SIDE, BITS * SIDE)."""
    squares = corner.reshape(SIDE, BITS, SIDE).mean(axis=(0, 2))
    return int(((squares > (_DARK + _BRIGHT) / 2) << np.arange(BITS)).sum())


class _Stopwatch:
    """Wall and CPU time of all threads, in ms."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return (time.perf_counter() - self._wall) * 1e3, (time.process_time() - self._cpu) * 1e3


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

    def __len__(self) -> int:
        return len(self._index)

    def by_index(self, index: int) -> object:
        return self._index.locate(index)

    def by_number(self, number: int) -> object:
        return self._index.locate(self._index.of_number(number))

    def by_time(self, time: float) -> object:
        return self._index.locate(self._index.nearest_time(time))


class Bare(Contender):
    """The codec and the container alone."""

    packages = ("av",)

    def load(self) -> None:
        from tools.bench import bare

        self._bare = bare

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        return _BareVideo(self._bare.BareVideo(file, "AUTO" if in_order else "SLICE"), self._bare.luma_of)

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

        cv2.setNumThreads(THREADS)
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
        self._capture = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, THREADS])
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

        torch.set_num_threads(THREADS)
        self._decoder = VideoDecoder

    def video(self, store: Path, file: Path, *, in_order: bool) -> Video:
        return _TorchVideo(
            self._decoder(str(file), dimension_order="NHWC", num_ffmpeg_threads=THREADS, seek_mode="exact")
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
        return _DecordVideo(self._decord.VideoReader(str(file), ctx=self._decord.cpu(0), num_threads=THREADS))


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

        cv2.setNumThreads(THREADS)
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

    def __len__(self) -> int:
        return int(self._store.frame_count)

    def by_index(self, index: int) -> object:
        return self._index.find_chunk("index", index)

    def by_number(self, number: int) -> object:
        return self._index.find_chunk("frame_number", number)

    def by_time(self, time: float) -> object:
        return self._index.find_chunk_nearest("frame_time", time)


CONTENDERS: dict[str, type[Contender]] = {
    "ethostore": Ethostore,
    "bare": Bare,
    "upstream": Upstream,
    "opencv": OpenCv,
    "torchcodec": TorchCodec,
    "decord": Decord,
}


class Worker:
    """Measures one contender."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        _CLEAR_PEAK.write_text("5", "ascii")
        self._memory_at_start = _memory_mb("VmRSS")

    def answer(self, request: Answer) -> Answer:
        """Do what a request says under "do"."""
        tasks: dict[str, Callable[..., Answer]] = {
            "hello": self._hello,
            "append": self._append,
            "sequential": self._sequential,
            "random": self._random,
            "batch": self._batch,
            "compare": self._compare,
            "open": self._open,
        }
        return tasks[request.pop("do")](**request)

    def _hello(self) -> Answer:
        return {"versions": {name: _version(name) for name in self._contender.packages}}

    def _append(self, chunk_format: str, path: str, images: str, repeats: int) -> Answer:
        pictures = list(np.load(images)) * repeats
        write = self._contender.writer(chunk_format, Path(path), pictures)
        watch = _Stopwatch()
        write()
        wall, cpu = watch.read()
        return {"wall": wall / len(pictures), "cpu": cpu / len(pictures)}

    def _video(self, store: str, file: str, *, in_order: bool) -> Video:
        return self._contender.video(Path(store), Path(file), in_order=in_order)

    def _sequential(self, store: str, file: str, count: int) -> Answer:
        corners: list[Grey] = []
        watch = _Stopwatch()
        video = self._video(store, file, in_order=True)
        for picture in video.in_order():
            corners.append(_corner(video, picture))
        wall, cpu = watch.read()
        video.close()
        wrong = _wrong(corners, range(count)) + abs(count - len(corners))
        return {"wall": wall / count, "cpu": cpu / count, "wrong": wrong, "memory": self._peak()}

    def _random(self, store: str, file: str, indices: list[int]) -> Answer:
        """Time frames one by one, with the file open and its first frame read."""
        video = self._video(store, file, in_order=False)
        video.at(0)
        walls, corners = [], []
        whole = _Stopwatch()
        for index in indices:
            watch = _Stopwatch()
            picture = video.at(index)
            walls.append(watch.read()[0])
            corners.append(_corner(video, picture))
        cpu = whole.read()[1] / len(indices)
        video.close()
        return {
            "wall": statistics.mean(walls),
            "cpu": cpu,
            "p50": float(np.percentile(walls, 50)),
            "p95": float(np.percentile(walls, 95)),
            "wrong": _wrong(corners, indices),
        }

    def _batch(self, store: str, file: str, indices: list[int]) -> Answer:
        video = self._video(store, file, in_order=False)
        video.at(0)
        watch = _Stopwatch()
        corners = [_corner(video, picture) for picture in video.batch(indices)]
        wall, cpu = watch.read()
        video.close()
        return {"wall": wall / len(indices), "cpu": cpu / len(indices), "wrong": _wrong(corners, indices)}

    def _compare(self, store: str, file: str, indices: list[int], images: str) -> Answer:
        """Say how far the pictures are from those that were written, in grey levels, on average."""
        video = self._video(store, file, in_order=False)
        apart = [
            float(np.abs(video.grey(video.at(index)).astype(np.int16) - image).mean())
            for index, image in zip(indices, np.load(images), strict=True)
        ]
        video.close()
        return {"apart": max(apart)}

    def _open(self, store: str, seed: int, numbers: list[int], times: list[float]) -> Answer:
        """Time opening a store of which nothing is known in this process, and lookups in it."""
        watch = _Stopwatch()
        found = self._contender.lookup(Path(store))
        count = len(found)
        wall, cpu = watch.read()
        memory = self._peak()
        indices = np.random.default_rng(seed).integers(0, count, len(numbers)).tolist()
        return {
            "wall": wall,
            "cpu": cpu,
            "memory": memory,
            "by_index": _lookup_us(found.by_index, indices),
            "by_number": _lookup_us(found.by_number, numbers),
            "by_time": _lookup_us(found.by_time, times),
        }

    def _peak(self) -> float:
        """Return the most memory that the process has had, in MB over what it had after its imports."""
        return _memory_mb("VmHWM") - self._memory_at_start


def _lookup_us(look: Callable[[Any], object], values: Sequence[float]) -> float:
    look(values[0])
    watch = _Stopwatch()
    for value in values:
        look(value)
    return watch.read()[0] * 1e3 / len(values)


def _corner(video: Video, picture: Picture) -> Grey:
    return np.array(video.grey(picture)[:SIDE, : BITS * SIDE])


def _wrong(corners: Sequence[Grey], indices: Iterable[int]) -> int:
    return sum(read_mark(corner) != index for corner, index in zip(corners, indices, strict=False))


def _memory_mb(field: str) -> float:
    """Return a field of this process's status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "checkout"


def main() -> None:
    """Answer requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    contender = CONTENDERS[sys.argv[1]]()
    contender.load()
    worker = Worker(contender)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except UnableError as exc:
            answer = {"unable": str(exc)}
        except Exception as exc:  # noqa: BLE001  # whatever a library of others raises is its result
            answer = {"unable": f"failed: {type(exc).__name__}: {exc}"}
        replies.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
