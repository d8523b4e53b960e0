"""Recordings that cannot be made or end before they were to, as a user sees them."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

import imgstore
from hardware import FeedWriter
from imgstore import FrameSpec
from tests.conftest import ROOT
from tests.tools.test_cli import ethostore, fails, sum_of

SMALL = ("simulated:pattern", "a.store", "--size", "128x96")
LATER = ("--at", "2099-01-01")  # when nobody is there to see what goes wrong

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts disks")


@contextmanager
def disk(place, *options):
    """Mount a small disk at a folder while the block runs."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_what_is_in_the_way_of_a_recording_is_told_before_its_time(tmp_path):
    fails(
        "record",
        *SMALL,
        *LATER,
        "--reserve",
        1e9,
        cwd=tmp_path,
        says="GB free, and 1,000,000,000 GB are to be left",
    )
    fails("record", *SMALL, *LATER, "--settings", "smal", cwd=tmp_path, says="smal")
    ends = ("--until", "2098-12-31")
    fails("record", *SMALL, *LATER, *ends, cwd=tmp_path, says="give a later time", code=2)
    fails("record", *SMALL, "--until", "2001-01-01", cwd=tmp_path, says="--until is 2001-01-01", code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_feed_that_is_written_already_is_told_and_no_store_is_made(tmp_path):
    name = f"test-{os.getpid()}-{time.monotonic_ns()}"
    with FeedWriter(name, FrameSpec((4, 6))) as writer:
        writer.start()
        fails("record", *SMALL, "--feed", name, cwd=tmp_path, says=f"written by process {os.getpid()}")
        fails("record", *SMALL, "--feed", "a/b", cwd=tmp_path, says="a feed's name is up to 100 letters")
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_a_disk_that_cannot_be_written_is_told_before_its_time(tmp_path):
    with disk(tmp_path / "closed", "ro"):
        fails("record", "simulated", "closed/a.store", *LATER, cwd=tmp_path, says="for reading only")


@needs_root
def test_a_disk_that_fills_up_ends_a_recording_in_order_and_with_1(tmp_path):
    with disk(tmp_path / "small", "size=24m") as place:
        done = ethostore(
            *("record", "simulated:pattern", "small/a.store", "--size", "640x480", "--format", "npy"),
            *("--realtime", "--rate", 20, "--reserve", 0.012, "--json"),
            cwd=tmp_path,
            check=False,
        )
        facts = sum_of(done.stdout)
        assert (done.returncode, facts["stopped_by"], facts["error"]) == (1, "disk", None)
        assert "the disk is nearly full" in done.stderr
        with imgstore.open(place / "a.store") as store:
            assert (store.state, len(store)) == ("complete", facts["frames"])
        assert "0 errors" in ethostore("verify", "small/a.store", cwd=tmp_path).stdout


def test_the_sums_of_a_recording_are_those_of_its_store(tmp_path):
    ethostore("record", *SMALL, "--frames", 40, "--set", "drop_every=5", cwd=tmp_path, check=False)
    assert "0 errors, 0 warnings" in ethostore("verify", "a.store", cwd=tmp_path).stdout
    events = tmp_path / "a.store" / "events.jsonl"
    events.write_text("".join(line + "\n" for line in events.read_text().splitlines() if "gap" not in line))
    done = ethostore("verify", "a.store", "--json", cwd=tmp_path, check=False)
    (finding,) = [one for one in json.loads(done.stdout)[0]["findings"] if one["severity"] == "error"]
    assert (done.returncode, finding["file"]) == (1, "events.jsonl")
    assert "frames lost by camera, its gaps name 0" in finding["what"]


def test_a_camera_on_the_network_is_recorded(tmp_path):
    server = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "hardware" / "stream_server.py", "mjpeg", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        source = f"stream:http://user:secret@127.0.0.1:{int(server.stdout.readline())}/"
        done = ethostore("record", source, "a.store", "--frames", 20, "--json", cwd=tmp_path, check=False)
    finally:
        server.kill()
        server.communicate()
    assert done.returncode in (0, 3), done.stderr  # a busy machine may read too late
    assert sum_of(done.stdout)["frames"] == 20
    assert "secret" not in ethostore("info", "a.store", "--json", cwd=tmp_path).stdout
