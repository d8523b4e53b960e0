"""What times one contender of `tools.bench.store`, in a process of its own with the contender's Python.

It answers requests on its input, a line of JSON each, with times. Every frame that is timed carries its
number in its corner, which is read back afterwards: nobody wins with the wrong frame.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.bench.contenders import CONTENDERS, Contender, Picture, Place, Video
from tools.bench.mark import BITS, SIDE, Grey, read_mark
from tools.bench.peer import Answer, installed, serve

_CLEAR_PEAK = Path("/proc/self/clear_refs")  # 5 resets the peak of resident memory (man 5 proc)


class _Stopwatch:
    """Wall and CPU time of all threads, in ms."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return (time.perf_counter() - self._wall) * 1e3, (time.process_time() - self._cpu) * 1e3


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
        return {"versions": {name: installed(name) for name in self._contender.packages}}

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

    def _open(
        self, store: str, indices: list[int], numbers: list[int], times: list[float], chunksize: int
    ) -> Answer:
        """Time opening a store of which nothing is known in this process, and lookups of frames in it."""
        watch = _Stopwatch()
        lookup = self._contender.lookup(Path(store))
        wall, cpu = watch.read()
        answer = {"wall": wall, "cpu": cpu, "memory": self._peak(), "wrong": 0}
        places = [divmod(index, chunksize) for index in indices]
        asked: dict[str, tuple[Callable[[Any], Place], Sequence[float]]] = {
            "by_index": (lookup.by_index, indices),
            "by_number": (lookup.by_number, numbers),
            "by_time": (lookup.by_time, times),
        }
        for name, (look, values) in asked.items():
            look(values[0])
            watch = _Stopwatch()
            found = [look(value) for value in values]
            answer[name] = watch.read()[0] * 1e3 / len(values)
            answer["wrong"] += sum(a != b for a, b in zip(found, places, strict=True))
        return answer

    def _peak(self) -> float:
        """Return the most memory that the process has had, in MB over what it had after its imports."""
        return _memory_mb("VmHWM") - self._memory_at_start


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


def main() -> None:
    """Answer requests until the input ends."""

    def make() -> Callable[[Answer], Answer]:
        contender = CONTENDERS[sys.argv[1]]()
        contender.load()
        return Worker(contender).answer

    serve(make)
