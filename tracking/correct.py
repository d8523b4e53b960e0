"""Correct identities in a result file afterwards: exchange two, make two one, make one two."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from imgstore import check_dated
from tracking.errors import CorrectionError
from tracking.points import Points
from tracking.result_tables import Event, event_rows
from tracking.results import Results, open_results

_BLOCK = 500_000  # rows held in memory

FrameRange = tuple[int, int]
"""First row of /frames, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What was changed, or would be.

    Attributes
    ----------
    path : of the result.
    kind : of the event that tells of it.
    roi : number of the region.
    frames : rows of /frames in which identities changed, first and last; (0, -1) if in none.
    rows : of /points whose identity changed.
    identities : old number to new number.
    written : False if it was a dry run.
    """

    path: Path
    kind: str
    roi: int
    frames: tuple[int, int]
    rows: int
    identities: Mapping[int, int]
    written: bool


def swap_identities(
    path: str | os.PathLike[str],
    first: int,
    second: int,
    *,
    roi: int,
    frames: FrameRange | None = None,
    dry_run: bool = False,
) -> Correction:
    """Exchange two identities of a region in some frames; None: in all.

    Raises CorrectionError if one of them is in none of these frames, or the file is not finished;
    ResultFileError if it is no result.
    """
    if first == second:
        raise CorrectionError(f"two different identities can be exchanged, got {first} twice")
    numbers = {first: second, second: first}
    return _correct(Path(path), "identities-swapped", roi, frames, lambda _: numbers, dry_run=dry_run)


def join_identities(
    path: str | os.PathLike[str], kept: int, other: int, *, roi: int, dry_run: bool = False
) -> Correction:
    """Give all points of `other` the identity `kept`.

    Raises CorrectionError if both are in one frame, or one in none; as `swap_identities` otherwise.
    """
    if kept == other:
        raise CorrectionError(f"two different identities can be joined, got {kept} twice")

    def numbers(results: Results) -> Mapping[int, int]:
        mine = _frames_of(results, roi, kept)
        both = np.intersect1d(mine, _frames_of(results, roi, other))
        if len(both):
            raise CorrectionError(
                f"identities {kept} and {other} of region {roi} are both seen in {len(both)} frames, first "
                f"at index {int(results.frames['index'][both[0]])}; swap or split them before they are joined"
            )
        if not len(mine):
            raise CorrectionError(_missing(results, roi, kept))
        return {other: kept}

    return _correct(Path(path), "identities-joined", roi, None, numbers, dry_run=dry_run)


def split_identity(
    path: str | os.PathLike[str], identity: int, *, roi: int, frames: FrameRange, dry_run: bool = False
) -> Correction:
    """Give an identity a new number, the next that is free, in some frames.

    Raises as `swap_identities` does.
    """

    def numbers(results: Results) -> Mapping[int, int]:
        used = [int(mine["identity"].max()) for mine in _blocks(results, roi) if len(mine)]
        return {identity: max(used, default=0) + 1}

    return _correct(Path(path), "identity-split", roi, frames, numbers, dry_run=dry_run)


def _correct(
    path: Path,
    kind: str,
    roi: int,
    frames: FrameRange | None,
    choose: Callable[[Results], Mapping[int, int]],
    *,
    dry_run: bool,
) -> Correction:
    with open_results(path) as results:
        _check(results, roi)
        start, stop = frames if frames is not None else (0, len(results.frames))
        numbers = choose(results)
        changed = {identity: _frames_of(results, roi, identity) for identity in numbers}
        changed = {identity: seen[(seen >= start) & (seen < stop)] for identity, seen in changed.items()}
        for identity, seen in changed.items():
            if not len(seen):
                raise CorrectionError(_missing(results, roi, identity, "in these frames"))
        every = np.concatenate(list(changed.values()))
        first, last = int(every.min()), int(every.max())
        detail = {
            "identities": {str(old): new for old, new in numbers.items()},
            "first_index": int(results.frames["index"][first]),
            "last_index": int(results.frames["index"][last]),
            "points": len(every),
            "made_utc": datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
        }
        event = Event(float(results.frames["time"][first]), roi, kind, detail)
    if not dry_run:
        with _copy_that_replaces(path) as beside, h5py.File(beside, "r+", locking=False) as file:
            _renumber(file["points"], roi, (start, stop), numbers)
            events = file["events"]
            events.resize(len(events) + 1, axis=0)
            events[-1:] = event_rows([event])
    return Correction(path, kind, roi, (first, last), len(every), numbers, not dry_run)


def _check(results: Results, roi: int) -> None:
    state = results.attributes["state"]
    if state == "running":
        raise CorrectionError(
            f"{results.path} is still being written, or its run was killed: wait, or `ethostore repair` it"
        )
    known = [region.number for region in results.rois]
    if roi not in known:
        raise CorrectionError(f"{results.path} has no region {roi}; it has {', '.join(map(str, known))}")


def _blocks(results: Results, roi: int) -> Iterator[Points]:
    for start in range(0, results.count("points"), _BLOCK):
        points = results.read("points", start, start + _BLOCK)
        yield points[points["roi"] == roi]


def _frames_of(results: Results, roi: int, identity: int) -> npt.NDArray[np.int64]:
    """Return the rows of /frames in which an animal is."""
    found = [mine["frame"][mine["identity"] == identity] for mine in _blocks(results, roi)]
    return np.concatenate([np.empty(0, np.int64), *found])


def _missing(results: Results, roi: int, identity: int, where: str = "") -> str:
    known = sorted({int(n) for mine in _blocks(results, roi) for n in np.unique(mine["identity"])})
    return (
        f"region {roi} has no identity {identity} {where}".rstrip()
        + f"; in the whole result it has {', '.join(map(str, known)) or 'none'}"
    )


def _renumber(points: h5py.Dataset, roi: int, frames: FrameRange, numbers: Mapping[int, int]) -> None:
    start, stop = frames
    for row in range(0, len(points), _BLOCK):
        block = points[row : row + _BLOCK]
        here = (block["roi"] == roi) & (block["frame"] >= start) & (block["frame"] < stop)
        old = block["identity"].copy()
        for identity, new in numbers.items():
            block["identity"][here & (old == identity)] = new
        if not np.array_equal(old, block["identity"]):
            points[row : row + len(block)] = block


@contextmanager
def _copy_that_replaces(path: Path) -> Iterator[Path]:
    """Give a copy of a file, which takes its place when all went well; nobody else may do so meanwhile."""
    beside = path.with_name(f".{path.name}.partial")
    with path.open("rb") as original:
        try:
            fcntl.flock(original, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise CorrectionError(f"{path} is in use by another process; try again later") from exc
        try:
            shutil.copyfile(path, beside)
            yield beside
            with beside.open("rb") as copy:
                os.fsync(copy.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def find_frames(
    results: Results, by: str, start: float | None = None, stop: float | None = None
) -> FrameRange:
    """Return which rows of /frames lie in a range.

    Parameters
    ----------
    by : "index", "number", "time" or "seconds" (since the first frame).
    start, stop : the first, and where to stop; None for the ends. A negative index counts from the end.

    Raises CorrectionError if there are none, FrameNotFoundError for what is no time.
    """
    frames = results.frames
    if not len(frames):
        raise CorrectionError(f"{results.path} has no frames")
    for end in (start, stop):
        if by == "time" and end is not None:
            check_dated(end, float(frames["time"][0]))
    column = frames["time"] - frames["time"][0] if by == "seconds" else frames[by]
    ends = [
        end + frames["index"][-1] + 1 if end is not None and by == "index" and end < 0 else end
        for end in (start, stop)
    ]
    inside = np.ones(len(frames), bool)
    if ends[0] is not None:
        inside &= column >= ends[0]
    if ends[1] is not None:
        inside &= column < ends[1]
    rows = np.flatnonzero(inside)
    if not len(rows):
        raise CorrectionError(
            f"no frame lies there; the result has {by} {column[0]:.15g} to {column[-1]:.15g}"
        )
    return int(rows[0]), int(rows[-1]) + 1
