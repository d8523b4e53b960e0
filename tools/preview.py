"""A window with what a camera sees while it is recorded, in a process of its own."""

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

import cv2
import typer

from hardware import (
    CameraFrame,
    CameraTimeoutError,
    FeedReader,
    HardwareError,
    RecordProgress,
    caption,
    frame_text,
)
from imgstore import Image, is_window_open, open_window, why_no_window
from tools.record_display import Watch, lost_text

_WIDEST = 960  # pixels of the window
_START_S = 30.0
_LOOK_S = 0.05
_CLOSE_KEYS = "q\x1b"


def check_display() -> None:
    """Raise typer.BadParameter where no window can be shown."""
    if reason := why_no_window():
        raise typer.BadParameter(
            f"--preview needs a window, and {reason}; look at the recording with `ethostore frame`, "
            "or let another program read its live feed (--feed NAME)"
        )


@contextmanager
def previews(feeds: Mapping[str, str]) -> Iterator[Watch]:
    """Show a window for each camera as long as the block runs.

    Parameters
    ----------
    feeds : cameras, and the names of their live feeds.

    Yields what takes the progress of the recording, which the windows show.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_show, args=(dict(feeds), there), name="preview", daemon=True)
    process.start()
    there.close()

    def watch(progress: Mapping[str, RecordProgress]) -> None:
        with suppress(OSError):  # the windows were closed
            here.send(dict(progress))

    try:
        yield watch
    finally:
        here.close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()


def picture(frame: CameraFrame, progress: RecordProgress | None) -> Image:
    """Return what the window shows of a frame: smaller, with number, time, rate and queue written on it."""
    image = frame.image
    if image.dtype != "uint8":
        image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX, dtype=cv2.CV_8U)  # type: ignore[call-overload]
    scale = min(_WIDEST / image.shape[1], 1)
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lines = [frame_text(frame)]
    if progress is not None:
        state = "saving" if progress.saving else "not saving"
        lines += [
            f"{progress.camera_rate:.1f}/s  {state}  {progress.frames} frames",
            f"queue {progress.queued}/{progress.queue_frames}  lost {lost_text(progress)}",
        ]
    return caption(image, lines)


def _show(feeds: Mapping[str, str], connection: Connection) -> None:
    """Show windows until they are closed or the recording ends; the whole of the process."""
    progress: Mapping[str, RecordProgress] = {}
    readers = {name: FeedReader(feed) for name, feed in feeds.items()}
    try:
        for name, reader in readers.items():
            reader.start(_START_S)
            open_window(_title(name))
        while readers:
            while connection.poll():
                progress = connection.recv()
            for name, reader in readers.items():
                with suppress(CameraTimeoutError):
                    frame = reader.latest(_LOOK_S)
                    if frame is None:
                        return
                    cv2.imshow(_title(name), picture(frame, progress.get(name)))
            if chr(cv2.waitKey(1) & 0xFF) in _CLOSE_KEYS:
                return
            for name in [name for name in readers if not is_window_open(_title(name))]:
                readers.pop(name).close()
    except (HardwareError, EOFError, OSError, KeyboardInterrupt):
        return  # the recording ended, however it did
    finally:
        for reader in readers.values():
            reader.close()


def _title(name: str) -> str:
    return f"ethostore: {name} (q closes previews, the recording goes on)"
