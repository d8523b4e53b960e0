"""Draw a result on one page."""

from pathlib import Path
from typing import Annotated

import typer

from tools.console import show


def plot(
    result: Annotated[Path, typer.Argument(help="Result file (*.tracks.h5).")],
    out: Annotated[Path, typer.Argument(help="Picture to write: .png, .pdf or .svg.")],
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Draw the tracks over the background, and position and speed against time for every region."""
    from tracking import plots  # matplotlib takes a second to import

    plots.plot(result, out, force=force)
    show({"picture": str(out)}, as_json=as_json)
