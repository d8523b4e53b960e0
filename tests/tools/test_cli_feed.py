"""The live feed, as a user looks at it."""

import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from hardware import CameraFrame, FeedWriter, remove_stale_feeds
from imgstore import FrameSpec
from tests.conftest import ROOT
from tests.hardware.feed_processes import SHAPE, numbered
from tests.hardware.test_feed import unused_name
from tools.cli import main

TIMEOUT = 60.0
SPEC = FrameSpec(SHAPE)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="feeds need Linux")


@pytest.fixture
def name(tmp_path_factory):
    """A name that no other test has; one test at a time has one, as dead feeds of all are removed."""
    with (tmp_path_factory.getbasetemp().parent / "feeds").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from unused_name()


@pytest.fixture
def writing(name):
    """A feed to which frames are appended, a hundred a second, until the test ends."""
    ended = threading.Event()
    with FeedWriter(name, SPEC) as writer:

        def run():
            while not ended.wait(0.01):
                writer.append(numbered(writer.count))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield writer
        finally:
            ended.set()
            thread.join()


@pytest.fixture
def begin(tmp_path):
    """What starts the command and lets it run."""
    started = []

    def run(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", "from tools.cli import main; main()", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "100"},
            bufsize=0,  # what was read ahead, `select` would not see
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """What runs the command in this process, in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run_here(*arguments):
        monkeypatch.setattr(sys, "argv", ["ethostore", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, " ".join(said.err.replace("│", " ").split())

    return run_here


def line_of(process):
    """Return the next line that a process says."""
    ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
    assert ready, "it said nothing"
    return process.stdout.readline().decode()


def one_of(output, name):
    return next(feed for feed in json.loads(output)["feeds"] if feed["name"] == name)


def leave_dead(name):
    """Have a process write a feed and be killed."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.hardware.feed_processes", "write_on_demand", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert writer.stdout.readline() == b"started\n"
    writer.kill()
    writer.communicate()


def test_feeds_are_listed_with_what_they_show_and_who_writes_them(name, writing, run):
    code, output, errors = run("feed", "--json")
    found = one_of(output, name)
    assert (code, errors) == (0, "")
    assert (found["shape"], found["dtype"], found["slots"]) == ([*SHAPE], "uint8", 16)
    assert (found["alive"], found["pid"]) == (True, os.getpid())
    assert found["number"] is None or found["number"] < writing.count
    (line,) = [line for line in run("feed")[1].splitlines() if line.startswith(name)]
    assert f"{SHAPE[1]}x{SHAPE[0]} grey uint8, last 16" in line
    assert f" {os.getpid()} " in line
    assert " alive" in line


def test_what_dead_writers_left_is_listed_and_removed_and_the_living_are_not(name, run):
    leave_dead(f"{name}-dead")
    with FeedWriter(f"{name}-living", SPEC):
        said = run("feed")[1]
        assert "left by a writer that died" in said
        assert "ethostore feed --remove-stale" in said
        assert not one_of(run("feed", "--json")[1], f"{name}-dead")["alive"]
        removed = json.loads(run("feed", "--remove-stale", "--json")[1])["removed"]
        assert f"{name}-dead" in removed
        assert f"{name}-living" not in removed
        listed = run("feed")[1]
    assert f"{name}-dead" not in listed
    assert f"{name}-living" in listed
    assert "no frame yet" in listed


def test_a_feed_is_followed_until_it_ends(name, begin):
    with FeedWriter(name, SPEC) as writer:
        following = begin("feed", name, "--json", "--interval", 0.1)
        said = json.loads(line_of(following))  # now it reads
        assert (said["event"], said["frames"], said["latency_ms"]) == ("feed", 0, None)
        for number in (0, 1, 2, 5, 6, 7):
            image, lost = numbered(number).image, 2 if number == 5 else 0
            writer.append(CameraFrame(image, number, number, number / 60, time.monotonic_ns(), lost=lost))
        while said["frames"] < 6:
            said = json.loads(line_of(following))
        assert (said["number"], said["lost"], said["camera_lost"]) == (7, 0, 2)
    output, errors = following.communicate(timeout=TIMEOUT)
    assert (following.returncode, errors) == (0, b"")
    end = json.loads(output.splitlines()[-1])
    assert (end["event"], end["feed"], end["frames"], end["ended_by"]) == ("ended", name, 6, "end")
    assert end["worst_latency_ms"] > 0


def test_a_feed_is_followed_in_lines_until_ctrl_c(name, begin, writing):
    following = begin("feed", name, "--interval", 0.1)
    lines = [line_of(following) for _ in range(3)]
    assert all(line.startswith(f"{name}: ") for line in lines)
    assert "lost 0, by the camera 0, latency " in lines[-1]
    following.send_signal(signal.SIGINT)
    output, errors = following.communicate(timeout=TIMEOUT)
    assert (following.returncode, errors) == (0, b"")
    assert "ended by  Ctrl-C" in output.decode()


def test_a_feed_that_is_silent_is_told_so(name, run):
    with FeedWriter(name, SPEC):
        code, said, _ = run("feed", name, "--seconds", 0.3, "--interval", 0.1)
    assert code == 0
    assert f"{name}: no frame for " in said
    assert "ended by  the limit" in said


def test_a_frame_of_a_feed_becomes_a_picture(name, writing, run, tmp_path):
    facts = json.loads(run("feed", name, "--save", "a.png", "--json")[1])
    image = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(image, numbered(facts["number"]).image)
    code, _, errors = run("feed", name, "--save", "a.png")
    assert (code, "a.png exists already" in errors) == (1, True)
    assert run("feed", name, "--save", "a.png", "--force")[0] == 0
    code, _, errors = run("feed", name, "--save", "a.gif")
    assert (code, "--save ends in one of .png" in errors) == (2, True)


def test_of_a_feed_that_is_not_there_those_that_are_named(name, writing, run, tmp_path):
    for arguments, expected, says in (
        (("nobody",), 1, rf"nobody writes a feed called nobody; living feeds.* {name}"),
        (("nobody", "--save", "a.png"), 1, "nobody writes a feed"),
        (("a/b",), 1, "a feed's name is up to 100 letters"),
        (("--save", "a.png"), 2, "name the feed"),
        ((name, "--remove-stale"), 2, "leave NAME away"),
    ):
        code, _, errors = run("feed", *arguments)
        assert code == expected
        assert re.search(says, errors)
    assert list(tmp_path.iterdir()) == []


def test_a_feed_is_waited_for_and_its_writer_may_die(name, begin):
    following = begin("feed", name, "--wait", TIMEOUT, "--interval", 0.1)
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.hardware.feed_processes", "write", name],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert line_of(following).startswith(f"{name}: ")
    finally:
        writer.kill()
        writer.communicate()
    _, errors = following.communicate(timeout=TIMEOUT)
    assert following.returncode == 1
    assert f"process {writer.pid}, ended without closing it" in errors.decode()
    remove_stale_feeds()


def test_who_follows_a_feed_for_a_reader_that_goes_away_ends(name, begin, writing):
    following = begin("feed", name, "--interval", 0.1)
    line_of(following)
    following.stdout.close()
    assert following.wait(TIMEOUT) == 0
    assert following.stderr.read() == b""
