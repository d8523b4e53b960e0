"""Write a store as one TIFF."""

from pathlib import Path
from typing import Annotated

import typer

import imgstore
from tools.console import show, size_text
from tools.options import By, Crop, From, Grey, Json, Scale, To, frame_bar, parse_crop, parse_range


def export_tiff(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="File to write: .tif or .tiff.")],
    start: From = None,
    stop: To = None,
    by: By = "time",
    grey: Grey = False,
    crop: Crop = None,
    scale: Scale = 1.0,
    compression: Annotated[
        str,
        typer.Option(
            help=f"How pages are packed, without loss: {', '.join(imgstore.TIFF_COMPRESSIONS)}. lzw needs "
            "imagecodecs here, and where tifffile reads it."
        ),
    ] = "none",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT and its table if they exist.")] = False,
    as_json: Json = False,
) -> None:
    """Write a store, or part of it, as one TIFF with a page for each frame, for Fiji, MATLAB, tifffile ...

    Each page says in its description which frame it is: index, number, time. The same is written as a table
    beside OUT, with the ending .csv: a row for each page, from 1, as Fiji counts slices. Lost frames have no
    page. What may grow beyond 4 GB is a BigTIFF: Fiji opens that by File > Import > Bio-Formats.

        ethostore export-tiff a.store a.tif --by seconds --from 0 --to 60 --compression deflate
    """
    wanted = parse_range(start, stop, by)
    known = next((name for name in imgstore.TIFF_COMPRESSIONS if name == compression), None)
    if known is None:
        choices = ", ".join(imgstore.TIFF_COMPRESSIONS)
        raise typer.BadParameter(f"--compression is one of {choices}, got {compression!r}")
    with frame_bar("pages") as progress:
        done = imgstore.export_tiff(
            store,
            out,
            wanted.start,
            wanted.stop,
            by=wanted.by,
            grey=grey,
            crop=parse_crop(crop),
            scale=scale,
            compression=known,
            progress=progress,
            force=force,
        )
    size = done.path.stat().st_size
    facts: dict[str, object] = {"tiff": str(done.path), "table": str(done.table), "frames": done.frames}
    if as_json:
        facts |= {"bigtiff": done.is_big, "bytes": size}
    else:
        facts["size"] = f"{size_text(size)}{', BigTIFF' if done.is_big else ''}"
    show(facts, as_json=as_json)
