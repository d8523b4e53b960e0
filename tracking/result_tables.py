"""What tables the HDF5 result file has, and how it names itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tracking.points import Column

FORMAT = "ethostore-tracks"
VERSION = 1
SUFFIX = ".tracks.h5"
REALIGNED = "regions-realigned"
"""Kind of the events that say that the regions lie elsewhere from then on."""


FRAME_COLUMNS = (
    Column("index", "<i8", "1", "position in the recording, from 0"),
    Column("number", "<i8", "1", "the camera's own count; a gap is a lost frame"),
    Column("time", "<f8", "s", "since the Unix epoch, start of exposure"),
)
FRAME = np.dtype([(column.name, column.dtype) for column in FRAME_COLUMNS])

_TEXT = {"name": h5py.string_dtype("utf-8", 64), "kind": h5py.string_dtype("utf-8", 32)}
ROI_ROW = np.dtype(
    [
        ("number", "<u2"),
        ("value", "<i4"),
        ("name", _TEXT["name"]),
        ("x", "<i4"),
        ("y", "<i4"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("first_corner", "<i4"),
        ("corners", "<i4"),
    ]
)
PART_ROW = np.dtype([("roi", "<u2"), ("name", _TEXT["name"]), ("first_corner", "<i4"), ("corners", "<i4")])
EVENT_ROW = np.dtype(
    [
        ("time", "<f8"),
        ("roi", "<u2"),
        ("kind", _TEXT["kind"]),
        ("detail", h5py.string_dtype("utf-8", 512)),
    ]
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a time, in a region or (0) in all."""

    time: float
    roi: int
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def event_rows(events: Sequence[Event]) -> npt.NDArray[np.void]:
    """Return rows of /events."""
    rows = [(event.time, event.roi, event.kind.encode(), _detail_text(event)) for event in events]
    return np.array(rows, EVENT_ROW)


def _detail_text(event: Event) -> bytes:
    """Return the detail of an event as JSON, which stays JSON where it is cut to the length on disk."""
    text = json.dumps(event.detail, ensure_ascii=False).encode()
    room = EVENT_ROW["detail"].itemsize
    if len(text) <= room:
        return text
    cut = text[: room // 2].decode(errors="ignore")
    return json.dumps({"cut": cut}, ensure_ascii=False).encode()[:room]
