"""Several cameras recorded together, a process each."""

import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

import imgstore
from hardware import CameraJob, CameraSettings, RecordLimit, RigRecorder, Saving, SettingError, StoreSpec

pytestmark = pytest.mark.slow

SMALL = CameraSettings(size=(96, 128), rate=50, realtime=True)


def job(tmp_path, name, source="simulated", *, settings=SMALL, **options):
    return CameraJob(
        name, source, (StoreSpec(tmp_path / name, format="mjpeg/avi"),), settings, reserve=0, **options
    )


def once(condition, stop):
    """Return what sets `stop` when the progress of all cameras meets a condition."""

    def watch(progress):
        if progress and condition(progress):
            stop.set()

    return watch


def test_cameras_start_together_and_each_has_its_store(tmp_path):
    names = ["top", "side", "front"]
    outcomes = RigRecorder([job(tmp_path, name, limit=RecordLimit(frames=60)) for name in names]).run()

    assert list(outcomes) == names
    firsts = []
    for name, outcome in outcomes.items():
        assert outcome.error is None
        assert outcome.summary.frames == 60
        with imgstore.open(tmp_path / name) as store:
            assert store.state == "complete"
            assert store.user_metadata["camera"]["name"] == name
            assert len(store) == 60
            firsts.append(store.times[0])
    with imgstore.open_many([tmp_path / name for name in names]) as many:
        assert len(many) > 30
    assert np.ptp(firsts) < 0.5  # their processes begin seconds apart


def test_a_camera_that_is_not_there_is_told_at_once_and_the_others_are_recorded(tmp_path):
    told: list[tuple[str, str]] = []
    stop = threading.Event()

    def watch(progress):
        if told and "good" in progress and progress["good"].frames >= 10:
            stop.set()

    outcomes = RigRecorder(
        [
            job(tmp_path, "good"),
            job(tmp_path, "absent", f"video:{tmp_path / 'absent.mp4'}", settings=CameraSettings()),
        ]
    ).run(watch, stop, lambda *failure: told.append(failure))
    assert told == [("absent", outcomes["absent"].error)]
    assert outcomes["good"].summary.frames >= 10
    assert "absent.mp4" in outcomes["absent"].error
    assert outcomes["absent"].stores == ()


def test_a_process_that_is_killed_is_started_again_beside_its_first_store(tmp_path):
    stop = threading.Event()
    killed = []

    def watch(progress):
        if not killed and len(progress) == 2 and all(one.frames > 20 for one in progress.values()):
            (holder,) = (tmp_path / "a" / ".lock").read_text().splitlines()
            killed.append(int(holder.split('"pid": ')[1].split(",")[0]))
            os.kill(killed[0], signal.SIGKILL)
        if killed and (tmp_path / "a-2" / "metadata.yaml").exists() and progress["a"].frames > 20:
            stop.set()

    outcomes = RigRecorder([job(tmp_path, "a"), job(tmp_path, "b")]).run(watch, stop)
    assert outcomes["a"].deaths == 1
    assert outcomes["a"].stores == (tmp_path / "a", tmp_path / "a-2")
    assert outcomes["b"].deaths == 0
    assert outcomes["a"].summary.frames == len(imgstore.open(tmp_path / "a-2"))
    with imgstore.open(tmp_path / "a") as first:
        assert first.state == "interrupted"
        assert len(first) > 20


def test_what_a_killed_process_had_recorded_counts_for_the_limit(tmp_path):
    killed = []

    def watch(progress):
        if not killed and any(one.frames > 100 for one in progress.values()):
            (holder,) = (tmp_path / "a" / ".lock").read_text().splitlines()
            killed.append(int(holder.split('"pid": ')[1].split(",")[0]))
            os.kill(killed[0], signal.SIGKILL)

    outcomes = RigRecorder([job(tmp_path, "a", limit=RecordLimit(frames=300))]).run(watch)
    assert outcomes["a"].deaths == 1
    assert outcomes["a"].summary.frames <= 200


def test_saving_can_be_started_and_stopped_for_all_at_once(tmp_path):
    stop = threading.Event()
    saving = Saving(at_once=False, pre_trigger_s=0.2)
    rig = RigRecorder([job(tmp_path, name, saving=saving) for name in ("a", "b")])
    steps = iter(["start", "stop", "end"])
    step = [next(steps)]

    def watch(progress):
        if len(progress) < 2:
            return
        if step[0] == "start" and all(one.taken > 20 for one in progress.values()):
            rig.start_saving("a test")
            rig.mark("light on")
            step[0] = next(steps)
        elif step[0] == "stop" and all(one.frames > 30 for one in progress.values()):
            rig.stop_saving("enough")
            step[0] = next(steps)
        elif step[0] == "end" and not any(one.saving for one in progress.values()):
            stop.set()

    outcomes = rig.run(watch, stop)
    for name, outcome in outcomes.items():
        assert outcome.error is None
        with imgstore.open(tmp_path / name) as store:
            assert len(store) == outcome.summary.frames > 30
            kinds = [event.kind for event in store.events]
            assert kinds[0] == "saving_started"
            assert [kind for kind in kinds if kind != "gap"][-2:] == ["saving_stopped", "recording_ended"]


def test_ctrl_c_ends_all_in_order(tmp_path):
    rig = RigRecorder([job(tmp_path, name) for name in ("a", "b")])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressed = []

    def watch(progress):
        if not pressed and len(progress) == 2 and all(one.frames > 5 for one in progress.values()):
            pressed.append(time.monotonic())
            signal.raise_signal(signal.SIGINT)

    try:
        outcomes = rig.run(watch)
    finally:
        signal.signal(signal.SIGINT, before)
    for name, outcome in outcomes.items():
        assert outcome.error is None
        with imgstore.open(tmp_path / name) as store:
            assert store.state == "complete"
            assert len(store) == outcome.summary.frames


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_cameras_of_a_rig_have_names_of_their_own(tmp_path, names):
    with pytest.raises(SettingError):
        RigRecorder([job(tmp_path, name) for name in names])


def test_what_fails_in_watching_ends_no_camera_and_comes_out_at_the_end(tmp_path):
    class WatchingFailedError(Exception):
        pass

    def watch(progress):
        if progress:
            raise WatchingFailedError

    rig = RigRecorder([job(tmp_path, name, limit=RecordLimit(frames=40)) for name in ("a", "b")])
    with pytest.raises(WatchingFailedError):
        rig.run(watch)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    for name in ("a", "b"):
        with imgstore.open(tmp_path / name) as store:
            assert (store.state, len(store)) == ("complete", 40)


def test_an_interrupt_that_is_raised_leaves_whole_stores_and_no_process(tmp_path):
    def watch(progress):
        if len(progress) == 2 and all(one.frames > 5 for one in progress.values()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RigRecorder([job(tmp_path, name) for name in ("a", "b")]).run(watch)
    assert not multiprocessing.active_children()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    for name in ("a", "b"):
        with imgstore.open(tmp_path / name) as store:
            assert store.state == "complete"
