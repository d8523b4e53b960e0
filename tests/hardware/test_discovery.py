"""Looking for cameras, whatever the libraries that do it are up to."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware import FINDERS, CameraIdentity, FoundCamera, SettingError, find_cameras
from hardware.camera import CameraFinder
from hardware.discovery import CameraSearch, run_searches, search_here
from imgstore import Registry, UnknownNameError


def python(code: str) -> list[str]:
    """Return a command that runs a piece of Python."""
    return [sys.executable, "-c", code]


def search(kind: str, command: list[str], limit_s: float = 60.0) -> CameraSearch:
    """Run one search and return what it came to."""
    (found,) = run_searches({kind: command}, limit_s)
    return found


def test_the_simulated_camera_is_always_found():
    (found,) = find_cameras(["simulated"])
    assert (found.kind, found.problem, found.missing) == ("simulated", "", False)
    assert found.cameras[0].source == "simulated"
    assert found.cameras[0].identity == CameraIdentity("simulated", "arena")
    assert "1280x960" in found.cameras[0].modes[0]


def test_all_kinds_are_searched_in_the_order_of_the_table():
    assert [one.kind for one in find_cameras()] == FINDERS.names()


@pytest.mark.parametrize("kind", FINDERS.names())
def test_what_is_found_can_be_opened(kind):
    (found,) = find_cameras([kind])
    for camera in found.cameras:
        assert camera.source.partition(":")[0] == kind


def test_a_kind_that_is_none_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'simulated'"):
        find_cameras(["simulate"])
    with pytest.raises(SettingError):
        find_cameras(limit_s=0)


def test_a_search_that_hangs_is_given_up_and_nothing_of_it_stays():
    code = "import subprocess; subprocess.run(['sleep', '600'])"  # holds our pipes open, too
    found = search("stuck", python(code), 1.0)
    assert (found.cameras, found.missing) == ((), False)
    assert found.problem == "the search did not end within 1 s and was given up"


def test_a_search_that_hangs_or_crashes_keeps_no_other_from_its_answer():
    answer = '{"kind": "good", "cameras": [], "problem": "", "missing": false}'
    commands = {
        "stuck": python("import time; time.sleep(600)"),
        "good": python(f"print({answer!r})"),
        "broken": python("import os; os.abort()"),
    }
    stuck, good, broken = run_searches(commands, 5.0)
    assert stuck.problem.startswith("the search did not end")
    assert good == CameraSearch("good")
    assert broken.problem == "the search crashed (SIGABRT)"


def test_a_search_that_crashes_is_told():
    found = search("vendor", python("import os; os.abort()"))
    assert found.problem == "the search crashed (SIGABRT)"


def test_a_search_that_fails_is_told_with_the_reason():
    found = search("vendor", python("raise ZeroDivisionError('no node map')"))
    assert found.problem == "the search failed: ZeroDivisionError: no node map"


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"kind": "a", "cameras": 3}', "\udcff"])
def test_an_answer_that_is_none_is_told(answer):
    code = f"import sys; sys.stdout.buffer.write({answer!r}.encode(errors='surrogateescape'))"
    assert search("vendor", python(code)).problem.startswith("the search gave no answer")


@pytest.fixture
def make_finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Registry[CameraFinder]]:
    """Make a table of one finder, "mine", of the source code of its module."""

    def make(source: str) -> Registry[CameraFinder]:
        name = f"finder_of_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        return Registry("kind of camera", {"mine": f"{name}:find"}, {"mine": "mine"})

    return make


ONE = """
import os
from hardware import CameraIdentity, FoundCamera

def find():
    print("hello from the vendor")
    os.write(1, b"and from below Python")
    return [FoundCamera("mine:0", CameraIdentity("mine", "model", "serial"), ("640x480 30/s",))]
"""


def test_what_a_library_prints_does_not_disturb_the_answer(make_finder, tmp_path):
    make_finder(ONE)
    code = (
        "from hardware.discovery import child; from imgstore import Registry; "
        f"child('mine', 30, Registry('kind of camera', {{'mine': 'finder_of_{tmp_path.name}:find'}}))"
    )
    identity = CameraIdentity("mine", "model", "serial")
    assert search("mine", python(code)).cameras == (FoundCamera("mine:0", identity, ("640x480 30/s",)),)


def test_what_a_finder_says_is_handed_on_as_plain_values(make_finder):
    assert json.loads(json.dumps(search_here("mine", make_finder(ONE)))) == {
        "kind": "mine",
        "cameras": [
            {
                "source": "mine:0",
                "identity": {"driver": "mine", "model": "model", "serial": "serial"},
                "modes": ["640x480 30/s"],
            }
        ],
        "problem": "",
        "missing": False,
    }


def test_a_library_that_is_not_installed_is_told_with_what_to_install(make_finder):
    said = search_here("mine", make_finder("import no_such_library"))
    assert said["missing"] is True
    assert "pip install 'ethostore[mine]'" in str(said["problem"])


def test_a_finder_that_raises_is_told_with_its_words(make_finder):
    source = "from hardware import HardwareError\ndef find(): raise HardwareError('the bus is in use')"
    said = search_here("mine", make_finder(source))
    assert (said["missing"], said["problem"]) == (False, "the bus is in use")
