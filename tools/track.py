"""Track a store or a video."""

from pathlib import Path
from typing import Annotated

import typer

from tools.console import err, parse_pairs, show, stage_bars
from tracking import LAYOUTS, TRACKERS, load_settings, retrack


def track(
    source: Annotated[Path, typer.Argument(help="Folder of a store, or a video file.")],
    layout: Annotated[
        str,
        typer.Option(help=f"Where the regions are: {', '.join(LAYOUTS.names())}, or a YAML or JSON file."),
    ] = "whole-frame",
    tracker: Annotated[str, typer.Option(help=f"One of: {', '.join(TRACKERS.names())}.")] = "archive",
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
    out: Annotated[
        Path | None,
        typer.Option(help="Result file. Default: in the store (beside a video), named by time and tracker."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Track one animal in each region and write the positions to an HDF5 file beside the recording.

    A layout file holds `regions`, each a polygon or a circle, in frame pixels:

        regions:
          - {circle: [308, 235, 215]}
          - {polygon: [[10, 10], [200, 10], [200, 90], [10, 90]], value: 3, name: left}

    or `grid`, rows and columns between three round black targets. Ctrl-C stops; what was tracked is kept.
    """
    with stage_bars() as progress:
        done = retrack(
            source,
            layout=layout,
            tracker=tracker,
            settings={
                **(load_settings(settings_file) if settings_file else {}),
                **parse_pairs("--set", settings or []),
            },
            out=out,
            force=force,
            progress=progress,
        )
    summary = done.summary
    facts: dict[str, object] = {
        "result": str(done.path),
        "regions": len(done.regions.rois),
        "targets": [[round(float(x), 2), round(float(y), 2)] for x, y in done.regions.targets],
        "frames": summary.frames,
        "points": summary.points,
        "animals": summary.frames * len(done.regions.rois),
        "found": summary.points / max(1, summary.frames * len(done.regions.rois)),
        "found_by_region": summary.found,
        "state": "stopped" if summary.stopped else "complete",
    }
    show(facts if as_json else _readable(facts), as_json=as_json)
    if summary.stopped:
        err.print("stopped before the end; what was tracked so far is in the result")
        raise typer.Exit(130)


def _readable(facts: dict[str, object]) -> dict[str, object]:
    by_region: dict[int, float] = dict(facts["found_by_region"])  # type: ignore[call-overload]  # it is one
    poor = [f"{number} ({share:.0%})" for number, share in by_region.items() if share < 0.9]
    return {
        "result": facts["result"],
        "regions": facts["regions"],
        "found": f"{facts['points']} of {facts['animals']} animals in {facts['frames']} frames",
        "often missed": f"in region {', '.join(poor)}" if poor else "in no region",
    }
