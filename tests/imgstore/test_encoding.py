"""Images that are kept as the camera gave them and decoded on reading."""

import cv2
import numpy as np
import pytest

import imgstore
from imgstore import Frame, FrameFormatError, MetadataError, UnknownNameError
from imgstore import encoding as encodings
from imgstore.util import ImageCodecProcessor, ensure_color, ensure_grayscale

MOSAICS = ["cv_bayerbg", "cv_bayergb", "cv_bayerrg", "cv_bayergr"]


def mosaic(seed=0, shape=(32, 48), dtype="uint8"):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


@pytest.mark.parametrize("fmt", ["npy", "png"])
@pytest.mark.parametrize("code", MOSAICS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_mosaic_is_kept_raw_and_read_in_colour(tmp_path, fmt, code, dtype):
    raw = mosaic(dtype=dtype)
    conversion = getattr(cv2, f"COLOR_Bayer{code[-2:].upper()}2BGR")
    store = imgstore.new_for_format(fmt, tmp_path / "a", imgshape=(32, 48), imgdtype=dtype, encoding=code)
    assert store.image_shape == (32, 48, 3)
    store.add_image(raw, 0, 0.0)
    store.close()
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert store._metadata["encoding"] == code
        assert store._metadata["imgshape"] == [32, 48]
        assert (store.image_shape, store.image_dtype) == ((32, 48, 3), dtype)
        np.testing.assert_array_equal(store.get_image(0)[0], cv2.cvtColor(raw, conversion))
        store.disable_decoding()
        np.testing.assert_array_equal(store.get_image(0)[0], raw)
    with imgstore.open(tmp_path / "a") as reader:
        assert reader.spec.shape == reader[0].image.shape == (32, 48, 3)


def test_our_own_writer_takes_encodings_too(tmp_path):
    raw = mosaic(shape=(32, 48, 2))
    with imgstore.create(tmp_path / "a", raw.shape, format="npy", encoding="cv_yuv_yuyv") as writer:
        writer.append(Frame(raw, 0, 0, 0.0))
    with imgstore.open(tmp_path / "a") as reader:
        np.testing.assert_array_equal(reader[0].image, cv2.cvtColor(raw, cv2.COLOR_YUV2BGR_YUYV))


def test_a_mosaic_in_video_is_read_in_colour(tmp_path):
    grey = np.full((32, 48), 90, np.uint8)
    with pytest.warns(UserWarning, match="mosaic"):
        store = imgstore.new_for_format("mjpeg", tmp_path / "a", imgshape=(32, 48), encoding="cv_bayerbg")
    store.add_image(grey, 0, 0.0)
    store.close()
    with imgstore.new_for_filename(tmp_path / "a") as store:
        np.testing.assert_allclose(store.get_image(0)[0].astype(int), np.full((32, 48, 3), 90), atol=2)


def test_a_mosaic_can_be_decoded_before_it_is_written(tmp_path):
    raw = mosaic()
    options = {"imgshape": (32, 48), "format": "png", "write_encode_encoding": "cv_bayerbg"}
    with imgstore.DirectoryImgStore(basedir=tmp_path / "a", mode="w", **options) as store:
        store.add_image(raw, 0, 0.0)
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert (store._metadata["encoding"], store._metadata["imgshape"]) == (None, [32, 48, 3])
        np.testing.assert_array_equal(store.get_image(0)[0], cv2.cvtColor(raw, cv2.COLOR_BayerBG2BGR))


@pytest.mark.skipif("png+color" not in imgstore.FORMATS, reason="there is no format 'png+color' yet")
def test_the_colour_formats_decode_before_they_write(tmp_path):
    raw = mosaic()
    options = {"imgshape": (32, 48), "encoding": "cv_bayerbg"}
    with imgstore.new_for_format("png+color", tmp_path / "a", **options) as store:
        store.add_image(raw, 0, 0.0)
    with imgstore.new_for_filename(tmp_path / "a") as store:
        assert (store._metadata["encoding"], store._metadata["format"]) == (None, "png")
        np.testing.assert_array_equal(store.get_image(0)[0], cv2.cvtColor(raw, cv2.COLOR_BayerBG2BGR))


def test_unknown_and_unfitting_encodings_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'cv_bayerbg'"):
        imgstore.create(tmp_path / "a", (4, 6), format="npy", encoding="cv_bayer_bg")
    with pytest.raises(FrameFormatError, match="cannot hold"):
        imgstore.create(tmp_path / "a", (4, 6, 3), format="npy", encoding="cv_bayerbg")
    assert not (tmp_path / "a").exists()


def test_a_store_with_an_unknown_encoding_says_so(tmp_path):
    imgstore.create(tmp_path / "a", (4, 6), format="npy", encoding="cv_bayerbg").close()
    file = tmp_path / "a" / "metadata.yaml"
    file.write_text(file.read_text().replace("cv_bayerbg", "cv_nonsense"))
    with pytest.raises(MetadataError, match="cv_nonsense"):
        imgstore.open(tmp_path / "a")


def test_every_code_has_a_conversion_that_leads_back_to_it():
    numbers = encodings.codes()
    assert {*MOSAICS, "cv_rgb", "cv_bgra", "cv_yuv_nv12", "cv_hsv_full", "cv_yuv420sp"} <= set(numbers)
    for number, code in encodings.codes_of_conversions().items():
        assert numbers[code] == number
    assert set(encodings.codes_of_conversions()) == set(numbers.values())


def test_a_processor_decodes_by_default_or_by_name():
    raw = mosaic()
    processor = ImageCodecProcessor()
    assert processor.autoconvert(raw) is raw
    processor.set_default_code("cv_bayerrg")
    expected = cv2.cvtColor(raw, cv2.COLOR_BayerRG2BGR)
    np.testing.assert_array_equal(processor.autoconvert(raw), expected)
    np.testing.assert_array_equal(processor.convert_to_bgr(raw), expected)
    np.testing.assert_array_equal(processor.convert_to_bgr(raw, method_enum=cv2.COLOR_BayerRG2BGR), expected)
    assert repr(processor) == "<ImageCodecProcessor(cv_bayerrg)>"


def test_grey_and_colour_are_made_of_each_other():
    grey = mosaic()
    assert ensure_color(grey).shape == (32, 48, 3)
    np.testing.assert_array_equal(ensure_grayscale(ensure_color(grey)), grey)
    assert ensure_grayscale(grey) is grey
    assert ensure_grayscale(grey, ensure_copy=True) is not grey
