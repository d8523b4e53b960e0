"""The command line, as a user types it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

import imgstore
import tracking
from tests.conftest import ROOT
from tests.imgstore.test_video import write_video
from tests.tools.commands import run
from tests.tracking.made_results import write_result as write_known
from tests.tracking.test_correct import write as write_result
from tracking.plots import KINDS

COMMANDS = (
    *("cameras", "doctor", "rig", "camera", "layout"),
    *("demo", "record", "feed", "import", "info", "frame", "cut", "convert", "export-video", "export-tiff"),
    *("timecodes", "extra"),
    *("track", "trackers", "tracks", "plot", "overlay", "summary", "compare", "export"),
    *("import-tracks", "verify", "repair"),
)


def ethostore(*arguments, cwd, check=True):
    """Run the command and return what it did."""
    done = run([str(argument) for argument in arguments], cwd)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def fails(*arguments, cwd, says, code=1):
    """Run a command that must fail with one line that says something."""
    done = ethostore(*arguments, cwd=cwd, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert re.search(says, " ".join(done.stderr.replace("│", " ").split())), done.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What the demo makes of ten seconds."""
    folder = tmp_path_factory.mktemp("demo")
    done = ethostore("demo", "--out", folder / "made", "--seconds", 10, "--json", cwd=folder)
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=str)
def test_every_command_explains_itself(tmp_path, command):
    done = ethostore(*command, "--help", cwd=tmp_path)
    assert "Usage: ethostore" in done.stdout
    assert len(done.stdout) > 400


def test_the_demo_finds_every_fly(demo):
    assert demo["score"]["known"] == 20 * 200
    assert demo["score"]["near"] > 0.99
    assert demo["score"]["median"] < 1
    assert demo["score"]["worst_near"] > 0.9
    image = cv2.imread(demo["files"]["plot"])
    assert min(image.shape[:2]) > 500
    assert len(Path(demo["files"]["table"]).read_text().splitlines()) > 3900


def test_the_demo_leaves_what_is_there_alone(tmp_path):
    (tmp_path / "mine").write_text("precious")
    fails("demo", "--out", tmp_path, cwd=tmp_path, says="holds something already")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_video_becomes_a_store_with_its_own_times(tmp_path):
    stamps = [0, 50, 100, 900, 950, 2000]
    write_video(tmp_path / "a film.mkv", 6, pts=stamps)
    ethostore(
        "record",
        "video:a film.mkv",
        "a.store",
        "--start",
        "2026-01-02T03:04:05+00:00",
        "--meta",
        "age=4",
        "--chunksize",
        4,
        cwd=tmp_path,
    )
    facts = json.loads(ethostore("info", "a.store", "--json", cwd=tmp_path).stdout)
    assert facts["frames"] == 6
    assert facts["chunks"] == 2
    assert facts["state"] == "complete"
    assert facts["metadata"]["age"] == 4
    assert facts["duration_s"] == pytest.approx(2.0)
    with imgstore.open(tmp_path / "a.store") as store:
        np.testing.assert_allclose(store.times, 1767323045 + np.array(stamps) / 1000)
    assert "6, 48x32 grey uint8" in ethostore("info", "a.store", cwd=tmp_path).stdout


def test_lost_frames_are_told_with_when_and_how_many(make_store, tmp_path):
    make_store(name="a", numbers=[0, 1, 4, 5, 6, 17], times=[1000.0 + n / 2 for n in (0, 1, 4, 5, 6, 17)])
    facts = json.loads(ethostore("info", "a", "--json", cwd=tmp_path).stdout)
    assert facts["missing_numbers"] == 12
    assert [(gap["frames"], gap["first_number"], gap["last_number"]) for gap in facts["gaps"]] == [
        (2, 2, 3),
        (10, 7, 16),
    ]
    assert facts["gaps"][0]["after"].startswith("1970-01-01T00:16:40.5")
    assert facts["gaps"][0]["before"].startswith("1970-01-01T00:16:42")
    assert "12 frames in 2: 2 (2 to 3) after" in ethostore("info", "a", cwd=tmp_path).stdout


def test_what_happened_is_told_and_why_frames_were_lost(tmp_path):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy") as writer:
        for number in (0, 1, 4, 5, 17):
            writer.append(imgstore.Frame(np.zeros((4, 6), np.uint8), 0, number, 1000 + number / 2))
        writer.append_event("gap", 1002.0, first=2, last=3, count=2, cause="queue")
        writer.append_event("gap", 1002.0, first=None, last=None, count=7, cause="camera", estimated=True)
        writer.append_event("clock_step", 1002.1, seconds=-3600)
        writer.append_event("clock_step", 1002.1, seconds=10**400)
        writer.append_event("saving_stopped", 1002.9, reason="asked")
        writer.append_event("saving_started", 1008.2)
        for count in range(8):
            writer.append_event("mark", 1008.3, text=f"[red]\x1b[2J{count}é")
        writer.append_event("gap", 1e300, first=18, last=18, count=1, cause="disk")
    facts = json.loads(ethostore("info", "a", "--json", cwd=tmp_path).stdout)
    assert [(lost["frames"], lost["cause"], lost["estimated"]) for lost in facts["lost"]] == [
        (2, "queue", False),
        (7, "camera", True),
        (1, "disk", False),
    ]
    assert facts["lost"][0]["after"].startswith("1970-01-01T00:16:40.5")
    assert (facts["lost"][2]["first_number"], facts["lost"][2]["before"]) == (18, None)
    assert [(gap["first_number"], gap["last_number"]) for gap in facts["unsaved"]] == [(6, 16)]
    assert len(facts["events"]) == 15
    assert facts["events"][4] == {
        "time": "1970-01-01T00:16:42.900000+00:00",
        "kind": "saving_stopped",
        "detail": {"reason": "asked"},
    }
    done = ethostore("info", "a", cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert "lost, queue 2 frames in 1: 2 (2 to 3) after 1970-01-01T00:16:40.5" in said
    assert "lost, camera about 7 frames in 1: about 7 after" in said
    assert "lost, disk 1 frames in 1: 1 (18) after" in said
    assert "not saved 11 frames in 1: 11 (6 to 16) after" in said
    assert "clock steps 2: -3600 s at 1970-01-01T00:16:42.1" in said
    assert "events 10: mark at" in said
    assert "--json lists all" in said
    assert "[red]" in said
    assert "\x1b" not in done.stdout


def test_videos_and_results_are_described_too(demo, tmp_path):
    results = json.loads(ethostore("info", demo["files"]["result"], "--json", cwd=tmp_path).stdout)
    assert (results["state"], results["frames"], results["regions"]) == ("complete", 200, 20)
    assert results["found"] > 0.9
    video = next(Path(demo["files"]["store"]).glob("000000.mkv"))
    facts = json.loads(ethostore("info", video, "--json", cwd=tmp_path).stdout)
    assert (facts["frames"], facts["rate_hz"]) == (200, pytest.approx(20, rel=0.2))


def test_of_a_result_it_is_said_what_happened_and_how_often_animals_were_seen(tmp_path):
    times = 1.7e9 + np.arange(0, 100, 0.1)
    ways = {animal: np.full((1000, 2), 10.0) for animal in ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3))}
    for identity in (1, 2, 3):
        ways[2, identity][0] = np.nan
    write_known(tmp_path / "a.tracks.h5", times, ways)
    ethostore("tracks", "swap", "a.tracks.h5", 1, 2, "--roi", 1, "--from", 5, "--by", "index", cwd=tmp_path)
    facts = json.loads(ethostore("info", "a.tracks.h5", "--json", cwd=tmp_path).stdout)
    assert facts["found"] == pytest.approx(0.9995)
    (event,) = facts["events"]
    assert (event["time"], event["kind"]) == ("2023-11-14T22:13:20.500000+00:00", "identities-swapped")
    assert (event["roi"], event["detail"]["first_index"]) == (1, 5)
    said = " ".join(ethostore("info", "a.tracks.h5", cwd=tmp_path).stdout.split())
    assert "events 1: identities-swapped at 2023-11-14T22:13:20.500000+00:00 (region 1, identities" in said
    assert "found 99.9% of the frames" in said


def test_a_store_without_some_of_its_chunks_says_so_before_all_else(make_store, tmp_path):
    make_store(name="a", format="h264/mkv", numbers=list(range(70)), chunksize=10)
    for chunk in (1, 3, 4, 6):
        (tmp_path / "a" / f"{chunk:06d}.mkv").unlink()
    said = " ".join(ethostore("info", "a", cwd=tmp_path).stdout.split())
    assert "state complete, but without what is missing or broken, see problems" in said
    said = " ".join(ethostore("track", "a", "--out", "a.tracks.h5", cwd=tmp_path).stdout.split())
    assert "000001" in said
    assert "; and 1 more, see `ethostore info`" in said


def test_of_several_stores_offset_drift_and_common_frames_are_said(make_store, tmp_path):
    times = [1000.0 + n / 25 for n in range(40)]
    make_store(name="left", numbers=list(range(40)), times=times)
    make_store(name="right", numbers=list(range(3, 40)), times=[time + 0.004 for time in times[3:]])
    facts = json.loads(ethostore("info", "left", "right", "--by-number", "--json", cwd=tmp_path).stdout)
    assert (facts["master"], facts["common_frames"]) == ("left", 37)
    assert facts["stores"]["right"]["offset_s"] == pytest.approx(0.004)
    assert facts["stores"]["right"]["drift_ppm"] == pytest.approx(0, abs=1)
    assert facts["stores"]["right"]["warnings"] == []
    said = " ".join(ethostore("info", "left", "right", cwd=tmp_path).stdout.split())
    assert "right 37 frames, 37 matched, 3 of the master's missing, offset +0.004 s, drift" in said
    assert "warnings none" in said
    make_store(name="later", times=[5000.0 + n for n in range(12)])
    said = ethostore("info", "left", "later", cwd=tmp_path).stdout
    assert "12 frames, none matched" in said
    assert "do not overlap in time" in said


def sum_of(output):
    """Return the last event of a recording, which sums it up; every line before is one, too."""
    events = [json.loads(line) for line in output.splitlines()]
    assert [event["event"] for event in events[:-1]] == ["progress"] * (len(events) - 1)
    assert events[-1]["event"] == "ended"
    return events[-1]


@pytest.mark.parametrize("chunk_format", imgstore.FORMATS.names())
def test_every_format_can_be_recorded_and_seen(tmp_path, chunk_format):
    try:
        imgstore.FORMATS.get(chunk_format).check(imgstore.FrameSpec((240, 320)))
    except imgstore.MissingDependencyError as exc:
        pytest.skip(str(exc))
    done = ethostore(
        "record",
        "simulated",
        "a.store",
        "--format",
        chunk_format,
        "--frames",
        5,
        "--size",
        "320x240",
        "--rate",
        10,
        "--json",
        cwd=tmp_path,
    )
    facts = sum_of(done.stdout)
    assert (facts["frames"], facts["dropped"], facts["stopped_by"]) == (5, 0, "limit")
    ethostore("frame", "a.store", "out.png", "--number", 3, cwd=tmp_path)
    with imgstore.open(tmp_path / "a.store") as store:
        np.testing.assert_array_equal(
            cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED), store[3].image
        )


def test_ctrl_c_leaves_a_whole_store(tmp_path):
    recording = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from tools.cli import main; main()",
            "record",
            "simulated",
            "a.store",
            "--realtime",
            "--size",
            "320x240",
            "--json",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "a.store" / "000000.mkv").exists():
        time.sleep(0.05)
    time.sleep(1)
    recording.send_signal(signal.SIGINT)
    output, errors = recording.communicate(timeout=60)
    assert recording.returncode in (0, 3), errors  # a busy machine loses frames of a simulated camera
    facts = sum_of(output)
    assert facts["stopped_by"] == "interrupt"
    with imgstore.open(tmp_path / "a.store") as store:
        assert store.state == "complete"
        assert len([frame.image for frame in store]) == facts["frames"] > 0


def test_a_recording_that_the_system_ends_is_whole(tmp_path):
    recording = subprocess.Popen(
        [
            *(sys.executable, "-c", "from tools.cli import main; main()"),
            *("record", "simulated", "a.store", "--realtime", "--size", "320x240", "--json"),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "a.store" / "000000.mkv").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    recording.terminate()
    output, _ = recording.communicate(timeout=60)
    assert sum_of(output)["stopped_by"] == "stop"
    with imgstore.open(tmp_path / "a.store") as store:
        assert store.state == "complete"
        assert len(store) > 0


def record_on_terminal(folder, *words):
    """Start a recording on a terminal of its own; return it, and the other end of the terminal."""
    ours, its = os.openpty()
    take = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    recording = subprocess.Popen(
        [
            *(*words, sys.executable, "-c", f"{take}; from tools.cli import main; main()", "record"),
            *("simulated:pattern", "a.store", "--realtime", "--size", "128x96", "--reserve", "0"),
            *("--allow-lost", "1000000"),
        ],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TERM": "xterm"},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    seen = b""
    while b"saving" not in seen:
        seen += os.read(ours, 4096)
    return recording, ours


def test_a_recording_whose_terminal_is_closed_ends_in_order(tmp_path):
    recording, terminal = record_on_terminal(tmp_path)
    os.close(terminal)
    assert recording.wait(timeout=60) == 0
    with imgstore.open(tmp_path / "a.store") as store:
        assert store.state == "complete"
        assert store.events[-1].detail["reason"] == "stop"


def test_under_nohup_a_recording_goes_on_when_its_terminal_is_closed(tmp_path):
    recording, terminal = record_on_terminal(tmp_path, "sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    os.close(terminal)
    with imgstore.open(tmp_path / "a.store") as store:
        before = len(store)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and recording.poll() is None:
        with imgstore.open(tmp_path / "a.store") as store:
            if len(store) > before + 20:
                break
        time.sleep(0.05)
    assert recording.poll() is None
    recording.terminate()
    assert recording.wait(timeout=60) == 0
    with imgstore.open(tmp_path / "a.store") as store:
        assert store.state == "complete"


def test_a_killed_recording_is_read_and_repaired(tmp_path):
    recording = subprocess.Popen(
        [
            *(sys.executable, "-c", "from tools.cli import main; main()"),
            *("record", "simulated", "a.store", "--realtime", "--size", "320x240"),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "a.store" / "000000.mkv").exists():
        time.sleep(0.05)
    time.sleep(1)
    recording.kill()
    recording.wait()
    facts = json.loads(ethostore("info", "a.store", "--json", cwd=tmp_path).stdout)
    assert facts["state"] == "interrupted"
    assert facts["frames"] > 3
    done = json.loads(ethostore("repair", "a.store", "--json", cwd=tmp_path).stdout)
    assert done["frames_in_them"] == facts["frames"]
    assert json.loads(ethostore("info", "a.store", "--json", cwd=tmp_path).stdout)["state"] == "complete"
    ethostore("frame", "a.store", "last.png", "--index", "-1", cwd=tmp_path)


def test_only_results_are_replaced_by_force(demo, tmp_path):
    write_video(tmp_path / "v.mkv", 30)
    before = (tmp_path / "v.mkv").read_bytes()
    fails("track", "v.mkv", "--out", "v.mkv", "--force", cwd=tmp_path, says="no result file")
    assert (tmp_path / "v.mkv").read_bytes() == before
    for _ in range(2):
        ethostore("track", "v.mkv", "--out", "v.tracks.h5", "--force", cwd=tmp_path)


def test_a_result_of_another_recording_is_not_drawn(demo, tmp_path):
    ethostore("record", "simulated", "b.store", "--frames", 5, cwd=tmp_path)
    fails(
        "frame",
        "b.store",
        "x.png",
        "--index",
        1,
        "--result",
        demo["files"]["result"],
        cwd=tmp_path,
        says="of another recording",
    )
    assert not (tmp_path / "x.png").exists()


def test_a_time_outside_of_the_recording_is_told(demo, tmp_path):
    fails(
        "frame",
        demo["files"]["store"],
        "x.png",
        "--time",
        "2001-01-01T00:00:00",
        cwd=tmp_path,
        says="no frame within 2 s",
    )


def test_settings_reach_the_tracker(demo, tmp_path):
    store = demo["files"]["store"]
    ethostore(
        "track", store, "--set", "samples=20", "--set", "length=28", "--out", "a.tracks.h5", cwd=tmp_path
    )
    with tracking.open_results(tmp_path / "a.tracks.h5") as results:
        assert results.attributes["settings"]["samples"] == 20
    fails("track", store, "--set", "sample=20", cwd=tmp_path, says="did you mean 'samples'")


def test_a_frame_is_found_by_index_number_and_time(demo, tmp_path):
    store = demo["files"]["store"]
    with imgstore.open(store) as reader:
        moment, local = float(reader.times[42]), reader.local_time(float(reader.times[42])).isoformat()
    pictures = []
    for place, how in enumerate(
        (("--index", 42), ("--number", 42), ("--time", moment), ("--time", local), ("--index", -158))
    ):
        done = ethostore("frame", store, f"{place}.png", *how, "--json", cwd=tmp_path)
        assert json.loads(done.stdout)["index"] == 42
        pictures.append((tmp_path / f"{place}.png").read_bytes())
    assert len(set(pictures)) == 1
    ethostore("frame", store, "drawn.png", "--index", 42, "--result", demo["files"]["result"], cwd=tmp_path)
    assert cv2.imread(str(tmp_path / "drawn.png")).shape == (960, 1280, 3)


def test_results_lie_beside_what_was_tracked(demo, tmp_path):
    ethostore("record", "simulated", "a.store", "--frames", 40, cwd=tmp_path)
    first = json.loads(
        ethostore("track", "a.store", "--layout", "sleep-monitor-20tube", "--json", cwd=tmp_path).stdout
    )
    assert re.fullmatch(r"a\.store/[-0-9_]+_archive\.tracks\.h5", first["result"])
    assert (first["regions"], first["frames"], first["state"]) == (20, 40, "complete")
    with imgstore.open(tmp_path / "a.store") as store:  # a result in it disturbs nothing
        assert len(store) == 40
        uuid = store.metadata.uuid
    with tracking.open_results(tmp_path / first["result"]) as results:
        assert results.attributes["store_uuid"] == uuid
    write_video(tmp_path / "b.mp4", 30)
    second = json.loads(ethostore("track", "b.mp4", "--json", cwd=tmp_path).stdout)
    assert re.fullmatch(r"b\.mp4\.[-0-9_]+_archive\.tracks\.h5", second["result"])


def test_exports_and_plots_come_from_the_command_line(demo, tmp_path):
    result = demo["files"]["result"]
    ethostore("export", result, "a.parquet", cwd=tmp_path)
    ethostore("plot", result, "a.pdf", cwd=tmp_path)
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    fails("export", result, "a.parquet", cwd=tmp_path, says="exists already")
    fails("plot", result, "a.pdf", cwd=tmp_path, says="exists already")


def test_tracks_go_to_an_ethoscope_file_and_back(demo, tmp_path):
    name = ("--set", "machine_name=E_014")
    asked = ("export", demo["files"]["result"], "--to", "all", "--format", "ethoscope", *name, "--json")
    written = json.loads(ethostore(*asked, cwd=tmp_path).stdout)
    assert written["left_out"] == []
    path = tmp_path / written["written"]
    assert path.match("all/*/E_014/*/*.db")
    back = ("import-tracks", path, "--source", demo["files"]["store"], "--out", "back.tracks.h5", "--json")
    facts = json.loads(ethostore(*back, cwd=tmp_path).stdout)
    with tracking.open_results(demo["files"]["result"]) as results:
        assert facts["points"] == len(results.points)
        assert facts["frames"] == len(results.frames)
    fails(*back, cwd=tmp_path, says="exists already")
    fails("export", path, cwd=tmp_path, says="give one file to write, with --to", code=2)


def test_results_are_summed_up_compared_and_shown_from_the_command_line(demo, tmp_path):
    store, result = demo["files"]["store"], demo["files"]["result"]
    text = ethostore("summary", result, "--csv", "a.csv", cwd=tmp_path).stdout
    assert "noise" in text
    lines = pd.read_csv(tmp_path / "a.csv")
    assert len(lines) == 20
    assert (lines["found"] > 0.9).all()
    facts = json.loads(ethostore("summary", result, "--moving-above", "3px", "--json", cwd=tmp_path).stdout)
    assert facts["moving_above_px_s"] == 3
    fails("summary", result, "--moving-above", "fast", cwd=tmp_path, says="2px or 0.5mm", code=2)
    found = json.loads(ethostore("compare", result, result, "--json", "--out", "w.png", cwd=tmp_path).stdout)
    assert found["comparisons"][0]["whole"]["largest"] == 0
    assert (tmp_path / "w.png").read_bytes().startswith(b"\x89PNG")
    fails("compare", result, cwd=tmp_path, says="--truth", code=2)
    options = ("--by", "index", "--start", 10, "--end", 20, "--scale", 0.5, "--json")
    made = json.loads(ethostore("overlay", store, result, "a.mp4", *options, cwd=tmp_path).stdout)
    assert made["frames"] == 10
    fails("overlay", result, cwd=tmp_path, says="RESULT OUT", code=2)
    ethostore("plot", result, "a.png", "--kind", "actogram", "--lights", "8-20", cwd=tmp_path)
    fails("plot", result, "b.png", "--lights", "dark", cwd=tmp_path, says="8-20")
    assert all(kind in ethostore("plot", "--help", cwd=tmp_path).stdout for kind in KINDS.names())


def test_identities_are_corrected_from_the_command_line(tmp_path):
    write_result(tmp_path / "a.tracks.h5").close()
    said = ethostore("tracks", "swap", "a.tracks.h5", 1, 2, "--roi", 1, "--dry-run", cwd=tmp_path).stdout
    assert "no, a dry run" in said
    done = json.loads(
        ethostore(
            *("tracks", "swap", "a.tracks.h5", 1, 2, "--roi", 1),
            *("--from", 1, "--to", 1.45, "--by", "seconds", "--json"),
            cwd=tmp_path,
        ).stdout
    )
    assert (done["identities"], done["points"], done["frames"]) == ({"1": 2, "2": 1}, 10, [10, 14])
    ethostore("tracks", "join", "a.tracks.h5", 2, 3, "--roi", 1, cwd=tmp_path)
    ethostore("tracks", "split", "a.tracks.h5", 1, "--roi", 2, "--from", 5, "--by", "index", cwd=tmp_path)
    with tracking.open_results(tmp_path / "a.tracks.h5") as results:
        kinds = [event.kind for event in results.events]
    assert kinds == ["identities-swapped", "identities-joined", "identity-split"]
    fails("tracks", "swap", "a.tracks.h5", 1, 2, cwd=tmp_path, says="--roi", code=2)
    fails("tracks", "join", "a.tracks.h5", 1, 9, "--roi", 1, cwd=tmp_path, says="no identity 9")


def test_errors_say_in_one_line_what_to_do_and_leave_nothing(demo, tmp_path):
    store = demo["files"]["store"]
    (tmp_path / "text.mp4").write_text("this is text")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for arguments, says in (
        (("info", "nowhere"), "nowhere does not exist"),
        (("info", "folder"), "not a store: it has no metadata.yaml"),
        (("import", "nothere.mp4", "z.store"), "nothere.mp4 does not exist; give a video"),
        (("info", "text.mp4"), "cannot be read as video"),
        (("frame", "text.mp4", "a.png", "--index", 0), "cannot be read as video"),
        (("frame", store, "a.png", "--index", 200), "holds 200 frames"),
        (("frame", store, "a.png", "--number", 777), "from 0 to 199"),
        (("frame", store, "nowhere/a.png", "--index", 1), "nowhere"),
        (("track", "text.mp4"), "cannot be read as video"),
        (("track", "nowhere.mp4"), "does not exist"),
        (("track", "folder"), "not a store"),
        (("track", store, "--layout", "sleep-monitor-20tubes"), "did you mean 'sleep-monitor-20tube'"),
        (("track", store, "--layout", "nowhere.yaml"), "cannot be read"),
        (("track", store, "--tracker", "archiv"), "did you mean 'archive'"),
        (("track", store, "--out", "nowhere/a.tracks.h5"), "nowhere"),
        (("track", store, "--out", "text.mp4"), "exists already"),
        (("record", "video:text.mp4", "a.store"), "cannot be read as video"),
        (("record", "video:nowhere.mp4", "a.store"), "nowhere.mp4"),
        (("record", "simulate", "a.store"), "did you mean 'simulated'"),
        (("record", "opencv:77", "a.store"), "77"),
        (("record", "simulated", "a.store", "--format", "h265"), "there is no format"),
        (("record", "simulated", "folder/../text.mp4", "--frames", 3), "is a file"),
        (("record", "simulated", "text.mp4/a.store", "--frames", 3), "parents is a file"),
        (("record", "simulated", store, "--frames", 3), "a store already"),
        (("plot", "text.mp4", "a.png"), "no result file"),
        (("export", "nowhere.tracks.h5", "a.csv"), "does not exist"),
        (("export", demo["files"]["result"], "a.xlsx"), "known: .csv, .db, .h5"),
    ):
        fails(*arguments, cwd=tmp_path, says=says)
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_calls_exit_with_2(demo, tmp_path):
    store = demo["files"]["store"]
    for arguments, says in (
        (("frame", store, "a.png"), "give one of --index, --number and --time"),
        (("frame", store, "a.png", "--time", "noon"), "ISO 8601"),
        (("frame", store, "a.gif", "--index", 1), "OUT ends in"),
        (("record", "simulated", "a.store", "--size", "big"), "1280x960"),
        (("record", "simulated", "a.store", "--meta", "big"), "NAME=VALUE"),
        (("record", "simulated", "a.store", "--start", "noon"), "Unix seconds"),
        (("record", "simulated", "a.store", "--wait"), "no terminal to press it on"),
        (("recrod",), "No such command"),
    ):
        fails(*arguments, cwd=tmp_path, says=says, code=2)


def test_the_readme_runs_word_for_word(tmp_path):
    readme = (ROOT / "README.md").read_text()
    shell = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    commands = [line for block in shell for line in block.splitlines() if line.startswith("ethostore ")]
    assert len(commands) >= 6
    for line in commands:
        ethostore(*shlex.split(line)[1:], cwd=tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "100 (480, 640) 99" in ran.stdout
    (layout,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "regions.yaml").write_text(layout)
    assert len(yaml.safe_load(layout)["regions"]) == 2
    regions = tracking.open_layout(str(tmp_path / "regions.yaml")).find(np.zeros((480, 640), np.uint8))
    assert len(regions.rois) == 2


def test_verify_says_in_a_table_what_is_wrong_and_exits_with_it(tmp_path, make_store):
    good, bad = make_store(name="good"), make_store(name="bad", format="h264/mkv")
    assert "0 errors" in ethostore("verify", good, cwd=tmp_path).stdout
    (bad / "000001.mkv").write_bytes((bad / "000001.mkv").read_bytes()[:-90])
    done = ethostore("verify", good, bad, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    assert re.search(r"error +1 +000001\.mkv +5-9 +it is not what was written", done.stdout)
    facts = json.loads(ethostore("verify", bad, "--json", "--fast", cwd=tmp_path, check=False).stdout)
    assert (facts[0]["ok"], facts[0]["frames"], facts[0]["decoded"]) == (False, 12, 0)
    assert [finding["file"] for finding in facts[0]["findings"]] == ["000001.mkv"]


def test_verify_tells_what_is_no_store(tmp_path, make_store):
    (tmp_path / "a.tracks.h5").touch()
    fails("verify", "a.tracks.h5", cwd=tmp_path, says="file of results, not a store")
    fails("verify", "nowhere", cwd=tmp_path, says="nowhere does not exist")
    path = make_store()
    (path / "metadata.yaml").write_text("a: [b\n")
    done = ethostore("verify", path, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "metadata.yaml" in done.stdout


def test_a_frame_of_a_video_is_in_colour_if_the_video_is(tmp_path):
    for scene, more in (("pattern", ["--colour"]), ("arena", [])):
        video = f"{scene}.mp4"
        ethostore("record", f"simulated:{scene}", scene, "--frames", 3, *more, cwd=tmp_path)
        ethostore("export-video", scene, video, cwd=tmp_path)
        ethostore("frame", video, f"{scene}.png", "--index", 1, cwd=tmp_path)
        picture = cv2.imread(str(tmp_path / f"{scene}.png"), cv2.IMREAD_UNCHANGED)
        assert (picture.ndim == 3) == (scene == "pattern")
