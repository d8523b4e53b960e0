"""Streams: samples at rates of their own beside the frames."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import wave
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgstore
from imgstore import ChunkError, ClosedError, Frame, FrameFormatError, SettingsError, UnknownNameError
from imgstore.index import ChunkIndex, join_indexes
from imgstore.samples import BlockWriter, Runs, checked_spec, join_blocks, load_blocks
from tests.conftest import ROOT
from tests.imgstore.test_motif import write_signals

SHAPE = (4, 6)
IMAGE = np.zeros(SHAPE, np.uint8)
BEGIN = 1_700_000_000.0


def frame(number, moment=None):
    return Frame(IMAGE, 0, number, BEGIN + 0.04 * number if moment is None else moment)


def create(path, **options):
    return imgstore.create(path, SHAPE, **{"format": "npy", "chunksize": 10, **options})


def names(path):
    """Return the names in the folder of a store, without its checksums."""
    return sorted(file.name for file in path.iterdir() if file.name != ".checksums")


def last_at(frame_times, moment):
    """Say which frame a sample belongs to, the slow way."""
    before = [index for index, at in enumerate(frame_times) if at <= moment]
    if before:
        return max(before, key=lambda index: (frame_times[index], index))
    return min(range(len(frame_times)), key=lambda index: frame_times[index], default=-1)


def content_of(path):
    return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def record(path, *, frames=35, rate=1000.0, chunksize=10, dtype=np.int16, **options):
    """Make a store with a stream of rising numbers, a block for every frame, and return them."""
    per_frame = round(0.04 * rate)
    expected = np.arange(frames * per_frame * 2).reshape(-1, 2).astype(dtype)
    with create(path, chunksize=chunksize, **options) as writer:
        stream = writer.stream("audio", ["left", "right"], rate, dtype)
        for number in range(frames):
            writer.append(frame(number))
            stream.append(expected[number * per_frame : (number + 1) * per_frame], BEGIN + 0.04 * number)
        assert stream.count == len(expected)
    return expected


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_samples_come_back_with_their_times_and_frames(tmp_path, fmt):
    with imgstore.create(tmp_path / "a", (32, 48), format=fmt, chunksize=10) as writer:
        stream = writer.stream("audio", ["left", "right"], 1000.0, np.int16)
        for number in range(35):
            writer.append(Frame(np.zeros((32, 48), np.uint8), 0, 7 + number, BEGIN + 0.04 * number))
            block = np.arange(80 * number, 80 * (number + 1)).reshape(40, 2)
            stream.append(block, BEGIN + 0.04 * number)
    assert [name for name in names(tmp_path / "a") if "extra" in name or name[0] == "."] == [
        f"{chunk:06d}.extra_data.h5" for chunk in range(4)
    ]
    with imgstore.open(tmp_path / "a") as store:
        assert store.streams["audio"].columns == ("left", "right")
        read = store.stream("audio")
        assert (len(read), read.columns, read.rate, read.dtype) == (1400, ("left", "right"), 1000.0, np.int16)
        assert not read.problems
        np.testing.assert_array_equal(read.samples, np.arange(2800).reshape(1400, 2))
        np.testing.assert_allclose(read.times, BEGIN + np.arange(1400) / 1000, atol=1e-6, rtol=0)
        np.testing.assert_array_equal(read.frame_index, np.repeat(np.arange(35), 40))
        table = read.table()
        np.testing.assert_array_equal(table["frame_number"], 7 + np.repeat(np.arange(35), 40))
        np.testing.assert_array_equal(table["sample_delay"], table["sample_time"] - table["frame_time"])
        assert table.columns.tolist() == [
            *("left", "right", "frame_number", "frame_time", "frame_index", "sample_time", "sample_delay")
        ]
    with imgstore.new_for_filename(tmp_path / "a") as loopbio:
        assert loopbio.has_extra_data
        assert loopbio.get_extra_data_samplerate() == 1000
        assert [Path(file).name for file in loopbio.find_extra_data_files()] == [
            f"{chunk:06d}.extra_data.h5" for chunk in range(4)
        ]
        assert loopbio.get_extra_data().equals(table)  # the files say what we compute


times_of_frames = st.lists(st.floats(0, 3, width=32), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    frames=times_of_frames,
    blocks=st.lists(st.tuples(st.floats(-1, 4, width=32), st.integers(1, 30), st.integers(0, 3)), max_size=8),
    chunksize=st.integers(1, 5),
)
def test_every_sample_belongs_to_the_last_frame_at_or_before_it(frames, blocks, chunksize):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        due, expected = list(frames), []
        with create(path, chunksize=chunksize) as writer:
            stream = writer.stream("daq", "volts", 20)
            for begin, count, between in blocks:
                for _ in range(min(between, len(due))):
                    writer.append(frame(0, due.pop(0)))
                stream.append(np.zeros(count), begin)
                expected += [begin + offset / 20 for offset in range(count)]
            for moment in due:
                writer.append(frame(0, moment))
        with imgstore.open(path) as store:
            if not blocks:
                assert dict(store.streams) == {}
                return
            read = store.stream("daq")
            assert not read.problems
            assert read.times.tolist() == expected
            assert read.frame_index.tolist() == [last_at(frames, moment) for moment in expected]
            low, high = sorted([expected[0], expected[-1]])
            assert (
                store.stream("daq").between(low, high).times.tolist()
                == expected[
                    next(place for place, at in enumerate(expected) if at >= low) : max(
                        next(place for place, at in enumerate(expected) if at >= high),
                        next(place for place, at in enumerate(expected) if at >= low),
                    )
                ]
            )


@given(
    rate=st.sampled_from([1.0, 30.0, 1000 / 3, 44100.0]),
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    times=st.lists(st.floats(-2, 2), min_size=8, max_size=8),
    ask=st.floats(-3, 4),
)
def test_runs_know_the_time_of_every_sample(rate, counts, times, ask):
    runs = join_blocks(counts, times[: len(counts)], rate)
    slow = [t + k / rate for t, count in zip(times, counts, strict=False) for k in range(count)]
    for first in range(len(slow) + 1):
        for stop in range(first, len(slow) + 1):
            assert runs.at(first, stop).tolist() == slow[first:stop]
    for moment in (ask, *slow):
        late = [place for place, at in enumerate(slow) if at >= moment]
        assert runs.first_at(moment) == (late[0] if late else None)


def test_blocks_that_go_on_at_the_rate_are_one_run():
    runs = join_blocks([10, 10, 10], [5.0, 5.0 + 10 / 7, 9.0], 7.0)
    assert (runs.starts.tolist(), runs.times.tolist()) == ([0, 20], [5.0, 9.0])
    assert Runs(np.empty(0, np.int64), np.empty(0), 0, 7.0).at(0, 0).tolist() == []


def test_the_frames_in_a_file_are_those_around_the_border_of_chunks_too(tmp_path):
    """Samples come early and late: some belong to the chunk after that in which they lie, or before it."""
    with create(tmp_path / "a", chunksize=5) as writer:
        stream = writer.stream("daq", "volts", 100)
        for number in range(20):
            writer.append(frame(100 + number, BEGIN + 0.04 * number))
            stream.append([0.0, 0.0], BEGIN + 0.04 * number + (0.07 if number % 2 else -0.09))
    with imgstore.open(tmp_path / "a") as store, imgstore.new_for_filename(tmp_path / "a") as loopbio:
        table = store.stream("daq").table()
        assert loopbio.get_extra_data().equals(table)
        assert table["frame_index"].tolist() == [last_at(store.times, at) for at in table["sample_time"]]
        assert (table["sample_delay"][:2] < 0).all()  # from before the first frame


def test_streams_have_rates_of_their_own(tmp_path):
    with create(tmp_path / "a") as writer:
        audio = writer.stream("audio", ["left", "right"], 8000, np.float32)
        daq = writer.stream("daq", ["light", "co2"], 10)
        counts = writer.stream("counts", "licks", 1, np.uint8)
        for number in range(25):
            writer.append(frame(number))
            audio.append(np.full((320, 2), number / 25, np.float32), BEGIN + 0.04 * number)
            if number % 5 == 0:
                daq.append([[number, -number], [number, number]], BEGIN + 0.04 * number)
                writer.append_extra({"odour": number})
        counts.append([200], BEGIN + 0.5)
    with imgstore.open(tmp_path / "a") as store:
        assert {name: spec.rate for name, spec in store.streams.items()} == {
            "audio": 8000,
            "daq": 10,
            "counts": 1,
        }
        assert store.stream("audio").samples.shape == (8000, 2)
        assert store.stream("daq").samples[:, 1].tolist() == [0, 0, -5, 5, -10, 10, -15, 15, -20, 20]
        assert store.stream("counts").samples.tolist() == [[200]]
        assert store.stream("counts").frame_index.tolist() == [12]
        assert store.extra()["odour"].tolist() == [0, 5, 10, 15, 20]
        assert "left" not in store.extra()
        with pytest.raises(UnknownNameError, match="did you mean 'audio'"):
            store.stream("audoi")
    with h5py.File(tmp_path / "a" / "000001.extra_data.h5") as content:
        assert content.attrs["datasets"] == b"audio"
        assert sorted(content) == ["audio", "camera", "sample_delay", "streams"]
        assert content["audio"].shape == (2, 3200)
        assert content["camera"].shape == content["sample_delay"].shape == (3200,)
    with imgstore.new_for_filename(tmp_path / "a") as loopbio:
        table = loopbio.get_extra_data()
        assert loopbio.get_extra_data_samplerate() == 8000
    assert len(table) == 8000 + 10 + 1 + 5
    assert table["co2"].dropna().tolist() == [0, 0, -5, 5, -10, 10, -15, 15, -20, 20]
    assert table["odour"].dropna().tolist() == [0, 5, 10, 15, 20]
    assert table["frame_number"].notna().all()


def test_what_comes_first_in_a_chunk_is_what_others_read(tmp_path):
    with create(tmp_path / "a", chunksize=2) as writer:
        writer.stream("audio", "volume", 100)
        daq = writer.stream("daq", "light", 1)
        for number in range(4):
            writer.append(frame(number))
        daq.append([3.5], BEGIN)
    assert [name for name in names(tmp_path / "a") if name.endswith(".h5")] == ["000001.extra_data.h5"]
    with h5py.File(tmp_path / "a" / "000001.extra_data.h5") as content:
        assert content.attrs["datasets"] == b"daq"


def test_a_store_without_samples_has_no_files_of_them(tmp_path):
    with create(tmp_path / "a", chunksize=2) as writer:
        stream = writer.stream("audio", "volume", 100)
        for number in range(5):
            writer.append(frame(number))
            stream.append([])
    assert not [name for name in names(tmp_path / "a") if "audio" in name or name.endswith(".h5")]
    with imgstore.open(tmp_path / "a") as store:
        assert dict(store.streams) == {}
        with pytest.raises(UnknownNameError, match="'audio'"):
            store.stream("audio")


def test_samples_need_no_frames(tmp_path):
    with create(tmp_path / "a") as writer:
        writer.stream("audio", "volume", 100).append([1, 2, 3], BEGIN)
    with imgstore.open(tmp_path / "a") as store:
        table = store.stream("audio").table()
        assert table["volume"].tolist() == [1, 2, 3]
        assert table["frame_index"].tolist() == table["frame_number"].tolist() == [-1, -1, -1]
        assert table["sample_time"].tolist() == [BEGIN, BEGIN + 0.01, BEGIN + 0.02]


def test_without_times_samples_follow_one_another(tmp_path):
    with create(tmp_path / "a", chunksize=3) as writer:
        stream = writer.stream("daq", "volts", 50)
        before = time.time()
        stream.append(np.zeros(100))
        after = time.time()
        for number in range(7):
            stream.append(np.zeros(5))
            writer.append(frame(number))
        stream.append(np.zeros(5), 5.0)
        stream.append(np.zeros(5))
    with imgstore.open(tmp_path / "a") as store:
        times = store.stream("daq").times
    assert before - 2 <= times[0] <= after - 2
    np.testing.assert_allclose(np.diff(times[:135]), 0.02, atol=1e-6)
    np.testing.assert_allclose(times[135:], 5 + np.arange(10) / 50)


def test_blocks_of_any_size_are_taken(tmp_path):
    samples = np.random.default_rng(0).normal(size=(500_000, 3))
    with create(tmp_path / "a") as writer:
        writer.append(frame(0))
        writer.stream("daq", ["a", "b", "c"], 10_000).append(samples, BEGIN)
        read = imgstore.open(tmp_path / "a").stream("daq")
        np.testing.assert_array_equal(read.samples, samples)
        np.testing.assert_array_equal(read[100_000:300_001].samples, samples[100_000:300_001])
    with imgstore.open(tmp_path / "a") as store:
        np.testing.assert_array_equal(store.stream("daq").samples, samples)
        assert len(store.stream("daq")._parts[0].moments.starts) == 1
        pieces = [piece.samples for piece in store.stream("daq")[7:].pieces(123_456)]
        assert max(map(len, pieces)) == 123_456
        np.testing.assert_array_equal(np.concatenate(pieces), samples[7:])


@pytest.mark.parametrize(
    ("name", "columns", "rate", "dtype"),
    [
        ("camera", "a", 1, float),
        ("streams", "a", 1, float),
        ("../a", "a", 1, float),
        ("a b", "a", 1, float),
        ("1a", "a", 1, float),
        ("", "a", 1, float),
        ("é", "a", 1, float),
        ("a" * 65, "a", 1, float),
        (3, "a", 1, float),
        ("a", [], 1, float),
        ("a", ["b", "b"], 1, float),
        ("a", ["b,c"], 1, float),
        ("a", [" b"], 1, float),
        ("a", ["µ"], 1, float),
        ("a", ["frame_number"], 1, float),
        ("a", "b", 0, float),
        ("a", "b", -1, float),
        ("a", "b", np.nan, float),
        ("a", "b", np.inf, float),
        ("a", "b", "fast", float),
        ("a", "b", 1, complex),
        ("a", "b", 1, object),
        ("a", "b", 1, "no type"),
        ("taken", "b", 1, float),
        ("a", ["b", "shared"], 1, float),
    ],
)
def test_an_impossible_stream_is_refused(tmp_path, name, columns, rate, dtype):
    with create(tmp_path / "a") as writer:
        writer.stream("taken", "shared", 1)
        with pytest.raises(SettingsError):
            writer.stream(name, columns, rate, dtype)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3),
        np.zeros((3, 3)),
        np.zeros((2, 3, 1)),
        0,
        [[0.5, 1]],
        [[1, 40_000]],
        [["a", "b"]],
        [[1], [1, 2]],
        [[1j, 2]],
    ],
)
def test_samples_that_do_not_fit_are_refused_whole(tmp_path, samples):
    with create(tmp_path / "a") as writer:
        stream = writer.stream("audio", ["left", "right"], 1, np.int16)
        with pytest.raises(FrameFormatError, match="'audio'"):
            stream.append(samples)
        for moment in ("now", np.nan, np.inf, []):
            with pytest.raises(FrameFormatError, match="time"):
                stream.append([[1, 2]], moment)
        stream.append([[1, -2]], np.float32(5))
        assert stream.count == 1
    with pytest.raises(ClosedError, match="closed"):
        stream.append([[1, 2]])
    with pytest.raises(ClosedError, match="closed"):
        writer.stream("daq", "a", 1)


def test_a_store_that_has_no_streams_says_so(tmp_path):
    create(tmp_path / "a").close()
    with imgstore.open(tmp_path / "a") as store, pytest.raises(UnknownNameError, match="known: none"):
        store.stream("audio")


def test_a_stream_is_cut_by_slices_alone(tmp_path):
    record(tmp_path / "a")
    with imgstore.open(tmp_path / "a") as store:
        with pytest.raises(TypeError, match="samples"):
            store.stream("audio")[3]
        with pytest.raises(TypeError, match="samples"):
            np.asarray(store.stream("audio"))


def test_streams_are_fed_by_threads_while_chunks_roll(tmp_path):
    blocks = 400

    def feed(stream, offset):
        for block in range(blocks):
            stream.append(np.arange(8) + 8 * block + offset, BEGIN + 8 * block / 1000)

    with create(tmp_path / "a", chunksize=3) as writer:
        streams = [writer.stream(f"s{n}", f"c{n}", 1000, np.int32) for n in range(3)]
        threads = [
            threading.Thread(target=feed, args=(stream, 10_000 * n)) for n, stream in enumerate(streams)
        ]
        for thread in threads:
            thread.start()
        number = 0
        while any(thread.is_alive() for thread in threads):
            writer.append(frame(number))
            number += 1
        for thread in threads:
            thread.join()
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == number
        for n in range(3):
            read = store.stream(f"s{n}")
            assert not read.problems
            np.testing.assert_array_equal(read.samples[:, 0], np.arange(8 * blocks) + 10_000 * n)
    assert not [name for name in names(tmp_path / "a") if name[0] == "."]


def test_streams_are_read_while_they_are_written(tmp_path):
    with create(tmp_path / "a", chunksize=3) as writer:
        stream = writer.stream("daq", "volts", 100)
        readers = []
        for number in range(20):
            writer.append(frame(number))
            stream.append(4 * [number], BEGIN + 0.04 * number)
            with imgstore.open(tmp_path / "a") as store:
                assert len(store.streams) == 1
                readers.append(store.stream("daq"))
            assert len(readers[-1]) == 4 * (number + 1)
            assert readers[-1].samples[:, 0].tolist() == np.repeat(np.arange(number + 1), 4).tolist()
            with imgstore.new_for_filename(tmp_path / "a") as loopbio:
                assert loopbio.has_extra_data
                assert len(loopbio.get_extra_data()) == 4 * (number + 1)
        late = [store[:] for store in readers]
    for number, read in enumerate(late):  # what they found is in other files now
        assert read.samples[:, 0].tolist() == np.repeat(np.arange(number + 1), 4).tolist()


def test_negative_numbers_of_frames_are_kept(tmp_path):
    with create(tmp_path / "a") as writer:
        stream = writer.stream("daq", "volts", 1)
        writer.append(frame(-7, 0.0))
        stream.append([1, 2], 0.0)
    with imgstore.open(tmp_path / "a") as store:
        assert store.stream("daq").table()["frame_number"].tolist() == [-7, -7]
    with imgstore.new_for_filename(tmp_path / "a") as loopbio:
        assert loopbio.get_extra_data()["frame_number"].tolist() == [-7, -7]


def test_streams_follow_when_frames_are_counted_anew(tmp_path):
    with create(tmp_path / "a", chunksize=3) as writer:
        audio, daq = writer.stream("audio", "volume", 50), writer.stream("daq", "volts", 25)
        for place, number in enumerate([8, 9, 0, 1, 2]):
            writer.append(frame(number, BEGIN + 0.04 * place))
            audio.append([place, place], BEGIN + 0.04 * place)
            daq.append([place], BEGIN + 0.04 * place)
    with imgstore.new_for_filename(tmp_path / "a") as store:
        for _ in range(2):
            store.reindex()
            table = store.get_extra_data()
            of_audio, of_daq = table.dropna(subset="volume"), table.dropna(subset="volts")
            assert of_audio["frame_number"].tolist() == [-2, -2, -1, -1, 0, 0, 1, 1, 2, 2]
            assert of_daq["frame_number"].tolist() == [-2, -1, 0, 1, 2]
            assert of_daq["_frame_number_before_reindex"].tolist() == [8, 9, 0, 1, 2]
    with imgstore.open(tmp_path / "a") as store:
        assert store.stream("daq").table()["frame_number"].tolist() == [-2, -1, 0, 1, 2]
    with h5py.File(tmp_path / "a" / "000000.extra_data.h5") as content:
        assert content["camera"] == content["streams/audio/camera"]


def test_a_store_that_is_emptied_loses_its_streams_too(tmp_path):
    with imgstore.new_for_format("npy", tmp_path / "a", imgshape=SHAPE, chunksize=3) as store:
        stream = store._writer.stream("daq", "volts", 1)
        for number in range(7):
            store.add_image(IMAGE, number, number)
            stream.append([1])
        store.empty()
        assert names(tmp_path / "a") == [".lock", "metadata.yaml"]
        store._writer.stream("daq", "volts", 1).append([2])
    with imgstore.open(tmp_path / "a") as store:
        assert store.stream("daq").samples.tolist() == [[2]]


def unfinished(path, chunk=0, name="daq"):
    return path / f".{chunk:06d}.{name}.samples"


def test_a_file_of_samples_is_valid_up_to_where_it_is_torn_or_flipped(tmp_path):
    file = tmp_path / "s"
    writer = BlockWriter(file, checked_spec("daq", ["a", "b"], 10.0, np.int16), 0, 5)
    ends = [file.stat().st_size]
    for block in range(4):
        writer.append(np.full((block + 1, 2), 257 * (block + 1), "<i2"), 100.0 + block)
        ends.append(file.stat().st_size)
    writer.sync()
    writer.close()
    writer.close()
    whole = file.read_bytes()
    for length in range(len(whole) + 1):
        file.write_bytes(whole[:length])
        found = load_blocks(file)
        if length < ends[0]:
            assert found is None
            continue
        blocks = sum(end <= length for end in ends) - 1
        assert found.first_sample == 5
        assert not found.problem
        assert found.read(0, found.count)[:, 0].tolist() == [
            257 * (b + 1) for b in range(blocks) for _ in range(b + 1)
        ]
        file.write_bytes(whole[:length] + bytes(50))  # what a power cut may leave
        assert load_blocks(file).count == found.count
        assert not load_blocks(file).problem or length not in ends
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        if place < ends[0]:
            with suppress(ChunkError):
                assert load_blocks(file) is None  # it says that more of its head is to come
            continue
        found = load_blocks(file)
        blocks = sum(end <= place for end in ends) - 1
        assert found.count == blocks * (blocks + 1) // 2
        assert bool(found.problem) == (
            place < ends[-2] + 24
        )  # else it looks as if it were still being written


def test_samples_that_are_damaged_are_named_and_those_before_read(tmp_path):
    with create(tmp_path / "a") as writer:
        writer.append(frame(0))
        stream = writer.stream("daq", "volts", 1)
        for block in range(3):
            stream.append(10 * [block], BEGIN + 10 * block)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    file = unfinished(tmp_path / "b")
    data = bytearray(file.read_bytes())
    data[-150] ^= 1
    file.write_bytes(data)
    with imgstore.open(tmp_path / "b") as store:
        read = store.stream("daq")
        assert read.samples[:, 0].tolist() == 10 * [0]
        assert str(file) in read.problems[0]
    done = imgstore.repair(tmp_path / "b")
    assert done.streams == {0: ["daq"]}
    assert "damaged" in done.problems[0]
    assert (tmp_path / "b" / f"{file.name}.unreadable").read_bytes() == data
    with imgstore.open(tmp_path / "b") as store:
        assert store.stream("daq").samples[:, 0].tolist() == 10 * [0]
    assert not imgstore.repair(tmp_path / "b").streams


KILLED = """
import os, sys, time
import numpy as np
import imgstore
BEGIN, IMAGE = 1.7e9, np.zeros((32, 48), np.uint8)
writer = imgstore.create(sys.argv[1], (32, 48), format="h264/mkv", chunksize=5)
audio = writer.stream("audio", ["left", "right"], 1000, np.int16)
daq = writer.stream("daq", "volts", 25)
number = 0
while True:
    writer.append(imgstore.Frame(IMAGE, 0, number, BEGIN + 0.04 * number))
    audio.append(np.arange(80 * number, 80 * number + 80).reshape(40, 2) % 30_000, BEGIN + 0.04 * number)
    daq.append([number], BEGIN + 0.04 * number)
    os.write(1, b"%d\\n" % number)
    number += 1
    time.sleep(0.004)
"""


def check_killed(path, appended):
    with imgstore.open(path) as store:
        audio, daq = store.stream("audio"), store.stream("daq")
        assert not audio.problems
        assert not daq.problems
        assert len(daq) >= appended, "nothing that append has returned for is lost"
        assert len(audio) >= 40 * appended
        assert len(audio) % 40 == 0
        np.testing.assert_array_equal(daq.samples[:, 0], np.arange(len(daq)))
        np.testing.assert_array_equal(audio.samples[:, 0], np.arange(0, 2 * len(audio), 2) % 30_000)
        np.testing.assert_array_equal(audio.samples[:, 1], np.arange(1, 2 * len(audio), 2) % 30_000)
        np.testing.assert_allclose(audio.times, BEGIN + np.arange(len(audio)) / 1000, atol=1e-5, rtol=0)
        expected = np.minimum(np.repeat(np.arange(len(daq) + 1), 40)[: len(audio)], len(store) - 1)
        np.testing.assert_array_equal(audio.frame_index, expected)
        return audio.table(), daq.table()


@pytest.mark.parametrize("seed", range(6))
def test_streams_survive_a_kill(tmp_path, seed):
    path = tmp_path / "a"
    writer = subprocess.Popen([sys.executable, "-c", KILLED, path], cwd=ROOT, stdout=subprocess.PIPE)
    writer.stdout.readline()
    time.sleep(np.random.default_rng(seed).uniform(0, 0.8))
    os.kill(writer.pid, signal.SIGKILL)
    said = writer.stdout.read().split(b"\n")
    writer.stdout.close()
    writer.wait()
    appended = 1 + len(said) - 1
    before = check_killed(path, appended)
    with imgstore.new_for_filename(path) as loopbio:
        assert len(loopbio.get_extra_data()) == len(before[0]) + len(before[1])
    done = imgstore.repair(path)
    assert not done.problems
    assert done.streams
    left = [name for name in names(path) if name[0] == "."]
    assert all(name.endswith(".unreadable") for name in left)  # a video whose only frame was on its way
    after = check_killed(path, appended)
    assert all(one.equals(other) for one, other in zip(before, after, strict=True))
    once = content_of(path)
    assert not imgstore.repair(path).streams
    assert content_of(path) == once


def test_a_kill_at_every_step_of_finishing_loses_nothing_and_doubles_nothing(tmp_path):
    with create(tmp_path / "open", chunksize=50) as writer:
        audio, daq = writer.stream("audio", "volume", 50), writer.stream("daq", "volts", 25)
        for number in range(4):
            writer.append(frame(number))
            audio.append([number, number], BEGIN + 0.04 * number)
            daq.append([number], BEGIN + 0.04 * number)
        while len(imgstore.open(tmp_path / "open")) < 4:  # the last image is with a thread still
            time.sleep(0.01)
        shutil.copytree(tmp_path / "open", tmp_path / "samples")
    steps = {
        "nothing": [],
        "half": ["partial"],
        "made": ["h5"],
        "one gone": ["h5", "audio"],
        "done": ["h5", "*"],
    }
    for step, things in steps.items():
        path = tmp_path / step
        shutil.copytree(tmp_path / "samples", path)
        if "partial" in things:
            (path / ".000000.extra_data.h5.partial").write_bytes(b"half")
        if "h5" in things:
            shutil.copy(tmp_path / "open" / "000000.extra_data.h5", path)
        for name in ("audio", "daq"):
            if name in things or "*" in things:
                unfinished(path, name=name).unlink()
        for _ in range(2):
            with imgstore.open(path) as store:
                assert store.stream("audio").samples[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3], step
                assert store.stream("daq").frame_index.tolist() == [0, 1, 2, 3]
            with imgstore.new_for_filename(path) as loopbio:
                assert len(loopbio.get_extra_data()) == 12
            assert not imgstore.repair(path).problems
        assert not [name for name in names(path) if name[0] == "."]


def test_a_file_of_another_program_is_not_replaced(tmp_path):
    path = tmp_path / "a"
    with create(path) as writer:
        writer.append(frame(0))
        writer.stream("daq", "volts", 25).append([1, 2], BEGIN)
        shutil.copytree(path, tmp_path / "b")
    write_signals(tmp_path / "b" / "000000.extra_data.h5", [0])
    before = (tmp_path / "b" / "000000.extra_data.h5").read_bytes()
    with imgstore.open(tmp_path / "b") as store:
        assert sorted(store.streams) == ["audio", "daq"]
        assert store.stream("daq").samples.tolist() == [[1], [2]]
    done = imgstore.repair(tmp_path / "b")
    assert "move it away" in done.problems[0]
    assert (tmp_path / "b" / "000000.extra_data.h5").read_bytes() == before
    assert unfinished(tmp_path / "b").exists()
    (tmp_path / "b" / "000000.extra_data.h5").unlink()
    assert imgstore.repair(tmp_path / "b").streams == {0: ["daq"]}


def test_a_chunk_whose_samples_are_broken_or_missing_is_named(tmp_path):
    expected = record(tmp_path / "a")
    broken = tmp_path / "a" / "000001.extra_data.h5"
    broken.write_bytes(broken.read_bytes()[:5000])
    (tmp_path / "a" / "000002.extra_data.h5").unlink()
    with imgstore.open(tmp_path / "a") as store:
        read = store.stream("audio")
        assert any(str(broken) in problem for problem in read.problems)
        assert any("800 samples of 'audio' are missing" in problem for problem in read.problems)
        np.testing.assert_array_equal(read.samples, np.concatenate([expected[:400], expected[1200:]]))
        assert read.frame_index[[0, 399, 400]].tolist() == [0, 9, 30]
    with imgstore.new_for_filename(tmp_path / "a") as loopbio:
        with pytest.raises(ChunkError, match=r"000001\.extra_data\.h5"):
            loopbio.get_extra_data()
        assert len(loopbio.get_extra_data(ignore_corrupt_chunks=True)) == 600
    with imgstore.open(tmp_path / "a") as store, pytest.raises(ChunkError, match=r"000001\.extra_data\.h5"):
        store.extra()  # nobody knows any more whether it held signals of Motif, which are extra data


FULL = """
import resource, sys
import numpy as np
import imgstore
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = imgstore.create(sys.argv[1], (4, 6), format="npy")
writer.append(imgstore.Frame(np.zeros((4, 6), np.uint8), 0, 0, 1.7e9))
stream = writer.stream("daq", "volts", 1000)
noise = np.random.default_rng(0).normal(size=1000)
lost = 0
for block in range(20):
    try:
        stream.append(noise + block)
    except imgstore.ChunkError as exc:
        lost += 1
        message = exc
    stream.append([block])  # there is room for little things
print(stream.count, lost, message)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    writer.close()
except imgstore.ChunkError as exc:
    print(exc)
"""


def test_when_the_disk_is_full_the_caller_is_told_and_what_was_there_stays(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "a"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    count, lost, message = first.split(" ", 2)
    assert ".000000.daq.samples" in message
    assert "000000.extra_data.h5 cannot be written" in second
    with imgstore.open(tmp_path / "a") as store:
        assert not store.stream("daq").problems
        assert len(store.stream("daq")) == int(count)
        assert np.ptp(store.stream("daq").times) > (int(lost) - 1)  # what is lost is a gap in the times
    assert imgstore.repair(tmp_path / "a").streams == {0: ["daq"]}
    with imgstore.open(tmp_path / "a") as store:
        assert len(store.stream("daq")) == int(count)


def read_wav(path):
    with wave.open(str(path)) as sound:
        assert sound.getsampwidth() == 2
        data = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, sound.getnchannels())
        return sound.getframerate(), data


def test_sound_is_saved_in_step_with_the_time(tmp_path):
    with create(tmp_path / "a") as writer:
        stream = writer.stream("audio", ["left", "right"], 8000, np.int16)
        writer.append(frame(0))
        stream.append(np.full((800, 2), 1), BEGIN)
        stream.append(np.full((800, 2), 2))
        stream.append(np.full((800, 2), 3), BEGIN + 1.0)  # 0.8 s are missing
        stream.append(np.full((800, 2), 4), BEGIN + 1.105)  # a clock that is not exact
        stream.append(np.full((800, 2), 5), BEGIN + 1.15)  # 0.05 s were there already
        writer.append(frame(1, BEGIN + 2))
    with imgstore.open(tmp_path / "a") as store:
        saved = store.stream("audio").save_wav(tmp_path / "a.wav")
        assert (saved.start, saved.samples, saved.filled, saved.cut) == (BEGIN, 10000, 6400, 400)
        rate, sound = read_wav(tmp_path / "a.wav")
        assert rate == 8000
        expected = np.repeat([1, 2, 0, 3, 4, 5], [800, 800, 6400, 800, 800, 400])
        np.testing.assert_array_equal(sound, np.stack([expected, expected], axis=1))
        with pytest.raises(imgstore.StoreExistsError, match=r"a\.wav"):
            store.stream("audio").save_wav(tmp_path / "a.wav")
        part = store.stream("audio").between(BEGIN + 0.05, BEGIN + 1.05)
        saved = part.save_wav(tmp_path / "b.wav", start=BEGIN - 0.5)
        assert (saved.start, saved.filled, saved.samples) == (BEGIN - 0.5, 4400 + 6400, 12400)
        later = store.stream("audio").save_wav(tmp_path / "c.wav", start=BEGIN + 1)
        assert later.cut == 1600 + 400
        assert read_wav(tmp_path / "c.wav")[1][0].tolist() == [3, 3]


@pytest.mark.parametrize(
    ("dtype", "samples", "expected", "clipped"),
    [
        ("int16", [-32768, 0, 32767], [-32768, 0, 32767], 0),
        ("int32", [-(1 << 31), 65536, 65535], [-32768, 1, 0], 0),
        ("uint8", [0, 128, 255], [-32768, 0, 32512], 0),
        ("float32", [-1, 0.5, 1.5], [-32767, 16384, 32767], 1),
        ("float64", [-np.inf, np.nan, 1], [-32767, 0, 32767], 1),
    ],
)
def test_every_type_of_sound_is_scaled_to_16_bits(tmp_path, dtype, samples, expected, clipped):
    with create(tmp_path / "a") as writer:
        writer.stream("audio", "mono", 100, dtype).append(np.array(samples, dtype), BEGIN)
    with imgstore.open(tmp_path / "a") as store:
        assert store.stream("audio").save_wav(tmp_path / "a.wav").clipped == clipped
    assert read_wav(tmp_path / "a.wav")[1][:, 0].tolist() == expected


def test_what_is_no_sound_is_not_saved(tmp_path):
    with create(tmp_path / "a") as writer:
        writer.append(frame(0))
        writer.stream("counts", "licks", 100, np.uint32).append([1])
        writer.stream("slow", "volts", 0.5).append([1])
        gap = writer.stream("gap", "air", 48000, np.int16)
        gap.append([1], BEGIN)
        gap.append([1], BEGIN + 1e6)
    with imgstore.open(tmp_path / "a") as store:
        for name, error in (("counts", FrameFormatError), ("slow", SettingsError), ("gap", SettingsError)):
            with pytest.raises(error, match=name if name != "gap" else "in parts"):
                store.stream(name).save_wav(tmp_path / "a.wav")
    assert names(tmp_path) == ["a"]


def test_streams_of_motif_are_read_with_times_and_frames(tmp_path):
    with create(tmp_path / "a", chunksize=2) as writer:
        for number in range(4):
            writer.append(frame(number, 1.5e9 + 0.04 * number))
    write_signals(tmp_path / "a" / "000000.extra_data.h5", [0, 1, 1], as_bytes=True)
    write_signals(tmp_path / "a" / "000001.extra_data.h5", [3, 9], delay=False)
    with imgstore.open(tmp_path / "a") as store:
        read = store.stream("audio")
        assert (read.columns, read.rate, len(read)) == (("audio_left", "audio_right"), 44100, 5)
        assert read.samples.tolist() == [[0, 5], [1, 6], [2, 7], [0, 4], [1, 5]]
        assert read.frame_index.tolist() == [0, 1, 1, 3, -1]
        delays = np.linspace(0, 0.001, 5)[:3]
        np.testing.assert_allclose(read.times - 1.5e9, [*(0.04 * np.arange(3) + delays), 0, 0.04], atol=1e-6)
        assert read[1:4].samples.tolist() == [[1, 6], [2, 7], [0, 4]]
        assert read.between(1.5e9 + 0.02, 1.5e9 + 0.06).samples.tolist() == [[1, 6]]
        assert read.table()["frame_number"].tolist() == [0, 1, 1, 3, -1]


def hostile(path, change):
    with h5py.File(path, "r+") as content:
        group = content["streams/audio"]
        if change == "external link":
            del group["samples"]
            group["samples"] = h5py.ExternalLink(str(path.with_name("secret.h5")), "secret")
        elif change == "soft link":
            del group["samples"]
            group["samples"] = h5py.SoftLink("/streams/audio/camera")
        elif change == "linked group":
            del content["streams"]
            content["streams"] = h5py.ExternalLink(str(path.with_name("secret.h5")), "/")
        elif change == "virtual":
            layout = h5py.VirtualLayout((2, 4), "i2")
            layout[:] = h5py.VirtualSource(str(path.with_name("secret.h5")), "secret", (2, 4))
            del group["samples"]
            group.create_virtual_dataset("samples", layout).attrs["column_names"] = "left,right"
        elif change == "external storage":
            del group["samples"]
            where = [(str(path.with_name("secret.h5")), 0, 16)]
            group.create_dataset("samples", (2, 4), "i2", external=where)
        elif change == "absurd":
            attributes = dict(group["samples"].attrs)
            del group["samples"]
            group.create_dataset("samples", (2, 10**14), "f8", chunks=(2, 1000)).attrs.update(attributes)
        elif change == "group":
            del group["samples"]
            group.create_group("samples")
        elif change == "runs":
            group["runs"][0] = (5, 0.0)
        elif change == "version":
            content.attrs["version"] = 2
        elif change == "texts":
            attributes = dict(group["samples"].attrs)
            del group["samples"]
            group["samples"] = np.array([[b"a", b"b"]] * 2)
            group["samples"].attrs.update(attributes)
        else:
            del group.attrs, group["samples"].attrs["column_names"]


HOSTILE = [
    *("external link", "soft link", "linked group", "virtual", "external storage", "absurd", "group", "runs"),
    *("version", "texts"),
]


@pytest.mark.parametrize("change", HOSTILE)
def test_a_hostile_file_is_refused_by_name(tmp_path, change):
    record(tmp_path / "a", frames=3)
    file = tmp_path / "a" / "000000.extra_data.h5"
    with h5py.File(file.with_name("secret.h5"), "w") as content:
        content["secret"] = np.full((2, 4), 42, "i2")
    hostile(file, change)
    with imgstore.open(tmp_path / "a") as store:
        assert dict(store.streams) == {}
        with pytest.raises(UnknownNameError, match=r"000000\.extra_data\.h5"):
            store.stream("audio")


@pytest.mark.parametrize("change", ["external link", "soft link", "absurd", "absurd camera", "path"])
def test_a_hostile_file_of_motifs_kind_is_refused_by_name(tmp_path, change):
    with create(tmp_path / "a") as writer:
        writer.append(frame(0))
    file = tmp_path / "a" / "000000.extra_data.h5"
    write_signals(file, [0])
    with h5py.File(file.with_name("secret.h5"), "w") as content:
        content["secret"] = np.full((2, 3), 42)
    with h5py.File(file, "r+") as content:
        attributes = dict(content["audio"].attrs)
        if change == "path":
            content.attrs["datasets"] = "a/audio"
            content["a"] = h5py.ExternalLink(str(file.with_name("secret.h5")), "/")
        elif change == "absurd camera":
            dtype = content["camera"].dtype
            del content["camera"]
            content.create_dataset("camera", (10**13,), dtype, chunks=(1000,))
        else:
            del content["audio"]
            if change == "absurd":
                content.create_dataset("audio", (2, 10**14), "f8", chunks=(2, 9)).attrs.update(attributes)
            elif change == "soft link":
                content["audio"] = h5py.SoftLink("/elsewhere")
            else:
                content["audio"] = h5py.ExternalLink(str(file.with_name("secret.h5")), "secret")
    with imgstore.new_for_filename(tmp_path / "a") as loopbio:
        with pytest.raises(ChunkError, match=r"000000\.extra_data\.h5"):
            loopbio.get_extra_data()
        assert loopbio.get_extra_data(ignore_corrupt_chunks=True) is None
    with imgstore.open(tmp_path / "a") as store, pytest.raises(UnknownNameError, match=r"extra_data\.h5"):
        store.stream("audio")


def test_a_hostile_head_of_samples_is_refused_by_name(tmp_path):
    import struct
    import zlib

    file = tmp_path / "s"
    about = {"name": "a", "columns": ["b"], "rate": 1, "dtype": "<f8", "order": 0, "first_sample": 0}
    for change in (
        {"name": "../a"},
        {"columns": 3},
        {"rate": 0},
        {"dtype": "O"},
        {"order": "x"},
        {"columns": []},
    ):
        text = json.dumps({**about, **change}).encode()
        file.write_bytes(struct.pack("<8sII", b"ethoSMP1", len(text), zlib.crc32(text)) + text)
        with pytest.raises(ChunkError, match=str(file)):
            load_blocks(file)
    file.write_bytes(struct.pack("<8sII", b"ethoSMP1", 0xFFFFFFFF, 0))
    with pytest.raises(ChunkError, match=str(file)):
        load_blocks(file)


def test_frames_with_unknown_times_take_no_samples():
    index = join_indexes([0], [ChunkIndex(np.arange(3), np.array([np.nan, 1.0, np.nan]))])
    assert index.last_at(np.array([0.0, 1.0, 5.0])).tolist() == [1, 1, 1]
    index = join_indexes([0], [ChunkIndex(np.arange(1), np.array([np.nan]))])
    assert index.last_at(np.array([0.0])).tolist() == [-1]
