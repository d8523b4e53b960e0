"""Write one frame of a store or a video as a picture."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

import imgstore
from imgstore import Frame, FrameFormatError, FrameSequence, Image, StoreExistsError, StoreReader
from tools.console import show
from tracking import draw, open_results

_PICTURES = (".png", ".jpg", ".tif", ".bmp")


def frame(
    store: Annotated[Path, typer.Argument(help="Folder of the store, or a video file.")],
    out: Annotated[Path, typer.Argument(help="Picture to write: .png, .jpg, .tif or .bmp.")],
    index: Annotated[int | None, typer.Option(help="Position, from 0; negative counts from the end.")] = None,
    number: Annotated[int | None, typer.Option(help="The camera's number of the frame.")] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="The frame nearest to this time: Unix seconds, or ISO 8601 (2026-11-21T14:30:05.2), "
            "in the store's zone unless it names one."
        ),
    ] = None,
    result: Annotated[
        Path | None, typer.Option(help="Result file: draw its regions and animals on the picture.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Write one frame as a picture, found by its index, its camera number or its time."""
    if sum(way is not None for way in (index, number, time)) != 1:
        raise typer.BadParameter("give one of --index, --number and --time")
    if out.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"OUT ends in one of {', '.join(_PICTURES)}, got {str(out)!r}")
    if out.exists() and not force:
        raise StoreExistsError(f"{out} exists already; give another name, or --force")
    frames = imgstore.open_source(store)
    try:
        found = _find(frames, index, number, time)
        local = frames.local_time(found.time).isoformat() if isinstance(frames, StoreReader) else None
    finally:
        frames.close()
    _write(out, found.image if result is None else _with_result(found, result))
    facts = {"picture": str(out), "index": found.index, "number": found.number, "time": found.time}
    show({**facts, "local_time": local} if local else facts, as_json=as_json)


def _find(frames: FrameSequence, index: int | None, number: int | None, time: str | None) -> Frame:
    if index is not None:
        return frames[index]
    if isinstance(frames, StoreReader):
        return frames.by_number(number) if number is not None else frames.by_time(_parse_time(time or ""))
    if number is not None:
        return frames[number]  # a video's numbers are its indices
    return frames[int(np.argmin(np.abs(frames.times - _seconds(_parse_time(time or "")))))]


def _parse_time(text: str) -> float | datetime:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise typer.BadParameter(
            f"--time is seconds or an ISO 8601 date and time such as 2026-11-21T14:30:05, got {text!r}"
        ) from exc


def _seconds(time: float | datetime) -> float:
    if isinstance(time, datetime):
        raise typer.BadParameter("a video has no dates; give --time in seconds from its start")
    return time


def _with_result(found: Frame, result: Path) -> Image:
    with open_results(result) as results:
        rows = np.flatnonzero(results.frames["index"] == found.index)
        points = results.points[np.isin(results.points["frame"], rows)]
        return draw(found.image, results.rois, points, results.targets)


def _write(out: Path, image: Image) -> None:
    try:
        _, data = cv2.imencode(out.suffix.lower(), image)
    except cv2.error as exc:
        raise FrameFormatError(
            f"{out.suffix} cannot hold {image.dtype} of shape {image.shape}; try .tif"
        ) from exc
    with imgstore.replacing(out) as file:
        file.write(data.tobytes())
