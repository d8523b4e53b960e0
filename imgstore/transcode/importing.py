"""Stores made of videos and of folders full of pictures."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np

from imgstore.errors import FrameFormatError, FrameIndexError, MissingDependencyError, VideoError
from imgstore.formats import FormatSettings
from imgstore.frame import Frame, FrameSpec, Image
from imgstore.index import Numbers, Times
from imgstore.options import Crop, ReadOptions
from imgstore.transcode.convert import Converted, FrameProgress, Run, encode_store, new_store, plain_options
from imgstore.video import open_video
from imgstore.writer import DEFAULT_FORMAT

ImageTimes: TypeAlias = Literal["rate", "exif", "mtime"]
"""Where the times of pictures come from: a rate, what the camera noted in each, or the change of its file."""

NOMINAL_RATE = 25.0

_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".webp", ".jp2")
_LOSSY = (".jpg", ".jpeg", ".webp", ".jp2")
_NUMBER = re.compile(r"(\d+)")
_COLOURLESS = 4  # of 255, that channels differ by where chroma was rounded
_LOOKED_AT = 5  # frames that tell whether a video is grey
_EXIF_PART, _TAKEN, _FRACTION, _ZONE = 0x8769, 0x9003, 0x9291, 0x9011


def import_video(
    video: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    start_time: float = 0.0,
    format: str = DEFAULT_FORMAT,  # noqa: A002  # the format's own word for it
    chunksize: int | None = None,
    settings: str | FormatSettings | None = None,
    grey: bool | None = None,
    crop: Crop | None = None,
    scale: float = 1.0,
    metadata: Mapping[str, Any] | None = None,
    workers: int | None = 1,
    progress: FrameProgress | None = None,
    force: bool = False,
) -> Converted:
    """Make a store of a video file; its frames keep their presentation times and are numbered from 0.

    Parameters
    ----------
    video : the file; anything that FFmpeg reads.
    destination : folder of the store; it must not exist.
    start_time : of the first frame, seconds since the Unix epoch; a video does not say.
    grey : make the frames grey; None if they look so.
    metadata : what else to keep in `metadata.yaml`.
    format, chunksize, settings, crop, scale, workers, progress, force : see `convert`, also for what is
        raised, and how an import that was interrupted goes on.

    Raises
    ------
    VideoError
        The file is no video.
    """
    path = Path(video)
    options = ReadOptions(is_grey(path) if grey is None else grey, crop, scale)
    opened = partial(open_video, path, colour=not options.grey, crop=crop, scale=scale, start_time=start_time)
    with opened() as frames:
        content = new_store(
            frames.spec,
            format=format,
            chunksize=chunksize,
            settings=settings,
            user=metadata or {},
            made_from={"did": "import", **_file_identity(path), "start_time": start_time}
            | plain_options(options),
        )
        run = Run(workers, progress, force)
        return encode_store(opened, frames, Path(destination), content, run, source=path, format=format)


def is_grey(video: Path) -> bool:
    """Return whether a video has no colour in some frames spread over it. Raises VideoError."""
    with open_video(video, colour=True) as frames:
        for index in np.linspace(0, len(frames) - 1, _LOOKED_AT).astype(int):
            image = frames[int(index)].image.astype(np.int16)
            if np.abs(image - image[..., :1]).max() > _COLOURLESS:
                return False
    return True


def import_images(
    images: Iterable[str | os.PathLike[str]],
    destination: str | os.PathLike[str],
    *,
    times: ImageTimes = "rate",
    rate: float = NOMINAL_RATE,
    start_time: float = 0.0,
    format: str | None = None,  # noqa: A002
    chunksize: int | None = None,
    settings: str | FormatSettings | None = None,
    grey: bool = False,
    crop: Crop | None = None,
    scale: float = 1.0,
    metadata: Mapping[str, Any] | None = None,
    workers: int | None = 1,
    progress: FrameProgress | None = None,
    force: bool = False,
) -> Converted:
    """Make a store of pictures, in the natural order of their names: img9 comes before img10.

    Parameters
    ----------
    images : files, and folders of them.
    destination : folder of the store; it must not exist.
    times : where the times of the frames come from.
    rate : pictures per second, for times by "rate".
    start_time : of the first one then, seconds since the Unix epoch.
    format : of the chunks; None for "png", or if the pictures are lossy already, the default video format.
    metadata : what else to keep in `metadata.yaml`.
    chunksize, settings, grey, crop, scale, workers, progress, force : see `convert`, also for what is
        raised, and how an import that was interrupted goes on.

    Raises
    ------
    VideoError
        There is no picture, one cannot be read, or it does not say when it was taken.
    FrameFormatError
        They differ in size or depth, or in that some have colour.
    """
    paths = find_images(images)
    stamps = _times(paths, times, rate, start_time)
    options = ReadOptions(grey, crop, scale)
    frames = ImageFiles(paths, stamps, options)
    lossy = all(path.suffix.lower() in _LOSSY for path in paths) and frames.spec.dtype == np.uint8
    name = format or (DEFAULT_FORMAT if lossy else "png")
    content = new_store(
        frames.spec,
        format=name,
        chunksize=chunksize,
        settings=settings,
        user=metadata or {},
        made_from={
            "did": "import",
            **_file_identity(paths[0]),
            "last": paths[-1].name,
            "frames": len(paths),
            "times": times,
            "rate": rate if times == "rate" else None,
            "start_time": start_time if times == "rate" else None,
        }
        | plain_options(options),
    )
    opened = partial(ImageFiles, paths, stamps, options)
    run = Run(workers, progress, force)
    return encode_store(opened, frames, Path(destination), content, run, source=paths[0], format=name)


def find_images(images: Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Return picture files, those in folders too, in the natural order of their paths.

    Raises VideoError if there is none, or one does not exist.
    """
    found: list[Path] = []
    for path in map(Path, images):
        if path.is_dir():
            found += filter(is_picture, path.iterdir())
        elif path.is_file():
            found.append(path)
        else:
            raise VideoError(f"{path} does not exist; give a video, or pictures and folders of them")
    if not found:
        raise VideoError(f"there are no pictures ({', '.join(_PICTURES)}) in what was given")
    return tuple(sorted(found, key=natural_order))


def is_picture(path: Path) -> bool:
    """Return whether a file is called as pictures are."""
    return path.suffix.lower() in _PICTURES and not path.name.startswith(".")


def natural_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts paths as people count: img9 before img10, img010 beside img10."""
    parts = _NUMBER.split(str(path))
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


class ImageFiles:
    """Picture files as a sequence of frames, numbered from 0.

    Parameters
    ----------
    paths : of the files.
    times : of the frames, shape (n,), seconds since the Unix epoch.
    options : which part of the images is read, and how.

    Raises VideoError if the first cannot be read.
    """

    def __init__(self, paths: Sequence[Path], times: Times, options: ReadOptions) -> None:
        self._paths = paths
        self._times = times
        self._options = options
        first = self._read(0)
        self._kept = FrameSpec(first.shape, first.dtype)
        self._spec = options.spec(self._kept)

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames."""
        return self._spec

    @property
    def numbers(self) -> Numbers:
        """0, 1, 2 ..., shape (n,)."""
        return np.arange(len(self), dtype=np.int64)

    @property
    def times(self) -> Times:
        """The times, shape (n,), seconds since the Unix epoch."""
        return self._times

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int, /) -> Frame:
        """Return the frame at `index`; negative ones count from the end.

        Raises FrameIndexError, VideoError if it cannot be read, FrameFormatError if it is unlike the first.
        """
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise FrameIndexError(f"there is no frame at index {index}: there are {len(self)} pictures")
        image = self._read(at)
        if image.ndim == 2 and self._kept.is_colour:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if image.shape != self._kept.shape or image.dtype != self._kept.dtype:
            raise FrameFormatError(
                f"{self._paths[at]} is {image.dtype} of shape {image.shape}, "
                f"{self._paths[0]} {self._kept.dtype} of shape {self._kept.shape}; a store has one of both"
            )
        return Frame(np.ascontiguousarray(self._options.apply(image)), at, at, float(self._times[at]))

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _read(self, index: int) -> Image:
        image = _read_picture(self._paths[index])
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if self._options.grey and image.ndim == 3 else image


def _read_picture(path: Path) -> Image:
    """Return what is in a picture file, without its transparency. Raises VideoError."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as exc:
        raise VideoError(f"{path} cannot be read ({exc.strerror})") from exc
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if image is None:  # what OpenCV says of what is none; its type stubs do not know
        raise VideoError(f"{path} is no picture that OpenCV can read")
    return image[..., :3] if image.ndim == 3 else image


def _times(paths: Sequence[Path], how: ImageTimes, rate: float, start_time: float) -> Times:
    if how == "mtime":
        return np.array([path.stat().st_mtime for path in paths])
    if how == "exif":
        return np.array([_taken(path) for path in paths])
    if not rate > 0:
        raise FrameFormatError(f"a rate is pictures per second, above 0, got {rate!r}")
    return start_time + np.arange(len(paths)) / rate


def _taken(path: Path) -> float:
    """Return when a camera says that it took a picture, in this machine's zone if it names none."""
    try:
        from PIL import Image as Pictures
    except ModuleNotFoundError as exc:
        raise MissingDependencyError("the times in pictures need Pillow: pip install pillow") from exc
    try:
        with Pictures.open(path) as picture:
            noted = picture.getexif().get_ifd(_EXIF_PART)
        way = "%Y:%m:%d %H:%M:%S" + ("%z" if _ZONE in noted else "")
        local = datetime.strptime(f"{noted[_TAKEN]}{noted.get(_ZONE, '')}", way).astimezone()
        fraction = float(f"0.{noted.get(_FRACTION, '0')}")
    except (OSError, KeyError, ValueError, SyntaxError) as exc:
        raise VideoError(f"{path} does not say when it was taken; give a rate, or use mtime") from exc
    return local.timestamp() + fraction


def _file_identity(path: Path) -> dict[str, Any]:
    """Return what tells a file from others, and from itself when it was another."""
    state = path.stat()
    return {"name": path.name, "bytes": state.st_size, "changed": state.st_mtime_ns}
