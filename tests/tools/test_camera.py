"""`ethostore camera`, as a user types it."""

import json
from pathlib import Path

import pytest
import yaml

from tests.tools.test_cli import ethostore, fails


@pytest.fixture
def viky(tmp_path):
    """Arguments that open a camera of the producer that comes with genicam; and a folder to work in."""
    genicam = pytest.importorskip("genicam", reason="genicam is not installed")
    pytest.importorskip("harvesters", reason="harvesters is not installed")
    producer = Path(genicam.__file__).parent / "viky.cti"
    if not producer.exists():
        pytest.skip("this build of genicam has no producer with it")
    return [f"--set=producer={producer}"]


def test_a_dump_can_be_verified_and_loaded(viky, tmp_path):
    done = ethostore("camera", "dump", "genicam:1", "green.yaml", *viky, "--json", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert (facts["model"], facts["serial"]) == ("Viky", "1")
    assert facts["nodes"] == len(yaml.safe_load((tmp_path / "green.yaml").read_text())["nodes"])

    assert (
        "different  0" in ethostore("camera", "verify", "genicam:1", "green.yaml", *viky, cwd=tmp_path).stdout
    )
    done = ethostore("camera", "load", "genicam:1", "green.yaml", *viky, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["failed"] == []


def test_differences_are_listed_and_the_exit_code_says_so(viky, tmp_path):
    ethostore("camera", "dump", "genicam:0", "red.yaml", *viky, cwd=tmp_path)
    text = (tmp_path / "red.yaml").read_text()
    (tmp_path / "red.yaml").write_text(text.replace("name: Width\n  value: 400", "name: Width\n  value: 500"))

    done = ethostore("camera", "verify", "genicam:0", "red.yaml", *viky, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "Width is to be 500: it is 400" in done.stdout
    done = ethostore("camera", "load", "genicam:0", "red.yaml", *viky, cwd=tmp_path)
    assert "written  1" in done.stdout

    (tmp_path / "red.yaml").write_text(text.replace("name: Width\n  value: 400", "name: Width\n  value: 5"))
    done = ethostore("camera", "load", "genicam:0", "red.yaml", *viky, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "Width is from 100 to 800" in done.stdout


def test_what_cannot_be_is_said_in_a_line(viky, tmp_path):
    ethostore("camera", "dump", "genicam:0", "red.yaml", *viky, cwd=tmp_path)
    fails("camera", "dump", "genicam:0", "red.yaml", *viky, cwd=tmp_path, says="--force")
    fails("camera", "dump", "simulated", "b.yaml", cwd=tmp_path, says="simulated has no settings")
    fails("camera", "load", "genicam:0", "absent.yaml", *viky, cwd=tmp_path, says="absent.yaml")
    text = (tmp_path / "red.yaml").read_text()
    (tmp_path / "red.yaml").write_text(text.replace("Viky", "Boa"))
    fails("camera", "load", "genicam:0", "red.yaml", *viky, cwd=tmp_path, says="this one is a Viky")
    ethostore("camera", "load", "genicam:0", "red.yaml", *viky, "--force", cwd=tmp_path)


@pytest.mark.parametrize("command", ["dump", "load", "verify"])
def test_each_of_its_commands_explains_itself(tmp_path, command):
    assert "File of settings" in ethostore("camera", command, "--help", cwd=tmp_path).stdout
