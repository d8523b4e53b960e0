"""What all subcommands share: how facts, progress and errors look."""

import errno
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

_WIDE = 10_000  # columns
_LATEST_S = 1e11  # the year 5138
_GONE = (errno.EPIPE, errno.EIO, errno.ENXIO)  # what a pipe without a reader says, and a closed terminal


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, as all that prints: whether that is a failure is the command's to say."""
        raise  # it is called where the error was caught


out = _Console(highlight=False, soft_wrap=True)
err = _Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def perhaps_unheard(stream: TextIO) -> Iterator[None]:
    """Print what is no failure if nobody reads it any more: the pipe has no reader, the terminal is closed.

    Parameters
    ----------
    stream : to which the body prints; once it is found to be closed, all that is printed to it is dropped.
    """
    try:
        yield
        stream.flush()
    except OSError as exc:
        if exc.errno not in _GONE:
            raise
        discard(stream)


def discard(stream: TextIO) -> None:
    """Drop all that is printed to a stream from now on, and what it still holds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def show_table(table: Table) -> None:
    """Print a table: as wide as the terminal, and where there is none with a line for every row."""
    console = out if out.is_terminal else _Console(width=_WIDE)
    console.print(table)


def show(facts: Mapping[str, object], *, as_json: bool) -> None:
    """Print facts, for people as aligned lines or for machines as JSON."""
    if as_json:
        sys.stdout.write(json_text(facts) + "\n")
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
        out.print(f"{name.replace('_', ' '):<{width}}  {value}", markup=False)


def json_text(value: object) -> str:
    """Return a value as JSON, what JSON does not know as text."""
    return json.dumps(_finite(value), indent=2, default=str, allow_nan=False)


def _finite(value: object) -> object:
    """Return a value for JSON, which has no NaN and no infinity: they become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


@contextmanager
def stage_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each stage of long work on the terminal; nothing where there is none."""
    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None)
            bars.update(tasks[stage], completed=done, total=total or None)  # None: nobody knows

        yield update


def parse_pairs(option: str, pairs: list[str]) -> dict[str, str]:
    """Return what the values of an option, each NAME=VALUE, say. Raises typer.BadParameter."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{option} is NAME=VALUE, got {pair!r}")
        found[name] = value
    return found


def parse_time(option: str, text: str) -> float | datetime:
    """Return the time that an option says, in Unix seconds or as a date. Raises typer.BadParameter."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if abs(seconds) < _LATEST_S:
        return seconds
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise typer.BadParameter(
            f"{option} is Unix seconds or an ISO 8601 date and time such as 2026-11-21T14:30:05, got {text!r}"
        ) from exc


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder; files that vanish meanwhile do not count."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def size_text(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def number_text(value: float, style: str) -> str:
    """Return a number as a format says, and NaN, which stands for what is not known, as a dash."""
    return "-" if value != value else format(value, style)


def times_text(count: int) -> str:
    """Return how often something happened as people read it: once, 3 times."""
    return "once" if count == 1 else f"{count} times"


def duration_text(seconds: float) -> str:
    """Return a duration as people read it: 1:02:03.4, or 12.3 s below a minute."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}"
