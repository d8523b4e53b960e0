"""Make a store of a video or of pictures."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import imgstore
from imgstore import DEFAULT_FORMAT, FORMATS, is_picture
from tools.convert import show_store
from tools.options import (
    Chunksize,
    Crop,
    Force,
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
from tools.record import parse_meta, parse_start

_TIMES = ("rate", "exif", "mtime")


def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A video, or pictures and folders of them.", metavar="VIDEO|IMAGES..."),
    ],
    store: Annotated[Path, typer.Argument(help="Folder of the new store; it must not exist.")],
    start: Annotated[
        str | None,
        typer.Option(
            help="Time of the first frame: Unix seconds or ISO 8601 (local unless it names a zone). "
            "Default: 0, as a video does not say."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(help="Pictures per second, for --times rate.")] = 25,
    times: Annotated[
        str,
        typer.Option(
            help="Where the times of pictures come from: rate, exif (when the camera says that it took each) "
            "or mtime (when its file was last changed)."
        ),
    ] = "rate",
    chunk_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"How frames are kept: {', '.join(FORMATS.names())}. "
            f"Default: {DEFAULT_FORMAT} for videos and JPEGs, png for other pictures.",
        ),
    ] = None,
    chunksize: Chunksize = None,
    profile: Profile = None,
    settings: Settings = None,
    grey: Annotated[
        bool | None,
        typer.Option("--grey/--colour", help="Make colour grey, or keep it. Default: as the frames look."),
    ] = None,
    crop: Crop = None,
    scale: Scale = 1.0,
    meta: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE to keep in the store's metadata; may be repeated.")
    ] = None,
    workers: Workers = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a store of a video file, or of pictures in the natural order of their names (img9 before img10).

    The frames of a video keep their presentation times. Pictures of 16 bit stay so. After Ctrl-C the same
    command goes on.

        ethostore import old.mp4 old.store --start 2026-11-21T18:00 --meta genotype=w1118

        ethostore import timelapse/ plant.store --times exif
    """
    if times not in _TIMES:
        raise typer.BadParameter(f"--times is one of {', '.join(_TIMES)}, got {times!r}")
    make = (
        partial(imgstore.import_video, sources[0], format=chunk_format or DEFAULT_FORMAT, grey=grey)
        if _is_video(sources)
        else partial(
            imgstore.import_images,
            sources,
            times=times,  # type: ignore[arg-type]  # one of those, as checked
            rate=rate,
            format=chunk_format,
            grey=bool(grey),
        )
    )
    with frame_bar("frames") as progress, resumable(str(store)):
        done = make(
            destination=store,
            start_time=parse_start(start) or 0.0,
            chunksize=chunksize,
            settings=parse_settings(profile, settings),
            crop=parse_crop(crop),
            scale=scale,
            metadata=parse_meta(meta or []),
            workers=workers,
            progress=progress,
            force=force,
        )
    show_store(done, as_json=as_json)


def _is_video(sources: list[Path]) -> bool:
    return len(sources) == 1 and sources[0].is_file() and not is_picture(sources[0])
