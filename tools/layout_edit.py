"""Change a layout file in an editor or by options; what is no layout never replaces one."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import typer

import imgstore
from tracking import LayoutError, LayoutFile, TrackingError, open_layout

_EDITORS = ("sensible-editor", "nano", "vi")

Change = Callable[[LayoutFile], None]


def parse_changes(
    move: Sequence[str] | None,
    scale: Sequence[str] | None,
    rename: Sequence[str] | None,
    value: Sequence[str] | None,
    delete: Sequence[int] | None,
    mm_per_pixel: float | None,
) -> list[Change]:
    """Return what the options say, in order. Raises typer.BadParameter."""
    changes: list[Change] = []
    for number, text in _pairs("--move", move, "N=DX,DY, as in 3=10,-2 or all=4,0"):
        dx, dy = _numbers("--move", text, 2)
        changes.append(partial(LayoutFile.move, number=number, dx=dx, dy=dy))
    for number, text in _pairs("--scale", scale, "N=FACTOR, as in 3=0.9 or all=0.9"):
        (factor,) = _numbers("--scale", text, 1)
        changes.append(partial(LayoutFile.scale, number=number, factor=factor))
    for number, text in _pairs("--rename", rename, "N=NAME"):
        changes.append(partial(LayoutFile.rename, number=_one("--rename", number), name=text))
    for number, text in _pairs("--value", value, "N=VALUE"):
        (new,) = _numbers("--value", text, 1)
        changes.append(partial(LayoutFile.set_value, number=_one("--value", number), value=int(new)))
    changes += [partial(LayoutFile.delete, number=number) for number in delete or ()]
    if mm_per_pixel is not None:
        changes.append(partial(LayoutFile.set_scale, mm_per_pixel=mm_per_pixel))
    return changes


def change_by_options(file: Path, changes: Sequence[Change], target: Path) -> bool:
    """Change a file of regions and write it to `target`. Raises LayoutError, with nothing written."""
    content = LayoutFile.read(file)
    for change in changes:
        change(content)
    content.save(target)
    return True


def edit_as_text(file: Path, target: Path) -> bool:
    """Open a copy of a layout file in an editor and put it in place of `target` if it is a layout.

    Returns whether anything was changed. Raises LayoutError, naming the copy, if it is none.
    """
    before = file.read_bytes()
    handle, name = tempfile.mkstemp(file.suffix, f"{file.stem}_")
    copy = Path(name)
    with os.fdopen(handle, "wb") as out:
        out.write(before)
    done = subprocess.run([*_editor(), name], check=False)  # noqa: S603  # the user's own editor
    after = copy.read_bytes()
    if done.returncode:
        raise LayoutError(f"the editor ended with {done.returncode}; {file} is as it was, the copy is {copy}")
    if after == before and target == file:
        copy.unlink()
        return False
    try:
        open_layout(name)
    except (TrackingError, imgstore.ImgstoreError) as exc:
        raise LayoutError(f"{exc}; {file} is as it was, what you wrote is kept in that place") from exc
    with imgstore.replacing(target) as place:
        place.write(after)
    copy.unlink()
    return True


def _editor() -> list[str]:
    """Return the command of the user's editor. Raises LayoutError if there is none."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if named:
        return shlex.split(named)
    found = next((path for path in map(shutil.which, _EDITORS) if path), None)
    if found is None:
        raise LayoutError(
            "there is no editor: set $EDITOR, or change the file by options (--move, --rename ...)"
        )
    return [found]


def _pairs(option: str, values: Sequence[str] | None, form: str) -> list[tuple[int | None, str]]:
    """Return numbers of regions (None: all) and what is said of them."""
    found: list[tuple[int | None, str]] = []
    for text in values or ():
        number, equals, rest = text.partition("=")
        if not equals or not (number == "all" or number.isdecimal()):
            raise typer.BadParameter(f"{option} is {form}, got {text!r}")
        found.append((None if number == "all" else int(number), rest))
    return found


def _numbers(option: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise typer.BadParameter(f"{option} takes {count} number{'s' * (count > 1)}, got {text!r}")
    return numbers


def _one(option: str, number: int | None) -> int:
    if number is None:
        raise typer.BadParameter(f"{option} is for one region, not for all")
    return number
