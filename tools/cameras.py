"""Say which cameras there are."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hardware import FINDERS, CameraSearch, FoundCamera, find_cameras
from tools.console import err, json_text, out
from tools.options import Json

_MOST_MODES = 6


def cameras(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KIND]...", help=f"Which kinds to look for: {', '.join(FINDERS.names())}. Default: all."
        ),
    ] = None,
    limit: Annotated[float, typer.Option(help="Seconds that the search for a kind may take.")] = 15.0,
    as_json: Json = False,
) -> None:
    """List the cameras that can be recorded here, and what to type for each.

    The first column is the SOURCE of `ethostore record SOURCE STORE`. A kind whose library is not installed
    is named below the table, as is one whose search fails or hangs; the others are not kept from being found.
    """
    with err.status("looking for cameras"):  # shows nothing where there is no terminal
        searches = find_cameras(kinds or None, limit_s=limit)
    if as_json:
        sys.stdout.write(json_text(_facts(searches)) + "\n")
        return
    found = [camera for search in searches for camera in search.cameras]
    out.print(_table(found) if found else "no camera was found")
    for search in searches:
        if search.problem:
            out.print(f"{search.kind}: {_problem_text(search)}", markup=False)


def _problem_text(search: CameraSearch) -> str:
    return f"not looked for: {search.problem}" if search.missing else search.problem


def _table(found: Sequence[FoundCamera]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("source", "driver", "model", "serial number"):
        table.add_column(name, overflow="fold")
    table.add_column("modes", no_wrap=True)
    for camera in found:
        identity = camera.identity
        texts = (camera.source, identity.driver, identity.model, identity.serial, _modes_text(camera.modes))
        table.add_row(*map(escape, texts))
    return table


def _modes_text(modes: Sequence[str]) -> str:
    if len(modes) <= _MOST_MODES:
        return "\n".join(modes)
    shown = modes[: _MOST_MODES - 1]
    return "\n".join([*shown, f"and {len(modes) - len(shown)} more, --json lists all"])


def _facts(searches: Sequence[CameraSearch]) -> dict[str, object]:
    return {
        "cameras": [
            {
                "source": camera.source,
                "driver": camera.identity.driver,
                "model": camera.identity.model,
                "serial": camera.identity.serial,
                "modes": list(camera.modes),
            }
            for search in searches
            for camera in search.cameras
        ],
        "problems": [
            {"kind": search.kind, "problem": search.problem, "missing": search.missing}
            for search in searches
            if search.problem
        ],
    }
