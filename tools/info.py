"""Say what a store, a video or a result holds."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import numpy as np
import typer

import imgstore
import tracking
from imgstore import NO_DATE_BELOW, FrameNotFoundError, Gap, LostFrames, StoreReader
from tools.alignment import readable_alignment, summarize_alignment
from tools.console import duration_text, folder_size, show, size_text
from tools.options import Json

_MOST_SHOWN = 5
_LONGEST_DETAIL = 60  # characters
_LONGEST_STEP_S = 1e12
_TOLD_APART = ("gap", "clock_step")  # kinds of events that have lines of their own


def info(
    recordings: Annotated[
        list[Path],
        typer.Argument(help="Folder of a store, a video file, or a result (*.tracks.h5); or several stores."),
    ],
    by_number: Annotated[
        bool, typer.Option("--by-number", help="Match frames of several stores by number, not by time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a recording holds: frames, times, rate, format, which were lost, when and why, what happened.

    The state is *complete*, *recording* while a writer has the store open, or *interrupted* if a writer died.

    Of several stores, say how they lie against the first: frames in common, offset and drift of their clocks.
    """
    if len(recordings) > 1:
        with imgstore.open_many(recordings, by="number" if by_number else "time") as many:
            show(summarize_alignment(many) if as_json else readable_alignment(many), as_json=as_json)
        return
    path = recordings[0]
    if path.is_file() and path.suffix == ".h5":
        facts = _result_facts(path)
        show(facts if as_json else _readable_result(facts), as_json=as_json)
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


def _result_facts(path: Path) -> dict[str, Any]:
    with tracking.open_results(path) as results:
        said = results.attributes
        seen = tracking.count_seen(results)
        zone = ZoneInfo(said["timezone"])
        return {
            "result": str(path),
            "state": said["state"],
            "source": said["source"],
            "tracker": said["tracker"],
            "layout": said["layout"],
            "regions": len(results.rois),
            "mm_per_pixel": said["mm_per_pixel"] if said["mm_per_pixel"] > 0 else None,
            "frames": results.count("frames"),
            "positions": seen.points,
            "found": tracking.mean_share(seen.found),
            "created": said["created_utc"],
            "settings": said["settings"],
            "events": [
                {
                    "time": _result_time(event.time, zone),
                    "kind": event.kind,
                    "roi": event.roi,
                    "detail": dict(event.detail),
                }
                for event in results.events
            ],
        }


def _readable_result(facts: dict[str, Any]) -> dict[str, object]:
    events = [
        event | {"detail": ({"region": event["roi"]} if event["roi"] else {}) | event["detail"]}
        for event in facts["events"]
    ]
    found = f"{tracking.share_text(facts['found'])} of the frames, on average over regions"
    scale = f"{facts['mm_per_pixel']:.6g}" if facts["mm_per_pixel"] else "not known"
    return facts | {"mm_per_pixel": scale, "found": found, "events": "none"} | _event_lines(events)


def _result_time(time: float, zone: ZoneInfo) -> str:
    """Return when an event was, as a date, or in seconds in a video that knows no date."""
    if not time >= NO_DATE_BELOW:  # or it is not known
        return f"{time:.3f} s"
    return datetime.fromtimestamp(time, zone).isoformat()


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
        "lost": [_lost_facts(reader, lost) for lost in reader.lost],
        "unsaved": [],
        "events": [
            {"time": local_text(reader, event.time), "kind": event.kind, "detail": dict(event.detail)}
            for event in reader.events
        ],
        "first_time": None,
        "last_time": None,
        "duration_s": 0.0,
        "rate_hz": None,
        "chunks": len(reader.chunks),
        "chunksize": metadata.chunksize,
        "chunk_seconds": metadata.chunk_seconds,
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
        "gaps": [_gap_facts(reader, gap) for gap in reader.missing],
        "unsaved": [_gap_facts(reader, gap) for gap in reader.unsaved],
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


def _gap_facts(reader: StoreReader, gap: Gap) -> dict[str, Any]:
    return {
        "frames": gap.count,
        "first_number": gap.first,
        "last_number": gap.last,
        "after": local_text(reader, float(reader.times[gap.index - 1])),
        "before": local_text(reader, float(reader.times[gap.index])),
    }


def _lost_facts(reader: StoreReader, lost: LostFrames) -> dict[str, Any]:
    return {
        "frames": lost.count,
        "estimated": lost.estimated,
        "cause": lost.cause,
        "first_number": lost.first,
        "last_number": lost.last,
        "after": None if lost.after is None else local_text(reader, lost.after),
        "before": None if lost.before is None else local_text(reader, lost.before),
    }


def local_text(reader: StoreReader, time: float) -> str:
    """Return a time as ISO 8601 in the store's zone, or as it stands if it is no such time."""
    try:
        return reader.local_time(time).isoformat()
    except FrameNotFoundError:
        return f"{time} s"


def _lost_lines(facts: dict[str, Any]) -> dict[str, str]:
    """Return how many frames were lost for every cause, and when, and how many were not to be saved."""
    causes: dict[str, list[dict[str, Any]]] = {}
    for lost in facts["lost"]:
        causes.setdefault(lost["cause"] or "unknown cause", []).append(lost)
    lines = {f"lost, {cause}": _gaps_text(causes[cause]) for cause in sorted(causes)}
    if facts["unsaved"]:
        lines["not saved"] = f"{_gaps_text(facts['unsaved'])}; saving was stopped"
    none = "none that is known" if facts["problems"] else "none"
    return lines if causes else {"lost": none, **lines}


def _gaps_text(gaps: list[dict[str, Any]]) -> str:
    """Return where frames are missing, the largest gaps if there are many."""
    largest = sorted(gaps, key=lambda gap: -gap["frames"])[:_MOST_SHOWN]
    shown = "; ".join(_gap_text(gap) for gap in gaps if any(gap is one for one in largest))
    missing = sum(gap["frames"] for gap in gaps)
    about = "about " if any(gap.get("estimated") for gap in gaps) else ""
    rest = (
        f"; the {len(largest)} largest of {len(gaps)}, --json lists all" if len(gaps) > len(largest) else ""
    )
    return f"{about}{missing} frames in {len(gaps)}: {shown}{rest}"


def _gap_text(gap: dict[str, Any]) -> str:
    counted = gap["first_number"] is not None
    last = f" to {gap['last_number']}" if gap["frames"] > 1 else ""
    which = f" ({gap['first_number']}{last})" if counted else ""
    about = "about " if gap.get("estimated") else ""
    when = f"after {gap['after']}" if gap["after"] else f"before {gap['before'] or 'the first frame'}"
    return f"{about}{gap['frames']}{which} {when}"


def _event_lines(events: list[dict[str, Any]]) -> dict[str, str]:
    """Return when the clock was set, and what else happened; the last events if there are many."""
    steps = [event for event in events if event["kind"] == "clock_step"]
    others = [event for event in events if event["kind"] not in _TOLD_APART]
    lines = {"clock steps": [_step_text(event) for event in steps], "events": [*map(_event_text, others)]}
    return {
        name: f"{len(texts)}: {'; '.join(texts[-_MOST_SHOWN:])}"
        + f"; the last {_MOST_SHOWN}, --json lists all" * (len(texts) > _MOST_SHOWN)
        for name, texts in lines.items()
        if texts
    }


def _step_text(event: dict[str, Any]) -> str:
    seconds = event["detail"].get("seconds")
    known = isinstance(seconds, int | float) and abs(seconds) < _LONGEST_STEP_S
    size = f"{seconds:+.6g} s" if known else "by an unknown time"
    return f"{size} at {event['time']}"


def _event_text(event: dict[str, Any]) -> str:
    """Return an event as people read it; what a stranger wrote in it cannot move the cursor."""
    detail = ", ".join(f"{name} {item}" for name, item in event["detail"].items() if item not in (None, ""))
    detail = detail if detail.isprintable() else ascii(detail)[1:-1]
    if len(detail) > _LONGEST_DETAIL:
        detail = f"{detail[: _LONGEST_DETAIL - 3]}..."
    return f"{event['kind']} at {event['time']}{detail and f' ({detail})'}"


def _chunk_text(facts: dict[str, Any]) -> str:
    seconds = facts["chunk_seconds"]
    return f"{facts['chunksize']} frames" if seconds is None else duration_text(seconds)


def _readable(facts: dict[str, Any]) -> dict[str, object]:
    rows, columns, *channels = facts["shape"]
    rate = f"{facts['rate_hz']:.4g} frames/s" if facts["rate_hz"] else "unknown"
    has_problems = bool(facts["problems"])
    lines = {
        "store": facts["store"],
        "state": facts["state"] + ", but without what is missing or broken, see problems" * has_problems,
        "format": f"{facts['format']}, {'lossless' if facts['lossless'] else 'lossy'}",
        "frames": f"{facts['frames']}, {columns}x{rows} {'colour' if channels else 'grey'} {facts['dtype']}",
        "numbers": f"{facts['first_number']} to {facts['last_number']}, {facts['missing_numbers']} missing",
        **_lost_lines(facts),
        **_event_lines(facts["events"]),
        "times": f"{facts['first_time']} to {facts['last_time']} ({facts['timezone']})",
        "duration": f"{duration_text(facts['duration_s'])} at {rate}",
        "chunks": f"{facts['chunks']} of up to {_chunk_text(facts)}",
        "size": size_text(facts["bytes"]),
        "created": facts["created"],
        "uuid": facts["uuid"],
        "metadata": facts["metadata"],
        "problems": "; ".join(facts["problems"]) or "none",
    }
    if not facts["frames"]:
        lines |= {"numbers": "none", "times": "none", "duration": "none"}
    return lines
