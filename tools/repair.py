"""Finish a store or a result whose writer died."""

from pathlib import Path
from typing import Annotated

import typer

import imgstore
import tracking
from tools.console import show
from tools.options import Json


def repair(
    path: Annotated[Path, typer.Argument(help="Folder of a store, or a result file (*.tracks.h5).")],
    as_json: Json = False,
) -> None:
    """Finish what a writer left that was killed, or whose machine lost power.

    A store is readable without this; afterwards it is so for every other reader of the format, too. What is
    whole is not touched. Exits with 1 if something could not be mended.
    """
    if path.is_file() and path.name != "metadata.yaml":
        mended = tracking.repair_results(path)
        show({"result": str(path), "mended": mended}, as_json=as_json)
        return
    done = imgstore.repair(path)
    facts = {
        "store": str(path),
        "chunks_finished": len(done.finished),
        "frames_in_them": sum(done.finished.values()),
        "empty_chunks_removed": len(done.removed),
        "chunks_whose_streams_were_finished": len(done.streams),
        "problems": done.problems,
    }
    show(facts if as_json else {**facts, "problems": "; ".join(done.problems) or "none"}, as_json=as_json)
    if done.problems:
        raise typer.Exit(1)
