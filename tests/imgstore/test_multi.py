"""Several stores recorded together."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import imgstore
from imgstore import AlignmentError, FrameIndexError, UnknownNameError
from imgstore.index import ChunkIndex, save_chunk_index
from imgstore.matching import NONE, fit_clock, match_numbers, match_times, unwrap

HOUR = 25 * 3600  # frames, at 25 per second


@pytest.fixture
def make_index(tmp_path):
    """Make a store of frames that have numbers and times, but no images; any number takes no time."""

    def make(name, numbers, times):
        path = tmp_path / name
        imgstore.create(path, (4, 6), format="npy").close()
        (path / "000000").mkdir()
        index = ChunkIndex(np.asarray(numbers, np.int64), np.asarray(times, np.float64))
        save_chunk_index(path / "000000" / "index.npz", index, {})
        return path

    return make


def clock(count, *, rate=25.0, start=1.7e9, jitter=0.0, seed=0):
    """Return times of frames at a rate, each off by some noise."""
    noise = np.random.default_rng(seed).normal(0, jitter, count) if jitter else 0.0
    return start + np.arange(count) / rate + noise


def shown(many):
    """Return for every set the number of each store's frame, None where it is not of this moment."""
    return [
        tuple(frame.number if there else None for frame, there in zip(each.frames, each.present, strict=True))
        for each in many
    ]


# by number


def test_frames_of_the_same_number_belong_together(make_store):
    paths = [
        make_store(name="a", numbers=[0, 1, 2, 3, 5]),
        make_store(name="b", numbers=[1, 2, 4, 5, 6], format="h264/mkv"),
    ]
    with imgstore.open_many(paths, by="number") as many:
        assert many.names == ("a", "b")
        assert many.numbers.tolist() == [1, 2, 5]
        assert shown(many) == [(1, 1), (2, 2), (5, 5)]
        assert many[1].time == many.times[1] == 1000.1
        assert {name: numbers.tolist() for name, numbers in many.missing.items()} == {
            "a": [4, 6],
            "b": [0, 3],
        }
        assert many.present.all()
        for each in many:
            for frame, store in zip(each.frames, many.stores.values(), strict=True):
                np.testing.assert_array_equal(frame.image, store.by_number(each.number).image)
                assert each[["a", "b"][frame is each.frames[1]]] is frame


def test_a_missing_frame_is_held_or_black_and_says_so(make_store):
    paths = {
        "left": make_store(name="a", numbers=[0, 1, 4]),
        "right": make_store(name="b", numbers=[1, 2, 4]),
    }
    with imgstore.open_many(paths, by="number", missing="hold") as many:
        assert shown(many) == [(0, None), (1, 1), (None, 2), (4, 4)]
        before, held = many[0]["right"], many[2]["left"]
        assert (before.index, before.number, before.image.any()) == (-1, -1, False)
        assert np.isnan(before.time)
        assert (held.index, held.number, held.time) == (1, 1, 1000.05)
        np.testing.assert_array_equal(held.image, many[1]["left"].image)
        assert np.isnan(many[2].time)
        assert np.isnan(many.times).tolist() == [False, False, True, False]
        assert many.present.tolist() == [[True, False], [True, True], [False, True], [True, True]]
    with imgstore.open_many(paths, by="number", missing="black") as many:
        assert shown(many) == [(0, None), (1, 1), (None, 2), (4, 4)]
        assert not many[2]["left"].image.any()
        assert many[2]["left"].image.shape == (32, 48)


def test_stores_may_differ_in_shape_and_type(make_store, tmp_path):
    colour = make_store(name="colour", shape=(20, 30, 3), numbers=[0, 2])
    with imgstore.create(tmp_path / "deep", (6, 8), "uint16", format="npy") as writer:
        for number in range(3):
            writer.append(imgstore.Frame(np.full((6, 8), 1000 * number, np.uint16), 0, number, 0.0))
    with imgstore.open_many([colour, tmp_path / "deep"], by="number", missing="black") as many:
        assert [spec.shape for spec in many.specs] == [(20, 30, 3), (6, 8)]
        images = [each.images for each in many]
    assert [image.shape for image in images[1]] == [(20, 30, 3), (6, 8)]
    assert [(image.dtype, int(image.max())) for _, image in images] == [
        (np.uint16, 0),
        (np.uint16, 1000),
        (np.uint16, 2000),
    ]


def test_numbers_that_were_not_reset_together_are_found_by_time_or_given(make_index):
    times = clock(2000, jitter=0.001)
    keep = np.arange(2000) % 97 != 5
    paths = [
        make_index("a", np.arange(2000), times),
        make_index("b", 1234 + np.arange(2000)[keep], times[keep]),
    ]
    for offsets in ("auto", {"b": 1234}, {"b": np.float64(1234)}):
        with imgstore.open_many(paths, by="number", offsets=offsets) as many:
            assert many.numbers.tolist() == np.flatnonzero(keep).tolist()
            assert many.offsets == {"b": 1234}
            report = many.alignment["b"]
            assert (report.matched, report.unmatched, report.number_offset) == (keep.sum(), 0, 1234)
            assert report.unmatched_master == 2000 - keep.sum()
            assert report.warnings == ()
    with imgstore.open_many(paths, by="number") as many:
        assert "offsets='auto'" in many.alignment["b"].warnings[0]


def test_numbers_that_come_again_count_once_and_are_reported(make_index):
    paths = [make_index("a", [0, 1, 2, 3], range(4)), make_index("b", [0, 1, 2, 0, 1], range(5))]
    with imgstore.open_many(paths, by="number") as many:
        assert many.numbers.tolist() == [0, 1, 2]
        report = many.alignment["b"]
        assert (report.matched, report.unmatched) == (3, 2)
        assert "b has 2 frames whose number came before" in report.warnings[0]


# by time


def test_the_nearest_frame_within_tolerance_belongs_to_the_masters(make_store):
    slow = make_store(name="slow", times=[10.0, 10.1, 10.2, 10.3], numbers=[0, 1, 2, 3])
    fast = make_store(
        name="fast",
        times=[10.001, 10.019, 10.098, 10.121, 10.25],
        numbers=[5, 6, 7, 8, 9],
        format="mjpeg/avi",
    )
    with imgstore.open_many([slow, fast], missing="black") as many:
        assert shown(many) == [(0, 5), (1, 7), (2, 9), (3, 9)]
    with imgstore.open_many([slow, fast], tolerance=0.002) as many:
        assert shown(many) == [(0, 5), (1, 7)]
        assert many.missing["fast"].tolist() == [2, 3]
        assert many.alignment["fast"].unmatched == 3
    with imgstore.open_many([slow, fast], master="fast", missing="hold", tolerance=0.02) as many:
        assert shown(many) == [(0, 5), (0, 6), (1, 7), (None, 8), (None, 9)]
        assert [each["slow"].number for each in many] == [0, 0, 1, 1, 1]
        assert many.times.tolist() == [10.001, 10.019, 10.098, 10.121, 10.25]
        assert many.alignment["slow"].repeated == 1
        assert np.isnan(many.alignment["slow"].clock.drift_ppm)


def test_a_lost_frame_of_either_camera_is_seen_by_time(make_index):
    times = [clock(500, jitter=0.002, seed=seed) for seed in range(3)]
    kept = [np.delete(np.arange(500), lost) for lost in ([], [7, 8, 300], [8, 499])]
    paths = [make_index(name, keep, axis[keep]) for name, axis, keep in zip("abc", times, kept, strict=True)]
    with imgstore.open_many(paths) as many:
        assert many.numbers.tolist() == np.delete(np.arange(500), [7, 8, 300, 499]).tolist()
        assert many.missing["b"].tolist() == [7, 8, 300]
        assert many.missing["c"].tolist() == [8, 499]
    with imgstore.open_many(paths, master=1) as many:
        assert len(many) == 496
        assert many.alignment["a"].unmatched == 3
        assert many.alignment["c"].unmatched_master == 1


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.5, 0.77])
def test_cameras_that_run_freely_lose_no_frame_whatever_their_phase(make_index, phase):
    paths = [
        make_index("a", range(2000), clock(2000, jitter=0.001)),
        make_index("b", range(2001), clock(2001, start=1.7e9 + (phase - 1) / 25, jitter=0.001, seed=1)),
    ]
    with imgstore.open_many(paths) as many:
        assert len(many) == 2000


def test_times_that_step_back_or_are_unknown_match_all_the_same(make_index):
    times = clock(100)
    times[50:] -= 1.5  # the clock was set
    unknown = times.copy()
    unknown[[3, 70]] = np.nan
    paths = [make_index("a", range(100), times), make_index("b", range(100), unknown)]
    with imgstore.open_many(paths, tolerance=0.001) as many:
        pairs = many.present.sum()
        assert pairs == 2 * len(many)
        assert {3, 70}.isdisjoint(many.numbers.tolist())
        assert len(many) == 98
    with imgstore.open_many(paths, master="b", missing="hold", tolerance=0.001) as many:
        assert many.missing["a"].tolist() == [3, 70]
    with imgstore.open_many(paths, by="number") as many:
        assert many.alignment["b"].clock.offset_s == 0


def test_the_times_of_another_clock_are_found_by_number_or_given(make_index):
    paths = [make_index("a", range(500), clock(500)), make_index("b", range(500), clock(500) + 12.34)]
    with pytest.raises(AlignmentError, match=r"offsets=\{'c': seconds"):
        imgstore.open_many([paths[0], make_index("c", [-1], [0.0])], offsets="auto")
    for offsets in ("auto", {"b": 12.34}):
        with imgstore.open_many(paths, offsets=offsets) as many:
            assert many.numbers.tolist() == list(range(500))
            assert many.alignment["b"].clock.offset_s == pytest.approx(12.34, abs=1e-6)
            assert many.offsets["b"] == pytest.approx(12.34)
            assert many.alignment["b"].warnings == ()
    with imgstore.open_many(paths) as many:
        assert len(many) < 250
        assert "offsets='auto'" in many.alignment["b"].warnings[0]


# the report


@pytest.mark.parametrize("by", ["number", "time"])
@pytest.mark.parametrize("drift", [50.0, -3.0, 0.0])
def test_offset_and_drift_are_recovered_from_an_hour_with_jitter_and_drops(make_index, by, drift):
    random = np.random.default_rng(3)
    first, other = clock(HOUR, jitter=0.001), clock(HOUR, jitter=0.001, seed=1)
    other = 0.0123 + other + (other - other[0]) * drift * 1e-6
    kept = [np.flatnonzero(random.random(HOUR) > 0.02) for _ in range(2)]
    paths = [
        make_index("a", kept[0], first[kept[0]]),
        make_index("b", kept[1], other[kept[1]]),
    ]
    with imgstore.open_many(paths, by=by) as many:
        fit = many.alignment["b"].clock
        assert fit.drift_ppm == pytest.approx(drift, abs=0.5)
        assert fit.offset_s == pytest.approx(0.0123, abs=1e-4)
        assert 0.0005 < fit.residual_p50_s < 0.002 < fit.residual_p95_s < 0.004
        assert many.alignment["b"].warnings == ()


def test_a_few_wild_times_do_not_bend_the_drift(make_index):
    times = clock(HOUR, jitter=0.001, seed=1) + 50e-6 * np.arange(HOUR) / 25
    times[1000:4000] += 2.0  # an hour in which the clock was wrong for two minutes
    paths = [make_index("a", range(HOUR), clock(HOUR)), make_index("b", range(HOUR), times)]
    with imgstore.open_many(paths, by="number") as many:
        assert many.alignment["b"].clock.drift_ppm == pytest.approx(50, abs=2)


@pytest.mark.parametrize("by", ["number", "time"])
def test_stores_that_do_not_overlap_in_time_are_told_so(make_index, by):
    paths = [make_index("a", range(100), clock(100)), make_index("b", range(100), clock(100) + 3600)]
    with imgstore.open_many(paths, by=by) as many:
        assert len(many) == (100 if by == "number" else 0)
        assert many.alignment["b"].warnings[0] == "b and a do not overlap in time: they are 3596.04 s apart"
        assert np.isnan(many.alignment["b"].clock.offset_s) == (by == "time")
    with pytest.raises(AlignmentError, match=r"offsets=\{'b': "):
        imgstore.open_many(paths, by="number", offsets="auto")


@pytest.mark.parametrize("by", ["number", "time"])
@pytest.mark.parametrize("empty", ["a", "b"])
def test_an_empty_store_matches_nothing(make_store, make_index, by, empty):
    paths = {
        name: make_index(name, [], []) if name == empty else make_store(name=name) for name in ("a", "b")
    }
    with imgstore.open_many(paths, by=by) as many:
        assert len(many) == 0
        assert list(many) == []
        assert many.present.shape == (0, 2)
        assert many.alignment["b"].warnings == (f"{empty} holds no frames",)
    with imgstore.open_many(paths, by=by, missing="black") as many:
        assert len(many) == (0 if empty == "a" and by == "time" else 12)
        for each in many:
            assert not each[empty].image.any()


def test_what_motif_says_of_another_run_is_a_warning(tmp_path):
    for name, run in (("a", "11"), ("b", "22")):
        metadata = {"synchronizationuuid": run}
        with imgstore.create(tmp_path / name, (4, 6), format="npy", metadata=metadata) as writer:
            writer.append(imgstore.Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
    with imgstore.open_many([tmp_path / "a", tmp_path / "b"], by="number") as many:
        assert "synchronised in different runs" in many.alignment["b"].warnings[0]


def test_a_million_frames_are_aligned_without_an_image(make_index):
    count = 1_000_000
    times = clock(count, rate=100)
    paths = [make_index("a", range(count), times), make_index("b", range(7, count), times[7:] + 0.001)]
    for by in ("number", "time"):
        with imgstore.open_many(paths, by=by) as many:
            assert len(many) == count - 7
            assert many.numbers[-1] == count - 1
            assert many.alignment["b"].clock.offset_s == pytest.approx(0.001, abs=1e-6)


# a sequence


@pytest.fixture
def pair(make_store):
    """Return the paths of a camera and one of a third of its rate, in video."""
    fast = make_store(name="fast", format="h264/mkv", numbers=list(range(24)))
    slow = make_store(
        name="slow",
        format="mjpeg/avi",
        numbers=list(range(8)),
        times=[1000.05 + 0.15 * n for n in range(8)],
    )
    return {"fast": fast, "slow": slow}


def test_a_slice_is_lazy_and_keeps_indices(pair):
    with imgstore.open_many(pair, missing="hold") as many:
        part = many[4:20:5]
        assert (len(part), part.names) == (4, many.names)
        assert [each.index for each in part] == [4, 9, 14, 19]
        assert part.numbers.tolist() == [4, 9, 14, 19]
        assert part[-1].index == 19
        assert [each.index for each in part[::-1]] == [19, 14, 9, 4]
        assert part[::-1].times.tolist() == many.times[[19, 14, 9, 4]].tolist()
        assert len(many[30:][::-1].numbers) == len(list(many[30:])) == 0
        assert part.alignment == many.alignment
        part.close()
        assert many[np.int64(-1)].index == 23
        for wrong in (24, -25):
            with pytest.raises(FrameIndexError, match="there are 24"):
                many[wrong]
        with pytest.raises(TypeError, match="integers and slices"):
            many["fast"]
        with pytest.raises(UnknownNameError, match="did you mean 'fast'"):
            many[0]["fsat"]


def test_reading_in_order_gives_what_reading_anywhere_gives_and_images_are_the_callers(pair):
    with imgstore.open_many(pair, missing="hold") as many:
        expected = {at: many[at].images for at in np.random.default_rng(0).permutation(24)}
        for each in many:
            for image, same in zip(each.images, expected[each.index], strict=True):
                np.testing.assert_array_equal(image, same)
                image[...] = 0  # no later set sees it


def test_readers_that_were_given_stay_open(make_store):
    with imgstore.open(make_store(name="a")) as given:
        many = imgstore.open_many({"given": given, "opened": make_store(name="b")})
        opened = many.stores["opened"]
        many.close()
        many.close()
        assert given[0].number == 0
        with pytest.raises(imgstore.ClosedError):
            opened[0]


def test_many_can_be_read_by_threads_at_once(pair):
    with imgstore.open_many(pair, missing="hold") as many:
        expected = [shown(many), [each["slow"].image for each in many]]
        order = np.random.default_rng(1).integers(0, 24, 200)
        with ThreadPoolExecutor(4) as pool:
            for at, each in zip(order, pool.map(many.__getitem__, order), strict=True):
                np.testing.assert_array_equal(each["slow"].image, expected[1][at])
                assert each["fast"].number == expected[0][at][0] == each.number


def read_set(many, at):
    """Return what a set holds, as a worker process sees it."""
    with many:
        each = many[at]
    return each.index, each.number, each.images[1].tolist(), many.offsets


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_many_can_be_handed_to_another_process(pair, method):
    with imgstore.open_many(pair, by="time", missing="hold", offsets={"slow": 0.001}) as many:
        expected = many[5].images[1].tolist()
        part = pickle.loads(pickle.dumps(many[3:9]))  # noqa: S301  # our own
        assert [each.index for each in part] == list(range(3, 9))
        part.close()
        with get_context(method).Pool(1) as pool:
            assert pool.apply(read_set, (many, 5)) == (5, 5, expected, {"slow": 0.001})
            pool.close()
            pool.join()


def test_names_come_from_folders_or_paths(make_store, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    a, b = make_store(name="one/rig.store"), make_store(name="two/rig.store")
    with imgstore.open_many([a, b / "metadata.yaml"]) as many:
        assert many.names == (str(a), str(b))
        assert many.master == str(a)
    with imgstore.open_many([str(a), make_store(name="c")]) as many:
        assert many.names == ("rig.store", "c")
        assert "rig.store, c: 12 sets by time, drop" in repr(many)
    with imgstore.open_many({"x": a, "y": a}) as many:
        assert shown(many)[3] == (3, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"by": "frame"}, "no way to align 'frame'"),
        ({"missing": "zoh"}, "no policy for what is missing 'zoh'"),
        ({"tolerance": -1}, "seconds, from 0"),
        ({"tolerance": np.nan}, "seconds, from 0"),
        ({"by": "number", "tolerance": 1.0}, "is for times"),
        ({"by": "number", "offsets": {"b": 0.5}}, "whole number"),
        ({"by": "number", "offsets": {"b": np.inf}}, "whole number"),
        ({"offsets": {"c": 1}}, "no store 'c'"),
        ({"offsets": {"a": 1}}, "'a' is the master"),
        ({"offsets": "find"}, "or 'auto'"),
        ({"master": 2}, "no master at 2: the stores are a, b"),
        ({"master": "c"}, "no store 'c'"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_stays_open(make_store, wrong, message):
    with pytest.raises(ValueError, match=message):
        imgstore.open_many([make_store(name="a", format="h264/mkv"), make_store(name="b")], **wrong)


def test_wrong_stores_are_told(make_store, tmp_path):
    path = make_store()
    for wrong, message in (
        ([], "no stores"),
        ([path, path], "given twice"),
        (path, "names no extra_cameras"),
        ([path, tmp_path / "nowhere"], "does not exist"),
        ([path, tmp_path], "no metadata.yaml"),
    ):
        with pytest.raises(ValueError, match=message):
            imgstore.open_many(wrong)


# the arithmetic, against what it means

TIMES = arrays.arrays(
    np.float64,
    st.integers(0, 20),
    elements=st.integers(-30, 30).map(lambda n: n / 4) | st.just(np.nan),  # ties are exact
)
NUMBERS = arrays.arrays(np.int64, st.integers(0, 20), elements=st.integers(-9, 9))


@given(TIMES, TIMES, st.integers(0, 20).map(lambda n: n / 4))
def test_matching_by_time_is_what_a_search_through_all_frames_gives(times, others, tolerance):
    found = match_times(times, others, tolerance)
    for time, index in zip(times, found, strict=True):
        known = [
            (abs(other - time), other, i) for i, other in enumerate(others) if abs(other - time) <= tolerance
        ]
        assert index == (min(known)[2] if known else NONE)


@given(st.lists(NUMBERS, min_size=1, max_size=4))
def test_matching_by_number_is_what_a_search_through_all_frames_gives(stores):
    every, frames = match_numbers(stores)
    assert every.tolist() == sorted({int(number) for numbers in stores for number in numbers})
    for numbers, column in zip(stores, frames, strict=True):
        whole = numbers.tolist()
        assert column.tolist() == [whole.index(n) if n in whole else NONE for n in every]


@given(st.integers(10, 3000), st.floats(-2000, 2000), st.floats(-100, 100))
def test_a_line_without_noise_is_found_as_it_is(count, drift, offset):
    times = 1.7e9 + np.arange(count) / 25
    fit = fit_clock(times, offset + (times - times[0]) * drift * 1e-6)
    assert fit.offset_s == pytest.approx(offset, abs=1e-9)
    assert fit.drift_ppm == pytest.approx(drift, abs=1e-3)


def test_of_few_frames_the_drift_is_not_known():
    fit = fit_clock(np.arange(9) / 25, np.full(9, 0.5))
    assert fit.offset_s == 0.5
    assert np.isnan(fit.drift_ppm)


@given(st.floats(-800, 800), st.floats(-0.5, 0.5), st.integers(0, 5))
def test_sliding_cameras_are_followed_from_one_frame_to_the_next(drift, phase, seed):
    since = np.arange(5000) / 25
    truth = phase / 25 + since * drift * 1e-6 + np.random.default_rng(seed).normal(0, 0.001, 5000)
    nearest = truth - np.round(truth * 25) / 25
    found = unwrap(nearest, 0.04)
    turns = np.round((found - truth)[0] * 25) / 25
    np.testing.assert_allclose(found, truth + turns, atol=1e-9)
