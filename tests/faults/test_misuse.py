"""Writers that are misused: refused by name, or kept as given; never does a frame get another's number."""

import json
import math
import os
import signal

import numpy as np
import pytest

import imgstore
from imgstore import ChunkError, ClosedError, Frame, FrameFormatError, StoreExistsError, StoreInUseError
from imgstore.layout import StoreLock
from tests.conftest import FORMATS_HERE, numbered_images

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

SHAPE = (32, 48)


def in_a_forked_process(work):
    """Run something in a forked process and return what it returns, or the name of its error."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = work()
        except BaseException as exc:  # noqa: BLE001  # nothing may get out of the child
            said = type(exc).__name__
        os.write(write, json.dumps(said).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        said = json.loads(answer.read())
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_numbers_that_repeat_and_times_that_step_back_are_kept_as_they_are(tmp_path, fmt):
    numbers = [5, 5, 6, 3, -2, 3, 2**62, 0, 0]
    times = [10.0, 9.0, 9.0, 1e9, math.nan, -5.0, 0.0, 1e9, 1e9 + 1e-6]
    images = numbered_images(SHAPE, len(numbers))
    with imgstore.create(tmp_path / "a", SHAPE, format=fmt, chunksize=4) as writer:
        for place, (image, number, time) in enumerate(zip(images, numbers, times, strict=True)):
            writer.append(Frame(image, 100 - place, number, time))
    with imgstore.open(tmp_path / "a") as store:
        assert store.numbers.tolist() == numbers
        np.testing.assert_array_equal(store.times, times)
        for place, frame in enumerate(store):
            assert frame.index == place
            np.testing.assert_allclose(frame.image.astype(int), images[place], atol=40)
            assert abs(int(frame.image.max(axis=0).argmax()) - place * 3) <= 3


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_what_is_no_frame_is_refused_and_the_next_takes_its_place(tmp_path, fmt):
    good = numbered_images(SHAPE, 3)
    wrong = [
        (good[0][:-1], 1, 1.0),
        (good[0].T, 1, 1.0),
        (np.dstack([good[0]] * 3), 1, 1.0),
        (good[0].astype(np.uint16), 1, 1.0),
        (good[0].astype(float), 1, 1.0),
        (good[0], "one", 1.0),
        (good[0], 1, None),
        (good[0], 2**64, 1.0),
        (good[0], math.nan, 1.0),
    ]
    with imgstore.create(tmp_path / "a", SHAPE, format=fmt, chunksize=2) as writer:
        for number, image in enumerate(good):
            for refused in wrong:
                with pytest.raises(FrameFormatError):
                    writer.append(Frame(refused[0], 0, *refused[1:]))
            with pytest.raises(TypeError):
                writer.append(image)
            writer.append(Frame(image, 0, number, float(number)))
        assert len(writer) == 3
    with imgstore.open(tmp_path / "a") as store:
        assert store.numbers.tolist() == [0, 1, 2]
        assert not store.problems
        for frame in store:
            np.testing.assert_allclose(frame.image.astype(int), good[frame.index], atol=40)


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_a_closed_writer_takes_neither_frames_nor_records(tmp_path, fmt):
    writer = imgstore.create(tmp_path / "a", SHAPE, format=fmt)
    frame = Frame(numbered_images(SHAPE, 1)[0], 0, 0, 0.0)
    writer.append(frame)
    writer.close()
    before = {file: file.read_bytes() for file in (tmp_path / "a").rglob("*") if file.is_file()}
    with pytest.raises(ClosedError, match="closed"):
        writer.append(frame)
    with pytest.raises(ClosedError, match="closed"):
        writer.append_extra({"light": 1})
    writer.close()
    assert {file: file.read_bytes() for file in (tmp_path / "a").rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_a_second_writer_is_refused_also_in_a_forked_process_and_the_first_is_unharmed(tmp_path, fmt):
    images = numbered_images(SHAPE, 8)
    writer = imgstore.create(tmp_path / "a", SHAPE, format=fmt, chunksize=5)

    def append(number):
        writer.append(Frame(images[number], 0, number, float(number)))

    def create():
        imgstore.create(tmp_path / "a", SHAPE, format=fmt)

    def repair():
        imgstore.repair(tmp_path / "a")

    for number in range(4):
        append(number)
    for refused, error in ((create, StoreExistsError), (repair, StoreInUseError)):
        with pytest.raises(error):
            refused()
        assert in_a_forked_process(refused) == error.__name__
    assert in_a_forked_process(lambda: append(4)) == "ClosedError"
    assert in_a_forked_process(lambda: writer.append_extra({})) == "ClosedError"
    assert in_a_forked_process(writer.close) is None
    for number in range(4, 8):
        append(number)
    writer.close()
    with imgstore.open(tmp_path / "a") as store:
        assert (store.state, store.problems) == ("complete", ())
        assert store.numbers.tolist() == list(range(8))
        for frame in store:
            np.testing.assert_allclose(frame.image.astype(int), images[frame.index], atol=40)


def test_a_process_that_a_dead_writer_had_forked_does_not_hold_its_lock(tmp_path):
    read, write = os.pipe()
    writer = os.fork()
    if writer == 0:
        imgstore.create(tmp_path / "a", SHAPE, format="npy")
        heir = os.fork()
        if heir == 0:
            os.write(write, str(os.getpid()).encode())
        signal.pause()
        os._exit(0)
    heir = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    try:
        with imgstore.open(tmp_path / "a") as store:
            assert store.state == "recording"
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        with imgstore.open(tmp_path / "a") as store:
            assert store.state == "interrupted"
        imgstore.repair(tmp_path / "a")
    finally:
        os.kill(heir, signal.SIGKILL)


def test_a_lock_whose_file_is_removed_by_its_holder_while_it_is_waited_for_is_not_taken(
    tmp_path, monkeypatch
):
    first, second, third = (StoreLock(tmp_path) for _ in range(3))
    first.acquire()
    import fcntl

    lock = fcntl.flock

    def let_go_first(file, flags):
        if first._file is not None:
            first.release()  # between opening the file and locking it
        lock(file, flags)

    monkeypatch.setattr(fcntl, "flock", let_go_first)
    second.acquire()
    with pytest.raises(StoreInUseError):
        third.acquire()
    second.release()


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_records_without_frames_are_kept_and_the_store_is_whole(tmp_path, fmt):
    with imgstore.create(tmp_path / "a", SHAPE, format=fmt) as writer:
        writer.append_extra({"light": 3})
    with imgstore.open(tmp_path / "a") as store:
        assert (len(store), store.state, store.problems) == (0, "complete", ())
        assert store.extra()["light"].tolist() == [3]
    before = sorted((tmp_path / "a").rglob("*"))
    imgstore.repair(tmp_path / "a")
    assert sorted((tmp_path / "a").rglob("*")) == before


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_a_chunk_that_is_there_already_is_never_written_over(tmp_path, fmt):
    chunk_format = imgstore.FORMATS.get(fmt)
    path = tmp_path / f"000000{chunk_format.suffix}"
    if chunk_format.suffix:
        path.write_bytes(b"precious")
    else:
        path.mkdir()
    with pytest.raises(ChunkError, match="exists"):
        chunk_format.open_writer(path, imgstore.FrameSpec(SHAPE))
    assert path.is_dir() or path.read_bytes() == b"precious"


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_a_chunk_whose_journal_cannot_be_made_leaves_nothing_in_the_way(tmp_path, fmt):
    images = numbered_images(SHAPE, 2)
    with imgstore.create(tmp_path / "a", SHAPE, format=fmt) as writer:
        (tmp_path / "a" / ".000000.journal").mkdir()  # in its way
        with pytest.raises(ChunkError, match=r"\.000000\.journal"):
            writer.append(Frame(images[0], 0, 0, 0.0))
        (tmp_path / "a" / ".000000.journal").rmdir()
        writer.append(Frame(images[1], 0, 1, 1.0))
    with imgstore.open(tmp_path / "a") as store:
        assert store.numbers.tolist() == [1]
        assert store.chunks == (0,)
