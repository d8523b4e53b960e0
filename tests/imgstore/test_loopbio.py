"""The names and manners of loopbio's package."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

import imgstore
from imgstore import stores
from imgstore.align import StoreAligner
from tests.conftest import FORMATS_HERE, numbered_images


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_code_written_for_loopbios_package_runs(tmp_path, fmt):
    images = numbered_images((32, 48), 11)
    store = imgstore.new_for_format(
        fmt,
        str(tmp_path / "a"),
        imgshape=(32, 48),
        imgdtype=np.uint8,
        chunksize=4,
        metadata={"genotype": "wt"},
    )
    for number, image in enumerate(images):
        store.add_image(image, 100 + 2 * number, 5.0 + number)
        if number % 4 == 0:
            store.add_extra_data(temperature=20.0 + number)
    assert (store.frame_count, store.frame_max) == (11, 120)
    store.close()

    store = imgstore.new_for_filename(str(tmp_path / "a" / "metadata.yaml"))
    assert isinstance(store, stores.DirectoryImgStore if "/" not in fmt else stores.VideoImgStore)
    assert (len(store), store.frame_min, store.frame_max, store.duration) == (11, 100.0, 120.0, 10.0)
    assert store.chunks == [0, 1, 2]
    assert store.user_metadata == {"genotype": "wt"}
    assert store.get_frame_metadata() == {
        "frame_number": [100 + 2 * n for n in range(11)],
        "frame_time": [5.0 + n for n in range(11)],
    }
    assert store.get_next_framenumber() == 100
    image, (number, time) = store.get_next_image()
    assert (number, time) == (100, 5.0)
    image, (number, time) = store.get_image(110)
    assert (number, time) == (110, 10.0)
    np.testing.assert_allclose(image.astype(int), images[5], atol=24)
    assert store.get_next_image()[1] == (112, 11.0)
    assert store.get_image(111, exact_only=False)[1] == (110, 10.0)
    assert store.get_image(None, frame_index=2)[1] == (104, 7.0)
    assert store.get_nearest_image(8.2)[1] == (106, 8.0)
    extra = store.get_extra_data()
    assert extra["temperature"].tolist() == [20.0, 24.0, 28.0]
    assert extra["frame_number"].tolist() == [100, 108, 116]
    for wrong in (101, 99):
        with pytest.raises(ValueError, match="no frame with number"):
            store.get_image(wrong)
    with pytest.raises(ValueError, match="no frame at index"):
        store.get_image(None, frame_index=11)
    with pytest.raises(ValueError, match="counts from 0"):
        store.get_image(None, frame_index=-1)
    store.get_image(120)
    for _ in range(2):
        with pytest.raises(EOFError):
            store.get_next_image()
    store.close()


def test_an_old_alias_still_writes(tmp_path):
    with imgstore.new_for_format("mjpeg", tmp_path / "a", imgshape=(32, 48)) as store:
        store.add_image(np.zeros((32, 48), np.uint8), 0, 0.0)
        assert store._metadata["format"] == "mjpeg/avi"


def test_paths_are_given_as_loopbio_gives_them(make_store):
    path = make_store()
    for arguments in ({"path": path}, {"basedir": path}, {"path": path / "metadata.yaml"}):
        imgstore.new_for_filename(**arguments).close()
    imgstore.new_for_format(None, path, mode="r").close()
    for wrong in (
        {},
        {"path": path, "basedir": path},
        {"basedir": path / "metadata.yaml"},
        {"path": path / "x"},
    ):
        with pytest.raises(ValueError, match=r"."):
            imgstore.new_for_filename(**wrong)
    with pytest.raises(FileNotFoundError):
        imgstore.new_for_filename(path / "x" / "metadata.yaml")


def test_an_empty_store_has_no_numbers(tmp_path):
    imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6)).close()
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert np.isnan(store.frame_min)
        assert np.isnan(store.frame_max)
        assert store.duration == 0.0
        assert store.chunks == []
        with pytest.raises(EOFError):
            store.get_next_image()


def test_a_single_frame_needs_no_store_object(make_store):
    image = imgstore.extract_only_frame(make_store(), 7)
    np.testing.assert_array_equal(image, numbered_images((32, 48), 8)[7])


def test_the_nearest_frame_of_an_empty_store_is_the_error_that_it_was(tmp_path):
    imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6)).close()
    with imgstore.new_for_filename(tmp_path / "a") as store, pytest.raises(TypeError, match="no frames"):
        store.get_nearest_image(1.0)


@pytest.mark.parametrize("move", [True, False])
def test_videos_that_exist_already_become_chunks(tmp_path, move):
    images = numbered_images((32, 48), 9)
    with imgstore.new_for_format("mjpeg", tmp_path / "source", imgshape=(32, 48), chunksize=4) as store:
        for number, image in enumerate(images[:8]):
            store.add_image(image, number, float(number))
    videos = [str(tmp_path / "source" / f"00000{chunk}.avi") for chunk in range(2)]
    store = imgstore.new_for_format("mjpeg", tmp_path / "a", imgshape=(32, 48), chunksize=100)
    store.empty()
    store.insert_chunk(videos[0], np.arange(4), 1000.0 * np.arange(4), move=move)
    store.insert_chunk(videos[1], [57, 58, 59, 60], [1.0, 2.0, 3.0, 4.0], move=move)
    assert (store.frame_count, store.frame_max, store.chunks) == (8, 60, [0, 1])
    store.add_image(images[8], 61, 5.0)
    store.add_extra_data(last=True)
    for wrong in ((tmp_path / "a.mp4", [0], [0.0]), (videos[0], [0], [0.0, 1.0]), ("no.avi", [0], [0.0])):
        with pytest.raises(ValueError, match=r"."):
            store.insert_chunk(*wrong)
    store.close()
    assert (tmp_path / "source" / "000000.avi").exists() != move
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert store.get_frame_metadata()["frame_number"] == [0, 1, 2, 3, 57, 58, 59, 60, 61]
        assert store.get_extra_data()["frame_index"].tolist() == [8]
        for index, image in enumerate(images):
            seen = store.get_image(None, frame_index=index)[0].astype(int)
            assert np.argmin([np.abs(seen - other).mean() for other in images]) == index, image.shape


def test_only_videos_can_be_inserted_and_only_into_what_is_written(make_store, tmp_path):
    with imgstore.new_for_filename(make_store()) as store:
        for call in (store.empty, lambda: store.add_extra_data(a=1), lambda: store.insert_chunk("a", [], [])):
            with pytest.raises(ValueError, match="open for reading"):
                call()
    with imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6)) as store:
        with pytest.raises(ValueError, match="end in"):
            store.insert_chunk("a.avi", [], [])
        with pytest.raises(ValueError, match="open for writing"):
            store.get_image(0)


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_grey_and_colour_images_fit_into_either_store(tmp_path, fmt):
    grey, colour = numbered_images((32, 48), 1)[0], numbered_images((32, 48, 3), 1)[0]
    for name, shape in (("grey", (32, 48)), ("colour", (32, 48, 3))):
        with imgstore.new_for_format(fmt, tmp_path / name, imgshape=shape) as store:
            for number, image in enumerate((grey, colour, grey[:, :, None])):
                store.add_image(image, number, 0.0)
        with imgstore.new_for_filename(tmp_path / name) as store:
            seen = [store.get_next_image()[0] for _ in range(3)]
        assert {image.shape for image in seen} == {shape}
        np.testing.assert_allclose(seen[0].astype(int), seen[1], atol=2)
        np.testing.assert_allclose(seen[0].astype(int), seen[2], atol=2)


def test_a_store_section_from_the_caller_is_merged_into_ours(tmp_path):
    metadata = {"genotype": "wt", "__store": {"rig": np.int64(3), "version": 7}}
    imgstore.new_for_format("npy", tmp_path / "a", imgshape=(4, 6), metadata=metadata).close()
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert (store._metadata["rig"], store._metadata["version"]) == (3, 2)
        assert store.user_metadata == {"genotype": "wt"}
    assert set(metadata) == {"genotype", "__store"}


@pytest.mark.parametrize(
    ("arguments", "wrong"), [({"format": "npy"}, stores.VideoImgStore), ({}, stores.DirectoryImgStore)]
)
def test_a_class_opens_and_writes_only_its_own_stores(make_store, tmp_path, arguments, wrong):
    path = make_store(**{"format": "mjpeg/avi", **arguments})
    with pytest.raises(ValueError, match=r"is a .*ImgStore, not a"):
        wrong(basedir=path)
    with pytest.raises(ValueError, match="format"):
        wrong(basedir=tmp_path / "a", mode="w", imgshape=(4, 6), format=arguments.get("format", "mjpeg"))


def test_formats_are_told_by_class():
    assert "npy" in stores.DirectoryImgStore.supported_formats()
    assert stores.VideoImgStore.supports_format("mjpeg")
    assert not stores.VideoImgStore.supports_format("npy")
    both = stores.DirectoryImgStore.supported_formats() + stores.VideoImgStore.supported_formats()
    assert sorted(both) == sorted(stores.get_supported_formats())


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_what_people_use_though_it_is_private_is_there(make_store, fmt):
    path = make_store(format=fmt)
    with imgstore.new_for_filename(path) as store:
        assert store._format == fmt
        assert store._basedir == store.filename == str(path)
        assert store._get_chunk_metadata(1)["frame_number"] == [5, 6, 7, 8, 9]
        assert store._index.chunks == (0, 1, 2)
        assert [number for number, _ in store._chunk_n_and_chunk_paths] == [0, 1, 2]
        store.get_image(7)
        assert store._chunk_n == 1
        if fmt == "mjpeg/avi":
            assert store._ext == ".avi"
            assert store._chunk_paths[1] == str(path / "000001.avi")
            assert store._cap.read()[1].shape == (32, 48, 3)


def test_a_frames_time_is_told_in_the_zone_of_the_store_or_another(make_store):
    with imgstore.new_for_filename(make_store()) as store:
        vienna = store.convert_frame_time_to_datetime(1_700_000_000.25, tz=ZoneInfo("Europe/Vienna"))
        assert vienna.isoformat() == "2023-11-14T23:13:20.250000+01:00"
        assert store.convert_frame_time_to_datetime(1_700_000_000.25) == vienna


def test_stores_to_align_have_images_of_one_shape(make_store):
    with (
        imgstore.new_for_filename(make_store(name="a")) as a,
        imgstore.new_for_filename(make_store(name="b", shape=(4, 48))) as b,
    ):
        with pytest.raises(ValueError, match="one shape"):
            StoreAligner(a, b)
        with pytest.raises(ValueError, match="did you mean 'drop'"):
            StoreAligner(a).extract_common_frames("drops")
        with pytest.raises(ValueError, match="extract_common_frames first"):
            list(StoreAligner(a).iter_imgs())
