"""Run a recording with a display and keys, and say what became of it."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from rich.markup import escape

from hardware import CameraJob, HardwareError, Outcome, RecordProgress, RigRecorder, RigSpec
from imgstore import ImgstoreError
from tools.console import duration_text, err, folder_size, out, perhaps_unheard, show, size_text, times_text
from tools.preview import check_display, previews
from tools.record_display import Watch, display, keys
from tools.record_display import json_event as json_event

_SAY_S = 0.5  # that a word about a failure may take, before the cameras are looked after again

LOST_FRAMES = 3
"""Exit code of a recording that is whole but for frames that were lost, more than were allowed."""


def run_jobs(
    jobs: Sequence[CameraJob], stop: threading.Event, *, as_json: bool, preview: bool = False
) -> dict[str, Outcome]:
    """Record cameras, one in this process and several in one each, with a display and keys.

    Parameters
    ----------
    stop : ends the recording when it is set; the key q sets it.
    preview : show windows.

    Raises what the recorder of a single camera raises before it has recorded anything.
    """
    if preview:
        check_display()
        jobs = [replace(job, feed=job.feed or f"preview-{os.getpid()}-{job.name}") for job in jobs]
        with previews({job.name: job.feed for job in jobs if job.feed is not None}) as show:
            return _run_jobs(jobs, stop, show, as_json=as_json)
    return _run_jobs(jobs, stop, None, as_json=as_json)


def _run_jobs(
    jobs: Sequence[CameraJob], stop: threading.Event, others: Watch | None, *, as_json: bool
) -> dict[str, Outcome]:
    asked = {job.name: job.settings.rate for job in jobs}
    with display(asked, as_json=as_json) as on_screen:

        def watch(progress: Mapping[str, RecordProgress]) -> None:
            on_screen(progress)
            if others is not None:
                others(progress)

        if len(jobs) > 1:
            rig = RigRecorder(jobs)
            with keys(rig, stop):
                return rig.run(watch, stop, partial(_say_failed, as_json))
        (job,) = jobs
        recorder = job.recorder()

        def watch_one(progress: RecordProgress) -> None:
            watch({job.name: progress})

        with keys(recorder, stop):
            stores = tuple(store.path for store in job.stores)
            try:
                recorder.run(watch_one, stop)
            except Exception as exc:
                if recorder.summary is None or not recorder.summary.captured:
                    raise
                if not isinstance(exc, HardwareError | ImgstoreError | OSError):
                    traceback.print_exception(exc)  # of a user's callback, say: it names the line
                return {job.name: Outcome(stores, recorder.summary, f"{exc}" or type(exc).__name__)}
            return {job.name: Outcome(stores, recorder.summary)}


def _say_failed(as_json: bool, name: str, error: str) -> None:
    """Print at once that a camera failed, hours before the others end; who does not read holds nothing up."""

    def say() -> None:
        with perhaps_unheard(sys.stdout if as_json else sys.stderr):
            if as_json:
                json_event("failed", {"camera": name, "error": error})
            else:
                err.print(f"[bold red]{escape(name)} failed:[/] {escape(error)}")

    saying = threading.Thread(target=say, name="failure", daemon=True)
    saying.start()
    saying.join(_SAY_S)


def tell(outcomes: Mapping[str, Outcome], *, as_json: bool) -> None:
    """Print what became of each camera."""
    with perhaps_unheard(sys.stdout):  # the exit code says it all the same
        _tell(outcomes, as_json=as_json)
    with perhaps_unheard(sys.stderr):
        for name, outcome in outcomes.items():
            if outcome.error is not None:
                err.print(f"[bold red]error:[/] {escape(name)}: {escape(outcome.error)}")


def _tell(outcomes: Mapping[str, Outcome], *, as_json: bool) -> None:
    for place, (name, outcome) in enumerate(outcomes.items()):
        if as_json:
            json_event("ended", {"camera": name, **_facts(outcome)})
            continue
        if place:
            out.print()
        show(_readable(name if len(outcomes) > 1 else None, outcome), as_json=False)


def exit_code(outcomes: Mapping[str, Outcome], allow_lost: Mapping[str, float]) -> int:
    """Return 1 if a camera failed or the disk is full, 3 if one lost more frames than it may, else 0."""
    if any(outcome.error is not None for outcome in outcomes.values()):
        return 1
    if any(
        outcome.summary is not None and outcome.summary.stopped_by == "disk" for outcome in outcomes.values()
    ):
        with perhaps_unheard(sys.stderr):
            err.print(
                "the disk is nearly full: the recording ended too early; make room, or lower the reserve"
            )
        return 1
    for name, outcome in outcomes.items():
        if outcome.summary is not None and outcome.summary.dropped > allow_lost.get(name, 0):
            with perhaps_unheard(sys.stderr):
                err.print("frames were lost; `ethostore info` says which and why")
            return LOST_FRAMES
    return 0


def _facts(outcome: Outcome) -> dict[str, object]:
    summary = outcome.summary
    return {
        "store": str(outcome.stores[0]) if outcome.stores else None,
        "stores": [str(path) for path in outcome.stores],
        "frames": summary.frames if summary else None,
        "captured": summary.captured if summary else None,
        "dropped": summary.dropped if summary else None,
        "lost": dict(summary.lost) if summary else None,
        "unwritten_events": summary.unwritten if summary else None,
        "seconds": round(summary.seconds, 3) if summary else None,
        "bytes": sum(folder_size(path) for path in outcome.stores),
        "stopped_by": summary.stopped_by if summary else None,
        "error": outcome.error,
        "deaths": outcome.deaths,
    }


def _readable(name: str | None, outcome: Outcome) -> dict[str, object]:
    summary = outcome.summary
    facts: dict[str, object] = {} if name is None else {"camera": name}
    facts["store"] = ", ".join(map(str, outcome.stores)) or "none"
    if summary is None:
        return facts
    lost = ", ".join(f"{cause} {count}" for cause, count in summary.lost.items() if count)
    facts["frames"] = f"{summary.frames}, {summary.dropped} lost" + (f" ({lost})" if lost else "")
    if summary.unwritten:
        facts["events"] = (
            f"{summary.unwritten} could not be written down, gaps perhaps: this sum has them all"
        )
    facts["took"] = duration_text(summary.seconds)
    facts["size"] = size_text(sum(folder_size(path) for path in outcome.stores))
    facts["ended by"] = "an error" if summary.stopped_by is None else _REASONS[summary.stopped_by]
    if outcome.deaths:
        facts["died"] = f"its process {times_text(outcome.deaths)}; it was started again"
    return facts


_REASONS = {
    "end": "the end of the source",
    "limit": "the limit",
    "interrupt": "Ctrl-C; everything so far is in the store",
    "disk": "the disk, which is nearly full; everything so far is in the store",
    "stop": "q or a signal; everything so far is in the store",
}


def allowed(rig: RigSpec) -> dict[str, float]:
    """Return how many frames each camera of a rig may lose."""
    return {
        camera.name: float("inf") if camera.allow_lost is None else camera.allow_lost
        for camera in rig.cameras
    }


@contextmanager
def terminated() -> Iterator[threading.Event]:
    """Set an event when the system asks to end: the machine shuts down, or the terminal is closed.

    Under `nohup`, which has the closed terminal ignored, it stays ignored.
    """
    asked = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: asked.set())
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
