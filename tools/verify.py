"""Say what is wrong with stores."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

import imgstore
from imgstore import SEVERITIES, Finding, NotAStoreError, Severity, Verification
from tools.console import json_text, out, show_table, stage_bars
from tools.options import Json

_COLOURS: Mapping[Severity, str] = {"error": "red", "warning": "yellow", "note": "dim"}
_RESULTS = ".h5"


def verify(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Folders of stores.")],
    fast: Annotated[
        bool, typer.Option("--fast", help="Only checksums and indexes; decode no frame.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Chunks that are read at the same time; else one per core.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read all of a store and say in one table what is wrong with it. Nothing is changed.

    Every frame is decoded; the frames of each chunk are counted against its index and its journal; files are
    compared with the checksums that were recorded when the chunk was finished; numbers, times and extra data
    are looked through. It works on stores that are being written, on those of a writer that died, and on
    those of other writers, which have no checksums.

    An *error* is something lost, wrong or unfinished: damaged files, frames that cannot be read, missing
    chunks. A *warning* is odd, but everything can be read: times that step back, say. A *note* is good to
    know: frames that the camera lost. Frames are given by their index in the store.

    Exits with 0 if there is no error in any store, 1 if there is.
    """
    done = [_verify(store, fast, workers) for store in stores]
    if as_json:
        sys.stdout.write(json_text([_facts(one) for one in done]) + "\n")
    else:
        for one in done:
            _show(one)
    if not all(one.ok for one in done):
        raise typer.Exit(1)


def _verify(store: Path, fast: bool, workers: int | None) -> Verification:
    if store.is_file() and store.suffix == _RESULTS:
        raise NotAStoreError(f"{store} is a file of results, not a store; give the folder of a store")
    with stage_bars() as update:
        return imgstore.verify(
            store,
            decode=not fast,
            workers=workers,
            progress=lambda done, total: update(store.name[:30] or "frames", done, total),
        )


def _show(found: Verification) -> None:
    if found.findings:
        show_table(_table(found))
    looked = f"{found.decoded} decoded, " if found.decoded else ""
    counts = ", ".join(f"{found.count(severity)} {severity}s" for severity in SEVERITIES)
    out.print(
        f"{found.path}: {counts}; {found.frames} frames in {found.chunks} chunks, "
        f"{looked}{found.checksums} checksums compared; {found.state}",
        markup=False,
    )


def _table(found: Verification) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for name in ("severity", "chunk", "file", "frames"):
        table.add_column(name, no_wrap=True)
    table.add_column("what is wrong", overflow="fold")
    for finding in found.findings:
        colour = _COLOURS[finding.severity]
        chunk = "" if finding.chunk is None else str(finding.chunk)
        table.add_row(
            f"[{colour}]{finding.severity}[/]",
            chunk,
            escape(finding.file),
            _frames_text(finding),
            escape(finding.what),
        )
    return table


def _frames_text(finding: Finding) -> str:
    frames = finding.frames
    if len(frames) < 2:
        return str(frames.start) if len(frames) else ""
    return f"{frames.start}-{frames.stop - 1}"


def _facts(found: Verification) -> dict[str, Any]:
    return {
        "store": str(found.path),
        "ok": found.ok,
        "state": found.state,
        "chunks": found.chunks,
        "frames": found.frames,
        "decoded": found.decoded,
        "checksums": found.checksums,
        "findings": [
            {
                "severity": finding.severity,
                "chunk": finding.chunk,
                "file": finding.file,
                "first_frame": finding.frames.start if len(finding.frames) else None,
                "last_frame": finding.frames.stop - 1 if len(finding.frames) else None,
                "what": finding.what,
            }
            for finding in found.findings
        ],
    }
