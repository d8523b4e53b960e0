"""How two results of a recording differ, or one from known positions."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from tracking.errors import RecordingMismatchError, ResultFileError, TrackingError
from tracking.frame_points import FramePoints
from tracking.motion import Numbers
from tracking.points import Status
from tracking.results import Results
from tracking.switches import IdentitySwitch, IdentityTally

if TYPE_CHECKING:
    import pandas as pd

Indices = npt.NDArray[np.int64]
Rows: TypeAlias = slice | npt.NDArray[np.bool_] | Indices

_FRAMES = 2000  # that are compared together
_EDGES = np.concatenate([[0.0], np.geomspace(1e-3, 1e5, 10_000)])  # of distances, pixels; 0.2 % apart
_WORST = 12
_APART = 100  # frames between two of the worst of a region
_KEPT = 400
_SAME_S = 1e-6  # by which the times of a frame differ in copies of a recording

_TRUTH_COLUMNS = {
    "roi": ("roi", "region"),
    "index": ("frame", "index"),
    "x": ("x", "x_abs", "x_px", "pos_x"),
    "y": ("y", "y_abs", "y_px", "pos_y"),
    "identity": ("identity", "animal", "id"),
}
_DEFAULTS = {"roi": 1, "identity": np.nan}
_LARGEST_IDENTITY = 2**32


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Positions, arrays of shape (n,): indices of frames, regions, identities (0: unknown), pixels."""

    index: Indices
    roi: Indices
    identity: Indices
    x: Numbers
    y: Numbers

    def pick(self, rows: Rows) -> "Places":
        """Return some of them."""
        return Places(self.index[rows], self.roi[rows], self.identity[rows], self.x[rows], self.y[rows])


class Side(Protocol):
    """One of two that are compared."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def indices(self) -> Indices:
        """The indices of the frames that it speaks of, rising, each once."""

    def between(self, first: int, stop: int) -> Places:
        """Return the positions in frames with indices from `first` to before `stop`."""


class ResultSide:
    """A result; animals that were not seen in a frame do not count."""

    def __init__(self, results: Results) -> None:
        self.name = results.path.name
        whole = [np.empty(0, np.int64), *(block["index"] for block in results.frame_blocks())]
        self._index = np.concatenate(whole)
        self._order = np.argsort(self._index, kind="stable")
        self.indices = np.unique(self._index)
        self._points = FramePoints(results)

    def between(self, first: int, stop: int) -> Places:
        """Return the positions in frames with indices from `first` to before `stop`."""
        low, high = np.searchsorted(self._index, (first, stop), sorter=self._order)
        rows = self._order[low:high]
        if not len(rows):
            return _no_places()
        points = self._points.between(int(rows.min()), int(rows.max()) + 1)
        index = self._index[points["frame"]]
        mine = (index >= first) & (index < stop) & (points["status"] != Status.LOST)
        points = points[mine & np.isfinite(points["x"]) & np.isfinite(points["y"])]
        x, y = points["x"].astype(np.float64), points["y"].astype(np.float64)
        roi, identity = (points[name].astype(np.int64) for name in ("roi", "identity"))
        return Places(self._index[points["frame"]], roi, identity, x, y)


class TruthSide:
    """Known positions, from a table with the columns roi, index, x, y, and may be identity (0: unknown)."""

    def __init__(self, table: "pd.DataFrame", name: str = "truth") -> None:
        self.name = name
        table = table.sort_values("index", kind="stable")
        self._places = Places(
            table["index"].to_numpy(np.int64),
            table["roi"].to_numpy(np.int64),
            table["identity"].to_numpy(np.int64) if "identity" in table else np.zeros(len(table), np.int64),
            table["x"].to_numpy(np.float64),
            table["y"].to_numpy(np.float64),
        )
        self.indices = np.unique(self._places.index)

    def between(self, first: int, stop: int) -> Places:
        """Return the positions in frames with indices from `first` to before `stop`."""
        span = slice(*np.searchsorted(self._places.index, (first, stop)))
        return self._places.pick(span)


def read_truth(path: str | os.PathLike[str], *, first_frame: int = 0) -> TruthSide:
    """Return known positions from a CSV file, compressed or not.

    It has columns frame (or index), x, y (or x_abs, pos_x ...), in pixels of the frame, and may have roi (or
    region; else it is 1), identity (or animal, id; numbers or names), and valid, of which rows with 0 are
    left out.

    Parameters
    ----------
    first_frame : what the file calls the first frame of the recording.

    Raises
    ------
    TrackingError
        It is no such table.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as exc:
        raise ResultFileError(f"{path} is no table of known positions ({exc})") from exc
    if "valid" in table:
        table = table[table["valid"] != 0]
    columns: dict[str, pd.Series] = {}
    for name, known in _TRUTH_COLUMNS.items():
        there = next((column for column in known if column in table), None)
        if there is None and name not in _DEFAULTS:
            raise ResultFileError(
                f"{path} has no column {' or '.join(known)}; it has {', '.join(map(str, table.columns))}"
            )
        columns[name] = pd.Series(_DEFAULTS[name], table.index) if there is None else table[there]
    columns["identity"] = _numbered(columns["identity"])
    found = pd.DataFrame(columns).dropna()
    found["index"] -= first_frame
    return TruthSide(found, Path(path).name)


def _numbered(identities: "pd.Series[Any]") -> "pd.Series[int]":
    """Return identities as whole numbers from 1, and 0 where there is none; names are numbered."""
    import pandas as pd

    numbers = pd.to_numeric(identities, errors="coerce")
    whole = numbers.isna() | ((numbers >= 1) & (numbers <= _LARGEST_IDENTITY) & (numbers % 1 == 0))
    if whole.all() and numbers.isna().equals(identities.isna()):
        return numbers.fillna(0).astype(np.int64)
    return pd.Series(pd.factorize(identities)[0] + 1, identities.index)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two sides agree, in one region or (0) in all.

    Attributes
    ----------
    roi : number of the region.
    both : animals that both found in a frame.
    only_a, only_b : those that only one did.
    median, p95, largest : distance of those that both found, pixels; NaN if there are none.
    near : share of all that the second has, within `radius` of the first's.
    same : share of pairs within `radius` whose identities fit, if each stands for one of the other side;
        NaN if there is one animal only, or identities are not known.
    switches : how often such a pair has another identity of the first than the last one of its animal.
    """

    roi: int
    both: int
    only_a: int
    only_b: int
    median: float
    p95: float
    largest: float
    near: float
    same: float
    switches: int


@dataclass(frozen=True, slots=True)
class Worst:
    """Where two sides disagree most: index of the frame, region, distance, and the two places, pixels."""

    index: int
    roi: int
    distance: float
    a: tuple[float, float]
    b: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two sides differ.

    Attributes
    ----------
    a, b : their names.
    frames : which both speak of; only these are compared.
    frames_a, frames_b : that each speaks of.
    radius : pixels; see `Agreement.near`.
    whole : over all regions.
    regions : each, in the order of their numbers.
    worst : the largest distances, some frames apart from each other.
    switches : the first changes of identity.
    """

    a: str
    b: str
    frames: int
    frames_a: int
    frames_b: int
    radius: float
    whole: Agreement
    regions: tuple[Agreement, ...]
    worst: tuple[Worst, ...]
    switches: tuple[IdentitySwitch, ...]


def check_same_recording(a: Results, b: Results) -> str:
    """Return what makes it doubtful that two results are of one recording; "" if nothing does.

    A copy of a store has a uuid of its own, and the times of the store.

    Raises
    ------
    RecordingMismatchError
        They are of different recordings, or have no region in common.
    """
    said, other = a.attributes, b.attributes
    vague = any("imported" in one["settings"] and not one["store_uuid"] for one in (said, other))
    shapes = [one["frame_shape"][:2] for one in (said, other)]
    if shapes[0] != shapes[1] and not vague:  # what other programs write does not tell the shape
        sizes = " and ".join(f"{columns}x{rows}" for rows, columns in shapes)
        raise RecordingMismatchError(_mismatch(a, b, f"their frames are {sizes}"))
    uuids = said["store_uuid"], other["store_uuid"]
    if all(uuids) and uuids[0] != uuids[1] and not _same_times(a, b):
        raise RecordingMismatchError(_mismatch(a, b, "their stores have different uuids and times"))
    numbers = [[roi.number for roi in one.rois] for one in (a, b)]
    if not set(numbers[0]) & set(numbers[1]):
        raise RecordingMismatchError(
            f"{a.path.name} and {b.path.name} have no region in common: {numbers[0]} and {numbers[1]}; "
            "track both with one --layout"
        )
    names = [Path(one["source"]).name for one in (said, other)]
    if names[0] != names[1] and not all(uuids) and not vague:
        return f"it is not known whether they are of one recording: {names[0]} and {names[1]}"
    return ""


def _mismatch(a: Results, b: Results, why: str) -> str:
    return (
        f"{a.path.name} and {b.path.name} are of different recordings: {why} ({a.attributes['source']} and "
        f"{b.attributes['source']}); give results of one"
    )


def _same_times(a: Results, b: Results) -> bool:
    """Return whether the frames that both looked at were filmed at the same times."""
    first, second = a.frames, b.frames
    _, rows_a, rows_b = np.intersect1d(first["index"], second["index"], return_indices=True)
    times = first["time"][rows_a], second["time"][rows_b]
    return bool(len(rows_a)) and bool(np.allclose(*times, rtol=0, atol=_SAME_S, equal_nan=True))


def compare(a: Side, b: Side, *, radius: float = 10.0) -> Comparison:
    """Return how two results, or a result (a) and known positions (b), differ.

    In every frame that both speak of, the animals of each region are paired, nearest first, whatever their
    identities; how these fit is counted over all frames. Against known positions, only regions count in which
    there are some in that frame.

    Raises
    ------
    TrackingError
        There is no frame of which both speak.
    """
    common = np.intersect1d(a.indices, b.indices, assume_unique=True)
    if not len(common):
        raise TrackingError(f"{a.name} and {b.name} speak of no frame in common; are they of one recording?")
    tallies: dict[int, _Tally] = {}
    worst: list[Worst] = []
    identities = IdentityTally()
    for first in range(0, len(common), _FRAMES):
        some = common[first : first + _FRAMES]
        ours, theirs = (_of_frames(side.between(int(some[0]), int(some[-1]) + 1), some) for side in (a, b))
        if isinstance(b, TruthSide):
            ours = _where_known(ours, theirs)
        rows_a, rows_b = pair_places(ours, theirs)
        paired, others = ours.pick(rows_a), theirs.pick(rows_b)
        distances = np.hypot(paired.x - others.x, paired.y - others.y)
        for roi in np.union1d(ours.roi, theirs.roi).tolist():
            tally = tallies.setdefault(roi, _Tally(radius))
            counts = (int((side.roi == roi).sum()) for side in (ours, theirs))
            tally.add(distances[paired.roi == roi], *counts)
        near = distances <= radius  # else they are two animals, each of which the other side missed
        identities.add(
            *(column[near] for column in (paired.index, paired.roi, paired.identity, others.identity))
        )
        worst = sorted([*worst, *_worst_of(paired, others, distances)], key=lambda one: -one.distance)[:_KEPT]
    whole = _Tally(radius)
    for tally in tallies.values():
        whole.merge(tally)
    return Comparison(
        a=a.name,
        b=b.name,
        frames=len(common),
        frames_a=len(a.indices),
        frames_b=len(b.indices),
        radius=radius,
        whole=whole.agreement(0, identities, tallies),
        regions=tuple(tallies[roi].agreement(roi, identities, [roi]) for roi in sorted(tallies)),
        worst=tuple(_spread(worst)),
        switches=identities.first(),
    )


def pair_places(a: Places, b: Places) -> tuple[Indices, Indices]:
    """Return which places of two are of the same animal: rows of `a`, and of `b`, shape (pairs,).

    Those of the same frame and region are paired, nearest first.
    """
    import pandas as pd

    left, right = (
        pd.DataFrame({"index": side.index, "roi": side.roi}).reset_index(names="row") for side in (a, b)
    )
    all_pairs = left.merge(right, on=["index", "roi"], suffixes=("_a", "_b"))
    rows_a, rows_b = (all_pairs[name].to_numpy(np.int64) for name in ("row_a", "row_b"))
    order = np.argsort(np.hypot(a.x[rows_a] - b.x[rows_b], a.y[rows_a] - b.y[rows_b]), kind="stable")
    rows_a, rows_b = rows_a[order], rows_b[order]
    chosen: list[tuple[Indices, Indices]] = []
    while len(rows_a):
        best = _is_first(rows_a) & _is_first(rows_b)  # nearest for both: nothing can take it from them
        chosen.append((rows_a[best], rows_b[best]))
        left_over = ~np.isin(rows_a, rows_a[best]) & ~np.isin(rows_b, rows_b[best])
        rows_a, rows_b = rows_a[left_over], rows_b[left_over]
    found_a = np.concatenate([np.empty(0, np.int64), *(pair[0] for pair in chosen)])
    found_b = np.concatenate([np.empty(0, np.int64), *(pair[1] for pair in chosen)])
    return found_a, found_b


def _is_first(values: Indices) -> npt.NDArray[np.bool_]:
    """Say where a value stands for the first time."""
    first = np.zeros(len(values), bool)
    first[np.unique(values, return_index=True)[1]] = True
    return first


class _Tally:
    """Counts and distances of one region, in bounded memory."""

    def __init__(self, radius: float) -> None:
        self._radius = radius
        self._histogram = np.zeros(len(_EDGES) + 1, np.int64)
        self._counts = np.zeros(4, np.int64)  # both, near, all of a, all of b
        self._largest = np.nan

    def add(self, distances: Numbers, count_a: int, count_b: int) -> None:
        """Take the distances of pairs, and how many places either has."""
        self._histogram += np.bincount(np.searchsorted(_EDGES, distances), minlength=len(_EDGES) + 1)
        self._counts += (len(distances), int((distances <= self._radius).sum()), count_a, count_b)
        if len(distances):
            self._largest = float(np.nanmax([self._largest, distances.max()]))

    def merge(self, other: "_Tally") -> None:
        """Take what another has counted."""
        self._histogram += other._histogram
        self._counts += other._counts
        if not np.isnan(other._largest):
            self._largest = float(np.nanmax([self._largest, other._largest]))

    def agreement(self, roi: int, identities: IdentityTally, rois: Collection[int]) -> Agreement:
        """Return what it comes to, for regions of these numbers."""
        both, near, all_a, all_b = self._counts.tolist()
        return Agreement(
            roi=roi,
            both=both,
            only_a=all_a - both,
            only_b=all_b - both,
            median=self._quantile(0.5),
            p95=self._quantile(0.95),
            largest=self._largest,
            near=near / all_b if all_b else np.nan,
            same=identities.share(rois),
            switches=identities.count(rois),
        )

    def _quantile(self, share: float) -> float:
        total = np.cumsum(self._histogram)
        if not total[-1]:
            return np.nan
        place = int(np.searchsorted(total, share * total[-1]))
        return float(_EDGES[min(place, len(_EDGES) - 1)])


def _no_places() -> Places:
    whole, real = np.empty(0, np.int64), np.empty(0)
    return Places(whole, whole, whole, real, real)


def _of_frames(places: Places, indices: Indices) -> Places:
    return places.pick(np.isin(places.index, indices))


def _where_known(places: Places, truth: Places) -> Places:
    """Return places in frames and regions of which something is known."""
    return places.pick(np.isin(_keys(places), _keys(truth)))


def _keys(places: Places) -> Indices:
    return np.asarray((places.index << 16) | places.roi)


def _worst_of(a: Places, b: Places, distances: Numbers) -> Iterator[Worst]:
    for row in np.argsort(-distances, kind="stable")[:_KEPT].tolist():
        yield Worst(
            int(a.index[row]),
            int(a.roi[row]),
            float(distances[row]),
            (float(a.x[row]), float(a.y[row])),
            (float(b.x[row]), float(b.y[row])),
        )


def _spread(worst: Sequence[Worst]) -> list[Worst]:
    """Return the worst that are not of the same region within some frames of each other."""
    chosen: list[Worst] = []
    for one in worst:
        if all(one.roi != other.roi or abs(one.index - other.index) > _APART for other in chosen):
            chosen.append(one)
    return chosen[:_WORST]
