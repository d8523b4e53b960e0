"""Measure how well several animals are told apart: `python -m tools.bench.identities`.

Animals walk, meet and cross in made recordings, so it is known who is who. The archive tracker follows them;
linkers that people use otherwise get the same detections. All are judged by TrackEval, in an environment of
their own that `sh tools/identities.sh` makes.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table

from tools.bench.crowd import Crowd, CrowdPlan
from tools.bench.peer import ROOT, PeerError
from tools.console import err, out, show
from tracking import TRACKERS, Points, SplitTracker

Row = dict[str, Any]

NAMES = {"ethostore": "ethostore", "trackpy": "trackpy", "norfair": "norfair"}
SCORES = ("HOTA", "IDF1", "MOTA", "switches")
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A recording to be judged: a name, and what it shows."""

    name: str
    plan: CrowdPlan


def scenes(seconds: float, seed: int) -> list[Scene]:
    """Return recordings of more and more animals, in more and less room, and of what makes it harder."""
    plain = CrowdPlan(animals=2, side=240, seconds=seconds, seed=seed)
    week = CrowdPlan(
        animals=1,
        side=120,
        seconds=7 * _DAY,
        rate=0.1,
        bout=60,
        rest=1200,
        still=[(1, 0, (day + 0.9) * _DAY, (day + 1.2) * _DAY) for day in range(6)],
        cycle=(_DAY, 0.4),
        seed=seed,
    )
    return [
        *(Scene(f"{n} animals", replace(plain, animals=n)) for n in (2, 5, 10, 20)),
        Scene("10 in half the room", replace(plain, animals=10, side=170)),
        Scene("10 in double the room", replace(plain, animals=10, side=340)),
        Scene("5 that seek company", replace(plain, animals=5, company=0.6)),
        Scene("5 at 5 fps", replace(plain, animals=5, rate=5.0)),
        Scene("5 at 60 fps", replace(plain, animals=5, rate=60.0)),
        Scene("20 at 60 fps", replace(plain, animals=20, rate=60.0)),
        Scene("3 at 2 fps, ten times as long", replace(plain, animals=3, rate=2.0, seconds=10 * seconds)),
        Scene("5, infrared, noise, shake", replace(plain, animals=5, infrared=True, noise=5.0, shake=0.7)),
        Scene("1 for a week, a frame in 10 s", week),
        Scene("10 that look alike", replace(plain, animals=10, size_spread=0.0, shade_spread=0.0)),
        Scene("5 of different sizes", replace(plain, animals=5, size_spread=0.2, company=0.6)),
    ]


def main(
    python: Annotated[Path, typer.Option(help="Python that has TrackEval, trackpy and norfair.")] = ROOT
    / ".venv/identities/bin/python",
    seconds: Annotated[float, typer.Option(help="Length of each recording.")] = 60.0,
    runs: Annotated[
        int, typer.Option(help="Recordings of each kind, other seeds; scores are their means.")
    ] = 3,
    first_seed: Annotated[int, typer.Option(help="Seed of the first recording of each kind.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Name of a recording; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Measure identities against the number of animals and the room they have."""
    if not python.exists():
        raise PeerError(f"there is no {python}; sh tools/identities.sh makes one")
    rows = []
    for place, scene in enumerate(scenes(seconds, 0)):
        if only and scene.name not in only:
            continue
        measured = [
            measure(scenes(seconds, seed)[place], python) for seed in range(first_seed, first_seed + runs)
        ]
        rows.append(mean(measured))
        if not as_json:
            err.print(f"measured {scene.name}")
    if as_json:
        show({"seconds": seconds, "runs": runs, "rows": rows}, as_json=True)
    else:
        out.print(table(rows))


def measure(scene: Scene, python: Path) -> Row:
    """Return what is known of a recording, and the scores of each contender."""
    crowd = Crowd(scene.plan)
    tracker: SplitTracker = TRACKERS.get("archive")({"animals": scene.plan.animals})  # type: ignore[assignment]
    tracker.prepare(crowd, crowd.rois)
    plain = []
    tables = []
    spent = {"detect": 0.0, "link": 0.0}
    learnt: Any = None
    for frame in crowd:
        begun = time.process_time()
        seen = tracker.detect(frame)
        between = time.process_time()
        tables.append(tracker.link(seen))
        spent["detect"] += between - begun
        spent["link"] += time.process_time() - between
        learnt = learnt or tracker.settings["learnt"]
        plain.append(split_by_area(seen.blobs[0], learnt["area"]))
    points = np.concatenate([*tables, tracker.finish()])
    answer = _judge(python, scene.plan, crowd.truth, plain, points)
    shown = crowd.truth[..., :2]
    gaps = np.hypot(*(shown[:, :, None] - shown[:, None]).transpose(3, 0, 1, 2))
    gaps += 1e9 * np.eye(scene.plan.animals)
    return {
        "recording": scene.name,
        "animals": scene.plan.animals,
        "covered": scene.plan.animals * np.pi / 4 * scene.plan.length * scene.plan.width / scene.plan.side**2,
        "touching": float((gaps.min(axis=2) < scene.plan.width).mean()),
        "detect_ms": 1e3 * spent["detect"] / len(crowd),
        "link_ms": 1e3 * spent["link"] / len(crowd),
        "scores": answer,
    }


def split_by_area(blobs: npt.NDArray[np.void], area: float) -> npt.NDArray[np.float64]:
    """Return x and y of what a linker is given that cannot choose: clumps are split as their areas say."""
    places = []
    for group in np.unique(blobs["group"]):
        rows = blobs[blobs["group"] == group]
        wanted = max(1.0, np.rint(rows["area"][0] / area))
        parts = min(np.unique(rows["parts"]), key=lambda parts: abs(parts - wanted))
        places += [(row["x"], row["y"]) for row in rows[rows["parts"] == parts]]
    return np.array(places, np.float64).reshape(-1, 2)


def _judge(
    python: Path,
    plan: CrowdPlan,
    truth: npt.NDArray[np.float64],
    plain: Sequence[npt.NDArray[np.float64]],
    points: Points,
) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="ethostore-bench-") as folder:
        file = Path(folder) / "scene.npz"
        np.savez(
            file,
            truth=truth[..., :2],
            frames=np.repeat(np.arange(len(plain)), [len(places) for places in plain]),
            places=np.concatenate(plain),
            ours=np.column_stack([points["frame"], points["identity"], points["x"], points["y"]]),
            plan=np.array([plan.rate, plan.length, plan.speed]),
        )
        script = Path(__file__).with_name("identities_judge.py")
        done = subprocess.run(
            [str(python), "-P", str(script), str(file)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise PeerError(f"{script.name} ended: {done.stderr.strip().splitlines()[-1:]}")
    answer: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def mean(rows: Sequence[Row]) -> Row:
    """Return the means of several measurements of one kind of recording."""
    averaged: Row = {"recording": rows[0]["recording"], "animals": rows[0]["animals"]}
    for name in ("covered", "touching", "detect_ms", "link_ms"):
        averaged[name] = float(np.mean([row[name] for row in rows]))
    averaged["scores"] = {
        name: {score: float(np.mean([row["scores"][name][score] for row in rows])) for score in SCORES}
        for name in rows[0]["scores"]
    }
    return averaged


def table(rows: Sequence[Row]) -> Table:
    """Return rows as people read them."""
    shown = Table("recording", "covered", "touching", "detect, link ms")
    for name in NAMES.values():
        shown.add_column(f"{name}\nHOTA IDF1 MOTA swaps")
    for row in rows:
        cells = [
            "{HOTA:.3f} {IDF1:.3f} {MOTA:.3f} {switches:.1f}".format(**row["scores"][name]) for name in NAMES
        ]
        costs = f"{row['detect_ms']:.1f}, {row['link_ms']:.1f}"
        shown.add_row(row["recording"], f"{row['covered']:.1%}", f"{row['touching']:.1%}", costs, *cells)
    return shown


if __name__ == "__main__":
    typer.run(main)
