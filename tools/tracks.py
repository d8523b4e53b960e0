"""Correct the identities in a result file."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tools.console import show
from tools.options import By, Json, parse_range
from tracking import (
    Correction,
    Results,
    find_frames,
    join_identities,
    open_results,
    split_identity,
    swap_identities,
)

tracks = typer.Typer(
    no_args_is_help=True,
    help="Correct identities in a result of several animals: swap, join, split.\n\n"
    "The result is copied, changed and put in place of the old one; an event in it tells of the change. "
    "Where identities are doubtful, the score of the points is low.",
)

Result = Annotated[Path, typer.Argument(help="Result file (*.tracks.h5).")]
Identity = Annotated[int, typer.Argument(min=1, help="Identity.")]
Roi = Annotated[int | None, typer.Option("--roi", help="Region; may be left out if there is one only.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]
From = Annotated[str | None, typer.Option("--from", help="First frame to change. Default: the first.")]
To = Annotated[str | None, typer.Option("--to", help="Where to stop. Default: the end.")]


@tracks.command()
def swap(
    result: Result,
    first: Identity,
    second: Identity,
    roi: Roi = None,
    start: From = None,
    stop: To = None,
    by: By = "time",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Exchange two identities, from a frame on or between two: `swap RESULT 1 2 --from 83.5 --by seconds`."""
    with open_results(result) as results:
        region, frames = _region(results, roi), _frames(results, start, stop, by)
    _say(swap_identities(result, first, second, roi=region, frames=frames, dry_run=dry_run), as_json)


@tracks.command()
def join(
    result: Result,
    kept: Identity,
    other: Identity,
    roi: Roi = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give all points of OTHER the identity KEPT: an animal that was lost and got a new number."""
    with open_results(result) as results:
        region = _region(results, roi)
    _say(join_identities(result, kept, other, roi=region, dry_run=dry_run), as_json)


@tracks.command()
def split(
    result: Result,
    identity: Identity,
    start: Annotated[str, typer.Option("--from", help="First frame of the new identity.")],
    roi: Roi = None,
    stop: To = None,
    by: By = "time",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give an identity a new number from a frame on: two animals that were taken for one."""
    with open_results(result) as results:
        region, frames = _region(results, roi), _frames(results, start, stop, by)
    _say(split_identity(result, identity, roi=region, frames=frames, dry_run=dry_run), as_json)


def _region(results: Results, roi: int | None) -> int:
    numbers = [region.number for region in results.rois]
    if roi is None and len(numbers) > 1:
        raise typer.BadParameter(f"say which region with --roi; there are {len(numbers)}")
    return numbers[0] if roi is None else roi


def _frames(results: Results, start: str | None, stop: str | None, by: str) -> tuple[int, int]:
    wanted = parse_range(start, stop, by)
    zone = ZoneInfo(results.attributes["timezone"])
    return find_frames(results, wanted.by, _seconds(wanted.start, zone), _seconds(wanted.stop, zone))


def _seconds(end: float | datetime | None, zone: ZoneInfo) -> float | None:
    if not isinstance(end, datetime):
        return end
    return (end if end.tzinfo else end.replace(tzinfo=zone)).timestamp()


def _say(done: Correction, as_json: bool) -> None:
    facts: dict[str, object] = {
        "result": str(done.path),
        "region": done.roi,
        "identities": {str(old): f"-> {new}" for old, new in done.identities.items()},
        "points": done.rows,
        "frames": f"{done.frames[0]} to {done.frames[1]}",
        "written": "yes" if done.written else "no, a dry run",
    }
    if as_json:
        facts |= {
            "identities": {str(old): new for old, new in done.identities.items()},
            "frames": list(done.frames),
            "written": done.written,
        }
    show(facts, as_json=as_json)
