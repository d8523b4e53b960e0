"""How two results differ, and one from known positions."""

import numpy as np
import pandas as pd
import pytest

import imgstore
from tests.tracking.made_results import IMAGE, write_result
from tracking import (
    Animal,
    RecordingMismatchError,
    ResultFileError,
    ResultSide,
    TrackingError,
    check_same_recording,
    compare,
    draw_worst,
    open_results,
    read_truth,
)
from tracking.compare import Places, pair_places

ONE, OTHER = Animal(1, 1), Animal(2, 1)
TIMES = 1e9 + np.arange(0, 30, 0.1)


def still(x, y, count=300):
    return np.tile(np.array([x, y], float), (count, 1))


def compared(a, b, **options):
    with open_results(a) as first, open_results(b) as second:
        return compare(ResultSide(first), ResultSide(second), **options)


def test_a_result_agrees_with_itself(tmp_path):
    path = write_result(tmp_path / "a.tracks.h5", TIMES, {ONE: still(10, 20), OTHER: still(30, 20)})
    found = compared(path, path)
    assert (found.frames, found.whole.both, found.whole.only_a, found.whole.only_b) == (300, 600, 0, 0)
    assert (found.whole.median, found.whole.largest, found.whole.near) == (0, 0, 1)


def test_what_differs_is_told_by_region_with_the_worst_frames(tmp_path):
    moved, lost = still(30, 20), still(10, 20)
    moved[:, 0] += np.linspace(0, 2, len(TIMES))
    moved[123] += (300, 0)
    lost[:30] = np.nan
    a = write_result(tmp_path / "a.tracks.h5", TIMES, {ONE: still(10, 20), OTHER: still(30, 20)})
    b = write_result(tmp_path / "b.tracks.h5", TIMES, {ONE: lost, OTHER: moved})
    found = compared(a, b)
    one, other = found.regions
    assert (one.roi, one.both, one.only_a, one.only_b) == (1, 270, 30, 0)
    assert (other.both, other.only_a, other.only_b) == (300, 0, 0)
    assert other.median == pytest.approx(1, rel=0.02)
    assert other.p95 == pytest.approx(1.9, rel=0.02)
    assert other.near == pytest.approx(299 / 300)
    assert found.worst[0].index == 123
    assert found.worst[0].distance == pytest.approx(300, abs=1)
    assert found.worst[0].b[0] == pytest.approx(moved[123, 0])


def test_animals_of_a_region_are_paired_whatever_they_are_called(tmp_path):
    first, second = Animal(1, 1), Animal(1, 2)
    a = write_result(tmp_path / "a.tracks.h5", TIMES, {first: still(10, 20), second: still(60, 20)})
    b = write_result(tmp_path / "b.tracks.h5", TIMES, {first: still(61, 20), second: still(10, 20)})
    assert compared(a, b).whole.largest == pytest.approx(1)


def test_identities_that_are_exchanged_are_told_and_other_names_are_not(tmp_path):
    one, two, single = Animal(1, 1), Animal(1, 2), Animal(2, 1)
    left, right = still(10, 20), still(60, 20)
    swapped = np.arange(300)[:, None] // 100 == 1
    a = write_result(tmp_path / "a.tracks.h5", TIMES, {one: left, two: right, single: still(80, 20)})
    exchanged = {
        two: np.where(swapped, right, left),
        one: np.where(swapped, left, right),
        single: still(80, 20),
    }
    b = write_result(tmp_path / "b.tracks.h5", TIMES, exchanged)
    found = compared(a, b)
    assert (found.whole.largest, found.whole.switches) == (0, 4)
    assert found.whole.same == pytest.approx(2 / 3)
    assert [(region.same, region.switches) for region in found.regions[:1]] == [(pytest.approx(2 / 3), 4)]
    assert np.isnan(found.regions[1].same)
    assert [(one.index, one.identity, one.before, one.after) for one in found.switches] == [
        *((100, 1, 2, 1), (100, 2, 1, 2)),
        *((200, 1, 1, 2), (200, 2, 2, 1)),
    ]
    again = compared(a, a)
    assert (again.whole.same, again.whole.switches) == (1, 0)


def test_animals_that_one_side_missed_are_no_switches(tmp_path):
    one, two = Animal(1, 1), Animal(1, 2)
    first, second = still(10, 20), still(500, 20)
    gone, away = first.copy(), second.copy()
    gone[[10, 50]] = away[[10, 50]] = np.nan
    a = write_result(tmp_path / "a.tracks.h5", TIMES, {one: gone, two: second})
    b = write_result(tmp_path / "b.tracks.h5", TIMES, {one: first, two: away})
    found = compared(a, b).whole
    assert (found.same, found.switches) == (1, 0)


@pytest.mark.parametrize(
    "names",
    [(1, 2), (0, 1), ("fly_a", "fly_b"), (1, ""), (2.5, np.inf)],
    ids=["1", "0", "names", "some", "odd"],
)
def test_known_animals_may_be_called_anything(tmp_path, names):
    ways = {Animal(1, 1): still(10, 20), Animal(1, 2): still(60, 20)}
    a = write_result(tmp_path / "a.tracks.h5", TIMES, ways)
    rows = [(frame, name, 10 + 50 * side, 20) for frame in range(300) for side, name in enumerate(names)]
    pd.DataFrame(rows, columns=["frame", "id", "x", "y"]).to_csv(tmp_path / "t.csv", index=False)
    with open_results(a) as results:
        found = compare(ResultSide(results), read_truth(tmp_path / "t.csv")).whole
    assert (found.both, found.switches) == (600, 0)
    assert found.same == 1 or (np.isnan(found.same) and "" in names)


def test_identities_are_compared_with_known_ones(tmp_path):
    ways = {Animal(1, 1): still(10, 20), Animal(1, 2): still(60, 20)}
    a = write_result(tmp_path / "a.tracks.h5", TIMES, ways)
    rows = [(frame, 1 + (side != (frame >= 270)), 10 + 50 * side) for frame in range(300) for side in (0, 1)]
    pd.DataFrame(rows, columns=["frame", "animal", "x"]).assign(y=20.0).to_csv(tmp_path / "t.csv")
    with open_results(a) as results:
        found = compare(ResultSide(results), read_truth(tmp_path / "t.csv"))
    assert (found.whole.same, found.whole.switches) == (pytest.approx(0.9), 2)


def test_pairs_are_the_nearest_and_no_place_is_used_twice():
    frames = np.zeros(3, np.int64)
    a = Places(frames, frames + 1, frames, np.array([0.0, 10.0, 50.0]), np.zeros(3))
    b = Places(frames[:2], frames[:2] + 1, frames[:2], np.array([9.0, 1.5]), np.zeros(2))
    rows_a, rows_b = pair_places(a, b)
    assert sorted(zip(rows_a.tolist(), rows_b.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert [len(rows) for rows in pair_places(a, b.pick(slice(0)))] == [0, 0]


def test_only_frames_that_both_looked_at_are_compared(tmp_path):
    a = write_result(tmp_path / "a.tracks.h5", TIMES, {ONE: still(10, 20)})
    b = write_result(tmp_path / "b.tracks.h5", TIMES[:50], {ONE: still(10, 20, 50)})
    found = compared(a, b)
    assert (found.frames, found.frames_a, found.frames_b) == (50, 300, 50)
    assert found.whole.only_a == 0
    empty = write_result(tmp_path / "c.tracks.h5", TIMES[:0], {ONE: still(10, 20, 0)})
    with pytest.raises(TrackingError, match="no frame in common"):
        compared(a, empty)


def same(tmp_path, times=TIMES, way=ONE, **other):
    """Return what is said of a result of a store `u1`, and another."""
    a = write_result(tmp_path / "a.tracks.h5", TIMES, {ONE: still(10, 20)}, source="x.store", store_uuid="u1")
    b = write_result(tmp_path / "b.tracks.h5", times, {way: still(10, 20)}, **other)
    with open_results(a) as first, open_results(b) as second:
        return check_same_recording(first, second)


def test_results_of_one_recording_and_of_its_copies_are_compared(tmp_path):
    assert same(tmp_path, store_uuid="u1", source="moved.store") == ""
    for file in tmp_path.glob("*.h5"):
        file.unlink()
    assert same(tmp_path, store_uuid="a copy", source="copy.store") == ""


def test_an_imported_table_is_compared_though_it_names_no_recording(tmp_path):
    assert same(tmp_path, shape=(30, 40), settings={"imported": "theirs.csv"}) == ""


def test_it_is_said_that_nobody_knows_whether_results_are_of_one_recording(tmp_path):
    assert "x.store and y.mp4" in same(tmp_path, source="y.mp4")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"times": TIMES + 7, "store_uuid": "u2"}, "different uuids and times"),
        ({"shape": (50, 60)}, "400x100 and 60x50"),
        ({"way": OTHER}, r"no region in common: \[1\] and \[2\]"),
    ],
)
def test_results_of_different_recordings_are_not_compared(tmp_path, other, why):
    with pytest.raises(RecordingMismatchError, match=why):
        same(tmp_path, **other)


@pytest.mark.parametrize("columns", ["roi,frame,x_abs,y_abs,valid", "frame,pos_x,pos_y"])
def test_known_positions_come_from_a_table(tmp_path, columns):
    table = pd.DataFrame({"roi": 1, "frame": np.arange(1, 101), "x_abs": 10.5, "y_abs": 20, "valid": 1})
    table.loc[:9, "valid"] = 0
    table.loc[:9, "x_abs"] = np.nan
    table = table.assign(pos_x=table["x_abs"], pos_y=table["y_abs"])[columns.split(",")]
    table.to_csv(tmp_path / "truth.csv.gz", index=False)
    way = still(10, 20)
    way[50:60] = np.nan
    path = write_result(tmp_path / "a.tracks.h5", TIMES, {ONE: way, OTHER: still(1, 1)})
    with open_results(path) as results:
        found = compare(ResultSide(results), read_truth(tmp_path / "truth.csv.gz", first_frame=1))
    assert (found.frames, found.whole.both, found.whole.only_a, found.whole.only_b) == (90, 80, 0, 10)
    assert found.whole.median == pytest.approx(0.5, rel=0.01)
    assert found.whole.near == pytest.approx(80 / 90)


def test_a_table_without_positions_is_told_so(tmp_path):
    (tmp_path / "a.csv").write_text("frame,left\n1,2\n")
    with pytest.raises(ResultFileError, match="no column x or"):
        read_truth(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ResultFileError, match=r"b\.csv"):
        read_truth(tmp_path / "b.csv")


def test_the_worst_frames_are_shown(tmp_path, make_store):
    store = make_store(shape=IMAGE.shape)
    ways = [still(10, 20, 12), still(14, 20, 12)]
    ways[1][7] = (90, 60)
    a, b = (
        write_result(tmp_path / f"{name}.tracks.h5", TIMES[:12], {ONE: way})
        for name, way in zip("ab", ways, strict=True)
    )
    with imgstore.open(store) as frames:
        picture = draw_worst(compared(a, b), frames)
    redness = picture[..., 2].astype(int) - picture[..., 0]
    assert (redness > 100).any()
    assert (redness < -100).any()
