"""Record what a rig file says: when its time has come, night after night if it says so."""

import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import typer

from hardware import CameraJob, HardwareError, Outcome, RigSpec, load_rig, next_window, rig_jobs
from imgstore import ImgstoreError
from tools.console import err, out, perhaps_unheard
from tools.record_run import allowed, exit_code, json_event, run_jobs, tell, terminated

_POLL_S = 0.5
_SLACK_S = 5.0  # that recordings end before or after the end of their window


def record_rig(file: Path, answers: Mapping[str, object], *, wait: bool, as_json: bool) -> None:
    """Record the cameras of a rig file.

    Parameters
    ----------
    file : it; its errors are all told at once.
    answers : metadata that were given; what else the file asks for is asked on the terminal.
    wait : whether saving waits for the key.
    as_json : print events, a JSON object a line.
    """
    rig = load_rig(file)
    known = {**answers, **_ask(rig, answers)}
    run = {"run": {"name": rig.name, "id": uuid.uuid4().hex}}
    zone = rig.schedule.timezone
    by_clock = rig.schedule.daily is not None  # seconds of all windows, and what is between them
    first: float | None = None
    code, after = 0, time.time()
    with terminated() as stop:
        while True:
            window = next_window(rig.schedule, max(after, time.time()), zone)
            is_awaited = window.start > time.time()
            ends = None if first is None else rig.limits.ends(first, zone, seconds=by_clock)
            if (ends is not None and window.start >= ends) or not _wait_until(window.start, stop, as_json):
                break
            began = max(window.start, time.time())
            first = began if first is None else first
            ends = rig.limits.ends(first, zone, seconds=by_clock)
            until = min((moment for moment in (ends, window.stop) if moment is not None), default=None)
            jobs = rig_jobs(rig, began, until, zone, {**known, **run}, at_once=not wait)
            outcomes = _record_window(jobs, stop, as_json=as_json, is_awaited=is_awaited)
            tell(outcomes, as_json=as_json)
            code = _worse(code, exit_code(outcomes, allowed(rig)))
            if stop.is_set() or window.stop is None or not goes_on(outcomes, window.stop, time.time()):
                break
            after = window.stop
    if code:
        raise typer.Exit(code)


def _record_window(
    jobs: Sequence[CameraJob], stop: threading.Event, *, as_json: bool, is_awaited: bool
) -> dict[str, Outcome]:
    """Record until the window ends.

    Parameters
    ----------
    is_awaited : whether it began while nobody looked: then what keeps all cameras from being recorded is
        told, and does not end the nights to come. Else it is raised.
    """
    try:
        return run_jobs(jobs, stop, as_json=as_json)
    except (HardwareError, ImgstoreError, OSError) as exc:
        if not is_awaited:
            raise
        return {job.name: Outcome((), None, str(exc)) for job in jobs}


def goes_on(outcomes: Mapping[str, Outcome], window_ends: float, now: float) -> bool:
    """Return whether the next window is to be recorded, too.

    So it is if all cameras that did not fail were ended by the end of the window; also if all failed.
    """
    summaries = [outcome.summary for outcome in outcomes.values()]
    reasons = {one.stopped_by for one in summaries if one is not None and one.stopped_by is not None}
    return not reasons or (reasons == {"limit"} and now > window_ends - _SLACK_S)


def _worse(code: int, other: int) -> int:
    """Return the exit code that says more: that something failed, then that frames were lost."""
    return 1 if 1 in (code, other) else max(code, other)


def _ask(rig: RigSpec, answers: Mapping[str, object]) -> dict[str, str]:
    """Return what the file wants to know and was not told. Raises typer.BadParameter if nobody is there."""
    open_questions = [name for name in rig.ask if name not in answers]
    if open_questions and not sys.stdin.isatty():
        options = " ".join(f"--meta {name}=..." for name in open_questions)
        raise typer.BadParameter(f"the rig file asks for {', '.join(open_questions)}; give {options}")
    return {name: typer.prompt(name) for name in open_questions}


def _wait_until(moment: float, stop: threading.Event, as_json: bool) -> bool:
    """Wait for a Unix time; return False if the recording was stopped meanwhile."""
    if moment > time.time():
        text = datetime.fromtimestamp(moment).astimezone().isoformat(" ", "seconds")
        console = err if err.is_terminal and not as_json else out
        with perhaps_unheard(sys.stderr if console is err else sys.stdout):
            if as_json:
                json_event("waiting", {"until": moment})
            else:
                console.print(f"waiting until {text}; Ctrl-C ends it", markup=False)
    while time.time() < moment:
        if stop.wait(min(_POLL_S, max(moment - time.time(), 0))):
            return False
    return not stop.is_set()
