"""From what was seen in all regions to points: one animal in each, or several."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tracking.animal import Gait, Numbers
from tracking.detect import Blobs, RegionBlobs, join_tables
from tracking.identities import LAG, IdentityLinker, Sighting
from tracking.link import LOST, Choices, PathCosts, PathFinder
from tracking.points import Points, Status, new_points

UNKNOWN_MOST = 50
"""Animals per region that are looked for where their number is unknown."""

_MEASURES = ("x", "y", "length", "width", "angle", "area", "intensity")


class Decided(NamedTuple):
    """Points, and the times of their frames, shape (points,), seconds."""

    points: Points
    times: Numbers


class Linker(Protocol):
    """Takes what was seen frame by frame, and says which animal it is."""

    def append(self, blobs: RegionBlobs, looks: Numbers, time: float) -> Decided:
        """Take the blobs of the next frame; return the points that are now decided.

        Parameters
        ----------
        blobs : of every region.
        looks : how little each blob looks like an animal, negative logarithms, shape (blobs,).
        time : of the frame, seconds.
        """

    def finish(self) -> Decided:
        """Return the points that were not decided yet."""


class _Waiting(NamedTuple):
    """A frame of which nothing is decided: its blobs, their looks, and the first row of each region."""

    table: Blobs
    looks: Numbers
    firsts: npt.NDArray[np.intp]
    time: float


class OneEach:
    """One animal in each region, identity 1: which blob it is says the cheapest path (`PathFinder`).

    Parameters
    ----------
    regions : their numbers.
    candidates : blobs per region at most.
    costs : of steps.
    """

    def __init__(self, regions: Sequence[int], candidates: int, costs: PathCosts) -> None:
        self._regions = np.array(regions)
        self._candidates = candidates
        self._finder = PathFinder(len(regions), candidates, costs)
        self._waiting: deque[_Waiting] = deque()
        self._decided = 0

    def append(self, blobs: RegionBlobs, looks: Numbers, time: float) -> Decided:
        """Take the blobs of the next frame; return the points that are now decided."""
        places = np.zeros((len(blobs), self._candidates, 2))
        costs = np.full(places.shape[:2], np.inf)
        firsts = np.cumsum(blobs.counts) - blobs.counts
        region = blobs.places
        candidate = np.arange(len(region)) - firsts[region]
        places[region, candidate, 0], places[region, candidate, 1] = blobs.table["x"], blobs.table["y"]
        costs[region, candidate] = looks
        self._waiting.append(_Waiting(blobs.table, looks, firsts, time))
        return self._points(self._finder.append(places, costs, time))

    def finish(self) -> Decided:
        """Return the points that were not decided yet."""
        return self._points(self._finder.finish())

    def _points(self, choices: Sequence[Choices]) -> Decided:
        if not choices:
            return Decided(new_points(), np.empty(0))
        picked: list[tuple[Blobs, Numbers]] = []
        regions: list[npt.NDArray[np.intp]] = []
        times: list[float] = []
        for chosen in choices:
            frame = self._waiting.popleft()
            (there,) = np.nonzero(chosen >= 0)
            rows = frame.firsts[there] + chosen[there]
            picked.append((frame.table[rows], frame.looks[rows]))
            regions.append(there)
            times.append(frame.time)
        counts = [len(table) for table, _ in picked]
        points = one_each(
            join_tables([table for table, _ in picked]),
            np.concatenate([looks for _, looks in picked]),
            self._regions[np.concatenate(regions)],
            np.repeat(self._decided + np.arange(len(counts)), counts),
        )
        self._decided += len(counts)
        return Decided(points, np.repeat(np.array(times, np.float64), counts))


class Several:
    """Several animals in each region, told apart by `IdentityLinker`.

    Parameters
    ----------
    regions : their numbers.
    animals : in each; 0 if that is not known.
    gait : how far they get.
    area : of one, pixels.
    lag : frames, after which points are decided; 0 for at once, what turns out later counts from then on.
    """

    def __init__(
        self, regions: Sequence[int], animals: int, gait: Gait, area: float, *, lag: int = LAG
    ) -> None:
        self._regions = regions
        self._linkers = [IdentityLinker(animals, gait, area, lag=lag) for _ in regions]
        self.sightings: list[list[Sighting]] = [[] for _ in regions]
        """Of every region, in the frame that was decided last."""
        self._times: deque[float] = deque()
        self._decided = 0

    def resize(self, region: int, gait: Gait, area: float) -> None:
        """Take another size of the animals of a region, given by its place among the regions."""
        self._linkers[region].resize(gait, area)

    def append(self, blobs: RegionBlobs, looks: Numbers, time: float) -> Decided:
        """Take the blobs of the next frame; return the points that are now decided."""
        self._times.append(time)
        return self._points(
            [
                linker.append(found, costs, time)
                for linker, found, costs in zip(self._linkers, blobs, blobs.split(looks), strict=True)
            ]
        )

    def finish(self) -> Decided:
        """Return the points that were not decided yet."""
        return self._points([linker.finish() for linker in self._linkers])

    def _points(self, decided: list[list[list[Sighting]]]) -> Decided:
        tables: list[tuple[Points, float]] = []
        for of_regions in zip(*decided, strict=True):  # frame by frame: every region is as late as the others
            time, self.sightings = self._times.popleft(), list(of_regions)
            for region, sightings in zip(self._regions, of_regions, strict=True):
                points = _sighted(sightings)
                points["frame"], points["roi"] = self._decided, region
                tables.append((points, time))
            self._decided += 1
        return _decided(tables)


def _decided(tables: list[tuple[Points, float]]) -> Decided:
    """Return tables of points, each of one time, as one."""
    points = np.concatenate([new_points(), *(table for table, _ in tables)])
    times = np.array([time for _, time in tables], np.float64)
    return Decided(points, np.repeat(times, np.array([len(table) for table, _ in tables], np.intp)))


def one_each(blobs: Blobs, costs: Numbers, regions: npt.ArrayLike, frames: npt.ArrayLike) -> Points:
    """Return the points of one animal in each of some regions.

    Parameters
    ----------
    blobs : the animals.
    costs : of their looks; shape (animals,).
    regions : their numbers.
    frames : in which they are; one, or of every animal.
    """
    points = new_points(len(blobs))
    for name in _MEASURES:
        points[name] = blobs[name]
    points["status"] = np.where(blobs["marked"] > 0.5, Status.BY_LOOKS, Status.DETECTED)
    points["frame"], points["roi"], points["identity"] = frames, regions, 1
    points["score"] = 1 / (1 + np.exp(costs - LOST))
    return points


def _sighted(sightings: list[Sighting]) -> Points:
    points = new_points(len(sightings))
    for point, sighting in zip(points, sightings, strict=True):
        if sighting.blob is not None:
            for name in _MEASURES:
                point[name] = sighting.blob[name]
        point["x"], point["y"] = sighting.place
        point["identity"] = sighting.identity
        point["status"] = sighting.status
        point["score"] = sighting.confidence
    return points
