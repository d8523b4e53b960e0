"""Record cameras, or videos as if they were some, into stores."""

import math
import sys
import time
from collections.abc import Sequence
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
    RecordLimit,
    Saving,
    StoreSpec,
)
from imgstore import DEFAULT_FORMAT, FORMATS, MetadataError
from tools.console import parse_pairs, parse_time
from tools.options import parse_size
from tools.record_display import has_keys
from tools.record_rig import record_rig
from tools.record_run import LOST_FRAMES, exit_code, run_jobs, tell, terminated

_GB = 1_000_000_000
_MB = 1_000_000


def record(
    context: typer.Context,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... STORE | RIG.yaml",
            help=f"What to record: {SOURCES}; then the folder of the new store, which must not exist. "
            "Of several sources each gets a store in that folder. Or a rig file, see `ethostore rig`.",
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
        float | None,
        typer.Option(
            rich_help_panel="The store", help="Seconds per chunk, by the times of its frames, instead."
        ),
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
            help="NAME=VALUE of a setting of this kind of camera, as exposure=5; may be repeated. "
            "`ethostore cameras --options` lists them.",
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
    feed: Annotated[
        str | None,
        typer.Option(
            rich_help_panel="Others",
            help="Name of a live feed that other processes may read, `ethostore feed NAME` for one.",
        ),
    ] = None,
    callback: Annotated[
        str | None,
        typer.Option(
            rich_help_panel="Others",
            help="package.module:function that gets each frame and the last ones; "
            "what it returns goes into the extra data.",
        ),
    ] = None,
    callback_process: Annotated[
        bool,
        typer.Option("--callback-process", rich_help_panel="Others", help="Run it in a process of its own."),
    ] = False,
    callback_last: Annotated[
        int, typer.Option(rich_help_panel="Others", help="How many of the last frames it gets.")
    ] = 1,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            rich_help_panel="Others",
            help="Show the picture in a window, with time, rate and queue on it; closing it ends nothing.",
        ),
    ] = False,
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay", rich_help_panel="The store", help="Write number and time into the images, for good."
        ),
    ] = False,
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
    if wait and not has_keys():
        raise typer.BadParameter(
            "--wait waits for the key s, and there is no terminal to press it on; give --at, or start saving "
            "from Python (hardware.Recorder.start_saving)"
        )
    if len(targets) == 1 and targets[0].endswith((".yaml", ".yml")):
        _refuse_others(context)
        record_rig(Path(targets[0]), parse_meta(meta or []), wait=wait, as_json=as_json)
        return
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
    start_at = _moment("--at", at)
    limit = RecordLimit(
        frames=frames,
        seconds=seconds,
        bytes=None if gigabytes is None else _bytes("--gigabytes", gigabytes),
        until=_moment("--until", until),
    )
    plays_the_past = start is not None or any(one.startswith("store:") for one in sources)
    _check_until(limit.until, start_at, None if plays_the_past else time.time())
    if callback is not None:
        sys.path.insert(0, str(Path.cwd()))  # where people keep their own functions
    store = StoreSpec(
        Path(folder),
        format=chunk_format,
        settings=profile,
        chunksize=chunksize,
        chunk_s=chunk_seconds,
        overlay=overlay,
        metadata={"software": f"ethostore {imgstore.__version__}", **parse_meta(meta or [])},
    )
    job = CameraJob(
        "camera",
        sources[0],
        (store,),
        settings,
        limit=limit,
        saving=Saving(at_once=not wait, start_at=start_at, pre_trigger_s=pre_trigger),
        memory=memory * _MB,
        silence_s=silence,
        give_up_s=give_up,
        reserve=_bytes("--reserve", reserve),
        feed=feed,
        callback=callback,
        callback_last=callback_last,
        callback_process=callback_process,
    )
    jobs = [job] if len(sources) == 1 else _one_each(job, sources)
    with terminated() as stop:
        outcomes = run_jobs(jobs, stop, as_json=as_json, preview=preview)
    tell(outcomes, as_json=as_json)
    if code := exit_code(outcomes, dict.fromkeys(outcomes, allow_lost)):
        raise typer.Exit(code)


def _check_until(until: float | None, at: float | None, now: float | None) -> None:
    """Raise typer.BadParameter if a recording would end before it begins.

    Parameters
    ----------
    until, at : Unix times at which it ends and begins; None if that is not said.
    now : None for a recording that is played, whose times may be of any day.
    """
    begins = max((moment for moment in (at, now) if moment is not None), default=None)
    if until is not None and begins is not None and until <= begins:
        ends, first = (
            datetime.fromtimestamp(one).astimezone().isoformat(" ", "seconds") for one in (until, begins)
        )
        raise typer.BadParameter(f"--until is {ends}, and recording begins at {first}; give a later time")


def _refuse_others(context: typer.Context) -> None:
    """Raise typer.BadParameter if anything was asked that a rig file has to say."""
    allowed = ("context", "targets", "meta", "wait", "as_json")
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in allowed and source is not None and source.name == "COMMANDLINE":
            option = "--" + name.strip("_").replace("_", "-")
            raise typer.BadParameter(f"{option} does not go with a rig file: write it there")


def _one_each(job: CameraJob, sources: Sequence[str]) -> list[CameraJob]:
    """Return a job for each source, its store in the folder of the first, called camera1, camera2 ..."""
    jobs = []
    for place, source in enumerate(sources, 1):
        name = f"camera{place}"
        stores = tuple(replace(store, path=store.path / name) for store in job.stores)
        feed = None if job.feed is None else f"{job.feed}{place}"
        jobs.append(replace(job, name=name, source=source, stores=stores, feed=feed))
    return jobs


def _bytes(option: str, gigabytes: float) -> int:
    """Return how many bytes that is. Raises typer.BadParameter."""
    if not math.isfinite(gigabytes):
        raise typer.BadParameter(f"{option} is a number of GB, got {gigabytes}")
    return round(gigabytes * _GB)


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
