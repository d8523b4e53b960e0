"""Say which cameras there are, and what each kind can be told."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hardware import (
    FINDERS,
    OPTIONS,
    CameraOption,
    CameraSearch,
    FoundCamera,
    describe_options,
    find_cameras,
)
from tools.console import err, json_text, out, show_table
from tools.options import Json

_MOST_MODES = 6
_WIDEST = 30  # columns of a table of options, but for the meaning


def cameras(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KIND]...",
            help=f"Which kinds to look for: {', '.join(FINDERS.names())}. Default: all.",
        ),
    ] = None,
    options: Annotated[
        bool,
        typer.Option(
            "--options",
            help="List what each KIND can be told by `--set NAME=VALUE` instead, with unit, values and "
            f"default; look for no camera. Kinds are {', '.join(OPTIONS.names())}.",
        ),
    ] = False,
    limit: Annotated[float, typer.Option(help="Seconds that the search for a kind may take.")] = 15.0,
    as_json: Json = False,
) -> None:
    """List the cameras that can be recorded here, and what to type for each.

    The first column is the SOURCE of `ethostore record SOURCE STORE`. A kind whose library is not installed
    is named below the table, as is one whose search fails or hangs; the others are not kept from being found.

    `ethostore cameras opencv --options` lists what may stand behind `--set` of `ethostore record opencv:0`,
    and under `options` of a camera in a rig file.
    """
    if options:
        _show_options([kind.partition(":")[0] for kind in kinds or OPTIONS.names()], as_json=as_json)
        return
    with err.status("looking for cameras"):  # shows nothing where there is no terminal
        searches = find_cameras(kinds or None, limit_s=limit)
    if as_json:
        sys.stdout.write(json_text(_facts(searches)) + "\n")
        return
    found = [camera for search in searches for camera in search.cameras]
    if found:
        show_table(_table(found))
    else:
        out.print("no camera was found")
    for search in searches:
        if search.problem:
            out.print(f"{search.kind}: {_problem_text(search)}", markup=False)


def _show_options(kinds: Sequence[str], *, as_json: bool) -> None:
    """Print what kinds of cameras can be told. Raises UnknownNameError before anything is printed."""
    described = {kind: describe_options(OPTIONS.get(kind)) for kind in kinds}
    if as_json:
        facts = {kind: [asdict(one) for one in options] for kind, options in described.items()}
        sys.stdout.write(json_text(facts) + "\n")
        return
    for kind, options in described.items():
        out.print(f"{kind}:", style="bold")
        show_table(_option_table(options))
        out.print()
    out.print("size, rate and colour are asked for apart: --size, --rate and --colour of ethostore record")


def _option_table(options: Sequence[CameraOption]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("name", "value", "unit", "default"):
        table.add_column(name, overflow="fold", max_width=_WIDEST if out.is_terminal else None)
    table.add_column("meaning", overflow="fold")
    for one in options:
        texts = (one.name, one.values or one.type, one.unit, _default_text(one.default), one.meaning)
        table.add_row(*map(escape, texts))
    return table


def _default_text(value: object) -> str:
    """Return a default as it would be typed; nothing for none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


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
