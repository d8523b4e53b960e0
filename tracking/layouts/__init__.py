"""Layouts: where the regions are. One idea per file, and this table."""

from dataclasses import fields
from pathlib import Path

from imgstore import Registry, UnknownNameError
from tracking.errors import LayoutError
from tracking.layouts.base import Layout, Regions
from tracking.layouts.file import allow_outside, load_layout
from tracking.layouts.mask import MASK_SUFFIXES, Mask
from tracking.settings import parse_settings

LAYOUTS: Registry[Layout] = Registry(
    "layout",
    {
        "whole-frame": "tracking.layouts.whole:WHOLE_FRAME",
        "circles": "tracking.layouts.circles:CIRCLES",
        "wells": "tracking.layouts.wells:WELLS",
        "grid": "tracking.layouts.grid:GRID",
        "frame-grid": "tracking.layouts.grid:FRAME_GRID",
        "mask": "tracking.layouts.mask:MASK",
        "sleep-monitor-20tube": "tracking.layouts.grid:SLEEP_MONITOR_20TUBE",
        "sleep-monitor-30tube": "tracking.layouts.grid:SLEEP_MONITOR_30TUBE",
        "olfaction-assay-10tube": "tracking.layouts.grid:OLFACTION_ASSAY_10TUBE",
        "electric-shock-5tube": "tracking.layouts.grid:ELECTRIC_SHOCK_5TUBE",
        "hd-12tube": "tracking.layouts.grid:HD_12TUBE",
        "hd-mating-arena-6": "tracking.layouts.grid:HD_MATING_ARENA_6",
    },
)

LAYOUT_FILE_SUFFIXES = (".yaml", ".yml", ".json")


def open_layout(name: str) -> Layout:
    """Return a layout by its name, by its name with settings, or from a file.

    Parameters
    ----------
    name : one of `LAYOUTS`; settings may follow, as in "wells:96", "circles:count=4,fill=0.95" or
        "grid:rows=4,columns=3,top=0.1"; or a layout file (.yaml, .json), or a mask picture (.png).

    Raises
    ------
    UnknownNameError
        There is no such layout or setting; the message suggests the closest.
    LayoutError, SettingsError
        The file is no layout, or a setting is out of its range.
    """
    if name in LAYOUTS:
        return LAYOUTS.get(name)
    kind, colon, settings = name.partition(":")
    known = kind.replace("_", "-").lower()
    if known in LAYOUTS:
        return _with_settings(known, settings) if colon else LAYOUTS.get(known)
    path = Path(name).expanduser()
    if path.suffix.lower() in MASK_SUFFIXES:
        return Mask(name)
    if path.suffix.lower() in LAYOUT_FILE_SUFFIXES or path.is_file():
        return load_layout(path)
    remark = "a .yaml or .json file works too, or a mask picture"
    raise UnknownNameError("layout", kind.replace("_", "-"), LAYOUTS.names(), remark)


def _with_settings(name: str, text: str) -> Layout:
    """Return a layout with settings: NAME=VALUE with commas between; a bare value is the first of them."""
    layout = LAYOUTS.get(name)
    known = [field.name for field in fields(layout)]  # type: ignore[arg-type]  # they all are dataclasses
    if not known:
        raise LayoutError(f"the layout {name} has no settings, got {text!r}")
    given: dict[str, object] = {field: getattr(layout, field) for field in known}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        setting, equals, value = pair.partition("=")
        if equals and setting not in known:
            raise UnknownNameError(f"setting of the layout {name}", setting, known)
        given[setting if equals else known[0]] = value if equals else setting
    return parse_settings(type(layout), given)


__all__ = ["LAYOUTS", "Layout", "Regions", "allow_outside", "load_layout", "open_layout"]
