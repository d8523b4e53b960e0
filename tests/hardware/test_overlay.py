"""Words on pictures."""

import numpy as np
import pytest

from hardware import caption, frame_text
from imgstore import Frame


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(96, 128), (480, 641, 3), (960, 1280)])
def test_a_caption_is_written_on_a_copy_in_the_corner(shape, dtype):
    image = np.full(shape, 100, dtype)
    written = caption(image, ["12  2026-11-21 10:00:00.000 UTC", "queue 3/64"])
    assert (image == 100).all()
    assert (written.shape, written.dtype) == (image.shape, image.dtype)
    corner = written[: shape[0] // 3]
    assert corner.max() > 100 or dtype is np.float32
    assert corner.min() < 100
    assert (written[shape[0] * 9 // 10 :] == 100).all()


def test_the_text_of_a_frame_is_its_number_and_time():
    frame = Frame(np.zeros((4, 6), np.uint8), 0, 12, 1_000_000_000.125)
    assert frame_text(frame) == "12  2001-09-09 01:46:40.125 UTC"
