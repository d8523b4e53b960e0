"""Whether two results call the same animals the same."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

_KEPT = 100


@dataclass(frozen=True, slots=True, order=True)
class IdentitySwitch:
    """Where one of two sides goes over to another animal.

    Attributes
    ----------
    index : of the first frame in which it is so.
    roi : number of the region.
    identity : what the second side calls the animal.
    before, after : what the first side called it, and calls it from then on.
    """

    index: int
    roi: int
    identity: int
    before: int
    after: int


class IdentityTally:
    """Which identities of two sides are paired in each region, how often, and where that changes."""

    def __init__(self) -> None:
        self._pairs: dict[int, Counter[tuple[int, int]]] = {}
        self._counts: Counter[int] = Counter()
        self._last: dict[tuple[int, int], int] = {}
        self._first: list[IdentitySwitch] = []

    def add(self, index: Indices, roi: Indices, a: Indices, b: Indices) -> None:
        """Take pairs of identities, arrays of shape (n,), of frames that come after those before.

        Where an identity is 0, it is not known.
        """
        known = np.flatnonzero((a > 0) & (b > 0))
        rows = known[np.lexsort([index[known], b[known], roi[known]])]
        every = np.stack([roi[rows], b[rows], a[rows], index[rows]], axis=1)
        starts = np.flatnonzero((np.diff(every[:, :2], axis=0, prepend=-1) != 0).any(axis=1))
        for part in np.split(every, starts[1:]) if len(every) else ():
            self._follow(int(part[0, 0]), int(part[0, 1]), part[:, 2], part[:, 3])

    def share(self, rois: Collection[int]) -> float:
        """Return which share of the pairs fits if each identity stands for one of the other side.

        It is NaN if there is one animal only in each of these regions.
        """
        counts = [self._fitting(self._pairs[roi]) for roi in rois if roi in self._pairs]
        fitting, total = np.sum([pair for pair in counts if pair is not None] or [(0, 0)], axis=0)
        return float(fitting / total) if total else np.nan

    def count(self, rois: Collection[int]) -> int:
        """Return how often identities change in these regions."""
        return sum(self._counts[roi] for roi in rois)

    def first(self) -> tuple[IdentitySwitch, ...]:
        """Return the first changes."""
        return tuple(self._first)

    @staticmethod
    def _fitting(pairs: Mapping[tuple[int, int], int]) -> tuple[int, int] | None:
        """Return how many pairs of a region fit, and how many there are; None if there is one animal."""
        from scipy.optimize import linear_sum_assignment  # takes a while to import
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        (ours, a), (theirs, b) = (
            np.unique([pair[side] for pair in pairs], return_inverse=True) for side in (0, 1)
        )
        if len(ours) == len(theirs) == 1:
            return None
        counts = np.array(list(pairs.values()))
        size = len(ours) + len(theirs)
        _, labels = connected_components(
            coo_array((counts, (a, len(ours) + b)), (size, size)), directed=False
        )
        fitting = 0
        for part in np.split(np.argsort(labels[a], kind="stable"), np.cumsum(np.bincount(labels[a]))[:-1]):
            rows, columns = (np.unique(side[part], return_inverse=True)[1] for side in (a, b))
            table = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
            table[rows, columns] = counts[part]
            fitting += int(table[linear_sum_assignment(table, maximize=True)].sum())
        return fitting, int(counts.sum())

    def _follow(self, roi: int, identity: int, others: Indices, index: Indices) -> None:
        pairs = self._pairs.setdefault(roi, Counter())
        for other, count in zip(
            *(found.tolist() for found in np.unique(others, return_counts=True)), strict=True
        ):
            pairs[other, identity] += count
        before = np.concatenate([[self._last.get((roi, identity), others[0])], others[:-1]])
        self._last[roi, identity] = int(others[-1])
        rows = np.flatnonzero(others != before)
        self._counts[roi] += len(rows)
        found = [
            IdentitySwitch(int(index[row]), roi, identity, int(before[row]), int(others[row]))
            for row in rows[:_KEPT]
        ]
        self._first = sorted([*self._first, *found])[:_KEPT]
