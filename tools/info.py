"""Say what a store, a video or a result holds."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import imgstore
import tracking
from imgstore import FrameNotFoundError, StoreReader
from tools.alignment import readable_alignment, summarize_alignment
from tools.console import duration_text, folder_size, show, size_text

_MOST_GAPS = 5


def info(
    recordings: Annotated[
        list[Path],
        typer.Argument(help="Folder of a store, a video file, or a result (*.tracks.h5); or several stores."),
    ],
    by_number: Annotated[
        bool, typer.Option("--by-number", help="Match frames of several stores by number, not by time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Say what a recording holds: frames, lost ones and when, times, rate, chunks, size, format, state.

    The state is *complete*, *recording* while a writer has the store open, or *interrupted* if a writer died.

    Of several stores, say how they lie against the first: frames in common, offset and drift of their clocks.
    """
    if len(recordings) > 1:
        with imgstore.open_many(recordings, by="number" if by_number else "time") as many:
            show(summarize_alignment(many) if as_json else readable_alignment(many), as_json=as_json)
        return
    path = recordings[0]
    if path.is_file() and path.suffix == ".h5":
        show(_result_facts(path), as_json=as_json)
    elif path.is_file() and path.suffix not in (".yaml", ".yml"):
        show(_video_facts(path), as_json=as_json)
    else:
        with imgstore.open(path) as reader:
            facts = summarize(reader)
        show(facts if as_json else _readable(facts), as_json=as_json)


def _video_facts(path: Path) -> dict[str, object]:
    with imgstore.open_video(path) as video:
        length = float(video.times[-1] - video.times[0])
        return {
            "video": str(path),
            "frames": len(video),
            "width": video.spec.columns,
            "height": video.spec.rows,
            "duration_s": length,
            "rate_hz": round((len(video) - 1) / length, 4) if length > 0 else None,
            "bytes": path.stat().st_size,
        }


def _result_facts(path: Path) -> dict[str, object]:
    with tracking.open_results(path) as results:
        said = results.attributes
        frames, found = len(results.frames), len(results.points)
        return {
            "result": str(path),
            "state": said["state"],
            "source": said["source"],
            "tracker": said["tracker"],
            "regions": len(results.rois),
            "frames": frames,
            "positions": found,
            "found": round(found / (frames * len(results.rois)), 4) if frames and results.rois else None,
            "created": said["created_utc"],
            "settings": said["settings"],
        }


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
        "gaps": [],
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
        "gaps": [
            {
                "frames": gap.count,
                "first_number": gap.first,
                "last_number": gap.last,
                "after": local_text(reader, float(times[gap.index - 1])),
                "before": local_text(reader, float(times[gap.index])),
            }
            for gap in reader.missing
        ],
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


def _gaps_text(gaps: list[dict[str, Any]]) -> str:
    """Return where frames are missing, the largest gaps if there are many."""
    if not gaps:
        return "none"
    largest = sorted(gaps, key=lambda gap: -gap["frames"])[:_MOST_GAPS]
    shown = "; ".join(
        f"{gap['frames']} ({gap['first_number']} to {gap['last_number']}) after {gap['after']}"
        for gap in sorted(largest, key=lambda gap: gap["after"])
    )
    lost = sum(gap["frames"] for gap in gaps)
    rest = (
        f"; the {len(largest)} largest of {len(gaps)}, --json lists all" if len(gaps) > len(largest) else ""
    )
    return f"{lost} frames in {len(gaps)}: {shown}{rest}"


def _readable(facts: dict[str, Any]) -> dict[str, object]:
    rows, columns, *channels = facts["shape"]
    rate = f"{facts['rate_hz']:.4g} frames/s" if facts["rate_hz"] else "unknown"
    lines = {
        "store": facts["store"],
        "state": facts["state"],
        "format": f"{facts['format']}, {'lossless' if facts['lossless'] else 'lossy'}",
        "frames": f"{facts['frames']}, {columns}x{rows} {'colour' if channels else 'grey'} {facts['dtype']}",
        "numbers": f"{facts['first_number']} to {facts['last_number']}, {facts['missing_numbers']} missing",
        "gaps": _gaps_text(facts["gaps"]),
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
