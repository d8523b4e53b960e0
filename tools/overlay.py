"""Write a video with what was found drawn on it."""

from pathlib import Path
from typing import Annotated

import typer

import tracking
from tools.console import duration_text, show, size_text
from tools.options import BY_HELP, START_HELP, STOP_HELP, Force, Json, frame_bar, parse_range


def overlay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="[SOURCE] RESULT OUT",
            help="The store or video (it may be left out where the result says where it lies), the result "
            "file (*.tracks.h5), and the video to write: .mp4, .mov or .mkv.",
        ),
    ],
    start: Annotated[str | None, typer.Option("--start", "--from", help=START_HELP)] = None,
    stop: Annotated[str | None, typer.Option("--end", "--to", help=STOP_HELP)] = None,
    by: Annotated[str, typer.Option("--by", help=BY_HELP)] = "time",
    speed: Annotated[float, typer.Option(help="10 plays ten times as fast.")] = 1.0,
    scale: Annotated[
        float, typer.Option(min=0.01, max=1, help="Make frames smaller: 0.5 is half as wide and high.")
    ] = 1.0,
    trail: Annotated[float, typer.Option(help="Seconds of the way behind each animal; 0 for none.")] = 3.0,
    quality: Annotated[
        int | None, typer.Option(min=0, max=51, help="CRF of H.264, lower is better. Default: 20.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a video of a recording with regions, animals, headings, trails, times and stimuli drawn on it.

    Each animal has its colour. Its ellipse is thick where it was seen, thin where it touches another or is
    known by its looks only; a small ring is where it must have been. A white ring is a stimulus. Each frame
    is shown at its own time, as by export-video.

        ethostore overlay flies.tracks.h5 flies.mp4 --by seconds --start 60 --end 120 --scale 0.5
    """
    if len(files) not in (2, 3):
        raise typer.BadParameter(f"give RESULT OUT, or SOURCE RESULT OUT; got {len(files)} names")
    source = files[0] if len(files) == 3 else None
    wanted = parse_range(start, stop, by)
    with frame_bar("frames") as progress:
        done = tracking.save_overlay(
            files[-2],
            files[-1],
            source,
            start=wanted.start,
            stop=wanted.stop,
            by=wanted.by,
            speed=speed,
            scale=scale,
            trail=trail,
            quality=quality,
            progress=progress,
            force=force,
        )
    size = done.path.stat().st_size
    facts = {"video": str(done.path), "frames": done.frames, "seconds": done.seconds, "bytes": size}
    readable = {
        "video": done.path,
        "frames": done.frames,
        "plays": duration_text(done.seconds),
        "size": size_text(size),
    }
    show(facts if as_json else readable, as_json=as_json)
