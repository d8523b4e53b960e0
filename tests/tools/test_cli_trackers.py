"""Trackers and their settings, from the command line."""

import json

import tracking
from tests.imgstore.test_video import write_video
from tests.tools.test_cli import ethostore, fails


def test_trackers_are_listed_with_what_they_are_good_for(tmp_path):
    text = ethostore("trackers", cwd=tmp_path).stdout
    for name in tracking.TRACKERS.names():
        assert name in text
    facts = json.loads(ethostore("trackers", "--json", cwd=tmp_path).stdout)
    assert {one["name"]: one["live"] for one in facts} == {
        "archive": False,
        "adaptive": True,
        "difference": True,
        "external": True,
    }
    slowest = next(one for one in facts[1]["settings"] if one["name"] == "slowest")
    assert (slowest["default"], slowest["unit"], slowest["least"]) == (500.0, "s", 0.1)


def test_settings_of_a_tracker_are_listed_with_unit_range_and_default(tmp_path):
    text = ethostore("trackers", "adaptive", cwd=tmp_path).stdout
    for words in ("slowest", "500", "0.1 to 86400", "auto, dark, light, either"):
        assert words in text
    fails("trackers", "adaptve", cwd=tmp_path, says="did you mean 'adaptive'")
    fails("trackers", "--yaml", cwd=tmp_path, says="--yaml goes with the NAME", code=2)


def test_settings_come_from_a_file_and_single_ones_go_before_it(tmp_path):
    write_video(tmp_path / "a.mkv", 12)
    text = ethostore("trackers", "archive", "--yaml", cwd=tmp_path).stdout
    (tmp_path / "mine.yaml").write_text(text.replace("samples: 60", "samples: 7").replace("0.8", "0.6"))
    given = ("--settings", "mine.yaml", "--set", "share=0.7", "--out", "a.tracks.h5")
    ethostore("track", "a.mkv", *given, cwd=tmp_path)
    with tracking.open_results(tmp_path / "a.tracks.h5") as results:
        settings = results.attributes["settings"]
    assert (settings["samples"], settings["share"], settings["polarity"]) == (7, 0.7, "auto")
    (tmp_path / "mine.yaml").write_text("sample: 7\n")
    fails("track", "a.mkv", "--settings", "mine.yaml", cwd=tmp_path, says="did you mean 'samples'")
