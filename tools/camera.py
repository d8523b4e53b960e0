"""Keep the settings of a camera in a file, load them, and say whether it still has them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hardware import (
    CameraSettings,
    NodeCamera,
    NodeFault,
    NodeMap,
    SettingError,
    compare_nodes,
    dump_nodes,
    load_nodes,
    open_camera,
    read_node_file,
    write_node_file,
)
from imgstore import OutputExistsError
from tools.console import json_text, out, parse_pairs, show
from tools.options import Json

camera = typer.Typer(
    no_args_is_help=True,
    help="Keep the settings of a GenICam or Basler camera in a file, load them, check them.\n\n"
    "A recording loads such a file, too: that is surer, because many cameras forget when they are let go.",
)

Source = Annotated[str, typer.Argument(help="The camera, as in genicam:SERIAL or basler:SERIAL.")]
SettingsFile = Annotated[Path, typer.Argument(help="File of settings, .yaml.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="NAME=VALUE that opens the camera, as in producer=PATH; may be repeated."),
]


@camera.command()
def dump(
    source: Source,
    file: SettingsFile,
    pairs: Set = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Write all settings of a camera into a file, each for every state of what selects it."""
    if file.exists() and not force:
        raise OutputExistsError(f"{file} exists already; give another name, or --force")
    with _nodes(source, pairs) as nodes:
        dumped = dump_nodes(nodes)
    write_node_file(file, dumped)
    facts = {"file": str(file), "model": dumped.model, "serial": dumped.serial, "nodes": len(dumped.entries)}
    show(facts, as_json=as_json)


@camera.command()
def load(
    source: Source,
    file: SettingsFile,
    pairs: Set = None,
    force: Annotated[
        bool, typer.Option("--force", help="Load the file of another model, as far as it fits.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set a camera as a file has it, and read all of it back.

    Exits with 1 if a setting is not as the file has it afterwards, and says why.
    """
    kept = read_node_file(file)
    with _nodes(source, pairs) as nodes:
        loaded = load_nodes(nodes, kept, force=force)
    facts = {"file": str(file), "written": loaded.written, "kept": loaded.kept}
    _show_faults(facts, "failed", loaded.faults, as_json=as_json)


@camera.command()
def verify(source: Source, file: SettingsFile, pairs: Set = None, as_json: Json = False) -> None:
    """Say which settings of a camera are not as a file has them. Exits with 1 if there are any."""
    kept = read_node_file(file)
    with _nodes(source, pairs) as nodes:
        faults = compare_nodes(nodes, kept)
    facts = {"file": str(file), "nodes": len(kept.entries)}
    _show_faults(facts, "different", faults, as_json=as_json)


@contextmanager
def _nodes(source: str, pairs: list[str] | None) -> Iterator[NodeMap]:
    """Open the nodes of a camera. Raises SettingError if it has none."""
    device = open_camera(source, CameraSettings(options=parse_pairs("--set", pairs or [])))
    if not isinstance(device, NodeCamera):
        raise SettingError(f"{source} has no settings for a file; genicam and basler cameras do")
    with device.open_nodes() as nodes:
        yield nodes


def _show_faults(facts: dict[str, object], word: str, faults: Sequence[NodeFault], *, as_json: bool) -> None:
    """Print what came of it, and exit with 1 if not all is as it should be."""
    if as_json:
        listed = [
            {"node": str(fault.entry), "value": fault.entry.value, "reason": fault.reason} for fault in faults
        ]
        sys.stdout.write(json_text({**facts, word: listed}) + "\n")
    else:
        show({**facts, word: len(faults)}, as_json=False)
        for fault in faults:
            out.print(str(fault), markup=False)
    if faults:
        raise typer.Exit(1)
