"""Record what a rig file says: when its time has come, night after night if it says so."""

import sys
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import typer

from hardware import Outcome, RigSpec, load_rig, next_window, rig_jobs
from tools.console import err, out
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
    first: float | None = None
    code = 0
    with terminated() as stop:
        while True:
            window = next_window(rig.schedule, time.time(), zone)
            ends = None if first is None else rig.limits.ends(first, zone)
            if (ends is not None and window.start >= ends) or not _wait_until(window.start, stop, as_json):
                break
            began = max(window.start, time.time())
            first = began if first is None else first
            ends = rig.limits.ends(first, zone)
            until = min((moment for moment in (ends, window.stop) if moment is not None), default=None)
            jobs = rig_jobs(rig, began, until, zone, {**known, **run}, at_once=not wait)
            outcomes = run_jobs(jobs, stop, as_json=as_json)
            tell(outcomes, as_json=as_json)
            code = max(code, exit_code(outcomes, allowed(rig)))
            if stop.is_set() or not _goes_on(outcomes, window.stop):
                break
    if code:
        raise typer.Exit(code)


def _goes_on(outcomes: Mapping[str, Outcome], window_ends: float | None) -> bool:
    """Return whether a recording ended for no other reason than that its window did."""
    reasons = {outcome.summary.stopped_by for outcome in outcomes.values() if outcome.summary}
    return window_ends is not None and reasons == {"limit"} and time.time() > window_ends - _SLACK_S


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
        if as_json:
            json_event("waiting", {"until": moment})
        else:
            (err if err.is_terminal else out).print(f"waiting until {text}; Ctrl-C ends it", markup=False)
    while time.time() < moment:
        if stop.wait(min(_POLL_S, max(moment - time.time(), 0))):
            return False
    return not stop.is_set()
