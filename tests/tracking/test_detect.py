"""From images to blobs to paths."""

from itertools import pairwise, product

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracking.arenas import _ellipse
from tracking import link
from tracking.background import level_of_rank
from tracking.detect import BLOB, BlobFilter, RegionBlobs, find_blobs
from tracking.link import PathCosts, PathFinder

WANTED = BlobFilter(threshold=30, smallest=20, largest=5000, most=4)


@settings(max_examples=60, deadline=None)
@given(st.floats(40, 80), st.floats(30, 60), st.floats(0, 179), st.floats(16, 30), st.floats(6, 12))
def test_an_ellipse_is_measured_to_a_fraction_of_a_pixel(x, y, angle, length, width):
    difference = np.rint(100 * _ellipse((90, 120), x, y, angle, (length, width))).astype(np.uint8)
    (blob,) = find_blobs(difference, WANTED)
    assert blob["x"] == pytest.approx(x, abs=0.15)
    assert blob["y"] == pytest.approx(y, abs=0.15)
    assert blob["length"] == pytest.approx(length, abs=2)  # its edges are blurred
    assert blob["width"] == pytest.approx(width, abs=2)
    assert blob["area"] == pytest.approx(np.pi * (length + 2) * (width + 2) / 4, rel=0.25)
    turned = (blob["angle"] - angle + 90) % 180 - 90
    assert abs(turned) < 3 or length / width < 1.8
    assert 0 <= blob["angle"] < 180


def test_blobs_come_largest_difference_first_and_no_more_than_wanted():
    difference = np.zeros((60, 300), np.uint8)
    for place, level in enumerate((50, 90, 70, 60, 80)):
        difference[20:30, 20 + 50 * place : 40 + 50 * place] = level
    blobs = find_blobs(difference, WANTED)
    assert blobs["contrast"].tolist() == [90, 80, 70, 60]
    assert blobs["x"].tolist() == [79.5, 229.5, 129.5, 179.5]


def test_what_is_too_small_or_too_large_is_left_out():
    difference = np.zeros((100, 100), np.uint8)
    difference[2:5, 2:5] = 90
    difference[20:99, 20:99] = 90
    assert len(find_blobs(difference, WANTED)) == 0
    assert find_blobs(np.zeros((5, 5), np.uint8), WANTED).dtype.names is not None


def test_the_share_of_marked_pixels_is_counted():
    difference, marked = np.zeros((40, 60), np.uint8), np.zeros((40, 60), np.uint8)
    difference[10:20, 10:30] = 90
    marked[:, :20] = 255
    assert find_blobs(difference, WANTED, marked)["marked"][0] == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_level_of_a_rank_is_what_sorting_gives(data):
    count = data.draw(st.sampled_from([1, 2, 7, 60, 300]))
    levels = data.draw(st.sampled_from([2, 20, 256]))
    rank = data.draw(st.integers(0, count - 1))
    seed = data.draw(st.integers(0, 1000))
    stack = np.random.default_rng(seed).integers(0, levels, (count, 5, 7)).astype(np.uint8)
    np.testing.assert_array_equal(level_of_rank(stack, rank), np.sort(stack, axis=0)[rank])


def test_blobs_of_all_regions_are_one_table_and_come_apart_again():
    tables = [np.zeros(count, BLOB) for count in (2, 0, 3)]
    for place, table in enumerate(tables):
        table["x"] = 10 * place + np.arange(len(table))
    blobs = RegionBlobs.join(tables)
    assert blobs.table["x"].tolist() == [0, 1, 20, 21, 22]
    assert [len(table) for table in blobs] == [2, 0, 3]
    assert blobs[2]["x"].tolist() == [20, 21, 22]
    assert [part.tolist() for part in blobs.split(np.arange(5))] == [[0, 1], [], [2, 3, 4]]


def test_blobs_found_in_windows_lie_in_the_frame():
    row = (1.0, 2.0, *[0.0] * (len(BLOB) - 2))
    windows = [(slice(100, 120), slice(10, 60)), (slice(0, 9), slice(0, 9)), (slice(7, 9), slice(3, 9))]
    blobs = RegionBlobs.of_rows([[row], [], [row, row]], windows)
    assert blobs.table["x"].tolist() == [11, 4, 4]
    assert blobs.table["y"].tolist() == [102, 9, 9]
    assert len(RegionBlobs.of_rows([[], []], windows[:2]).table) == 0


def run(finder, places, costs, times):
    choices = []
    for at, cost, time in zip(places, costs, times, strict=True):
        choices += finder.append(np.array(at, float)[None], np.array(cost, float)[None], time)
    return [int(choice[0]) for choice in [*choices, *finder.finish()]]


def test_a_path_stays_with_the_animal_though_another_blob_looks_better_for_a_moment():
    count = 50
    places = [[(10 + n, 5), (150, 5)] for n in range(count)]
    costs = [[1.0, 3.0 if n not in (20, 21) else 0.0] for n in range(count)]
    chosen = run(PathFinder(1, 2, PathCosts(10, 200)), places, costs, np.arange(count) / 20)
    assert chosen == [0] * count


def test_a_path_is_lost_where_nothing_is_and_comes_back():
    inf = np.inf
    costs = [[0.5] if n < 20 or n >= 30 else [inf] for n in range(50)]
    places = [[(n, 5)] for n in range(50)]
    chosen = run(PathFinder(1, 1, PathCosts(10, 200)), places, costs, np.arange(50) / 20)
    assert chosen == [0] * 20 + [-1] * 10 + [0] * 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_with_a_lag_as_long_as_the_recording_the_path_is_the_cheapest_of_all(seed):
    random = np.random.default_rng(seed)
    costs = PathCosts(reach=20, speed=0, jump=9, lost=4, border=1)
    places = random.uniform(0, 100, (5, 2, 2))
    looks = random.uniform(0, 8, (5, 2))

    def price(path):
        total, last = 0.0, None
        for n, choice in enumerate(path):
            total += costs.lost if choice < 0 else looks[n, choice]
            if n and (choice < 0) != (path[n - 1] < 0):
                total += costs.border
            if choice >= 0:
                if last is not None:
                    total += min(0.5 * (np.hypot(*(places[n, choice] - last)) / costs.reach) ** 2, costs.jump)
                last = places[n, choice]
        return total

    def greedy_free(path):  # the recursion forgets nothing but where a path was last seen before it was lost
        return all(not (a < 0 <= b) for a, b in pairwise(path))

    chosen = run(PathFinder(1, 2, costs), places, looks, np.arange(5.0))
    best = min(
        price(path) for path in product((-1, 0, 1), repeat=5) if greedy_free(path) or path == tuple(chosen)
    )
    assert price(chosen) <= best + 1e-9


def test_the_result_does_not_depend_on_how_much_waits(monkeypatch):
    random = np.random.default_rng(3)
    places = random.uniform(0, 60, (200, 3, 2))
    looks = random.uniform(0, 10, (200, 3))
    times = np.arange(200) / 20
    with monkeypatch.context() as patch:
        patch.setattr(link, "_TOGETHER", 1000)  # all of it at the end
        whole = run(PathFinder(1, 3, PathCosts(10, 100), lag=1000), places, looks, times)
    early = PathFinder(1, 3, PathCosts(10, 100), lag=1000)
    came = [len(early.append(*frame)) for frame in zip(places[:, None], looks[:, None], times, strict=True)]
    assert (np.arange(1, 201) - np.cumsum(came)).max() < 80
    assert run(PathFinder(1, 3, PathCosts(10, 100), lag=1000), places, looks, times) == whole
    lagged = run(PathFinder(1, 3, PathCosts(10, 100), lag=40), places, looks, times)
    assert len(lagged) == 200
    assert lagged == whole


@pytest.mark.parametrize("dark", [60, 120])
def test_an_animal_half_before_a_dark_spot_lies_where_it_is(dark):
    background = np.full((60, 80), 200, np.uint8)
    background[:, 40:] = dark
    animal = np.zeros((60, 80), np.uint8)
    cv2.ellipse(animal, (40, 30), (12, 6), 0, 0, 360, 255, cv2.FILLED)
    image = np.where(animal > 0, background * 0.3, background).astype(np.uint8)
    wanted = BlobFilter(threshold=15, smallest=20, largest=2000)
    (plain,) = find_blobs(background - image, wanted)
    (found,) = find_blobs(background - image, wanted, background=background)
    assert plain["x"] < 39
    assert (found["x"], found["y"]) == (pytest.approx(40, abs=0.3), pytest.approx(30, abs=0.1))
