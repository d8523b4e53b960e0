"""The commands about cameras, the machine and the rig file, as a user types them."""

import json

from hardware import CAMERAS
from tests.tools.test_cli import ethostore, fails


def test_cameras_says_what_to_type_for_each(tmp_path):
    lines = ethostore("cameras", cwd=tmp_path).stdout.splitlines()
    assert lines[0].split() == ["source", "driver", "model", "serial", "number", "modes"]
    assert any(line.startswith("simulated ") for line in lines)
    facts = json.loads(ethostore("cameras", "simulated", "--json", cwd=tmp_path).stdout)
    assert facts["cameras"][0]["source"] == "simulated"
    assert facts["problems"] == []
    fails("cameras", "simulate", cwd=tmp_path, says="did you mean 'simulated'")


def test_cameras_says_what_each_kind_can_be_told(tmp_path):
    kinds = json.loads(ethostore("cameras", "--options", "--json", cwd=tmp_path).stdout)
    assert list(kinds) == CAMERAS.names()
    (exposure,) = (one for one in kinds["opencv"] if one["name"] == "exposure")
    assert (exposure["unit"], exposure["default"], exposure["type"]) == ("ms", None, "a number or a word")
    said = ethostore("cameras", "picamera:0", "--options", cwd=tmp_path).stdout
    assert said.startswith("picamera:\nname ")
    assert "opencv:" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("exposure_ms ")]
    assert line.split() == ["exposure_ms", "above", "0", "ms", "automatic", "exposure", "time"]
    fails("cameras", "opencw", "--options", cwd=tmp_path, says="did you mean 'opencv'")
    assert "ethostore cameras --options" in " ".join(
        ethostore("record", "--help", cwd=tmp_path).stdout.split()
    )


def test_the_doctor_says_what_is_found_and_exits_with_it(tmp_path):
    done = ethostore("doctor", tmp_path, "--quick", cwd=tmp_path, check=False)
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem ")]
    assert done.returncode == bool(problems)
    assert done.stderr == ""
    assert "for one camera of 1280x960 grey at 30/s as h264/mkv" in done.stdout
    done = ethostore(
        *("doctor", tmp_path / "new", "--quick", "--json", "--rate", 5, "--size", "640x480", "--cameras", 2),
        cwd=tmp_path,
        check=False,
    )
    facts = json.loads(done.stdout)
    assert (facts["size"], facts["rate"], facts["cameras"], facts["codecs"]) == ([640, 480], 5, 2, [])
    assert {check["level"] for check in facts["checks"]} <= {"ok", "unknown", "warning", "problem"}
    assert done.returncode == any(check["level"] == "problem" for check in facts["checks"])
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_measures_codecs_and_the_disk(tmp_path):
    done = ethostore("doctor", "--size", "128x96", "--seconds", 0.02, "--json", cwd=tmp_path, check=False)
    facts = json.loads(done.stdout)
    speeds = {codec["format"]: codec["frames_per_s"] for codec in facts["codecs"]}
    assert speeds["npy"] > 0
    assert speeds["h264/mkv"] > 0
    topics = [check["topic"] for check in facts["checks"]]
    assert "write speed" in topics
    assert topics[-1] == "clock"


def test_the_doctor_exits_with_1_if_there_is_a_problem(tmp_path):
    done = ethostore("doctor", "--quick", "--cameras", 100_000, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "problem" in done.stdout
    fails("doctor", "--rate", 0, cwd=tmp_path, says="rate is a number of frames per second above 0")
    fails("doctor", "--format", "h265", cwd=tmp_path, says="there is no format")
    fails("doctor", "--size", "big", cwd=tmp_path, says="1280x960", code=2)


def test_a_rig_file_is_begun_and_checked(tmp_path):
    assert "ethostore rig check rig.yaml" in ethostore("rig", "init", cwd=tmp_path).stdout
    fails("rig", "init", cwd=tmp_path, says="rig.yaml exists already")
    ethostore("rig", "init", "--force", cwd=tmp_path)
    text = ethostore("rig", "check", cwd=tmp_path).stdout
    assert "front   simulated" in text
    assert "recordings/my run_20" in text
    facts = json.loads(ethostore("rig", "check", "rig.yaml", "--json", cwd=tmp_path).stdout)
    assert (facts["ok"], facts["problems"], facts["name"]) == (True, [], "my run")
    assert facts["cameras"][0]["stores"][0].endswith("/front")
    assert [path.name for path in tmp_path.iterdir()] == ["rig.yaml"]


def test_all_that_is_wrong_with_a_rig_file_is_told_with_line_and_name(tmp_path):
    (tmp_path / "rig.yaml").write_text("name: x\ncameras:\n  front: {source: simulated, rat: 3}\nlimit: {}\n")
    done = ethostore("rig", "check", cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:3]] == [
        ["3", "cameras.front.rat"],
        ["4", "limit"],
    ]
    assert "rig.yaml: 2 problems" in done.stdout
    (tmp_path / "rig.yaml").write_text(
        "name: x\ncameras:\n  front: {source: simulated, size: 8x8}\nlimits: {until: 2001-01-01 08:00}\n"
    )
    facts = json.loads(ethostore("rig", "check", "--json", cwd=tmp_path, check=False).stdout)
    assert [one["name"] for one in facts["problems"]] == ["cameras.front", "limits.until"]
    fails("rig", "check", "nowhere.yaml", cwd=tmp_path, says="nowhere.yaml: No such file")
