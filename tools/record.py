"""Record a camera, or a video as if it were one, into a store."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

import imgstore
from hardware import (
    SOURCES,
    CameraSettings,
    Recorder,
    RecordLimit,
    RecordProgress,
    open_camera,
    without_secrets,
)
from imgstore import DEFAULT_FORMAT, FORMATS, FrameSink, FrameSpec, MetadataError
from tools.console import duration_text, err, folder_size, parse_pairs, parse_time, show, size_text

_SIZE_INTERVAL_S = 2.0


def record(
    source: Annotated[str, typer.Argument(help=f"What to record: {SOURCES}.")],
    store: Annotated[Path, typer.Argument(help="Folder of the new store; it must not exist.")],
    chunk_format: Annotated[
        str, typer.Option("--format", help=f"How frames are kept: {', '.join(FORMATS.names())}.")
    ] = DEFAULT_FORMAT,
    seconds: Annotated[float | None, typer.Option(help="Stop after this time.")] = None,
    frames: Annotated[int | None, typer.Option(help="Stop after this many frames.")] = None,
    chunksize: Annotated[
        int | None, typer.Option(help="Frames per chunk. Default: 10000 for video, 200 for images.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Size to ask the camera for, as 1280x960.")] = None,
    rate: Annotated[float | None, typer.Option(help="Frames per second to ask the camera for.")] = None,
    colour: Annotated[bool, typer.Option("--colour", help="Keep colour; default is grey.")] = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play a video or the simulation at its own pace.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            help="Time of the first frame of a video or the simulation: Unix seconds or ISO 8601 "
            "(local unless it names a zone). Default: now."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulation.")] = None,
    meta: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE to keep in the store's metadata; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Record SOURCE into a new store until it ends, a limit is reached, or Ctrl-C.

    A video keeps its own times and is read as fast as it can be. However it ends, the store is whole.
    """
    settings = CameraSettings(
        size=_parse_size(size),
        rate=rate,
        colour=colour,
        realtime=realtime,
        start_time=parse_start(start),
        seed=seed,
    )
    metadata = {
        "source": without_secrets(source),
        "software": f"ethostore {imgstore.__version__}",
        **parse_meta(meta or []),
    }

    def open_sinks(spec: FrameSpec) -> list[FrameSink]:
        return [
            imgstore.create(
                store, spec.shape, spec.dtype, format=chunk_format, chunksize=chunksize, metadata=metadata
            )
        ]

    FORMATS.get(chunk_format)  # a typo is told before the camera is opened
    limit = RecordLimit(frames=frames, seconds=seconds)
    recorder = Recorder(open_camera(source, settings), open_sinks, limit=limit)
    with progress_line(store) as progress, _terminated() as stop:
        summary = recorder.run(progress, stop)
    facts = {
        "store": str(store),
        "frames": summary.frames,
        "dropped": summary.dropped,
        "seconds": round(summary.seconds, 3),
        "bytes": folder_size(store),
        "stopped_by": summary.stopped_by,
    }
    readable = {
        "store": store,
        "frames": f"{summary.frames}, {summary.dropped} dropped",
        "took": duration_text(summary.seconds),
        "size": size_text(folder_size(store)),
        "ended by": _REASONS[summary.stopped_by],
    }
    show(facts if as_json else readable, as_json=as_json)


_REASONS = {
    "end": "the end of the source",
    "limit": "the limit",
    "interrupt": "Ctrl-C; everything so far is in the store",
    "stop": "a signal; everything so far is in the store",
}


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


@contextmanager
def progress_line(store: Path) -> Iterator[Callable[[RecordProgress], None] | None]:
    """Show one line with frames, rate, time and size on the terminal; nothing where there is none."""
    if not err.is_terminal:
        yield None
        return
    measured_at, measured = 0.0, 0
    with Live(console=err, auto_refresh=False, transient=True) as live:

        def update(now: RecordProgress) -> None:
            nonlocal measured_at, measured
            if time.monotonic() - measured_at > _SIZE_INTERVAL_S:
                measured_at, measured = time.monotonic(), folder_size(store)
            moment = datetime.fromtimestamp(now.time).astimezone() if now.time is not None else None
            parts = [
                f"{now.frames} frames",
                f"{now.rate:.1f}/s",
                f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "waiting for the first frame",
                duration_text(round(now.seconds, 1)),
                size_text(measured),
                f"{now.dropped} dropped" if now.dropped else "none dropped",
            ]
            live.update(Text("  ".join(parts), overflow="ellipsis", no_wrap=True), refresh=True)

        yield update


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    columns, _, rows = text.lower().partition("x")
    if not (columns.isdigit() and rows.isdigit()):
        raise typer.BadParameter(f"--size is columns x rows, as 1280x960, got {text!r}")
    return int(rows), int(columns)


def parse_start(text: str | None) -> float | None:
    """Return what --start says in Unix seconds, None if nothing. Raises typer.BadParameter."""
    if text is None:
        return None
    moment = parse_time("--start", text)
    return moment.timestamp() if isinstance(moment, datetime) else moment  # without a zone it is local


def parse_meta(pairs: list[str]) -> dict[str, object]:
    """Return what the values of --meta, each KEY=VALUE, say; a value is YAML. Raises typer.BadParameter."""
    metadata: dict[str, object] = {}
    for key, text in parse_pairs("--meta", pairs).items():
        try:
            metadata[key] = imgstore.parse_yaml(text.encode(errors="replace"))
        except MetadataError:
            metadata[key] = text
    return metadata
