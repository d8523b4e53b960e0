"""Export a result to other formats."""

from pathlib import Path
from typing import Annotated

import typer

import tracking
from tools.console import err, parse_pairs, show
from tools.options import Json


def export(
    result: Annotated[Path, typer.Argument(help="Result file (*.tracks.h5).")],
    out: Annotated[Path | None, typer.Argument(help="The same as --to.", show_default=False)] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            help="File to write; its ending names the format. With --format ethoscope also the folder of "
            "all results, below which the file gets ethoscope's own path."
        ),
    ] = None,
    export_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"Instead of the ending: {', '.join(tracking.EXPORTERS.names())}.",
            metavar="NAME",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="NAME=VALUE of the format; may be repeated. ethoscope: machine_name, machine_id, "
            "snapshots=300 (seconds between pictures, 0 for none). nwb: description, experimenter, lab, "
            "institution, subject, species, sex=U, age=P5D. sleap-analysis, slp: video (path to show).",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Write a result in another format.

    The ending of the file names it. What is in brackets needs `pip install 'ethostore[NAME]'`:

        .csv      csv             a row per animal and frame, for anything
        .parquet  parquet         the same with types, for pandas, polars, R [parquet]
        .db       ethoscope       ethoscope's file, for ethoscopy and rethomics
        .nwb      nwb             Neurodata Without Borders, for archives [nwb]
        .h5       sleap-analysis  SLEAP's analysis file, for movement and MATLAB
        .slp      slp             SLEAP's project file, for its viewer and sleap-io
        .nc       movement        netCDF for the package movement, with real times

    tracking/EXPORT.md says what each keeps and what not. Positions are in pixels of the frame, times in
    seconds since the Unix epoch, unless a format has its own.

        ethostore export flies.tracks.h5 --to flies.parquet

        ethostore export flies.tracks.h5 --to all/ --format ethoscope --set machine_name=ETHOSCOPE_014
    """
    if (to is None) == (out is None):
        raise typer.BadParameter("give one file to write, with --to")
    done = tracking.export(
        result,
        to or out or "",
        format=export_format,
        settings=parse_pairs("--set", settings or []),
        force=force,
    )
    if as_json:
        show({"written": str(done.path), "left_out": list(done.left_out)}, as_json=True)
        return
    show({"written": str(done.path)}, as_json=False)
    for what in done.left_out:
        err.print(f"without {what}", markup=False)
