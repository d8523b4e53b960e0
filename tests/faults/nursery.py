"""Writers to be killed, which cost little: a process that has imported everything forks one for every job.

The nursery has no threads and never opens a store, so that what is forked from it starts clean. As a module
it reads jobs, a line of JSON each, kills a writer for each, and prints the path when that is done.
"""

import json
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import imgstore
from tests.conftest import FORMATS_HERE, ROOT

SHAPE = (64, 96)
FIRST_NUMBER, FIRST_TIME = 7, 1000.0
STEP_S = 0.01  # from frame to frame, in the times that are written

SETTINGS = {"av1/mkv": imgstore.FormatSettings(preset="8")}
"""Not the usual ones: SVT-AV1's preset 10 draws a block wrong in a few of these pictures, killed or not."""

_SAID = struct.Struct("<cqd")  # what, how many of it there were before, when
_APPENDED, _RECORDED, _HAPPENED, _CLOSING, _CLOSED = b"a", b"r", b"h", b"c", b"d"
_TRACED = "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat2,unlink,unlinkat,mkdir,rmdir"
_PATIENCE_S = 60.0


def image(number):
    """Return an image that tells its number to any codec: a row of blocks, dark or bright."""
    blocks = np.array([40 + 170 * (number >> bit & 1) for bit in range(12)], np.uint8)
    return np.repeat(np.repeat(blocks.reshape(2, 6), SHAPE[0] // 2, axis=0), SHAPE[1] // 6, axis=1)


def number_in(seen):
    """Return the number that an image tells."""
    middles = seen[SHAPE[0] // 4 :: SHAPE[0] // 2, SHAPE[1] // 12 :: SHAPE[1] // 6]
    return sum(1 << bit for bit, level in enumerate(middles.ravel()) if level > 125)


def frame(number):
    """Return the frame that is appended as the one at index `number`."""
    return imgstore.Frame(image(number), 0, FIRST_NUMBER + 2 * number, FIRST_TIME + STEP_S * number)


def record(place):
    """Return a record of extra data: some small, some of many pages."""
    return {"place": place, "text": "x" * (place * 7919 % 70_000 if place % 3 == 0 else place % 40)}


def event(place):
    """Return the event that is appended at a place: most are gaps, some are marks that are long."""
    if place % 5 == 0:
        return imgstore.Event(FIRST_TIME + place, "mark", {"text": "x" * (place * 7919 % 60_000)})
    detail = {"first": None, "last": None, "count": 1 + place, "cause": "camera"}
    return imgstore.Event(FIRST_TIME + place, "gap", detail)


@dataclass(frozen=True)
class Job:
    """A writer to be started and killed.

    Attributes
    ----------
    path : of the store that it makes.
    format : of its chunks.
    situation : a name in SITUATIONS.
    after : seconds from its first frame (where it closes: from there) to the kill.
    frames : how many it appends, where it closes.
    syscall, nth : the system call before which it is killed, instead of `after` some time.
    """

    path: str
    format: str
    situation: str
    after: float = 0.0
    frames: int = 0
    syscall: str = ""
    nth: int = 0


@dataclass(frozen=True)
class Killed:
    """What is known of a writer that was killed.

    Attributes
    ----------
    job : of the writer.
    ages : of the frames that it had appended, in seconds before the kill.
    records : how many records of extra data it had appended.
    closed : whether it had closed the store before.
    events : how many events it had appended.
    """

    job: Job
    ages: list[float]
    records: int
    closed: bool
    events: int = 0


Say = Callable[[bytes, int], None]


def _in_the_first_chunk(job: Job, say: Say) -> None:
    with imgstore.create(job.path, SHAPE, format=job.format, settings=SETTINGS.get(job.format)) as writer:
        for number in range(1 << 12):
            writer.append(frame(number))
            say(_APPENDED, number)
            time.sleep(STEP_S)


def _at_a_roll_over(job: Job, say: Say) -> None:
    with imgstore.create(
        job.path, SHAPE, format=job.format, settings=SETTINGS.get(job.format), chunksize=3
    ) as writer:
        for number in range(1 << 12):
            writer.append(frame(number))
            say(_APPENDED, number)
            time.sleep(0.002)


def _append_event(writer: imgstore.StoreWriter, place: int, say: Say) -> None:
    happened = event(place)
    writer.append_event(happened.kind, happened.time, **happened.detail)
    say(_HAPPENED, place)


def _while_extra_data_are_written(job: Job, say: Say) -> None:
    with imgstore.create(
        job.path, SHAPE, format=job.format, settings=SETTINGS.get(job.format), chunksize=25
    ) as writer:
        for number in range(1 << 12):
            writer.append_extra(record(2 * number))
            say(_RECORDED, 2 * number)
            writer.append(frame(number))
            say(_APPENDED, number)
            _append_event(writer, number, say)
            writer.append_extra(record(2 * number + 1))
            say(_RECORDED, 2 * number + 1)
            time.sleep(STEP_S)


def _while_it_finishes(job: Job, say: Say) -> None:
    writer = imgstore.create(
        job.path, SHAPE, format=job.format, settings=SETTINGS.get(job.format), chunksize=25
    )
    for number in range(job.frames):
        writer.append(frame(number))
        say(_APPENDED, number)
    say(_CLOSING, 0)
    writer.close()
    say(_CLOSED, 0)


def _between_system_calls(job: Job, say: Say) -> None:
    """Do a little of everything: roll, write extra data and events, finish."""
    with imgstore.create(
        job.path, SHAPE, format=job.format, settings=SETTINGS.get(job.format), chunksize=3
    ) as writer:
        for number in range(job.frames):
            writer.append(frame(number))
            say(_APPENDED, number)
            writer.append_extra(record(number))
            say(_RECORDED, number)
            _append_event(writer, number, say)
    say(_CLOSED, 0)


def _repairing(job: Job, say: Say) -> None:
    """Repair a store that is there already."""
    imgstore.repair(job.path)
    say(_CLOSED, 0)


TRACED = ("syscall", "repair")
"""Situations in which a writer is killed before a system call, not after a time."""

SITUATIONS = {
    "first": _in_the_first_chunk,
    "roll": _at_a_roll_over,
    "extra": _while_extra_data_are_written,
    "finish": _while_it_finishes,
    "syscall": _between_system_calls,
    "repair": _repairing,
}


def jobs(folder: Path, fmt: str, situation: str, kills: int, chance: random.Random) -> list[Job]:
    """Return jobs that kill writers at random instants of a situation."""
    paths = [str(folder / f"{fmt.replace('/', '-')}-{situation}-{kill}.store") for kill in range(kills)]
    if situation == "finish":
        return [
            Job(path, fmt, situation, chance.expovariate(1 / 0.008), chance.randrange(1, 60))
            for path in paths
        ]
    return [Job(path, fmt, situation, _instant(chance, situation)) for path in paths]


def _instant(chance: random.Random, situation: str) -> float:
    """Return when to kill, in seconds from the first frame: often early, and now and then after a second."""
    if situation == "first" and chance.random() < 0.2:
        return chance.uniform(1.0, 1.5)
    return chance.uniform(0, 0.3)


class Nursery:
    """Runs writers and kills them, several at a time."""

    def __init__(self, at_once: int = 6) -> None:
        self._at_once = at_once
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def run(self, jobs: Iterable[Job]) -> Iterator[Killed]:
        """Yield the writers as they are killed, in any order."""
        waiting, running = deque(jobs), 0
        while waiting or running:
            while waiting and running < self._at_once:
                self._process.stdin.write(json.dumps(asdict(waiting.popleft())) + "\n")
                running += 1
            self._process.stdin.flush()
            told = json.loads(self._process.stdout.readline() or "{}")
            assert told, "the nursery is gone"
            running -= 1
            said = Path(told["path"] + ".said")
            killed = json.loads(said.read_text())
            said.unlink()
            yield Killed(Job(**killed.pop("job")), **killed)

    def close(self) -> None:
        """End the nursery."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> None:
    """Fork a process for every job that comes; it forks the writer and kills it."""
    for name in FORMATS_HERE:
        imgstore.FORMATS.get(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            job = Job(**json.loads(line))
            Path(job.path + ".said").write_text(json.dumps(asdict(_kill(job))))
            os.write(1, json.dumps({"path": job.path}).encode() + b"\n")
            os._exit(0)


def _kill(job: Job) -> Killed:
    """Run a writer, kill it, and return what it had said."""
    read, write = os.pipe()
    wait, go = os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(read)
        os.read(wait, 1)
        _write(job, write)
    os.close(write)
    tracer = _trace(writer, job) if job.situation in TRACED else None
    os.write(go, b"g")
    said = _listen(read, job)
    killed = time.monotonic()
    os.kill(writer, signal.SIGKILL)
    while data := os.read(read, 1 << 16):
        said += data
    os.waitpid(writer, 0)
    if tracer is not None:
        tracer.wait()
        tracer.stderr.close()
    heard = [_SAID.unpack_from(said, at) for at in range(0, len(said) - _SAID.size + 1, _SAID.size)]
    return Killed(
        job,
        [killed - when for what, _, when in heard if what == _APPENDED],
        sum(what == _RECORDED for what, _, _ in heard),
        any(what == _CLOSED for what, _, _ in heard),
        sum(what == _HAPPENED for what, _, _ in heard),
    )


def _write(job: Job, said: int) -> None:
    def say(what: bytes, number: int) -> None:
        os.write(said, _SAID.pack(what, number, time.monotonic()))

    failed = 1
    try:
        SITUATIONS[job.situation](job, say)
        failed = 0
        if job.situation not in TRACED:
            signal.pause()
    finally:
        if failed:
            sys.excepthook(*sys.exc_info())
        os._exit(failed)


def _listen(read: int, job: Job) -> bytes:
    """Return what the writer says until it is to be killed, or has died."""
    said, kill_at = b"", time.monotonic() + _PATIENCE_S
    counting = False
    while (left := kill_at - time.monotonic()) > 0 and select.select([read], [], [], left)[0]:
        data = os.read(read, 1 << 16)
        if not data:
            break
        said += data
        begun = not counting and (job.situation != "finish" or said[-_SAID.size :][:1] in _CLOSING + _CLOSED)
        if begun and job.situation not in TRACED:
            counting = True
            kill_at = time.monotonic() + job.after
    return said


def _trace(writer: int, job: Job) -> "subprocess.Popen[str]":
    """Have strace kill the writer just before its n-th call of a kind, in any of its threads."""
    inject = ["-e", f"inject={job.syscall}:signal=KILL:when={job.nth}"] if job.nth else []
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(writer), "-o", job.path + ".trace", "-e", f"trace={_TRACED}", *inject],
        stderr=subprocess.PIPE,
        text=True,
    )
    tracer.stderr.readline()  # "attached"
    return tracer


def calls_of(nursery: Nursery, job: Job) -> list[tuple[str, int]]:
    """Return all system calls that a writer makes, as (name, n): its n-th of that kind in a thread."""
    (done,) = nursery.run([job])
    assert done.closed
    trace = Path(job.path + ".trace")
    seen = Counter(
        (words[0], words[1].partition("(")[0])
        for words in (line.split(None, 1) for line in trace.read_text().splitlines())
        if words[1][0].isalpha()
    )
    trace.unlink()
    most: dict[str, int] = {}
    for (_, name), count in seen.items():
        most[name] = max(most.get(name, 0), count)
    return [(name, nth + 1) for name, count in sorted(most.items()) for nth in range(count)]


CAN_TRACE = shutil.which("strace") is not None

if __name__ == "__main__":
    main()
