"""The main job in one go, on a simulated arena of which everything is known."""

import shutil
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer

import imgstore
import tracking
from hardware import CameraSettings, Recorder, RecordLimit, SimulatedCamera, open_camera
from imgstore import FrameSink, FrameSpec, StoreExistsError
from tools.console import err, out, show, stage_bars
from tools.options import Json
from tools.record_display import display
from tracking import Retracked, Score

LAYOUT = "sleep-monitor-20tube"


def demo(
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for what is made. Default: a new one in demo/.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long the simulated camera films.")] = 30,
    seed: Annotated[int, typer.Option(help="Another seed gives other flies.")] = 0,
    as_json: Json = False,
) -> None:
    """Film a simulated arena, track its flies, score them against the truth, plot them.

    The arena has 2 x 10 tubes, three black targets and a fly in each tube: some walk, some rest and then
    walk away, some never move. Everything is kept in a folder, and what to try next is printed.
    """
    folder = folder or Path("demo") / f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreExistsError(f"{folder} holds something already; give a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    store, plot, overlay, table = (
        folder / name for name in ("arena.store", "tracks.png", "overlay.png", "tracks.csv")
    )
    camera = open_camera("simulated", CameraSettings(seed=seed))
    assert isinstance(camera, SimulatedCamera)  # noqa: S101  # that is what the name stands for
    err.print(f"filming {seconds:g} s of a simulated arena into {store}")
    _film(camera, store, seconds)
    err.print("tracking")
    with stage_bars() as progress:
        done = tracking.retrack(store, layout=LAYOUT, out=folder / "flies.tracks.h5", progress=progress)
    found = _score(done, camera)
    err.print("plotting")
    tracking.export(done.path, table)
    from tracking import plots  # matplotlib takes a second to import

    plots.plot(done.path, plot)
    _draw_overlay(store, done, overlay)
    made = {"store": store, "result": done.path, "plot": plot, "overlay": overlay, "table": table}
    if as_json:
        files: dict[str, Any] = {name: str(path) for name, path in made.items()}
        show({"files": files, "score": asdict(found)}, as_json=True)
    else:
        _tell(made, found, len(done.regions.rois))


def _film(camera: SimulatedCamera, store: Path, seconds: float) -> None:
    def open_sinks(spec: FrameSpec) -> list[FrameSink]:
        return [
            imgstore.create(store, spec.shape, spec.dtype, metadata={"source": "simulated", "layout": LAYOUT})
        ]

    recorder = Recorder(camera, open_sinks, limit=RecordLimit(seconds=seconds))
    with display({store.name: camera.rate}, as_json=False) as watch:
        recorder.run(lambda progress: watch({store.name: progress}))


def _score(done: Retracked, camera: SimulatedCamera) -> Score:
    import pandas as pd

    with tracking.open_results(done.path) as results:
        truth = pd.DataFrame(
            (number, fly.region, fly.x, fly.y)
            for number in results.frames["number"].tolist()
            for fly in camera.truth(number)
        ).set_axis(["number", "roi", "x", "y"], axis=1)
        return tracking.score(results.table(), truth)


def _draw_overlay(store: Path, done: Retracked, picture: Path) -> None:
    with imgstore.open(store) as frames, tracking.open_results(done.path) as results:
        row = len(results.frames) // 2
        frame = frames[int(results.frames["index"][row])]
        points = results.points[results.points["frame"] == row]
        image = tracking.draw(frame.image, results.rois, points, results.targets)
    with imgstore.replacing(picture) as file:
        file.write(cv2.imencode(".png", image)[1].tobytes())


def _tell(made: dict[str, Path], found: Score, regions: int) -> None:
    out.print("\n[bold]Against the known truth[/]")
    show(
        {
            "positions": f"{found.known}: {regions} flies in {found.known // regions} frames",
            "found": f"{found.found:.2%}, {found.near:.2%} within {found.radius:g} px",
            "distance": f"median {found.median:.2f} px, 95 % below {found.p95:.2f} px",
            "worst fly": f"region {found.worst_roi}: {found.worst_near:.1%} within {found.radius:g} px",
        },
        as_json=False,
    )
    out.print("\n[bold]Made[/]")
    show(made, as_json=False)
    store, result = made["store"], made["result"]
    out.print("\n[bold]Look at the plot and the overlay, then try[/]")
    for line in (
        *(() if shutil.which("ethostore") else (f". {Path(sys.prefix) / 'bin' / 'activate'}",)),
        f"ethostore info {store}",
        f"ethostore frame {store} found_100.png --index 100 --result {result}",
        f"ethostore track {store} --layout {LAYOUT}",
        f"ethostore export {result} tracks.parquet",
        "ethostore record opencv:0 webcam.store --seconds 10",
        "ethostore --help",
    ):
        out.print(f"  {line}", markup=False)
