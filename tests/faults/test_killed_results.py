"""A few kills of writers of results; `python -m tests.faults.killed_results` makes as many as you like."""

import pytest

from tests.faults.killed_results import kill_writers


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_of_a_killed_writers_result_all_but_the_last_second_is_left(tmp_path, kills):
    outcomes = list(kill_writers(tmp_path, kills, seed=kills))
    assert [outcome.wrong for outcome in outcomes if outcome.wrong] == []
    assert len(outcomes) == kills
