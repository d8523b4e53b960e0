"""Fixtures for the tests of tracking."""

import re

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="session")
def detector(tmp_path_factory):
    """The detector of TRACKERS.md, in a file."""
    path = tmp_path_factory.mktemp("detectors") / "mine.py"
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "tracking" / "TRACKERS.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 10
    path.write_text(code)
    return f"{path}:detect"
