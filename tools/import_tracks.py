"""Make a result of what another program found."""

from pathlib import Path
from typing import Annotated

import typer

import tracking
from tools.console import err, parse_pairs, show
from tools.options import Json


def import_tracks(
    file: Annotated[
        Path,
        typer.Argument(help="Of the other program: ethoscope's .db, Tracktor's .csv, SLEAP's .h5 or .slp."),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            help="The recording that was tracked: a store or a video. Only a .db does without.",
            metavar="VIDEO|STORE",
        ),
    ] = None,
    import_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"Instead of the ending: {', '.join(tracking.IMPORTERS.names())}.",
            metavar="NAME",
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="Name or file of a layout, for Tracktor and SLEAP: an animal is in the region around it."
        ),
    ] = "whole-frame",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="NAME=VALUE of the format; may be repeated. ethoscope: delay=0.05 (seconds by which frames "
            "are later than the file says; one frame in files made of a video). tracktor: first_frame=1. "
            "sleap-analysis, slp: node=thorax (the mean of all without), video=0.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Result file. Default: beside FILE.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Make a result file of what another program found in a recording, to plot and compare it.

    What the other program does not say, such as a length or a score, is NaN.

        ethostore import-tracks 2026-11-21_10-00-00_014.db --source arena.mp4 --set delay=0.05

        ethostore import-tracks mouse_tracktor.csv --source mouse.mp4
    """
    done = tracking.import_tracks(
        file,
        source=source,
        format=import_format,
        layout=layout,
        settings=parse_pairs("--set", settings or []),
        out=out,
        force=force,
    )
    facts: dict[str, object] = {"result": str(done.path), "frames": done.frames, "points": done.points}
    if as_json:
        show({**facts, "left_out": done.left_out}, as_json=True)
        return
    show(facts, as_json=False)
    for reason, count in done.left_out.items():
        err.print(f"{count} positions left out: {reason}", markup=False)
