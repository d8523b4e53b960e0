"""Say what a store holds."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import imgstore
from imgstore import FrameNotFoundError, StoreReader
from tools.alignment import readable_alignment, summarize_alignment
from tools.console import duration_text, folder_size, show, size_text


def info(
    stores: Annotated[list[Path], typer.Argument(help="Folder of the store, or of several.")],
    by_number: Annotated[
        bool, typer.Option("--by-number", help="Match frames of several stores by number, not by time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Say what a store holds: frames, lost frames, times, rate, chunks, size, format, state.

    The state is *complete*, *recording* while a writer has the store open, or *interrupted* if a writer died.

    Of several stores, say how they lie against the first: frames in common, offset and drift of their clocks.
    """
    if len(stores) > 1:
        with imgstore.open_many(stores, by="number" if by_number else "time") as many:
            show(summarize_alignment(many) if as_json else readable_alignment(many), as_json=as_json)
        return
    with imgstore.open(stores[0]) as reader:
        facts = summarize(reader)
    show(facts if as_json else _readable(facts), as_json=as_json)


def summarize(reader: StoreReader) -> dict[str, Any]:
    """Return the facts about a store as plain values; times are ISO 8601 in the store's zone."""
    metadata = reader.metadata
    facts: dict[str, Any] = {
        "store": str(reader.path),
        "state": reader.state,
        "format": metadata.format,
        "lossless": reader.lossless,
        "shape": list(metadata.spec.shape),
        "dtype": metadata.spec.dtype.name,
        "frames": len(reader),
        "first_number": None,
        "last_number": None,
        "missing_numbers": 0,
        "first_time": None,
        "last_time": None,
        "duration_s": 0.0,
        "rate_hz": None,
        "chunks": len(reader.chunks),
        "chunksize": metadata.chunksize,
        "bytes": folder_size(reader.path),
        "created": metadata.created.astimezone(metadata.timezone).isoformat(),
        "timezone": metadata.timezone.key,
        "uuid": metadata.uuid,
        "metadata": dict(metadata.user),
        "problems": list(reader.problems),
    }
    if len(reader):
        facts |= _frame_facts(reader)
    return facts


def _frame_facts(reader: StoreReader) -> dict[str, Any]:
    numbers, times = reader.numbers, reader.times
    facts: dict[str, Any] = {
        "first_number": int(numbers[0]),
        "last_number": int(numbers[-1]),
        "missing_numbers": int(np.ptp(numbers)) + 1 - len(np.unique(numbers)),
    }
    known = times[np.isfinite(times)]
    if len(known):
        facts |= {
            "first_time": local_text(reader, float(known.min())),
            "last_time": local_text(reader, float(known.max())),
            "duration_s": float(np.ptp(known)),
        }
        interval = float(np.median(np.diff(known))) if len(known) > 1 else 0.0
        facts["rate_hz"] = round(1 / interval, 4) if interval > 0 else None
    return facts


def local_text(reader: StoreReader, time: float) -> str:
    """Return a time as ISO 8601 in the store's zone, or as it stands if it is no such time."""
    try:
        return reader.local_time(time).isoformat()
    except FrameNotFoundError:
        return f"{time} s"


def _readable(facts: dict[str, Any]) -> dict[str, object]:
    rows, columns, *channels = facts["shape"]
    rate = f"{facts['rate_hz']:.4g} frames/s" if facts["rate_hz"] else "unknown"
    lines = {
        "store": facts["store"],
        "state": facts["state"],
        "format": f"{facts['format']}, {'lossless' if facts['lossless'] else 'lossy'}",
        "frames": f"{facts['frames']}, {columns}x{rows} {'colour' if channels else 'grey'} {facts['dtype']}",
        "numbers": f"{facts['first_number']} to {facts['last_number']}, {facts['missing_numbers']} missing",
        "times": f"{facts['first_time']} to {facts['last_time']} ({facts['timezone']})",
        "duration": f"{duration_text(facts['duration_s'])} at {rate}",
        "chunks": f"{facts['chunks']} of up to {facts['chunksize']} frames",
        "size": size_text(facts["bytes"]),
        "created": facts["created"],
        "uuid": facts["uuid"],
        "metadata": facts["metadata"],
        "problems": "; ".join(facts["problems"]) or "none",
    }
    if not facts["frames"]:
        lines |= {"numbers": "none", "times": "none", "duration": "none"}
    return lines
