"""The rig file: make one, and see what it would record."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.table import Table

from hardware import (
    EXAMPLE_RIG,
    CameraSpec,
    HardwareError,
    RigProblem,
    RigSpec,
    check_place,
    existing_parent,
    next_window,
    read_rig,
    try_cameras,
)
from imgstore import ImgstoreError, OutputExistsError, replacing
from tools.console import json_text, out, show, show_table, size_text
from tools.options import Json

_DEFAULT = Path("rig.yaml")

rig = typer.Typer(
    no_args_is_help=True,
    help="The rig file: which cameras are recorded together, where to, when, and until when.\n\n"
    "`ethostore rig init` writes one to begin with, `ethostore rig check` says what it would record.",
)


@rig.command()
def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = _DEFAULT,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write an example of a rig file, with everything that it can say, to be changed with any editor."""
    if file.exists() and not force:
        raise OutputExistsError(f"{file} exists already; choose another name, or --force to replace it")
    with replacing(file) as beside:
        beside.write(EXAMPLE_RIG.encode())
    out.print(f"wrote {file}; change it, then: ethostore rig check {file}", markup=False)


@rig.command()
def check(
    file: Annotated[Path, typer.Argument(help="The rig file.")] = _DEFAULT,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a rig file, with line and name, or what will be recorded.

    No camera is opened. Exits with 1 if there is anything wrong.
    """
    read = read_rig(file)
    times = None if read.spec is None else _times(read.spec, time.time())
    problems = list(read.problems)
    if read.spec is not None and times is not None:
        problems += [*try_cameras(read.spec), *_past(times), *_closed(read.spec, times)]
    if as_json:
        sys.stdout.write(json_text(_facts(file, read.spec, times, problems)) + "\n")
    elif problems:
        show_table(_problem_table(problems))
        out.print(f"{file}: {len(problems)} problem{'' if len(problems) == 1 else 's'}", markup=False)
    elif read.spec is not None and times is not None:
        show_table(_camera_table(read.spec))
        out.print()
        show(_readable(read.spec, times), as_json=False)
    if problems:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Times:
    """When a rig would record, if it were started now.

    Attributes
    ----------
    zone : in which times are shown.
    waits : whether it would wait for its time.
    begins : Unix time.
    window_ends, ends : Unix times of the end of the first window, and of the recording; None if no clock
        ends it.
    """

    zone: ZoneInfo
    waits: bool
    begins: float
    window_ends: float | None
    ends: float | None

    def text(self, moment: float | None) -> str | None:
        """Return a Unix time as people read it."""
        return None if moment is None else datetime.fromtimestamp(moment, self.zone).isoformat(" ", "seconds")


def _times(spec: RigSpec, now: float) -> _Times:
    zone = spec.schedule.timezone
    window = next_window(spec.schedule, now, zone)
    begins = max(window.start, now)
    return _Times(zone, window.start > now, begins, window.stop, spec.limits.ends(begins, zone))


def _past(times: _Times) -> list[RigProblem]:
    """Return that nothing can be recorded, if the end comes before the beginning."""
    if times.ends is None or times.ends > times.begins:
        return []
    what = f"is {times.text(times.ends)}, before recording begins at {times.text(times.begins)}"
    return [RigProblem(None, "limits.until", what)]


def _closed(spec: RigSpec, times: _Times) -> list[RigProblem]:
    """Return the first thing that keeps stores from being made where they are to lie."""
    try:
        for camera in spec.cameras:
            for store in camera.stores:
                check_place(spec.store_path(store, times.begins, times.zone), spec.disk_reserve)
    except (HardwareError, ImgstoreError) as exc:
        return [RigProblem(None, "folder", str(exc))]
    return []


def _problem_table(problems: Sequence[RigProblem]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("line", no_wrap=True, justify="right")
    table.add_column("name", overflow="fold")
    table.add_column("what is wrong", overflow="fold")
    for one in problems:
        table.add_row("" if one.line is None else str(one.line), escape(one.name), escape(one.what))
    return table


def _camera_table(spec: RigSpec) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("camera", "source", "frames", "kept as", "chunks", "queue"):
        table.add_column(name, overflow="fold")
    for camera in spec.cameras:
        table.add_row(*map(escape, _camera_texts(camera)))
    return table


def _camera_texts(camera: CameraSpec) -> tuple[str, ...]:
    size = f"{camera.size[1]}x{camera.size[0]}" if camera.size else "its own size"
    rate = f"{camera.rate:g}/s" if camera.rate else "its own rate"
    frames = [size, "colour" if camera.colour else "grey", rate]
    if camera.crop:
        x, y, width, height = camera.crop
        frames.append(f"cropped to {width}x{height} at {x},{y}")
    if camera.split:
        frames.append(f"split into {' and '.join(camera.split)}")
    chunks = "by format"
    if camera.chunk_s is not None:
        chunks = f"of {camera.chunk_s:g} s"
    elif camera.chunksize is not None:
        chunks = f"of {camera.chunksize} frames"
    kept = f"{camera.format}, {camera.settings}"
    return camera.name, camera.source, ", ".join(frames), kept, chunks, _queue(camera)


def _queue(camera: CameraSpec) -> str:
    if camera.queue.bytes is not None:
        return size_text(camera.queue.bytes)
    return f"{camera.queue.frames} frames"


def _readable(spec: RigSpec, times: _Times) -> dict[str, object]:
    limits, window_ends = spec.limits, times.text(times.window_ends)
    bounds = [
        f"{limits.frames} frames" if limits.frames else "",
        size_text(limits.size) if limits.size else "",
        f"the clock at {times.text(times.ends)}" if times.ends is not None else "",
        f"less than {size_text(spec.disk_reserve)} left on the disk ({_free(spec.folder)} now)",
    ]
    records = [
        f"from {times.text(times.begins) if times.waits else 'now'}",
        f"to {window_ends}" if window_ends else "",
        f"and so every day, {spec.schedule.daily}" if spec.schedule.daily else "",
        f"({times.zone.key})",
    ]
    stores = [path for camera in spec.cameras for path in _paths(spec, camera, times)]
    return {
        "run": spec.name,
        "stores": ", ".join(stores),
        "records": " ".join(filter(None, records)),
        "until": ", or ".join(filter(None, bounds)),
        "live feeds": ", ".join(camera.feed_name for camera in spec.cameras if camera.feed_name) or "none",
        "metadata": dict(spec.metadata),
        "asks for": ", ".join(spec.ask) or "nothing",
    }


def _paths(spec: RigSpec, camera: CameraSpec, times: _Times) -> list[str]:
    return [str(spec.store_path(store, times.begins, times.zone)) for store in camera.stores]


def _free(folder: Path) -> str:
    return size_text(shutil.disk_usage(existing_parent(folder)).free)


def _facts(
    file: Path, spec: RigSpec | None, times: _Times | None, problems: Sequence[RigProblem]
) -> dict[str, object]:
    facts: dict[str, object] = {
        "file": str(file),
        "ok": not problems,
        "problems": [{"line": one.line, "name": one.name, "what": one.what} for one in problems],
    }
    if spec is None or times is None:
        return facts
    return facts | {
        "name": spec.name,
        "cameras": [
            {
                "name": camera.name,
                "source": camera.source,
                "format": camera.format,
                "settings": camera.settings,
                "stores": _paths(spec, camera, times),
                "feed": camera.feed_name,
            }
            for camera in spec.cameras
        ],
        "begins": times.text(times.begins),
        "window_ends": times.text(times.window_ends),
        "ends": times.text(times.ends),
        "disk_reserve": spec.disk_reserve,
        "metadata": dict(spec.metadata),
        "ask": list(spec.ask),
    }
