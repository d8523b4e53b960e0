"""How to track, and what is looked at before it begins."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from imgstore import FrameSequence
from tracking.background import Progress, median_image
from tracking.knocks import KnockWatch, find_knocks, no_knocks, settle_knocks
from tracking.layouts import Regions, open_layout
from tracking.layouts.finding import find_regions
from tracking.results import open_results
from tracking.steadying import Guide, SteadyFrames
from tracking.trackers import TRACKERS, Tracker

StageProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is (0: nobody knows)."""

More: TypeAlias = Literal["none", "appended", "live"]


def stage_of(progress: StageProgress | None, stage: str) -> Progress | None:
    """Return what tells the progress of one stage."""
    if progress is None:
        return None
    return lambda done, total: progress(stage, done, total)


@dataclass(frozen=True, slots=True, eq=False)
class TrackPlan:
    """How to track.

    Attributes
    ----------
    layout : name of a layout, or a layout file.
    tracker : name of a tracker.
    settings : of the tracker, by name; text will do.
    regions : taken as they are, instead of what the layout finds.
    picture : in which `regions` lay, grey, (rows, columns); None if there is none.
    realign : whether to look for knocks of the camera, after which the regions lie elsewhere; they are then
        moved to where they belong. The regions are those of the beginning.
    """

    layout: str = "whole-frame"
    tracker: str = "archive"
    settings: Mapping[str, object] = field(default_factory=dict)
    regions: Regions | None = None
    picture: npt.NDArray[np.uint8] | None = None
    realign: bool = False

    def find_regions(self, frames: FrameSequence, picture: Path) -> Regions:
        """Return the regions of a recording; see the function `find_regions`."""
        if self.regions is None:
            return find_regions(open_layout(self.layout), median_image(frames), picture)
        for roi in self.regions.rois:
            roi.window(frames.spec.shape)
        return self.regions

    def check(self) -> Tracker:
        """Return the tracker. Raises UnknownNameError, SettingsError, LayoutError."""
        if self.regions is None:
            open_layout(self.layout)
        return TRACKERS.get(self.tracker)(self.settings)


def plan_like(result: str | os.PathLike[str]) -> TrackPlan:
    """Return how a result was made: its layout, regions, tracker and settings. Raises ResultFileError."""
    with open_results(result) as results:
        said = results.attributes
        scale = said["mm_per_pixel"]
        regions = Regions(results.rois, results.targets, None if np.isnan(scale) else scale)
        return TrackPlan(
            layout=said["layout"],
            tracker=said["tracker"],
            settings=said["given"],
            regions=regions,
            picture=results.background,
            realign=said["realign"],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What is known before tracking begins.

    Attributes
    ----------
    regions : as they lie at the start.
    background : that the tracker compares frames with.
    guide : knows, or finds out, where the picture lies; None if it is taken to stay.
    """

    regions: Regions
    background: npt.NDArray[np.uint8]
    guide: Guide | None = None


def prepare(
    plan: TrackPlan,
    tracker: Tracker,
    learnt: FrameSequence,
    picture: Path,
    *,
    more: More = "none",
    progress: StageProgress | None = None,
) -> Prepared:
    """Find the regions, and let the tracker look at a recording.

    Parameters
    ----------
    plan : how to track.
    tracker : of the plan.
    learnt : the recording, or as much as there is of it.
    picture : see the function `find_regions`.
    more : what will come after that: nothing, what is "appended" to the recording, or more frames that are
        filmed "live".
    progress : see `StageProgress`.
    """
    looking = stage_of(progress, "looking")
    if not plan.realign:
        regions = plan.find_regions(learnt, picture)
        return Prepared(regions, tracker.prepare(learnt, regions.rois, looking))
    # What is live is a second or two by now, and to look through it takes time in which more comes.
    found = no_knocks(learnt) if more == "live" else find_knocks(learnt, stage_of(progress, "aligning"))
    regions = plan.find_regions(SteadyFrames(learnt, found), picture)
    moves = settle_knocks(regions, learnt, found)
    steady = SteadyFrames(learnt, moves)
    background = tracker.prepare(steady, regions.rois, looking)
    guide = moves if more == "none" else KnockWatch(regions, steady, moves)
    return Prepared(regions, background, guide)
