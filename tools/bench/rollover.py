"""Measure how long `append` waits where chunks end: `python -m tools.bench.rollover VIDEO`.

Frames of a real recording are appended as fast as they are taken, and at the pace of a camera; the chunks are
short. What is shown are wall milliseconds of single calls: of all, and of those near a roll-over.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table

import imgstore
from imgstore import Frame, Image, open_video
from tools.console import out, show

Row = dict[str, Any]

_NEAR = 10  # frames on either side of a roll-over: there the next chunk is opened and the last one finished


def main(
    video: Annotated[Path, typer.Argument(help="Recording whose frames are written, in grey.")],
    only: Annotated[list[str] | None, typer.Option(help="A format to measure; may be repeated.")] = None,
    chunks: Annotated[int, typer.Option(help="How many chunks to fill.")] = 6,
    chunksize: Annotated[int, typer.Option(help="Frames per chunk.")] = 100,
    rate: Annotated[float, typer.Option(help="Frames per second of the camera.")] = 100.0,
    folder: Annotated[Path | None, typer.Option(help="Where the stores are made.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Measure how long appending a frame takes, near roll-overs and elsewhere."""
    with open_video(video) as source:
        images = [source[index].image for index in range(min(chunksize, len(source)))]
    rows = []
    for name in only or ["h264/mkv", "npy", "png"]:
        for pace in (rate, None):
            with tempfile.TemporaryDirectory(prefix="ethostore-bench-", dir=folder) as place:
                waits = append_ms(Path(place) / "a.store", name, images, chunks, chunksize, pace)
            rows.append({"format": name, "rate": pace, **summarize(waits, chunksize)})
    if as_json:
        show({"shape": list(images[0].shape), "chunksize": chunksize, "rows": rows}, as_json=True)
    else:
        out.print(table(rows))


def append_ms(
    path: Path, name: str, images: Sequence[Image], chunks: int, chunksize: int, rate: float | None
) -> npt.NDArray[np.float64]:
    """Return wall milliseconds of every `append`, shape (chunks * chunksize,)."""
    waits = np.empty(chunks * chunksize)
    with imgstore.create(path, images[0].shape, format=name, chunksize=chunksize) as writer:
        due = time.perf_counter()
        for number in range(len(waits)):
            if rate is not None:
                due = max(due + 1 / rate, time.perf_counter() - 1)
                time.sleep(max(0.0, due - time.perf_counter()))
            frame = Frame(images[number % len(images)], number, number, number / (rate or 25.0))
            started = time.perf_counter()
            writer.append(frame)
            waits[number] = (time.perf_counter() - started) * 1e3
    return waits


def summarize(waits: npt.NDArray[np.float64], chunksize: int) -> Row:
    """Return percentiles of all calls but the first, and the longest near a roll-over and elsewhere."""
    places = np.arange(len(waits))
    near = (places >= _NEAR) & ((places + _NEAR) % chunksize < 2 * _NEAR)
    far = ~near & (places > 0)
    return {
        "p50": round(float(np.median(waits[1:])), 3),
        "p99": round(float(np.percentile(waits[1:], 99)), 3),
        "longest_near": round(float(waits[near].max(initial=0.0)), 3),
        "longest_elsewhere": round(float(waits[far].max(initial=0.0)), 3),
    }


def table(rows: Sequence[Row]) -> Table:
    """Return the rows for people."""
    shown = Table(box=None, pad_edge=False)
    for title in (
        "format",
        "rate",
        "median ms",
        "p99",
        "longest near a roll-over",
        "elsewhere",
        "near / median",
    ):
        shown.add_column(title, justify="left" if title == "format" else "right")
    for row in rows:
        shown.add_row(
            row["format"],
            f"{row['rate']:.0f}" if row["rate"] else "any",
            *(f"{row[key]:.1f}" for key in ("p50", "p99", "longest_near", "longest_elsewhere")),
            f"{row['longest_near'] / row['p50']:.1f}",
        )
    return shown


if __name__ == "__main__":
    typer.run(main)
