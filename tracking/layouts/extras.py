"""What a layout file may say beside where the regions are: their parts, and the scale of the picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tracking.errors import LayoutError
from tracking.layouts.base import Grey, Layout, Regions, frame_corners
from tracking.polygons import Polygon
from tracking.roi import ROI
from tracking.targets import scale_between

_SCALE = (
    "a scale is {mm: 70, px: 512}, {mm: 70, points: [[x, y], [x, y]]} of two points that far apart, or "
    "{mm: 115, between: targets} for the distance of the two lower targets"
)


@dataclass(frozen=True, slots=True)
class Split:
    """How every region is split into parts.

    Attributes
    ----------
    into : names of the parts, from left to right, or from top to bottom.
    along : "length", "x" or "y".
    at : shares of the region's extent at which it is cut; empty for equal parts.
    """

    into: tuple[str, ...]
    along: str = "length"
    at: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """How long a known length is in the picture.

    Attributes
    ----------
    mm : the length.
    px : the same in pixels; 0 if it is told otherwise.
    points : two points that far apart, shape (2, 2).
    shares : whether these are shares of the frame's size, not pixels.
    between_targets : whether it is the distance of the two lower targets.
    """

    mm: float
    px: float = 0.0
    points: Polygon | None = None
    shares: bool = False
    between_targets: bool = False

    def mm_per_pixel(self, targets: Polygon, shape: tuple[int, ...]) -> float:
        """Return the scale in a frame of a shape. Raises LayoutError if there are no targets to measure."""
        if self.points is not None:
            points = self.points * frame_corners(shape)[2] if self.shares else self.points
            return self.mm / float(np.hypot(*(points[1] - points[0])))
        if self.between_targets:
            if len(targets) != 3:
                raise LayoutError("a scale between targets needs a grid on targets; " + _SCALE)
            return scale_between(targets, self.mm)
        return self.mm / self.px


@dataclass(frozen=True, slots=True)
class DescribedLayout:
    """A layout with what else its file says.

    Attributes
    ----------
    layout : where the regions are.
    split : their parts; None to leave them.
    scale : of the picture; None to leave it.
    frame : columns and rows of the frames that the file was made for; None if it does not say.
    targets : what the regions hung on, shape (n, 2), if they were found once and written down.
    """

    layout: Layout
    split: Split | None = None
    scale: Scale | None = None
    frame: tuple[int, int] | None = None
    targets: Polygon | None = None

    def find(self, image: Grey) -> Regions:
        """Return the regions, in parts and with a scale."""
        size = (image.shape[1], image.shape[0])
        if self.frame is not None and size != self.frame:
            raise LayoutError(
                f"the layout was made for frames of {self.frame[0]}x{self.frame[1]} pixels, these have "
                f"{size[0]}x{size[1]}; find or draw it again, or write it with `units: frame`"
            )
        regions = self.layout.find(image)
        if self.split is not None:
            regions = replace(regions, rois=[apply_split(roi, self.split) for roi in regions.rois])
        if self.targets is not None and not len(regions.targets):
            regions = replace(regions, targets=self.targets)
        if self.scale is not None:
            regions = replace(regions, mm_per_pixel=self.scale.mm_per_pixel(regions.targets, image.shape))
        return regions


def apply_split(roi: ROI, split: Split) -> ROI:
    """Return a region in parts."""
    return roi.split(split.into, along=split.along, at=split.at or None)


def parse_split(content: object) -> Split:
    """Return what `split` says. Raises LayoutError."""
    if isinstance(content, Mapping) and "into" in content and set(content) <= {"into", "along", "at"}:
        names, at = content["into"], content.get("at", [])
        if isinstance(names, list) and len(names) > 1 and isinstance(at, list | float | int):
            try:
                cuts = tuple(float(share) for share in (at if isinstance(at, list) else [at]))
                return Split(tuple(map(str, names)), str(content.get("along", "length")), cuts)
            except (TypeError, ValueError):
                pass  # told below
    raise LayoutError(
        "a split is {into: [light, dark]}, and may have along: length, x or y, and at: [0.5]; "
        f"got {content!r}"
    )


def parse_scale(content: Mapping[object, object], *, shares: bool) -> Scale | None:
    """Return what `scale` or `mm_per_pixel` of a layout file say; None if there is neither.

    Raises LayoutError.
    """
    if "mm_per_pixel" in content:
        if "scale" in content:
            raise LayoutError("give either mm_per_pixel or scale")
        return Scale(_positive(content["mm_per_pixel"], "mm_per_pixel"), px=1.0)
    if "scale" not in content:
        return None
    scale = content["scale"]
    if not isinstance(scale, Mapping) or set(scale) - {"mm"} not in ({"px"}, {"points"}, {"between"}):
        raise LayoutError(f"{_SCALE}; got {scale!r}")
    mm = _positive(scale.get("mm"), "mm")
    if "px" in scale:
        return Scale(mm, px=_positive(scale["px"], "px"))
    if "between" in scale:
        if scale["between"] != "targets":
            raise LayoutError(f"{_SCALE}; got {scale!r}")
        return Scale(mm, between_targets=True)
    points = parse_points(scale["points"], "the points of a scale")
    if points.shape != (2, 2) or not np.hypot(*(points[1] - points[0])) > 0:
        raise LayoutError(f"{_SCALE}; got {scale!r}")
    return Scale(mm, points=points, shares=shares)


def parse_points(content: object, who: str) -> Polygon:
    """Return points, shape (n, 2). Raises LayoutError."""
    try:
        points = np.array(content, np.float64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise LayoutError(f"{who} are a list of [x, y] ({exc})") from exc
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise LayoutError(f"{who} are a list of [x, y], got {content!r}")
    return points


def _positive(value: object, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < np.inf:
        raise LayoutError(f"{name} is a number above 0, got {value!r}")
    return float(value)
