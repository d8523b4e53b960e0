"""Write one frame of a store or a video as a picture."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

import imgstore
from imgstore import (
    Frame,
    FrameFormatError,
    FrameNotFoundError,
    FrameSequence,
    Image,
    OutputExistsError,
    StoreReader,
)
from tools.console import parse_time, show
from tools.info import local_text
from tools.options import Force, Json
from tracking import ResultFileError, draw, may_be_of, open_results

_PICTURES = (".png", ".jpg", ".tif", ".bmp")
_FARTHEST_S = 2.0


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
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write one frame as a picture, found by its index, its camera number or its time."""
    if sum(way is not None for way in (index, number, time)) != 1:
        raise typer.BadParameter("give one of --index, --number and --time")
    check_picture("OUT", out, force=force)
    frames = imgstore.open_source(store, colour=result is None)  # results are of grey videos
    try:
        found = _find(frames, index, number, time)
        picture = found.image if isinstance(frames, StoreReader) else _plain(found.image)
        local = local_text(frames, found.time) if isinstance(frames, StoreReader) else None
        if result is not None:
            picture = _with_result(found, result, frames)
    finally:
        frames.close()
    write_picture(out, picture)
    facts = {"picture": str(out), "index": found.index, "number": found.number, "time": found.time}
    show({**facts, "local_time": local} if local else facts, as_json=as_json)


def check_picture(what: str, path: Path, *, force: bool) -> None:
    """Raise typer.BadParameter if a path can be no picture's, OutputExistsError if it is taken."""
    if path.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"{what} ends in one of {', '.join(_PICTURES)}, got {str(path)!r}")
    if path.exists() and not force:
        raise OutputExistsError(f"{path} exists already; give another name, or --force")


def _find(frames: FrameSequence, index: int | None, number: int | None, time: str | None) -> Frame:
    if index is not None:
        return frames[index]
    if number is not None:
        return frames.by_number(number) if isinstance(frames, StoreReader) else frames[number]
    asked = parse_time("--time", time or "")
    if isinstance(frames, StoreReader):
        found = frames.by_time(asked)
        seconds = asked if isinstance(asked, float) else frames.seconds(asked)
    else:
        seconds = _seconds(asked)
        found = frames[int(np.argmin(np.abs(frames.times - seconds)))]
    if abs(found.time - seconds) > _FARTHEST_S:
        text = local_text(frames, found.time) if isinstance(frames, StoreReader) else f"{found.time} s"
        raise FrameNotFoundError(
            f"there is no frame within {_FARTHEST_S:g} s of {time}; the nearest is at {text}"
        )
    return found


def _seconds(time: float | datetime) -> float:
    if isinstance(time, datetime):
        raise typer.BadParameter("a video has no dates; give --time in seconds from its start")
    return time


def _with_result(found: Frame, result: Path, frames: FrameSequence) -> Image:
    with open_results(result) as results:
        about = results.attributes
        if about["frame_shape"] != found.image.shape or not may_be_of(results, frames):
            raise ResultFileError(f"{result} is of another recording, {about['source']}")
        rows = np.flatnonzero(results.frames["index"] == found.index)
        points = results.points[np.isin(results.points["frame"], rows)]
        rois, targets = results.regions_at(found.time)
        return draw(found.image, rois, points, targets)


def _plain(image: Image) -> Image:
    """Return an image of a video, as grey if it has no colour."""
    has_colour = image.ndim == 3 and np.any(image != image[..., :1])
    return image if has_colour or image.ndim != 3 else image[..., 0]


def write_picture(out: Path, image: Image) -> None:
    """Write an image as a picture, all of it or nothing. Raises FrameFormatError, OSError."""
    try:
        _, data = cv2.imencode(out.suffix.lower(), image)
    except cv2.error as exc:
        raise FrameFormatError(
            f"{out.suffix} cannot hold {image.dtype} of shape {image.shape}; try .tif"
        ) from exc
    with imgstore.replacing(out) as file:
        file.write(data.tobytes())
