"""The pattern: read back exactly, whatever lossy video does to it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgstore
from hardware import Pattern, SettingError, read_number
from hardware.pattern import LARGEST_NUMBER, draw

SHAPES = [(48, 64), (97, 131), (240, 320), (480, 640, 3)]


@given(
    number=st.integers(0, LARGEST_NUMBER),
    rows=st.integers(48, 300),
    columns=st.integers(64, 300),
    colour=st.booleans(),
)
@settings(max_examples=50)
def test_a_number_is_read_as_it_was_drawn_in_any_size(number, rows, columns, colour):
    image = draw(number, (rows, columns, 3) if colour else (rows, columns))

    assert image.dtype == np.uint8
    assert read_number(image) == number


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chunk_format", ["h264/mkv", "avc1/mp4", "mjpeg/avi", "jpg"])
def test_numbers_survive_lossy_formats(shape, chunk_format, tmp_path):
    numbers = [*range(30), *np.random.default_rng(0).integers(0, LARGEST_NUMBER, 20).tolist(), LARGEST_NUMBER]
    pattern = Pattern(shape)
    with imgstore.create(tmp_path / "a.store", shape, format=chunk_format) as writer:
        for index, number in enumerate(numbers):
            writer.append(imgstore.Frame(pattern.image(number), index, index, index / 20))
    with imgstore.open(tmp_path / "a.store") as store:
        assert [read_number(frame.image) for frame in store] == numbers


@given(
    number=st.integers(0, LARGEST_NUMBER),
    gain=st.floats(0.4, 1.0),
    lift=st.integers(0, 40),
    seed=st.integers(0, 999),
)
@settings(max_examples=30)
def test_a_number_is_read_from_a_dim_noisy_image(number, gain, lift, seed):
    noise = np.random.default_rng(seed).normal(0, 8, (240, 320))
    image = np.clip(draw(number, (240, 320)) * gain + lift + noise, 0, 255).astype(np.uint8)

    assert read_number(image) == number


@given(number=st.integers(0, LARGEST_NUMBER), row=st.integers(0, 15), column=st.integers(0, 63))
def test_one_wrong_cell_is_no_number(number, row, column):
    image = draw(number, (48, 64))
    image[row // 4 * 4 :, column // 4 * 4 :][:4, :4] ^= 255

    assert read_number(image) is None


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_image_without_a_pattern_is_no_number(level):
    assert read_number(np.full((480, 640), level, np.uint8)) is None
    assert read_number(np.full((20, 20), level, np.uint8)) is None


def test_noise_is_no_number():
    rng = np.random.default_rng(1)
    assert all(read_number(rng.integers(0, 256, (48, 64), dtype=np.uint8)) is None for _ in range(500))


def test_something_moves_from_image_to_image_below_the_code():
    first, second = draw(0, (240, 320))[40:], draw(1, (240, 320))[40:]
    assert cv2.absdiff(first, second).max() > 60


@pytest.mark.parametrize("shape", [(47, 64), (48, 63), (48,), (48, 64, 2), (48, 64, 3, 1)])
def test_a_shape_that_holds_no_pattern_is_an_error(shape):
    with pytest.raises(SettingError):
        Pattern(shape)


@pytest.mark.parametrize("number", [-1, LARGEST_NUMBER + 1])
def test_a_number_that_no_pattern_shows_is_an_error(number):
    with pytest.raises(SettingError):
        draw(number, (48, 64))
