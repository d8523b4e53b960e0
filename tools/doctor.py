"""Say what would keep a recording from going well on this machine."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hardware import LEVELS, CheckResult, CodecSpeed, Level, RecordingPlan, examine
from imgstore import DEFAULT_FORMAT, FORMATS
from tools.console import err, json_text, out, show_table, size_text
from tools.options import Json, parse_size

_COLOURS: Mapping[Level, str] = {"ok": "green", "unknown": "dim", "warning": "yellow", "problem": "red"}
_QUIET: tuple[Level, ...] = ("ok", "unknown")


def doctor(
    folder: Annotated[
        Path, typer.Argument(help="Where recordings are to lie; it need not exist yet.")
    ] = Path(),
    size: Annotated[str, typer.Option(help="Size of the frames to be recorded.")] = "1280x960",
    rate: Annotated[float, typer.Option(help="Frames per second of each camera.")] = 30.0,
    chunk_format: Annotated[
        str, typer.Option("--format", help=f"How frames are to be kept: {', '.join(FORMATS.names())}.")
    ] = DEFAULT_FORMAT,
    cameras: Annotated[int, typer.Option(help="How many cameras at the same time.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Measure nothing.")] = False,
    seconds: Annotated[
        float, typer.Option(help="How long each format is given frames, to measure it.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Say what would keep a recording from going well on this machine, and what to do about it.

    Measured, in half a minute: how fast each format takes frames, how fast the disk writes. Looked at:
    cameras, room on the disk and for how many hours it lasts, clock, permissions, limits, memory, processor,
    versions.

    Exits with 1 if there is a problem, 0 if there are warnings only.
    """
    plan = RecordingPlan(parse_size("--size", size), rate, chunk_format, cameras)
    speeds: list[CodecSpeed] = []
    results: list[CheckResult] = []
    with err.status("looking") as status:  # shows nothing where there is no terminal

        def progress(what: str) -> None:
            status.update(escape(what))

        for one in examine(folder, plan, quick=quick, seconds=seconds, progress=progress):
            if isinstance(one, CodecSpeed):
                speeds.append(one)
            else:
                results.append(one)
    if as_json:
        sys.stdout.write(json_text(_facts(folder, plan, speeds, results)) + "\n")
    else:
        _show(plan, speeds, results)
    if any(one.level == "problem" for one in results):
        raise typer.Exit(1)


def _show(plan: RecordingPlan, speeds: Sequence[CodecSpeed], results: Sequence[CheckResult]) -> None:
    if speeds:
        show_table(_codec_table(plan, speeds))
        out.print()
    show_table(_result_table(results))
    counts = {level: sum(one.level == level for one in results) for level in LEVELS}
    out.print(
        f"\nfor {plan}: {_counted(counts['problem'], 'problem')}, {_counted(counts['warning'], 'warning')}",
        markup=False,
    )


def _codec_table(plan: RecordingPlan, speeds: Sequence[CodecSpeed]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("format", no_wrap=True, min_width=max(len(one.format) for one in speeds))
    for name in ("frames/s", "per frame", "per hour"):
        table.add_column(name, no_wrap=True, min_width=9, justify="right")
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for one in sorted(speeds, key=lambda one: -one.frames_per_s):
        if one.problem:
            table.add_row(one.format, "-", "-", "-", f"[dim]{escape(one.problem)}[/]")
            continue
        hourly = one.bytes_per_frame * plan.frames_per_s * 3600
        remark = "" if one.frames_per_s >= plan.frames_per_s else "[yellow]too slow here[/]"
        table.add_row(
            one.format, f"{one.frames_per_s:.0f}", size_text(one.bytes_per_frame), size_text(hourly), remark
        )
    return table


def _result_table(results: Sequence[CheckResult]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in results:
        advice = f"\n[bold]{escape(one.advice)}[/]" if one.advice and one.level not in _QUIET else ""
        colour = _COLOURS[one.level]
        table.add_row(f"[{colour}]{one.level}[/]", escape(one.topic), escape(one.found) + advice)
    return table


def _counted(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _facts(
    folder: Path, plan: RecordingPlan, speeds: Sequence[CodecSpeed], results: Sequence[CheckResult]
) -> dict[str, object]:
    return {
        "folder": str(folder),
        "size": [plan.size[1], plan.size[0]],
        "rate": plan.rate,
        "format": plan.format,
        "cameras": plan.cameras,
        "codecs": [
            {
                "format": one.format,
                "frames_per_s": round(one.frames_per_s, 1) or None,
                "bytes_per_frame": round(one.bytes_per_frame) or None,
                "problem": one.problem or None,
            }
            for one in speeds
        ],
        "checks": [
            {"topic": one.topic, "level": one.level, "found": one.found, "advice": one.advice}
            for one in results
        ],
    }
