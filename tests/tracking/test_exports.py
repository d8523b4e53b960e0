"""Exports hold what the result holds; outside programs that read them are in tests/interop."""

import json
import sqlite3
from contextlib import closing

import cv2
import h5py
import numpy as np
import pytest

import imgstore
from tests.tracking.made import RATE, ROIS, START, frame_times, make_points, make_recording, make_result
from tracking import (
    EXPORTERS,
    ResultExistsError,
    ResultFileError,
    SettingsError,
    Status,
    export,
    import_tracks,
    open_results,
)
from tracking.export import ENDINGS
from tracking.export.ordered import find_tracks, in_order
from tracking.points import new_points


def rows_of(path, query):
    with closing(sqlite3.connect(path)) as base:
        return base.execute(query).fetchall()


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_a_result_comes_in_the_order_of_its_frames_whatever_was_written_first(tmp_path, rows):
    path = tmp_path / "a.tracks.h5"
    order = np.random.default_rng(rows).permutation(40)
    tables = make_points(20)
    single = [table[[n]] for table in tables for n in range(len(table))]
    make_result(path, count=20, points=[single[n] for n in order])
    with open_results(path) as results:
        pieces = list(in_order(results, rows))
    assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)
    frames = np.concatenate([piece.frames for piece in pieces])
    assert frames["index"].tolist() == list(range(20))
    points = np.concatenate([piece.points for piece in pieces])
    assert points.tobytes() == np.concatenate(tables).tobytes()
    for piece in pieces:
        assert len(piece.frames) <= rows
        assert ((piece.rows >= 0) & (piece.rows < len(piece.frames))).all()


def test_frames_without_an_animal_are_there_too(tmp_path):
    path = make_result(tmp_path / "a.tracks.h5", points=[])
    with open_results(path) as results:
        assert sum(len(piece.frames) for piece in in_order(results, 7)) == 60
        assert [track.name for track in find_tracks(results)] == ["roi_1", "roi_2", "roi_5"]


def available(name):
    try:
        return EXPORTERS.get(name)
    except imgstore.MissingDependencyError as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("count", [0, 1, 60], ids=["empty", "one frame", "some frames"])
def test_a_result_of_any_length_can_be_exported_once(tmp_path, ending, count):
    available(ENDINGS[ending])
    path = make_result(tmp_path / "a.tracks.h5", count=count)
    out = tmp_path / f"out{ending}"
    assert export(path, out).path == out
    assert out.stat().st_size
    before = out.read_bytes()
    with pytest.raises(ResultExistsError):
        export(path, out)
    assert out.read_bytes() == before
    export(path, out, force=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.tracks.h5", out.name]


def test_a_result_is_never_overwritten_by_its_own_export(tmp_path):
    path = make_result(tmp_path / "a.tracks.h5")
    before = path.read_bytes()
    with pytest.raises(ResultFileError, match="name of a result"):
        export(path, path, force=True)
    assert path.read_bytes() == before


def test_settings_that_a_format_has_not_are_told(tmp_path):
    path = make_result(tmp_path / "a.tracks.h5")
    with pytest.raises(imgstore.UnknownNameError, match="machine_name"):
        export(path, tmp_path / "a.db", settings={"machine": "x"})
    with pytest.raises(SettingsError, match="letters, digits"):
        export(path, tmp_path / "a.db", settings={"machine_name": "../x"})
    assert not (tmp_path / "a.db").exists()


def test_an_ethoscope_file_lies_where_its_readers_look_for_it(tmp_path):
    path = make_result(tmp_path / "a.tracks.h5")
    done = export(
        path,
        tmp_path / "results",
        format="ethoscope",
        settings={"machine_name": "E_014", "machine_id": "014a"},
    )
    stamp = "2026-01-02_03-04-05"
    assert done.path == tmp_path / "results" / "014a" / "E_014" / stamp / f"{stamp}_014a.db"
    metadata = dict(rows_of(done.path, "SELECT * FROM METADATA"))
    assert float(metadata["date_time"]) == START
    assert metadata["machine_name"] == "E_014"
    with pytest.raises(ResultExistsError):
        export(
            path,
            tmp_path / "results",
            format="ethoscope",
            settings={"machine_name": "E_014", "machine_id": "014a"},
        )


def test_an_ethoscope_file_has_every_row_of_every_region(tmp_path):
    out = export(make_result(tmp_path / "a.tracks.h5"), tmp_path / "a.db").path
    assert rows_of(out, "SELECT * FROM ROI_MAP") == [
        (1, 1, 10, 5, 100, 20),
        (2, 7, 10, 30, 100, 20),
        (5, 5, 10, 55, 100, 20),
    ]
    assert [len(rows_of(out, f"SELECT * FROM ROI_{n}")) for n in (1, 2, 5)] == [60, 60, 0]  # noqa: S608
    rows = rows_of(out, "SELECT t, x, y, w, h, phi, is_inferred, has_interacted FROM ROI_1 ORDER BY id")
    times = frame_times(60)
    for n, row in enumerate(rows):
        milliseconds = round((times[n] - START) * 1000)
        assert row == (milliseconds, 10 + n, 10, 12, 5, 90, int(10 <= n <= 12), int(n == 30)), n
    assert {kind for (kind,) in rows_of(out, "SELECT typeof(is_inferred) FROM ROI_1")} == {"integer"}
    assert dict(rows_of(out, "SELECT var_name, functional_type FROM VAR_MAP"))["phi"] == "angle"


def test_steps_of_ethoscope_files_are_exact_and_the_first_is_none(tmp_path):
    out = export(make_result(tmp_path / "a.tracks.h5"), tmp_path / "a.db").path
    still = round(1000 * np.log10(1 / 100))
    walking = [step for (step,) in rows_of(out, "SELECT xy_dist_log10x1000 FROM ROI_1 ORDER BY id")]
    assert walking == [still] + [round(1000 * np.log10(2 / 100))] * 59
    assert set(rows_of(out, "SELECT xy_dist_log10x1000 FROM ROI_2")) == {(still,)}


def test_activity_of_ethoscope_files_counts_whole_minutes_from_the_start(tmp_path):
    count = 1500  # 2.5 minutes at ten a second
    times = START + np.arange(count) / RATE
    path = make_result(tmp_path / "a.tracks.h5", count=count, times=times)
    out = export(path, tmp_path / "a.db").path
    assert rows_of(out, "SELECT date, time, ROI_1, ROI_2, ROI_5 FROM CSV_DAM_ACTIVITY ORDER BY id") == [
        ("02 Jan 2026", "03:05:05", 599, 0, 0),
        ("02 Jan 2026", "03:06:05", 600, 0, 0),
        ("02 Jan 2026", "03:07:05", 300, 0, 0),
    ]


def test_ethoscope_files_have_pictures_from_the_first_frame_on(tmp_path):
    times = START + np.array([0, 100, 299, 300.5, 301, 650, 1300])
    store = make_recording(tmp_path / "a.store", times=times)
    path = make_result(tmp_path / "a.tracks.h5", store, count=len(times), times=times)
    done = export(path, tmp_path / "a.db")
    assert done.left_out == ()
    pictures = rows_of(done.path, "SELECT t, img FROM IMG_SNAPSHOTS ORDER BY id")
    assert [t for t, _ in pictures] == [0, 300_500, 650_000, 1_300_000]
    levels = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), 0).mean() for _, jpeg in pictures]
    np.testing.assert_allclose(levels, [40, 43, 45, 46], atol=1.5)
    export(path, done.path, settings={"snapshots": "0"}, force=True)
    assert rows_of(done.path, "SELECT * FROM IMG_SNAPSHOTS") == []


def test_pictures_that_cannot_be_had_are_told(tmp_path):
    path = make_result(tmp_path / "a.tracks.h5")
    (told,) = export(path, tmp_path / "a.db").left_out
    assert "/nowhere/a.store" in told
    other = make_recording(tmp_path / "other.store", times=frame_times(60) + 5)
    path = make_result(tmp_path / "b.tracks.h5", other)
    (told,) = export(path, tmp_path / "b.db").left_out
    assert "not the recording that was tracked" in told


def test_several_animals_of_a_region_have_labels_in_ethoscope_files(tmp_path):
    points = make_points(60, ((1, 1), (1, 2), (2, 1)))
    out = export(make_result(tmp_path / "a.tracks.h5", points=points), tmp_path / "a.db").path
    assert rows_of(out, "SELECT label, COUNT(*), MIN(x) FROM ROI_1 GROUP BY label") == [
        (1, 60, 10),
        (2, 60, 20),
    ]
    steps = rows_of(out, "SELECT DISTINCT xy_dist_log10x1000 FROM ROI_1 WHERE id > 2")
    assert steps == [(round(1000 * np.log10(2 / 100)),)]


def test_the_frames_of_a_sleap_file_are_those_of_the_recording(tmp_path):
    path = tmp_path / "a.tracks.h5"
    make_result(path)
    with h5py.File(path, "r+") as file:
        frames = file["frames"][:]
        frames["index"] = 100 + 3 * np.arange(60)
        file["frames"][:] = frames
    out = export(path, tmp_path / "a.analysis.h5").path
    with h5py.File(out) as file:
        assert file["tracks"].shape == (3, 2, 1, 278)
        looked = file["tracks"][:, :, 0, 100::3]
        np.testing.assert_allclose(looked[0, 0], 20.25 + np.arange(60))
        assert np.isnan(looked[2]).all()
        assert np.isnan(file["tracks"][:, :, 0, :100]).all()
        assert np.isnan(file["tracks"][:, :, 0, 101::3]).all()
        np.testing.assert_allclose(file["times"][100::3], frame_times(60), rtol=0, atol=1e-6)
        assert file["track_occupancy"][:].sum(axis=0).tolist() == [60, 60, 0]


@pytest.mark.parametrize("ending", [".db", ".analysis.h5", ".slp"])
def test_what_was_exported_can_be_imported(tmp_path, ending):
    store = make_recording(tmp_path / "a.store")
    layout = tmp_path / "a.json"
    layout.write_text(
        json.dumps(
            {
                "regions": [
                    {"number": roi.number, "name": roi.name, "polygon": roi.polygon.tolist()} for roi in ROIS
                ]
            }
        )
    )
    path = make_result(tmp_path / "a.tracks.h5", store)
    out = export(path, tmp_path / f"out{ending}").path
    done = import_tracks(out, source=store, layout=str(layout), out=tmp_path / "back.tracks.h5")
    assert (done.frames, done.points, done.left_out) == (60, 120, {})
    with open_results(path) as before, open_results(done.path) as after:
        assert [roi.rectangle for roi in after.rois] == [roi.rectangle for roi in before.rois]
        keys = ["index", "roi"]
        expected = before.table().sort_values(keys).reset_index()
        found = after.table().sort_values(keys).reset_index()
        assert found[keys].equals(expected[keys])
        np.testing.assert_allclose(
            found[["x", "y"]], expected[["x", "y"]], atol=0.51 if ending == ".db" else 1e-6
        )
        if ending == ".db":
            assert (found["status"] == Status.LOST).sum() == 3
            assert found["interaction"].sum() == 1
            assert np.isnan(found["area"]).all()


def test_exports_hold_points_of_which_little_is_known(tmp_path):
    points = new_points(1)
    points["roi"], points["identity"], points["x"], points["y"] = 1, 1, 30, 15
    path = make_result(tmp_path / "a.tracks.h5", count=1, points=[points])
    out = export(path, tmp_path / "a.db").path
    assert rows_of(out, "SELECT t, x, y, w, h, phi FROM ROI_1") == [(0, 20, 10, None, None, None)]
