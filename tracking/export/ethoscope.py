"""The SQLite file of an ethoscope, in its folders, as rethomics (scopr) and ethoscopy read it.

Tables and columns are ethoscope's own, with these differences, all of them mended faults: every region has
a table; every row is there; `is_inferred` is a number, which R takes for a truth value; an animal's first
step is none; minutes of activity begin with the recording, carry its time and are all written, the last
one too; pictures begin with the first frame.
"""

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from imgstore import ImgstoreError, replacing
from tracking.errors import SettingsError, TrackingError
from tracking.export.base import Export, Exporter
from tracking.export.ordered import Piece, Track, dense_rows, find_tracks, in_order
from tracking.export.pictures import Moment, Schedule, jpegs
from tracking.export.steps import Activity, Steps
from tracking.points import Status
from tracking.results import Results
from tracking.roi import ROI
from tracking.settings import parse_settings

_VARIABLES = (
    ("x", "SMALLINT", "distance"),
    ("y", "SMALLINT", "distance"),
    ("w", "SMALLINT", "distance"),
    ("h", "SMALLINT", "distance"),
    ("phi", "SMALLINT", "angle"),
    ("xy_dist_log10x1000", "SMALLINT", "relative_distance_1e6"),
    ("is_inferred", "BOOLEAN", "bool"),
    ("has_interacted", "SMALLINT", "interaction"),
)
_LABEL = ("label", "SMALLINT", "label")  # declared by ethoscope for several animals, but never filled


@dataclass(frozen=True, slots=True)
class EthoscopeSettings:
    """Settings of the export to ethoscope's files.

    Attributes
    ----------
    machine_name : letters, digits, - and _; empty for the name of the recording.
    machine_id : as `machine_name`; empty for the identity of the store. Its first six letters, the date and
        the time are what animals are told apart by.
    snapshots : seconds between pictures of the whole frame; 0 for none.
    """

    machine_name: str = ""
    machine_id: str = ""
    snapshots: float = 300.0

    def __post_init__(self) -> None:
        for name in (self.machine_name, self.machine_id):
            if re.search(r"[^\w-]", name):
                raise SettingsError(f"a machine's name has letters, digits, - and _ only, got {name!r}")
        if not 0 <= self.snapshots < math.inf:
            raise SettingsError(f"snapshots is a number of seconds, 0 for none, got {self.snapshots}")


@dataclass(frozen=True, slots=True)
class _Run:
    """What the file says of the machine and the time; `start` is of the first frame."""

    machine_name: str
    machine_id: str
    start: float
    stop: float

    @property
    def stamp(self) -> str:
        return f"{datetime.fromtimestamp(0, UTC) + timedelta(seconds=self.start):%Y-%m-%d_%H-%M-%S}"

    @property
    def path(self) -> Path:
        name = f"{self.stamp}_{self.machine_id}.db"
        return Path(self.machine_id) / self.machine_name / self.stamp / name


class EthoscopeExporter(Exporter):
    """See `Exporter`."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = parse_settings(EthoscopeSettings, settings)

    def place(self, results: Results, out: Path) -> Path:
        """Return `out` if it ends in .db, else the file's place in a folder of results as ethoscopes have."""
        return out if out.suffix.lower() == ".db" else out / self._run(results).path

    def write(self, results: Results, out: Path) -> Export:
        """Write everything to `out`."""
        run = self._run(results)
        with replacing(out) as file, closing(sqlite3.connect(file.name)) as base:
            base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            tracks = find_tracks(results)
            _lay_out(base, results, run, several=any(track.identity > 1 for track in tracks))
            moments = _write_rows(base, results, run, tracks, self._settings.snapshots)
            left_out = _write_snapshots(base, results.attributes["source"], run.start, moments)
            base.commit()
        return Export(out, left_out)

    def _run(self, results: Results) -> _Run:
        attributes = results.attributes
        source = Path(attributes["source"])
        identity = attributes["store_uuid"] or xxhash.xxh3_128_hexdigest(str(source).encode())
        count = results.count("frames")
        ends = [float(results.read("frames", at, at + 1)["time"][0]) for at in (0, count - 1) if count]
        start, stop = (time if math.isfinite(time) else 0.0 for time in ends or (0.0, 0.0))
        return _Run(
            self._settings.machine_name or re.sub(r"[^\w-]", "_", source.stem) or "ethostore",
            self._settings.machine_id or re.sub(r"[^\w-]", "_", identity),
            start,
            stop,
        )


def _lay_out(base: sqlite3.Connection, results: Results, run: _Run, *, several: bool) -> None:
    variables = (*_VARIABLES, _LABEL) if several else _VARIABLES
    columns = ", ".join(f"{name} INTEGER" for name, *_ in variables)
    numbers = [roi.number for roi in results.rois]
    base.executescript(
        "CREATE TABLE ROI_MAP (roi_idx INTEGER, roi_value INTEGER, "
        "x INTEGER, y INTEGER, w INTEGER, h INTEGER);"
        "CREATE TABLE VAR_MAP (var_name TEXT, sql_type TEXT, functional_type TEXT);"
        "CREATE TABLE METADATA (field TEXT, value TEXT);"
        "CREATE TABLE START_EVENTS (id INTEGER PRIMARY KEY AUTOINCREMENT, t INTEGER, event TEXT);"
        "CREATE TABLE IMG_SNAPSHOTS (id INTEGER PRIMARY KEY AUTOINCREMENT, t INTEGER, img BLOB);"
        "CREATE TABLE CSV_DAM_ACTIVITY (id INTEGER PRIMARY KEY AUTOINCREMENT, date TEXT, time TEXT, "
        + ", ".join(f"ROI_{number} INTEGER" for number in numbers)
        + ");"
        + "".join(
            f"CREATE TABLE ROI_{number} (id INTEGER PRIMARY KEY AUTOINCREMENT, t INTEGER, {columns});"
            for number in numbers
        )
    )
    base.executemany(
        "INSERT INTO ROI_MAP VALUES (?, ?, ?, ?, ?, ?)",
        [(roi.number, roi.value, *roi.rectangle) for roi in results.rois],
    )
    base.executemany("INSERT INTO VAR_MAP VALUES (?, ?, ?)", variables)
    base.executemany("INSERT INTO METADATA VALUES (?, ?)", _metadata(results, run).items())
    base.execute("INSERT INTO START_EVENTS (t, event) VALUES (?, 'graceful_start')", (round(run.start),))


def _metadata(results: Results, run: _Run) -> dict[str, str]:
    """Return the table METADATA. Some values are Python literals, as ethoscope writes and ethoscopy reads."""
    attributes = results.attributes
    rows, columns = attributes["frame_shape"][:2]
    targets = results.targets.tolist()
    experiment = {
        "name": "",
        "location": "",
        "code": "",
        "sensor": "",
        "lights_on": "",
        "lights_off": "",
        "run_id": attributes["store_uuid"],
        "target_coordinates": targets,
    }
    options = {
        "tracker": {"class": attributes["tracker"], "kwargs": _literal(attributes["settings"])},
        "roi_builder": {"class": attributes["layout"], "kwargs": {}},
        "interactor": {"class": "DefaultStimulator", "kwargs": {}},
    }
    return {
        "machine_id": run.machine_id,
        "machine_name": run.machine_name,
        "date_time": f"{run.start:.6f}",
        "frame_width": str(columns),
        "frame_height": str(rows),
        "version": attributes["software"],
        "experimental_info": str(experiment),
        "selected_options": str(options),
        "hardware_info": str({"software": {"version": attributes["software"]}}),
        "reference_points": str([tuple(point) for point in targets]),
        "backup_filename": run.path.name,
        "result_writer_type": "SQLiteResultWriter",
        "sqlite_source_path": str(run.path),
        "stop_date_time": f"{run.stop:.6f}",
    }


def _literal(value: object) -> object:
    """Return a value that Python reads back from its own text: no NaN, no infinity."""
    if isinstance(value, dict):
        return {str(key): _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(slots=True)
class _Clock:
    """Milliseconds since the start; a frame of unknown time has that of the one before."""

    start: float
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.start

    def times(self, piece: Piece) -> npt.NDArray[np.float64]:
        times = piece.frames["time"].copy()
        known = np.isfinite(times)
        if not known.all():
            place = np.maximum.accumulate(np.where(known, np.arange(len(times)), -1))
            times = np.where(place >= 0, times[place], self._last)
        self._last = float(times[-1])
        return times


def _write_rows(
    base: sqlite3.Connection, results: Results, run: _Run, tracks: list[Track], every: float
) -> list[Moment]:
    """Write the points and the activity; return of which frames there should be pictures."""
    clock, steps = _Clock(run.start), Steps(tracks)
    activity = Activity({roi.number: roi.longest_axis for roi in results.rois}, run.start)
    marks = ", ".join("?" * (len(results.rois) + 2))
    add_minute = f"INSERT INTO CSV_DAM_ACTIVITY VALUES (NULL, {marks})"  # noqa: S608  # question marks
    several = any(track.identity > 1 for track in tracks)
    pictures = Schedule(run.start, every)
    for piece in in_order(results, dense_rows(tracks)):
        times, far = clock.times(piece), steps.take(piece)
        for roi in results.rois:
            chosen = piece.points["roi"] == roi.number
            rows = _rows(piece, chosen, roi, times - run.start, far, several=several)
            marks = ", ".join("?" * (len(_VARIABLES) + 1 + several))
            base.executemany(f"INSERT INTO ROI_{roi.number} VALUES (NULL, {marks})", rows)  # noqa: S608
        minutes = activity.take(piece, times, far)
        base.executemany(add_minute, [(date, time, *sums) for date, time, sums in minutes])
        pictures.take(piece, times)
    if results.count("frames"):
        date, time, sums = activity.finish()
        base.execute(add_minute, (date, time, *sums))
    return pictures.moments


def _rows(
    piece: Piece,
    chosen: npt.NDArray[np.bool_],
    roi: ROI,
    elapsed: npt.NDArray[np.float64],
    far: npt.NDArray[np.float64],
    *,
    several: bool,
) -> Iterable[tuple[int | None, ...]]:
    """Return the rows of the table of a region; what is not known is NULL."""
    points = piece.points[chosen]
    x, y = roi.offset
    columns = [
        _whole(elapsed[piece.rows[chosen]] * 1000),
        _whole(points["x"] - float(x)),
        _whole(points["y"] - float(y)),
        _whole(points["length"]),
        _whole(points["width"]),
        _whole(points["angle"]),
        _whole(1000 * np.log10((1 + far[chosen]) / roi.longest_axis)),
        (points["status"] == Status.LOST).astype(int).tolist(),
        points["interaction"].tolist(),
    ]
    return zip(*columns, *([points["identity"].tolist()] if several else []), strict=True)


def _whole(values: npt.NDArray[np.floating]) -> list[int | None]:
    return [int(value) if math.isfinite(value) else None for value in np.rint(values).tolist()]


def _write_snapshots(
    base: sqlite3.Connection, source: str, start: float, moments: list[Moment]
) -> tuple[str, ...]:
    """Write pictures of the recording; return what could not be written, and why."""
    try:
        for moment, jpeg in jpegs(source, moments):
            base.execute(
                "INSERT INTO IMG_SNAPSHOTS (t, img) VALUES (?, ?)",
                (round((moment.time - start) * 1000), jpeg),
            )
    except (ImgstoreError, TrackingError) as exc:
        return (f"pictures (IMG_SNAPSHOTS): {exc}",)
    return ()
