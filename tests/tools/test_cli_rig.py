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
