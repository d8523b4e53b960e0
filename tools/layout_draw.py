"""Draw regions by hand: the clicks and keys, and the window that hands them on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import ensure_color, is_window_open, open_window, why_no_window
from tracking import ROI, LayoutError, RegionError, Regions, circle_through, draw_regions

_LARGEST = (1400, 900)  # columns and rows of the window
_RED = (60, 60, 230)
_WINDOW = "ethostore layout"
_KEYS = "click corners, Enter ends a region, o circle, u undo, s save, q quit"
_WAIT_MS = 30


@dataclass(slots=True)
class Sketch:
    """Regions that are being drawn.

    Attributes
    ----------
    rois : those that are done.
    corners : of the one that is not, x and y each, frame pixels.
    message : what to tell the person who draws.
    """

    rois: list[ROI] = field(default_factory=list)
    corners: list[tuple[float, float]] = field(default_factory=list)
    message: str = ""

    def counts(self) -> str:
        """Return how much is drawn, in words."""
        return f"regions {len(self.rois)}, corners {len(self.corners)}"

    def click(self, x: float, y: float) -> None:
        """Add a corner."""
        self.corners.append((x, y))
        self.message = ""

    def close(self) -> None:
        """Make a region of the corners."""
        self._add(np.array(self.corners, np.float64).reshape(-1, 2))

    def close_circle(self) -> None:
        """Make a circle of the clicks, which lie on its rim."""
        try:
            self._add(circle_through(np.array(self.corners, np.float64).reshape(-1, 2)))
        except RegionError as exc:
            self.message = str(exc)

    def undo(self) -> None:
        """Take the last corner back, or the last region if there is none."""
        if self.corners:
            self.corners.pop()
        elif self.rois:
            self.rois.pop()

    def _add(self, polygon: npt.NDArray[np.float64]) -> None:
        number = 1 + max((roi.number for roi in self.rois), default=0)
        try:
            self.rois.append(ROI(polygon, number))
        except RegionError as exc:
            self.message = str(exc)
            return
        self.corners.clear()
        self.message = ""


def draw_by_hand(image: npt.NDArray[np.uint8], begin: Regions) -> Regions | None:
    """Show a window in which regions are drawn; return them, or None if the user gave up.

    Raises LayoutError where there is no display.
    """
    if reason := why_no_window():
        raise LayoutError(
            f"drawing needs a window, and {reason}: let regions be found (ethostore layout find), or "
            "write them down (ethostore layout edit) and look at them (ethostore layout show)"
        )
    sketch = Sketch(list(begin.rois))
    scale = min(1.0, _LARGEST[0] / image.shape[1], _LARGEST[1] / image.shape[0])

    def mouse(event: int, x: int, y: int, flags: int, data: object) -> None:  # OpenCV's five
        if event == cv2.EVENT_LBUTTONDOWN:
            sketch.click(round(x / scale, 1), round(y / scale, 1))
        elif event == cv2.EVENT_RBUTTONDOWN:
            sketch.close()

    with _window():
        cv2.setMouseCallback(_WINDOW, mouse)
        while True:
            cv2.setWindowTitle(_WINDOW, f"{_WINDOW}: {sketch.counts()}; {_KEYS}")
            cv2.imshow(_WINDOW, picture(image, sketch, scale))
            key = chr(cv2.waitKey(_WAIT_MS) & 0xFF)
            if key == "s" and sketch.rois:
                return replace(begin, rois=sketch.rois)
            if key in "q\x1b" or not is_window_open(_WINDOW):
                return None
            press(sketch, key)


@contextmanager
def _window() -> Iterator[None]:
    """Have a window as long as the block runs."""
    open_window(_WINDOW)
    try:
        yield
    finally:
        cv2.destroyAllWindows()


def press(sketch: Sketch, key: str) -> None:
    """Do what a key stands for; others do nothing."""
    keys = {"\r": sketch.close, "\n": sketch.close, "o": sketch.close_circle, "u": sketch.undo}
    if key in keys:
        keys[key]()


def picture(image: npt.NDArray[np.uint8], sketch: Sketch, scale: float) -> npt.NDArray[np.uint8]:
    """Return what the window shows."""
    canvas = draw_regions(image, Regions(sketch.rois))
    for corner in sketch.corners:
        cv2.circle(canvas, (round(corner[0]), round(corner[1])), 4, _RED, -1)
    if len(sketch.corners) > 1:
        cv2.polylines(canvas, [np.rint(sketch.corners).astype(np.int32)], False, _RED, 1, cv2.LINE_AA)
    small = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if sketch.message:
        cv2.putText(
            small, sketch.message[:110], (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _RED, 2, cv2.LINE_AA
        )
    return np.asarray(ensure_color(small), np.uint8)
