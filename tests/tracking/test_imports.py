"""What other programs found becomes a result like ours."""

import sqlite3
from contextlib import closing

import h5py
import numpy as np
import pandas as pd
import pytest

from tests.tracking.made import SHAPE, START, frame_times, make_recording
from tracking import ImportFileError, ResultExistsError, Status, import_tracks, open_results, score


def write_ethoscope(
    path, rows, *, start=START, rois=((1, 10, 5, 100, 20), (2, 10, 30, 100, 20)), shape=SHAPE
):
    """Write a file as ethoscopes do: truth values as text, no table for a region where nothing was found.

    `rows` maps regions to t (ms), x, y (in the region), is_inferred.
    """
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "PRAGMA journal_mode = WAL;"
            "CREATE TABLE METADATA (field CHAR(100), value TEXT);"
            "CREATE TABLE ROI_MAP (roi_idx SMALLINT, roi_value SMALLINT, x SMALLINT, y SMALLINT, w SMALLINT, "
            "h SMALLINT);"
            "CREATE TABLE VAR_MAP (var_name CHAR(100), sql_type CHAR(100), functional_type CHAR(100));"
        )
        metadata = {"date_time": start, "frame_width": shape[1], "frame_height": shape[0]}
        base.executemany("INSERT INTO METADATA VALUES (?, ?)", [(k, str(v)) for k, v in metadata.items()])
        base.executemany(
            "INSERT INTO ROI_MAP VALUES (?, ?, ?, ?, ?, ?)", [(n, n, *rectangle) for n, *rectangle in rois]
        )
        for number, entries in rows.items():
            base.execute(
                f"CREATE TABLE ROI_{number} (id INTEGER PRIMARY KEY AUTOINCREMENT, t INTEGER, x INTEGER, "
                "y INTEGER, w INTEGER, h INTEGER, phi INTEGER, xy_dist_log10x1000 INTEGER, is_inferred TEXT, "
                "has_interacted INTEGER)"
            )
            base.executemany(
                f"INSERT INTO ROI_{number} VALUES (NULL, ?, ?, ?, 12, 5, 90, -2000, ?, 0)",  # noqa: S608
                entries,
            )
        base.commit()
    return path


def test_an_ethoscope_file_alone_says_when_its_frames_were(tmp_path):
    path = write_ethoscope(tmp_path / "a.db", {1: [(0, 3, 4, "0"), (500, 4, 4, "1")], 2: [(500, 9, 9, "0")]})
    done = import_tracks(path)
    assert done.path == tmp_path / "a.tracks.h5"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.db", "a.tracks.h5"]
    with open_results(done.path) as results:
        table = results.table()
        assert results.frames["time"].tolist() == [START, START + 0.5]
        assert results.attributes["frame_shape"] == SHAPE
        assert results.attributes["tracker"] == "ethoscope"
    assert table[["index", "roi", "identity"]].to_numpy().tolist() == [[0, 1, 1], [1, 1, 1], [1, 2, 1]]
    assert table[["x", "y"]].to_numpy().tolist() == [[13, 9], [14, 9], [19, 39]]
    assert table["status"].tolist() == [Status.DETECTED, Status.LOST, Status.DETECTED]
    assert table["score"].isna().all()
    with pytest.raises(ResultExistsError):
        import_tracks(path)
    import_tracks(path, force=True)


@pytest.mark.parametrize("start", [START, 0.0], ids=["by the clock", "from the first frame"])
def test_rows_of_ethoscope_files_find_their_frames(tmp_path, start):
    store = make_recording(tmp_path / "a.store")
    times = frame_times(60)
    ask = [0, 7, 20, 21, 59]
    rows = [(round((times[n] - START) * 1000) + 20, n, 0, "0") for n in ask]
    path = write_ethoscope(tmp_path / "a.db", {1: [*rows, (3_600_000, 1, 1, "0")]}, start=start)
    done = import_tracks(path, source=store)
    assert done.left_out == {"no frame at that time": 1}
    with open_results(done.path) as results:
        table = results.table()
        assert len(results.frames) == 60
    assert table["index"].tolist() == ask
    assert (table["x"] - 10).tolist() == ask


def test_ethoscopes_own_positions_come_back(data, tmp_path):
    """As its file of this video says them: regions 3 and 7 without a table, times one frame early."""
    known = pd.read_csv(data / "arena_10x2_ethoscope.csv.gz").query("status != 'none'")
    frames = known["t_ms"] // 50 + 1  # the camera says t = 50 (n - 1) for frame n, and 0 for the first, too
    rois = [(n, 0, 0, 1280, 960) for n in range(1, 21)]
    rows = {
        int(number): [
            (int(t), float(x), float(y), "1" if status == "inferred" else "0")
            for t, x, y, status in part[["t_ms", "x_abs", "y_abs", "status"]].to_numpy().tolist()
        ]
        for number, part in known.groupby("roi")
    }
    path = write_ethoscope(tmp_path / "a.db", rows, start=0.0, rois=rois, shape=(960, 1280))
    done = import_tracks(path, source=data / "arena_10x2.mp4", settings={"delay": "0.05"})
    with open_results(done.path) as results:
        table = results.table()
        assert len(results.rois) == 20
    assert len(table) + sum(done.left_out.values()) == len(known)
    truth = known.assign(number=frames, x=known["x_abs"], y=known["y_abs"]).drop_duplicates(["number", "roi"])
    assert done.points == len(truth)
    assert score(table, truth, radius=0.01).near == 1
    checked = pd.read_csv(data / "arena_10x2_truth_first_half.csv.gz").query("valid == 1")
    checked = checked.rename(columns={"frame": "number", "x_abs": "x", "y_abs": "y"})
    assert 0.75 < score(table, checked).near < 0.82  # as measured when those files were made


def test_tracktors_own_positions_come_in(data, tmp_path):
    done = import_tracks(
        data / "mouse_tracktor.csv", source=data / "mouse.mp4", out=tmp_path / "mouse.tracks.h5"
    )
    known = pd.read_csv(data / "mouse_tracktor.csv").dropna()
    with open_results(done.path) as results:
        table = results.table()
        assert len(results.frames) == done.frames
    np.testing.assert_allclose(table[["x", "y"]], known[["pos_x", "pos_y"]], rtol=1e-6)
    assert table["index"].tolist() == (known["frame"] - 1).tolist()


def test_several_animals_of_a_table_keep_their_names(tmp_path):
    store = make_recording(tmp_path / "a.store")
    (tmp_path / "a.csv").write_text("frame,pos_x,pos_y,id\n1,5,6,B\n1,7,8,A\n2,,,A\n2,9,9,B\n61,1,1,A\n")
    done = import_tracks(tmp_path / "a.csv", source=store)
    assert done.left_out == {"no frame at that time": 1}
    with open_results(done.path) as results:
        table = results.table()
    assert table[["index", "identity", "x"]].to_numpy().tolist() == [[0, 1, 5], [0, 2, 7], [1, 1, 9]]


def write_analysis(path, tracks, nodes, order=("track", "xy", "node", "frame")):
    """Write an analysis file; `tracks` has shape (frames, tracks, nodes, 2)."""
    with h5py.File(path, "w") as file:
        places = [("frame", "track", "node", "xy").index(axis) for axis in order]
        file["tracks"] = np.transpose(tracks, places)
        if order[0] == "frame":
            file["tracks"].attrs["dims"] = '["frame", "track", "node", "xy"]'
        file["track_occupancy"] = np.isfinite(tracks[..., 0, 0]).astype(np.uint8)
        file["node_names"] = [name.encode() for name in nodes]
        file["track_names"] = [f"t{n}".encode() for n in range(tracks.shape[1])]
    return path


@pytest.mark.parametrize(
    "order", [("track", "xy", "node", "frame"), ("frame", "track", "node", "xy")], ids=str
)
def test_a_sleap_animal_is_where_its_nodes_are(tmp_path, order):
    store = make_recording(tmp_path / "a.store")
    tracks = np.full((30, 2, 2, 2), np.nan)
    tracks[:, 0] = [(10, 20), (14, 22)]
    tracks[5:, 1, 0] = (40, 50)  # one node only
    path = write_analysis(tmp_path / "a.h5", tracks, ("head", "tail"), order)
    done = import_tracks(path, source=store, out=tmp_path / "mean.tracks.h5")
    with open_results(done.path) as results:
        table = results.table()
    assert len(table) == 55
    assert set(map(tuple, table[["identity", "x", "y"]].to_numpy())) == {(1, 12, 21), (2, 40, 50)}
    done = import_tracks(path, source=store, settings={"node": "tail"}, out=tmp_path / "tail.tracks.h5")
    with open_results(done.path) as results:
        assert set(map(tuple, results.table()[["identity", "x", "y"]].to_numpy())) == {(1, 14, 22)}


def test_animals_outside_of_all_regions_are_counted(tmp_path):
    store = make_recording(tmp_path / "a.store")
    (tmp_path / "a.yaml").write_text("regions:\n  - {circle: [30, 30, 10]}\n")
    (tmp_path / "a.csv").write_text("frame,pos_x,pos_y\n1,30,30\n2,60,30\n3,-500,1e7\n4,29,31\n")
    done = import_tracks(tmp_path / "a.csv", source=store, layout=str(tmp_path / "a.yaml"))
    assert done.points == 2
    assert done.left_out == {"outside of all regions": 2}


def test_files_that_count_frames_need_the_recording(tmp_path):
    (tmp_path / "a.csv").write_text("frame,pos_x,pos_y\n1,30,30\n")
    with pytest.raises(ImportFileError, match="--source"):
        import_tracks(tmp_path / "a.csv")
    assert not (tmp_path / "a.tracks.h5").exists()


@pytest.mark.parametrize("name", ["a.db", "a.csv", "a.h5", "a.slp"])
@pytest.mark.parametrize("content", [b"", b"hello,you\n1,2\n", b"\xff\x00\x88", None])
def test_files_that_are_something_else_are_told(tmp_path, name, content):
    if content is None:
        with h5py.File(tmp_path / name, "w") as file:
            file["x"] = [1]
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImportFileError, match=name):
        import_tracks(tmp_path / name, source=make_recording(tmp_path / "a.store", count=2))
    with pytest.raises(ImportFileError, match="nothing"):
        import_tracks(tmp_path / f"nothing.{name[2:]}")
