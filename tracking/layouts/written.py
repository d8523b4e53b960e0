"""Write, change and read back a file of regions."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml

from imgstore import replacing
from tracking import polygons
from tracking.errors import LayoutError
from tracking.layouts.base import Regions
from tracking.layouts.file import allow_outside, parse_layout, read_content
from tracking.polygons import Polygon
from tracking.roi import ROI

_HEADER = "# Regions of ethostore; corners are x, y in {units}. Say what is wrong: ethostore layout check\n"
_WIDEST = 1 << 30  # characters of a line
_ANY_SHAPE = (1 << 20, 1 << 20)  # of an image that holds any region; it takes no room

Entry = dict[str, Any]
Change = Callable[[Polygon], Polygon]


class _CentredChange(Protocol):
    def __call__(self, points: Polygon, /, *, centre: Polygon) -> Polygon: ...


class LayoutFile:
    """The regions of a layout file, to be changed and written.

    Parameters
    ----------
    content : what the file holds, checked; `read` and `of` make it.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self._entries: list[Entry] = content["regions"]

    @classmethod
    def read(cls, path: Path) -> "LayoutFile":
        """Read a file of regions. Raises LayoutError if it holds something else, a grid say."""
        content = read_content(path)
        try:
            parse_layout(content, path.parent)
        except ValueError as exc:
            raise LayoutError(f"{path}: {exc}") from exc
        if not isinstance(content, Mapping) or "regions" not in content:
            raise LayoutError(
                f"{path} says how regions are found, not where they are; edit it as text, or write them down "
                f"first: ethostore layout find SOURCE --layout {path} --out NEW.yaml"
            )
        entries = [{"number": place, **entry} for place, entry in enumerate(content["regions"], 1)]
        return cls({**content, "regions": entries})

    @classmethod
    def of(cls, regions: Regions, shape: tuple[int, ...]) -> "LayoutFile":
        """Return regions that were found in frames of (rows, columns), ready to be written."""
        content: dict[str, Any] = {"frame": [int(shape[1]), int(shape[0])]}
        if regions.mm_per_pixel is not None:
            content["mm_per_pixel"] = float(f"{regions.mm_per_pixel:.6g}")
        if len(regions.targets):
            content["targets"] = _rounded(regions.targets)
        content["regions"] = [_entry(roi) for roi in regions.rois]
        return cls(content)

    def regions(self) -> tuple[Regions, tuple[int, int] | None]:
        """Return the regions, and (rows, columns) of the frames that the file names; None if it names none.

        Raises LayoutError if they are shares of a frame whose size the file does not name.
        """
        frame = self.content.get("frame")
        if frame is None and self.content.get("units") == "frame":
            raise LayoutError("regions in shares of the frame lie nowhere without one; give a recording, too")
        shape = None if frame is None else (int(frame[1]), int(frame[0]))
        found = allow_outside(parse_layout(self.content)).find(
            np.broadcast_to(np.uint8(0), shape or _ANY_SHAPE)
        )
        return found, shape

    def move(self, number: int | None, dx: float, dy: float) -> None:
        """Move a region, or all (None), to the right and down, in the units of the file."""
        self._change(number, lambda points, *, centre: points + np.array((dx, dy)), 1.0)

    def scale(self, number: int | None, factor: float) -> None:
        """Make a region, or all (None), larger or smaller about its centre. Raises LayoutError."""
        if not 0 < factor < np.inf:
            raise LayoutError(f"regions are scaled by a factor above 0, got {factor}")
        self._change(number, lambda points, *, centre: (points - centre) * factor + centre, factor)

    def rename(self, number: int, name: str) -> None:
        """Give a region a name; "" for none."""
        self._find(number)["name"] = name

    def set_value(self, number: int, value: int) -> None:
        """Give a region a value."""
        self._find(number)["value"] = value

    def delete(self, number: int) -> None:
        """Remove a region; the others keep their numbers."""
        self._entries.remove(self._find(number))

    def set_scale(self, mm_per_pixel: float) -> None:
        """Give the picture a scale."""
        self.content.pop("scale", None)
        self.content["mm_per_pixel"] = mm_per_pixel

    def save(self, path: Path) -> None:
        """Write the file, which appears complete or not at all; JSON if its name says so, else YAML.

        Raises LayoutError, and writes nothing, if the regions are none any more.
        """
        parse_layout(self.content, path.parent)
        text = self.text(as_json=path.suffix.lower() == ".json")
        with replacing(path) as file:
            file.write(text.encode())

    def text(self, *, as_json: bool = False) -> str:
        """Return the file as text: a line for each region."""
        if as_json:
            return json.dumps(self.content, indent=1) + "\n"
        units = "shares of the frame" if self.content.get("units") == "frame" else "pixels"
        lines = [_HEADER.format(units=units)]
        for key, value in self.content.items():
            if key == "regions":
                lines += ["regions:\n", *(f"  - {_flow(entry)}" for entry in value)]
            else:
                lines.append(f"{key}: {_flow(value)}")
        return "".join(lines)

    def _find(self, number: int) -> Entry:
        for entry in self._entries:
            if entry["number"] == number:
                return entry
        known = ", ".join(str(entry["number"]) for entry in self._entries[:40])
        raise LayoutError(f"there is no region {number}; there are {known}")

    def _change(self, number: int | None, change: "_CentredChange", factor: float) -> None:
        for entry in self._entries if number is None else [self._find(number)]:
            centre = _centre(entry)
            for outline in (entry, *entry.get("parts", ())):
                _change_outline(outline, partial(change, centre=centre), factor)


def _entry(roi: ROI) -> Entry:
    entry: Entry = {"number": roi.number}
    if roi.value != roi.number:
        entry["value"] = roi.value
    if roi.name:
        entry["name"] = roi.name
    entry |= _outline(roi.polygon)
    if roi.parts:
        entry["parts"] = [{"name": part.name, **_outline(part.polygon)} for part in roi.parts]
    return entry


def _outline(polygon: Polygon) -> Entry:
    round_one = polygons.as_circle(polygon)
    if round_one is not None:
        return {"circle": [round(value, 2) for value in round_one]}
    return {"polygon": _rounded(polygon)}


def _rounded(points: Polygon) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


def _centre(entry: Entry) -> Polygon:
    """Return about what a region is scaled, (x, y)."""
    if "polygon" in entry:
        return np.asarray(np.array(entry["polygon"], np.float64).mean(axis=0))
    numbers = np.array(entry.get("circle", entry.get("rectangle")), np.float64)
    return numbers[:2] + (numbers[2:] / 2 if "rectangle" in entry else 0)


def _change_outline(entry: Entry, change: Change, factor: float) -> None:
    """Change the polygon, circle or rectangle of an entry in place."""
    if "polygon" in entry:
        entry["polygon"] = change(np.array(entry["polygon"], np.float64)).round(4).tolist()
        return
    shape = "circle" if "circle" in entry else "rectangle"
    numbers = np.array(entry[shape], np.float64)
    corner = change(numbers[None, :2])[0]
    entry[shape] = [round(float(value), 4) for value in (*corner, *(numbers[2:] * factor))]


def _flow(value: object) -> str:
    """Return a value as YAML on one line, with its end."""
    text = yaml.safe_dump(value, default_flow_style=True, width=_WIDEST, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n")
