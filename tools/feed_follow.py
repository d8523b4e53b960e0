"""Follow a live feed, and show how it goes: a table on a terminal, lines elsewhere, or JSON for machines."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.live import Live
from rich.table import Table

from hardware import CameraTimeoutError, FeedReader
from imgstore import FrameSpec, deferred_interrupt
from tools.console import duration_text, out, show
from tools.feed_meter import FeedMeter, FeedReport
from tools.record_display import json_event

_POLL_S = 0.1  # that reading waits before it looks whether to end

_Watch: TypeAlias = Callable[[FeedMeter, FeedReport], None]


def follow(name: str, *, wait: float, seconds: float | None, interval: float, as_json: bool) -> None:
    """Read a feed until it ends, the time is over, or Ctrl-C, and show how it goes.

    Parameters
    ----------
    wait : seconds to wait for a writer.
    seconds : how long; None for no limit.
    interval : seconds between reports.
    as_json : write an event for each report, a JSON object a line.

    Raises FeedNotFoundError if nobody writes it, FeedDiedError if its writer dies.
    """
    reader = FeedReader(name, copy=False)
    reader.start(wait)
    try:
        meter = FeedMeter()
        with deferred_interrupt() as interrupt, _display(name, reader.spec, as_json=as_json) as watch:
            ended_by = _read(reader, meter, watch, interval, seconds, interrupt.is_set)
    finally:
        reader.close()
    if as_json:
        json_event("ended", {"feed": name, **_sum(meter), "ended_by": ended_by})
    else:
        show({"feed": name, **_readable(meter), "ended_by": _ENDS[ended_by]}, as_json=False)


_ENDS = {"interrupt": "Ctrl-C", "limit": "the limit", "end": "the end of the feed"}


def _read(
    reader: FeedReader,
    meter: FeedMeter,
    watch: _Watch,
    interval: float,
    seconds: float | None,
    is_interrupted: Callable[[], bool],
) -> str:
    """Read until there is a reason to end, and return which of _ENDS it is."""
    now = time.monotonic()
    due, end = now + interval, now + (math.inf if seconds is None else seconds)
    while True:
        now = time.monotonic()
        if is_interrupted():
            return "interrupt"
        if now >= due:
            watch(meter, meter.report())
            due = max(due + interval, now)
        if now >= end:
            return "limit"
        try:
            frame = reader.read(max(min(_POLL_S, due - now, end - now), 0))
        except CameraTimeoutError:
            continue
        if frame is None:
            return "end"
        meter.add(frame, reader.lost)


@contextmanager
def _display(name: str, spec: FrameSpec, *, as_json: bool) -> Iterator[_Watch]:
    if as_json:
        yield lambda meter, report: json_event("feed", {"feed": name, **_facts(meter, report)})
    elif out.is_terminal:
        title = f"{name}, {spec.columns}x{spec.rows} {spec.dtype.name}"
        with Live(console=out, auto_refresh=False, transient=True) as live:
            yield lambda meter, report: live.update(_table(title, meter, report), refresh=True)
    else:
        yield lambda meter, report: out.print(_line(name, meter, report), markup=False)


def _facts(meter: FeedMeter, report: FeedReport) -> dict[str, object]:
    return {
        **_counts(meter),
        "number": meter.number,
        "frame_time": meter.time,
        "rate": round(report.rate, 3),
        "latency_ms": _rounded(report.latency_ms),
        "worst_latency_ms": _rounded(report.worst_ms),
        "silent_s": round(meter.silent_s, 3),
    }


def _sum(meter: FeedMeter) -> dict[str, object]:
    total = meter.total()
    rest = {"rate": round(total.rate, 3), "worst_latency_ms": _rounded(total.worst_ms)}
    return {**_counts(meter), "seconds": round(meter.seconds, 3), **rest}


def _counts(meter: FeedMeter) -> dict[str, object]:
    return {
        "frames": meter.frames,
        "lost": meter.lost,
        "camera_lost": meter.camera_lost,
        "incomplete": meter.incomplete,
    }


def _readable(meter: FeedMeter) -> dict[str, object]:
    total = meter.total()
    return {
        "frames": f"{meter.frames}, {_lost_text(meter)}",
        "took": duration_text(meter.seconds),
        "rate": f"{total.rate:.4g}/s",
        "latency": f"at most {_ms(total.worst_ms)}",
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _line(name: str, meter: FeedMeter, report: FeedReport) -> str:
    if not report.frames:
        return f"{name}: no frame for {duration_text(meter.silent_s)}, {_lost_text(meter)}"
    late = f"latency {_ms(report.latency_ms)}, at most {_ms(report.worst_ms)}"
    return f"{name}: frame {meter.number}, {report.rate:.1f}/s, {_lost_text(meter)}, {late}"


def _lost_text(meter: FeedMeter) -> str:
    return f"lost {meter.lost}, by the camera {meter.camera_lost}"


def _table(title: str, meter: FeedMeter, report: FeedReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("feed", "frames", "number", "rate", "lost", "by the camera", "latency", "at most"):
        table.add_column(column, justify="left" if column == "feed" else "right", no_wrap=True)
    silent = f"[bold red]none for {duration_text(meter.silent_s)}[/]"
    table.add_row(
        title,
        f"{meter.frames:,}",
        "-" if meter.number is None else str(meter.number),
        f"{report.rate:.1f}/s" if report.frames else silent,
        str(meter.lost),
        str(meter.camera_lost),
        _ms(report.latency_ms),
        _ms(report.worst_ms),
    )
    return table
