"""What an importer gives: the positions that another program found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tracking.points import Points
from tracking.roi import ROI


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Some positions, and of which frames they are.

    Attributes
    ----------
    points : of one animal in one frame each; the column `frame` says nothing. x and y are in pixels of the
        frame, from the centre of the upper left one. `roi` is 0 if the program knows no regions.
    when : of each point, shape (points,): indices of frames (integers), or times (floats), seconds since the
        start of tracking.
    """

    points: Points
    when: npt.NDArray[np.int64] | npt.NDArray[np.float64]


class Imported(Protocol):
    """An open file of another program."""

    @property
    def tracker(self) -> str:
        """Name of the program."""

    @property
    def rois(self) -> list[ROI]:
        """Its regions; empty if it knows none."""

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns of its frames; None if it does not say."""

    @property
    def started(self) -> float | None:
        """When tracking started, seconds since the Unix epoch; None if it counts frames, not time."""

    def times(self) -> npt.NDArray[np.float64]:
        """Return the times at which there are positions, rising, seconds since the start of tracking."""

    def found(self) -> Iterator[Found]:
        """Yield all positions, in pieces of bounded size, in any order."""

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""


class Importer(Protocol):
    """Opens files of another program."""

    def __call__(self, path: Path, settings: Mapping[str, object], /) -> Imported:
        """Open a file. Raises ImportFileError if it is none, UnknownNameError or SettingsError."""
