"""Write the extra data of a store as a table."""

from pathlib import Path
from typing import Annotated

import typer

import imgstore
from tools.console import show
from tools.options import Force, Json


def extra(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="File to write; its ending: .csv, .json, .parquet.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write what was recorded beside the frames as a table: a row per record, or per sample of a signal.

    Each has number, time and index of the frame that it was recorded with.
    """
    rows = imgstore.save_extra(store, out, force=force)
    show({"table": str(out), "rows": rows}, as_json=as_json)
