"""Images out of the bytes of pixel formats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware import CaptureError, SettingError
from hardware.pixels import decode, parse_pixel_format


def pack_lowest_first(values, bits):
    """Return values as a stream of bits, each from its lowest."""
    stream = (values.reshape(-1, 1) >> np.arange(bits)) & 1
    return np.packbits(stream.astype(np.uint8), bitorder="little").tobytes()


def pack_gige(values, bits):
    """Return values two in three bytes, the high eight bits of each first, as GigE Vision packs them."""
    low = bits - 8
    packed = bytearray()
    padded = np.pad(values.ravel(), (0, values.size % 2))
    for first, second in padded.reshape(-1, 2).tolist():
        both = (first & (1 << low) - 1) | (second & (1 << low) - 1) << 4
        packed += bytes([first >> low, both, second >> low])
    return bytes(packed)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize(("suffix", "pack"), [("p", pack_lowest_first), ("Packed", pack_gige)])
@given(size=st.tuples(st.integers(1, 7), st.integers(1, 9)), seed=st.integers(0, 99))
def test_packed_values_come_back(bits, suffix, pack, size, seed):
    values = np.random.default_rng(seed).integers(0, 1 << bits, size).astype(np.uint16)
    image = decode(pack(values, bits), parse_pixel_format(f"Mono{bits}{suffix}"), size, colour=False)
    np.testing.assert_array_equal(image, values)


@pytest.mark.parametrize(("name", "dtype"), [("Mono8", np.uint8), ("Mono12", "<u2"), ("Mono16", "<u2")])
@pytest.mark.parametrize("padding", [0, 6])
def test_padding_after_rows_is_left_out(name, dtype, padding):
    values = np.arange(12, dtype=dtype).reshape(3, 4)
    data = b"".join(row.tobytes() + bytes([255]) * padding for row in values)
    image = decode(data + bytes(9), parse_pixel_format(name), (3, 4), colour=False, padding=padding)
    np.testing.assert_array_equal(image, values)
    image[:] = 0  # it is ours


@pytest.mark.parametrize(
    ("name", "pixel"),
    [
        ("RGB8", (3, 2, 1)),
        ("BGR8", (1, 2, 3)),
        ("RGBa8", (3, 2, 1, 9)),
        ("BGRa8", (1, 2, 3, 9)),
        ("RGB8Packed", (3, 2, 1)),
        ("BGRA8Packed", (1, 2, 3, 9)),
    ],
)
def test_colours_come_as_blue_green_red(name, pixel):
    data = np.full((2, 5, len(pixel)), pixel, np.uint8).tobytes()
    image = decode(data, parse_pixel_format(name), (2, 5), colour=True)
    np.testing.assert_array_equal(image, np.full((2, 5, 3), (1, 2, 3)))


@pytest.mark.parametrize("name", ["BayerRG8", "BayerGR8", "BayerGB8", "BayerBG12p"])
def test_a_mosaic_of_one_colour_has_that_colour(name):
    colours = {"R": 30, "G": 20, "B": 10}
    tile = {"RG": "RGGB", "GR": "GRBG", "GB": "GBRG", "BG": "BGGR"}[name[5:7]]
    mosaic = np.tile(np.array([colours[letter] for letter in tile]).reshape(2, 2), (4, 4))
    data = pack_lowest_first(mosaic, 12) if name.endswith("12p") else mosaic.astype(np.uint8).tobytes()
    image = decode(data, parse_pixel_format(name), (8, 8), colour=True)
    np.testing.assert_array_equal(image, np.full((8, 8, 3), (10, 20, 30)))
    grey = decode(data, parse_pixel_format(name), (8, 8), colour=False)
    assert grey.shape == (8, 8)
    assert abs(int(grey[4, 4]) - 22) < 2


def test_grey_can_be_had_in_three_channels():
    image = decode(bytes(range(6)), parse_pixel_format("Mono8"), (2, 3), colour=True)
    np.testing.assert_array_equal(image[..., 0], np.arange(6).reshape(2, 3))
    assert image.shape == (2, 3, 3)


@pytest.mark.parametrize("name", ["Coord3D_ABC32f_Planar", "Mono1p", "RGB10Packed", "RGB10p", "", "mono8"])
def test_a_format_that_cannot_be_read_is_named(name):
    with pytest.raises(SettingError, match="cannot be read"):
        parse_pixel_format(name)


@pytest.mark.parametrize("name", ["Mono8", "Mono12", "Mono12p", "RGB8"])
def test_a_buffer_that_is_too_short_is_an_error(name):
    with pytest.raises(CaptureError, match="the camera gave 4"):
        decode(bytes(4), parse_pixel_format(name), (3, 4), colour=False)
