"""Frames as they would be had nothing knocked the camera, and points back to where they were filmed."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSequence, FrameSpec, Image, problems_of
from tracking.blocks import SeenFrame
from tracking.points import Points
from tracking.polygons import transform
from tracking.realign import Realignment
from tracking.result_tables import Event

Matrix: TypeAlias = npt.NDArray[np.float64]
"""A shift and turn, shape (2, 3): from pixels at the start of a recording to pixels of a frame."""


class Guide(Protocol):
    """Knows, or finds out, where the picture lies in each frame."""

    def at(self, frame: Frame | SeenFrame) -> Realignment | None:
        """Take the next frame; return where the picture lies in it, None for where it lay at the start."""

    def steady(self, frame: Frame) -> Frame:
        """Return the frame that `at` was asked for last as it would be had the picture not moved."""


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """Where the picture lies from a frame on, whose position in the recording is `index`."""

    index: int
    realignment: Realignment


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """A guide for recordings that were looked through beforehand. Frames may come in any order.

    Attributes
    ----------
    moves : in the order of frames.
    fill : what to put where the camera no longer looks, an image like those of the recording.
    """

    moves: tuple[Move, ...]
    fill: Image

    def at(self, frame: Frame | SeenFrame) -> Realignment | None:
        """Return where the picture lies in a frame; None for where it lay at the start."""
        place = bisect_right([move.index for move in self.moves], frame.index)
        return self.moves[place - 1].realignment if place else None

    def steady(self, frame: Frame) -> Frame:
        """Return a frame as it would be had the picture not moved."""
        return steadied(frame, self.at(frame), self.fill)


def steadied(frame: Frame, realignment: Realignment | None, fill: Image) -> Frame:
    """Return a frame with its picture back where it lay; what is not seen is taken from `fill`."""
    if realignment is None or is_still(realignment.matrix):
        return frame
    back = cv2.warpAffine(
        frame.image,
        realignment.matrix,
        frame.image.shape[1::-1],
        dst=fill.copy(),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    return replace(frame, image=np.asarray(back, frame.image.dtype))


def is_still(matrix: Matrix) -> bool:
    """Return whether a matrix leaves everything where it is."""
    return bool((matrix == np.eye(2, 3)).all())


class SteadyFrames:
    """A recording as it would be had the picture not moved.

    Parameters
    ----------
    frames : the recording, or some of its frames.
    moves : of it.
    """

    def __init__(self, frames: FrameSequence, moves: Moves) -> None:
        self._frames = frames
        self._moves = moves

    @property
    def spec(self) -> FrameSpec:
        """Shape and dtype of the frames."""
        return self._frames.spec

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The camera's numbers, shape (n,)."""
        return self._frames.numbers

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The times, shape (n,), seconds since the Unix epoch."""
        return self._frames.times

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing or broken, as the recording says."""
        return problems_of(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int, /) -> Frame:
        return self._moves.steady(self._frames[index])

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        """Do nothing: the files are the recording's."""


class Steadying:
    """Steadies frames that come in order, and says where the points of them were filmed.

    Parameters
    ----------
    guide : knows where the picture lies.
    """

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._now: Realignment | None = None
        self._row = -1
        self._starts = [0]  # rows of the result from which on ...
        self._ways: list[Matrix] = [np.eye(2, 3)]  # ... the picture lies so

    def take(self, frame: Frame | SeenFrame) -> list[Event]:
        """Take the next frame; return what to say if the picture lies elsewhere than in the last."""
        self._row += 1
        realignment = self._guide.at(frame)
        if realignment is self._now or realignment is None:
            return []
        self._now = realignment
        self._starts.append(self._row)
        self._ways.append(realignment.matrix)
        return [realignment.event(frame.time)]

    @property
    def moves(self) -> int:
        """How many times the picture has moved."""
        return len(self._starts) - 1

    def steady(self, frame: Frame) -> Frame:
        """Return the frame that was taken last as it would be had the picture not moved."""
        return self._guide.steady(frame)

    def place(self, points: Points) -> Points:
        """Return points that were found in steadied frames, in pixels of the frames as they were filmed."""
        ways = np.searchsorted(self._starts, points["frame"], side="right") - 1
        placed = points
        for way in np.unique(ways).tolist():
            matrix = self._ways[way]
            if is_still(matrix):
                continue
            placed = points.copy() if placed is points else placed
            rows = np.flatnonzero(ways == way)
            here = np.column_stack([points["x"][rows], points["y"][rows]]).astype(np.float64)
            placed["x"][rows], placed["y"][rows] = transform(matrix, here).T
            turn = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
            for name, circle in (("angle", 180.0), ("heading", 360.0)):
                placed[name][rows] = (points[name][rows] + turn) % circle
        return placed
