"""Say which live feeds there are, and follow one."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hardware import (
    FeedError,
    FeedInfo,
    FeedNotFoundError,
    FeedPulse,
    FeedReader,
    find_feeds,
    look_at_feed,
    remove_stale_feeds,
)
from tools.console import duration_text, json_text, out, show, show_table, size_text
from tools.feed_follow import follow
from tools.frame import check_picture, write_picture

_SILENT_S = 2.0  # without a frame, and it is told
_FRAME_S = 10.0  # that a frame to be saved may take to come, at least


def feed(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The feed to follow, as `ethostore record --feed NAME` has it. Default: list all."
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the next frame as a picture (.png, .jpg, .tif or .bmp), and end."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the picture if it exists.")] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a feed that nobody writes yet.")
    ] = 0.0,
    seconds: Annotated[
        float | None,
        typer.Option(min=0, help="End after this time. Default: at Ctrl-C, or when the feed ends."),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between lines.")] = 1.0,
    remove_stale: Annotated[
        bool,
        typer.Option(
            "--remove-stale",
            help="Remove what writers left in shared memory that died. Those that live stay.",
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON, for machines; of a feed that is followed, an object a line."
        ),
    ] = False,
) -> None:
    """List the live feeds of this user, or follow one: rate, lost frames, latency.

    A feed shows the frames of a recording to other processes (`ethostore record --feed NAME`, `feed:` in a
    rig file), which read them with `hardware.FeedReader(NAME)`. To look at it is in nobody's way.

    Of the frames that do not come, some were overwritten before they were read here (*lost*), others the
    camera lost. *Latency* is from the arrival of a frame in its recorder to its being read here: the median,
    and the longest.

    Exits with 1 if nobody writes a feed of this name, or its writer dies.
    """
    if name is None:
        if save is not None or seconds is not None:
            raise typer.BadParameter("name the feed; `ethostore feed` lists those that there are")
        _remove(as_json=as_json) if remove_stale else _list(as_json=as_json)
        return
    if remove_stale:
        raise typer.BadParameter("--remove-stale removes all feeds whose writers died; leave NAME away")
    if save is not None:
        check_picture("--save", save, force=force)
        _save(name, save, wait, as_json=as_json)
        return
    follow(name, wait=wait, seconds=seconds, interval=interval, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A feed, and how it goes if it does."""

    info: FeedInfo
    pulse: FeedPulse | None


def _list(*, as_json: bool) -> None:
    """Print which feeds there are."""
    listed = [_Listed(info, _pulse(info)) for info in find_feeds()]
    if as_json:
        sys.stdout.write(json_text({"feeds": [_facts(one) for one in listed]}) + "\n")
        return
    if not listed:
        out.print("there is no live feed; ethostore record --feed NAME writes one")
        return
    show_table(_table(listed))
    if stale := sum(not one.info.alive for one in listed):
        out.print(f"{stale} of writers that died: ethostore feed --remove-stale", markup=False)


def _pulse(info: FeedInfo) -> FeedPulse | None:
    if not info.alive:
        return None
    try:
        return look_at_feed(info.name)
    except FeedError:  # it ended meanwhile, or is being made
        return None


def _table(listed: Sequence[_Listed]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("feed", no_wrap=True)  # to be copied
    for name in ("frames", "rate", "memory", "process", "state"):
        table.add_column(name, overflow="fold")
    for one in listed:
        info = one.info
        texts = (info.name, _frames_text(info), _rate_text(one.pulse), size_text(info.size))
        pid = "" if info.pid is None else str(info.pid)
        table.add_row(*map(escape, texts), pid, _state_text(one))
    return table


def _frames_text(info: FeedInfo) -> str:
    if info.spec is None:
        return "not known"
    colour = "colour" if info.spec.is_colour else "grey"
    return f"{info.spec.columns}x{info.spec.rows} {colour} {info.spec.dtype.name}, last {info.slots}"


def _rate_text(pulse: FeedPulse | None) -> str:
    return "" if pulse is None or pulse.rate is None else f"{pulse.rate:.4g}/s"


def _state_text(one: _Listed) -> str:
    if not one.info.alive:
        return "[yellow]left by a writer that died[/]"
    if one.pulse is None or one.pulse.silent_s is None:
        return "alive, no frame yet"
    if one.pulse.silent_s > _SILENT_S:
        return f"alive, [yellow]no frame for {duration_text(one.pulse.silent_s)}[/]"
    return "alive"


def _facts(one: _Listed) -> dict[str, object]:
    info, pulse = one.info, one.pulse or FeedPulse()
    return {
        "name": info.name,
        "alive": info.alive,
        "pid": info.pid,
        "shape": None if info.spec is None else list(info.spec.shape),
        "dtype": None if info.spec is None else info.spec.dtype.name,
        "slots": info.slots,
        "bytes": info.size,
        "rate": pulse.rate,
        "silent_s": pulse.silent_s,
        "number": pulse.number,
        "frame_time": pulse.time,
    }


def _remove(*, as_json: bool) -> None:
    """Remove feeds whose writers died, and print their names."""
    removed = remove_stale_feeds()
    if as_json:
        sys.stdout.write(json_text({"removed": removed}) + "\n")
    else:
        out.print(f"removed {', '.join(removed)}" if removed else "no writer left a feed", markup=False)


def _save(name: str, picture: Path, wait: float, *, as_json: bool) -> None:
    """Write the next frame of a feed as a picture."""
    reader = FeedReader(name)
    reader.start(wait)
    try:
        frame = reader.latest(max(wait, _FRAME_S))
    finally:
        reader.close()
    if frame is None:
        raise FeedNotFoundError(f"the feed {name} ended before a frame came")
    write_picture(picture, frame.image)
    facts = {"picture": str(picture), "number": frame.number, "time": frame.time}
    show(facts, as_json=as_json)
