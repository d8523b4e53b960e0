"""Regions written down in a YAML or JSON file.

A file holds `regions`, a list of which each entry has a `polygon` of corners [x, y] or a `circle`
[x, y, radius], and may have `number`, `value` and `name`; or it holds `grid`, the settings of a grid
between three targets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgstore import MetadataError, parse_yaml
from tracking.errors import LayoutError, RegionError
from tracking.layouts.base import Grey, Layout, Regions
from tracking.layouts.grid import TargetGrid
from tracking.roi import ROI, check_numbers

_MAX_BYTES = 1 << 20
_CIRCLE_CORNERS = 90
_REGION_KEYS = {"polygon", "circle", "number", "value", "name"}


@dataclass(frozen=True, slots=True)
class FixedRegions:
    """Regions at given places.

    Attributes
    ----------
    rois : in the order of their numbers.
    """

    rois: list[ROI]

    def find(self, image: Grey) -> Regions:
        """Return the regions. Raises RegionError if one lies outside of the image."""
        for roi in self.rois:
            roi.window(image.shape)
        return Regions(self.rois)


def load_layout(path: Path) -> Layout:
    """Return the layout in a file. Raises LayoutError, saying what is wrong with it."""
    try:
        with path.open("rb") as file:
            content = parse_yaml(file.read(_MAX_BYTES))  # JSON is YAML
    except OSError as exc:
        raise LayoutError(f"the layout {path} cannot be read ({exc.strerror})") from exc
    except MetadataError as exc:
        raise LayoutError(f"the layout {path} is no YAML or JSON: {exc}") from exc
    try:
        return parse_layout(content)
    except (LayoutError, RegionError) as exc:
        raise LayoutError(f"{path}: {exc}") from exc


def parse_layout(content: object) -> Layout:
    """Return the layout that the parsed content of a file describes. Raises LayoutError or RegionError."""
    if not isinstance(content, Mapping) or not ({"regions", "grid"} & set(content)):
        raise LayoutError("a layout file holds 'regions', a list, or 'grid', settings of a grid")
    if "grid" in content:
        return _grid(content["grid"])
    entries = content["regions"]
    if not isinstance(entries, list) or not entries:
        raise LayoutError("'regions' is a list of regions, each with a polygon or a circle")
    return FixedRegions(check_numbers([_roi(entry, place) for place, entry in enumerate(entries, 1)]))


def circle(x: float, y: float, radius: float) -> npt.NDArray[np.float64]:
    """Return the corners of a polygon that is nearly a circle, shape (n, 2)."""
    angles = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _grid(settings: object) -> TargetGrid:
    known = [field.name for field in fields(TargetGrid)]
    if not isinstance(settings, Mapping) or not {"rows", "columns"} <= set(settings) <= set(known):
        raise LayoutError(f"'grid' has rows and columns, and may have {', '.join(known[2:])}")
    try:
        return TargetGrid(**settings)
    except TypeError as exc:
        raise LayoutError(f"the settings of a grid are numbers ({exc})") from exc


def _roi(entry: object, place: int) -> ROI:
    if not isinstance(entry, Mapping) or not set(entry) <= _REGION_KEYS:
        raise LayoutError(f"region {place} may have {', '.join(sorted(_REGION_KEYS))}, got {entry!r}")
    if ("polygon" in entry) == ("circle" in entry):
        raise LayoutError(f"region {place} has either a polygon or a circle")
    try:
        if "circle" in entry:
            x, y, radius = map(float, entry["circle"])
            if radius <= 0:
                raise LayoutError(f"region {place}: the radius of a circle is above 0, got {radius}")
            corners = circle(x, y, radius)
        else:
            corners = np.array(entry["polygon"], np.float64)
        number = int(entry.get("number", place))
        value = int(entry.get("value", number))
        if number >= 1 << 16 or abs(value) >= 1 << 31:
            raise LayoutError(f"region {place}: numbers go up to 65535 and values to 2147483647")
        return ROI(corners, number, value, str(entry.get("name", "")))
    except (TypeError, ValueError, OverflowError) as exc:
        if isinstance(exc, LayoutError | RegionError):
            raise
        raise LayoutError(
            f"region {place}: a polygon is a list of [x, y], a circle [x, y, radius] ({exc})"
        ) from exc
