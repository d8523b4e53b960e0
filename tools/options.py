"""What several subcommands take: which frames, which pixels, how they are encoded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from imgstore import RANGES_BY, FormatSettings, RangeBy
from tools.console import err, parse_pairs, parse_time, stage_bars

START_HELP = (
    "First frame: at or after this. With --by time, Unix seconds or ISO 8601 (2026-11-21T14:30:05.2), in the "
    "store's zone unless it names one. Default: the first of the store."
)
STOP_HELP = "Where to stop: the last frame is the one before this. Default: the last of the store."
BY_HELP = (
    "What --from and --to are: time, seconds (since the first frame), index (position, from 0; negative "
    "counts from the end) or number (the camera's)."
)

From = Annotated[str | None, typer.Option("--from", help=START_HELP)]
To = Annotated[str | None, typer.Option("--to", help=STOP_HELP)]
By = Annotated[str, typer.Option("--by", help=BY_HELP)]
Grey = Annotated[bool, typer.Option("--grey", help="Make colour grey.")]
Crop = Annotated[str | None, typer.Option(help="Keep only the part X,Y,WIDTH,HEIGHT, in pixels.")]
Scale = Annotated[
    float, typer.Option(help="Make frames smaller: 0.5 is half as wide and high. After --crop.")
]
Chunksize = Annotated[int | None, typer.Option(help="Frames per chunk.")]
Profile = Annotated[
    str | None, typer.Option("--settings", help="How hard to compress: fast, balanced, small or lossless.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="NAME=VALUE of the encoder, may be repeated: quality=20, preset=faster, gop=60, threads=4 "
        "(see FORMAT.md).",
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Chunks to write at a time. Default: as there are processors.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT if it exists, once all is done.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@dataclass(frozen=True, slots=True)
class Range:
    """The ends of a range of frames, and what they are."""

    start: float | datetime | None
    stop: float | datetime | None
    by: RangeBy


def parse_range(start: str | None, stop: str | None, by: str) -> Range:
    """Return what --from, --to and --by say. Raises typer.BadParameter."""
    known = next((name for name in RANGES_BY if name == by), None)
    if known is None:
        raise typer.BadParameter(f"--by is one of {', '.join(RANGES_BY)}, got {by!r}")
    return Range(_parse_end("--from", start, known), _parse_end("--to", stop, known), known)


def _parse_end(option: str, text: str | None, by: RangeBy) -> float | datetime | None:
    if text is None:
        return None
    if by == "time":
        return parse_time(option, text)
    try:
        return float(text)
    except ValueError as exc:
        raise typer.BadParameter(f"{option} is a number with --by {by}, got {text!r}") from exc


def parse_size(option: str, text: str) -> tuple[int, int]:
    """Return the (rows, columns) that an option says. Raises typer.BadParameter."""
    columns, _, rows = text.lower().partition("x")
    if not (columns.isdecimal() and rows.isdecimal()):
        raise typer.BadParameter(f"{option} is columns x rows, as 1280x960, got {text!r}")
    return int(rows), int(columns)


def parse_crop(text: str | None) -> tuple[int, int, int, int] | None:
    """Return what --crop says. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        x, y, width, height = map(int, text.split(","))
    except ValueError as exc:
        raise typer.BadParameter(f"--crop is X,Y,WIDTH,HEIGHT in pixels, got {text!r}") from exc
    return x, y, width, height


def parse_settings(profile: str | None, pairs: list[str] | None) -> str | FormatSettings | None:
    """Return what --settings and --set say. Raises typer.BadParameter, SettingsError."""
    if profile is not None and pairs:
        raise typer.BadParameter("give --settings or --set")
    if not pairs:
        return profile
    values = parse_pairs("--set", pairs)
    known = FormatSettings.__slots__
    if unknown := [name for name in values if name not in known]:
        raise typer.BadParameter(f"--set takes {', '.join(known)}, got {unknown[0]!r}")
    return FormatSettings(**{name: _as_number(text) for name, text in values.items()})  # type: ignore[arg-type]


def _as_number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


@contextmanager
def frame_bar(stage: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of the frames that are done on the terminal; nothing where there is none."""
    with stage_bars() as bars:
        yield lambda done, total: bars(stage, done, total)


@contextmanager
def resumable(what: str) -> Iterator[None]:
    """Say at Ctrl-C how to go on, and end."""
    try:
        yield
    except KeyboardInterrupt:
        err.print(f"stopped; the same command goes on where it stopped ({what}.partial)", markup=False)
        raise typer.Exit(130) from None
