"""From candidates to paths: which blob of every frame is the animal, the whole path considered."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LOST = 8.0
"""What a frame without the animal costs: a candidate that looks worse than this is none."""

_TOGETHER = 32  # frames that are decided at a time: few wait, and it costs little

Costs = npt.NDArray[np.float64]
Choices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PathCosts:
    """What a path pays; costs are negative logarithms of probabilities, up to a constant.

    Attributes
    ----------
    reach : how far an animal gets between frames without paying much, pixels.
    speed : what that grows by with time, pixels per second.
    jump : most that a step costs, however far.
    lost : of a frame without the animal.
    border : of going from seen to lost, or back.
    """

    reach: float
    speed: float
    jump: float = 30.0
    lost: float = LOST
    border: float = 2.0


class PathFinder:
    """Chooses one candidate or none per frame and region so that the whole path costs least.

    This is the Viterbi algorithm (Forney, Proc. IEEE 61, 1973): a choice is made when all paths that may
    still turn out to be the best go through it, in all regions, or `lag` later frames are known, so memory is
    bounded and the result does not depend on how frames are handed over. Regions are independent of each
    other, and computed together.

    Parameters
    ----------
    regions, candidates : how many regions, and how many candidates at most in each.
    costs : of steps and gaps.
    lag : frames; 0 to choose in each frame at once, from what is known until then.
    """

    def __init__(self, regions: int, candidates: int, costs: PathCosts, *, lag: int = 300) -> None:
        self._costs = costs
        self._lag = lag
        self._lost = candidates  # the last state of each region is "not seen"
        self._total: Costs = np.zeros((regions, candidates + 1))
        self._place: Costs = np.zeros((regions, candidates + 1, 2))  # of the path's last sighting
        self._seen: Costs = np.full((regions, candidates + 1), -np.inf)  # its time
        self._back: deque[Choices] = deque()
        self._since = 0  # frames since the last look for choices
        self._time = 0.0

    def append(self, places: Costs, costs: Costs, time: float) -> list[Choices]:
        """Take the candidates of the next frame, and return choices for the oldest, if any are due.

        Parameters
        ----------
        places : of the candidates, shape (regions, candidates, 2), pixels.
        costs : of their looks, shape (regions, candidates); infinite where there is none.
        time : of the frame, seconds.

        Returns
        -------
        For each frame decided, in order: the number of the chosen candidate of every region, or -1,
        shape (regions,).
        """
        time = self._time = time if np.isfinite(time) else self._time  # an unknown time is the last one
        arrive = self._total[:, :, None] + self._steps(places, time)
        back = np.argmin(arrive, axis=1)
        total = np.take_along_axis(arrive, back[:, None, :], axis=1)[:, 0]
        total[:, : self._lost] += costs
        total[:, self._lost] += self._costs.lost
        came_from = back[:, self._lost]
        every = np.arange(len(total))
        self._place = np.concatenate([places, self._place[every, came_from][:, None]], axis=1)
        seen = np.full(total.shape, time)
        seen[:, self._lost] = self._seen[every, came_from]
        self._seen = seen
        self._total = total - total.min(axis=1, keepdims=True)
        self._back.append(back)
        waiting, self._since = len(self._back), self._since + 1
        if self._lag and self._since < _TOGETHER:
            return []
        self._since = 0
        return self._decide(max(self._settled(), waiting - self._lag) if self._lag else waiting)

    def finish(self) -> list[Choices]:
        """Return choices for all frames that are still undecided."""
        return self._decide(len(self._back))

    def _steps(self, places: Costs, time: float) -> Costs:
        """Return what every step costs, shape (regions, from, to)."""
        costs = self._costs
        elapsed = np.maximum(time - self._seen, 0.0)
        known = np.isfinite(self._seen)
        reach = costs.reach + costs.speed * np.where(known, elapsed, 0.0)
        apart = np.hypot(*np.moveaxis(places[:, None] - self._place[:, :, None], -1, 0))
        moves = np.minimum(0.5 * (apart / reach[:, :, None]) ** 2, costs.jump)
        steps = np.zeros((*self._total.shape, self._lost + 1))
        steps[:, :, : self._lost] = np.where(known[:, :, None], moves, 0.0)
        steps[:, self._lost, : self._lost] += costs.border
        steps[:, : self._lost, self._lost] += costs.border
        return steps

    def _settled(self) -> int:
        """Return in how many of the oldest frames all paths are one."""
        best = np.argmin(self._total, axis=1)[:, None]
        states = np.where(np.isfinite(self._total), np.arange(self._lost + 1), best)
        for later, back in enumerate(reversed(self._back)):
            if (states == states[:, :1]).all():
                return len(self._back) - later
            states = np.take_along_axis(back, states, axis=1)
        return 0

    def _decide(self, count: int) -> list[Choices]:
        state = np.argmin(self._total, axis=1)
        every = np.arange(len(state))
        states = []
        for back in reversed(self._back):
            states.append(state)
            state = back[every, state]
        decided = states[::-1][:count]
        for _ in decided:
            self._back.popleft()
        return [np.where(state == self._lost, -1, state) for state in decided]
