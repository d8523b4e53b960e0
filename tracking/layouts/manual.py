"""Regions written down one by one, in pixels or in shares of the frame."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tracking.errors import LayoutError, RegionError
from tracking.layouts.base import Grey, Regions, frame_corners
from tracking.layouts.extras import apply_split, parse_split
from tracking.polygons import Polygon, circle, rectangle
from tracking.roi import ROI, Part, check_numbers

_SHAPES = ("polygon", "circle", "rectangle")
_KEYS = {*_SHAPES, "number", "value", "name", "split", "parts"}
_ANY_FRAME = (1000, 1000)  # to see whether shares are regions before there is a frame

Factor = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FixedRegions:
    """Regions at given places.

    Attributes
    ----------
    rois : in the order of their numbers.
    anywhere : whether they are given even if they lie outside of the image, to be checked say.
    """

    rois: list[ROI]
    anywhere: bool = False

    @classmethod
    def parse(cls, entries: object, factor: tuple[float, float] = (1.0, 1.0)) -> "FixedRegions":
        """Return the regions of a list of entries. Raises LayoutError or RegionError.

        Parameters
        ----------
        factor : with which x and y are multiplied.
        """
        if not isinstance(entries, list) or not entries:
            raise LayoutError(f"'regions' is a list of regions, each with a {', a '.join(_SHAPES)}")
        scale = np.array(factor)
        return cls(check_numbers([_roi(entry, place, scale) for place, entry in enumerate(entries, 1)]))

    def find(self, image: Grey) -> Regions:
        """Return the regions. Raises RegionError if one lies outside of the image, and may not."""
        for roi in () if self.anywhere else self.rois:
            roi.window(image.shape)
        return Regions(self.rois)


@dataclass(frozen=True, slots=True)
class ShareRegions:
    """Regions at shares of the frame, from 0, the centre of its first pixel, to 1, that of its last.

    Attributes
    ----------
    entries : as in a layout file.
    anywhere : see `FixedRegions`.
    """

    entries: object
    anywhere: bool = False

    def __post_init__(self) -> None:
        FixedRegions.parse(self.entries, _ANY_FRAME)

    def find(self, image: Grey) -> Regions:
        """Return the regions in pixels of the image."""
        right, bottom = frame_corners(image.shape)[2]
        fixed = FixedRegions.parse(self.entries, (float(right), float(bottom)))
        return replace(fixed, anywhere=self.anywhere).find(image)


def _roi(entry: object, place: int, factor: Factor) -> ROI:
    if not isinstance(entry, Mapping) or not set(entry) <= _KEYS:
        raise LayoutError(f"region {place} may have {', '.join(sorted(_KEYS))}, got {entry!r}")
    try:
        number = int(entry.get("number", place))
        value = int(entry.get("value", number))
        if number >= 1 << 16 or abs(value) >= 1 << 31:
            raise LayoutError(f"region {place}: numbers go up to 65535 and values to 2147483647")
        roi = ROI(_outline(entry, f"region {place}", factor), number, value, str(entry.get("name", "")))
        if "split" in entry:
            roi = apply_split(roi, parse_split(entry["split"]))
        if "parts" in entry:
            roi = ROI(roi.polygon, number, value, roi.name, _parts(entry["parts"], place, factor))
    except (TypeError, ValueError, OverflowError) as exc:
        if isinstance(exc, LayoutError | RegionError):
            raise
        raise LayoutError(
            f"region {place}: a polygon is a list of [x, y], a circle [x, y, radius], a rectangle "
            f"[x, y, width, height] ({exc})"
        ) from exc
    return roi


def _parts(entries: object, place: int, factor: Factor) -> tuple[Part, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise LayoutError(f"the parts of region {place} are a list, each with a name and a polygon")
    for entry in entries:
        if not {"name"} < set(entry) <= {"name", *_SHAPES}:
            raise LayoutError(
                f"a part of region {place} has a name and a {', a '.join(_SHAPES)}, got {entry!r}"
            )
    who = f"a part of region {place}"
    return tuple(Part(str(entry["name"]), _outline(entry, who, factor)) for entry in entries)


def _outline(entry: Mapping[object, object], who: str, factor: Factor) -> Polygon:
    given = [shape for shape in _SHAPES if shape in entry]
    if len(given) != 1:
        raise LayoutError(f"{who} has either a {', a '.join(_SHAPES)}; got {' and '.join(given) or 'none'}")
    numbers = np.array(entry[given[0]], np.float64)
    if given[0] == "polygon":
        if numbers.ndim != 2 or numbers.shape[1] != 2:
            raise LayoutError(f"{who}: a polygon is a list of [x, y], got {entry['polygon']!r}")
        return np.asarray(numbers * factor)
    if given[0] == "circle":
        x, y, radius = numbers
        if not radius > 0:
            raise LayoutError(f"{who}: the radius of a circle is above 0, got {radius}")
        return circle(x * factor[0], y * factor[1], radius * factor[0])
    x, y, width, height = numbers
    if not min(width, height) > 0:
        raise LayoutError(f"{who}: width and height of a rectangle are above 0, got {width} and {height}")
    return np.asarray(rectangle(x, y, width, height) * factor)
