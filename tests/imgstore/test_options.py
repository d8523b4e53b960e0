"""Reading a part of the images, smaller ones, or grey ones."""

import pickle

import cv2
import numpy as np
import pytest

import imgstore
from imgstore import Frame, FrameFormatError
from tests.conftest import FORMATS_HERE, numbered_images

CROP = (10, 4, 31, 21)


def make(path, shape, dtype="uint8", **options):
    with imgstore.create(path, shape, dtype, chunksize=4, **options) as writer:
        for number, image in enumerate(numbered_images(shape, 6, dtype)):
            writer.append(Frame(image, 0, number, 1000 + number / 25))
    return path


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_a_crop_is_that_part_of_the_whole_frame(tmp_path, fmt, colour):
    path = make(tmp_path / "a.store", (41, 65, 3) if colour else (41, 65), format=fmt)
    with imgstore.open(path) as whole, imgstore.open(path, crop=CROP) as part:
        assert part.shape == (6, 21, 31, *whole.spec.shape[2:])
        for seen, frame in zip(part, whole, strict=True):
            np.testing.assert_array_equal(seen.image, frame.image[4:25, 10:41])
            assert seen.image.flags.c_contiguous
            assert (seen.index, seen.number, seen.time) == (frame.index, frame.number, frame.time)


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_a_scaled_frame_is_the_mean_over_areas_of_the_crop(tmp_path, fmt):
    path = make(tmp_path / "a.store", (41, 65), format=fmt)
    with imgstore.open(path) as whole, imgstore.open(path, crop=(2, 0, 60, 40), scale=0.5) as half:
        assert half.spec.shape == (20, 30)
        for seen, frame in zip(half, whole, strict=True):
            blocks = frame.image[:40, 2:62].reshape(20, 2, 30, 2).astype(float)
            assert np.abs(seen.image - blocks.mean(axis=(1, 3))).max() <= 1


@pytest.mark.parametrize("fmt", ["npy", "png", "mjpeg/avi", "h264/mkv", "ffv1/mkv"])
def test_colour_is_read_as_grey(tmp_path, fmt):
    path = make(tmp_path / "a.store", (40, 64, 3), format=fmt)
    with imgstore.open(path) as whole, imgstore.open(path, grey=True) as grey:
        assert grey.spec.shape == (40, 64)
        for seen, frame in zip(grey, whole, strict=True):
            expected = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY).astype(int)
            assert np.abs(seen.image - expected).max() <= 2
        assert grey[1].image.shape == (40, 64)


def test_words_stay_words(tmp_path):
    path = make(tmp_path / "a.store", (40, 64), "uint16", format="ffv1/mkv")
    with imgstore.open(path) as whole, imgstore.open(path, crop=(0, 0, 64, 20), scale=0.25) as part:
        assert (part.dtype, part.spec.shape) == (np.uint16, (5, 16))
        blocks = whole[3].image[:20].reshape(5, 4, 16, 4).mean(axis=(1, 3))
        assert np.abs(part[3].image - blocks).max() <= 1


def test_a_mosaic_is_decoded_before_it_is_cropped_and_scaled(tmp_path):
    path = make(tmp_path / "a.store", (40, 64), format="png", encoding="cv_bayerbg")
    with imgstore.open(path) as whole, imgstore.open(path, crop=(3, 5, 20, 10), grey=True) as part:
        expected = cv2.cvtColor(np.ascontiguousarray(whole[2].image[5:15, 3:23]), cv2.COLOR_BGR2GRAY)
        np.testing.assert_array_equal(part[2].image, expected)


def test_options_hold_in_views_arrays_and_pickles_and_for_those_who_follow(tmp_path):
    path = make(tmp_path / "a.store", (40, 64), format="h264/mkv")
    with imgstore.open(path, crop=(0, 0, 32, 40), scale=0.5) as part:
        assert np.asarray(part[1:3]).shape == (2, 20, 16)
        assert part[[4, 0]].shape == (2, 20, 16)
        assert [frame.image.shape for frame in part.follow()] == [(20, 16)] * 6
        with pickle.loads(pickle.dumps(part)) as again:  # noqa: S301  # our own
            np.testing.assert_array_equal(again[2].image, part[2].image)


def test_a_video_file_is_read_in_part(tmp_path):
    video = make(tmp_path / "a.store", (40, 64), format="h264/mkv") / "000000.mkv"
    with imgstore.open_video(video) as whole, imgstore.open_video(video, crop=(4, 6, 20, 10)) as part:
        assert part.spec.shape == (10, 20)
        np.testing.assert_array_equal(part[2].image, whole[2].image[6:16, 4:24])
    with pytest.raises(FrameFormatError, match="64x40"):
        imgstore.open_video(video, crop=(60, 0, 10, 10))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"crop": (60, 0, 10, 10)}, "within frames of 64x40"),
        ({"crop": (-1, 0, 10, 10)}, "within frames of 64x40"),
        ({"crop": (0, 0, 0, 10)}, "within frames of 64x40"),
        ({"crop": (1.5, 0, 10, 10)}, "whole numbers of pixels"),
        ({"crop": (0, 0, 10)}, "whole numbers of pixels"),
        ({"scale": 0}, "scale is above 0"),
        ({"scale": float("nan")}, "scale is above 0"),
        ({"scale": 100}, "scale is above 0"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, options, told):
    path = make(tmp_path / "a.store", (40, 64), format="npy")
    with pytest.raises(FrameFormatError, match=told):
        imgstore.open(path, **options)


def test_pixels_that_cannot_be_scaled_or_made_grey_are_told(tmp_path):
    whole_numbers = make(tmp_path / "a.store", (40, 64), "int32", format="npy")
    with pytest.raises(FrameFormatError, match="int32 cannot be scaled"):
        imgstore.open(whole_numbers, scale=0.5)
    many = make(tmp_path / "b.store", (40, 64, 5), format="npy")
    with pytest.raises(FrameFormatError, match="cannot be made grey"):
        imgstore.open(many, grey=True)
    with imgstore.open(many, crop=(0, 0, 10, 8), scale=0.5) as part:
        assert part[0].image.shape == (4, 5, 5)
