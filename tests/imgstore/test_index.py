"""The index of a store against a model that looks at every frame, and the files it is kept in."""

from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgstore.cache import CACHE_FILENAME, load_cache, save_cache
from imgstore.errors import FrameIndexError, FrameNotFoundError
from imgstore.index import ChunkIndex, find_gaps, join_indexes, load_chunk_index, save_chunk_index
from imgstore.journal import Journal, load_journal
from imgstore.npz import read_npz, read_stored_npz

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
NUMBERS = st.one_of(st.integers(-20, 20), st.integers(-20, 20), INT64)
TIMES = st.one_of(st.integers(-20, 20).map(float), st.floats(allow_infinity=True, allow_nan=True))
FRAMES = st.lists(st.tuples(NUMBERS, TIMES), max_size=12)
CHUNKS = st.lists(FRAMES, max_size=5)


def index_of(frames):
    numbers, times = zip(*frames, strict=True) if frames else ((), ())
    return ChunkIndex(np.array(numbers, np.int64), np.array(times, np.float64))


def store_of(chunks):
    """Return the index of a store, and its frames in order."""
    filled = [chunk for chunk in chunks if chunk]
    index = join_indexes([3 * n for n in range(len(filled))], [index_of(chunk) for chunk in filled])
    return index, [frame for chunk in filled for frame in chunk]


def or_none(find, *arguments):
    try:
        return find(*arguments)
    except FrameNotFoundError:
        return None


def first_where(frames, holds):
    return next((place for place, frame in enumerate(frames) if holds(frame)), None)


@given(CHUNKS)
def test_every_frame_lies_in_its_chunk(chunks):
    index, frames = store_of(chunks)
    assert len(index) == len(frames)
    place = 0
    for number, chunk in zip(index.chunks, (chunk for chunk in chunks if chunk), strict=True):
        assert index.chunk_range(number) == range(place, place + len(chunk))
        for offset in range(len(chunk)):
            assert index.locate(place + offset) == (number, offset)
        place += len(chunk)
    for at in (-len(frames), len(frames) - 1):
        if frames:
            assert index.at(at) == at % len(frames)
    for at in (-len(frames) - 1, len(frames)):
        with pytest.raises(FrameIndexError):
            index.at(at)


@given(CHUNKS, NUMBERS)
def test_the_first_frame_with_a_number_is_found(chunks, number):
    index, frames = store_of(chunks)
    assert or_none(index.of_number, number) == first_where(frames, lambda frame: frame[0] == number)
    for asked, _ in frames:
        assert index.of_number(asked) == first_where(frames, lambda frame: frame[0] == asked)  # noqa: B023


def nearest(values, asked):
    """Return the place of the first of the values that are nearest, None if there are none."""
    known = [(abs(value - asked), place) for place, value in enumerate(values) if not np.isnan(value)]
    return min(known)[1] if known else None


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50).map(float) | st.just(np.nan)), max_size=15),
    st.integers(-120, 120).map(lambda n: n / 2),
)
def test_the_nearest_frame_is_the_first_of_equals(frames, asked):
    index, _ = store_of([frames])
    assert or_none(index.nearest_number, asked) == nearest([float(number) for number, _ in frames], asked)
    assert or_none(index.nearest_time, asked) == nearest([time for _, time in frames], asked)
    assert or_none(index.nearest_time, np.nan) is None


@given(CHUNKS, TIMES.filter(lambda time: not np.isnan(time)))
def test_frames_before_and_after_a_time_are_found(chunks, asked):
    index, frames = store_of(chunks)
    times = [time for _, time in frames]
    before = [time for time in times if time <= asked]
    after = [time for time in times if time >= asked]
    found = or_none(index.of_time, asked, "before")
    assert (found is None) == (not before)
    assert found is None or times[found] == max(before)
    found = or_none(index.of_time, asked, "after")
    assert found == (times.index(min(after)) if after else None)
    assert or_none(index.of_time, asked, True) == (times.index(asked) if asked in times else None)
    assert index.first_at(asked) == next(
        (place for place, time in enumerate(times) if time >= asked), len(times)
    )


@given(st.lists(st.integers(-1000, 1000), max_size=20))
def test_gaps_are_where_numbers_jump(numbers):
    expected = [
        (place, before + 1, after - 1)
        for place, (before, after) in enumerate(pairwise(numbers), 1)
        if after > before + 1
    ]
    assert [(gap.index, gap.first, gap.last) for gap in find_gaps(np.array(numbers, np.int64))] == expected


@settings(max_examples=50)
@given(
    FRAMES, st.dictionaries(st.sampled_from("abcdef"), st.integers() | st.just("x") | st.none(), max_size=3)
)
def test_an_index_is_read_as_it_was_saved(frames, store):
    index = index_of(frames)
    with TemporaryDirectory() as folder:
        save_chunk_index(Path(folder) / "000000.npz", index, store)
        found = load_chunk_index(Path(folder) / "000000")
    np.testing.assert_array_equal(found.numbers, index.numbers)
    np.testing.assert_array_equal(found.times, index.times)
    assert (found.numbers.dtype, found.times.dtype) == (np.int64, np.float64)


@given(
    st.binary(max_size=300),
    st.integers(0, 2000),
    st.sampled_from([b"PK\x03\x04", b"PK\x01\x02", b"\x93NUMPY", b"\xff" * 4]),
)
def test_an_archive_that_is_changed_anywhere_is_refused_or_says_the_same(noise, place, word):
    file = BytesIO()
    np.savez(file, frame_number=np.arange(3), frame_time=np.arange(3.0), other=np.arange(9))
    whole = file.getvalue()
    for data in (
        noise,
        word + noise,
        whole[:place] + word + whole[place + len(word) :],
        whole[:place] + noise,
    ):
        try:
            numbers, times = read_npz(data)
        except (ValueError, KeyError):
            continue
        assert numbers.tolist() == [0, 1, 2]
        assert times.tolist() == [0, 1, 2]
    assert read_stored_npz(whole) is not None


@settings(max_examples=50)
@given(CHUNKS.filter(bool))
def test_a_cache_gives_what_the_chunks_give(chunks):
    indexes = {2 * n: index_of(chunk) for n, chunk in enumerate(chunks)}
    stamps = {chunk: (chunk + 5, -chunk) for chunk in indexes}
    with TemporaryDirectory() as folder:
        save_cache(Path(folder), indexes, stamps)
        cache = load_cache(Path(folder))
        whole, plain = cache.whole(), join_indexes(list(indexes), list(indexes.values()))
        assert cache.stamps == stamps
        assert whole.chunks == plain.chunks
        for of_cache, of_chunks in (
            (whole.numbers, plain.numbers),
            (whole.times, plain.times),
            *zip(whole.by_number, plain.by_number, strict=True),
            *zip(whole.by_time, plain.by_time, strict=True),
        ):
            np.testing.assert_array_equal(of_cache, of_chunks)
        for chunk, index in indexes.items():
            np.testing.assert_array_equal(cache.chunk_index(chunk).times, index.times)


@settings(max_examples=50)
@given(CHUNKS.filter(bool), st.integers(0, 1 << 16), st.integers(1, 255))
def test_a_cache_that_changed_is_none(chunks, place, mask):
    indexes = {n: index_of(chunk) for n, chunk in enumerate(chunks)}
    with TemporaryDirectory() as folder:
        save_cache(Path(folder), indexes, dict.fromkeys(indexes, (1, 2)))
        file = Path(folder) / CACHE_FILENAME
        data = bytearray(file.read_bytes())
        data[place % len(data)] ^= mask
        file.write_bytes(data)
        assert load_cache(Path(folder)) is None


@settings(max_examples=50)
@given(FRAMES, st.binary(max_size=100), st.integers(0, 12))
def test_a_journal_with_anything_behind_it_gives_what_was_appended(frames, tail, start):
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "j")
        for number, time in frames:
            journal.append(number, time)
        journal.close()
        with (Path(folder) / "j").open("ab") as file:
            file.write(tail)
        found = load_journal(Path(folder) / "j", start)
    expected = index_of(frames[start:])
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_array_equal(found.times, expected.times)


def test_a_journal_is_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("imgstore.journal._BLOCK", 24 * 4)
    journal = Journal(tmp_path / "j")
    for number in range(10):
        journal.append(number, number / 2)
    journal.close()
    for start in range(11):
        assert load_journal(tmp_path / "j", start).numbers.tolist() == list(range(start, 10))
    whole = (tmp_path / "j").read_bytes()
    for place in range(len(whole)):
        (tmp_path / "j").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert load_journal(tmp_path / "j").numbers.tolist() == list(range(place // 24))
