"""Tables of Tracktor: frame (from 1), pos_x, pos_y and, of several animals, id."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from tracking.errors import ImportFileError
from tracking.importing.base import Found
from tracking.points import new_points
from tracking.roi import ROI
from tracking.settings import parse_settings

_ROWS = 100_000
_NEEDED = ("frame", "pos_x", "pos_y")


@dataclass(frozen=True, slots=True)
class TracktorSettings:
    """Settings of the import of Tracktor's tables.

    Attributes
    ----------
    first_frame : what the table calls the first frame of the recording.
    """

    first_frame: int = 1


class TracktorFile:
    """See `Imported`."""

    tracker = "tracktor"
    shape: tuple[int, int] | None = None
    started: float | None = None

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        self._path = path
        self._settings = parse_settings(TracktorSettings, settings)
        try:
            columns = list(pd.read_csv(path, nrows=0).columns)
        except (ValueError, UnicodeDecodeError) as exc:
            raise ImportFileError(f"{path} is no table of comma-separated values ({exc})") from exc
        if not set(_NEEDED) <= set(columns):
            raise ImportFileError(
                f"{path} is no table of Tracktor's: it has the columns {', '.join(columns) or 'none'}; "
                f"needed are {', '.join(_NEEDED)}"
            )
        self._columns = [*_NEEDED, *(["id"] if "id" in columns else [])]

    @property
    def rois(self) -> list[ROI]:
        """None: Tracktor has no regions."""
        return []

    def times(self) -> npt.NDArray[np.float64]:
        """Return nothing: the table counts frames."""
        return np.empty(0)

    def found(self) -> Iterator[Found]:
        """Yield all positions; rows without one are left out."""
        identities: dict[object, int] = {}
        with pd.read_csv(self._path, usecols=self._columns, chunksize=_ROWS) as tables:
            for table in tables:
                known = table.dropna(subset=list(_NEEDED))
                points = new_points(len(known))
                points["x"], points["y"] = known["pos_x"], known["pos_y"]
                points["score"] = np.nan
                animals = known["id"].tolist() if "id" in known else [0] * len(known)
                points["identity"] = [identities.setdefault(name, len(identities) + 1) for name in animals]
                yield Found(points, known["frame"].to_numpy(np.int64) - self._settings.first_frame)

    def close(self) -> None:
        """Nothing is open."""
