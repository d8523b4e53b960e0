"""ROI templates of ethoscope: JSON files with `roi_definition`."""

from collections.abc import Mapping

import numpy as np

from tracking.errors import LayoutError
from tracking.layouts.base import Layout
from tracking.layouts.grid import Grid
from tracking.layouts.manual import FixedRegions, ShareRegions


def parse_template(content: Mapping[object, object]) -> Layout:
    """Return the layout of a template: a grid on targets, or polygons in pixels or in shares of the frame.

    Raises LayoutError, also for templates with a mask picture, which ethoscope never had.
    """
    definition = _mapping(content, "roi_definition")
    kinds = {"grid_with_targets": _grid, "manual_polygons": _polygons}
    kind = str(definition.get("type"))
    if kind not in kinds:
        raise LayoutError(
            f"the type of a template is {' or '.join(kinds)}, got {kind!r}; give a mask as `mask:FILE`"
        )
    return kinds[kind](definition)


def _grid(definition: Mapping[object, object]) -> Layout:
    grid, positioning = _mapping(definition, "grid"), _mapping(definition, "positioning")
    margins, fills = _mapping(positioning, "margins"), _mapping(positioning, "fill_ratios")
    return Grid(
        rows=int(_number(grid, "n_rows", 1)),
        columns=int(_number(grid, "n_cols", 1)),
        top=_number(margins, "top", 0),
        bottom=_number(margins, "bottom", 0),
        left=_number(margins, "left", 0),
        right=_number(margins, "right", 0),
        horizontal_fill=_number(fills, "horizontal", 0.9),
        vertical_fill=_number(fills, "vertical", 0.9),
    )


def _polygons(definition: Mapping[object, object]) -> Layout:
    entries = definition.get("manual_rois")
    if not isinstance(entries, list) or not entries:
        raise LayoutError("a template of polygons holds manual_rois, a list of {polygon, value}")
    rois = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping) or "polygon" not in entry:
            raise LayoutError(f"region {number} of a template has a polygon and may have a value")
        name = str(entry.get("name", ""))
        rois.append({"polygon": entry["polygon"], "value": entry.get("value", number), "name": name})
    try:
        shares = all(np.abs(np.array(entry["polygon"], np.float64)).max() <= 1 for entry in rois)
    except (TypeError, ValueError) as exc:
        raise LayoutError(f"polygons of a template are lists of [x, y] ({exc})") from exc
    return ShareRegions(rois) if shares else FixedRegions.parse(rois)


def _mapping(content: Mapping[object, object], name: str) -> Mapping[object, object]:
    part = content.get(name, {})
    if not isinstance(part, Mapping):
        raise LayoutError(f"{name} of a template is a mapping, got {part!r}")
    return part


def _number(content: Mapping[object, object], name: str, default: float) -> float:
    value = content.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
        raise LayoutError(f"{name} of a template is a number, got {value!r}")
    return value
