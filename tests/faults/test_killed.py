"""A few kills of every format; `python -m tests.faults.killed` makes as many as you like."""

import random

import pytest

from tests.conftest import FORMATS_HERE
from tests.faults.killed import check, check_repaired, kill_a_writer

KILLS = 4


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_of_a_killed_writers_store_all_but_the_last_frames_are_left(tmp_path, fmt):
    for kill in range(KILLS):
        path = tmp_path / f"{kill}.store"
        appended = kill_a_writer(path, fmt, random.Random(kill).uniform(0, 1.2))  # noqa: S311
        lost = check(path, appended)
        assert lost <= 2
        check_repaired(path)
