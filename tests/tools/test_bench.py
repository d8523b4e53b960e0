"""Benchmarks run small."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import imgstore
from tests.conftest import ROOT
from tests.imgstore.test_video import write_video
from tools.bench.exposures import DRIVER_BUFFERS, Exposures, Script, new_tally
from tools.bench.mark import BITS, SIDE, mark, read_mark
from tools.bench.recorders import mark_of
from tools.bench.scene import make_scene
from tools.bench.usage import cpu_seconds, family, memory_mb


def run(benchmark, *arguments):
    """Run a benchmark, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"tools.bench.{benchmark}", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def measured(benchmark, *arguments):
    """Run a benchmark once, and return what it says."""
    return json.loads(run(benchmark, *arguments, "--runs", "1", "--json"))


def test_the_benchmark_of_formats_measures_each_beside_its_codec(tmp_path):
    video = write_video(tmp_path / "a.mkv", 12)
    names = ["npy", "h264/mkv", "ffv1/mkv"]
    only = [part for name in names for part in ("--only", name)]
    facts = measured("formats", str(video), *only)
    assert (facts["frames"], facts["shape"]) == (12, [32, 48])
    assert [row["format"] for row in facts["rows"]] == names
    assert [row["lossless"] for row in facts["rows"]] == [True, False, True]
    assert all(row["bare_write"] > 0 for row in facts["rows"] if "/" in row["format"])
    assert set(names) < set(imgstore.FORMATS.names())


def test_the_benchmark_of_streams_measures_audio_beside_frames():
    facts = measured("streams", "--seconds", "1")
    assert facts["append_cpu_ms"] > 0
    assert 50 < facts["kilobytes"] < 500


def test_the_benchmark_of_roll_overs_measures_with_and_without_a_pace(tmp_path):
    video = write_video(tmp_path / "a.mkv", 12)
    options = ("--chunks", "2", "--chunksize", "25", "--only", "npy", "--only", "h264/mkv")
    rows = json.loads(run("rollover", str(video), "--json", *options))["rows"]
    assert [(row["format"], row["rate"]) for row in rows] == [
        (name, rate) for name in ("npy", "h264/mkv") for rate in (100.0, None)
    ]
    assert all(0 < row["p50"] <= row["p99"] for row in rows)


def test_the_benchmark_of_the_feed_measures_what_people_pick_instead():
    facts = measured("feed", "--frames", "40", "--seconds", "0.7", "--size", "64x48")
    ways = [row["way"] for row in facts["rows"]]
    assert ways[:2] == ["live feed, views", "live feed, copies"]
    assert set(ways[2:]) == {"multiprocessing.Queue", "Manager().Queue", "Pipe"}
    for row in facts["rows"]:
        assert row["frames_per_s"] > 0
        assert 0 < row["latency_ms"] <= row["latency_ms_99"]


@pytest.mark.slow
def test_the_benchmark_of_the_store_measures_all_beside_the_bare_codec_and_names_who_is_left_out(tmp_path):
    file = tmp_path / "all.json"
    options = ("--quick", "--frames", "8", "--json", str(file), "--peer-python", str(tmp_path / "none"))
    printed = run("store", "--data", str(tmp_path), *options)
    facts = json.loads(file.read_text())
    measured = {row["what"].split(",")[0] for row in facts["rows"]}
    reading = {"read in order", "random frame", "every 50th frame", "sorted batch of 64"}
    assert reading | {"append h264/mkv", "append npy", "first open", "open", "lookup by time"} <= measured
    for row in facts["rows"]:
        assert "ethostore" in row["contenders"], row
        assert not any(cell.get("wrong") for cell in row["contenders"].values()), row
        beside = {"ethostore", "bare"} <= row["contenders"].keys()
        assert (row["of_bare"] is not None) == beside
    assert any("torchcodec is left out" in note for note in facts["notes"])
    assert any("arena_10x2.mp4" in note for note in facts["notes"])
    assert "| append h264/mkv, made 640x480, ms a frame |" in printed


def test_the_benchmark_of_the_store_finds_a_wrong_frame():
    image = np.full((16, 160), 100, np.uint8)
    for number in (0, 1, 1199, 65_535):
        mark(image, number)
        assert read_mark(image[:SIDE, : BITS * SIDE]) == number


@pytest.mark.slow
def test_the_benchmark_of_the_recorder_measures_all_in_turns_and_names_who_is_left_out(tmp_path):
    file = tmp_path / "all.json"
    printed = run("recorder", "--quick", "--json", str(file), "--axvs-python", str(tmp_path / "none"))
    facts = json.loads(file.read_text())
    rows = {row["what"].partition(",")[0]: row["contenders"] for row in facts["rows"]}
    assert {"sustained", "a frame", "cost at 30 frames/s", "camera to disk to reader at 30 frames/s"} <= {
        *rows
    }
    for what, contenders in rows.items():
        assert {"queue", "manager"} <= contenders.keys(), what
        assert not any(cell.get("wrong") for cell in contenders.values()), what
    assert all(cell["rate"] > 0 and cell["cpu"] > 0 for cell in rows["sustained"].values())
    waited = rows["camera to disk to reader at 30 frames/s"].values()
    assert all(cell["p99"] >= cell["p50"] > 0 for cell in waited)
    assert rows["sustained"].keys() == {"ethostore", "queue", "manager"}
    assert any("ataraxis-video-system is left out" in note for note in facts["notes"])
    assert "| sustained, 160x120, frames/s (CPU ms a frame) |" in printed


def test_the_camera_of_the_benchmark_counts_what_nobody_took_in_time(tmp_path):
    scene = tmp_path / "scene.npy"
    make_scene(scene, 120, 160)
    tally = new_tally()
    tally.is_open = 1
    exposures = Exposures(Script(scene, 100.0, 0.2, tally))
    taken = [exposures.take()]
    time.sleep(0.1)
    while (exposure := exposures.take()) is not None:
        taken.append(exposure)
    numbers = [exposure.number for exposure in taken]
    assert [mark_of(exposure.image) for exposure in taken] == numbers
    assert tally.missed >= 9 - DRIVER_BUFFERS
    assert (tally.given, tally.given + tally.missed) == (len(numbers), 20)


def test_the_processes_of_a_contender_are_counted_together():
    code = "import sys; work = bytearray(50_000_000); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        child.stdout.readline()
        assert child.pid in family(os.getpid())
        assert memory_mb(os.getpid()) > memory_mb(child.pid) > 47
        assert cpu_seconds(os.getpid()) >= cpu_seconds(child.pid) > 0
        child.communicate()


def test_the_benchmark_of_tracking_measures_every_tracker_beside_decoding(tmp_path):
    video = write_video(tmp_path / "a.mkv", 12)
    facts = measured("tracking", str(video), "--frames", "6", "--only", "whole frame")
    assert [row["regions"] for row in facts["rows"]] == ["whole frame, grey", "whole frame, colour"]
    for row in facts["rows"]:
        assert row["decode_ms"] > 0
        assert {"archive_of_ethoscope", "adaptive_fps", "difference_of_decode"} <= set(row)


@pytest.mark.slow
def test_the_benchmark_of_tracking_measures_whole_runs_too(tmp_path):
    video = write_video(tmp_path / "a.mkv", 12)
    facts = measured("tracking", str(video), "--frames", "6", "--only", "none", "--loops", "2")
    assert [(row["frames"], row["workers"]) for row in facts["runs"]] == [(12, 1), (24, 1), (24, 2)]
    for row in facts["runs"]:
        assert row["same"]
        assert min(row["wall_s"], row["cpu_s"], row["peak_mb"]) > 0
