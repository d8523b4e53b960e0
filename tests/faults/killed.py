"""Writers that are killed at random instants, and what must be left of their stores.

Run it from the command line for as long as you like: python -m tests.faults.killed --kills 500
With ETHOSTORE_LOOPBIO_PYTHON set, loopbio's package opens every store that was repaired.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import imgstore
from tests.conftest import FORMATS_HERE
from tests.faults.nursery import (
    CAN_TRACE,
    FIRST_NUMBER,
    FIRST_TIME,
    STEP_S,
    TRACED,
    Job,
    Killed,
    Nursery,
    calls_of,
    event,
    image,
    jobs,
    number_in,
    record,
)

WRITING = ("first", "roll", "extra")
AT_RANDOM = (*WRITING, "finish")

LOOPBIO_PYTHON = os.environ.get("ETHOSTORE_LOOPBIO_PYTHON")
_LOOPBIO_LACKS = ("blosc2", "av1/mkv")
_READ = """
import hashlib, json, sys
from imgstore.stores import new_for_filename

def read(path):
    store = new_for_filename(path)
    frames = []
    for _ in range(store.frame_count):
        image, (number, time) = store.get_next_image()
        frames.append([int(number), float(time), hashlib.sha1(image.tobytes()).hexdigest()])
    extra = store.get_extra_data()
    store.close()
    return [frames, [] if extra is None or not len(extra) else extra["place"].tolist()]

for line in sys.stdin:
    try:
        said = read(line.rstrip())
    except Exception as exc:
        said = repr(exc)
    print(json.dumps(said), flush=True)
"""


class Loopbio:
    """Loopbio's package, in its own environment, that reads one store after the other."""

    def __init__(self) -> None:
        assert LOOPBIO_PYTHON, "ETHOSTORE_LOOPBIO_PYTHON names no Python with loopbio's imgstore"
        self._process = subprocess.Popen(
            [LOOPBIO_PYTHON, "-E", "-W", "ignore", "-c", _READ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def read(self, path: Path):
        """Return (number, time, hash of the image) of all frames, and the places of the extra data."""
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"loopbio's package cannot read {path}"
        if line.startswith('"'):
            raise AssertionError(f"loopbio's package cannot read {path}: {json.loads(line)}")
        return json.loads(line)

    def __enter__(self) -> "Loopbio":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@dataclass(frozen=True)
class Left:
    """What is left of a store.

    Attributes
    ----------
    frames : (number, time, hash of the image) of all frames.
    places : of the extra data.
    events : all of them.
    """

    frames: list[list[object]]
    places: list[int]
    events: tuple[imgstore.Event, ...]


@dataclass(frozen=True)
class Outcome:
    """Of a kill: how many frames are lost, and what is wrong with the store if anything is."""

    lost: int
    wrong: str = ""


def check(killed: Killed, *, longest: float = 1.0) -> Left:
    """Raise AssertionError unless a killed store holds what it must; return what it holds."""
    with imgstore.open(killed.job.path) as store:
        assert store.state == "interrupted" or killed.job.situation not in WRITING
        assert not (told := _unexpected(store.problems)), told
        frames, records, events = list(store), _records(store), store.events
        tolerance = 0 if store.lossless else 12
    places = [(frame.number - FIRST_NUMBER) // 2 for frame in frames]
    assert places == sorted(set(places))
    assert len(places) <= len(killed.ages) + 1
    must = {place for place, age in enumerate(killed.ages) if killed.closed or age > longest}
    assert must <= set(places), f"frames {must - set(places)} are lost, older than {longest} s"
    for place, frame in zip(places, frames, strict=True):
        assert (frame.number, frame.time) == (FIRST_NUMBER + 2 * place, FIRST_TIME + STEP_S * place)
        assert number_in(frame.image) == place, f"frame {place} shows {number_in(frame.image)}"
        off = np.abs(frame.image.astype(int) - image(place)).mean()
        assert off <= tolerance, f"frame {place} is off by {off} grey levels on average"
    assert records == [record(place) for place in range(len(records))], "extra data are not what was written"
    assert len(records) >= killed.records, f"{len(records)} records are left of {killed.records}"
    assert list(events) == [event(place) for place in range(len(events))], "events are not what was written"
    assert len(events) >= killed.events, f"{len(events)} events are left of {killed.events}"
    return _left(frames, records, events)


def _unexpected(problems: Iterable[str]) -> list[str]:
    """Return the problems but those of the chunk in hand: which of its frames must be there is checked."""
    return [problem for problem in problems if "of the unfinished chunk" not in problem]


def _records(store: imgstore.StoreReader) -> list[dict[str, object]]:
    table = store.extra()
    return [] if table is None else table[["place", "text"]].to_dict("records")


def _left(
    frames: list[imgstore.Frame], records: list[dict[str, object]], events: tuple[imgstore.Event, ...]
) -> Left:
    said = [[frame.number, frame.time, hashlib.sha1(frame.image).hexdigest()] for frame in frames]  # noqa: S324
    return Left(said, [record["place"] for record in records], events)


def check_repaired(path: str, before: Left, loopbio: Loopbio | None) -> None:
    """Raise AssertionError unless a repaired store holds the same, and repairing it again changes nothing."""
    done = imgstore.repair(path)
    assert not (told := _unexpected(done.problems)), told
    with imgstore.open(path) as store:
        assert store.state == "complete"
        assert not store.problems, store.problems
        assert _left(list(store), _records(store), store.events) == before, (
            "repair changed what is in the store"
        )
        fmt = store.metadata.format
    once = _files(path)
    assert not [file for file in once if file.name.endswith((".journal", ".partial"))]
    assert once.get(Path(path) / "events.jsonl", b"\n").endswith(b"\n"), "repair left a torn line"
    done = imgstore.repair(path)
    assert not done.finished
    assert _files(path) == once, "repairing twice is not repairing once"
    if loopbio is not None and before.frames and fmt not in _LOOPBIO_LACKS:
        frames, places = loopbio.read(Path(path))
        assert frames == before.frames, "loopbio's package reads other frames"
        assert places == before.places[: len(places)]  # those beside a last video of no frames only we find


def _files(path: str) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in sorted(Path(path).rglob("*")) if file.is_file()}


def kill_writers(
    nursery: Nursery, loopbio: Loopbio | None, folder: Path, fmt: str, situation: str, kills: int, seed: int
) -> Iterator[Outcome]:
    """Kill writers in a situation and check what is left of each store; those that fail are kept."""
    chance = random.Random(seed)  # noqa: S311
    if situation == "repair":
        dead = killed_in_repair(nursery, folder, fmt, kills, chance)
    elif situation == "syscall":
        whole = Job(str(folder / f"{fmt.replace('/', '-')}.store"), fmt, situation, frames=8)
        dead = nursery.run(traced(whole, calls_of(nursery, whole), kills, chance))
        shutil.rmtree(whole.path)
    else:
        dead = nursery.run(jobs(folder, fmt, situation, kills, chance))
    for killed in dead:
        try:
            lost = check_all(killed, loopbio)
        except (AssertionError, imgstore.ImgstoreError, OSError) as exc:
            yield Outcome(0, f"{killed.job}: {type(exc).__name__}: {exc}")
        else:
            shutil.rmtree(killed.job.path, ignore_errors=True)
            Path(killed.job.path + ".trace").unlink(missing_ok=True)
            yield Outcome(lost)


def check_all(killed: Killed, loopbio: Loopbio | None) -> int:
    """Raise unless a store is what it must be before and after repair; return how many frames are lost."""
    if not (Path(killed.job.path) / "metadata.yaml").exists():
        assert not killed.ages  # killed before there was a store
        return 0
    left = check(killed)
    check_repaired(killed.job.path, left, loopbio)
    return max(0, len(killed.ages) - len(left.frames))


def traced(whole: Job, calls: list[tuple[str, int]], kills: int, chance: random.Random) -> list[Job]:
    """Return jobs that are killed before system calls: before all of them, or as many as asked for."""
    chosen = sorted(chance.sample(calls, kills)) if kills < len(calls) else calls
    return [replace(whole, path=f"{whole.path}-{name}-{nth}", syscall=name, nth=nth) for name, nth in chosen]


def killed_in_repair(
    nursery: Nursery, folder: Path, fmt: str, kills: int, chance: random.Random
) -> Iterator[Killed]:
    """Kill a writer, then repairs of copies of what it left."""
    (first,) = nursery.run(jobs(folder, fmt, "extra", 1, chance))
    whole = Job(first.job.path + "-whole", fmt, "repair")
    shutil.copytree(first.job.path, whole.path)
    wanted = traced(whole, calls_of(nursery, whole), kills, chance)
    for job in wanted:
        shutil.copytree(first.job.path, job.path)
    for killed in nursery.run(wanted):
        yield replace(first, job=killed.job)
    shutil.rmtree(first.job.path)
    shutil.rmtree(whole.path)


def main() -> None:
    """Kill writers again and again, and say what was lost."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--kills", type=int, default=100, help="of every format and situation")
    options.add_argument("--formats", nargs="*", default=FORMATS_HERE)
    options.add_argument(
        "--situation", nargs="*", default=AT_RANDOM, choices=(*AT_RANDOM, *(TRACED if CAN_TRACE else ()))
    )
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--folder", type=Path, default=None, help="where the stores are made")
    chosen = options.parse_args()
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed  # noqa: S311
    table = Table("format", *(f"{name}: kills, lost max / mean" for name in chosen.situation), box=None)
    folder = Path(tempfile.mkdtemp(dir=chosen.folder))
    wrong: list[str] = []
    with Nursery() as nursery, Loopbio() if LOOPBIO_PYTHON else nullcontext() as loopbio:
        for fmt in chosen.formats:
            row = []
            for situation in chosen.situation:
                kills = kill_writers(nursery, loopbio, folder, fmt, situation, chosen.kills, seed)
                outcomes = list(kills)
                wrong += [outcome.wrong for outcome in outcomes if outcome.wrong]
                lost = [outcome.lost for outcome in outcomes]
                row.append(f"{len(lost)}, {max(lost)} / {np.mean(lost):.2f}")
            print(fmt, *row, sep="  ", flush=True)
            table.add_row(fmt, *row)
    Console().print(table)
    print(*wrong, sep="\n")
    asked = "read all that it knows" if LOOPBIO_PYTHON else "was not asked"
    print(f"{len(wrong)} stores are wrong; seed {seed}; loopbio's package {asked}")


if __name__ == "__main__":
    main()
