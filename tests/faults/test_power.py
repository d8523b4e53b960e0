"""A few power cuts; `python -m tests.faults.power` makes as many as you like."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.power import cut_power

CUTS = 3
LONGEST_S = 4.0  # a second, and what a machine that runs all tests at once may take to sync


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk to be cut off")
@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="there is no mkfs.ext4 to make a disk")
@pytest.mark.skipif(not Path("/dev/loop-control").exists(), reason="there are no loop devices here")
@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_a_power_cut_loses_the_last_moments_at_most(fmt):
    folder = Path(tempfile.mkdtemp())
    assert len(list(cut_power(folder, fmt, CUTS, seed=1, longest=LONGEST_S))) == CUTS
    folder.rmdir()
