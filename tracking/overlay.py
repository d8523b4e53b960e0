"""Draw regions and points on a frame."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from imgstore import Image, ensure_color
from tracking.canvas import GREEN, WHEEL, WHITE, Canvas, Colour, Places
from tracking.points import Points, Status
from tracking.roi import ROI

_REFERENCE = 1280  # the longer side of a frame on which letters are 11 px high
_LETTER = 11.0
_STIMULATED = 1


def draw(
    image: Image,
    rois: Iterable[ROI] = (),
    points: Points | None = None,
    targets: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.uint8]:
    """Return a colour copy of a frame with regions, their numbers, animals as ellipses, and targets.

    Identities are written where a region has several animals.

    Parameters
    ----------
    image : grey or colour, 8 bit.
    points : of this frame.
    targets : shape (n, 2), x then y.
    """
    canvas = Canvas.on_colour(np.array(ensure_color(image), np.uint8))
    size = letter_height(canvas.image.shape)
    draw_regions(canvas, rois, targets, size)
    if points is not None:
        draw_points(canvas, points, size, names=crowded(points))
    return canvas.image


def letter_height(shape: tuple[int, ...]) -> float:
    """Return how high letters are on a frame, pixels."""
    return max(8.0, _LETTER * max(shape[:2]) / _REFERENCE)


def draw_regions(
    canvas: Canvas,
    rois: Iterable[ROI],
    targets: npt.NDArray[np.float64] | None,
    letter: float,
    scale: float = 1.0,
) -> None:
    """Draw regions, their numbers and targets; they are made smaller by `scale`."""
    for roi in rois:
        canvas.line(scaled(roi.polygon, scale), GREEN, 1, closed=True)
        x, y = scaled(np.array(roi.upper_left), scale)
        canvas.text(roi.label, (x + 3, y + 1.5 * letter), GREEN, letter)
    for target in targets if targets is not None else ():
        x, y = scaled(target, scale)
        canvas.line(np.array([(x - letter, y), (x + letter, y)]), GREEN, 2)
        canvas.line(np.array([(x, y - letter), (x, y + letter)]), GREEN, 2)


def draw_points(
    canvas: Canvas, points: Points, letter: float, scale: float = 1.0, *, names: bool = False
) -> None:
    """Draw animals: ellipse, heading, a ring where it was stimulated, and their identities if wanted.

    The ellipse of an animal that was seen is thick; of one that touches another, or is known by its looks
    only, it is thin; the place of one that was not seen is a ring.
    """
    for point in points:
        colour = colour_of(int(point["roi"]), int(point["identity"]))
        centre = scaled(np.array([point["x"], point["y"]], np.float64), scale)
        if not np.isfinite(centre).all():
            continue
        axes = scale * np.array([point["length"], point["width"]], np.float64)
        if point["status"] == Status.LOST or not np.isfinite(axes).all():
            canvas.disc(centre, 0.4 * letter, colour, 1)
        else:
            angle = float(point["angle"]) if np.isfinite(point["angle"]) else 0.0
            canvas.ellipse(centre, axes, angle, colour, 2 if point["status"] == Status.DETECTED else 1)
            canvas.disc(centre, 1.5, colour)
        _draw_heading(canvas, centre, float(point["heading"]), axes[0], colour)
        if point["interaction"]:
            width = 3 if point["interaction"] == _STIMULATED else 1
            canvas.disc(centre, max(1.5 * letter, 0.8 * float(np.nanmax([axes[0], 0]))), WHITE, width)
        if names:
            x, y = centre + 0.7 * letter * np.array([1, -1])
            canvas.text(str(int(point["identity"])), (x, y), colour, letter)


def crowded(points: Points) -> bool:
    """Say whether there are several animals in a region, whose identities have to be written."""
    return bool(len(points) and points["identity"].max() > 1)


def _draw_heading(canvas: Canvas, centre: Places, heading: float, length: float, colour: Colour) -> None:
    if np.isfinite(heading) and np.isfinite(length):
        radians = np.radians(heading)
        tip = centre + 0.8 * length * np.array([np.cos(radians), np.sin(radians)])
        canvas.line(np.stack([centre, tip]), colour, 2)


def colour_of(roi: int, identity: int) -> Colour:
    """Return the colour of an animal; those of a region, and of regions side by side, differ."""
    return WHEEL[(roi + identity - 2) % len(WHEEL)]


def scaled(places: Places, scale: float) -> Places:
    """Return places in a frame made smaller by `scale`; 0, 0 is the centre of its first pixel."""
    return np.asarray((places + 0.5) * scale - 0.5) if scale != 1 else places
