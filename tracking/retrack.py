"""Track a recording that lies on disk, from its path to a result file."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

import imgstore
from imgstore import FrameSequence, StoreReader
from tracking.background import learn_preparation, sample_frames, to_grey
from tracking.errors import ResultExistsError
from tracking.layouts import Regions, open_layout
from tracking.monitor import TrackSummary, monitor
from tracking.results import SUFFIX, ResultWriter, RunInfo, open_results
from tracking.trackers import TRACKERS

StageProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""

_LAYOUT_SAMPLES = 7


@dataclass(frozen=True, slots=True)
class Retracked:
    """What `retrack` made: the result file, the regions, and a summary."""

    path: Path
    regions: Regions
    summary: TrackSummary


def retrack(
    source: str | os.PathLike[str],
    *,
    layout: str = "whole-frame",
    tracker: str = "archive",
    settings: Mapping[str, object] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: StageProgress | None = None,
) -> Retracked:
    """Track a store or a video file and write the result beside it.

    Parameters
    ----------
    source : folder of a store, or a video file.
    layout : name of a layout, or a layout file.
    tracker : name of a tracker.
    settings : of the tracker, by name; text will do.
    out : result file; None for one beside the recording, named by the time now and the tracker.
    force : replace `out` if it exists.
    progress : see `StageProgress`; the stages are "looking" and "tracking".

    Raises
    ------
    ImgstoreError, TrackingError
        The recording cannot be read, the layout is unknown or does not fit, the result exists already.
    """
    finder = open_layout(layout)
    running = TRACKERS.get(tracker)(settings or {})
    frames = imgstore.open_source(source)
    try:
        path = _result_path(Path(source), tracker, out, force=force)
        regions = finder.find(median_image(frames))
        background = running.prepare(frames, regions.rois, _stage(progress, "looking"))
        info = replace(
            _info(source, frames, tracker, dict(running.settings), layout), mm_per_pixel=regions.mm_per_pixel
        )
        with (
            _replacing_result(path) as place,
            ResultWriter(place, info, regions.rois, regions.targets) as results,
        ):
            results.append_background(background, float(frames.times[0]))
            numbers = [roi.number for roi in regions.rois]
            summary = monitor(frames, running, results, numbers, _stage(progress, "tracking"))
            if summary.stopped:
                results.close("stopped")
    finally:
        frames.close()
    return Retracked(path, regions, summary)


def median_image(frames: FrameSequence) -> npt.NDArray[np.uint8]:
    """Return the median of some frames spread over a recording, grey: what layouts look at."""
    samples = sample_frames(frames, _LAYOUT_SAMPLES).images
    scale = learn_preparation(samples).scale
    return to_grey(np.median(samples, axis=0).astype(samples.dtype), scale)


def _result_path(source: Path, tracker: str, out: str | os.PathLike[str] | None, *, force: bool) -> Path:
    if out is None:
        name = f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}_{tracker}{SUFFIX}"
        if source.name == "metadata.yaml":
            source = source.parent
        return source / name if source.is_dir() else source.with_name(f"{source.name}.{name}")
    path = Path(out)
    if path.exists():
        if not force:
            raise ResultExistsError(f"{path} exists already; give another --out, or --force")
        open_results(path).close()  # raises if it is something else, a recording say
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
    finally:
        beside.unlink(missing_ok=True)


def _info(
    source: str | os.PathLike[str],
    frames: FrameSequence,
    tracker: str,
    settings: dict[str, object],
    layout: str,
) -> RunInfo:
    shape = frames.spec.shape
    place = str(Path(source).resolve())
    if isinstance(frames, StoreReader):
        metadata = frames.metadata
        return RunInfo(place, shape, tracker, settings, layout, metadata.uuid or "", metadata.timezone.key)
    return RunInfo(place, shape, tracker, settings, layout)


def _stage(progress: StageProgress | None, stage: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(stage, done, total)
