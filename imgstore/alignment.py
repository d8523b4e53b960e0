"""How open stores lie against each other: whose frames belong together, offset, drift, what is missing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from imgstore.errors import AlignmentError, UnknownNameError
from imgstore.frame import FrameSequence
from imgstore.index import Numbers, Times
from imgstore.matching import (
    NONE,
    TOLERANCE_INTERVALS,
    ClockFit,
    Indices,
    are_alike,
    count_repeats,
    fit_clock,
    match_numbers,
    match_times,
    median_interval,
    unwrap,
)
from imgstore.reader import StoreReader

_AGREED = 0.5  # of the pairs, for a difference of numbers that was found to be believed


@dataclass(frozen=True, slots=True)
class AlignmentSettings:
    """How stores are aligned; checked when it is made. The parameters are those of `open_many`."""

    by: str
    tolerance: float | None
    missing: str
    master: str
    offsets: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.by not in ("time", "number"):
            raise UnknownNameError("way to align", self.by, ["time", "number"])
        if self.missing not in ("drop", "hold", "black"):
            raise UnknownNameError("policy for what is missing", self.missing, ["drop", "hold", "black"])
        if self.tolerance is not None and not 0 <= self.tolerance < np.inf:
            raise AlignmentError(f"tolerance is a number of seconds, from 0, not {self.tolerance}")
        for name, offset in self.offsets.items():
            if not np.isfinite(offset) or (self.by == "number" and int(offset) != offset):
                kind = "whole number" if self.by == "number" else "number of seconds"
                raise AlignmentError(f"the offset of {name!r} is a {kind}, not {offset}")
        if self.offsets.get(self.master):
            raise AlignmentError(
                f"{self.master!r} is the master, from which offsets count; give those of others"
            )

    def tolerance_of(self, master: Times, times: Times) -> float:
        """Return how far apart frames of two stores may be; 0 if neither has an interval."""
        if self.tolerance is not None:
            return self.tolerance
        slower = np.fmax(median_interval(master), median_interval(times))
        return 0.0 if np.isnan(slower) else TOLERANCE_INTERVALS * float(slower)


@dataclass(frozen=True, slots=True)
class StoreAlignment:
    """How the frames of a store lie against those of the master.

    Attributes
    ----------
    name : of the store.
    by : how frames were paired, "number" or "time".
    matched : frames of the master that have one of the store.
    unmatched : frames of the store that have none of the master.
    unmatched_master : frames of the master that have none of the store.
    repeated : of the matched, those whose frame of the store another one has as well.
    clock : what the store's clock says more than the master's, by these pairs. By time, the drift is how the
        frames slide against each other, which is that of the clocks if one trigger drives both cameras.
    number_offset : by which the store's numbers were taken to be ahead.
    warnings : what is wrong, a line each.
    """

    name: str
    by: str
    matched: int
    unmatched: int
    unmatched_master: int
    repeated: int
    clock: ClockFit
    number_offset: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Which frames belong together, whatever the policy for what is missing.

    Attributes
    ----------
    numbers, times : of every row, shape (rows,); a time is NaN where the master has no frame.
    frames : index of the frame of each store in every row, by name; NONE where it has none.
    """

    numbers: Numbers
    times: Times
    frames: Mapping[str, Indices]


def align(stores: Mapping[str, FrameSequence], settings: AlignmentSettings) -> FrameTable:
    """Return which frames of `stores` belong together."""
    master = stores[settings.master]
    if settings.by == "number":
        shifted = [store.numbers - int(settings.offsets.get(name, 0)) for name, store in stores.items()]
        every, columns = match_numbers(shifted)
        frames = dict(zip(stores, columns, strict=True))
        return FrameTable(every, _times_at(master.times, frames[settings.master]), frames)
    frames = {}
    for name, store in stores.items():
        if name == settings.master:
            frames[name] = np.arange(len(master))
        else:
            times = store.times - settings.offsets.get(name, 0)
            frames[name] = match_times(master.times, times, settings.tolerance_of(master.times, times))
    return FrameTable(master.numbers, master.times, frames)


def find_offsets(stores: Mapping[str, FrameSequence], settings: AlignmentSettings) -> dict[str, float]:
    """Return how far each store is ahead of the master: numbers by time, times by number.

    Raises AlignmentError if that cannot be told.
    """
    master = stores[settings.master]
    others = {name: store for name, store in stores.items() if name != settings.master}
    if settings.by == "number":
        return {name: _number_offset(name, store, master, settings) for name, store in others.items()}
    return {name: _time_offset(name, store, master) for name, store in others.items()}


def _number_offset(
    name: str, store: FrameSequence, master: FrameSequence, settings: AlignmentSettings
) -> int:
    tolerance = settings.tolerance_of(master.times, store.times)
    frames = match_times(master.times, store.times, tolerance)
    both = np.flatnonzero(frames != NONE)
    if not len(both):
        raise AlignmentError(
            f"no frame of {name!r} lies within {tolerance:.3g} s of one of the master, so that its numbers "
            f"cannot be compared; give offsets={{{name!r}: difference of the numbers}}"
        )
    ahead, counts = np.unique(store.numbers[frames[both]] - master.numbers[both], return_counts=True)
    best = int(counts.argmax())
    if counts[best] < _AGREED * len(both):
        raise AlignmentError(
            f"the numbers of {name!r} are not ahead of the master's by one difference: {ahead[best]} is the "
            f"most common, in {counts[best]} of {len(both)} pairs; these cameras do not share a trigger, "
            f"or give offsets={{{name!r}: difference of the numbers}}"
        )
    return int(ahead[best])


def _time_offset(name: str, store: FrameSequence, master: FrameSequence) -> float:
    _, (ours, theirs) = match_numbers([master.numbers, store.numbers])
    both = (ours != NONE) & (theirs != NONE)
    differences = store.times[theirs[both]] - master.times[ours[both]]
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        raise AlignmentError(
            f"{name!r} has no frame with a number of the master's, so that their times cannot be compared; "
            f"give offsets={{{name!r}: seconds}}"
        )
    return float(np.median(differences))


def compare(
    stores: Mapping[str, FrameSequence], table: FrameTable, settings: AlignmentSettings
) -> dict[str, StoreAlignment]:
    """Say how each of the other stores lies against the master."""
    return {name: _compare(name, stores, table, settings) for name in stores if name != settings.master}


def _compare(
    name: str, stores: Mapping[str, FrameSequence], table: FrameTable, settings: AlignmentSettings
) -> StoreAlignment:
    store, master = stores[name], stores[settings.master]
    frames, leading = table.frames[name], table.frames[settings.master]
    both = (frames != NONE) & (leading != NONE)
    ours, theirs = leading[both], frames[both]
    used = np.zeros(len(store), bool)
    used[theirs] = True
    return StoreAlignment(
        name,
        settings.by,
        matched=len(ours),
        unmatched=len(store) - int(used.sum()),
        unmatched_master=len(master) - len(ours),
        repeated=len(ours) - int(used.sum()),
        clock=_fit(store, theirs, master, ours, settings.by),
        number_offset=int(settings.offsets.get(name, 0)) if settings.by == "number" else 0,
        warnings=tuple(_warnings(name, stores, len(ours), settings)),
    )


def _fit(store: FrameSequence, theirs: Indices, master: FrameSequence, ours: Indices, by: str) -> ClockFit:
    """Fit the clocks of two stores by the frames that belong together."""
    times = master.times[ours]
    ahead = store.times[theirs] - times
    known = np.isfinite(ahead)
    times, ahead = times[known], ahead[known]
    if by == "number" or not len(times):
        return fit_clock(times, ahead)
    interval = median_interval(store.times)
    if are_alike(interval, median_interval(master.times)):
        return fit_clock(times, unwrap(ahead, interval))
    return fit_clock(times, ahead)._replace(drift_ppm=np.nan)  # the nearest frame says nothing of it


def _warnings(
    name: str, stores: Mapping[str, FrameSequence], matched: int, settings: AlignmentSettings
) -> Iterator[str]:
    store, master = stores[name], stores[settings.master]
    empty = [label for label in (name, settings.master) if not len(stores[label])]
    if empty:
        yield f"{' and '.join(empty)} holds no frames"
        return
    ahead = settings.offsets.get(name, 0) if settings.by == "time" else 0
    apart = _seconds_apart(store.times - ahead, master.times)
    if apart > 0:
        yield f"{name} and {settings.master} do not overlap in time: they are {apart:.6g} s apart"
    fewer = min(len(store), len(master))
    if matched < _AGREED * fewer:
        causes = (
            "their numbers may not have been reset together"
            if settings.by == "number"
            else "their clocks may differ, or the tolerance is too small"
        )
        yield f"only {matched} frames match, of {fewer} that could: {causes}; offsets='auto' looks for it"
    if settings.by == "number":
        for label in (name, settings.master):
            if again := count_repeats(stores[label].numbers):
                yield f"{label} has {again} frames whose number came before; they are in no set"
    runs = {_run_of(store), _run_of(master)} - {None}
    if len(runs) > 1:
        yield f"{name} and {settings.master} say that they were synchronised in different runs"


def _times_at(times: Times, indices: Indices) -> Times:
    """Return the times of frames, NaN for NONE."""
    return np.append(times, np.nan)[indices]


def _seconds_apart(times: Times, others: Times) -> float:
    """Return the pause between two stores, negative where they overlap; NaN if one has no times."""
    known = [axis[np.isfinite(axis)] for axis in (times, others)]
    if not all(map(len, known)):
        return np.nan
    return float(max(axis.min() for axis in known) - min(axis.max() for axis in known))


def _run_of(store: FrameSequence) -> str | None:
    """Return what Motif says of the run in which cameras were synchronised, None if it says nothing."""
    run = store.user_metadata.get("synchronizationuuid") if isinstance(store, StoreReader) else None
    return run if isinstance(run, str) else None
