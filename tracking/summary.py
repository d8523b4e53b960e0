"""What each animal of a result did, in a line."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from tracking.motion import MotionSettings
from tracking.results import Results
from tracking.windows import ASLEEP, IMMOBILE, MOVING, UNSEEN, Animal, Motion, measure

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class AnimalSummary:
    """What one animal did.

    Attributes
    ----------
    roi, identity : which animal; identity 0 for a region in which none was ever found.
    region : what people call the region.
    frames : that were looked at.
    found : share of them in which it was found.
    score : mean of the scores of the points that were found; NaN if there are none.
    distance_px, distance_mm : that it went while it moved; millimetres are NaN where the scale is not known.
    moving_s, immobile_s, unseen_s : seconds; immobile includes asleep.
    asleep_s : seconds of sleep.
    sleep_bouts : how many times it slept.
    longest_sleep_s : the longest of them, seconds.
    speed_px_s, speed_mm_s : mean while it moved.
    noise_px : standard deviation of steps along x and y while it rests: what of the motion is not real;
        NaN if it never rests.
    """

    roi: int
    identity: int
    region: str
    frames: int
    found: float
    score: float
    distance_px: float
    distance_mm: float
    moving_s: float
    immobile_s: float
    unseen_s: float
    asleep_s: float
    sleep_bouts: int
    longest_sleep_s: float
    speed_px_s: float
    speed_mm_s: float
    noise_px: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What all animals did, and what moving was taken to be.

    Attributes
    ----------
    animals : in the order of regions and identities; regions without any have one of identity 0.
    window_s : over which positions were averaged.
    noise_px : of the steps of the usual animal that rests; see `AnimalSummary`. NaN if none does.
    moving_above_px_s : speed above which an animal moves.
    sleep_after_s : how long an animal is immobile to be asleep.
    shaken_s : seconds in which the camera moved; that was taken from all steps.
    mm_per_pixel : NaN if it is not known.
    """

    animals: tuple[AnimalSummary, ...]
    window_s: float
    noise_px: float
    moving_above_px_s: float
    sleep_after_s: float
    shaken_s: float
    mm_per_pixel: float

    def table(self) -> "pd.DataFrame":
        """Return a row per animal; the columns are the fields of `AnimalSummary`."""
        import pandas as pd

        names = [field.name for field in fields(AnimalSummary)]
        return pd.DataFrame(
            [[getattr(animal, name) for name in names] for animal in self.animals], columns=names
        )


def summarize(
    results: Results, settings: MotionSettings | None = None, *, mm_per_pixel: float | None = None
) -> Summary:
    """Return what every animal of a result did; for the arguments and errors see `measure`."""
    motion = measure(results, settings, mm_per_pixel=mm_per_pixel)
    lines = []
    for roi in results.rois:
        mine = [animal for animal in motion.animals if animal.roi == roi.number]
        lines += [_line(motion, animal, roi.name) for animal in mine or [Animal(roi.number, 0)]]
    return Summary(
        animals=tuple(lines),
        window_s=motion.window,
        noise_px=motion.noise,
        moving_above_px_s=motion.moving_above,
        sleep_after_s=motion.settings.sleep_after,
        shaken_s=motion.shaken * motion.window,
        mm_per_pixel=motion.mm_per_pixel,
    )


def _line(motion: Motion, animal: Animal, region: str) -> AnimalSummary:
    trace = motion.traces.get(animal)
    filmed = motion.clock.frames > 0
    if trace is None:
        nothing = (0.0, np.nan, 0.0, 0.0 * motion.mm_per_pixel, 0.0, 0.0, float(motion.lengths[filmed].sum()))
        return AnimalSummary(
            *animal, region, motion.total_frames, *nothing, 0.0, 0, 0.0, np.nan, np.nan, np.nan
        )
    spent = {
        state: float(motion.lengths[trace.states == state].sum()) for state in (IMMOBILE, MOVING, ASLEEP)
    }
    unseen = float(motion.lengths[(trace.states == UNSEEN) & filmed].sum())
    distance = float(trace.ways.sum())
    pace = distance / spent[MOVING] if spent[MOVING] else np.nan
    found = int(trace.found.sum(dtype=np.int64))
    bouts = [bout.duration for bout in motion.sleep(animal)]
    return AnimalSummary(
        *animal,
        region,
        frames=motion.total_frames,
        found=found / max(1, motion.total_frames),
        score=trace.score,
        distance_px=distance,
        distance_mm=distance * motion.mm_per_pixel,
        moving_s=spent[MOVING],
        immobile_s=spent[IMMOBILE] + spent[ASLEEP],
        unseen_s=unseen,
        asleep_s=spent[ASLEEP],
        sleep_bouts=len(bouts),
        longest_sleep_s=max(bouts, default=0.0),
        speed_px_s=pace,
        speed_mm_s=pace * motion.mm_per_pixel,
        noise_px=motion.noise_of(animal),
    )
