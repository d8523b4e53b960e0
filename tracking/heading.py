"""Which end of an animal is the head: the one that it goes ahead with."""

import numpy as np
import numpy.typing as npt

from tracking.points import Points, Status, new_points

Numbers = npt.NDArray[np.float64]

_WINDOW_S = 1.0
_LENGTHS = 0.4  # an animal that went less far within the window did not show where its head is
_TURN = 60.0  # degrees between frames, beyond which it is not clear how an animal turned
_TOGETHER = 32  # frames whose headings are worked out at a time: few wait, and it costs little
_BEFORE = np.dtype(
    [("front", "<f8"), ("ahead", "<f8"), ("x", "<f8"), ("y", "<f8"), ("time", "<f8"), ("clear", "?")]
)


class Headings:
    """Adds headings to points in the order of their frames; those of the last second and 32 frames wait.

    Parameters
    ----------
    window : around a frame in which an animal's motion says where its head is, seconds.
    """

    def __init__(self, window: float = _WINDOW_S) -> None:
        self._window = window
        self._points = new_points()
        self._times = np.empty(0)
        self._new: list[tuple[Points, Numbers]] = []
        self._before = 0  # rows that were returned, and are still looked at

    def append(self, points: Points, times: Numbers) -> Points:
        """Take points and the times of their frames; return points that have their headings, in order."""
        if not len(points):
            return new_points()
        self._new.append((points, times))
        waiting = int(points["frame"][-1]) - int(self._new[0][0]["frame"][0])
        return self._decide(last=False) if waiting >= _TOGETHER - 1 else new_points()

    def finish(self) -> Points:
        """Return the points that wait."""
        return self._decide(last=True)

    def _decide(self, *, last: bool) -> Points:
        self._points = np.concatenate([self._points, *(points for points, _ in self._new)])
        self._times = np.concatenate([self._times, *(times for _, times in self._new)])
        self._new.clear()
        if not len(self._points):
            return new_points()
        self._points["heading"][self._before :] = headings(self._points, self._times, self._window)[
            self._before :
        ]
        clock = _clock(self._times)
        stop = len(clock) if last else int(np.searchsorted(clock, clock[-1] - self._window))
        decided = self._points[self._before : stop].copy()
        if not len(decided):
            return decided
        kept = min(int(np.searchsorted(clock, clock[stop - 1] - self._window)), stop)
        self._points, self._times = self._points[kept:], self._times[kept:]
        self._before = stop - kept
        return decided


class LiveHeadings:
    """Adds headings to the points of one frame after the other, at once: what an animal did before tells.

    Parameters
    ----------
    window : for about so long an animal's motion says where its head is, seconds.
    """

    def __init__(self, window: float = _WINDOW_S) -> None:
        self._window = window
        self._rows: dict[tuple[int, int], int] = {}
        self._known = np.zeros(0, _BEFORE)

    def append(self, points: Points, time: float) -> Points:
        """Take the points of a frame, at a time that never goes back; return them with headings."""
        rows = self._find(points, time)
        before, now = self._known[rows], np.zeros(len(points), _BEFORE)
        angle = points["angle"].astype(np.float64)
        clear = (points["status"] <= Status.BY_LOOKS) & np.isfinite(angle)
        turned = (angle - before["front"] + 90) % 180 - 90
        elapsed = time - before["time"]
        linked = clear & before["clear"] & (np.abs(turned) <= _TURN) & (elapsed <= self._window / 2)
        now["front"] = np.where(linked, before["front"] + turned, np.nan_to_num(angle))
        halfway = np.radians(now["front"] - turned / 2)
        step = (points["x"] - before["x"]) * np.cos(halfway) + (points["y"] - before["y"]) * np.sin(halfway)
        kept = np.exp(-elapsed / (self._window / 2))
        now["ahead"] = np.where(linked, before["ahead"] * kept + step, 0.0)
        now["x"], now["y"], now["time"], now["clear"] = points["x"], points["y"], time, clear
        self._known[rows] = now
        told = clear & (np.abs(now["ahead"]) >= _LENGTHS * points["length"])
        front = now["front"] + np.where(now["ahead"] < 0, 180.0, 0.0)
        points["heading"] = np.where(told, front % 360.0, np.nan)
        return points

    def _find(self, points: Points, time: float) -> npt.NDArray[np.intp]:
        """Return the rows where the animals of points are known, new ones for those that are not."""
        who = list(zip(points["roi"].tolist(), points["identity"].tolist(), strict=True))
        if not all(one in self._rows for one in who):  # those of long ago make room
            kept = [one for one, row in self._rows.items() if time - self._known["time"][row] <= self._window]
            known = self._known[[self._rows[one] for one in kept]]
            self._rows = {one: row for row, one in enumerate(dict.fromkeys([*kept, *who]))}
            self._known = np.zeros(len(self._rows), _BEFORE)
            self._known[: len(known)] = known
        return np.array([self._rows[one] for one in who], np.intp)


def headings(points: Points, times: Numbers, window: float = _WINDOW_S) -> Numbers:
    """Return the heading at each point, shape (n,), degrees, 0 to 360; NaN where motion does not tell it.

    The long axis is followed from frame to frame, which makes one of its ends the front; if the animal went
    the other way within the window around a frame, the other end is.

    Parameters
    ----------
    points : in the order of their frames.
    times : of their frames, shape (n,), seconds.
    """
    found = np.full(len(points), np.nan)
    order = np.lexsort((np.arange(len(points)), points["identity"], points["roi"]))
    who = points[order][["roi", "identity"]]
    for mine in np.split(order, np.flatnonzero(who[1:] != who[:-1]) + 1) if len(order) else ():
        found[mine] = _of_one(points[mine], times[mine], window)
    return found


def _of_one(points: Points, times: Numbers, window: float) -> Numbers:
    angle = points["angle"].astype(np.float64)
    clear = (points["status"] <= Status.BY_LOOKS) & np.isfinite(angle)
    turned = (np.diff(angle) + 90) % 180 - 90
    elapsed = np.diff(times)
    linked = clear[1:] & clear[:-1] & (np.abs(turned) <= _TURN) & (elapsed >= 0) & (elapsed <= window / 2)
    turned = np.where(linked, turned, 0.0)
    front = np.nan_to_num(angle[:1]) + np.concatenate([[0.0], np.cumsum(turned)])
    parity = np.rint((front - np.nan_to_num(angle)) / 180)  # a new piece begins with its own axis
    front = np.nan_to_num(angle) + 180 * parity
    halfway = np.radians(front[1:] - turned / 2)
    steps = np.diff(points["x"].astype(np.float64)) * np.cos(halfway)
    steps += np.diff(points["y"].astype(np.float64)) * np.sin(halfway)
    gone = np.concatenate([[0.0], np.cumsum(np.where(linked, steps, 0.0))])
    piece = np.concatenate([[0], np.cumsum(~linked)])
    clock = _clock(times)
    first = np.maximum(np.searchsorted(clock, clock - window / 2), np.searchsorted(piece, piece))
    last = np.minimum(
        np.searchsorted(clock, clock + window / 2, side="right"), np.searchsorted(piece, piece, side="right")
    )
    ahead = gone[last - 1] - gone[first]
    told = clear & (np.abs(ahead) >= _LENGTHS * points["length"])
    return np.where(told, (front + np.where(ahead < 0, 180.0, 0.0)) % 360.0, np.nan)


def _clock(times: Numbers) -> Numbers:
    """Return seconds that never go back, though the clock was set back, or times are unknown."""
    steps = np.diff(times, prepend=times[:1])
    return np.asarray(np.cumsum(np.where(steps > 0, steps, 0.0)))
