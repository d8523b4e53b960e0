"""The result file, and what is made of it."""

import json
import signal
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest

from imgstore import Frame, UnknownNameError
from tests.conftest import ROOT
from tracking import (
    COLUMNS,
    POINT,
    ROI,
    ResultExistsError,
    ResultFileError,
    ResultWriter,
    RunInfo,
    export,
    open_results,
    plots,
    repair_results,
)
from tracking.motion import speed
from tracking.result_tables import Event

ROIS = [
    ROI(np.array([(0.5, 0.0), (50.0, 0.0), (50.0, 40.0)]), 1, 5, "left ø"),
    ROI(np.array([(60.0, 0.0), (90.0, 0.0), (90.0, 40.0), (60.0, 40.0)]), 2),
]
INFO = RunInfo("/data/a.store", (60, 100), "archive", {"samples": 60}, "whole-frame", "abc", "Europe/Vienna")
IMAGE = np.zeros((60, 100), np.uint8)


def point(frame, roi, x=1.0, y=2.0):
    points = np.zeros(1, POINT)
    points["frame"], points["roi"], points["identity"], points["x"], points["y"] = frame, roi, 1, x, y
    points["length"], points["width"], points["score"] = 20, 8, 0.9
    return points


def write(path, count=30):
    """Write a result in which region 1 is seen in every frame, region 2 in every third."""
    with ResultWriter(path, INFO, ROIS, np.array([(1.5, 2.5)])) as results:
        results.append_background(IMAGE + 7, 100.0)
        results.append_events([Event(101.0, 0, "frames-missing", {"count": 3})])
        for n in range(count):
            results.append(Frame(IMAGE, 10 + n, 2 * n, 100.0 + n / 10), point(n, 1, x=n + 0.25))
            if n % 3 == 0:
                results.append_points(point(n, 2))
    return path


def test_what_was_written_is_read(tmp_path):
    with open_results(write(tmp_path / "a.tracks.h5")) as results:
        attributes = results.attributes
        assert attributes["state"] == "complete"
        assert attributes["settings"] == {"samples": 60}
        assert attributes["frame_shape"] == (60, 100)
        assert (attributes["store_uuid"], attributes["timezone"]) == ("abc", "Europe/Vienna")
        assert [(roi.number, roi.value, roi.name) for roi in results.rois] == [(1, 5, "left ø"), (2, 2, "")]
        for roi, expected in zip(results.rois, ROIS, strict=True):
            np.testing.assert_array_equal(roi.polygon, expected.polygon)
        assert results.targets.tolist() == [[1.5, 2.5]]
        assert results.background is not None
        assert (results.background == 7).all()
        (event,) = results.events
        assert (event.time, event.kind, event.detail) == (101.0, "frames-missing", {"count": 3})
        assert results.frames["index"].tolist() == list(range(10, 40))
        table = results.table(roi=1)
        assert table["number"].tolist() == list(range(0, 60, 2))
        assert table["x"].tolist() == [n + 0.25 for n in range(30)]
        assert len(results.table()) == 40


def test_every_column_says_what_it_means_in_what_unit(tmp_path):
    with h5py.File(write(tmp_path / "a.tracks.h5")) as file:
        for column in COLUMNS:
            assert file["points"].attrs[f"{column.name}.unit"]
            assert file["points"].attrs[f"{column.name}.meaning"]


def test_an_existing_result_is_not_touched(tmp_path):
    path = write(tmp_path / "a.tracks.h5")
    before = path.read_bytes()
    with pytest.raises(ResultExistsError):
        ResultWriter(path, INFO, ROIS)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ResultFileError, match="nowhere"):
        ResultWriter(tmp_path / "nowhere" / "a.tracks.h5", INFO, ROIS)


def test_a_run_that_fails_leaves_a_readable_result_that_says_so(tmp_path):
    def fail():
        with ResultWriter(tmp_path / "a.tracks.h5", INFO, ROIS) as results:
            results.append(Frame(IMAGE, 0, 0, 0.0), point(0, 1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with open_results(tmp_path / "a.tracks.h5") as results:
        assert results.attributes["state"] == "stopped"
        assert len(results.points) == 1


def test_a_growing_file_can_be_watched(tmp_path):
    with ResultWriter(tmp_path / "a.tracks.h5", INFO, ROIS) as writer:
        writer.append(Frame(IMAGE, 0, 0, 0.0), point(0, 1))
        writer.flush()
        script = (
            "import sys, tracking\n"
            "results = tracking.open_results(sys.argv[1])\n"
            "print(len(results.table()), results.attributes['state'])\n"
        )
        seen = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "a.tracks.h5"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
    assert seen.stdout.split() == ["1", "running"]


def test_a_killed_writer_loses_nothing_that_was_flushed(tmp_path):
    script = (
        "import sys, os, signal, pathlib\n"
        "from tests.tracking.test_results import *\n"
        "w = ResultWriter(pathlib.Path(sys.argv[1]), INFO, ROIS)\n"
        "for n in range(500):\n"
        "    w.append(Frame(IMAGE, n, n, n / 10), point(n, 1))\n"
        "w.flush()\n"
        "w.append(Frame(IMAGE, 500, 500, 50.0), point(500, 1))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "a.tracks.h5"
    killed = subprocess.run([sys.executable, "-c", script, path], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    with open_results(path) as results:
        assert results.attributes["state"] == "running"
        assert results.table()["x"].tolist() == [1.0] * 500


@pytest.mark.parametrize("content", [b"", b"hello", None], ids=["empty", "text", "nothing"])
def test_what_is_no_result_is_told_so(tmp_path, content):
    path = tmp_path / "a.tracks.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResultFileError, match=r"a\.tracks\.h5"):
        open_results(path)


def test_another_hdf5_file_is_told_so(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(ResultFileError, match="no result"):
        open_results(tmp_path / "a.h5")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_export_holds_every_point(tmp_path, ending):
    path = write(tmp_path / "a.tracks.h5")
    out = tmp_path / f"a.{ending}"
    export(path, out)
    table = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    with open_results(path) as results:
        expected = results.table()
    assert list(table.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(table, expected, check_dtype=ending == "parquet", atol=1e-4)
    before = out.read_bytes()
    with pytest.raises(ResultExistsError):
        export(path, out)
    assert out.read_bytes() == before
    export(path, out, force=True)


def test_an_export_comes_in_blocks_of_bounded_size(tmp_path):
    with open_results(write(tmp_path / "a.tracks.h5")) as results:
        blocks = list(results.blocks(rows=7))
        assert [len(block) for block in blocks] == [7] * 5 + [5]
        pd.testing.assert_frame_equal(pd.concat(blocks, ignore_index=True), results.table())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_result_without_points_exports_its_columns(tmp_path, ending):
    ResultWriter(tmp_path / "a.tracks.h5", INFO, ROIS).close()
    export(tmp_path / "a.tracks.h5", tmp_path / f"a.{ending}")
    table = pd.read_csv(tmp_path / "a.csv") if ending == "csv" else pd.read_parquet(tmp_path / "a.parquet")
    assert len(table) == 0
    assert "score" in table.columns


def test_an_unknown_ending_says_which_there_are(tmp_path):
    path = write(tmp_path / "a.tracks.h5")
    with pytest.raises(UnknownNameError, match=r"\.csv, \.db.*\.parquet.*sleap-analysis"):
        export(path, tmp_path / "a.xlsx")
    with pytest.raises(UnknownNameError, match=r"\.png"):
        plots.plot(path, tmp_path / "a.gif")


@pytest.mark.parametrize("count", [0, 1, 30], ids=["empty", "one frame", "some frames"])
def test_a_result_of_any_length_can_be_plotted(tmp_path, count):
    path = write(tmp_path / "a.tracks.h5", count)
    plots.plot(path, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ResultExistsError):
        plots.plot(path, tmp_path / "a.png")


def test_speed_does_not_depend_on_the_frame_rate():
    for rate in (2, 10, 50):
        times = np.arange(0, 20, 1 / rate)
        np.testing.assert_allclose(speed(times, 3 * times, 4 * times), 5.0)


def test_speed_is_unknown_across_gaps():
    times = np.concatenate([np.arange(0, 5, 0.1), np.arange(15, 20, 0.1)])
    rates = speed(times, times, 0 * times)
    unknown = times[np.isnan(rates)]
    assert unknown.min() > 4.4
    assert unknown.max() < 15.6
    np.testing.assert_allclose(rates[~np.isnan(rates)], 1.0)


def test_speed_of_next_to_nothing_is_unknown():
    assert np.isnan(speed(np.array([1.0]), np.array([2.0]), np.array([3.0]))).all()
    assert len(speed(np.empty(0), np.empty(0), np.empty(0))) == 0


def test_settings_and_events_are_plain_json(tmp_path):
    with h5py.File(write(tmp_path / "a.tracks.h5")) as file:
        assert json.loads(file.attrs["settings"]) == {"samples": 60}
        assert json.loads(file["events"][0]["detail"]) == {"count": 3}


def test_a_killed_result_is_repaired_into_an_ordinary_file(tmp_path):
    path = tmp_path / "a.tracks.h5"
    script = (
        "import sys, os, signal, pathlib\n"
        "from tests.tracking.test_results import *\n"
        "w = ResultWriter(pathlib.Path(sys.argv[1]), INFO, ROIS)\n"
        "w.append_background(IMAGE + 3, 1.0)\n"
        "w.append(Frame(IMAGE, 0, 0, 0.0), point(0, 1))\n"
        "w.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, path], cwd=ROOT, check=False)
    with open_results(path) as results:
        before = results.table()
    assert repair_results(path)
    with h5py.File(path, "r") as file:
        assert file.attrs["state"] == "stopped"
    with open_results(path) as results:
        pd.testing.assert_frame_equal(results.table(), before)
        assert results.background is not None
    once = path.read_bytes()
    assert not repair_results(path)
    assert path.read_bytes() == once


def peak_of_reading(path, count, read):
    """Return the most bytes that reading a result of so many points takes at a time."""
    points = np.zeros(20, POINT)
    points["roi"] = np.arange(20) % 2 + 1
    with ResultWriter(path, INFO, ROIS) as results:
        for n in range(count // 20):
            points["frame"] = n
            results.append(Frame(IMAGE, n, n, float(n)), points.copy())
    with open_results(path) as results:
        tracemalloc.start()
        try:
            assert sum(map(len, read(results))) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_reading_in_blocks_takes_no_more_memory_for_a_longer_result(tmp_path):
    def read(results):
        return results.blocks(rows=5000)

    short = peak_of_reading(tmp_path / "short.tracks.h5", 20_000, read)
    long = peak_of_reading(tmp_path / "long.tracks.h5", 100_000, read)
    assert long < 1.5 * short


def test_the_table_of_a_region_is_its_part_of_the_whole(tmp_path):
    with open_results(write(tmp_path / "a.tracks.h5")) as results:
        whole = results.table()
        for roi in (1, 2):
            expected = whole[whole["roi"] == roi].reset_index(drop=True)
            pd.testing.assert_frame_equal(results.table(roi=roi), expected)
        assert list(results.table(roi=9).columns) == list(whole.columns)
        assert results.table(roi=9).empty


@pytest.mark.parametrize(("start", "stop"), [(None, 101.0), (100.95, 102.05), (102.0, None), (500.0, 600.0)])
@pytest.mark.parametrize("roi", [None, 1])
def test_a_part_of_a_result_in_time_is_that_of_its_table(tmp_path, roi, start, stop):
    with open_results(write(tmp_path / "a.tracks.h5")) as results:
        whole = results.table(roi=roi)
        mine = whole[whole["time"].between(start or 0, stop or 1000, inclusive="left")]
        for _ in range(2):  # what the first reading learnt of the file does not change the second
            blocks = list(results.blocks(7, roi=roi, start=start, stop=stop))
            assert all(len(block) <= 7 for block in blocks)
            assert sum(map(len, blocks)) == len(mine)
            pd.testing.assert_frame_equal(
                results.table(roi=roi, start=start, stop=stop), mine.reset_index(drop=True)
            )


def test_a_run_that_goes_on_must_find_what_it_found_before(tmp_path):
    with ResultWriter(tmp_path / "a.tracks.h5", INFO, ROIS) as results:
        for n in range(10):
            results.append(Frame(IMAGE, n, n, float(n)), point(n, 1))
        results.append_rest(point(9, 2), whole=False)
        results.close("stopped")
    with ResultWriter.resume(tmp_path / "a.tracks.h5") as results:
        for n in range(10):
            results.append(Frame(IMAGE, n, n, float(n)), point(n, 1))
        results.append(Frame(IMAGE, 10, 10, 10.0), point(9, 2, x=5.0))
        results.close("stopped")
    with open_results(tmp_path / "a.tracks.h5") as results:
        assert len(results.frames) == 11
        assert results.points["x"].tolist() == [1.0] * 10 + [5.0]

    def go_on_otherwise():
        with ResultWriter.resume(tmp_path / "a.tracks.h5") as results:
            results.append(Frame(IMAGE, 0, 0, 0.0), point(0, 1, x=3.0))
            results.flush()

    with pytest.raises(ResultFileError, match="cannot be gone on with"):
        go_on_otherwise()
    with open_results(tmp_path / "a.tracks.h5") as results:
        assert results.points["x"].tolist() == [1.0] * 10 + [5.0]


def test_an_event_that_is_too_long_is_cut_and_stays_json(tmp_path):
    with ResultWriter(tmp_path / "a.tracks.h5", INFO, ROIS) as results:
        results.append_events([Event(1.0, 0, "mark", {"text": 'ø"' * 1000}), Event(2.0, 0, "mark")])
    with open_results(tmp_path / "a.tracks.h5") as results:
        long, short = results.events
    assert long.detail["cut"].startswith('{"text": "ø')
    assert short.detail == {}
