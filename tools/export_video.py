"""Write a store as a plain video."""

from pathlib import Path
from typing import Annotated

import typer

import imgstore
from tools.console import duration_text, parse_time, show, size_text
from tools.options import By, Crop, Force, From, Grey, Json, Scale, To, frame_bar, parse_crop, parse_range


def export_video(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    out: Annotated[Path, typer.Argument(help="Video to write: .mp4, .mov or .mkv.")],
    start: From = None,
    stop: To = None,
    by: By = "time",
    speed: Annotated[float, typer.Option(help="10 plays ten times as fast.")] = 1.0,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Draw the number and the local time of each frame on it.")
    ] = False,
    grey: Grey = False,
    crop: Crop = None,
    scale: Scale = 1.0,
    quality: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=51,
            help="CRF of H.264, lower is better. Default: frames are copied as they are where that can be, "
            "else 20.",
        ),
    ] = None,
    audio: Annotated[
        str | None,
        typer.Option(help="Sound to add: a file, or the name of a signal that was recorded with the store."),
    ] = None,
    audio_start: Annotated[
        str | None,
        typer.Option(
            help="Time at which the sound file starts, as --from. Default: with the first frame of the store."
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a store, or part of it, as an ordinary video that plays anywhere, at the pace of the recording.

    Each frame is shown at its own time: where the camera paused, the video does, for at most six hours. H.264
    in a store is copied, not encoded again, if nothing is asked that changes the picture and the part starts
    at a keyframe. Of a video that is sped up, at most 60 frames a second are kept.

        ethostore export-video a.store a.mp4

        ethostore export-video a.store night.mp4 --from 2026-11-21T22:00 --speed 60 --overlay
    """
    wanted = parse_range(start, stop, by)
    with frame_bar("frames") as progress:
        done = imgstore.export_video(
            store,
            out,
            wanted.start,
            wanted.stop,
            by=wanted.by,
            speed=speed,
            overlay=overlay,
            grey=grey,
            crop=parse_crop(crop),
            scale=scale,
            quality=quality,
            audio=audio,
            audio_start=None if audio_start is None else parse_time("--audio-start", audio_start),
            progress=progress,
            force=force,
        )
    size = done.path.stat().st_size
    facts: dict[str, object] = {
        "video": str(done.path),
        "frames": done.frames,
        "seconds": done.seconds,
        "copied": done.copied,
        "frames_off_time": done.changed,
        "bytes": size,
    }
    readable: dict[str, object] = {
        "video": done.path,
        "frames": f"{done.frames}, {'copied as they were' if done.copied else 'encoded'}",
        "plays": duration_text(done.seconds),
        "size": size_text(size),
    }
    if done.changed:
        readable["clock"] = f"stepped back, stood still or paused for hours at {done.changed} frames"
    show(facts if as_json else readable, as_json=as_json)
