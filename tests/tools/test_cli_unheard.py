"""Commands whose reader, `head` say, goes away: no traceback, and no recording ends for it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

import imgstore
from tests.conftest import ROOT

TIMEOUT = 60.0


@contextmanager
def begun(*arguments, cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE):
    """Run the command while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tools.cli import main; main()", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def nobody():
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def frames_of(path):
    with imgstore.open(path) as store:
        assert store.state == "complete"
        return len(store)


def test_what_nobody_reads_ends_without_a_word(tmp_path, nobody):
    with begun("cameras", "--options", cwd=tmp_path, stdout=nobody) as process:
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == b""


def test_a_recording_goes_on_when_nobody_reads_its_events_any_more(tmp_path):
    with begun(
        *("record", "simulated", "a.store", "--realtime", "--size", "320x240", "--json"), cwd=tmp_path
    ) as process:
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.stdout.close()
        first = tmp_path / "a.store" / "000000.mkv"
        size, deadline = first.stat().st_size, time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and first.stat().st_size < size + 50_000:
            time.sleep(0.1)  # events are printed once a second
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        code = process.wait(TIMEOUT)
        errors = process.stderr.read().decode()
    assert code in (0, 3), errors  # a busy machine loses frames of a simulated camera
    assert "Traceback" not in errors
    assert "Broken pipe" not in errors
    assert frames_of(tmp_path / "a.store") > 0


@pytest.mark.parametrize("options", [(), ("--json",)], ids=str)
def test_a_recording_of_which_nobody_hears_is_made_all_the_same(tmp_path, nobody, options):
    recording = ("record", "simulated", "a.store", "--frames", 30, "--size", "320x240", *options)
    with begun(*recording, cwd=tmp_path, stdout=nobody, stderr=nobody) as process:
        assert process.wait(TIMEOUT) == 0
    assert frames_of(tmp_path / "a.store") == 30


def test_the_exit_code_tells_lost_frames_when_nobody_reads_of_them(tmp_path, nobody):
    recording = (
        "record",
        "simulated",
        "a.store",
        "--frames",
        30,
        "--size",
        "320x240",
        "--set",
        "drop_every=5",
    )
    with begun(*recording, cwd=tmp_path, stdout=nobody, stderr=nobody) as process:
        assert process.wait(TIMEOUT) == 3


def test_a_rig_that_waits_for_its_time_records_when_nobody_hears_that_it_waits(tmp_path, nobody):
    begins = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 4))
    (tmp_path / "rig.yaml").write_text(
        "name: x\nstores: '{run}/{camera}'\ndisk_reserve: 1 MB\nlimits: {frames: 5}\n"
        f"schedule: {{start: {begins}}}\ncameras: {{a: {{source: simulated, size: 320x240}}}}\n"
    )
    with begun("record", "rig.yaml", "--json", cwd=tmp_path, stdout=nobody) as process:
        code = process.wait(TIMEOUT)
        errors = process.stderr.read().decode()
    assert code in (0, 3), errors
    assert frames_of(tmp_path / "x" / "a") == 5
