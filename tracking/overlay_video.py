"""A video of a recording with what was found drawn on it."""

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

import imgstore
from imgstore import (
    NO_DATE_BELOW,
    Exported,
    FrameNotFoundError,
    FrameSequence,
    FrameSpec,
    Image,
    OutputExistsError,
    RangeBy,
    StoreReader,
    check_dated,
)
from tracking.background import Progress, learn_preparation, sample_frames, to_grey
from tracking.canvas import WHITE, Canvas, Stamp
from tracking.errors import ResultFileError
from tracking.frame_points import FramePoints
from tracking.overlay import colour_of, crowded, draw_points, draw_regions, letter_height, scaled
from tracking.points import Points
from tracking.result_tables import Event
from tracking.results import Results, open_results
from tracking.windows import Animal

TRAIL_S = 3.0

_TOLD_S = 1.0  # how long an event stands in the picture
_SAMPLES = 5  # frames that tell how bright deep images get
_MOST_OF_A_TRAIL = 100

Moment = float | datetime


def save_overlay(
    result: str | os.PathLike[str],
    out: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    *,
    start: Moment | None = None,
    stop: Moment | None = None,
    by: RangeBy = "time",
    speed: float = 1.0,
    scale: float = 1.0,
    trail: float = TRAIL_S,
    quality: int | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Exported:
    """Write a video of the frames of a recording with regions, animals, trails, times and stimuli on them.

    Each frame is shown at its own time, as `imgstore.export_video` does. The frames are grey.

    Parameters
    ----------
    result : the result file.
    out : .mp4, .mov or .mkv; it must not exist.
    source : the recording; None for where the result says that it lies.
    start, stop, by : which frames; see `imgstore.find_range`.
    speed : 2 for twice as fast; of what would be more than 60 frames a second, some are left out.
    scale : 0.5 for half as wide and high.
    trail : seconds of the way behind an animal that are shown.
    quality : CRF of H.264; None for 20.
    progress : called with the frames that are done, and all.
    force : replace `out`.

    Raises
    ------
    ResultFileError
        It is no result, is of another recording, or its recording is not there.
    FrameNotFoundError
        There is no frame in the range.
    ImgstoreError
        The recording cannot be read, or the video not be written.
    """
    with open_results(result) as results, open_source_of(results, source, scale) as frames:
        _check_apart(Path(out), Path(results.attributes["source"] if source is None else source))
        wanted = _find_range(frames, start, stop, by)
        painter = _Painter(results, frames, wanted, scale=scale, trail=trail)
        chosen = {} if quality is None else {"quality": quality}
        return imgstore.encode_video(
            out,
            frames.times[wanted.start : wanted.stop],
            painter.spec,
            painter.images,
            speed=speed,
            progress=progress,
            force=force,
            **chosen,
        )


def _check_apart(out: Path, source: Path) -> None:
    """Raise OutputExistsError if the video would replace the recording, or lie in its folder."""
    store = source.parent if source.name == "metadata.yaml" else source
    if store.resolve() in (out.resolve(), *out.resolve().parents):
        raise OutputExistsError(f"{out} would lie in, or be, the recording {source}; give another name")


@contextmanager
def open_source_of(
    results: Results, source: str | os.PathLike[str] | None = None, scale: float = 1.0
) -> Iterator[FrameSequence]:
    """Open the recording that a result is of, in grey.

    Parameters
    ----------
    source : where it lies; None for where the result says.
    scale : 0.5 for half as wide and high.

    Raises
    ------
    ResultFileError
        It is not there, or the result is of another one.
    """
    path = Path(results.attributes["source"] if source is None else source)
    if source is None and not path.exists():
        raise ResultFileError(
            f"{results.path} is of {path}, which is not there; give the store or video that it is of"
        )
    is_store = path.is_dir() or path.name == "metadata.yaml"
    frames: FrameSequence = (
        imgstore.open(path, grey=True, scale=scale) if is_store else imgstore.open_video(path, scale=scale)
    )
    try:
        check_source(results, frames, path, scale)
        yield frames
    finally:
        frames.close()


def check_source(results: Results, frames: FrameSequence, path: Path, scale: float = 1.0) -> None:
    """Raise ResultFileError if a result is not of these frames, which are made smaller by `scale`."""
    about = results.attributes
    expected = tuple(round(side * scale) for side in about["frame_shape"][:2])
    close = all(abs(a - b) <= 1 for a, b in zip(expected, frames.spec.shape[:2], strict=True))
    if not (close and may_be_of(results, frames)):
        raise ResultFileError(f"{results.path} is not of {path}, but of {about['source']}")


def may_be_of(results: Results, frames: FrameSequence) -> bool:
    """Return whether a result may be of these frames, by the uuid of their store and by when they are of.

    Only dates tell when; those of a video that counts from its start do not.
    """
    uuid = frames.metadata.uuid if isinstance(frames, StoreReader) else None
    if uuid and results.attributes["store_uuid"] not in ("", uuid):
        return False
    count = results.count("frames")
    if not count or not len(frames):
        return True
    first, last = (float(results.read("frames", row, row + 1)["time"][0]) for row in (0, count - 1))
    start, stop = float(frames.times[0]), float(frames.times[-1])
    return not (min(first, start) >= NO_DATE_BELOW and (last < start or stop < first))


def _find_range(frames: FrameSequence, start: Moment | None, stop: Moment | None, by: RangeBy) -> range:
    if isinstance(frames, StoreReader):
        return imgstore.find_range(frames, start, stop, by=by)
    ends = []
    for moment, otherwise in ((start, 0), (stop, len(frames))):
        if isinstance(moment, datetime):
            raise FrameNotFoundError("a video has no dates; give seconds from its start")
        if moment is None:
            ends.append(otherwise)
        elif by in ("time", "seconds"):
            if by == "time" and len(frames):
                check_dated(moment, float(frames.times[0]))
            ends.append(int(np.searchsorted(frames.times, moment)))
        else:
            ends.append(int(np.clip(moment + len(frames) * (moment < 0), 0, len(frames))))
    if ends[0] >= ends[1]:
        raise FrameNotFoundError(
            f"there is no frame from {by} {start} to {stop}: there are {len(frames)}, "
            f"to {float(frames.times[-1]) if len(frames) else 0:g} s"
        )
    return range(*ends)


class _Painter:
    """Draws on the frames of a range."""

    def __init__(
        self, results: Results, frames: FrameSequence, wanted: range, *, scale: float, trail: float
    ) -> None:
        rows, columns = (side // 2 * 2 for side in frames.spec.shape[:2])
        self.spec = FrameSpec((rows, columns))
        self._frames = frames
        self._wanted = wanted
        self._scale = scale
        self._letter = letter_height((rows, columns))
        self._rows = _rows_of(results, wanted)
        self._points = FramePoints(results)
        self._rois = {roi.number: roi for roi in results.rois}
        self._results = results
        self._stamps: dict[int, Stamp] = {}  # by how many times the regions had moved
        self._trails = _Trails(trail, scale)
        self._events = _Events(results.events)
        self._zone = _zone_of(results)
        self._grey = (
            None
            if frames.spec.dtype == np.uint8
            else learn_preparation(sample_frames(frames, _SAMPLES).images).scale
        )

    def images(self, places: Sequence[int]) -> Generator[Image, None, None]:
        """Yield the frames at some places of the range, drawn on, as planes: always the same array."""
        indices = [self._wanted.start + place for place in places]
        sequence = (
            self._frames.read_ahead(indices)
            if isinstance(self._frames, StoreReader)
            else (self._frames[index] for index in indices)
        )
        points = self._points.each(self._rows[places].tolist())
        room = np.empty((self.spec.rows * 3 // 2, self.spec.columns), np.uint8)
        for frame, found in zip(sequence, points, strict=True):
            grey = frame.image if self._grey is None else to_grey(frame.image, self._grey)
            canvas = Canvas.on_grey(grey[: self.spec.rows, : self.spec.columns], room)
            self._stamp(frame.time).put(canvas)
            self._trails.draw(canvas, frame.time, found)
            draw_points(canvas, found, self._letter, self._scale, names=crowded(found))
            self._tell(canvas, frame.number, frame.time)
            yield canvas.image

    def _stamp(self, time: float) -> Stamp:
        """Return the regions where they lay at a time."""
        moves = sum(since <= time for since, _ in self._results.realignments)
        if moves not in self._stamps:
            rois, targets = self._results.regions_at(time)
            self._stamps = {
                moves: Stamp(
                    (self.spec.rows, self.spec.columns),
                    lambda canvas: draw_regions(canvas, rois, targets, self._letter, self._scale),
                )
            }
        return self._stamps[moves]

    def _tell(self, canvas: Canvas, number: int, time: float) -> None:
        """Write number and time, and what happened just now."""
        letter = 1.3 * self._letter
        bottom = self.spec.rows - 0.7 * letter
        canvas.text(f"{number}  {self._time_text(time)}", (0.7 * letter, bottom), WHITE, letter)
        for line, event in enumerate(self._events.at(time), 1):
            canvas.text(event.kind, (0.7 * letter, bottom - 1.6 * letter * line), WHITE, letter)
            if event.roi in self._rois:
                canvas.line(scaled(self._rois[event.roi].polygon, self._scale), WHITE, 3, closed=True)

    def _time_text(self, time: float) -> str:
        if not np.isfinite(time) or abs(time) < NO_DATE_BELOW:
            return f"{time:.3f} s"
        return datetime.fromtimestamp(time, self._zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


class _Trails:
    """The way behind each animal."""

    def __init__(self, seconds: float, scale: float) -> None:
        self._seconds = seconds
        self._scale = scale
        self._ways: dict[Animal, deque[tuple[float, float, float]]] = {}

    def draw(self, canvas: Canvas, time: float, points: Points) -> None:
        """Take where animals are now, and draw how they got there."""
        if self._seconds <= 0 or not np.isfinite(time):
            return
        for roi, identity, x, y in points[["roi", "identity", "x", "y"]].tolist() if len(points) else ():
            way = self._ways.setdefault(Animal(roi, identity), deque())
            if not way or abs(time - way[-1][0]) >= self._seconds / _MOST_OF_A_TRAIL:
                way.append((time, x, y))
        for animal, way in self._ways.items():
            while way and not 0 <= time - way[0][0] <= self._seconds:
                way.popleft()
            if len(way) > 1:
                canvas.line(scaled(np.array(way)[:, 1:], self._scale), colour_of(*animal), 1)


class _Events:
    """What happened shortly before a time."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = sorted(events, key=lambda event: event.time)
        self._times = np.array([event.time for event in self._events])

    def at(self, time: float) -> list[Event]:
        """Return what happened in the second before a time."""
        if not len(self._times):
            return []
        first, stop = np.searchsorted(self._times, (time - _TOLD_S, time), side="right")
        return self._events[first:stop]


def _rows_of(results: Results, wanted: range) -> npt.NDArray[np.int64]:
    """Return the rows of /frames of the frames of a range, -1 for those that were not looked at."""
    rows, start = np.full(len(wanted), -1, np.int64), 0
    for block in results.frame_blocks():
        at = block["index"] - wanted.start
        mine = np.flatnonzero((at >= 0) & (at < len(wanted)))
        rows[at[mine]] = start + mine
        start += len(block)
    return rows


def _zone_of(results: Results) -> ZoneInfo:
    with suppress(ValueError, KeyError, OSError):
        return ZoneInfo(str(results.attributes["timezone"]))
    return ZoneInfo("UTC")
