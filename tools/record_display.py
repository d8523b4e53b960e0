"""What a recording shows while it runs, a table, lines, or JSON for machines; and the keys that it obeys."""

import json
import os
import select
import sys
import termios
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol, TypeAlias

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hardware import RecordProgress
from tools.console import duration_text, err, json_text, perhaps_unheard, size_text

Watch: TypeAlias = Callable[[Mapping[str, RecordProgress]], None]
"""Takes how far each camera is, by its name."""

_JSON_INTERVAL_S = 1.0
_LINE_INTERVAL_S = 10.0
_TABLE_INTERVAL_S = 0.25
_VIEWER_S = 1.0  # that what is shown last may take
_KEY_POLL_S = 0.1
_LOW_S = 3600.0  # that a disk lasts, and it is shown in red


class Controls(Protocol):
    """What the keys reach: a `Recorder`, or a `RigRecorder`."""

    def start_saving(self, reason: str = "asked") -> None: ...
    def stop_saving(self, reason: str = "asked") -> None: ...
    def mark(self, text: str) -> None: ...


@contextmanager
def display(asked: Mapping[str, float | None], *, as_json: bool) -> Iterator[Watch]:
    """Show how a recording goes, as suits where it is shown.

    Parameters
    ----------
    asked : the cameras, and the rates they were asked for.
    as_json : write events to standard output, a JSON object a line.
    """
    if as_json:
        with _every(_JSON_INTERVAL_S, _print_json) as watch:
            yield watch
    elif not err.is_terminal:
        with _every(_LINE_INTERVAL_S, _print_lines) as watch:
            yield watch
    else:
        live = Live(console=err, auto_refresh=False, transient=True)
        live.start()

        def show(progress: Mapping[str, RecordProgress]) -> None:
            live.update(Group(_table(progress, asked), _KEYS), refresh=True)

        try:
            with _every(_TABLE_INTERVAL_S, show) as watch:
                yield watch
        finally:
            with perhaps_unheard(sys.stderr):
                live.stop()


def json_event(kind: str, facts: Mapping[str, object]) -> None:
    """Write an event of the recording to standard output, as a line of JSON."""
    line = json.dumps(json.loads(json_text({"event": kind, "time": time.time(), **facts})))
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def has_keys() -> bool:
    """Say whether there is a terminal on which keys can be pressed."""
    return err.is_terminal and sys.stdin.isatty()


@contextmanager
def keys(controls: Controls, stop: threading.Event) -> Iterator[None]:
    """Obey single keys while a recording runs, if it runs on a terminal: s, p, m, q."""
    if not has_keys():
        yield
        return
    ended = threading.Event()
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    listener = threading.Thread(target=_listen, args=(controls, stop, ended), name="keys")
    listener.start()
    try:
        yield
    finally:
        ended.set()
        listener.join()
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


_KEYS = Text("s: start saving   p: pause saving   m: mark this moment   q: quit", style="dim")


def _listen(controls: Controls, stop: threading.Event, ended: threading.Event) -> None:
    marks = 0
    while not ended.is_set():
        if not select.select([sys.stdin], [], [], _KEY_POLL_S)[0]:
            continue
        try:
            pressed = os.read(sys.stdin.fileno(), 64)
        except OSError:
            pressed = b""
        if not pressed:
            return  # the terminal was closed
        for key in pressed.lower():
            if key == ord("s"):
                controls.start_saving("key")
            elif key == ord("p"):
                controls.stop_saving("key")
            elif key == ord("m"):
                marks += 1
                controls.mark(f"key {marks}")
            elif key == ord("q"):
                stop.set()


@contextmanager
def _every(seconds: float, show: Watch) -> Iterator[Watch]:
    """Show so often, in a thread of its own: who does not read (Ctrl-S, a full pipe) holds nothing up."""
    newest: deque[Mapping[str, RecordProgress]] = deque(maxlen=1)
    ended = threading.Event()

    def run() -> None:
        with suppress(OSError):  # nobody is there to see any more
            while not ended.wait(seconds):
                if newest:
                    show(newest.pop())

    def watch(progress: Mapping[str, RecordProgress]) -> None:
        if progress:
            newest.append(progress)

    viewer = threading.Thread(target=run, name="display", daemon=True)
    viewer.start()
    try:
        yield watch
    finally:
        ended.set()
        viewer.join(_VIEWER_S)


def _table(progress: Mapping[str, RecordProgress], asked: Mapping[str, float | None]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("camera", "", "frames", "rate", "asked", "lost", "queue", "disk", "time"):
        table.add_column(name, justify="left" if name in ("camera", "", "lost") else "right", no_wrap=True)
    for name, now in progress.items():
        rate = asked.get(name)
        table.add_row(
            name,
            _state(now),
            f"{now.frames:,}",
            f"{now.camera_rate:.1f}/s",
            f"{rate:g}/s" if rate else "-",
            Text(lost_text(now), style="bold red" if now.dropped else ""),
            f"{now.queued}/{now.queue_frames}",
            Text(_disk(now), style="bold red" if _is_low(now) else ""),
            duration_text(round(now.seconds, 1)),
        )
    return table


def _state(now: RecordProgress) -> Text:
    if now.camera == "lost":
        return Text("camera lost, looking for it", style="bold red")
    if now.camera == "ended":
        return Text("ending")
    return Text("saving", style="green") if now.saving else Text("not saving", style="yellow")


def lost_text(now: RecordProgress) -> str:
    """Return what was lost, by cause: "12 (camera 10, queue 2)"."""
    by_cause = ", ".join(f"{cause} {count}" for cause, count in now.lost.items() if count)
    return f"{now.dropped} ({by_cause})" if by_cause else "none"


def _disk(now: RecordProgress) -> str:
    if now.disk is None:
        return "-"
    left = now.disk.seconds_left
    full = f", full in {_about(left)}" if left is not None else ""
    return f"{size_text(now.disk.free)} free{full}"


def _about(seconds: float) -> str:
    """Return a duration as who plans ahead reads it: 40 min, 18 h, 12 days."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _is_low(now: RecordProgress) -> bool:
    """Return whether the disk does not last for long."""
    return now.disk is not None and now.disk.seconds_left is not None and now.disk.seconds_left < _LOW_S


def _print_lines(progress: Mapping[str, RecordProgress]) -> None:
    for name, now in progress.items():
        err.print(
            f"{name}: {_state(now).plain}, {now.frames} frames, {now.camera_rate:.1f}/s, "
            f"lost {lost_text(now)}, queue {now.queued}/{now.queue_frames}, {_disk(now)}",
            markup=False,
        )


def _print_json(progress: Mapping[str, RecordProgress]) -> None:
    for name, now in progress.items():
        json_event("progress", {"camera": name, **progress_facts(now)})


def progress_facts(now: RecordProgress) -> dict[str, object]:
    """Return how far a camera is, for machines."""
    return {
        "state": now.camera,
        "saving": now.saving,
        "frames": now.frames,
        "taken": now.taken,
        "rate": round(now.rate, 3),
        "camera_rate": round(now.camera_rate, 3),
        "lost": dict(now.lost),
        "queued": now.queued,
        "queue_frames": now.queue_frames,
        "frame_time": now.time,
        "seconds": round(now.seconds, 3),
        "disk_free": None if now.disk is None else now.disk.free,
        "disk_seconds_left": None if now.disk is None else now.disk.seconds_left,
    }
