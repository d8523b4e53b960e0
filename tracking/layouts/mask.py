"""A picture whose grey values are the regions."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tracking.errors import LayoutError
from tracking.layouts.base import Grey, Regions
from tracking.polygons import Polygon, reading_order
from tracking.roi import ROI

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".pgm", ".jpg", ".jpeg")

_MOST_REGIONS = 5000
_MOST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Mask:
    """A picture of the size of the frames: black is nothing, every other grey value is a region's value.

    Areas of one value that do not touch are regions of their own, all with that value. Regions are numbered
    by their values, then in rows from top to bottom. Holes stay holes. What is nowhere three pixels wide is
    the soft edge of a drawing, and left out.

    Attributes
    ----------
    file : path of the picture.
    """

    file: str = ""

    def find(self, image: Grey) -> Regions:
        """Return the regions. Raises LayoutError if the picture cannot be read or is of another size."""
        mask = _read(Path(self.file).expanduser())
        if mask.shape != image.shape:
            raise LayoutError(
                f"the mask {self.file} has {mask.shape[1]}x{mask.shape[0]} pixels, the frames have "
                f"{image.shape[1]}x{image.shape[0]}; draw it on a frame (`ethostore frame`)"
            )
        rois, thin = trace_mask(mask)
        if not rois:
            raise LayoutError(f"the mask {self.file} is black all over; regions are drawn in other greys")
        notes = (f"{thin} areas of the mask are less than three pixels wide and were left out",)
        return Regions(rois, notes=notes if thin else ())


def trace_mask(mask: Grey) -> tuple[list[ROI], int]:
    """Return the regions of a mask, (rows, columns), and how many areas were too thin to be one.

    Raises LayoutError if there are too many.
    """
    found: list[tuple[int, Polygon]] = []
    thin = 0
    for value in np.unique(mask[mask > 0]):
        areas = (mask == value).astype(np.uint8)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(areas, connectivity=4)
        outlines = []
        for label in range(1, count):
            left, top, width, height = boxes[label, :4]
            cell = np.zeros((height + 2, width + 2), np.uint8)
            cell[1:-1, 1:-1] = labels[top : top + height, left : left + width] == label
            if cv2.erode(cell, np.ones((3, 3), np.uint8)).any():
                outlines.append(_outline(cell) + np.array((left - 1, top - 1)))
            else:
                thin += 1
            if len(found) + len(outlines) > _MOST_REGIONS:
                raise LayoutError(
                    f"the mask holds more than {_MOST_REGIONS} areas; save it as PNG, without soft edges"
                )
        if outlines:
            centres = np.array([outline.mean(axis=0) for outline in outlines])
            height = float(np.median([np.ptp(outline[:, 1]) for outline in outlines]))
            found += [(int(value), outlines[place]) for place in reading_order(centres, height / 2)]
    return [ROI(outline, number, value) for number, (value, outline) in enumerate(found, 1)], thin


def _outline(area: Grey) -> Polygon:
    """Return the outline of one area, with its holes joined to it by seams of no width."""
    contours, tree = cv2.findContours(area, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [contour[:, 0] for contour, entry in zip(contours, tree[0], strict=True) if entry[3] < 0]
    holes = [contour[:, 0] for contour, entry in zip(contours, tree[0], strict=True) if entry[3] >= 0]
    outline = max(outer, key=len).astype(np.float64)
    for hole in sorted(holes, key=lambda hole: int(hole[:, 0].min())):
        outline = _join(outline, hole.astype(np.float64))
    return outline


def _join(outline: Polygon, hole: Polygon) -> Polygon:
    """Return an outline that goes to a hole where it is nearest, round it, and back."""
    far = np.hypot(*(outline[:, None] - hole[None]).transpose(2, 0, 1))
    here, there = np.unravel_index(far.argmin(), far.shape)
    round_it = np.roll(hole, -there, axis=0)
    return np.vstack([outline[: here + 1], round_it, round_it[:1], outline[here:]])


def _read(path: Path) -> Grey:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise LayoutError(f"the mask {path} has over {_MOST_BYTES >> 20} MB")
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as exc:
        raise LayoutError(f"the mask {path} cannot be read ({exc.strerror})") from exc
    mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if mask is None:
        raise LayoutError(f"the mask {path} is no picture that can be read; save it as PNG")
    return np.asarray(mask, np.uint8)


MASK = Mask()
