"""Loopbio's module of this name: a window that shows images."""

import os
import sys
from collections.abc import Sequence

import cv2

from imgstore.errors import MissingDependencyError
from imgstore.frame import Image

_LARGEST = (1280, 960)  # columns and rows that fit on most screens


def why_no_window() -> str:
    """Return why no window can be opened here; "" if nothing is known to stand against it."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return "there is no display"
    if "GUI:                           NONE" in cv2.getBuildInformation():
        return "this OpenCV (opencv-python-headless) has no windows"
    return ""


def open_window(name: str, flags: int = cv2.WINDOW_AUTOSIZE) -> None:
    """Open an empty window, without OpenCV's buttons, whose menu takes the right click.

    Parameters
    ----------
    flags : OpenCV's, cv2.WINDOW_NORMAL for one that can be resized.

    Raises MissingDependencyError if no window can be opened.
    """
    if reason := why_no_window():
        raise MissingDependencyError(reason)
    os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")  # five lines on fonts, harmless
    cv2.namedWindow(name, flags | cv2.WINDOW_GUI_NORMAL)


def is_window_open(name: str) -> bool:
    """Say whether a window was not closed yet."""
    try:
        return cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # what Qt says once the last of its windows was closed
        return False


class Window:
    """A window with a name, by which OpenCV knows it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def imshow(self, name: str, image: Image) -> None:
        """Show an image."""
        cv2.imshow(name, image)

    def waitKey(self, delay_ms: int = 0) -> int:  # noqa: N802  # OpenCV's name
        """Wait for a key, 0 for ever, and return it; -1 if none came."""
        return cv2.waitKey(delay_ms)


def new_window(name: str, size: tuple[int, int] | None = None, shape: Sequence[int] | None = None) -> Window:
    """Open a window that can be resized, no larger than most screens.

    Parameters
    ----------
    size : columns and rows; or give
    shape : of the images.

    Raises MissingDependencyError if no window can be opened.
    """
    columns, rows = size or (_LARGEST if shape is None else (shape[1], shape[0]))
    scale = min(1.0, _LARGEST[0] / columns, _LARGEST[1] / rows)
    open_window(name, cv2.WINDOW_NORMAL)
    cv2.resizeWindow(name, int(columns * scale), int(rows * scale))
    return Window(name)
