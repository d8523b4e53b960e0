"""Windows on a virtual screen (Xvfb), with a mouse and a keyboard that are real to them (xdotool)."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import imgstore
from tracking import open_layout

PATIENCE_S = 60

pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Debian's xvfb and xdotool"
)


@pytest.fixture(scope="module")
def screen():
    """The name of a virtual screen."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as said:
        display = f":{int(said.readline())}"
    yield display
    server.terminate()
    server.wait()


class Program:
    """A program with a window, and who sits before it."""

    def __init__(self, screen, name, *arguments, title, cwd):
        self._env = {**os.environ, "DISPLAY": screen}
        command = [Path(sys.executable).with_name(name), *arguments]
        self._process = subprocess.Popen(
            command, cwd=cwd, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._title = title
        self._window = ""
        self.wait_until(self.has_window)
        self._window = self._windows()[-1]

    def wait_until(self, reached):
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline
            assert self.is_running(), self._process.communicate()[0]
            time.sleep(0.05)

    def has_window(self):
        return bool(self._windows())

    def is_running(self):
        return self._process.poll() is None

    def click(self, x, y, button=1):
        self._do("mousemove", "--window", self._window, str(x), str(y))
        self._do("click", str(button))

    def press(self, key):
        self._do("key", "--window", self._window, key)

    def press_until(self, key, reached):
        """Press a key, and again if it came before the window listened."""
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline
            self.press(key)
            time.sleep(0.3)

    def wait_for(self, words):
        """Wait until words are in its title."""
        self.wait_until(lambda: words in self._do("getwindowname", self._window))

    def stop(self):
        """Return what it said after SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        """Wait until it ends by itself, and return what it said."""
        said, _ = self._process.communicate(timeout=PATIENCE_S)
        assert self._process.returncode == 0, said
        return said

    def kill(self):
        self._process.kill()
        self._process.wait()

    def _windows(self):
        return self._do("search", "--onlyvisible", "--name", self._title).split()

    def _do(self, *arguments):
        done = subprocess.run(["xdotool", *arguments], env=self._env, capture_output=True, text=True)
        return done.stdout


@pytest.fixture
def start(screen, tmp_path):
    """Start a program with a window; it is gone after the test."""
    programs = []

    def begin(name, *arguments, title):
        programs.append(Program(screen, name, *arguments, title=title, cwd=tmp_path))
        return programs[-1]

    yield begin
    for program in programs:
        program.kill()


def test_regions_are_drawn_with_the_mouse_in_both_of_its_ways(start, tmp_path):
    cv2.imwrite(str(tmp_path / "arena.png"), np.full((480, 640), 150, np.uint8))
    window = start("ethostore", "layout", "draw", "arena.png", "--out", "a.yaml", title="ethostore layout")
    drawn = (
        ([(100, 100), (300, 100), (300, 200), (100, 200)], lambda: window.press("Return")),
        ([(500, 300), (600, 400), (400, 400)], lambda: window.press("o")),
        ([(20, 300), (120, 300), (120, 400)], lambda: window.click(60, 380, button=3)),
    )
    for regions, (places, end) in enumerate(drawn):
        for corners, place in enumerate(places):
            window.wait_for(f"regions {regions}, corners {corners};")
            window.click(*place)
        window.wait_for(f"corners {len(places)};")
        window.press("u")
        window.wait_for(f"corners {len(places) - 1};")
        window.click(*places[-1])
        window.wait_for(f"corners {len(places)};")
        end()
    window.wait_for("regions 3, corners 0;")
    window.press("s")
    assert "regions  3" in window.end()
    square, circle, triangle = open_layout(str(tmp_path / "a.yaml")).find(np.zeros((480, 640), np.uint8)).rois
    assert square.polygon.tolist() == [[100, 100], [300, 100], [300, 200], [100, 200]]
    np.testing.assert_allclose(circle.polygon.mean(axis=0), (500, 400), atol=0.5)
    assert triangle.polygon.tolist() == [[20, 300], [120, 300], [120, 400]]


def test_a_preview_that_is_closed_leaves_the_recording_alone(start, tmp_path):
    window = start(
        *("ethostore", "record", "simulated:pattern", "a.store", "--rate", "20", "--preview"),
        title="ethostore: camera",
    )
    window.press_until("q", lambda: not window.has_window())
    with imgstore.open(tmp_path / "a.store") as store:
        then = len(store)

    def goes_on():
        with imgstore.open(tmp_path / "a.store") as store:
            return len(store) > then + 10

    window.wait_until(goes_on)
    assert "0 lost" in window.stop()


def test_the_viewer_shows_a_store_and_ends_with_q_without_a_word_of_qt(start, tmp_path):
    with imgstore.create(tmp_path / "a.store", (120, 160), format="npy") as store:
        for n in range(3):
            store.append(imgstore.Frame(np.full((120, 160), 80 * n, np.uint8), n, n, float(n)))
    window = start("imgstore-view", "a.store", title="imgstore")
    window.press_until("q", lambda: not window.is_running())
    assert window.end() == ""
