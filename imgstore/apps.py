"""Loopbio's module of this name: the commands `imgstore-view`, `-save`, `-test` and `-timecodes`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NoReturn

import cv2
import numpy as np
import numpy.typing as npt

from imgstore.errors import ImgstoreError, VideoError
from imgstore.frame import Frame, Image
from imgstore.stores import ImgStore, get_supported_formats, new_for_filename, new_for_format
from imgstore.transcode.listing import timecodes
from imgstore.ui import new_window, why_no_window
from imgstore.util import ensure_grayscale, motif_get_recording_timezone
from imgstore.video import open_video

_ESCAPE, _SPACE = 27, ord(" ")
_NO_WINDOW = (
    "log in with `ssh -X`, copy the store to a computer with a screen, "
    "or write single frames as pictures: ethostore frame STORE picture.png --index 0"
)


def main_viewer(arguments: Sequence[str] | None = None) -> None:
    """Play a store in a window."""
    parser = argparse.ArgumentParser("imgstore-view", description=main_viewer.__doc__)
    parser.add_argument("path", help="folder of the store")
    parser.add_argument("--fps", type=float, default=30.0, help="frames per second; 0: as fast as possible")
    parser.add_argument("--hide-statusbar", action="store_true", help="without number and time of the frame")
    given = parser.parse_args(arguments)
    if reason := why_no_window():
        _fail(f"imgstore-view: {reason}: {_NO_WINDOW}")
    with _errors_in_one_line("imgstore-view"), new_for_filename(given.path) as store:
        _play(store, given.fps, show_status=not given.hide_statusbar)


def main_saver(arguments: Sequence[str] | None = None) -> None:
    """Write a video file, each frame with its time, or what a webcam sees, into a new store."""
    parser = argparse.ArgumentParser("imgstore-save", description=main_saver.__doc__)
    parser.add_argument("dest", help="folder of the store; it must not exist")
    parser.add_argument("--source", default="0", metavar="PATH", help="video file, or number of a webcam")
    choices = [*get_supported_formats(), "mjpeg"]
    parser.add_argument("--format", choices=choices, default="mjpeg", help="of the store (default: mjpeg)")
    given = parser.parse_args(arguments)
    with _errors_in_one_line("imgstore-save"):
        if given.source.isdecimal() and not Path(given.source).exists():
            saved = save_frames(_webcam(int(given.source)), given.dest, given.format)
        else:
            with open_video(given.source, colour=True) as video:
                saved = save_frames(video, given.dest, given.format)
    print(f"{given.dest}: {saved} frames")  # noqa: T201  # what a command says


def main_test(arguments: Sequence[str] | None = None) -> None:
    """Write and read a small store in every format there is here, and say which hold what they should."""
    parser = argparse.ArgumentParser("imgstore-test", description=main_test.__doc__)
    parser.parse_args(arguments)
    wrong = False
    for name, complaint in check_formats():
        print(f"{name:12} {complaint or 'good'}")  # noqa: T201  # what a command says
        wrong |= bool(complaint)
    sys.exit(int(wrong))


def main_generate_timecodes(arguments: Sequence[str] | None = None) -> None:
    """Print the times of a store's frames as Matroska's tools read them (timecode format v2)."""
    parser = argparse.ArgumentParser("imgstore-timecodes", description=main_generate_timecodes.__doc__)
    parser.add_argument("path", help="folder of the store")
    given = parser.parse_args(arguments)
    with _errors_in_one_line("imgstore-timecodes"), new_for_filename(given.path) as store:
        generate_timecodes(store, sys.stdout)


def generate_timecodes(store: ImgStore, dest_file: IO[str]) -> npt.NDArray[np.float64]:
    """Write the times of all frames, milliseconds since the first, and return them in seconds."""
    times = np.asarray(store.get_frame_metadata()["frame_time"], np.float64)
    dest_file.writelines(timecodes(times))
    since_first: npt.NDArray[np.float64] = times - times[:1].sum()
    return since_first


def save_frames(frames: Iterable[Frame], path: str, fmt: str) -> int:
    """Write frames into a new store, with the numbers and times that they have, and return how many.

    Interrupted with Ctrl-C, it ends with what it has.
    """
    store: ImgStore | None = None
    try:
        for frame in frames:
            if store is None:
                image = frame.image
                store = new_for_format(fmt, path, imgshape=image.shape, imgdtype=image.dtype)
            store.add_image(frame.image, frame.number, frame.time)
    except KeyboardInterrupt:
        pass
    finally:
        if store is not None:
            store.close()
    return 0 if store is None else store.frame_count


def check_formats() -> Iterator[tuple[str, str]]:
    """Write and read a store in every format; yield each with what is wrong, "" if nothing is."""
    images = [_bars(number) for number in range(12)]
    for name in get_supported_formats():
        with TemporaryDirectory() as folder:
            try:
                yield name, _complaint(name, images, str(Path(folder) / "store"))
            except (ImgstoreError, OSError) as exc:
                yield name, str(exc)


def _complaint(name: str, images: Sequence[Image], path: str) -> str:
    with new_for_format(name, path, imgshape=images[0].shape, chunksize=5) as store:
        for number, image in enumerate(images):
            store.add_image(image, 2 * number, 10.0 + number)
    with new_for_filename(path) as store:
        for number in (7, 0, 11, 4, 5):
            image, found = store.get_image(2 * number)
            if found != (2 * number, 10.0 + number):
                return f"gave frame {found} for number {2 * number}"
            if np.abs(ensure_grayscale(image).astype(int) - images[number]).mean() > (
                0 if store.lossless else 8
            ):
                return f"gave another image for number {2 * number}"
    return ""


def _bars(number: int) -> Image:
    """Return a small grey picture that shows `number` in black and white bars."""
    bits = np.array([number >> bit & 1 for bit in range(8)], np.uint8)
    return np.ascontiguousarray(np.broadcast_to(np.repeat(bits * 255, 16), (64, 128)))


def _play(store: ImgStore, rate: float, *, show_status: bool) -> None:
    window = new_window(f"imgstore {store.filename}", shape=store.image_shape)
    zone = motif_get_recording_timezone(store)
    delay = max(1, round(1000 / rate)) if rate > 0 else 1
    paused = False
    while True:
        if not paused:
            try:
                image, (number, seconds) = store.get_next_image()
            except EOFError:
                return
            if show_status:
                when = store.convert_frame_time_to_datetime(seconds, zone).isoformat(timespec="milliseconds")
                _write_status(image, f"{number}  {when}")
            window.imshow(window.name, image)
        key = window.waitKey(delay) & 0xFF
        if key in (_ESCAPE, ord("q")):
            return
        paused ^= key == _SPACE


def _write_status(image: Image, text: str) -> None:
    scale = min(1.0, image.shape[1] / 640)
    place = (int(8 * scale), image.shape[0] - int(8 * scale))
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, colour, thickness, cv2.LINE_AA)


def _webcam(number: int) -> Iterator[Frame]:
    """Yield what a webcam sees until it ends, or Escape is pressed in the preview."""
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise VideoError(f"there is no webcam {number}")
        escaped = _preview()
        for index in count():
            there, image = capture.read()
            if not there or escaped(image):
                return
            yield Frame(image, index, index, time.time())
    finally:
        capture.release()


def _preview() -> Callable[[Image], bool]:
    """Return what shows an image and says whether Escape was pressed; without a display it does nothing."""
    if why_no_window():
        return lambda image: False
    window = new_window("preview")

    def show(image: Image) -> bool:
        window.imshow(window.name, image)
        return window.waitKey(1) & 0xFF == _ESCAPE

    return show


@contextmanager
def _errors_in_one_line(command: str) -> Iterator[None]:
    """End with a line and an exit code where our errors would show a traceback."""
    try:
        yield
    except (ImgstoreError, OSError) as exc:
        _fail(f"{command}: {exc}")


def _fail(message: str) -> NoReturn:
    sys.exit(message)
