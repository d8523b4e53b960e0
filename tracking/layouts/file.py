"""Layouts written down in a YAML or JSON file; LAYOUTS.md says what it may hold."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from imgstore import ImgstoreError, MetadataError, UnknownNameError, parse_yaml
from tracking.errors import LayoutError, RegionError, SettingsError
from tracking.layouts.base import Layout
from tracking.layouts.circles import Circles
from tracking.layouts.extras import DescribedLayout, parse_points, parse_scale, parse_split
from tracking.layouts.grid import CornerGrid, Grid
from tracking.layouts.manual import FixedRegions, ShareRegions
from tracking.layouts.mask import Mask
from tracking.layouts.templates import parse_template
from tracking.layouts.wells import Wells
from tracking.settings import parse_settings

_MAX_BYTES = 1 << 22
_KINDS = ("regions", "grid", "circles", "wells", "mask")
_EXTRAS = ("units", "frame", "scale", "mm_per_pixel", "split", "targets")
_UNITS = ("pixels", "frame")

S = TypeVar("S")


def load_layout(path: Path) -> Layout:
    """Return the layout in a file. Raises LayoutError, saying what is wrong with it."""
    content = read_content(path)
    try:
        return parse_layout(content, path.parent)
    except (LayoutError, RegionError) as exc:
        raise LayoutError(f"{path}: {exc}") from exc


def read_content(path: Path) -> object:
    """Return what a YAML or JSON file says. Raises LayoutError if it is none."""
    try:
        with path.open("rb") as file:
            return parse_yaml(file.read(_MAX_BYTES))  # JSON is YAML
    except OSError as exc:
        raise LayoutError(f"the layout {path} cannot be read ({exc.strerror})") from exc
    except MetadataError as exc:
        raise LayoutError(f"the layout {path} is no YAML or JSON: {exc}") from exc


def parse_layout(content: object, folder: Path = Path()) -> Layout:
    """Return the layout that the parsed content of a file describes.

    Parameters
    ----------
    folder : from which the path of a mask is looked for.

    Raises
    ------
    LayoutError, RegionError
        The content is no layout, or one of its regions is none.
    """
    if isinstance(content, Mapping) and "roi_definition" in content:
        return parse_template(content)
    if not isinstance(content, Mapping) or len(set(_KINDS) & set(content)) != 1:
        raise LayoutError(
            f"a layout file holds one of {', '.join(_KINDS)} (or is a template of ethoscope); it may also "
            f"have {', '.join(_EXTRAS)}"
        )
    for key in content:
        if key not in _KINDS + _EXTRAS:
            problem = UnknownNameError("entry", str(key), _KINDS + _EXTRAS)
            raise LayoutError(f"in a layout file {problem}")
    units = content.get("units", "pixels")
    if units not in _UNITS:
        raise LayoutError(f"units are {' or '.join(_UNITS)} (from 0 to 1), got {units!r}")
    shares = units == "frame"
    layout = _parse_kind(content, folder, shares=shares)
    split = parse_split(content["split"]) if "split" in content else None
    scale = parse_scale(content, shares=shares)
    frame = _frame(content["frame"]) if "frame" in content else None
    targets = parse_points(content["targets"], "targets") if "targets" in content else None
    if (split, scale, frame, targets) == (None, None, None, None):
        return layout
    return DescribedLayout(layout, split, scale, frame, targets)


def allow_outside(layout: Layout) -> Layout:
    """Return a layout that gives written down regions even where they lie outside of the image.

    For who says all that is wrong with them, not the first thing.
    """
    if isinstance(layout, DescribedLayout):
        return replace(layout, layout=allow_outside(layout.layout))
    if isinstance(layout, FixedRegions | ShareRegions):
        return replace(layout, anywhere=True)
    return layout


def _parse_kind(content: Mapping[object, object], folder: Path, *, shares: bool) -> Layout:
    if "regions" in content:
        return ShareRegions(content["regions"]) if shares else FixedRegions.parse(content["regions"])
    if shares:
        raise LayoutError("`units: frame` is for regions, which have corners")
    if "grid" in content:
        return _grid(content["grid"])
    if "mask" in content:
        if not isinstance(content["mask"], str):
            raise LayoutError(f"mask is the path of a picture, got {content['mask']!r}")
        return Mask(str(folder / Path(content["mask"]).expanduser()))
    if "circles" in content:
        return _settings(Circles, content["circles"])
    return _settings(Wells, content["wells"])


def _grid(content: object) -> Layout:
    if not isinstance(content, Mapping) or not {"rows", "columns"} <= set(content):
        known = ", ".join(field.name for field in fields(Grid)[2:])
        raise LayoutError(f"'grid' has rows and columns, and may have corners, {known}")
    rest = {name: value for name, value in content.items() if name != "corners"}
    grid = _settings(Grid, rest)
    if "corners" not in content:
        return grid
    if "on" in content:
        raise LayoutError("a grid has either corners or on")
    return CornerGrid(grid, parse_points(content["corners"], "the corners of a grid"))


def _settings(kind: type[S], content: object) -> S:
    """Return the settings of a kind of layout. Raises LayoutError."""
    given = content if content is not None else {}
    if not isinstance(given, Mapping):
        raise LayoutError(f"the settings of {kind.__name__.lower()} are a mapping, got {content!r}")
    try:
        return parse_settings(kind, {str(name): value for name, value in given.items()})
    except (SettingsError, ImgstoreError) as exc:
        raise LayoutError(str(exc)) from exc


def _frame(content: object) -> tuple[int, int]:
    size = np.array(content) if isinstance(content, list) else np.empty(0)
    if size.shape != (2,) or size.dtype.kind not in "iu" or size.min() < 1:
        raise LayoutError(f"frame is the size that the layout is for, [columns, rows], got {content!r}")
    return int(size[0]), int(size[1])
