"""Encoders that never come back."""

import threading

import pytest

import imgstore
from imgstore import ChunkError, Frame
from imgstore.formats import patience, video
from tests.conftest import numbered_images


@pytest.fixture
def hangs_at(monkeypatch):
    """Return a function that has the first encoder hang at so many frames, until the test ends."""
    over = threading.Event()
    threads = []

    def hang_at(count):
        class Hanging(patience.PatientEncoder):
            def __init__(self, encode, name):
                is_first = not threads
                encoded = 0

                def hang(frame):
                    nonlocal encoded
                    encoded += 1
                    if is_first and encoded == count:
                        over.wait()
                    return encode(frame)

                super().__init__(hang, name)
                threads.append(self._thread)

        monkeypatch.setattr(patience, "_LOOKS", 2)
        monkeypatch.setattr(video, "PatientEncoder", Hanging)

    yield hang_at
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("hung", [1, 2, 6])
def test_of_an_encoder_that_hangs_one_frame_is_lost_and_the_next_go_into_a_new_chunk(
    tmp_path, hangs_at, hung
):
    hangs_at(hung)
    images = numbered_images((32, 48), 12)
    lost = []
    with imgstore.create(tmp_path / "a", (32, 48), format="av1/mkv", chunksize=8) as writer:
        for n, image in enumerate(images):
            try:
                writer.append(Frame(image, n, n, 10.0 + n))
            except ChunkError as exc:
                lost.append(n)
                said = str(exc)
    assert lost == [hung - 1]
    assert "has not come back" in said
    with imgstore.open(tmp_path / "a") as store:
        assert store.numbers.tolist() == [n for n in range(12) if n not in lost]
        for frame in store:
            assert abs(int(frame.image[0, 0]) - int(images[frame.number][0, 0])) < 8


def test_of_an_encoder_that_hangs_at_the_end_the_frames_are_there(tmp_path, hangs_at):
    hangs_at(4)  # asked for what it still has
    writer = imgstore.create(tmp_path / "a", (32, 48), format="av1/mkv")
    for n, image in enumerate(numbered_images((32, 48), 3)):
        writer.append(Frame(image, n, n, 10.0 + n))
    with pytest.raises(ChunkError, match="has not come back"):
        writer.close()
    with imgstore.open(tmp_path / "a") as store:
        assert [frame.number for frame in store] == [0, 1, 2]


def test_what_an_encoder_raises_comes_out():
    def fail(frame):
        raise ValueError("no such frame")

    encoder = patience.PatientEncoder(fail, "a.mkv")
    with pytest.raises(ValueError, match="no such frame"):
        encoder.encode(None)
    encoder.close()
    encoder.close()
