"""Reading many frames in order, ahead of who takes them."""

import threading
from itertools import islice
from multiprocessing import get_context

import numpy as np
import pytest

import imgstore
from imgstore import ChunkError, ClosedError
from tests.conftest import numbered_images

FORMATS = ["npy", "png", "mjpeg/avi", "h264/mkv"]


@pytest.fixture(params=FORMATS)
def store(request, make_store):
    path = make_store(format=request.param, numbers=list(range(60)), chunksize=23)
    with imgstore.open(path) as opened:
        yield opened


def test_any_order_of_frames_is_kept(store):
    singly = [store[index].image for index in range(60)]
    for indices in (range(60), range(59, -1, -1), range(3, 50, 7), [5, 5, 59, 0, 22, 23, 24, 7, 7, 40, 1]):
        frames = list(store.read_ahead(indices))
        assert [frame.index for frame in frames] == list(indices)
        for frame in frames:
            np.testing.assert_array_equal(frame.image, singly[frame.index])
            assert frame.number == frame.index


def test_iterations_and_single_reads_do_not_disturb_each_other(store):
    singly = [store[index].image for index in range(60)]
    for first, second in zip(store, store[20:], strict=False):
        between = store[(first.index * 7) % 60]
        for frame in (first, second, between):
            np.testing.assert_array_equal(frame.image, singly[frame.index])
        assert second.index == first.index + 20


def test_many_threads_iterate_at_once(store):
    singly = [store[index].image for index in range(60)]
    wrong = []

    def run(start):
        for frame in store[start:]:
            if not np.array_equal(frame.image, singly[frame.index]):
                wrong.append(frame.index)

    threads = [threading.Thread(target=run, args=(start,)) for start in (0, 0, 10, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_iteration_that_is_left_leaves_nothing_running(store):
    assert [frame.index for frame in islice(store, 3)] == [0, 1, 2]
    before = threading.active_count()
    started = iter(store)
    next(started)
    started.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("fmt", ["npy", "png"])
def test_frames_before_a_broken_image_come_first(make_store, fmt):
    path = make_store(format=fmt, numbers=list(range(60)), chunksize=30)
    broken = path / "000001" / f"000017.{fmt}"
    broken.write_bytes(broken.read_bytes()[:50])
    assert read_until_it_breaks(path, broken.name) == list(range(47))


@pytest.mark.parametrize("fmt", ["mjpeg/avi", "h264/mkv"])
def test_frames_before_the_end_of_a_cut_video_come_first(make_store, fmt):
    path = make_store(format=fmt, numbers=list(range(60)), chunksize=30)
    video = next(path.glob("000001.*[iv]"))
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    seen = read_until_it_breaks(path, video.name)
    assert 31 < len(seen) < 60
    assert seen == list(range(len(seen)))


def read_until_it_breaks(path, told):
    seen = []
    with imgstore.open(path) as store, pytest.raises(ChunkError, match=told):  # noqa: PT012  # frames come first
        for frame in store:
            seen.append(frame.index)
    return seen


def send_rest(frames, connection):
    """Go on with an iteration in a forked process."""
    connection.send([(frame.index, frame.image.tobytes()) for frame in frames])
    connection.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_and_its_parent_both_go_on_with_an_iteration(store):
    expected = [(index, store[index].image.tobytes()) for index in range(60)]
    frames = iter(store)
    next(frames)
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=send_rest, args=(frames, theirs), daemon=True)
    worker.start()
    theirs.close()
    try:
        assert ours.poll(20)
        assert ours.recv() == expected[1:]
    finally:
        worker.kill()
        worker.join()
        ours.close()
    assert [(frame.index, frame.image.tobytes()) for frame in frames] == expected[1:]


def test_iterating_a_closed_store_is_refused(make_store):
    store = imgstore.open(make_store(format="h264/mkv", numbers=list(range(60))))
    frames = iter(store)
    next(frames)
    store.close()
    with pytest.raises(ClosedError):
        next(frames)
    with pytest.raises(ClosedError):
        next(iter(store))


def test_picking_many_frames_reads_each_once(make_store, monkeypatch):
    path = make_store(format="npy", numbers=list(range(20)))
    with imgstore.open(path) as store:
        read = []
        borrow = store.borrow

        def watching(chunk):
            read.append(chunk)
            return borrow(chunk)

        monkeypatch.setattr(store, "borrow", watching)
        images = store[[7, 19, 7, 0, 3, 19]]
        assert read == [0, 1, 3]  # in the order in which they lie
    for image, index in zip(images, [7, 19, 7, 0, 3, 19], strict=True):
        np.testing.assert_array_equal(image, numbered_images((32, 48), 20)[index])
