"""A store as a sequence of frames."""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import imgstore
from imgstore import FrameIndexError, FrameNotFoundError, FrameView
from tests.conftest import numbered_images


@pytest.fixture(params=["npy", "h264/mkv"])
def store(request, make_store):
    path = make_store(format=request.param, numbers=[0, 1, 2, 3, 7, 8, 9, 20, 21, 22, 23, 24])
    with imgstore.open(path) as opened:
        yield opened


def test_a_store_looks_like_an_array(store):
    assert (store.shape, store.ndim, store.dtype, store.size) == ((12, 32, 48), 3, np.uint8, 12 * 32 * 48)
    whole = np.asarray(store)
    assert whole.shape == store.shape
    for frame in store:
        np.testing.assert_array_equal(whole[frame.index], frame.image)


def test_an_array_of_a_store_has_the_type_that_is_asked_for(store):
    whole = np.asarray(store, dtype=np.float32)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole, np.asarray(store))
    part = np.array(store[3:6])
    part[...] = 0
    np.testing.assert_array_equal(np.asarray(store)[3:6], store[3:6])


@pytest.mark.parametrize("length", [1, 4, 12])
def test_dask_reads_a_store_in_parts_from_several_threads(store, length):
    lazy = pytest.importorskip("dask.array").from_array(store, chunks=(length, -1, -1))
    assert (lazy.shape, lazy.dtype, lazy.numblocks[0]) == (store.shape, store.dtype, -(-12 // length))
    whole = np.asarray(store)
    with ThreadPoolExecutor(4) as pool:  # dask's own stays
        run = {"scheduler": "threads", "pool": pool}
        np.testing.assert_array_equal(lazy.compute(**run), whole)
        np.testing.assert_array_equal(lazy[2:9, ::3, 5].compute(**run), whole[2:9, ::3, 5])
        np.testing.assert_allclose(lazy.mean(axis=0).compute(**run), whole.mean(axis=0))


def test_dask_reads_a_store_in_parts_from_several_processes(store):
    lazy = pytest.importorskip("dask.array").from_array(store, chunks=(4, -1, -1))
    found = lazy[1:].compute(scheduler="processes", num_workers=2)
    np.testing.assert_array_equal(found, np.asarray(store)[1:])


class Samples:
    """A data set as PyTorch's loaders want it: a length, and any sample by its index."""

    def __init__(self, store):
        self.store = store

    def __len__(self):
        return len(self.store)

    def __getitem__(self, index):
        frame = self.store[index]
        return frame.index, frame.number, frame.image.tolist()


def send_samples(samples, indices, connection):
    """Read samples in a worker process."""
    connection.send([samples[index] for index in indices])
    connection.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_what_their_parent_reads(store, method):
    samples = Samples(store)
    expected = [samples[index] for index in range(len(samples))]  # its decoders are open before the workers
    context = get_context(method)
    workers = []
    for part in (range(0, 12, 2), range(11, 0, -2)):
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=send_samples, args=(samples, part, theirs))
        worker.start()
        theirs.close()
        workers.append((part, ours, worker))
    for part, connection, worker in workers:
        assert connection.poll(60)
        assert connection.recv() == [expected[index] for index in part]
        worker.join()
        connection.close()
    assert samples[5] == expected[5]


def test_threads_that_read_at_once_get_the_frames_that_they_asked_for(store):
    samples = Samples(store)
    expected = [samples[index] for index in range(len(samples))]
    order = np.random.default_rng(0).integers(0, 12, 400).tolist()
    with ThreadPoolExecutor(4) as pool:
        for index, sample in zip(order, pool.map(samples.__getitem__, order), strict=True):
            assert sample == expected[index]
            assert sample[1] == store.numbers[index]


def test_a_slice_is_a_lazy_view_that_keeps_indices(store):
    view = store[2:10:3]
    assert isinstance(view, FrameView)
    assert view.shape == (3, 32, 48)
    assert [frame.index for frame in view] == [2, 5, 8]
    assert view.numbers.tolist() == [2, 8, 21]
    assert view[-1].index == 8
    assert [frame.index for frame in view[::-1]] == [8, 5, 2]
    np.testing.assert_array_equal(np.asarray(view)[1], store[5].image)
    assert len(store[20:]) == 0
    with pytest.raises(FrameIndexError):
        view[3]


@pytest.mark.parametrize(
    "key",
    [
        [3, 1, 1, -1],
        np.array([11, 0, 5]),
        np.arange(12) % 5 == 0,
        [],
        (slice(1, 4), slice(0, 9), 5),
        (3, slice(2, 4)),
        (Ellipsis, 3),
        ([2, 0], slice(None), slice(4, 8)),
        (slice(None), slice(0, 1)),
    ],
    ids=repr,
)
def test_picking_gives_what_numpy_gives(store, key):
    whole = np.stack([frame.image for frame in store])
    expected = whole[np.array(key, int)] if isinstance(key, list) else whole[key]
    np.testing.assert_array_equal(store[key], expected)


def test_wrong_picks_are_told_so(store):
    for wrong in ([12], [-13], [True, False], np.ones(3, bool)):
        with pytest.raises(IndexError, match="12"):
            store[wrong]
    for wrong in ("3", [1.5], None, [[1, 2]]):
        with pytest.raises(TypeError, match="picked by"):
            store[wrong]


def test_the_frame_of_a_time_is_the_one_meant(make_store):
    path = make_store(times=[10.0, 11.0, 11.0, 12.0, 14.0], numbers=list(range(5)))
    with imgstore.open(path) as store:
        assert store.by_time(11.0, exact=True).index == 1
        assert store.by_time(13.1).index == 4
        assert store.by_time(13.9, exact="before").index == 3
        assert store.by_time(11.0, exact="before").index == 2
        assert store.by_time(12.1, exact="after").index == 4
        assert store.by_time("1970-01-01T00:00:12+00:00", exact=True).index == 3
        for time, exact in ((10.5, True), (9.9, "before"), (14.1, "after")):
            with pytest.raises(FrameNotFoundError, match=r"from 10\.0 to 14\.0"):
                store.by_time(time, exact=exact)
        with pytest.raises(FrameNotFoundError, match="ISO 8601"):
            store.by_time("noon")


def test_frames_between_two_times(make_store):
    path = make_store(times=[10.0, 11.0, 11.5, 12.0, 14.0], numbers=list(range(5)))
    with imgstore.open(path) as store:
        assert [frame.index for frame in store.between(10.5, 12.0)] == [1, 2]
        assert [frame.index for frame in store.between(0, 99)] == [0, 1, 2, 3, 4]
        assert len(store.between(12.5, 13.5)) == 0
        assert len(store.between("1970-01-01T00:00:11+00:00", "1970-01-01T00:00:12+00:00")) == 2


def test_missing_frames_are_counted(store):
    assert [(gap.index, gap.first, gap.last, gap.count) for gap in store.missing] == [
        (4, 4, 6, 3),
        (7, 10, 19, 10),
    ]


def test_a_view_can_be_tracked_or_written_like_a_store(store, tmp_path):
    with imgstore.create(tmp_path / "b", store.spec.shape, format="npy") as writer:
        for frame in store[4:7]:
            writer.append(frame)
    with imgstore.open(tmp_path / "b") as copy:
        assert copy.numbers.tolist() == [7, 8, 9]
        np.testing.assert_array_equal(np.asarray(copy), np.asarray(store[4:7]))


def test_appending_what_is_no_frame_says_what_to_do(tmp_path):
    image = numbered_images((32, 48), 1)[0]
    with (
        imgstore.create(tmp_path / "a", (32, 48), format="npy") as writer,
        pytest.raises(TypeError, match=r"Frame\(image"),
    ):
        writer.append(image)
