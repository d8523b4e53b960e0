"""Export a result to other formats."""

from pathlib import Path
from typing import Annotated

import typer

import tracking
from tools.console import show


def export(
    result: Annotated[Path, typer.Argument(help="Result file (*.tracks.h5).")],
    out: Annotated[
        Path, typer.Argument(help=f"File to write; its ending: {', '.join(tracking.EXPORTERS.names())}.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Write all points of a result as a table: a row per animal and frame, with frame number and time.

    Positions are in pixels of the frame, times in seconds since the Unix epoch.
    """
    tracking.export(result, out, force=force)
    show({"table": str(out)}, as_json=as_json)
