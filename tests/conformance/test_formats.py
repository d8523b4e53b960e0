"""What every chunk format promises."""

from contextlib import closing

import numpy as np
import pytest

from imgstore import FORMATS, ChunkError, Frame, FrameFormatError, FrameSpec
from tests.conftest import numbered_images


@pytest.fixture(params=FORMATS.names())
def chunk_format(request):
    return FORMATS.get(request.param)


def _written(chunk_format, folder, shape, images, times=None):
    path = folder / f"000000{chunk_format.suffix}"
    with closing(chunk_format.open_writer(path, FrameSpec(shape))) as writer:
        for place, image in enumerate(images):
            writer.append(image, times[place] if times else 1000 + 0.04 * place)
    return path


@pytest.mark.parametrize("shape", [(32, 48), (32, 48, 3), (31, 47), (31, 47, 3)], ids=str)
def test_images_come_back_in_order(chunk_format, tmp_path, shape):
    images = numbered_images(shape, 7)
    path = _written(chunk_format, tmp_path, shape, images)

    with closing(chunk_format.open_reader(path, FrameSpec(shape))) as reader:
        restored = [reader.read(offset) for offset in range(len(reader))]

    tolerance = 0 if chunk_format.lossless else 24  # lossy ones smear the edges of the bar
    np.testing.assert_allclose(np.array(restored, int), np.array(images, int), atol=tolerance)
    assert np.abs(np.array(restored, int) - images).mean() < (1e-9 if chunk_format.lossless else 3)


@pytest.mark.parametrize("shape", [(32, 48), (32, 48, 3)], ids=["grey", "colour"])
def test_frames_at_200_random_offsets_equal_those_read_in_sequence_bit_for_bit(chunk_format, tmp_path, shape):
    path = _written(chunk_format, tmp_path, shape, numbered_images(shape, 130))
    spec = FrameSpec(shape)
    with closing(chunk_format.open_reader(path, spec)) as reader:
        in_sequence = [reader.read(offset) for offset in range(130)]

    with closing(chunk_format.open_reader(path, spec)) as reader:
        for offset in np.random.default_rng(1).integers(0, 130, 200):
            np.testing.assert_array_equal(reader.read(int(offset)), in_sequence[offset])


def test_flat_grey_levels_come_back_over_the_full_range(chunk_format, tmp_path):
    images = [np.full((32, 48), level, np.uint8) for level in (0, 1, 15, 16, 128, 235, 236, 254, 255)]
    path = _written(chunk_format, tmp_path, (32, 48), images)
    with closing(chunk_format.open_reader(path, FrameSpec((32, 48)))) as reader:
        levels = [reader.read(offset).mean() for offset in range(len(images))]
    np.testing.assert_allclose(levels, [image.mean() for image in images], atol=1)


def test_times_that_stand_still_step_back_or_jump_do_not_disturb_the_order(chunk_format, tmp_path):
    images = numbered_images((32, 48), 6)
    times = [5.0, 5.0, 4.0, float("nan"), 90_000.0, 90_000.0]
    path = _written(chunk_format, tmp_path, (32, 48), images, times)
    with closing(chunk_format.open_reader(path, FrameSpec((32, 48)))) as reader:
        assert len(reader) == 6
        brightest = [int(reader.read(offset)[16].astype(int).argmax()) for offset in range(6)]
    np.testing.assert_allclose(brightest, [3 * place for place in range(6)], atol=3)


def test_an_image_is_the_readers_own(chunk_format, tmp_path):
    path = _written(chunk_format, tmp_path, (32, 48), numbered_images((32, 48), 3))
    with closing(chunk_format.open_reader(path, FrameSpec((32, 48)))) as reader:
        first = reader.read(0)
        kept = first.copy()
        first[...] = 0
        reader.read(1)
        np.testing.assert_array_equal(reader.read(0), kept)


def test_a_missing_chunk_is_named(chunk_format, tmp_path):
    path = tmp_path / f"000000{chunk_format.suffix}"
    with pytest.raises(ChunkError, match="000000"):
        chunk_format.open_reader(path, FrameSpec((32, 48)))


def test_closing_twice_is_harmless(chunk_format, tmp_path):
    path = tmp_path / f"000000{chunk_format.suffix}"
    writer = chunk_format.open_writer(path, FrameSpec((32, 48)))
    writer.append(numbered_images((32, 48), 1)[0], 1.0)
    writer.close()
    writer.close()
    reader = chunk_format.open_reader(path, FrameSpec((32, 48)))
    reader.close()
    reader.close()


def test_sixteen_bit_frames_are_kept_or_refused_by_name(chunk_format, tmp_path):
    spec = FrameSpec((32, 48), np.dtype(np.uint16))
    image = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) * 40
    path = tmp_path / f"000000{chunk_format.suffix}"
    if not chunk_format.lossless:
        with pytest.raises(FrameFormatError, match="npy"):  # it says what would work
            chunk_format.open_writer(path, spec)
        assert not path.exists()
        return
    with closing(chunk_format.open_writer(path, spec)) as writer:
        writer.append(image, 1.0)
    with closing(chunk_format.open_reader(path, spec)) as reader:
        np.testing.assert_array_equal(reader.read(0), image)


def test_a_frame_is_an_array_to_numpy():
    image = numbered_images((4, 6), 1)[0]
    np.testing.assert_array_equal(np.asarray(Frame(image, 0, 0, 0.0)), image)
