"""Make a store of a store: another format, other chunks, colours, size."""

from pathlib import Path
from typing import Annotated

import typer

import imgstore
from imgstore import FORMATS, Converted
from tools.console import folder_size, show, size_text
from tools.options import (
    Chunksize,
    Crop,
    Force,
    Grey,
    Json,
    Profile,
    Scale,
    Settings,
    Workers,
    frame_bar,
    parse_crop,
    parse_settings,
    resumable,
)


def convert(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="Folder of the new store; it must not exist.")],
    chunk_format: Annotated[
        str | None,
        typer.Option(
            "--format", help=f"How frames are kept: {', '.join(FORMATS.names())}. Default: as they are."
        ),
    ] = None,
    chunksize: Chunksize = None,
    profile: Profile = None,
    settings: Settings = None,
    grey: Grey = False,
    crop: Crop = None,
    scale: Scale = 1.0,
    workers: Workers = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Encode a store anew: another format, other chunks, grey, a part of the picture, a smaller one.

    Frames keep number and time; extra data and metadata come along. Several chunks are written at a time.
    After Ctrl-C, a crash or a power cut, the same command goes on where it stopped; until all is done, the
    new store is in OUT.partial. The old store is only read.

        ethostore convert a.store small.store --settings small --crop 100,50,640,480

        ethostore convert a.store pictures.store --format png --grey --scale 0.5
    """
    with frame_bar("frames") as progress, resumable(str(out)):
        done = imgstore.convert(
            store,
            out,
            format=chunk_format,
            chunksize=chunksize,
            settings=parse_settings(profile, settings),
            grey=grey,
            crop=parse_crop(crop),
            scale=scale,
            workers=workers,
            progress=progress,
            force=force,
        )
    show_store(done, as_json=as_json)


def show_store(done: Converted, *, as_json: bool) -> None:
    """Print what was made."""
    size = folder_size(done.path)
    facts: dict[str, object] = {
        "store": str(done.path),
        "frames": done.frames,
        "chunks": done.chunks,
        "chunks_from_before": done.kept,
        "encoded_frames": done.encoded,
        "bytes": size,
    }
    before = f", {done.kept} from before" if done.kept else ""
    readable: dict[str, object] = {
        "store": done.path,
        "frames": f"{done.frames}, {done.encoded} of them encoded now",
        "chunks": f"{done.chunks}{before}",
        "size": size_text(size),
    }
    show(facts if as_json else readable, as_json=as_json)
