"""Nights: windows of a rig file, one after the other."""

import shutil
import time

import pytest
import typer

import imgstore
from hardware import Outcome, RecordSummary
from hardware.rig.schedule import Window
from tests.imgstore.test_video import write_video
from tools.record_rig import goes_on, record_rig

ENDS = 1000.0


def outcome(stopped_by, error=None):
    return Outcome((), RecordSummary(5, 1.0, {}, stopped_by), error)


FAILED = outcome(None, "unplugged")
ABSENT = Outcome((), None, "not there")


@pytest.mark.parametrize(
    ("outcomes", "now", "expected"),
    [
        ([outcome("limit")], ENDS, True),
        ([outcome("limit")], ENDS - 100, False),  # another limit than the window
        ([outcome("limit"), FAILED], ENDS, True),
        ([outcome("limit"), ABSENT], ENDS, True),
        ([FAILED, ABSENT], ENDS - 100, True),
        ([outcome("interrupt"), FAILED], ENDS, False),
        ([outcome("stop")], ENDS, False),
        ([outcome("limit"), outcome("disk")], ENDS, False),
    ],
)
def test_the_next_window_is_recorded_unless_somebody_or_a_limit_ended_this_one(outcomes, now, expected):
    assert goes_on({str(place): one for place, one in enumerate(outcomes)}, ENDS, now) is expected


def test_a_camera_that_fails_in_a_night_is_recorded_in_the_next_one_and_the_exit_code_tells(
    tmp_path, monkeypatch, capsys
):
    """A day is too long for a test: windows here come when they are asked for."""
    write_video(tmp_path / "there.mp4", 10)
    began = time.time()
    asked = []

    def next_window(schedule, now, zone):
        asked.append(now)
        if len(asked) == 2:
            shutil.move(tmp_path / "there.mp4", tmp_path / "absent.mp4")
        return Window(max(now, time.time()) + 0.2, began + 1000 * len(asked))

    monkeypatch.setattr("tools.record_rig.next_window", next_window)
    monkeypatch.setattr("tools.record_rig._wait_until", lambda *_: True)
    (tmp_path / "rig.yaml").write_text(
        f"name: nights\nfolder: {tmp_path}/made\nschedule: {{daily: 20:00-08:00}}\n"
        f"cameras: {{a: {{source: 'video:{tmp_path}/absent.mp4'}}}}\n"
    )
    with pytest.raises(typer.Exit) as ended:
        record_rig(tmp_path / "rig.yaml", {}, wait=False, as_json=False)
    assert ended.value.exit_code == 1
    assert len(asked) == 2
    assert asked[1] >= began + 1000  # not the rest of the window in which it failed
    assert "absent.mp4" in capsys.readouterr().err
    (store,) = (tmp_path / "made").rglob("metadata.yaml")
    assert len(imgstore.open(store)) > 0
