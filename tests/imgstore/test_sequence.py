"""A store as a sequence of frames."""

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
