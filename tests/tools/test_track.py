"""`ethostore track`, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

import imgstore
from hardware import FeedWriter
from imgstore import FrameSpec
from tests.conftest import ROOT
from tests.tools.test_cli import ethostore, fails
from tests.tracking.recordings import SHAPE, datasets, frames, layout_file, rows_so_far, store_of
from tools.cli import app
from tracking import open_results, retrack

pytestmark = pytest.mark.slow

PATIENCE_S = 120


def begin(*arguments, cwd, path="/usr/bin:/bin"):
    """Start the command and return its process; other programs are looked for in `path`."""
    return subprocess.Popen(
        [sys.executable, "-c", "from tools.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": path, "COLUMNS": "200"},
        start_new_session=True,
    )


def until(condition):
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_several_recordings_are_tracked_those_that_fail_told_and_no_result_is_overwritten(tmp_path):
    for name in ("a", "b"):
        store_of(tmp_path / f"{name}.store", frames(60))
    store_of(tmp_path / "empty.store", [])
    done = ethostore("track", "*.store", "text.mp4", cwd=tmp_path, check=False)
    assert done.returncode == 1
    lines = [line.split()[:2] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert lines[1:] == [
        ["a.store", "complete"],
        ["b.store", "complete"],
        ["empty.store", "failed"],
        ["text.mp4", "failed"],
    ]
    assert "Traceback" not in done.stderr
    again = ethostore("track", "a.store", "b.store", "--json", cwd=tmp_path)
    facts = json.loads(again.stdout)
    assert [(fact["source"], fact["state"], fact["frames"]) for fact in facts] == [
        ("a.store", "complete", 60),
        ("b.store", "complete", 60),
    ]
    assert [len(list((tmp_path / f"{name}.store").glob("*.tracks.h5"))) for name in "ab"] == [2, 2]


def test_a_result_is_taken_as_the_model_for_others(tmp_path):
    for name in ("a", "b"):
        store_of(tmp_path / f"{name}.store", frames(60))
    layout = layout_file(tmp_path)
    ethostore(
        *("track", "a.store", "--layout", layout, "--set", "samples=20", "--out", "a.tracks.h5"), cwd=tmp_path
    )
    Path(layout).unlink()
    ethostore("track", "b.store", "--like", "a.tracks.h5", "--out", "b.tracks.h5", cwd=tmp_path)
    assert datasets(tmp_path / "a.tracks.h5") == datasets(tmp_path / "b.tracks.h5")
    with open_results(tmp_path / "b.tracks.h5") as results:
        assert results.attributes["settings"]["samples"] == 20
        assert [roi.name for roi in results.rois] == ["left", "right"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A store that takes some time to track, and the result."""
    folder = tmp_path_factory.mktemp("recording")
    store = store_of(folder / "a.store", frames(1500), chunksize=250)
    return store, retrack(store, out=folder / "whole.tracks.h5").path


def test_ctrl_c_ends_a_run_and_its_workers_and_it_is_gone_on_with(recording, tmp_path):
    store, whole = recording
    with begin("track", store, "--out", "a.tracks.h5", "--workers", 2, cwd=tmp_path) as process:
        until(lambda: rows_so_far(tmp_path / "a.tracks.h5") > 0)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    with open_results(tmp_path / "a.tracks.h5") as results:
        assert results.attributes["state"] == "stopped"
        assert results.points["frame"].max() == len(results.frames) - 1
    done = ethostore("track", "--resume", "a.tracks.h5", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["state"] == "complete"
    assert datasets(tmp_path / "a.tracks.h5") == datasets(whole)
    fails("track", "--resume", "a.tracks.h5", cwd=tmp_path, says="complete; there is nothing to go on with")


def test_who_follows_a_recording_ends_with_the_machine_and_goes_on_afterwards(tmp_path):
    store = tmp_path / "a.store"
    with imgstore.create(store, SHAPE, format="npy", chunksize=40) as writer:
        for frame in frames(60):
            writer.append(frame)
        with begin("track", store, "--follow", "--out", "a.tracks.h5", cwd=tmp_path) as process:
            until(lambda: rows_so_far(tmp_path / "a.tracks.h5") >= 59)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate()
        assert process.returncode == 130, errors
        for frame in frames(60, first=60):
            writer.append(frame)
    done = ethostore("track", "--resume", "a.tracks.h5", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["frames"] == 120
    with open_results(tmp_path / "a.tracks.h5") as results:
        assert results.frames["number"].tolist() == list(range(120))
        assert len(results.points) == len(set(results.points["frame"].tolist())) == 120


def test_a_live_feed_is_tracked_until_it_ends(tmp_path):
    name = f"track-test-{os.getpid()}"
    with (
        FeedWriter(name, FrameSpec(SHAPE)) as feed,
        begin("track", f"feed:{name}", "--out", "a.tracks.h5", "--json", cwd=tmp_path) as process,
    ):
        sent = 0
        deadline = time.monotonic() + PATIENCE_S
        while rows_so_far(tmp_path / "a.tracks.h5") < 60:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            for frame in frames(5, first=sent):
                feed.append(frame)
                time.sleep(0.005)
            sent += 5
        feed.close()
        text, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    facts = json.loads(text)
    assert (facts["state"], facts["found"]) == ("complete", pytest.approx(1.0, abs=0.1))
    with open_results(tmp_path / "a.tracks.h5") as results:
        assert results.frames["number"][-1] == sent - 1
        missing = sum(event.detail["count"] for event in results.events if event.kind == "frames-missing")
        assert len(results.frames) + missing == sent - results.frames["number"][0]


CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, *(worker.pid for worker in cluster.workers.values()), flush=True)
        sys.stdin.read()
"""


def test_a_dask_cluster_gives_the_same_also_when_a_worker_dies(recording, tmp_path):
    pytest.importorskip("distributed")
    store, whole = recording
    (tmp_path / "cluster.py").write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, "cluster.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    ) as cluster:
        try:
            address, first, _ = cluster.stdout.readline().split()
            with begin(
                *("track", store, "--out", "a.tracks.h5", "--scheduler", address, "--json"), cwd=tmp_path
            ) as process:
                until(lambda: rows_so_far(tmp_path / "a.tracks.h5") > 0)
                os.kill(int(first), signal.SIGKILL)
                text, errors = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, errors
            assert json.loads(text)["frames"] == 1500
        finally:
            cluster.stdin.close()
            cluster.wait(PATIENCE_S)
    assert datasets(tmp_path / "a.tracks.h5") == datasets(whole)


def test_wrong_calls_of_track_say_what_would_work(tmp_path):
    store = store_of(tmp_path / "a.store", frames(20))
    for arguments, says in (
        (("track", "*.mp4"), "nothing matches"),
        (("track", store, "b.store", "--out", "a.h5"), "--out names one file"),
        (("track", store, "--resume", "a.h5", "--tracker", "archive"), "--resume goes on as the run began"),
        (("track", store, "--slurm", "--scheduler", "tcp://localhost:1"), "exclude each other"),
    ):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 2
        assert says in " ".join(done.output.replace("│", " ").split())
    fails("track", f"feed:none-{os.getpid()}", cwd=tmp_path, says="feed")


@pytest.mark.skipif(find_spec("dask_jobqueue") is not None, reason="dask-jobqueue is installed")
def test_slurm_without_its_library_says_what_to_install(tmp_path):
    store = store_of(tmp_path / "a.store", frames(20))
    fails("track", store, "--slurm", cwd=tmp_path, says="pip install dask-jobqueue")


SBATCH = """#!/bin/sh
cp "$1" "$0.$$.sh"
sh "$0.$$.sh" >/dev/null 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill "$@"
"""


def test_slurm_jobs_are_submitted_as_shown_give_the_same_and_are_cancelled(recording, tmp_path):
    pytest.importorskip("dask_jobqueue")
    store, whole = recording
    fails("track", store, "--slurm", cwd=tmp_path, says="there is no command sbatch")
    assert "#SBATCH --cpus-per-task=1" in ethostore("track", "--slurm-script", cwd=tmp_path).stdout
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    arguments = ("track", store, "--slurm", "--workers", 2, "--out", "a.tracks.h5", "--json")
    with begin(*arguments, cwd=tmp_path, path=f"{tmp_path}:/usr/bin:/bin") as process:
        text, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "2 SLURM jobs are submitted" in errors
    assert json.loads(text)["frames"] == 1500
    assert datasets(tmp_path / "a.tracks.h5") == datasets(whole)
