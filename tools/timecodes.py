"""Write the times of a store's frames for Matroska's tools."""

from pathlib import Path
from typing import Annotated

import typer

import imgstore
from tools.console import show
from tools.options import By, Force, From, Json, To, parse_range


def timecodes(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="Text file to write.")],
    start: From = None,
    stop: To = None,
    by: By = "time",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the times of the frames as a timecode file, format v2: a line for each, in milliseconds.

    The first frame, of the store or of the part, is at 0. `mkvmerge --timestamps 0:OUT` gives a video these
    times. A video of `ethostore export-video` has them already.
    """
    wanted = parse_range(start, stop, by)
    frames = imgstore.save_timecodes(store, out, wanted.start, wanted.stop, by=wanted.by, force=force)
    show({"timecodes": str(out), "frames": frames}, as_json=as_json)
