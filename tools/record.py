"""Record cameras, or videos as if they were some, into stores."""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

import imgstore
from hardware import (
    SOURCES,
    CameraJob,
    CameraSettings,
    HardwareError,
    Outcome,
    RecordLimit,
    RecordProgress,
    RigRecorder,
    Saving,
    StoreSpec,
)
from imgstore import DEFAULT_FORMAT, FORMATS, ImgstoreError, MetadataError
from tools.console import duration_text, err, folder_size, out, parse_pairs, parse_time, show, size_text
from tools.options import parse_size
from tools.record_display import display, json_event, keys

LOST_FRAMES = 3
"""Exit code of a recording that is whole but for frames that were lost, more than were allowed."""

_GB = 1_000_000_000
_MB = 1_000_000


def record(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... STORE",
            help=f"What to record: {SOURCES}; then the folder of the new store, which must not exist. "
            "Of several sources each gets a store in that folder.",
        ),
    ],
    chunk_format: Annotated[
        str,
        typer.Option(
            "--format",
            rich_help_panel="The store",
            help=f"How frames are kept: {', '.join(FORMATS.names())}.",
        ),
    ] = DEFAULT_FORMAT,
    profile: Annotated[
        str | None,
        typer.Option(
            "--settings", rich_help_panel="The store", help="fast, balanced (default), small or lossless."
        ),
    ] = None,
    chunksize: Annotated[
        int | None,
        typer.Option(
            rich_help_panel="The store", help="Frames per chunk. Default: 10000 for video, 200 for images."
        ),
    ] = None,
    chunk_seconds: Annotated[
        float | None, typer.Option(rich_help_panel="The store", help="Seconds per chunk, instead.")
    ] = None,
    meta: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel="The store", help="KEY=VALUE to keep in the store's metadata; may be repeated."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(rich_help_panel="When", help="Stop after this time.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(rich_help_panel="When", help="Stop after this many frames.")
    ] = None,
    gigabytes: Annotated[
        float | None, typer.Option(rich_help_panel="When", help="Stop at this size of a store, in GB.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(rich_help_panel="When", help="Stop at this time: Unix seconds or ISO 8601."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(rich_help_panel="When", help="Begin to save at this time: Unix seconds or ISO 8601."),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", rich_help_panel="When", help="Do not save before the key s is pressed."),
    ] = False,
    pre_trigger: Annotated[
        float,
        typer.Option(
            rich_help_panel="When", help="Seconds from before saving begins that are saved too, with --wait."
        ),
    ] = 0.0,
    size: Annotated[
        str | None, typer.Option(rich_help_panel="The camera", help="Size to ask for, as 1280x960.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(rich_help_panel="The camera", help="Frames per second to ask for.")
    ] = None,
    colour: Annotated[
        bool, typer.Option("--colour", rich_help_panel="The camera", help="Keep colour; default is grey.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            rich_help_panel="The camera",
            help="NAME=VALUE of a setting of this kind of camera, as exposure=5; may be repeated.",
        ),
    ] = None,
    realtime: Annotated[
        bool,
        typer.Option(
            "--realtime",
            rich_help_panel="The camera",
            help="Play a video or the simulation at its own pace.",
        ),
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            rich_help_panel="The camera",
            help="Time of the first frame of a video or the simulation: Unix seconds or ISO 8601 "
            "(local unless it names a zone). Default: now.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(rich_help_panel="The camera", help="Seed of the simulation.")
    ] = None,
    memory: Annotated[
        int, typer.Option(rich_help_panel="Faults", help="MB of frames that may wait to be written.")
    ] = 256,
    silence: Annotated[
        float,
        typer.Option(
            rich_help_panel="Faults", help="Seconds without a frame after which a camera is started again."
        ),
    ] = 5.0,
    give_up: Annotated[
        float | None,
        typer.Option(
            rich_help_panel="Faults", help="Seconds after which a lost camera is given up. Default: never."
        ),
    ] = None,
    reserve: Annotated[
        float,
        typer.Option(
            rich_help_panel="Faults", help="GB that are left free: recording ends before it takes them."
        ),
    ] = 1.0,
    allow_lost: Annotated[
        int,
        typer.Option(
            rich_help_panel="Faults",
            help=f"Lost frames of a camera with which the exit code still is 0, and not {LOST_FRAMES}.",
        ),
    ] = 0,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print events as they happen, a JSON object a line, the sum last."),
    ] = False,
) -> None:
    """Record SOURCE into a new store until it ends, a limit is reached, q or Ctrl-C.

    A video keeps its own times and is read as fast as it can be. However it ends, the store is whole. A
    camera that is unplugged is looked for until it is back. Every frame that is lost is counted and written
    down.
    """
    if len(targets) < 2:
        raise typer.BadParameter("give what to record and, last, the folder of the new store")
    *sources, folder = targets
    FORMATS.get(chunk_format)  # a typo is told before the camera is opened
    settings = CameraSettings(
        size=None if size is None else parse_size("--size", size),
        rate=rate,
        colour=colour,
        realtime=realtime,
        start_time=_moment("--start", start),
        seed=seed,
        options=parse_pairs("--set", set_ or []),
    )
    limit = RecordLimit(
        frames=frames,
        seconds=seconds,
        bytes=None if gigabytes is None else round(gigabytes * _GB),
        until=_moment("--until", until),
    )
    store = StoreSpec(
        Path(folder),
        format=chunk_format,
        settings=profile,
        chunksize=chunksize,
        chunk_s=chunk_seconds,
        metadata={"software": f"ethostore {imgstore.__version__}", **parse_meta(meta or [])},
    )
    job = CameraJob(
        "camera",
        sources[0],
        (store,),
        settings,
        limit=limit,
        saving=Saving(at_once=not wait, start_at=_moment("--at", at), pre_trigger_s=pre_trigger),
        memory=memory * _MB,
        silence_s=silence,
        give_up_s=give_up,
        reserve=round(reserve * _GB),
    )
    jobs = [job] if len(sources) == 1 else _one_each(job, sources)
    finish(
        run_jobs(jobs, as_json=as_json), allow_lost={job.name: allow_lost for job in jobs}, as_json=as_json
    )


def run_jobs(jobs: Sequence[CameraJob], *, as_json: bool) -> dict[str, Outcome]:
    """Record cameras, one in this process and several in one each, with a display and keys.

    Raises what the recorder of a single camera raises.
    """
    asked = {job.name: job.settings.rate for job in jobs}
    with display(asked, as_json=as_json) as watch, _terminated() as stop:
        if len(jobs) > 1:
            rig = RigRecorder(jobs)
            with keys(rig, stop):
                return rig.run(watch, stop)
        (job,) = jobs
        recorder = job.recorder()

        def watch_one(progress: RecordProgress) -> None:
            watch({job.name: progress})

        with keys(recorder, stop):
            stores = tuple(store.path for store in job.stores)
            try:
                recorder.run(watch_one, stop)
            except (HardwareError, ImgstoreError) as exc:
                if recorder.summary is None or not recorder.summary.captured:
                    raise
                return {job.name: Outcome(stores, recorder.summary, str(exc))}
            return {job.name: Outcome(stores, recorder.summary)}


def finish(outcomes: Mapping[str, Outcome], *, allow_lost: Mapping[str, int], as_json: bool) -> None:
    """Print what became of each camera; exit with 1 if one failed, 3 if too many frames were lost."""
    for name, outcome in outcomes.items():
        facts = {"camera": name, **_facts(outcome)} if len(outcomes) > 1 or as_json else _facts(outcome)
        if as_json:
            json_event("ended", facts)
        else:
            show(_readable(name if len(outcomes) > 1 else None, outcome), as_json=False)
            if outcome is not list(outcomes.values())[-1]:
                out.print()
    for name, outcome in outcomes.items():
        if outcome.error is not None:
            err.print(f"[bold red]error:[/] {name}: ", end="")
            err.print(outcome.error, markup=False)
    if any(outcome.error is not None for outcome in outcomes.values()):
        raise typer.Exit(1)
    lost = {
        name: outcome.summary.dropped for name, outcome in outcomes.items() if outcome.summary is not None
    }
    if any(count > allow_lost.get(name, 0) for name, count in lost.items()):
        err.print("frames were lost; `ethostore info` says which and why")
        raise typer.Exit(LOST_FRAMES)


def _facts(outcome: Outcome) -> dict[str, object]:
    summary = outcome.summary
    return {
        "store": str(outcome.stores[0]) if outcome.stores else None,
        "stores": [str(path) for path in outcome.stores],
        "frames": summary.frames if summary else None,
        "captured": summary.captured if summary else None,
        "dropped": summary.dropped if summary else None,
        "lost": dict(summary.lost) if summary else None,
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
    facts["took"] = duration_text(summary.seconds)
    facts["size"] = size_text(sum(folder_size(path) for path in outcome.stores))
    facts["ended by"] = "an error" if summary.stopped_by is None else _REASONS[summary.stopped_by]
    if outcome.deaths:
        facts["died"] = f"its process {outcome.deaths} times; it was started again"
    return facts


_REASONS = {
    "end": "the end of the source",
    "limit": "the limit",
    "interrupt": "Ctrl-C; everything so far is in the store",
    "disk": "the disk, which is nearly full; everything so far is in the store",
    "stop": "q or a signal; everything so far is in the store",
}


def _one_each(job: CameraJob, sources: Sequence[str]) -> list[CameraJob]:
    """Return a job for each source, its store in the folder of the first, called camera1, camera2 ..."""
    jobs = []
    for place, source in enumerate(sources, 1):
        name = f"camera{place}"
        stores = tuple(replace(store, path=store.path / name) for store in job.stores)
        jobs.append(replace(job, name=name, source=source, stores=stores))
    return jobs


@contextmanager
def _terminated() -> Iterator[threading.Event]:
    """Set an event when the system asks to end: the machine shuts down, or the terminal is closed."""
    asked = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _moment(option: str, text: str | None) -> float | None:
    """Return a time in Unix seconds, None if none is given. Raises typer.BadParameter."""
    if text is None:
        return None
    moment = parse_time(option, text)
    return moment.timestamp() if isinstance(moment, datetime) else moment  # without a zone it is local


def parse_start(text: str | None) -> float | None:
    """Return what --start says in Unix seconds, None if nothing. Raises typer.BadParameter."""
    return _moment("--start", text)


def parse_meta(pairs: list[str]) -> dict[str, object]:
    """Return what the values of --meta, each KEY=VALUE, say; a value is YAML. Raises typer.BadParameter."""
    metadata: dict[str, object] = {}
    for key, text in parse_pairs("--meta", pairs).items():
        try:
            metadata[key] = imgstore.parse_yaml(text.encode(errors="replace"))
        except MetadataError:
            metadata[key] = text
    return metadata
