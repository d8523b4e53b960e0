"""One animal per region, chosen in each frame from what is known until then."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracking.clock import SteadyClock
from tracking.detect import BLOB, Blobs
from tracking.link import Choices, PathCosts, PathFinder
from tracking.linkers import one_each
from tracking.points import Points

Costs = npt.NDArray[np.float64]


def stack_blobs(blobs: Sequence[Blobs], most: int) -> Blobs:
    """Return the blobs of all regions as one table of shape (regions, most); where none is, `area` is 0."""
    table = np.zeros((len(blobs), most), BLOB)
    for row, found in zip(table, blobs, strict=True):
        row[: len(found)] = found
    return table


class OnePerRegion:
    """Chooses which candidate is the animal of each region, and makes points of the chosen ones.

    Parameters
    ----------
    regions : their numbers.
    most : candidates per region.
    costs : of steps and gaps.
    """

    def __init__(self, regions: Sequence[int], most: int, costs: PathCosts) -> None:
        self._regions = np.array(regions)
        self._finder = PathFinder(len(regions), most, costs, lag=0)
        self._clock = SteadyClock()
        self._frame = 0

    def choose(self, table: Blobs, costs: Costs, time: float) -> tuple[Choices, Points]:
        """Return the number of the chosen candidate of every region, or -1, and the points.

        Parameters
        ----------
        table : what `stack_blobs` returns, x and y in pixels of the frame.
        costs : of the candidates' looks, shape (regions, most); infinite where there is none.
        time : of the frame, seconds.
        """
        self._clock.advance(time)
        (choices,) = self._finder.append(np.stack([table["x"], table["y"]], axis=-1), costs, self._clock.now)
        rows = np.flatnonzero(choices >= 0)
        picked = (rows, choices[rows])
        points = one_each(table[picked], costs[picked], self._regions[rows], self._frame)
        self._frame += 1
        return choices, points
