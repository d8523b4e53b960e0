"""In which share of the frames animals were seen, and how that is written."""

import numpy as np
import pytest

from tests.tracking.made_results import write_result
from tracking import count_seen, mean_share, open_results, share_text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (1.0, 1, "100.0%"),
        (23996 / 24000, 1, "99.9%"),
        (0.57, 1, "57.0%"),
        (0.9999999, 0, "99%"),
        (0.0, 0, "0%"),
    ],
)
def test_only_the_whole_is_a_hundred_percent(share, digits, text):
    assert share_text(share, digits) == text


def test_a_region_counts_once_however_many_animals_are_seen_in_it(tmp_path):
    ways = {animal: np.full((25_000, 2), 5.0) for animal in ((1, 1), (1, 2), (2, 1))}
    ways[2, 1][:12_500] = np.nan
    path = write_result(tmp_path / "a.tracks.h5", np.arange(25_000) / 10, ways)
    with open_results(path) as results:
        seen = count_seen(results)
    assert seen.points == 62_500
    assert seen.found == {1: 1.0, 2: 0.5}
    assert mean_share(seen.found) == 0.75
    assert mean_share({}) == 0


def test_nothing_is_seen_in_a_result_without_frames(tmp_path):
    path = write_result(tmp_path / "a.tracks.h5", np.empty(0), {(1, 1): np.empty((0, 2))})
    with open_results(path) as results:
        assert count_seen(results).found == {1: 0.0}
