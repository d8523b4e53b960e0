"""Say how two results differ."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.table import Table

import imgstore
import tracking
from imgstore import FrameSequence
from tools.console import err, number_text, show, show_table
from tools.console import out as console
from tools.options import Json
from tracking import Agreement, Comparison, Results, ResultSide

_LISTED = 5


def compare(
    a: Annotated[Path, typer.Argument(help="Result file (*.tracks.h5).")],
    b: Annotated[
        Path | None, typer.Argument(help="Another result of the same recording; none with --truth.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="CSV of known positions: columns frame, x, y (or x_abs, pos_x ...) in pixels, roi if "
            "there are several regions, identity if there are several animals; rows with valid = 0 are "
            "left out."
        ),
    ] = None,
    first_frame: Annotated[
        int, typer.Option(help="What the CSV calls the first frame of the recording.")
    ] = 0,
    radius: Annotated[
        float, typer.Option(help="Pixels within which two positions are taken for one.")
    ] = 10.0,
    out: Annotated[
        Path | None, typer.Option(help="Picture to write of the worst frames: .png or .jpg.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="The recording, for --out. Default: where A says that it lies.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Print how far two results agree: who was found in one only, and how far apart the others are.

    In every frame that both speak of, the animals of a region are paired, nearest first, whatever their
    identities; where there are several, it is told how these fit. With --truth, A (and B, if it is given) is
    compared with known positions.

        ethostore compare new.tracks.h5 old.tracks.h5 --out worst.png

        ethostore compare new.tracks.h5 --truth truth.csv.gz
    """
    if b is None and truth is None:
        raise typer.BadParameter("give another result to compare with, or --truth")
    if b is not None and ".csv" in b.suffixes:
        raise typer.BadParameter(
            f"{b} is a table: give it as --truth {b}, or make a result of it with ethostore import-tracks"
        )
    if out is not None:
        _check_picture(out, force=force)
    with ExitStack() as stack:
        results = [stack.enter_context(tracking.open_results(path)) for path in (a, b) if path is not None]
        found = _compare_all(results, truth, first_frame, radius)
        if out is not None:
            frames = stack.enter_context(tracking.open_source_of(results[0], source))
            _write_picture(out, found[-1], frames)
    if as_json:
        show({"comparisons": [asdict(one) for one in found]}, as_json=True)
        return
    for one in found:
        _show(one)
    if out is not None:
        console.print(f"picture of the worst frames: {out}", markup=False)


def _compare_all(
    results: list[Results], truth: Path | None, first_frame: int, radius: float
) -> list[Comparison]:
    sides = [ResultSide(one) for one in results]
    if truth is None:
        if doubt := tracking.check_same_recording(*results):
            err.print(f"note: {doubt}", markup=False)
        return [tracking.compare(sides[0], sides[1], radius=radius)]
    known = tracking.read_truth(truth, first_frame=first_frame)
    if len(known.indices) and known.indices[0] == 1 and not first_frame and sides[0].indices[0] == 0:
        err.print("note: the first known frame is 1; if the CSV counts from 1, give --first-frame 1")
    return [tracking.compare(side, known, radius=radius) for side in sides]


def _check_picture(out: Path, *, force: bool) -> None:
    if out.suffix.lower() not in (".png", ".jpg"):
        raise typer.BadParameter(f"--out ends in .png or .jpg, got {str(out)!r}")
    if out.exists() and not force:
        raise tracking.ResultExistsError(f"{out} exists already; give another name, or --force")


def _write_picture(out: Path, found: Comparison, frames: FrameSequence) -> None:
    image = tracking.draw_worst(found, frames)
    with imgstore.replacing(out) as file:
        file.write(cv2.imencode(out.suffix.lower(), image)[1].tobytes())


def _show(found: Comparison) -> None:
    console.print(f"\n{found.a} (A) and {found.b} (B): {found.frames} frames in common", markup=False)
    if found.frames < max(found.frames_a, found.frames_b):
        console.print(f"A speaks of {found.frames_a} frames, B of {found.frames_b}")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("region", "both", "only A", "only B", "median (px)", "95 %", "largest"):
        table.add_column(title, justify="right")
    table.add_column(f"of B within {found.radius:g} px", justify="right")
    if several := found.whole.same == found.whole.same:
        table.add_column("same identity", justify="right")
        table.add_column("switches", justify="right")
    for one in found.regions:
        table.add_row(str(one.roi), *_cells(one, several=several))
    table.add_section()
    table.add_row("all", *_cells(found.whole, several=several), style="bold")
    show_table(table)
    worst = [one for one in found.worst[:_LISTED] if one.distance > 0]
    if worst:
        each = (f"{one.index} (region {one.roi}, {one.distance:.1f} px)" for one in worst)
        console.print(f"worst frames: {', '.join(each)}")
    if found.switches:
        shown = [
            f"{one.index} (region {one.roi}, {one.identity} of B: {one.before} to {one.after} of A)"
            for one in found.switches[:_LISTED]
        ]
        console.print(
            f"switches from frames: {', '.join(shown)}{' ...' if len(found.switches) > _LISTED else ''}"
        )


def _cells(one: Agreement, *, several: bool) -> list[str]:
    distances = [number_text(value, ".2f") for value in (one.median, one.p95, one.largest)]
    cells = [*map(str, (one.both, one.only_a, one.only_b)), *distances, number_text(one.near, ".2%")]
    return [*cells, number_text(one.same, ".2%"), str(one.switches)] if several else cells
