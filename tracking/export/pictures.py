"""Pictures of a recording now and then, to go with its positions."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

import imgstore
from tracking.background import learn_preparation, to_grey
from tracking.errors import ResultFileError
from tracking.export.ordered import Piece

_JPEG_QUALITY = 50
_SAME_TIME_S = 0.001


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame of which there should be a picture.

    Attributes
    ----------
    index : position in the recording.
    time : of the frame, seconds since the Unix epoch.
    """

    index: int
    time: float


class Schedule:
    """Picks the first frame, and the first one after every so many seconds.

    Parameters
    ----------
    start : seconds since the Unix epoch.
    every : seconds; 0 for no frames at all.
    """

    def __init__(self, start: float, every: float) -> None:
        self._start = start
        self._every = every
        self._due = 0
        self.moments: list[Moment] = []

    def take(self, piece: Piece, times: npt.NDArray[np.float64]) -> None:
        """Pick from the next piece of a result, with the times of its frames."""
        if not self._every:
            return
        turns = np.maximum.accumulate((times - self._start) // self._every)
        for turn in np.unique(turns[turns >= self._due]):
            row = int(np.argmax(turns == turn))
            self.moments.append(Moment(int(piece.frames["index"][row]), float(times[row])))
            self._due = int(turn) + 1


def jpegs(source: str, moments: list[Moment]) -> Iterator[tuple[Moment, bytes]]:
    """Yield the pictures of a recording.

    Raises ImgstoreError if the recording cannot be read, ResultFileError if it is another one.
    """
    with closing(imgstore.open_source(source)) as frames:
        for moment in moments:
            if moment.index >= len(frames) or abs(frames.times[moment.index] - moment.time) > _SAME_TIME_S:
                raise ResultFileError(f"{source} is not the recording that was tracked")
            image = frames[moment.index].image
            if image.dtype != np.uint8:
                image = to_grey(image, learn_preparation(image[None]).scale)
            _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            yield moment, jpeg.tobytes()
