"""Layouts: where the regions are. One idea per file, and this table."""

from pathlib import Path

from imgstore import Registry, UnknownNameError
from tracking.layouts.base import Layout, Regions
from tracking.layouts.file import load_layout

LAYOUTS: Registry[Layout] = Registry(
    "layout",
    {
        "whole-frame": "tracking.layouts.whole:WHOLE_FRAME",
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
    """Return the layout called `name`, or the one in the file `name`.

    Raises UnknownNameError, suggesting the closest name, or LayoutError if the file is none.
    """
    if name in LAYOUTS:
        return LAYOUTS.get(name)
    path = Path(name).expanduser()
    if path.suffix.lower() in LAYOUT_FILE_SUFFIXES or path.is_file():
        return load_layout(path)
    try:
        return LAYOUTS.get(name.replace("_", "-").lower())
    except UnknownNameError as exc:
        raise UnknownNameError("layout", name, LAYOUTS.names(), "a .yaml or .json file works too") from exc


__all__ = ["LAYOUTS", "Layout", "Regions", "load_layout", "open_layout"]
