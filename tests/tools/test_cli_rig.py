"""The commands about cameras, the machine and the rig file, as a user types them."""

import json

from tests.tools.test_cli import ethostore, fails


def test_cameras_says_what_to_type_for_each(tmp_path):
    lines = ethostore("cameras", cwd=tmp_path).stdout.splitlines()
    assert lines[0].split() == ["source", "driver", "model", "serial", "number", "modes"]
    assert any(line.startswith("simulated ") for line in lines)
    facts = json.loads(ethostore("cameras", "simulated", "--json", cwd=tmp_path).stdout)
    assert facts["cameras"][0]["source"] == "simulated"
    assert facts["problems"] == []
    fails("cameras", "simulate", cwd=tmp_path, says="did you mean 'simulated'")


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
