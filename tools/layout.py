"""Find regions, show them, say what is wrong with them, change and draw them."""

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
import typer

import imgstore
from imgstore import FrameFormatError, OutputExistsError
from tools.console import err, show
from tools.layout_draw import draw_by_hand
from tools.layout_edit import change_by_options, edit_as_text, parse_changes
from tools.options import Json
from tracking import (
    LAYOUTS,
    LayoutError,
    LayoutFile,
    Problem,
    Regions,
    allow_outside,
    check_regions,
    draw_regions,
    find_regions,
    median_image,
    open_layout,
)

layout = typer.Typer(
    no_args_is_help=True,
    help="Say where the animals are: find regions in a recording, show them, check, change and draw them.\n\n"
    "A layout is a name (with settings, as in wells:96 or circles:count=4), a YAML or JSON file, a template "
    "of ethoscope, or a mask picture; `ethostore track --layout` takes the same. LAYOUTS.md has examples.",
)

_LAYOUT_HELP = f"{', '.join(LAYOUTS.names())} (settings may follow: wells:96), or a file."

Source = Annotated[Path, typer.Argument(help="Folder of a store, a video file, or a picture.")]
Name = Annotated[str, typer.Option("--layout", help=_LAYOUT_HELP)]
File = Annotated[Path, typer.Argument(help="Layout file, .yaml or .json.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]


@layout.command()
def find(
    source: Source,
    name: Name = "circles",
    out: Annotated[Path | None, typer.Option(help="Layout file to write: .yaml or .json.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Picture to write with what was found, .png.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find regions in a recording and write them to a file, to be checked, changed and tracked with.

    Looked at is the median of some frames, in which animals that move are gone. Examples:

        ethostore layout find dishes.store --layout circles:count=4,diameter_mm=55 --out dishes.yaml

        ethostore layout find plate.mp4 --layout wells:96 --out plate.yaml --picture plate.png

    If they are not found, the message says what was seen, and names a picture of it.
    """
    for path in (out, picture):
        _check_free(path, force=force)
    image = _look(source)
    regions = find_regions(open_layout(name), image, (out or picture or Path()).parent / source.stem)
    if out is not None:
        LayoutFile.of(regions, image.shape).save(out)
    if picture is not None:
        _write_picture(picture, draw_regions(image, regions))
    facts = _facts(regions) | {"file": str(out) if out else "none; give --out to keep the regions"}
    show(facts | ({"picture": str(picture)} if picture else {}), as_json=as_json)
    _tell(check_regions(regions.rois, image.shape))


@layout.command("show")
def show_(
    source: Source,
    name: Name = "whole-frame",
    out: Annotated[Path, typer.Option(help="Picture to write, .png.")] = Path("layout.png"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw regions, their numbers, names and parts, targets and scale on a picture of the recording.

    ethostore layout show flies.store --layout sleep-monitor-20tube --out tubes.png
    """
    _check_free(out, force=force)
    image = _look(source)
    regions = find_regions(open_layout(name), image, out.parent / source.stem)
    _write_picture(out, draw_regions(image, regions))
    show({"picture": str(out), **_facts(regions)}, as_json=as_json)
    _tell(check_regions(regions.rois, image.shape))


@layout.command()
def check(
    name: Annotated[
        str, typer.Option("--layout", help="Layout file, or another layout by name.", show_default=False)
    ],
    source: Annotated[
        Path | None, typer.Argument(help="Recording or picture to check it against.", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Picture of SOURCE to write with the regions on it, .png.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what is wrong with regions: overlapping, outside of the frame, tiny, crossing themselves.

    Without SOURCE only the layout file is looked at; a layout that finds its regions in a picture needs one.
    Exits with 1 if something is wrong. Examples:

        ethostore layout check --layout dishes.yaml

        ethostore layout check dishes.store --layout dishes.yaml --picture dishes.png
    """
    layout = open_layout(name)
    path = Path(name).expanduser()
    if source is None and (imgstore.is_picture(path) or not path.is_file()):
        raise LayoutError(
            f"the layout {name} finds its regions in a picture, and there is none; give a recording or a "
            f"picture: ethostore layout check SOURCE --layout {name}"
        )
    if source is None:
        if picture is not None:
            raise typer.BadParameter("--picture needs SOURCE, the recording or picture to draw on")
        regions, shape = LayoutFile.read(path).regions()
    else:
        _check_free(picture, force=force)
        image = _look(source)
        shape = image.shape
        regions = find_regions(allow_outside(layout), image)
        if picture is not None:
            _write_picture(picture, draw_regions(image, regions))
    problems = check_regions(regions.rois, shape)
    listed = [
        {"kind": problem.kind, "regions": problem.regions, "text": problem.text} for problem in problems
    ]
    facts = _facts(regions)
    facts |= {"picture": str(picture)} if picture else {}
    show(facts | {"problems": listed if as_json else len(problems)}, as_json=as_json)
    if not as_json:
        _tell(problems)
    if problems:
        raise typer.Exit(1)


@layout.command()
def edit(
    file: File,
    move: Annotated[
        list[str] | None,
        typer.Option(help="N=DX,DY: move region N (or all) right and down; may be repeated."),
    ] = None,
    scale: Annotated[
        list[str] | None, typer.Option(help="N=FACTOR: make region N (or all) larger about its centre.")
    ] = None,
    rename: Annotated[list[str] | None, typer.Option(help="N=NAME.")] = None,
    value: Annotated[list[str] | None, typer.Option(help="N=VALUE: what it means to the experiment.")] = None,
    delete: Annotated[list[int] | None, typer.Option(help="N: remove it; others keep their numbers.")] = None,
    mm_per_pixel: Annotated[float | None, typer.Option(help="Scale of the picture.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write here and leave FILE as it is.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Change a layout file: in your editor ($VISUAL or $EDITOR), or by options.

    FILE is replaced only by what is a layout; else it stays as it is, and what you wrote is kept. Options
    write the file anew, without its comments. Examples:

        ethostore layout edit dishes.yaml

        ethostore layout edit dishes.yaml --move all=4,-2 --rename 1=control --delete 6
    """
    _check_free(out, force=force)
    target = out or file
    changes = parse_changes(move, scale, rename, value, delete, mm_per_pixel)
    changed = change_by_options(file, changes, target) if changes else edit_as_text(file, target)
    show({"file": str(target), "changed": changed}, as_json=as_json)
    if changes:
        regions, shape = LayoutFile.read(target).regions()
        _tell(check_regions(regions.rois, shape))


@layout.command()
def draw(
    source: Source,
    out: Annotated[Path, typer.Option(help="Layout file to write: .yaml or .json.")] = Path("layout.yaml"),
    start: Annotated[
        str | None, typer.Option("--layout", help="Regions to begin with: " + _LAYOUT_HELP)
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw regions by hand in a window and write them to a file.

    Click corners; a right click or Enter ends a region; o makes a circle of the clicks (three on its rim);
    u takes the last click or region back; s saves and ends; q ends without.
    """
    _check_free(out, force=force)
    image = _look(source)
    begin = find_regions(open_layout(start), image, out.parent / source.stem) if start else Regions([])
    drawn = draw_by_hand(image, begin)
    if drawn is None:
        err.print("nothing was written")
        raise typer.Exit(1)
    LayoutFile.of(drawn, image.shape).save(out)
    show({"file": str(out), "regions": len(drawn.rois)}, as_json=as_json)
    _tell(check_regions(drawn.rois, image.shape))


def _look(source: Path) -> npt.NDArray[np.uint8]:
    """Return what layouts look at: the median of frames of a recording, or a picture, grey."""
    if imgstore.is_picture(source) and source.is_file():
        image = cv2.imdecode(np.frombuffer(source.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise FrameFormatError(f"{source} is no picture that can be read")
        return np.asarray(image, np.uint8)
    frames = imgstore.open_source(source)
    try:
        return median_image(frames)
    finally:
        frames.close()


def _facts(regions: Regions) -> dict[str, object]:
    names = [roi.name for roi in regions.rois if roi.name]
    facts: dict[str, object] = {"regions": len(regions.rois)}
    if names:
        facts["names"] = ", ".join(names if len(names) <= 6 else [*names[:3], "...", names[-1]])
    if len(regions.targets):
        facts["targets"] = [[round(float(x), 2), round(float(y), 2)] for x, y in regions.targets]
    facts["mm_per_pixel"] = regions.mm_per_pixel or "not known"
    if regions.notes:
        facts["note"] = "; ".join(regions.notes)
    return facts


def _tell(problems: list[Problem]) -> None:
    for problem in problems:
        err.print(f"{problem.kind}: {problem.text}", markup=False)


def _check_free(path: Path | None, *, force: bool) -> None:
    if path is not None and path.exists() and not force:
        raise OutputExistsError(f"{path} exists already; give another name, or --force")


def _write_picture(path: Path, image: npt.NDArray[np.uint8]) -> None:
    if path.suffix.lower() != ".png":
        raise typer.BadParameter(f"pictures of layouts are .png, got {str(path)!r}")
    _, data = cv2.imencode(".png", image)
    with imgstore.replacing(path) as file:
        file.write(data.tobytes())
