"""Say which trackers there are, and what their settings are."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tools.console import json_text, out
from tools.options import Json
from tracking import TRACKERS, Setting, describe_settings, dump_settings


def trackers(
    name: Annotated[str | None, typer.Argument(help="Of which tracker to list the settings.")] = None,
    as_yaml: Annotated[
        bool,
        typer.Option("--yaml", help="Print them as a file for `ethostore track --settings FILE`."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the trackers, or the settings of one: what they mean, their unit, range and default.

    `ethostore trackers archive --yaml > mine.yaml` writes a file that says the same; change what you like in
    it, and track with `--settings mine.yaml`. `--set NAME=VALUE` goes before the file.
    """
    if as_yaml:
        if name is None or as_json:
            raise typer.BadParameter("--yaml goes with the NAME of a tracker, and without --json")
        sys.stdout.write(dump_settings(TRACKERS.get(name).settings()))
        return
    if as_json:
        names = [name] if name else TRACKERS.names()
        sys.stdout.write(json_text([_facts(one) for one in names]) + "\n")
        return
    out.print(_settings_table(describe_settings(TRACKERS.get(name).settings)) if name else _trackers_table())


def _trackers_table() -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("tracker", "live", "good for"):
        table.add_column(column, overflow="fold")
    for name in TRACKERS.names():
        kind = TRACKERS.get(name)
        table.add_row(name, "yes" if kind.causal else "no", escape(kind.summary))
    return table


def _settings_table(settings: Sequence[Setting]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("setting", "default", "unit", "range", "meaning"):
        table.add_column(column, overflow="fold")
    for one in settings:
        table.add_row(one.name, _text(one.default), *map(escape, (one.unit, one.range_text, one.help)))
    return table


def _text(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _facts(name: str) -> dict[str, object]:
    kind = TRACKERS.get(name)
    settings = [
        {
            "name": one.name,
            "type": one.kind.__name__,
            "default": one.default,
            "unit": one.unit,
            "least": one.least,
            "most": one.most,
            "choices": list(one.choices),
            "help": one.help,
        }
        for one in describe_settings(kind.settings)
    ]
    return {"name": name, "live": kind.causal, "summary": kind.summary, "settings": settings}
