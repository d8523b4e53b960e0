"""Track a recording that lies on disk, from its path to a result file."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

import imgstore
from imgstore import BrokenFrame, FrameSequence, StoreReader, __version__, problems_of
from tracking.blocks import (
    Block,
    Detector,
    ReadableFrames,
    Seen,
    UnreadFrame,
    cut_blocks,
    is_split,
    read_frames,
    without_image,
)
from tracking.detection_log import DetectionLog, fingerprint, log_path
from tracking.errors import EmptyRecordingError, ResultExistsError, ResultFileError, TrackingError
from tracking.incidents import Incidents, incidents_of
from tracking.knocks import shift_at_end
from tracking.layouts import Regions
from tracking.layouts.check import check_regions
from tracking.monitor import Looked, Monitor, StopFlag, TrackSummary, closing_of
from tracking.plan import More, Prepared, StageProgress, TrackPlan, plan_like, prepare, stage_of
from tracking.realign import SURE, realign
from tracking.result_tables import SUFFIX
from tracking.result_writer import ResultWriter, RunInfo
from tracking.results import open_results
from tracking.steadying import Moves, Steadying
from tracking.trackers import SeesSurplus, SplitTracker, Tracker
from tracking.workers import LocalWorkers, Workforce, never

_FIRST_FRAMES = 50  # that a store holds before it is followed, so that something can be learnt
_LOOK_S = 0.2
_MOST_NOTES = 3
_MOVED = 3.0  # pixels


@dataclass(frozen=True, slots=True)
class Retracked:
    """What `retrack` made.

    Attributes
    ----------
    path : of the result file.
    regions : as they lie at the start.
    summary : what came of the run.
    problems : what is missing or broken in the recording, a line each.
    notes : what to know of regions and animals, a line each.
    shift : by how many pixels the picture lies elsewhere at the end than at the start, which nobody asked to
        follow; 0 if it does not, or nothing tells.
    """

    path: Path
    regions: Regions
    summary: TrackSummary
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shift: float = 0.0


def retrack(
    source: str | os.PathLike[str],
    *,
    layout: str = "whole-frame",
    tracker: str = "archive",
    settings: Mapping[str, object] | None = None,
    plan: TrackPlan | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    follow: bool = False,
    workers: int | None = 1,
    workforce: Workforce | None = None,
    stop: StopFlag | None = None,
    progress: StageProgress | None = None,
) -> Retracked:
    """Track a store or a video file and write the result beside it.

    Parameters
    ----------
    source : folder of a store, or a video file.
    layout : name of a layout, or a layout file.
    tracker : name of a tracker.
    settings : of the tracker, by name; text will do.
    plan : these three in one, and more; say `plan_like(result)`.
    out : result file; None for one beside the recording, named by the time now and the tracker.
    force : replace `out` if it exists.
    follow : go on with the frames that are appended to the store, until its writer ends.
    workers : processes that detect, for trackers that can be split; the result is the same with any number.
        With 1 there are none but this one; None for as many as there are processors and it is worth.
    workforce : detects, instead of processes of this machine.
    stop : ends the run early when it is set; what was tracked is kept.
    progress : see `StageProgress`; the stages are "aligning" (with `TrackPlan.realign`), "looking" and
        "tracking".

    Raises
    ------
    ImgstoreError, TrackingError
        The recording cannot be read, the layout is unknown or does not fit, the result exists already.
    """
    wanted = plan or TrackPlan(layout, tracker, settings or {})
    running = wanted.check()
    with closing(_open_recording(source, follow=follow, stop=stop)) as frames:
        path = _result_path(Path(source), wanted.tracker, out, force=force)
        learnt = ReadableFrames(frames)
        if not len(learnt):
            raise EmptyRecordingError("; ".join([f"{source} holds no frames to track", *problems_of(frames)]))
        run = _Run(frames, len(learnt), running, follow, workforce or LocalWorkers(workers), stop, progress)
        more: More = "appended" if follow else "none"
        prepared = prepare(
            wanted, running, learnt, path.parent / Path(source).stem, more=more, progress=progress
        )
        regions = prepared.regions
        info = _info(source, frames, wanted, dict(running.settings), learnt, regions)
        with (
            _replacing_result(path) as place,
            ResultWriter(place, replace(info, followed=follow), regions.rois, regions.targets) as results,
        ):
            summary = run.track(results, prepared, path)
        known = wanted.realign or follow or summary.stopped  # or nobody waits to hear it
        shift = 0.0 if known else shift_at_end(learnt)
        notes = (*_moved_since(wanted, prepared), *notes_on(regions, frames.spec.shape, running))
        return Retracked(path, regions, summary, problems_of(frames), notes, shift)


def resume(
    result: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    workers: int | None = 1,
    workforce: Workforce | None = None,
    stop: StopFlag | None = None,
    progress: StageProgress | None = None,
) -> Retracked:
    """Go on with a run that was stopped or killed; the result is that of one that was not.

    What was detected is kept beside the result until its run is complete, and is only linked again. Without
    it everything is done again. Either way what comes out has to be what stands in the result already.

    Parameters
    ----------
    result : file of the run.
    source : the recording, if it lies elsewhere by now.
    workers, workforce, stop, progress : as for `retrack`.

    Raises
    ------
    ResultFileError
        It is no result, is complete, or what is found in the recording now is not what was.
    ImgstoreError, TrackingError
        The recording cannot be read any more.
    """
    path = Path(result)
    with open_results(path) as old:
        said, background, count = old.attributes, old.background, len(old.frames)
    if said["state"] == "complete":
        raise ResultFileError(f"{path} is complete; there is nothing to go on with")
    plan, follow = plan_like(path), said["followed"]
    running, regions = plan.check(), plan.regions
    if background is None or regions is None or not said["prepared_frames"]:
        raise ResultFileError(
            f"{path} cannot be gone on with: it is of frames that came live and are gone, or its run had "
            "hardly begun. Track it anew"
        )
    with closing(_open_recording(source or said["source"], follow=follow, stop=stop)) as frames:
        learnt = ReadableFrames(frames, min(said["prepared_frames"], len(frames)))
        _check_same(path, said, frames, count)
        run = _Run(frames, len(learnt), running, follow, workforce or LocalWorkers(workers), stop, progress)
        more: More = "appended" if follow else "none"
        prepared = prepare(plan, running, learnt, path.parent / path.stem, more=more, progress=progress)
        with ResultWriter.resume(path) as results:
            summary = run.track(results, prepared, path)
        return Retracked(path, regions, summary, notes=notes_on(regions, frames.spec.shape, running))


def _moved_since(plan: TrackPlan, prepared: Prepared) -> list[str]:
    """Return a note if the picture lies elsewhere than where the regions were taken from."""
    if plan.regions is None or plan.picture is None or plan.picture.shape != prepared.background.shape:
        return []
    now = realign(plan.regions, plan.picture, prepared.background)
    if now.confidence < SURE or now.shift < _MOVED:
        return []
    return [
        f"the picture lies {now.shift:.0f} px elsewhere than in the result whose regions were taken; with "
        "--layout regions are found anew"
    ]


def notes_on(regions: Regions, shape: tuple[int, ...], tracker: Tracker) -> tuple[str, ...]:
    """Return what to know of regions, and of the animals that a tracker saw in them, a line each.

    Parameters
    ----------
    shape : of the frames.
    """
    crowded = tracker.crowded() if isinstance(tracker, SeesSurplus) else []
    where = f"region {', '.join(map(str, crowded))}"
    more = f"there are often more animals than said in {where}; --set animals=N says how many"
    problems = [problem.text for problem in check_regions(regions.rois, shape)]
    if len(problems) > _MOST_NOTES:
        problems[_MOST_NOTES:] = [f"and {len(problems) - _MOST_NOTES} more; see ethostore layout check"]
    return (*regions.notes, *problems, *([more] if crowded else []))


class _Run:
    """A tracker on its way through a recording.

    Parameters
    ----------
    frames : the recording.
    count : of its frames, from the first, are tracked; more if there are and `follow`.
    tracker : prepared by the time of `track`.
    follow : whether to go on with what is appended.
    workforce : detects, if the tracker can be split.
    stop, progress : see `retrack`.
    """

    def __init__(
        self,
        frames: FrameSequence,
        count: int,
        tracker: Tracker,
        follow: bool,
        workforce: Workforce,
        stop: StopFlag | None,
        progress: StageProgress | None,
    ) -> None:
        self._frames = frames
        self._count = count
        self._tracker = tracker
        self._follow = follow
        self._workforce = workforce
        self._stop = stop
        self._progress = progress
        self._is_over: Callable[[], bool] = never

    def track(self, results: ResultWriter, prepared: Prepared, path: Path) -> TrackSummary:
        """Track all frames, or until it is stopped.

        Parameters
        ----------
        results : new, or to be gone on with.
        prepared : as the tracker is.
        path : where the result will lie.
        """
        results.append_background(prepared.background, float(self._frames.times[0]))
        if self._follow or not is_split(self._tracker):
            summary = self._monitor(self._undetected(), results, prepared)
        else:
            summary = self._track_split(self._tracker, results, prepared, path)
        if summary.stopped:
            results.close("stopped")
        return summary

    def _track_split(
        self,
        tracker: SplitTracker,
        results: ResultWriter,
        prepared: Prepared,
        path: Path,
    ) -> TrackSummary:
        blocks = cut_blocks(self._frames, self._count)
        polygons = [[roi.number, roi.polygon.tolist()] for roi in prepared.regions.rois]
        moves = prepared.guide.moves if isinstance(prepared.guide, Moves) else ()
        ways = [[move.index, move.realignment.matrix.tolist()] for move in moves]
        lengths = [len(block) for block in blocks]
        said = json.dumps([__version__, dict(tracker.settings), polygons, ways, lengths])
        with DetectionLog(log_path(path), fingerprint(prepared.background.tobytes(), said.encode())) as log:
            if not results.resumed:
                log.cut()
            steady = prepared.guide.steady if moves and prepared.guide else None
            detected = self._detected(Detector(self._frames, tracker, steady), blocks, log)
            summary = self._monitor(detected, results, prepared)
            if not summary.stopped:
                log.remove()
        return summary

    def _monitor(self, frames: Iterator[Looked], results: ResultWriter, prepared: Prepared) -> TrackSummary:
        incidents = Incidents()
        if isinstance(self._frames, StoreReader) and not self._follow:
            incidents = incidents_of(self._frames, self._count)
        numbers = [roi.number for roi in prepared.regions.rois]
        monitor = Monitor(
            frames,
            numbers,
            self._tracker,
            sinks=[results],
            incidents=incidents,
            steadying=Steadying(prepared.guide) if prepared.guide else None,
        )
        self._is_over = monitor.idle
        total = 0 if self._follow else self._count
        return monitor.run(stage_of(self._progress, "tracking"), total, self._stop)

    def _undetected(self) -> Iterator[Looked]:
        if not self._follow:
            yield from read_frames(self._frames, range(self._count))
            return
        assert isinstance(self._frames, StoreReader)  # noqa: S101  # as _open_recording sees to
        broken: deque[BrokenFrame] = deque()
        until = lambda: self._is_over()  # noqa: E731  # known only once it runs
        with closing_of(self._frames.follow(until, broken.append)) as frames:
            for frame in chain(frames, (None,)):
                while broken:
                    yield UnreadFrame(*astuple(broken.popleft()))
                if frame is not None:
                    yield frame

    def _detected(self, detector: Detector, blocks: list[range], log: DetectionLog) -> Iterator[Seen]:
        """Yield what is seen in all frames: what is in the log, and what is detected now."""
        done = 0
        for block in log.read():
            done += 1
            yield from block.unpack()
        rest = blocks[done:]
        if isinstance(self._workforce, LocalWorkers) and self._workforce.size(len(rest)) <= 1:
            for indices in rest:
                seen = []
                for frame in detector.look(indices):
                    seen.append(without_image(frame))
                    yield frame
                log.append(Block.pack(indices, seen))
            return
        with closing_of(self._workforce.detect(detector, rest, self._is_over)) as found:
            for block in found:
                log.append(block)
                yield from block.unpack()


def _open_recording(source: str | os.PathLike[str], *, follow: bool, stop: StopFlag | None) -> FrameSequence:
    """Open a recording by its whole path, which goes into messages; one to be followed once it has begun.

    Raises TrackingError for a video that is to be followed.
    """
    path = Path(source).expanduser().resolve()
    frames = imgstore.open_source(path)
    if not follow:
        return frames
    while isinstance(frames, StoreReader):
        ended = frames.state != "recording" or (stop is not None and stop.is_set())
        if ended or len(frames) >= _FIRST_FRAMES:
            return frames
        frames.close()
        time.sleep(_LOOK_S)
        frames = imgstore.open_source(path)
    frames.close()
    raise TrackingError(f"{path} is a video file, and only stores can be followed while they are written")


def _check_same(path: Path, said: Mapping[str, object], frames: FrameSequence, count: int) -> None:
    uuid = frames.metadata.uuid or "" if isinstance(frames, StoreReader) else ""
    if uuid != said["store_uuid"] or len(frames) < count or frames.spec.shape != said["frame_shape"]:
        raise ResultFileError(
            f"{path} is of another recording, or of one that held more: it has {count} frames of "
            f"{said['source']}. Give the recording that it was made of"
        )


def _result_path(source: Path, tracker: str, out: str | os.PathLike[str] | None, *, force: bool) -> Path:
    if out is None:
        if source.name == "metadata.yaml":
            source = source.parent
        start = f"{source}{os.sep}" if source.is_dir() else f"{source}."
        return new_result_path(start, tracker)
    path = Path(out)
    if path.exists():
        if not force:
            raise ResultExistsError(f"{path} exists already; give another --out, or --force")
        open_results(path).close()  # raises if it is something else, a recording say
    return path


def new_result_path(start: str, tracker: str) -> Path:
    """Return a path that begins with `start` and goes on with time and tracker, where nothing is yet."""
    name = f"{start}{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}_{tracker}"
    path, again = Path(name + SUFFIX), 1
    while path.exists():
        again += 1
        path = Path(f"{name}_{again}{SUFFIX}")
    return path


@contextmanager
def _replacing_result(path: Path) -> Iterator[Path]:
    """Give the place to write a result to: `path`, or one beside it that replaces it when all went well."""
    if not path.exists():
        yield path
        return
    beside = path.with_name(f".{path.name}.partial")
    beside.unlink(missing_ok=True)
    try:
        yield beside
        beside.replace(path)
    except BaseException:
        log_path(path).unlink(missing_ok=True)  # it is of the result that goes
        raise
    finally:
        beside.unlink(missing_ok=True)


def _info(
    source: str | os.PathLike[str],
    frames: FrameSequence,
    plan: TrackPlan,
    settings: dict[str, object],
    learnt: FrameSequence,
    regions: Regions,
) -> RunInfo:
    info = RunInfo(
        str(Path(source).expanduser().resolve()),
        frames.spec.shape,
        plan.tracker,
        settings,
        plan.layout,
        mm_per_pixel=regions.mm_per_pixel,
        given=plan.settings,
        prepared_frames=len(learnt),
        realign=plan.realign,
    )
    if not isinstance(frames, StoreReader):
        return info
    return replace(info, store_uuid=frames.metadata.uuid or "", timezone=frames.metadata.timezone.key)
