"""Track stores, videos, or what a camera films just now."""

import glob
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hardware import HardwareError
from imgstore import ImgstoreError
from tools.console import err, json_text, out, parse_pairs, show, stage_bars, times_text
from tools.live_frames import feed_frames
from tools.options import Json
from tools.record_run import terminated
from tracking import (
    LAYOUTS,
    TRACKERS,
    Retracked,
    StopFlag,
    TrackingError,
    TrackPlan,
    Workforce,
    load_settings,
    mean_share,
    open_scheduler,
    open_slurm,
    plan_like,
    resume,
    retrack,
    share_text,
    slurm_script,
    track_live,
)

_FEED = "feed:"
_LIVE_TRACKER = "adaptive"
_FEED_WAIT_S = 3.0
_SLURM_JOBS = 4
_STOPPED = 130
_MOST_PROBLEMS = 3  # that are named


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one source: a result, or why there is none."""

    source: str
    done: Retracked | None = None
    error: str = ""

    @property
    def is_stopped(self) -> bool:
        return self.done is not None and self.done.summary.stopped

    @property
    def state(self) -> str:
        if self.done is None:
            return "failed"
        return "stopped" if self.is_stopped else "complete"


def track(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders of stores, video files, patterns such as 'rig*/*.store', or feed:NAME for the live "
            "feed of a recording."
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            help=f"Where the regions are: {', '.join(LAYOUTS.names())} (settings may follow: wells:96), "
            "a YAML or JSON file, or a mask picture. `ethostore layout` finds, shows and checks them. "
            "Default: whole-frame."
        ),
    ] = None,
    tracker: Annotated[
        str | None,
        typer.Option(
            help=f"One of: {', '.join(TRACKERS.names())}. Default: archive; live and with --follow adaptive."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="NAME=VALUE of the tracker; may be repeated. `ethostore trackers NAME` lists them.",
        ),
    ] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option("--settings", help="YAML file of settings, lines `name: value`; --set goes before it."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            help="Take layout, regions, tracker and settings from this result, but for those given."
        ),
    ] = None,
    result_file: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Result file. Default: in the store (beside a video), named by time and tracker."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    resumed: Annotated[
        Path | None,
        typer.Option("--resume", help="Go on with the run of this result, which was stopped or killed."),
    ] = None,
    realign: Annotated[
        bool | None,
        typer.Option(
            "--realign/--no-realign",
            help="Move the regions, which are those of the beginning, when the camera or the arena is "
            "knocked; `ethostore info` of the result says when and by how much.",
            show_default="no-realign",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is appended to the store, until it is closed.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait for a feed that nobody writes yet."),
    ] = _FEED_WAIT_S,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that look at frames, or jobs of --slurm; the result is the same with any number. "
            "Default: as many as processors, where it is worth.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Spread over the Dask cluster of this scheduler, tcp://HOST:PORT.", metavar="ADDRESS"
        ),
    ] = None,
    slurm: Annotated[
        bool,
        typer.Option(
            "--slurm",
            help="Spread over SLURM jobs; Dask's jobqueue.yaml says how long each may run, and all else.",
        ),
    ] = False,
    show_script: Annotated[
        bool,
        typer.Option("--slurm-script", help="Print the script that --slurm submits for each job, and end."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Track the animals in each region and write the positions to an HDF5 file beside the recording.

    A layout file holds `regions`, each a polygon or a circle, in frame pixels:

        regions:
          - {circle: [308, 235, 215]}
          - {polygon: [[10, 10], [200, 10], [200, 90], [10, 90]], value: 3, name: left}

    or `grid`, rows and columns between three round black targets; LAYOUTS.md tells what else. Ctrl-C stops;
    what was tracked is kept, and --resume RESULT goes on with it.

    Of several sources, those that fail are listed, and the others are tracked all the same.
    """
    if show_script:
        out.print(slurm_script(), markup=False, highlight=False, soft_wrap=True)
        return
    if scheduler is not None and slurm:
        raise typer.BadParameter(
            "--scheduler and --slurm exclude each other: both say where the work is done"
        )
    given = {
        **(load_settings(settings_file) if settings_file else {}),
        **parse_pairs("--set", settings or []),
    }
    found = [] if resumed is not None else _find_sources(sources or [])
    if result_file is not None and len(found) > 1:
        raise typer.BadParameter(f"--out names one file, and there are {len(found)} sources")
    if resumed is not None:
        moved = _one_or_none(sources, layout, tracker, given, like, result_file, force, follow, realign)
        plan = TrackPlan()
    else:
        live = follow or all(source.startswith(_FEED) for source in found)
        plan = _plan(layout, tracker or (_LIVE_TRACKER if live and not like else None), given, like, realign)
    with ExitStack() as stack:
        stop = stack.enter_context(terminated())
        progress = stack.enter_context(stage_bars())
        workforce = _workforce(scheduler, workers or _SLURM_JOBS if slurm else 0, stack)

        def work(source: str) -> Retracked:
            if source.startswith(_FEED):
                frames = feed_frames(source.removeprefix(_FEED), stack, wait)
                return track_live(frames, source, plan=plan, out=result_file, stop=stop, progress=progress)
            return retrack(
                source,
                plan=plan,
                out=result_file,
                force=force,
                follow=follow,
                workers=workers,
                workforce=workforce,
                stop=stop,
                progress=progress,
            )

        if resumed is not None:
            done = resume(
                resumed, source=moved, workers=workers, workforce=workforce, stop=stop, progress=progress
            )
            outcomes = [_Outcome(str(resumed), done)]
        elif len(found) == 1:
            outcomes = [_Outcome(found[0], work(found[0]))]
        else:
            outcomes = _all(found, work, stop)
    _tell(outcomes, as_json=as_json)


def _workforce(scheduler: str | None, jobs: int, stack: ExitStack) -> Workforce | None:
    """Return the cluster of a scheduler, or of SLURM jobs if there are to be some; `stack` lets go of it."""
    if scheduler is not None:
        return stack.enter_context(open_scheduler(scheduler))
    if not jobs:
        return None
    workforce = stack.enter_context(open_slurm(jobs))
    err.print(f"{jobs} SLURM jobs are submitted; it goes on when the first of them runs (squeue --me)")
    return workforce


def _one_or_none(sources: list[str] | None, *others: object) -> str | None:
    """Return the only source that goes with --resume, where a recording lies elsewhere by now."""
    if any(others) or len(sources or []) > 1:
        raise typer.BadParameter(
            "--resume goes on as the run began, without --layout, --tracker, --set, --settings, --like, "
            "--realign or --out, and with one source at most, where the recording lies elsewhere by now"
        )
    return sources[0] if sources else None


def _find_sources(given: list[str]) -> list[str]:
    """Return what is to be tracked; what names nothing, and is a pattern, stands for what it matches."""
    found: list[str] = []
    for source in given:
        if source.startswith(_FEED) or Path(source).exists() or not glob.has_magic(source):
            found.append(source)
            continue
        matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207  # patterns may be absolute
        if not matches:
            raise typer.BadParameter(f"nothing matches {source!r}")
        found += matches
    if not found:
        raise typer.BadParameter(
            "give what to track: stores, videos, a pattern, feed:NAME, or --resume RESULT"
        )
    return list(dict.fromkeys(found))


def _plan(
    layout: str | None,
    tracker: str | None,
    settings: Mapping[str, object],
    like: Path | None,
    realign: bool | None,
) -> TrackPlan:
    plan = TrackPlan() if like is None else plan_like(like)
    if layout is not None:
        plan = replace(plan, layout=layout, regions=None)
    if tracker is not None and tracker != plan.tracker:
        plan = replace(plan, tracker=tracker, settings={})
    if realign is not None:
        plan = replace(plan, realign=realign)
    plan = replace(plan, settings={**plan.settings, **settings})
    plan.check()
    return plan


def _all(sources: list[str], work: Callable[[str], Retracked], stop: StopFlag) -> list[_Outcome]:
    """Track one after the other; those that fail do not keep the others from it."""
    outcomes: list[_Outcome] = []
    for place, source in enumerate(sources, 1):
        err.print(f"{place}/{len(sources)} {source}", markup=False)
        try:
            outcomes.append(_Outcome(source, work(source)))
        except (ImgstoreError, TrackingError, HardwareError, OSError) as exc:
            outcomes.append(_Outcome(source, error=str(exc)))
            err.print(f"[bold red]error:[/] {escape(str(exc))}")
        if outcomes[-1].is_stopped or stop.is_set():
            break
    return outcomes


def _tell(outcomes: list[_Outcome], *, as_json: bool) -> None:
    if len(outcomes) == 1 and outcomes[0].done is not None:
        facts = _facts(outcomes[0].done)
        show(facts if as_json else _readable(facts), as_json=as_json)
    elif as_json:
        sys.stdout.write(json_text([_entry(outcome) for outcome in outcomes]) + "\n")
    else:
        out.print(_table(outcomes))
    if any(outcome.done is None for outcome in outcomes):
        raise typer.Exit(1)
    if any(outcome.is_stopped for outcome in outcomes):
        err.print(
            "stopped before the end; what was tracked so far is in the result, --resume goes on with it"
        )
        raise typer.Exit(_STOPPED)


def _facts(done: Retracked) -> dict[str, object]:
    summary = done.summary
    return {
        "result": str(done.path),
        "regions": len(done.regions.rois),
        "notes": list(done.notes),
        "targets": [[round(float(x), 2), round(float(y), 2)] for x, y in done.regions.targets],
        "frames": summary.frames,
        "unread": summary.unread,
        "missing": summary.missing,
        "realigned": summary.realigned,
        "problems": list(done.problems),
        "shift": round(done.shift, 2),
        "points": summary.points,
        "found": mean_share(summary.found),
        "found_by_region": summary.found,
        "state": "stopped" if summary.stopped else "complete",
    }


def _entry(outcome: _Outcome) -> dict[str, object]:
    if outcome.done is None:
        return {"source": outcome.source, "state": "failed", "error": outcome.error}
    return {"source": outcome.source, **_facts(outcome.done)}


def _table(outcomes: list[_Outcome]) -> Table:
    table = Table("source", "state", "frames", "found", "result", box=None, pad_edge=False)
    for outcome in outcomes:
        table.add_row(*map(escape, _row(outcome)))
    return table


def _row(outcome: _Outcome) -> tuple[str, ...]:
    if outcome.done is None:
        return (outcome.source, "failed", "", "", outcome.error)
    facts = _facts(outcome.done)
    return (
        outcome.source,
        outcome.state,
        f"{facts['frames']}",
        share_text(mean_share(outcome.done.summary.found)),
        f"{facts['result']}",
    )


def _readable(facts: dict[str, object]) -> dict[str, object]:
    by_region: dict[int, float] = dict(facts["found_by_region"])  # type: ignore[call-overload]  # it is one
    poor = [f"{number} ({share_text(found, 0)})" for number, found in by_region.items() if 0 < found < 0.9]
    never = [f"{number}" for number, share in by_region.items() if share == 0]
    readable = {
        "result": facts["result"],
        "regions": facts["regions"],
        "found": f"{facts['points']} positions in {facts['frames']} frames; an animal in "
        f"{share_text(mean_share(by_region))} of them, on average over regions",
        "often missed": f"in region {', '.join(poor)}" if poor else "in no region",
    }
    realigned = int(str(facts["realigned"]))
    if realigned:
        readable["realigned"] = f"{times_text(realigned)}; `ethostore info` says when, and by how much"
    if shift := facts["shift"]:
        readable["moved"] = (
            f"the camera seems to have moved by {shift:.1f} px from start to end; --realign follows it"
        )
    if problems := facts["problems"]:
        readable["problems"] = _problems_text(problems)  # type: ignore[arg-type]  # texts
    if notes := facts["notes"]:
        readable["note"] = "; ".join(notes)  # type: ignore[arg-type]  # texts
    if never:
        readable["never found"] = f"in region {', '.join(never)}"
    if facts["missing"]:
        readable["missing"] = (
            f"{facts['missing']} frames that the camera counted; `ethostore info` says which"
        )
    if facts["unread"]:
        readable["broken"] = f"{facts['unread']} frames, which could not be read; `ethostore info` says which"
    return readable


def _problems_text(problems: list[str]) -> str:
    """Return what is missing or broken in a recording; some of it, if it is much."""
    more = len(problems) - _MOST_PROBLEMS
    rest = f"; and {more} more, see `ethostore info`" if more > 0 else ""
    return "; ".join(problems[:_MOST_PROBLEMS]) + rest
