"""Writing and reading whole stores."""

import json
import shutil
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

import imgstore
from imgstore import (
    ChunkError,
    ClosedError,
    Frame,
    FrameFormatError,
    FrameNotFoundError,
    MetadataError,
    NotAStoreError,
    SettingsError,
    StoreExistsError,
    StoreInUseError,
    UnknownNameError,
)
from tests.conftest import numbered_images


def test_every_frame_is_found_by_index_number_and_time(make_store):
    numbers = [3, 4, 7, 8, 20, 21, 22]
    times = [10.0, 10.1, 10.4, 10.5, 11.7, 11.8, 11.9]
    path = make_store(numbers=numbers, times=times, chunksize=3)
    images = numbered_images((32, 48), 7)
    with imgstore.open(path) as store:
        assert len(store) == 7
        assert store.chunks == (0, 1, 2)
        for index, (number, time) in enumerate(zip(numbers, times, strict=True)):
            for frame in (store[index], store[index - 7], store.by_number(number), store.by_time(time)):
                assert (frame.index, frame.number, frame.time) == (index, number, time)
                np.testing.assert_array_equal(frame.image, images[index])


def test_a_chunk_of_seconds_ends_by_the_times_of_its_frames(tmp_path):
    times = [100.0, 100.5, 101.9, 102.0, 102.1, 103.0, 103.9, 110.0, 110.1, 112.0]
    with imgstore.create(tmp_path / "a", (4, 6), format="png", chunksize=3, chunk_seconds=2.0) as writer:
        for number, time in enumerate(times):
            writer.append(Frame(np.full((4, 6), number, np.uint8), number, number, time))
    with imgstore.open(tmp_path / "a") as store:
        assert [len(store.chunk_range(chunk)) for chunk in store.chunks] == [3, 4, 2, 1]
        assert store.times.tolist() == times
        assert (store.metadata.chunksize, store.metadata.chunk_seconds) == (3, 2.0)
    with pytest.raises(SettingsError, match="more than 0 seconds"):
        imgstore.create(tmp_path / "b", (4, 6), chunk_seconds=0)


def test_what_is_settled_is_finished_and_more_may_come(tmp_path):
    with imgstore.create(tmp_path / "a", (4, 6), format="png") as writer:
        sound = writer.stream("sound", ["left"], rate=10)
        for number in range(4):
            writer.append(Frame(np.full((4, 6), number, np.uint8), number, number, number / 10))
            sound.append(np.full((1, 1), float(number)))
            if number == 1:
                writer.settle()
        assert writer.unkept() == []
    with imgstore.open(tmp_path / "a") as store:
        assert [len(store.chunk_range(chunk)) for chunk in store.chunks] == [2, 2]
        assert store.stream("sound")[:].samples[:, 0].tolist() == [0, 1, 2, 3]


def test_the_nearest_frame_is_the_first_of_equals(make_store):
    path = make_store(numbers=[0, 10, 20, 20], times=[0.0, 1.0, 2.0, 2.0])
    with imgstore.open(path) as store:
        assert store.by_number(5, exact=False).index == 0
        assert store.by_number(15, exact=False).index == 1
        assert store.by_number(99, exact=False).index == 2
        assert store.by_number(20).index == 2
        assert store.by_time(0.5).index == 0
        assert store.by_time(1.51).index == 2
        with pytest.raises(FrameNotFoundError, match="from 0 to 20"):
            store.by_number(5)


def test_numbers_and_times_in_any_order_are_found(make_store):
    numbers = [5, -2, 9, 5, 0]
    path = make_store(numbers=numbers, times=[3.0, float("nan"), 1.0, 2.0, 8.0])
    with imgstore.open(path) as store:
        assert store.numbers.tolist() == numbers
        assert store.by_number(5).index == 0
        assert store.by_number(-2).index == 1
        assert store.by_time(2.4).index == 3


def test_numpy_numbers_are_numbers(make_store):
    with imgstore.open(make_store()) as store:
        assert store[np.int64(3)].index == 3
        assert store.by_number(np.int32(7)).index == 7
        assert store.by_time(np.float32(1000.1)).index == 2


def test_a_time_without_zone_is_in_the_zone_of_the_store(make_store):
    path = make_store(times=[1_700_000_000.0 + i for i in range(12)])
    content = yaml.safe_load((path / "metadata.yaml").read_text())
    content["__store"]["timezone_local"] = "America/New_York"
    (path / "metadata.yaml").write_text(yaml.safe_dump(content))
    local = datetime(2023, 11, 14, 17, 13, 25, tzinfo=ZoneInfo("America/New_York"))
    assert local.timestamp() == 1_700_000_005
    with imgstore.open(path) as store:
        assert store.by_time(local.replace(tzinfo=None)).index == 5
        assert store.by_time(local.astimezone(UTC)).index == 5
        assert store.local_time(1_700_000_005.0) == local


def test_user_metadata_and_numpy_values_in_it_come_back(tmp_path):
    metadata = {"genotype": "w1118", "gain": np.float32(1.5), "roi": np.arange(3), "päth": tmp_path}
    imgstore.create(tmp_path / "a", (4, 6), format="npy", metadata=metadata).close()
    with imgstore.open(tmp_path / "a") as store:
        assert store.user_metadata == {
            "genotype": "w1118",
            "gain": 1.5,
            "roi": [0, 1, 2],
            "päth": str(tmp_path),
        }
        assert store.metadata.created.tzinfo is UTC


@pytest.mark.parametrize("metadata", [{"bad": object()}, {"__store": {}}], ids=["object", "our own key"])
def test_metadata_that_cannot_be_kept_is_refused_before_anything_is_made(tmp_path, metadata):
    with pytest.raises(MetadataError):
        imgstore.create(tmp_path / "a", (4, 6), format="npy", metadata=metadata)
    assert not (tmp_path / "a").exists()


def test_an_existing_store_is_never_touched(make_store):
    path = make_store()
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(StoreExistsError, match="a store already"):
        imgstore.create(path, (32, 48), format="npy")
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_a_frame_of_another_shape_or_dtype_is_refused_and_nothing_shifts(tmp_path):
    images = numbered_images((32, 48), 3)
    with imgstore.create(tmp_path / "a", (32, 48), format="h264/mkv") as writer:
        writer.append(Frame(images[0], 0, 0, 0.0))
        for wrong in (images[1][:-2], images[1].astype(float), np.dstack([images[1]] * 3)):
            with pytest.raises(FrameFormatError, match="shape"):
                writer.append(Frame(wrong, 1, 1, 1.0))
        writer.append(Frame(images[2], 1, 2, 2.0))
    with imgstore.open(tmp_path / "a") as store:
        assert store.numbers.tolist() == [0, 2]
        np.testing.assert_allclose(store[1].image.astype(int), images[2], atol=24)


def test_nothing_can_be_appended_or_read_after_close(make_store, tmp_path):
    writer = imgstore.create(tmp_path / "a", (4, 6), format="npy")
    writer.close()
    writer.close()
    with pytest.raises(ClosedError):
        writer.append(Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
    store = imgstore.open(make_store())
    store.close()
    store.close()
    with pytest.raises(ClosedError):
        store[0]


def test_an_empty_store_opens(tmp_path):
    imgstore.create(tmp_path / "a", (4, 6)).close()
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == 0
        assert list(store) == []
        with pytest.raises(FrameNotFoundError):
            store.by_time(1.0)
        with pytest.raises(IndexError):
            store[0]


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy"):
        with imgstore.open(tmp_path / "a") as store:
            assert store.state == "recording"
        lock = imgstore.layout.StoreLock(tmp_path / "a")
        with pytest.raises(StoreInUseError, match="pid"):
            lock.acquire()
    with imgstore.open(tmp_path / "a") as store:
        assert store.state == "complete"


def test_a_store_whose_writer_died_says_so(make_store):
    path = make_store()
    (path / ".lock").touch()
    with imgstore.open(path) as store:
        assert store.state == "interrupted"
        assert len(store) == 12


@pytest.mark.parametrize("name", ["with [brackets] *", "ünïcode", "with space"])
def test_any_path_will_do(tmp_path, name):
    with imgstore.create(tmp_path / name, (32, 48), format="h264/mkv", chunksize=2) as writer:
        for index, image in enumerate(numbered_images((32, 48), 5)):
            writer.append(Frame(image, index, index, float(index)))
    with imgstore.open(str(tmp_path / name)) as store:
        assert [frame.number for frame in store] == list(range(5))


def test_foreign_files_and_folders_are_not_chunks(make_store):
    for chunk_format in ("npy", "h264/mkv"):
        path = make_store(format=chunk_format, name=chunk_format[:3])
        (path / "notes").mkdir()
        (path / "holiday.mkv").write_text("no")
        (path / "12.npz").write_text("no")
        with imgstore.open(path) as store:
            assert len([frame.image for frame in store]) == 12


def test_a_missing_video_is_named_and_its_gap_is_visible(make_store):
    path = make_store(format="h264/mkv")
    (path / "000001.mkv").unlink()
    with imgstore.open(path) as store:
        assert [frame.number for frame in store] == [0, 1, 2, 3, 4, 10, 11]
        (problem,) = store.problems
        assert "000001.mkv is missing" in problem
        assert store.chunks == (0, 2)


def test_a_store_without_any_video_says_so_when_a_frame_is_asked_for(make_store):
    path = make_store(format="h264/mkv", chunksize=100)
    (path / "000000.mkv").unlink()
    with imgstore.open(path) as store, pytest.raises(IndexError, match=r"000000\.mkv is missing"):
        store[0]


def test_a_missing_chunk_in_the_middle_is_named(make_store):
    path = make_store(chunksize=2)
    shutil.rmtree(path / "000003")
    with imgstore.open(path) as store:
        assert store.numbers.tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]
        (problem,) = store.problems
        assert "000003" in problem


def test_of_a_video_that_is_shorter_than_its_index_what_is_there_is_read(make_store):
    path = make_store(format="h264/mkv")
    (path / "000000.mkv").write_bytes((path / "000002.mkv").read_bytes())
    with imgstore.open(path) as store:
        store[1]
        with pytest.raises(ChunkError, match=r"frame 2 of .*000000\.mkv is missing: it holds 2 frames"):
            store[2]
        store[5]


def test_a_broken_index_is_named_and_the_other_chunks_are_read(make_store):
    path = make_store()
    (path / "000001" / "index.npz").write_bytes(b"PK\x03\x04 nothing")
    with imgstore.open(path) as store:
        assert [frame.number for frame in store] == [0, 1, 2, 3, 4, 10, 11]
        (problem,) = store.problems
        assert "000001/index.npz" in problem


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nowhere", "does not exist"),
        (lambda p: p, "has no metadata.yaml"),
        (lambda p: p / "a.txt", "not a store"),
    ],
    ids=["nothing", "folder", "file"],
)
def test_what_is_no_store_is_told_so(tmp_path, make, message):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(NotAStoreError, match=message):
        imgstore.open(make(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[1, 2",
        "__store: 3",
        "a: &a {x: 1}\nb: {<<: *a}",
        "!!python/object/apply:os.system ['true']",
        "__store: {version: 1}",
        "__store: {version: 2, class: Nonsense}",
        "__store: {version: 2, class: VideoImgStore, format: h264/mkv, imgshape: [0, 4], imgdtype: uint8}",
        "__store: {version: 2, class: VideoImgStore, format: h264/mkv, imgshape: [4, 4], imgdtype: nope}",
        "__store: {version: 2, class: VideoImgStore, format: h264/mkv, imgshape: [4, 4], imgdtype: uint8, "
        "chunksize: 5, extension: /../../secret.avi}",
        "__store: {version: 2, class: DirectoryImgStore, format: npy, imgshape: [4, 4], imgdtype: uint8, "
        "chunksize: -1}",
        "\x00\x01",
        "[" * 5000,
    ],
)
def test_bad_metadata_is_a_clear_error(tmp_path, text):
    (tmp_path / "metadata.yaml").write_text(text)
    with pytest.raises(MetadataError, match=r"metadata\.yaml"):
        imgstore.open(tmp_path)


def test_an_unknown_format_suggests_the_right_one(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'h264/mkv'"):
        imgstore.create(tmp_path / "a", (4, 6), format="h264-mkv")
    assert not (tmp_path / "a").exists()


def test_extra_data_is_whole_after_every_record(tmp_path):
    image = np.zeros((4, 6), np.uint8)
    with imgstore.create(tmp_path / "a", (4, 6), format="png", chunksize=2) as writer:
        writer.append_extra({"light": True})
        for number in range(5):
            writer.append(Frame(image, number, 100 + number, float(number)))
            writer.append_extra(
                {"temperature": np.float32(20 + number), "when": datetime(2026, 1, 1, tzinfo=UTC)}
            )
            for file in (tmp_path / "a").rglob("*.extra.json"):
                assert isinstance(json.loads(file.read_text()), list)
        with pytest.raises(TypeError, match="cannot hold"):
            writer.append_extra({"thing": object()})
    with imgstore.open(tmp_path / "a") as store:
        records = store.extra()
    assert records is not None
    assert records["frame_number"].tolist()[1:] == [100, 101, 102, 103, 104]
    assert records["temperature"].tolist()[1:] == [20, 21, 22, 23, 24]
    assert records["frame_index"].tolist() == [-1, 0, 1, 2, 3, 4]


def test_frames_come_right_from_many_threads(make_store):
    from concurrent.futures import ThreadPoolExecutor

    path = make_store(format="h264/mkv", numbers=list(range(60)), chunksize=13)
    with imgstore.open(path) as store:
        expected = [frame.image for frame in store]
        asked = np.random.default_rng(0).integers(0, 60, 400).tolist()
        with ThreadPoolExecutor(4) as pool:
            for index, frame in zip(asked, pool.map(store.__getitem__, asked), strict=True):
                assert frame.index == index
                np.testing.assert_array_equal(frame.image, expected[index])
