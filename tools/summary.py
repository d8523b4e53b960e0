"""Say what each animal of a result did."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

import tracking
from imgstore import replacing
from tools.console import number_text, show, show_table
from tools.motion_options import Bridge, KeepShake, MmPerPixel, MovingAbove, SleepAfter, Window, parse_motion
from tools.options import Json


def summary(
    result: Annotated[Path, typer.Argument(help="Result file (*.tracks.h5).")],
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file, too.")] = None,
    window: Window = 1.0,
    moving_above: MovingAbove = None,
    sleep_after: SleepAfter = 5.0,
    bridge: Bridge = 10.0,
    keep_shake: KeepShake = False,
    mm_per_pixel: MmPerPixel = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the CSV file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Print how far each animal went, how long it moved and slept, and how well it was found.

    Positions are averaged over a window (1 s) before anything is measured, so that the numbers do not depend
    on the frame rate. An animal that has not moved for five minutes was asleep all the while.
    """
    settings = parse_motion(window, moving_above, sleep_after, bridge, keep_shake, mm_per_pixel, result)
    with tracking.open_results(result) as results:
        found = tracking.summarize(results, settings, mm_per_pixel=mm_per_pixel)
    if csv is not None:
        if csv.exists() and not force:
            raise tracking.ResultExistsError(f"{csv} exists already; give another name, or --force")
        with replacing(csv) as file:
            file.write(found.table().to_csv(index=False, float_format="%.6g").encode())
    if as_json:
        show(asdict(found), as_json=True)
        return
    show_table(_table(found))
    show(_meaning(found) | ({"table": str(csv)} if csv else {}), as_json=False)


def _table(found: tracking.Summary) -> Table:
    unit = "px" if found.mm_per_pixel != found.mm_per_pixel else "mm"
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("region", "animal", "found", "score", f"distance ({unit})", f"speed ({unit}/s)"):
        table.add_column(title, justify="left" if title == "region" else "right")
    for title in ("moving", "immobile", "unseen", "asleep", "bouts"):
        table.add_column(title, justify="right")
    for animal in found.animals:
        distance, pace = (
            (animal.distance_px, animal.speed_px_s)
            if unit == "px"
            else (animal.distance_mm, animal.speed_mm_s)
        )
        table.add_row(
            f"{animal.roi} {animal.region}".strip(),
            str(animal.identity or "-"),
            tracking.share_text(animal.found),
            number_text(animal.score, ".2f"),
            number_text(distance, ".0f" if unit == "px" else ".1f"),
            number_text(pace, ".1f" if unit == "px" else ".2f"),
            *map(_span, (animal.moving_s, animal.immobile_s, animal.unseen_s, animal.asleep_s)),
            str(animal.sleep_bouts),
        )
    return table


def _meaning(found: tracking.Summary) -> dict[str, object]:
    facts: dict[str, object] = {
        "moving": f"above {_both(found.moving_above_px_s, '/s', found)}, over {found.window_s:g} s",
        "noise": _noise(found),
        "asleep": f"immobile for {found.sleep_after_s / 60:g} min or longer",
    }
    if found.mm_per_pixel != found.mm_per_pixel:
        facts["scale"] = "not known; --mm-per-pixel tells it, or a layout that does"
    if found.shaken_s:
        facts["camera"] = f"moved in {found.shaken_s:g} s; taken from all steps"
    return facts


def _noise(found: tracking.Summary) -> str:
    if found.noise_px != found.noise_px:
        return "not known: none rests for long"
    size = _both(found.noise_px, "", found)
    return f"{size} a step along x and y (standard deviation, of animals that rest)"


def _both(pixels: float, per: str, found: tracking.Summary) -> str:
    """Return a length in pixels, and in millimetres where these are known."""
    text = f"{pixels:.3g} px{per}"
    scale = found.mm_per_pixel
    return text if scale != scale else f"{text} ({pixels * scale:.3g} mm{per})"


def _span(seconds: float) -> str:
    """Return a duration as a table shows it, hours and minutes or minutes and seconds."""
    if seconds < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h{minutes:02d}m"
