"""Identities that are corrected afterwards."""

import h5py
import numpy as np
import pytest

from imgstore import Frame
from tests.tracking.test_results import IMAGE, INFO, ROIS
from tracking import (
    POINT,
    CorrectionError,
    ResultFileError,
    ResultWriter,
    find_frames,
    join_identities,
    open_results,
    split_identity,
    swap_identities,
)


def write(path, *, close=True):
    """Write a result: region 1 holds 1 and 2, and 3 in the last frames instead of 2; region 2 holds 1."""
    results = ResultWriter(path, INFO, ROIS)
    for n in range(30):
        identities = [(1, 1), (1, 2 if n < 20 else 3), (2, 1)]
        points = np.zeros(3, POINT)
        points["frame"], points["x"] = n, [n, 100 + n, 200]
        points["roi"], points["identity"] = zip(*identities, strict=True)
        results.append(Frame(IMAGE, n, 2 * n, 100 + n / 10), points)
    if close:
        results.close()
    else:
        results.flush()
    return results


@pytest.fixture
def result(tmp_path):
    write(tmp_path / "a.tracks.h5")
    return tmp_path / "a.tracks.h5"


def identities(path, roi, where):
    """Return the identities in a region of points whose x lies in a range, by frame."""
    with open_results(path) as results:
        points = results.points
    mine = points[(points["roi"] == roi) & (points["x"] >= where[0]) & (points["x"] < where[1])]
    return mine["identity"].tolist()


def test_two_identities_are_exchanged_from_a_frame_on_and_an_event_tells_of_it(result):
    done = swap_identities(result, 1, 2, roi=1, frames=(10, 30))
    assert (done.rows, done.frames, done.written) == (30, (10, 29), True)
    assert identities(result, 1, (0, 100)) == [1] * 10 + [2] * 20
    assert identities(result, 1, (100, 200)) == [2] * 10 + [1] * 10 + [3] * 10
    assert identities(result, 2, (200, 201)) == [1] * 30
    with open_results(result) as results:
        (event,) = results.events
        assert (event.kind, event.roi, event.time) == ("identities-swapped", 1, 101.0)
        assert event.detail["identities"] == {"1": 2, "2": 1}
        assert (event.detail["first_index"], event.detail["last_index"]) == (10, 29)
        assert results.attributes["state"] == "complete"


def test_exchanging_twice_is_as_before(result):
    with open_results(result) as results:
        before = results.points
    for _ in range(2):
        swap_identities(result, 1, 2, roi=1, frames=(5, 15))
    with open_results(result) as results:
        np.testing.assert_array_equal(results.points, before)
        assert len(results.events) == 2


def test_one_that_got_a_new_number_is_joined(result):
    assert join_identities(result, 2, 3, roi=1).rows == 10
    assert identities(result, 1, (100, 200)) == [2] * 30
    with pytest.raises(CorrectionError, match=r"both seen in 30 frames.*swap or split"):
        join_identities(result, 1, 2, roi=1)


def test_two_that_were_taken_for_one_are_split(result):
    done = split_identity(result, 1, roi=1, frames=(12, 30))
    assert dict(done.identities) == {1: 4}
    assert identities(result, 1, (0, 100)) == [1] * 12 + [4] * 18


def test_a_dry_run_says_what_would_change_and_changes_nothing(result):
    before = result.read_bytes()
    for done in (
        swap_identities(result, 1, 2, roi=1, dry_run=True),
        join_identities(result, 2, 3, roi=1, dry_run=True),
        split_identity(result, 1, roi=1, frames=(0, 5), dry_run=True),
    ):
        assert done.rows > 0
        assert not done.written
    assert result.read_bytes() == before


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda path: swap_identities(path, 1, 7, roi=1), r"no identity 7.*it has 1, 2, 3"),
        (lambda path: swap_identities(path, 1, 1, roi=1), "1 twice"),
        (lambda path: swap_identities(path, 1, 2, roi=9), "no region 9; it has 1, 2"),
        (lambda path: swap_identities(path, 1, 3, roi=1, frames=(0, 10)), "no identity 3 in these frames"),
        (lambda path: join_identities(path, 7, 3, roi=1), "no identity 7"),
        (lambda path: join_identities(path, 3, 7, roi=1), "no identity 7"),
        (lambda path: join_identities(path, 3, 3, roi=1), "3 twice"),
        (lambda path: split_identity(path, 2, roi=1, frames=(25, 30)), "no identity 2 in these frames"),
    ],
)
def test_what_cannot_be_corrected_is_told_and_left_alone(result, call, says):
    before = result.read_bytes()
    with pytest.raises(CorrectionError, match=says):
        call(result)
    assert result.read_bytes() == before
    assert [file.name for file in result.parent.iterdir()] == [result.name]


def test_a_result_that_is_still_written_is_left_alone(tmp_path):
    writer = write(tmp_path / "a.tracks.h5", close=False)
    try:
        with pytest.raises(CorrectionError, match=r"still being written.*ethostore repair"):
            swap_identities(tmp_path / "a.tracks.h5", 1, 2, roi=1)
    finally:
        writer.close()


def test_a_correction_that_fails_leaves_the_result_as_it_was(result, monkeypatch):
    before = result.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tracking.correct.event_rows", fail)
    with pytest.raises(OSError, match="No space"):
        swap_identities(result, 1, 2, roi=1)
    assert result.read_bytes() == before
    assert [file.name for file in result.parent.iterdir()] == [result.name]


def test_frames_are_found_by_what_people_know_of_them(result):
    with open_results(result) as results:
        assert find_frames(results, "index", 5, 8) == (5, 8)
        assert find_frames(results, "index", -3) == (27, 30)
        assert find_frames(results, "number", 10, 20) == (5, 10)
        assert find_frames(results, "time", 101.0) == (10, 30)
        assert find_frames(results, "seconds", None, 0.95) == (0, 10)
        with pytest.raises(CorrectionError, match=r"time 100 to 102\.9"):
            find_frames(results, "time", 500.0)


def test_a_file_that_is_no_result_is_told(tmp_path):
    with h5py.File(tmp_path / "b.tracks.h5", "w"), pytest.raises(ResultFileError):
        swap_identities(tmp_path / "nothing.tracks.h5", 1, 2, roi=1)
