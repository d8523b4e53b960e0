"""Measure every chunk format beside its bare codec: `python -m tools.bench.formats VIDEO`.

Each format writes and reads the frames of a real recording in grey. Beside each video format, the same codec
is driven through PyAV alone with the same options: encode and mux frames that were made beforehand, demux and
decode without copying frames out. The times are CPU milliseconds a frame of the whole process, for random
reads wall milliseconds; medians of several runs taken in turn.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from imgstore import FORMATS, FrameSpec, Image, ImgstoreError, open_video
from tools.bench.bare import BareVideo, bare_writer
from tools.console import err, out, show

Row = dict[str, Any]

_RATE = 25.0
_RANDOM_READS = 60


def main(
    video: Annotated[Path, typer.Argument(help="Recording whose frames are written, in grey.")],
    frames: Annotated[int, typer.Option(help="How many of its frames.")] = 120,
    runs: Annotated[int, typer.Option(help="How often each is measured; the median is shown.")] = 3,
    noise: Annotated[
        float, typer.Option(help="Camera noise to add: standard deviation in grey levels.")
    ] = 0.0,
    only: Annotated[list[str] | None, typer.Option(help="A format to measure; may be repeated.")] = None,
    profile: Annotated[str, typer.Option(help="Settings to measure.")] = "balanced",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Measure writing and reading in every chunk format, beside the bare codec."""
    with open_video(video) as source:
        images = [source[index].image for index in range(min(frames, len(source)))]
    images = with_noise(images, noise)
    rows = []
    for name in only or [name for name in FORMATS.names() if "+" not in name]:
        try:
            rows.append(measure(name, images, runs, profile))
        except ImgstoreError as exc:
            err.print(f"{name}: {exc}", style="dim", highlight=False)
    if as_json:
        show(
            {"frames": len(images), "shape": list(images[0].shape), "noise": noise, "rows": rows},
            as_json=True,
        )
    else:
        out.print(table(rows))


def with_noise(images: list[Image], noise: float) -> list[Image]:
    """Return the images with normal noise of this standard deviation, the same in every run."""
    if not noise:
        return images
    random = np.random.default_rng(0)
    return [
        np.clip(np.rint(image + random.normal(0, noise, image.shape)), 0, 255).astype(np.uint8)
        for image in images
    ]


def measure(name: str, images: list[Image], runs: int, profile: str) -> Row:
    """Return what one format costs. Raises ImgstoreError if it is not to be had here."""
    chunk_format = FORMATS.get(name)
    spec = FrameSpec(images[0].shape)
    chunk_format.check(spec)
    settings = chunk_format.settings(spec, profile)
    row: Row = {
        "format": name,
        "lossless": chunk_format.is_lossless(spec, settings),
        "settings": settings.plain(),
    }
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="ethostore-bench-") as folder:
        for run in range(runs):
            path = Path(folder) / f"{run:06d}{chunk_format.suffix}"
            _add(times, "write", cpu_ms(partial(_write, name, path, images, profile), len(images)))
            _add(times, "read", cpu_ms(partial(_read, name, path, spec), len(images)))
            _add(times, "random", _random_reads(name, path, spec, len(images)))
            if chunk_format.suffix:
                bare = Path(folder) / f"bare{run}{chunk_format.suffix}"
                _add(times, "bare_write", cpu_ms(bare_writer(name, bare, images, profile), len(images)))
                _add(times, "bare_read", cpu_ms(partial(_bare_read, bare), len(images)))
        row["bytes"] = round(_size(Path(folder) / f"{0:06d}{chunk_format.suffix}") / len(images))
    return row | {key: round(statistics.median(values), 3) for key, values in times.items()}


def cpu_ms(work: Callable[[], object], frames: int) -> float:
    """Return CPU milliseconds per frame, of all threads."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3 / frames


def table(rows: Sequence[Row]) -> Table:
    """Return the rows for people; ratios are bare codec to ours, 1 is as fast."""
    shown = Table(box=None, pad_edge=False)
    for title in ("format", "lossless", "kB", "write", "bare", "ratio", "read", "bare", "ratio", "random ms"):
        shown.add_column(title, justify="left" if title == "format" else "right")
    for row in rows:
        shown.add_row(
            row["format"],
            "yes" if row["lossless"] else "no",
            f"{row['bytes'] / 1e3:.1f}",
            *_side_by_side(row, "write"),
            *_side_by_side(row, "read"),
            f"{row['random']:.1f}",
        )
    return shown


def _side_by_side(row: Row, key: str) -> tuple[str, str, str]:
    ours, bare = row[key], row.get(f"bare_{key}")
    return (f"{ours:.2f}", f"{bare:.2f}", f"{bare / ours:.2f}") if bare else (f"{ours:.2f}", "", "")


def _add(times: dict[str, list[float]], key: str, value: float) -> None:
    times.setdefault(key, []).append(value)


def _write(name: str, path: Path, images: list[Image], profile: str) -> None:
    spec = FrameSpec(images[0].shape)
    chunk_format = FORMATS.get(name)
    settings = chunk_format.settings(spec, profile)
    with closing(chunk_format.open_writer(path, spec, settings)) as writer:
        for place, image in enumerate(images):
            writer.append(image, 1e9 + place / _RATE)


def _read(name: str, path: Path, spec: FrameSpec) -> None:
    with closing(FORMATS.get(name).open_reader(path, spec)) as reader:
        for offset in range(len(reader)):
            reader.read(offset)


def _random_reads(name: str, path: Path, spec: FrameSpec, count: int) -> float:
    """Return the median wall time, in ms, of reading one frame anywhere."""
    times = []
    with closing(FORMATS.get(name).open_reader(path, spec)) as reader:
        for offset in np.random.default_rng(0).integers(0, count, _RANDOM_READS).tolist():
            started = time.perf_counter()
            reader.read(offset)
            times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def _bare_read(path: Path) -> None:
    with closing(BareVideo(path, "AUTO")) as video:
        for _ in video.in_order():
            pass


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


if __name__ == "__main__":
    typer.run(main)
