"""Measure what a stream costs beside a camera: `python -m tools.bench.streams`.

A store is written frame by frame, in turn without a stream and with audio of two channels in blocks of 1024
samples. The times are CPU milliseconds per second of audio: of the calls of `append` for the audio alone, and
of the whole process less that of a run without audio. They hold the HDF5 files, too. How long `append` takes
for a frame is wall time.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from imgstore import Frame, StreamWriter, create
from tools.console import show

_SHAPE = (48, 64)
_FRAME_RATE = 25
_RATE = 48_000
_BLOCK = 1024
_CHUNKSIZE = 500

Row = dict[str, float]


def main(
    seconds: Annotated[int, typer.Option(help="How much is recorded, as fast as it goes.")] = 60,
    runs: Annotated[int, typer.Option(help="How often each is measured; the median is shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Measure writing frames with and without audio beside them."""
    rows = [(measure(seconds, audio=False), measure(seconds, audio=True)) for _ in range(runs)]

    def median(key: str, audio: bool) -> float:
        return round(statistics.median(row[audio][key] for row in rows), 3)

    facts = {
        "append_cpu_ms": median("append_cpu_ms", audio=True),
        "whole_cpu_ms": round(median("cpu_ms", audio=True) - median("cpu_ms", audio=False), 3),
        "kilobytes": median("kilobytes", audio=True),
        "frame_ms_without": median("frame_ms", audio=False),
        "frame_ms_with": median("frame_ms", audio=True),
        "frame_ms_99_without": median("frame_ms_99", audio=False),
        "frame_ms_99_with": median("frame_ms_99", audio=True),
    }
    show(facts, as_json=as_json)


def measure(seconds: int, *, audio: bool) -> Row:
    """Return what one run costs: CPU and bytes per second recorded, and wall milliseconds per frame."""
    sound = np.random.default_rng(0).normal(0, 300, (_RATE, 2)).astype(np.int16)
    image = np.zeros(_SHAPE, np.uint8)
    append_s, waits = 0.0, []
    with tempfile.TemporaryDirectory(prefix="ethostore-bench-") as folder:
        started = time.process_time()
        with create(Path(folder) / "a.store", _SHAPE, format="npy", chunksize=_CHUNKSIZE) as writer:
            stream = writer.stream("audio", ["left", "right"], _RATE, np.int16) if audio else None
            for number in range(seconds * _FRAME_RATE):
                before = time.perf_counter()
                writer.append(Frame(image, number, number, 1e9 + number / _FRAME_RATE))
                waits.append(time.perf_counter() - before)
                if stream is not None:
                    append_s += _feed(stream, sound, until=(number + 1) * _RATE // _FRAME_RATE)
        cpu = time.process_time() - started
        size = sum(file.stat().st_size for file in (Path(folder) / "a.store").glob("*.h5"))
    return {
        "append_cpu_ms": append_s * 1e3 / seconds,
        "cpu_ms": cpu * 1e3 / seconds,
        "kilobytes": size / 1e3 / seconds,
        "frame_ms": statistics.median(waits) * 1e3,
        "frame_ms_99": float(np.quantile(waits, 0.99)) * 1e3,
    }


def _feed(stream: StreamWriter, sound: np.ndarray, until: int) -> float:
    """Append whole blocks up to a sample, and return the CPU seconds that it took."""
    before = time.thread_time()
    while stream.count + _BLOCK <= until:
        place = stream.count % (len(sound) - _BLOCK)
        stream.append(sound[place : place + _BLOCK], 1e9 + stream.count / _RATE)
    return time.thread_time() - before


if __name__ == "__main__":
    typer.run(main)
