"""Several animals in each region, told apart at once: what turns out later counts from then on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracking.animal import Gait
from tracking.background import Look
from tracking.detect import RegionBlobs
from tracking.linkers import Several
from tracking.points import Points, Status


class Recalled(NamedTuple):
    """What is known of the animals of a region.

    Attributes
    ----------
    last : what each was when it was seen last.
    alike : those of them that are seen now, alone, and look like an animal beyond doubt.
    sure : whether that is all of them.
    moved : those that have gone further than they are long since they were seen first.
    """

    last: list[np.void]
    alike: list[np.void]
    sure: bool
    moved: list[np.void]


class Herds:
    """Follows several animals in each region, for a tracker that learns from where they are.

    Parameters
    ----------
    regions : their numbers.
    animals : in each; 0 if that is not known.
    look : of one, at the start.
    """

    def __init__(self, regions: Sequence[int], animals: int, look: Look) -> None:
        self._animals = animals
        self._linker = Several(regions, animals, Gait.of(look.length), look.area, lag=0)
        self._seen: list[dict[int, tuple[np.void, float]]] = [{} for _ in regions]  # blob, and when
        self._first: list[dict[int, npt.NDArray[np.float64]]] = [{} for _ in regions]  # places
        self._now = 0.0

    def choose(self, found: RegionBlobs, looks: npt.NDArray[np.float64], now: float) -> Points:
        """Take the blobs of a frame and how little each looks like an animal; return its points."""
        self._now = now
        points = self._linker.append(found, looks, now).points
        for seen, sightings in zip(self._seen, self._linker.sightings, strict=True):
            for sighting in sightings:
                if sighting.blob is not None:
                    seen[sighting.identity] = (sighting.blob, now)
        return points

    def recall(self, place: int, seconds: float, alike: float) -> Recalled:
        """Return what is known of the animals of a region, by its place among the regions.

        Parameters
        ----------
        place : of the region.
        seconds : after which those that are not seen are forgotten.
        alike : score above which one looks like an animal beyond doubt.
        """
        seen = self._seen[place]
        for identity in [one for one, (_, at) in seen.items() if self._now - at > seconds]:
            del seen[identity]
            self._first[place].pop(identity, None)
        here = self._linker.sightings[place]
        alone = [one for one in here if one.blob is not None and one.status == Status.DETECTED]
        known = [one.blob for one in alone if one.blob is not None and one.score > alike]
        moved = []
        for one in alone:
            first = self._first[place].setdefault(one.identity, one.place)
            if one.blob is not None and np.hypot(*(one.place - first)) > one.blob["length"]:
                moved.append(one.blob)
        sure = len(here) >= max(self._animals, len(seen), 1) and len(known) == len(alone)
        return Recalled([blob for blob, _ in seen.values()], known, sure, moved)

    def resize(self, place: int, look: Look) -> None:
        """Take what the animals of a region look like by now."""
        self._linker.resize(place, Gait.of(look.length), look.area)
