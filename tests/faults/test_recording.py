"""Recordings that go wrong: what was recorded stays whole, and what was lost is counted."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

import imgstore
from hardware import (
    CAUSES,
    CameraSettings,
    DiskGuard,
    Recorder,
    RecordLimit,
    StoreSink,
    StoreSpec,
    open_camera,
    read_number,
)
from hardware.clock import WallClock
from imgstore import ChunkError
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SHAPE = (96, 128)
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


def pattern_camera(*, rate=100.0, realtime=False, **options):
    """Return a camera whose images say their number, with faults."""
    settings = CameraSettings(size=SHAPE, rate=rate, realtime=realtime, seed=1, options=options)
    return open_camera("simulated:pattern", settings)


def recorder_of(camera, path, **options):
    """Return what records a camera into a store."""
    store = StoreSpec(path, format="mjpeg/avi")
    return Recorder(camera, lambda spec: [StoreSink(store, spec, camera.rate)], **options)


def check_store(path, summary, *, restarted=False, state="complete"):
    """Check that each number that the camera counted is in the store, or in its events, once."""
    with imgstore.open(path) as store:
        assert store.state == state
        assert not store.problems
        numbers = store.numbers.tolist()
        if not restarted:
            assert [read_number(frame.image) for frame in store] == numbers
        gaps = [event.detail for event in store.events if event.kind == "gap"]
        (end,) = (event.detail for event in store.events if event.kind == "recording_ended")
    lost = [number for gap in gaps for number in range(gap["first"], gap["last"] + 1)]
    assert sorted([*numbers, *lost]) == list(range(summary.captured))
    for cause in CAUSES:
        assert sum(gap["count"] for gap in gaps if gap["cause"] == cause) == summary.lost[cause]
    assert (end["captured"], end["written"]) == (summary.captured, summary.frames)
    return gaps


@pytest.mark.parametrize(
    "faults",
    [
        {"drop": 0.1},
        {"drop_every": 7, "bad_every": 5},
        {"bad": 0.2},
        {
            "drop": 0.1,
            "bad": 0.1,
            "jitter": 0.002,
            "counter_bits": 8,
            "counter_first": 1,
            "counter_start": 200,
        },
        {"freeze_at": 50, "freeze_frames": 20, "drop": 0.05},
    ],
    ids=lambda faults: " ".join(faults),
)
def test_what_a_camera_loses_is_written_down_as_it_counts_it(tmp_path, faults):
    camera = pattern_camera(**faults)
    summary = recorder_of(camera, tmp_path / "a", limit=RecordLimit(frames=400), queue_frames=32).run()
    exposures = camera.exposures
    with imgstore.open(tmp_path / "a") as store:
        last = store.numbers[-1]
    assert summary.frames == 400
    assert last + 1 == summary.captured  # the queue may have been ahead when the limit was reached
    assert 0 <= exposures.exposed - summary.captured < 200
    if "freeze_at" not in faults and "counter_bits" not in faults:
        check_store(tmp_path / "a", summary)


def test_all_of_a_run_is_what_the_camera_says_of_itself(tmp_path):
    camera = pattern_camera(drop=0.1, bad=0.1)
    stop = threading.Event()

    def watch(progress):
        if progress.frames > 300:
            stop.set()

    summary = recorder_of(camera, tmp_path / "a").run(watch, stop)
    check_store(tmp_path / "a", summary)
    exposures = camera.exposures
    assert summary.lost["buffer"] == exposures.incomplete
    assert summary.lost["camera"] + summary.frames + summary.lost["buffer"] <= exposures.exposed


@pytest.mark.parametrize("queue_frames", [4, 64])
def test_what_a_slow_disk_loses_is_counted(tmp_path, queue_frames):
    camera = pattern_camera(rate=400.0, realtime=True)

    class Slow(StoreSink):
        def append(self, frame):
            time.sleep(0.01)
            super().append(frame)

    store = StoreSpec(tmp_path / "a", format="mjpeg/avi")
    recorder = Recorder(
        camera,
        lambda spec: [Slow(store, spec, camera.rate)],
        queue_frames=queue_frames,
        limit=RecordLimit(seconds=1.5),
    )
    summary = recorder.run()
    check_store(tmp_path / "a", summary)
    assert summary.lost["queue"] > 20


def test_an_unplugged_camera_is_found_again_and_the_time_it_was_away_is_a_gap(tmp_path):
    camera = pattern_camera(rate=50.0, realtime=True, disconnect_frame=40, away_s=0.6, disconnects=2)
    summary = recorder_of(camera, tmp_path / "a", limit=RecordLimit(seconds=4.0)).run()

    gaps = check_store(tmp_path / "a", summary, restarted=True)
    assert summary.lost["camera"] > 2 * 0.6 * 50
    assert sum(gap.get("estimated", False) for gap in gaps) == 2
    with imgstore.open(tmp_path / "a") as store:
        kinds = [event.kind for event in store.events]
        assert kinds.count("camera_lost") == kinds.count("camera_back") == 2
        assert abs((store.times[-1] - store.times[0]) - (store.numbers[-1] - store.numbers[0]) / 50) < 0.1


def test_a_camera_that_falls_silent_is_started_again(tmp_path):
    camera = pattern_camera(rate=50.0, realtime=True, silence_at=0.5, silence_s=30.0)
    summary = recorder_of(camera, tmp_path / "a", silence_s=0.4, limit=RecordLimit(seconds=2.5)).run()
    check_store(tmp_path / "a", summary, restarted=True)
    with imgstore.open(tmp_path / "a") as store:
        assert "camera_back" in [event.kind for event in store.events]
    assert summary.lost["camera"] > 0


def test_a_step_of_the_systems_clock_bends_no_time_and_is_written_down(tmp_path):
    steps = [0]
    wall = WallClock(wall_ns=lambda: time.time_ns() + steps[0])
    camera = pattern_camera(rate=50.0, realtime=True)

    def watch(progress):
        if progress.frames > 60:
            steps[0] = 3600 * 1_000_000_000

    recorder_of(camera, tmp_path / "a", limit=RecordLimit(seconds=4.0), wall=wall).run(watch)
    with imgstore.open(tmp_path / "a") as store:
        (step,) = (event for event in store.events if event.kind == "clock_step")
        assert step.detail["seconds"] == pytest.approx(3600, abs=0.1)
        assert abs(store.times - store.times[0] - (store.numbers - store.numbers[0]) / 50).max() < 0.5
        assert abs(step.time - store.times[-1]) < 10


@pytest.fixture
def small_disk():
    """A disk of 6 MB."""
    place = Path(tempfile.mkdtemp())
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], check=False)
    if mounted.returncode:
        place.rmdir()
        pytest.skip("tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)
    place.rmdir()


def noisy(path, camera, **options):
    """Return what records a camera so that it takes much space."""
    store = StoreSpec(path, format="npy")
    return Recorder(camera, lambda spec: [StoreSink(store, spec, camera.rate)], **options)


def test_a_recording_ends_in_order_before_its_disk_is_full(small_disk):
    camera = pattern_camera(rate=40.0, realtime=True)
    recorder = noisy(small_disk / "a", camera, disk=DiskGuard(small_disk, reserve=3_000_000))
    summary = recorder.run()
    assert summary.stopped_by == "disk"
    check_store(small_disk / "a", summary)


def test_a_disk_that_is_full_all_the_same_ends_the_recording_and_nothing_is_wrong(small_disk):
    camera = pattern_camera(rate=400.0, realtime=True)
    recorder = noisy(small_disk / "a", camera, queue_frames=8)
    with pytest.raises(ChunkError, match=r"No space left|is full"):
        recorder.run()
    summary = recorder.summary
    assert summary.lost["disk"] > 100
    with imgstore.open(small_disk / "a") as store:
        numbers = store.numbers.tolist()
        assert len(numbers) == summary.frames
        assert [read_number(frame.image) for frame in store] == numbers


def test_a_disk_that_is_made_room_on_goes_on_being_written(small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(4_500_000))
    camera = pattern_camera(rate=60.0, realtime=True)
    freed = []

    def watch(progress):
        if not freed and (progress.lost["disk"] or progress.queued == progress.queue_frames):
            filler.unlink(missing_ok=True)
            freed.append(progress.frames)

    recorder = noisy(small_disk / "a", camera, queue_frames=8, limit=RecordLimit(frames=250))
    releaser = threading.Timer(3.0, lambda: filler.unlink(missing_ok=True))
    releaser.start()
    try:
        summary = recorder.run(watch)
    finally:
        releaser.cancel()
    assert 250 - 10 <= summary.frames <= 250  # the limit counts what the disk had taken
    check_store(small_disk / "a", summary, state="interrupted")  # in the chunk that the full disk broke off


def start_four(folder):
    """Start recording four cameras into a folder, with events on standard output."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from tools.cli import main; main()", "record"),
            *["simulated:pattern"] * 4,
            *(folder, "--realtime", "--rate", "30", "--size", "128x96", "--format", "mjpeg/avi"),
            *("--chunksize", "40", "--json", "--reserve", "0"),
        ],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_the_dead(stores):
    """Wait until nobody writes these stores any more: who is killed takes a moment to die."""
    deadline = time.monotonic() + 60
    for store in stores:
        while time.monotonic() < deadline:
            with imgstore.open(store) as opened:
                if opened.state != "recording":
                    break
            time.sleep(0.05)


@pytest.mark.parametrize("attempt", range(3))
def test_of_four_cameras_that_are_killed_all_but_the_last_second_is_left(tmp_path, attempt):
    recording = start_four(tmp_path / "rig")
    seen: dict[str, list[tuple[float, int]]] = {}
    deadline = None
    for line in recording.stdout:
        event = json.loads(line)
        seen.setdefault(event["camera"], []).append((time.monotonic(), event["frames"]))
        if deadline is None and len(seen) == 4 and all(reports[-1][1] for reports in seen.values()):
            deadline = time.monotonic() + 1.5 + 0.9 * attempt
        if deadline is not None and time.monotonic() > deadline:
            break
    killed = time.monotonic()
    os.killpg(recording.pid, signal.SIGKILL)
    recording.stdout.close()
    recording.wait()
    wait_for_the_dead([tmp_path / "rig" / name for name in seen])
    for name, reports in seen.items():
        with imgstore.open(tmp_path / "rig" / name) as store:
            before = max((frames for moment, frames in reports if moment < killed - 1), default=0)
            assert len(store) >= before
            assert [read_number(frame.image) for frame in store] == store.numbers.tolist()
        assert not imgstore.repair(tmp_path / "rig" / name).problems


def test_when_the_command_dies_its_cameras_end_in_order(tmp_path):
    recording = start_four(tmp_path / "rig")
    for line in recording.stdout:
        if json.loads(line)["frames"] > 20:
            break
    recording.kill()
    recording.stdout.close()
    recording.wait()
    deadline = time.monotonic() + 60
    locks = [tmp_path / "rig" / f"camera{place}" / ".lock" for place in range(1, 5)]
    while any(lock.exists() for lock in locks) and time.monotonic() < deadline:
        time.sleep(0.1)
    for lock in locks:
        with imgstore.open(lock.parent) as store:
            assert store.state == "complete"
            assert len(store)


def test_a_camera_that_is_stuck_for_good_leaves_a_whole_store_and_its_sum(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from tools.cli import main; main()", "record", "simulated:pattern"),
            *(tmp_path / "a", "--realtime", "--rate", "50", "--size", "128x96", "--reserve", "0"),
            *("--set", "stuck_at=1", "--set", "stuck_s=3600", "--silence", "1", "--json"),
        ],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    ended = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert "the camera is stuck" in done.stderr
    assert "the camera is stuck" in ended["error"]
    with imgstore.open(tmp_path / "a") as store:
        assert (store.state, len(store)) == ("complete", ended["frames"])
        assert "camera_lost" in [event.kind for event in store.events]
        assert sum(lost.count for lost in store.lost) == ended["dropped"] > 100


HOUR = """
import gc, os, resource, sys, threading
from pathlib import Path
from hardware import CameraJob, CameraSettings, RecordLimit, StoreSpec

settings = CameraSettings(size=(48, 64), rate={rate}, realtime={realtime}, seed=1)
job = CameraJob("a", "simulated:pattern", (StoreSpec(Path(sys.argv[1]), format="mjpeg/avi", chunksize=5000),),
                settings, limit=RecordLimit(frames={frames}), reserve=0, memory=1_000_000,
                feed=f"soak-{rate:g}-{{os.getpid()}}")
seen = []

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def watch(progress):
    seen.append((progress.frames, resident()))

recorder = job.recorder()
before = len(list(Path("/proc/self/fd").iterdir()))
summary = recorder.run(watch)
gc.collect()
after = len(list(Path("/proc/self/fd").iterdir()))
third = len(seen) // 3
print(summary.frames, summary.dropped, before, after, threading.active_count(),
      max(size for _, size in seen[third : 2 * third]), max(size for _, size in seen[2 * third :]))
"""


@pytest.mark.parametrize(
    ("realtime", "frames"),
    [pytest.param(False, 36_000, id="an hour"), pytest.param(True, 250, id="real time")],
)
def test_a_soak_leaves_nothing_behind_and_takes_no_more_memory_with_time(tmp_path, realtime, frames):
    rate = 25.0 if realtime else frames / 3600
    done = subprocess.run(
        [sys.executable, "-c", HOUR.format(realtime=realtime, frames=frames, rate=rate), tmp_path / "a"],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    written, dropped, before, after, threads, middle, end = map(int, done.stdout.split())
    assert written == frames
    assert (after, threads) == (before, 1)
    assert end < middle + 8_000_000  # a leak of a third of the images would be 12 MB in a third of the hour
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == frames
        assert store.numbers[-1] + 1 == frames + dropped
    assert not list(SHARED_MEMORY.glob(f"*soak-{rate:g}-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("is_early", [True, False], ids=["while it starts", "while it runs"])
def test_a_signal_to_all_processes_of_a_recording_ends_it_in_order(tmp_path, number, is_early):
    recording = start_four(tmp_path / "rig")
    children = Path(f"/proc/{recording.pid}/task/{recording.pid}/children")
    while is_early and len(children.read_text().split()) < 3:
        time.sleep(0.01)
    if not is_early:
        recording.stdout.readline()
    os.killpg(recording.pid, number)
    said, _ = recording.communicate(timeout=60)
    assert recording.returncode == 0
    ended = [event for event in map(json.loads, said.splitlines()) if event["event"] == "ended"]
    assert len(ended) == 4
    for event in ended:
        assert (event["error"], event["deaths"]) == (None, 0)
        for store in event["stores"]:
            with imgstore.open(store) as written:
                assert (written.state, len(written)) == ("complete", event["frames"])


def test_a_recording_goes_on_when_nobody_reads_its_events_any_more(tmp_path):
    recording = start_four(tmp_path / "rig")
    recording.stdout.readline()
    recording.stdout.close()
    time.sleep(2.5)
    assert recording.poll() is None
    recording.send_signal(signal.SIGTERM)
    assert recording.wait(timeout=60) == 0
    assert sorted(path.name for path in (tmp_path / "rig").iterdir()) == [f"camera{n}" for n in (1, 2, 3, 4)]
    for store in (tmp_path / "rig").iterdir():
        with imgstore.open(store) as written:
            assert written.state == "complete"
