"""How light moves over the frame in the course of a recording, coarsely."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]

_TILE = 4.0  # side of a tile in lengths of an animal, so that its median is of what is behind the animal
_SMALLEST_TILE = 32  # pixels
_STEADY = 5  # samples in a row of which the median counts: who passes by is not the light
_WORTH = 0.06  # share by which light changes somewhere; less is not worth the work


@dataclass(frozen=True, slots=True, eq=False)
class Lighting:
    """Light relative to what it usually is, tile by tile.

    Attributes
    ----------
    times : of the samples, shape (n,), seconds, rising.
    fields : factors, shape (n, rows of tiles, columns of tiles).
    """

    times: npt.NDArray[np.float64]
    fields: npt.NDArray[np.float32]

    def slot(self, time: float) -> int:
        """Return the number of the sample that is nearest in time."""
        place = int(np.searchsorted(self.times, time))
        if place == len(self.times) or (place and time - self.times[place - 1] < self.times[place] - time):
            place -= 1
        return place

    def apply(self, image: Grey, slot: int) -> Grey:
        """Return an image in usual light as it was in that of a sample."""
        return _scaled(image, self.fields[slot])

    def remove(self, image: Grey, slot: int) -> Grey:
        """Return what was taken in the light of a sample as it would be in usual light."""
        return _scaled(image, 1 / self.fields[slot])


def learn_lighting(stack: Grey, times: npt.NDArray[np.float64], length: float) -> Lighting | None:
    """Return how light changes in samples of shape (n, rows, columns); None if it does not, but all at once.

    Parameters
    ----------
    stack : samples of one brightness.
    times : of the samples, shape (n,), seconds.
    length : of an animal, pixels.
    """
    if len(stack) < _STEADY or not (np.diff(times) > 0).all():
        return None
    tiles = _tile_medians(stack, max(_SMALLEST_TILE, round(_TILE * length)))
    fields = tiles / np.median(tiles, axis=0)
    padded = np.pad(fields, ((_STEADY // 2, _STEADY // 2), (0, 0), (0, 0)), mode="edge")
    fields = np.median([padded[k : k + len(fields)] for k in range(_STEADY)], axis=0)
    if np.abs(fields - 1).max() < _WORTH:
        return None
    return Lighting(times, fields.astype(np.float32))


def _tile_medians(stack: Grey, side: int) -> npt.NDArray[np.float64]:
    """Return the median of every tile of every sample, at least 1, of shape (n, rows, columns) of tiles."""
    ends = [np.linspace(0, size, max(1, round(size / side)) + 1).astype(int) for size in stack.shape[1:]]
    step = max(1, side // 16)
    medians = [
        [
            np.median(stack[:, top:bottom:step, left:right:step], axis=(1, 2))
            for left, right in zip(ends[1][:-1], ends[1][1:], strict=True)
        ]
        for top, bottom in zip(ends[0][:-1], ends[0][1:], strict=True)
    ]
    return np.maximum(np.moveaxis(np.array(medians), -1, 0), 1.0)


def _scaled(image: Grey, field: npt.NDArray[np.float32]) -> Grey:
    rows, columns = image.shape
    smooth = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.convertScaleAbs(cv2.multiply(image, smooth, dtype=cv2.CV_32F)), np.uint8)
