"""What is wrong in loopbio's package and must not be here: D1 to D24 of our notes on it, in that order."""

import json
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml

import imgstore
from imgstore import ChunkError, ClosedError, FrameFormatError, MetadataError, StoreExistsError, stores
from imgstore.align import StoreAligner
from imgstore.apps import main_generate_timecodes, main_saver
from imgstore.index import ImgStoreIndex
from imgstore.util import ImageCodecProcessor
from tests.conftest import FORMATS_HERE, numbered_images

VIDEO_FORMATS = [name for name in FORMATS_HERE if "/" in name]


@pytest.fixture
def make(tmp_path):
    """Make a finished store with loopbio's functions and return its path."""

    def made(fmt="npy", numbers=range(12), name="a", chunksize=4, shape=(32, 48), **options):
        path = tmp_path / name
        with imgstore.new_for_format(fmt, path, imgshape=shape, chunksize=chunksize, **options) as store:
            for place, (number, image) in enumerate(
                zip(numbers, numbered_images(shape, len(numbers)), strict=True)
            ):
                store.add_image(image, number, 1000.0 + place)
                store.add_extra_data(place=place)
        return path

    return made


def read_all(store):
    """Return the numbers that come when a store is read to its end."""
    numbers = []
    while True:
        try:
            numbers.append(store.get_next_image()[1][0])
        except EOFError:
            return numbers


# D1
@pytest.mark.parametrize(
    ("policy", "expected"), [("drop", [2, 3]), ("zoh", [0, 1, 2, 3, 9]), ("black", [0, 1, 2, 3, 9])]
)
def test_stores_are_aligned_by_the_policy_that_was_asked_for(make, policy, expected):
    paths = make(numbers=[0, 1, 2, 3], name="a"), make(numbers=[2, 3, 9], name="b")
    with imgstore.new_for_filename(paths[0]) as a, imgstore.new_for_filename(paths[1]) as b:
        aligner = StoreAligner(a, b)
        assert aligner.extract_common_frames(policy).tolist() == expected
        rows = list(aligner.iter_imgs(return_times=True))
        assert [number for number, _, _ in rows] == expected
        last = None
        for number, images, times in rows:
            known = number in (2, 3, 9)
            wanted = b.get_image(number)[0] if known else np.zeros((32, 48), np.uint8)
            np.testing.assert_array_equal(images[1], wanted)
            assert np.isnan(times[1]) != known
            if number == 9:
                np.testing.assert_array_equal(images[0], last if policy == "zoh" else 0 * last)
                assert np.isnan(times[0])
            last = images[0]


# D2
@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float64, float, int])
def test_numpy_numbers_find_the_same_frame_as_pythons(make, kind):
    with imgstore.new_for_filename(make()) as store:
        assert store.get_image(kind(3))[1] == (3, 1003.0)
        assert store.get_image(kind(7), exact_only=False)[1] == (7, 1007.0)
        assert store.get_image(None, frame_index=kind(5))[1] == (5, 1005.0)
    with imgstore.new_for_filename(make(numbers=np.arange(5), name="b")) as store:
        assert store.get_image(np.int64(4))[1] == (4, 1004.0)


# D3
@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_a_frame_of_another_shape_or_type_is_refused_and_no_later_one_shifts(tmp_path, fmt):
    images = numbered_images((32, 48), 4)
    with imgstore.new_for_format(fmt, tmp_path / "a", imgshape=(32, 48)) as store:
        store.add_image(images[0], 0, 0.0)
        for wrong in (images[1][:-2], images[1].astype(np.float32), images[1][:, ::2]):
            with pytest.raises(FrameFormatError):
                store.add_image(wrong, 1, 1.0)
        for number in (1.5, np.nan, None):
            with pytest.raises((ValueError, TypeError)):
                store.add_image(images[1], number, 1.0)
        store.add_image(images[2], 2, 2.0)
        assert store.frame_count == 2
    with imgstore.new_for_filename(tmp_path / "a") as store:
        np.testing.assert_allclose(store.get_image(2)[0].astype(int), images[2], atol=24)


def add_all(store, images):
    for number, image in enumerate(images, 1):
        store.add_image(image, number, float(number))


def test_an_image_that_cannot_be_written_is_an_error(tmp_path):
    with imgstore.new_for_format("png", tmp_path / "a", imgshape=(32, 48)) as store:
        store.add_image(numbered_images((32, 48), 1)[0], 0, 0.0)
        (tmp_path / "a" / "000000").rename(tmp_path / "gone")
        with pytest.raises(ChunkError):  # at once or with one of the next, as images are written by threads
            add_all(store, numbered_images((32, 48), 30))
        (tmp_path / "gone").rename(tmp_path / "a" / "000000")
    with imgstore.open(tmp_path / "a") as frames:
        assert len([frame.image for frame in frames]) <= 2


# D4
@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna", "America/New_York"])
def test_when_a_store_was_made_does_not_depend_on_the_zone_of_the_reader(make, zone):
    path = make()
    with imgstore.new_for_filename(path) as store:
        created = store.created
    script = f"import imgstore; print(imgstore.new_for_filename({str(path)!r}).created[0].isoformat())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(imgstore.__file__).parents[1],
    )
    assert datetime.fromisoformat(done.stdout.strip()) == created[0]
    assert abs((created[0] - datetime.now(UTC)).total_seconds()) < 600


@pytest.mark.parametrize("zone", ["local", "UTC0", None, "Europe/Nowhere", "../../etc/passwd"])
def test_an_unknown_zone_does_not_keep_a_store_from_opening(make, zone):
    path = make()
    content = yaml.safe_load((path / "metadata.yaml").read_text())
    content["__store"]["timezone_local"] = zone
    (path / "metadata.yaml").write_text(yaml.safe_dump(content))
    with imgstore.new_for_filename(path) as store:
        assert store.get_next_image()[1] == (0, 1000.0)


# D5
@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_reading_in_order_goes_on_behind_a_chunk_without_index(make, fmt):
    path = make(fmt)
    (path / ("000001.npz" if "/" in fmt else "000001/index.npz")).unlink()
    with imgstore.new_for_filename(path) as store:
        assert (store.frame_count, store.chunks) == (8, [0, 2])
        assert read_all(store) == [0, 1, 2, 3, 8, 9, 10, 11]


# D6
def test_extra_data_keeps_every_kind_of_value(tmp_path):
    values = {
        "numpy": np.bool_(True),
        "array": np.arange(3),
        "set": {2, 1},
        "bytes": b"abc",
        "datetime": datetime(2026, 1, 2, tzinfo=UTC),
        "complex": 1 + 2j,
        "path": tmp_path,
        "nested": {"a": [np.float32(0.5)]},
    }
    with imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6)) as store:
        store.add_image(np.zeros((4, 6), np.uint8), 0, 0.0)
        for name, value in values.items():
            store.add_extra_data(name=name, value=value)
        with pytest.raises(TypeError):
            store.add_extra_data(value=object())
    with imgstore.new_for_filename(tmp_path / "a") as store:
        extra = store.get_extra_data()
    assert extra["name"].tolist() == list(values)
    assert extra["value"].tolist() == [
        True,
        [0, 1, 2],
        [1, 2],
        "abc",
        "2026-01-02T00:00:00+00:00",
        [1.0, 2.0],
        str(tmp_path),
        {"a": [0.5]},
    ]


def test_what_a_record_says_of_its_own_time_is_kept(tmp_path):
    with imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6)) as store:
        store.add_image(np.zeros((4, 6), np.uint8), 5, 0.0)
        store.add_extra_data(frame_time=0.25, frame_number=5)
    with imgstore.new_for_filename(tmp_path / "a") as store:
        (record,) = store.get_extra_data().to_dict("records")
    assert record == {"frame_time_given": 0.25, "frame_time": 0.0, "frame_number": 5, "frame_index": 0}


# D7
@pytest.mark.parametrize("fmt", [name for name in ("png", "tif", "npy") if name in imgstore.FORMATS])
def test_16_bit_images_come_back_with_16_bits(tmp_path, fmt):
    image = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000
    with imgstore.new_for_format(fmt, tmp_path / "a", imgshape=(4, 6), imgdtype=np.uint16) as store:
        store.add_image(image, 0, 0.0)
    with imgstore.new_for_filename(tmp_path / "a") as store:
        read = store.get_next_image()[0]
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("shape", [(4, 6, 1), (4, 6, 4)])
def test_images_that_are_neither_grey_nor_colour_come_back_in_their_shape_or_are_refused(tmp_path, shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    for place, fmt in enumerate(FORMATS_HERE):
        path = tmp_path / str(place)
        try:
            store = imgstore.new_for_format(fmt, path, imgshape=shape)
        except FrameFormatError:
            assert not path.exists()
            continue
        store.add_image(image, 0, 0.0)
        store.close()
        with imgstore.new_for_filename(path) as store:
            assert store.get_next_image()[0].shape == shape


# D8
@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_a_store_that_is_there_already_is_not_touched(make, fmt):
    path = make(fmt)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(StoreExistsError):
        imgstore.new_for_format(fmt, path, imgshape=(32, 48))
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


# D9
def test_a_saved_video_keeps_every_frame_and_its_time(tmp_path, capsys):
    ticks = [0, 40, 80, 200, 240, 1000]
    images = numbered_images((32, 48, 3), len(ticks))
    with av.open(str(tmp_path / "a.mkv"), "w") as video:
        stream = video.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgr0"
        for tick, image in zip(ticks, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    main_saver([str(tmp_path / "a.store"), "--source", str(tmp_path / "a.mkv"), "--format", "npy"])
    assert "6 frames" in capsys.readouterr().out
    with imgstore.new_for_filename(tmp_path / "a.store") as store:
        assert store.get_frame_metadata()["frame_time"] == pytest.approx([tick / 1000 for tick in ticks])
        for image in images:
            np.testing.assert_allclose(store.get_next_image()[0], image, atol=1)
    assert not (tmp_path / "a.store" / ".lock").exists()


# D10
@pytest.mark.parametrize("chunksize", [1, 3, 7])
@pytest.mark.parametrize("fmt", VIDEO_FORMATS)
@pytest.mark.parametrize("seek", [True, False])
def test_the_frame_that_is_asked_for_comes_in_any_order(make, fmt, chunksize, seek):
    path = make(fmt, numbers=range(20), chunksize=chunksize)
    images = numbered_images((32, 48), 20)
    with imgstore.new_for_filename(path, seek=seek) as store:
        for number in np.random.default_rng(1).permutation(20):
            image = store.get_image(number)[0].astype(int)
            assert np.argmin([np.abs(image - other).mean() for other in images]) == number


# D11
@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_a_frame_extracted_alone_is_the_one_that_the_store_gives(make, fmt):
    path = make(fmt, numbers=[5, 6, 0, 1, 2, 3, 4])
    (path / ("000000.npz" if "/" in fmt else "000000/index.npz")).unlink()
    with imgstore.new_for_filename(path) as store:
        for index in range(len(store)):
            alone = stores.extract_only_frame(str(path), index)
            np.testing.assert_array_equal(alone, store.get_image(None, frame_index=index)[0])
            np.testing.assert_array_equal(alone, type(store).extract_only_frame(store.full_path, index))
        with pytest.raises(ValueError, match="no frame at index 3"):
            stores.extract_only_frame(path, len(store))


# D12
@pytest.mark.parametrize("fmt", ["npy", "png", "jpg"])
def test_a_missing_image_file_is_an_error(make, fmt):
    path = make(fmt)
    (path / "000001" / f"000002.{fmt}").unlink()
    with imgstore.new_for_filename(path) as store:
        with pytest.raises(ChunkError, match="000002"):
            store.get_image(6)
        store.get_image(7)


# D13
@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
@pytest.mark.parametrize("name", ["a", "[a] (b)*?"])
def test_foreign_files_and_any_path_are_no_hindrance(make, fmt, name):
    path = make(fmt, name=name)
    (path / "results").mkdir()
    (path / "overlay.avi").write_text("no")
    with imgstore.new_for_filename(str(path)) as store:
        assert read_all(store) == list(range(12))


# D14
@pytest.mark.parametrize("fmt", VIDEO_FORMATS)
def test_a_part_of_a_store_opens(make, fmt):
    path = make(fmt)
    for file in path.glob("000000.*"):
        file.unlink()
    with imgstore.new_for_filename(path) as store:
        assert store.chunks == [1, 2]
        assert read_all(store) == list(range(4, 12))


@pytest.mark.parametrize("fmt", VIDEO_FORMATS)
def test_a_store_without_frames_opens(tmp_path, fmt):
    imgstore.new_for_format(fmt, tmp_path / "a", imgshape=(32, 48)).close()
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert (store.frame_count, store.duration, store.chunks) == (0, 0.0, [])
        with pytest.raises(TypeError):
            store.get_nearest_image(0.0)


@pytest.mark.parametrize("fmt", VIDEO_FORMATS)
def test_behind_a_broken_first_chunk_the_others_are_read(make, fmt):
    path = make(fmt)
    (video,) = (file for file in path.glob("000000.*") if file.suffix in (".avi", ".mp4", ".mkv"))
    video.write_bytes(video.read_bytes()[:48])
    with imgstore.new_for_filename(path) as store:
        assert store.get_image(4)[1] == (4, 1004.0)
        with pytest.raises(ChunkError, match=video.name):
            store.get_image(0)


# D15
def test_a_time_that_is_none_leaves_the_others_known(tmp_path):
    with imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6)) as store:
        for number, time in enumerate([3.0, np.nan, 5.0]):
            store.add_image(np.zeros((4, 6), np.uint8), number, time)
        assert (store.frame_time_min, store.frame_time_max) == (3.0, 5.0)
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert (store.frame_time_min, store.frame_time_max, store.duration) == (3.0, 5.0, 2.0)


# D16
@pytest.mark.parametrize("kind", [stores.VideoImgStore, stores.DirectoryImgStore])
def test_a_store_takes_paths_numpy_numbers_and_no_metadata(tmp_path, kind):
    shape = np.array([32, 48])
    with kind(
        basedir=tmp_path / "a", mode="w", imgshape=shape, chunksize=np.int64(4), metadata=None
    ) as store:
        assert store.user_metadata == {}
    metadata = {"gain": np.float32(1.5), "roi": np.arange(2)}
    kind(basedir=tmp_path / "b", mode="w", imgshape=shape, metadata=metadata).close()
    with imgstore.new_for_filename(tmp_path / "b") as store:
        assert store.user_metadata == {"gain": 1.5, "roi": [0, 1]}
    for mode in ("", "wr", "a", "x"):
        with pytest.raises(ValueError, match="mode"):
            kind(basedir=tmp_path / "b", mode=mode)
    with pytest.raises(MetadataError):
        kind(basedir=tmp_path / "c", mode="w", imgshape=shape, metadata={"a": object()})
    assert not (tmp_path / "c").exists()


# D17
@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_an_emptied_store_can_be_filled_again(tmp_path, fmt):
    images = numbered_images((32, 48), 9)
    with imgstore.new_for_format(fmt, tmp_path / "a", imgshape=(32, 48), chunksize=2) as store:
        for number in range(5):
            store.add_image(images[number], number, float(number))
            store.add_extra_data(first=True)
        store.empty()
        assert (store.frame_count, store.chunks) == (0, [])
        assert np.isnan(store.frame_min)
        for number in range(5, 8):
            store.add_image(images[number], number, float(number))
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert not store.has_extra_data
        assert read_all(store) == [5, 6, 7]
        np.testing.assert_allclose(store.get_image(7)[0].astype(int), images[7], atol=24)


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_a_closed_store_takes_and_gives_nothing(make, tmp_path, fmt):
    store = imgstore.new_for_format(fmt, tmp_path / "b", imgshape=(32, 48))
    for _ in range(2):
        store.close()
    with pytest.raises(ClosedError):
        store.add_image(np.zeros((32, 48), np.uint8), 0, 0.0)
    assert store.frame_count == 0
    store = imgstore.new_for_filename(make(fmt))
    for _ in range(2):
        store.close()
    with pytest.raises(ClosedError):
        store.get_next_image()


# D18
@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_an_index_is_saved_again_and_of_an_empty_store_too(make, fmt):
    path = make(fmt)
    with imgstore.new_for_filename(path) as store:
        store.save_index()
        store.save_index()
    index = ImgStoreIndex.new_from_file(path / ".index.sqlite")
    with imgstore.new_for_filename(path, index=index) as store:
        assert read_all(store) == list(range(12))
        if fmt == "mjpeg/avi":
            assert store._chunk_paths == [str(path / f"00000{chunk}.avi") for chunk in range(3)]
    empty = make(fmt, numbers=[], name="b")
    with imgstore.new_for_filename(empty) as store:
        store.save_index()
    assert ImgStoreIndex.new_from_file(empty / ".index.sqlite").frame_count == 0


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_an_index_of_an_older_state_is_refused(make, fmt):
    paths = make(fmt), make(fmt, numbers=range(16), name="b"), make(fmt, numbers=range(1, 13), name="c")
    with imgstore.new_for_filename(paths[0]) as store:
        store.save_index()
    index = ImgStoreIndex.new_from_file(paths[0] / ".index.sqlite")
    for other in paths[1:]:
        with pytest.raises(ChunkError, match="save_index"):
            imgstore.new_for_filename(other, index=index)
    index.close()


# D19
def test_one_broken_file_does_not_take_the_other_extra_data_along(make):
    path = make()
    (path / "000001" / "index.extra.json").write_text('[{"place": 4, {]')
    with imgstore.new_for_filename(path) as store:
        with pytest.raises(ChunkError, match=r"000001/index\.extra\.json"):
            store.get_extra_data()
        kept = store.get_extra_data(ignore_corrupt_chunks=True)
    assert kept["place"].tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


@pytest.mark.parametrize("cut", [0, 1, 8, 40, -1, -2])
def test_records_of_a_writer_that_died_are_read_up_to_the_last_whole_one(make, cut):
    path = make()
    file = path / "000002" / "index.extra.json"
    text = file.read_text()
    file.write_text(text[: cut % (len(text) + 1) if cut >= 0 else cut])
    with imgstore.new_for_filename(path) as store:
        places = store.get_extra_data()["place"].tolist()
    assert places == list(range(len(places)))
    assert len(places) >= (8 if cut >= 0 else 11)


# D20
@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_frames_are_counted_from_zero_whatever_the_lengths_of_the_chunks(make, fmt):
    path = make(fmt, numbers=[7, 8, 9, 10, 11, 0, 1, 2, 3, 4])
    short = path / ("000001.npz" if "/" in fmt else "000001/index.npz")
    content = dict(np.load(short))
    np.savez(short, **{**content, "frame_number": [11, 0, 1], "frame_time": content["frame_time"][:3]})
    extra = path / ("000001.extra.json" if "/" in fmt else "000001/index.extra.json")
    extra.write_text(json.dumps(json.loads(extra.read_text())[:3]))
    second = path / ("000002.extra.json" if "/" in fmt else "000002/index.extra.json")
    records = [
        {**record, "frame_index": record["frame_index"] - 1} for record in json.loads(second.read_text())
    ]
    second.write_text(json.dumps(records))
    with imgstore.new_for_filename(path) as store:
        store.save_index()
        for _ in range(2):
            store.reindex()
            assert store.get_frame_metadata()["frame_number"] == [-5, -4, -3, -2, -1, 0, 1, 3, 4]
            assert read_all(store) == [-5, -4, -3, -2, -1, 0, 1, 3, 4]
        extra = store.get_extra_data()
    assert extra["frame_number"].tolist() == [-5, -4, -3, -2, -1, 0, 1, 3, 4]
    assert extra["_frame_number_before_reindex"].tolist() == [7, 8, 9, 10, 11, 0, 1, 3, 4]
    content = np.load(short)
    assert content["_frame_number_before_reindex"].tolist() == [11, 0, 1]
    assert str(content["uuid"]) == imgstore.open(path).metadata.uuid
    assert ImgStoreIndex.new_from_file(path / ".index.sqlite").frame_min == -5
    assert not list(path.glob(".*.new"))


def test_a_store_that_cannot_be_counted_from_zero_is_left_as_it_is(make):
    path = make(numbers=[3, 0, 0, 1])
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with imgstore.new_for_filename(path) as store, pytest.raises(ValueError, match="2 frames have number 0"):
        store.reindex()
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


# D21
@pytest.mark.parametrize("fmt", ["png", "mjpeg/avi"])
def test_images_and_their_numbers_belong_together_in_many_threads(make, fmt):
    path = make(fmt, numbers=range(40), chunksize=7)
    with imgstore.new_for_filename(path) as store:
        expected = [store.get_next_image()[0] for _ in range(40)]
        asked = np.random.default_rng(0).integers(0, 40, 300).tolist()
        with ThreadPoolExecutor(4) as pool:
            for number, (image, found) in zip(asked, pool.map(store.get_image, asked), strict=True):
                assert found == (number, 1000.0 + number)
                np.testing.assert_array_equal(image, expected[number])
        store.get_image(0)
        with ThreadPoolExecutor(4) as pool:
            came = sorted(found[0] for _, found in pool.map(lambda _: store.get_next_image(), range(39)))
        assert came == list(range(1, 40))


def test_a_store_goes_to_other_processes(make):
    with imgstore.new_for_filename(make("mjpeg/avi")) as store:
        store.get_image(4)
        with pickle.loads(pickle.dumps(store)) as other:  # noqa: S301  # our own
            assert other.get_next_image()[1] == (5, 1005.0)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            found = [found for _, found in pool.map(store.get_image, [3, 11, 7])]
    assert found == [(3, 1003.0), (11, 1011.0), (7, 1007.0)]


# D22
def test_codes_and_conversions_are_each_others_inverse():
    processor = ImageCodecProcessor()
    for pattern in ("BG", "GB", "RG", "GR"):
        number = getattr(cv2, f"COLOR_Bayer{pattern}2BGR")
        assert processor.cv2_enum_to_code(number) == f"cv_bayer{pattern.lower()}"
    for pylon, code in {"BG": "rg", "RG": "bg", "GB": "gr", "GR": "gb"}.items():
        assert ImageCodecProcessor.from_pylon_format(f"Bayer{pylon}").encoding == f"cv_bayer{code}"
    assert ImageCodecProcessor.from_pylon_format(None).encoding == ""
    for call in (processor.set_default_code, ImageCodecProcessor.from_pylon_format):
        with pytest.raises(ValueError, match="nonsense"):
            call("nonsense")
    with pytest.raises(ValueError, match="encoding"):
        processor.convert_to_bgr(np.zeros((4, 6), np.uint8))


# D23
def test_no_deprecated_function_is_called(make, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = make()
        main_generate_timecodes([str(path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["# timecode format v2", *(f"{1000 * n}.000" for n in range(12))]


# D24
@pytest.mark.parametrize("fmt", ["h264/mkv", "avc1/mp4"])
def test_a_chunk_plays_at_the_speed_at_which_it_was_recorded(tmp_path, fmt):
    times = [10.0, 10.1, 10.2, 10.5, 11.0]
    with imgstore.new_for_format(fmt, tmp_path / "a", imgshape=(32, 48)) as store:
        for number, (time, image) in enumerate(zip(times, numbered_images((32, 48), 5), strict=True)):
            store.add_image(image, number, time)
    with imgstore.open_video(next((tmp_path / "a").glob("000000.m*"))) as video:
        np.testing.assert_allclose(video.times, np.array(times) - 10.0, atol=1e-3)


def test_whoever_lets_a_lossy_codec_blur_a_mosaic_is_warned(tmp_path):
    with pytest.warns(UserWarning, match="mosaic"):
        imgstore.new_for_format("mjpeg", tmp_path / "a", imgshape=(32, 48), encoding="cv_bayerbg").close()
    imgstore.new_for_format("png", tmp_path / "b", imgshape=(32, 48), encoding="cv_bayerbg").close()
