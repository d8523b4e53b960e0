"""The names and manners of loopbio's package."""

import numpy as np
import pytest

import imgstore
from imgstore import stores
from tests.conftest import numbered_images


@pytest.mark.parametrize(
    "fmt",
    [name for name in imgstore.get_supported_formats() if "nvenc" not in name],  # these need a GPU
)
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
    assert store.image_shape == image.shape == ((32, 48, 3) if "+color" in fmt else (32, 48))
    np.testing.assert_allclose(image.reshape(32, 48, -1)[..., 0].astype(int), images[5], atol=24)
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
