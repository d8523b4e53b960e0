"""Result files of ethoscopes (SQLite), as they are: regions without a table, truth values as text."""

import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tracking.errors import ImportFileError, SettingsError
from tracking.importing.base import Found
from tracking.points import Status, new_points
from tracking.roi import ROI
from tracking.settings import parse_settings

_ROWS = 100_000
_ONE_ANIMAL = "xy_dist_log10x1000"
"""Only trackers of one animal per region have this column."""


@dataclass(frozen=True, slots=True)
class EthoscopeImportSettings:
    """Settings of the import of ethoscope's files.

    Attributes
    ----------
    delay : seconds by which the frames are later than the file says: one frame, 0.05 s of 20 a second, in
        files that ethoscope made of a video.
    """

    delay: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.delay):
            raise SettingsError(f"delay is a number of seconds, got {self.delay}")


class EthoscopeFile:
    """See `Imported`."""

    tracker = "ethoscope"

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        self._settings = parse_settings(EthoscopeImportSettings, settings)
        self._path = path
        self._base = _connect(path)
        try:
            self._metadata = dict(self._base.execute("SELECT field, value FROM METADATA"))
            self._rois = self._read_rois()
            self._tables = self._find_tables()
        except (sqlite3.Error, TypeError, ValueError) as exc:
            self._base.close()
            raise ImportFileError(f"{path} is no result file of an ethoscope ({exc})") from exc

    @property
    def rois(self) -> list[ROI]:
        """The rectangles around its regions: the file does not hold more."""
        return self._rois

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns of its frames."""
        try:
            return int(self._metadata["frame_height"]), int(self._metadata["frame_width"])
        except (KeyError, ValueError):
            return None

    @property
    def started(self) -> float | None:
        """When tracking started."""
        try:
            return float(self._metadata["date_time"])
        except (KeyError, ValueError):
            return 0.0

    def times(self) -> npt.NDArray[np.float64]:
        """Return the times at which there is something in any region."""
        if not self._tables:
            return np.empty(0)
        union = " UNION ".join(f"SELECT t FROM {table}" for table in self._tables.values())  # noqa: S608
        found = np.fromiter((t for (t,) in self._base.execute(f"{union} ORDER BY t")), np.float64)
        return found / 1000 + self._settings.delay

    def found(self) -> Iterator[Found]:
        """Yield all positions, region by region."""
        for roi in self._rois:
            if roi.number in self._tables:
                yield from self._found_in(roi, self._tables[roi.number])

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        self._base.close()

    def _read_rois(self) -> list[ROI]:
        rows = self._base.execute("SELECT roi_idx, roi_value, x, y, w, h FROM ROI_MAP ORDER BY roi_idx")
        return [_rectangle(*map(int, row)) for row in rows]

    def _find_tables(self) -> dict[int, str]:
        """Return the tables of the regions that have one: a region in which nothing was found has none."""
        names = {
            name for (name,) in self._base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        return {roi.number: f"ROI_{roi.number}" for roi in self._rois if f"ROI_{roi.number}" in names}

    def _found_in(self, roi: ROI, table: str) -> Iterator[Found]:
        columns = {row[1] for row in self._base.execute(f"PRAGMA table_info({table})")}
        label = "label" if "label" in columns else "NULL"
        wanted = [
            name if name in columns else "NULL"
            for name in ("t", "x", "y", "w", "h", "phi", "is_inferred", "has_interacted")
        ]
        rows = self._base.execute(f"SELECT {', '.join(wanted)}, {label} FROM {table} ORDER BY t, rowid")  # noqa: S608
        last_time, order = -1.0, 0
        while block := rows.fetchmany(_ROWS):
            values = np.array([[_number(value) for value in row] for row in block])
            points = new_points(len(values))
            points["roi"] = roi.number
            points["x"], points["y"] = values[:, 1] + roi.offset[0], values[:, 2] + roi.offset[1]
            points["length"], points["width"], points["angle"] = values[:, 3:6].T
            points["score"] = np.nan
            points["status"] = np.where(values[:, 6] == 1, Status.LOST, Status.DETECTED)
            points["interaction"] = np.nan_to_num(values[:, 7])
            if _ONE_ANIMAL in columns and label == "NULL":
                points["identity"] = 1
            else:
                points["identity"], last_time, order = _identities(values, last_time, order)
            known = np.isfinite(values[:, :3]).all(axis=1)
            yield Found(points[known], values[known, 0] / 1000 + self._settings.delay)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file, which may lie in a folder that cannot be written to, and leave nothing beside it."""
    log = path.with_name(f"{path.name}-wal")
    unfinished = log.exists() and log.stat().st_size > 0
    mode = "mode=ro" if unfinished else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)


def _rectangle(number: int, value: int, x: int, y: int, width: int, height: int) -> ROI:
    right, bottom = x + width - 1, y + height - 1
    return ROI(np.array([(x, y), (right, y), (right, bottom), (x, bottom)]), number, value)


def _number(value: object) -> float:
    """Return what SQLite holds, be it a number, text that says one, or nothing."""
    return math.nan if value is None else float(value)  # type: ignore[arg-type]  # text or a number


def _identities(
    values: npt.NDArray[np.float64], last_time: float, order: int
) -> tuple[list[int], float, int]:
    """Return labels, or else the place among the rows of the same time, from 1; and where that ended."""
    found = []
    for time, label in zip(values[:, 0].tolist(), values[:, -1].tolist(), strict=True):
        order = order + 1 if time == last_time else 1
        last_time = time
        found.append(int(label) if math.isfinite(label) else order)
    return found, last_time, order
