"""Loopbio's `.index.sqlite`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import imgstore
from imgstore import ChunkError
from imgstore.constants import STORE_INDEX_FILENAME
from imgstore.index import ImgStoreIndex

NUMBERS = [6050, 6055, 6055, 0, 1, 2, 7]
TIMES = [10.0, 11.0, 12.0, 13.0, float("nan"), 15.0, 16.0]


@pytest.fixture
def saved(make_store):
    """Make a store with an index file."""

    def make(**options):
        path = make_store(**{"numbers": NUMBERS, "times": TIMES, "chunksize": 3, **options})
        with imgstore.new_for_filename(path) as store:
            store.save_index()
        return path

    return make


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_the_file_has_loopbios_tables(saved, fmt):
    path = saved(format=fmt)
    with closing(sqlite3.connect(path / STORE_INDEX_FILENAME)) as database:
        tables = dict(database.execute("SELECT name, sql FROM sqlite_master"))
        assert set(tables) == {"frames", "chunks", "index_information", "summary", "chunk_index"}
        frames = database.execute("SELECT * FROM frames ORDER BY rowid").fetchall()
        assert frames[:4] == [(0, 0, 6050, 10.0), (0, 1, 6055, 11.0), (0, 2, 6055, 12.0), (1, 0, 0, 13.0)]
        assert frames[4] == (1, 1, 1, None)
        stem = "00000{}" if "/" in fmt else "00000{}/index"
        chunks = [(chunk, str(path / stem.format(chunk))) for chunk in range(3)]
        assert database.execute("SELECT * FROM chunks").fetchall() == chunks
        assert database.execute("SELECT * FROM index_information").fetchall() == [("version", "1")]
        assert dict(database.execute("SELECT * FROM summary")) == {
            "frame_time_min": 10.0,
            "frame_time_max": 16.0,
            "frame_min": 0.0,
            "frame_max": 6055.0,
        }


def test_what_was_written_is_read(saved):
    index = ImgStoreIndex.new_from_file(str(saved() / STORE_INDEX_FILENAME))
    assert (index.frame_count, index.frame_min, index.frame_max) == (7, 0.0, 6055.0)
    assert index.chunks == index._chunks == (0, 1, 2)
    np.testing.assert_array_equal(index.get_all_metadata()["frame_time"], TIMES)
    assert index.get_all_metadata()["frame_number"] == NUMBERS
    assert index.get_chunk_metadata(1)["frame_number"] == [0, 1, 2]
    assert index.get_chunk_metadata(9) == {"frame_number": [], "frame_time": []}
    assert index.find_chunk("frame_number", 6055) == (0, 1)
    assert index.find_chunk("frame_number", np.int64(7)) == (2, 0)
    assert index.find_chunk("frame_time", 15.0) == (1, 2)
    assert index.find_chunk("index", 5) == (1, 2)
    missing = [("frame_number", 5), ("frame_time", 15.5), ("index", 7), ("index", -1)]
    assert {index.find_chunk(what, value) for what, value in missing} == {(-1, -1)}
    assert index.find_chunk_nearest("frame_number", 5000) == (0, 0)
    assert index.find_chunk_nearest("frame_time", 0.0) == (0, 0)
    for call in (index.find_chunk, index.find_chunk_nearest):
        with pytest.raises(ValueError, match="nonsense"):
            call("nonsense", 1)


def test_a_store_opened_with_an_index_does_not_look_for_chunks(saved):
    path = saved(times=None)
    index = ImgStoreIndex.new_from_file(path / STORE_INDEX_FILENAME)
    with imgstore.new_for_filename(path, index=index) as store:
        assert store._index is index
        assert store._chunk_n_and_chunk_paths is None
        assert store.get_image(7)[1] == (7, 1000.0 + 0.05 * 7)
        assert store.get_frame_metadata()["frame_number"] == NUMBERS
        list(store._iter_chunk_n_and_chunk_paths())
        assert store._chunk_n_and_chunk_paths == [(n, str(path / f"00000{n}" / "index")) for n in range(3)]
    with pytest.raises(TypeError, match="ImgStoreIndex"):
        imgstore.new_for_filename(path, index=path / STORE_INDEX_FILENAME)


def test_a_writer_leaves_an_index_if_it_is_asked_to(tmp_path):
    with imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6), chunksize=2) as store:
        for number in range(4):
            store.add_image(np.zeros((4, 6), np.uint8), number, float(number))
            assert store.chunks == list(range((number + 1) // 2))
        store.close(save_index=True)
    assert ImgStoreIndex.new_from_file(tmp_path / "a" / STORE_INDEX_FILENAME).chunks == (0, 1)


def test_no_file_stays_open(saved):
    path = saved()
    before = len(list(Path("/proc/self/fd").iterdir()))
    indexes = [ImgStoreIndex.new_from_file(path / STORE_INDEX_FILENAME) for _ in range(20)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    del indexes


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE frames",
        "UPDATE index_information SET value = '2'",
        "DELETE FROM index_information",
        "UPDATE frames SET frame_number = 'many'",
        "UPDATE frames SET frame_number = NULL",
        "UPDATE frames SET chunk = 5 WHERE rowid = 1",
    ],
)
def test_a_broken_index_file_is_named(saved, statement):
    file = saved() / STORE_INDEX_FILENAME
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(statement)
    with pytest.raises(ChunkError, match=r"\.index\.sqlite"):
        ImgStoreIndex.new_from_file(file)


def test_what_is_no_index_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"\.index\.sqlite"):
        ImgStoreIndex.new_from_file(tmp_path / ".index.sqlite")
    (tmp_path / ".index.sqlite").write_text("hello" * 1000)
    with pytest.raises(ChunkError, match="no index"):
        ImgStoreIndex.new_from_file(tmp_path / ".index.sqlite")
