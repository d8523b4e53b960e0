"""Whether there are more animals than somebody said."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracking.detect import Blobs

_ALIKE = 2.0  # a blob that costs less looks like an animal, and not like a part of the background
_OFTEN = 0.25  # of the frames


class Surplus:
    """Counts the frames in which regions hold more blobs that look like one animal each than were said.

    Parameters
    ----------
    regions : their numbers.
    animals : in each, as was said; 0 if that is not known, and nothing is too many.
    """

    def __init__(self, regions: Sequence[int], animals: int) -> None:
        self._regions = np.array(regions)
        self._animals = animals
        self._crowded = np.zeros(len(regions), np.int64)
        self._frames = 0

    def take(self, blobs: Blobs, costs: npt.NDArray[np.float64], place: npt.NDArray[np.intp]) -> None:
        """Take what was seen in a frame.

        Parameters
        ----------
        blobs : of all regions.
        costs : how little each looks like an animal.
        place : of the region of each, from 0.
        """
        alike = (costs < _ALIKE) & (blobs["parts"] == 1)
        self._frames += 1
        if self._animals:
            self._crowded += np.bincount(place[alike], minlength=len(self._regions)) > self._animals

    def regions(self) -> list[int]:
        """Return the numbers of the regions in which there were often more."""
        often = self._crowded > _OFTEN * self._frames
        return [int(number) for number in self._regions[often]]
