"""The command `ethostore`: finds the subcommand, turns errors into exit codes."""

import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

import imgstore
from hardware import HardwareError
from imgstore import ImgstoreError
from tools.camera import camera
from tools.cameras import cameras
from tools.compare import compare
from tools.console import discard, err, perhaps_unheard
from tools.convert import convert
from tools.cut import cut
from tools.demo import demo
from tools.doctor import doctor
from tools.export import export
from tools.export_tiff import export_tiff
from tools.export_video import export_video
from tools.extra import extra
from tools.feed import feed
from tools.frame import frame
from tools.import_ import import_
from tools.import_tracks import import_tracks
from tools.info import info
from tools.layout import layout
from tools.overlay import overlay
from tools.plot import plot
from tools.record import record
from tools.repair import repair
from tools.rig import rig
from tools.summary import summary
from tools.timecodes import timecodes
from tools.track import track
from tools.trackers import trackers
from tools.tracks import tracks
from tools.verify import verify
from tracking import TrackingError


class _Commands(TyperGroup):
    """The subcommands. One whose reader, `head` say, has enough has done what it was asked."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # Typer's context is Click's
        """Run a subcommand; Click itself would exit with 1 when a pipe has no reader."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            discard(sys.stdout)
            return None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Record animals for days into chunked frame stores, seek in them, track them.\n\n"
    "Try `ethostore demo` first: it makes one of everything and says what to do next.",
)
for command in (
    demo,
    cameras,
    doctor,
    record,
    feed,
    import_,
    info,
    frame,
    cut,
    convert,
    export_video,
    export_tiff,
    timecodes,
    extra,
    track,
    trackers,
    plot,
    overlay,
    summary,
    compare,
    export,
    import_tracks,
    verify,
    repair,
):
    app.command(command.__name__.strip("_").replace("_", "-"))(command)
app.add_typer(camera, name="camera")
app.add_typer(tracks, name="tracks")

app.add_typer(rig, name="rig")

app.add_typer(layout, name="layout")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ethostore {imgstore.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that stand before the subcommand."""


def main() -> None:
    """Run the command line; exit with 0, 1 after an error, 2 after a wrong call."""
    try:
        app(prog_name="ethostore")
    except (ImgstoreError, HardwareError, TrackingError) as exc:
        _fail(str(exc))
    except OSError as exc:
        _fail(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)


def _fail(message: str) -> None:
    with perhaps_unheard(sys.stderr):
        err.print(f"[bold red]error:[/] {_escaped(message)}")
    sys.exit(1)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("[", r"\[")
