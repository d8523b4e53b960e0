"""Make a store of part of a store."""

from pathlib import Path
from typing import Annotated

import typer

import imgstore
from tools.convert import show_store
from tools.options import By, Force, From, Json, To, frame_bar, parse_range, resumable


def cut(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="Folder of the new store; it must not exist.")],
    start: From = None,
    stop: To = None,
    by: By = "time",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Copy part of a store into a new one; frames keep number, time and extra data.

    Whole chunks and single images are copied as they are, videos from a keyframe on; only the frames before
    the first keyframe are encoded again. The first chunks then are shorter than the others: `ethostore
    convert` makes even ones. After Ctrl-C the same command goes on.

        ethostore cut a.store evening.store --from 2026-11-21T18:00 --to 2026-11-21T22:00

        ethostore cut a.store start.store --to 600 --by seconds
    """
    wanted = parse_range(start, stop, by)
    with frame_bar("frames") as progress, resumable(str(out)):
        done = imgstore.cut(
            store, out, wanted.start, wanted.stop, by=wanted.by, progress=progress, force=force
        )
    show_store(done, as_json=as_json)
