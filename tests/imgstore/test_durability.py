"""What is left when a writer dies, the disk is full, or a folder is gone; and the cached index."""

import importlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

import imgstore
from imgstore import ChunkError, Frame, StoreInUseError, contents
from imgstore.cache import CACHE_FILENAME
from imgstore.index import ChunkIndex
from imgstore.journal import Journal, load_journal
from imgstore.layout import list_store
from imgstore.waiting import wait
from tests.conftest import FORMATS_HERE, ROOT, numbered_images


def test_a_journal_is_valid_up_to_the_first_torn_or_flipped_record(tmp_path):
    path = tmp_path / "j"
    journal = Journal(path)
    for number in range(10):
        journal.append(number * 3, number / 7)
    journal.close()
    journal.close()
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        index = load_journal(path)
        assert index.numbers.tolist() == [3 * n for n in range(length // 24)]
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        index = load_journal(path)
        assert index.numbers.tolist() == [3 * n for n in range(place // 24)]
        assert index.times.tolist() == [n / 7 for n in range(place // 24)]


def test_the_frames_of_an_open_chunk_are_read_while_it_is_written(tmp_path):
    images = numbered_images((32, 48), 12)
    with imgstore.create(tmp_path / "a", (32, 48), format="h264/mkv", chunksize=5) as writer:
        for n, image in enumerate(images):
            writer.append(Frame(image, n, n, float(n)))
            with imgstore.open(tmp_path / "a") as store:
                assert store.state == "recording"
                assert n - 5 <= len(store) <= n + 1  # a chunk is shown when the one before is finished
                assert [frame.number for frame in store] == list(range(len(store)))
        with pytest.raises(StoreInUseError):
            imgstore.repair(tmp_path / "a")
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == 12
        assert store.chunks == (0, 1, 2)
    assert sorted(file.name for file in (tmp_path / "a").iterdir() if file.name.startswith(".")) == [
        ".checksums"
    ]


def test_after_exactly_a_chunk_no_empty_one_is_left(tmp_path):
    for fmt in FORMATS_HERE:
        with imgstore.create(tmp_path / fmt.replace("/", "-"), (32, 48), format=fmt, chunksize=4) as writer:
            for n, image in enumerate(numbered_images((32, 48), 8)):
                writer.append(Frame(image, n, n, float(n)))
        names = sorted(file.name for file in (tmp_path / fmt.replace("/", "-")).iterdir())
        assert [name for name in names if name.startswith("000002")] == []
        with imgstore.open(tmp_path / fmt.replace("/", "-")) as store:
            assert len(store) == 8
            assert not store.problems


FILL = """
import resource, sys
import numpy as np
import imgstore
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
noise = np.random.default_rng(0).integers(0, 255, (120, 160), np.uint8)
writer = imgstore.create(sys.argv[1], (120, 160), format=sys.argv[2])
count = 0
try:
    while True:
        writer.append(imgstore.Frame(np.roll(noise, count), 0, count, float(count)))
        count += 1
except imgstore.ChunkError as exc:
    print(count, exc)
try:
    writer.close()
except imgstore.ChunkError:
    pass
"""


@pytest.mark.parametrize("fmt", ["mjpeg/avi", "avc1/mp4", "h264/mkv"])
def test_when_a_file_cannot_grow_the_caller_is_told_and_what_was_there_stays(tmp_path, fmt):
    done = subprocess.run(
        [sys.executable, "-c", FILL, tmp_path / "a", fmt],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    assert done.returncode == 0, done.stderr
    count, _, message = done.stdout.partition(" ")
    assert "000000" in message
    with imgstore.open(tmp_path / "a") as store:
        assert store.state == "interrupted"
        assert int(count) - 2 <= len(store) <= int(count)
        assert [frame.number for frame in store] == list(range(len(store)))
        seen = len(store)
    assert imgstore.repair(tmp_path / "a").finished == {0: seen}
    with imgstore.open(tmp_path / "a") as store:
        assert store.state == "complete"
        assert len([frame.image for frame in store]) == seen


@pytest.mark.parametrize("fmt", ["png", "h264/mkv"])
def test_when_the_folder_is_gone_the_caller_is_told(tmp_path, fmt):
    writer = imgstore.create(tmp_path / "a", (32, 48), format=fmt, chunksize=4)
    image = numbered_images((32, 48), 1)[0]
    writer.append(Frame(image, 0, 0, 0.0))
    while (tmp_path / "a").exists():  # while it is removed, a thread of the writer may rename an image
        shutil.rmtree(tmp_path / "a", ignore_errors=True)

    def go_on():
        for n in range(1, 20):
            writer.append(Frame(image, n, n, float(n)))

    with pytest.raises(ChunkError, match=r"00000[01]"):
        go_on()
    with suppress(ChunkError):
        writer.close()


def made_of_indexes(folder, chunks, frames, *, disorder=False):
    """Make a store of images that are not there, with real indexes: what opening costs does not need them."""
    imgstore.create(folder, (4, 6), format="npy", chunksize=frames).close()
    random = np.random.default_rng(0)
    from imgstore.index import save_chunk_index

    numbers, times = [], []
    for chunk in range(chunks):
        (folder / f"{chunk:06d}").mkdir()
        first = chunk * frames
        index = ChunkIndex(np.arange(first, first + frames) * 2, 1000 + np.arange(first, first + frames) / 50)
        if disorder:
            index = ChunkIndex(random.integers(-50, 50, frames), random.uniform(0, 9, frames))
            index.times[0] = np.nan
        save_chunk_index(folder / f"{chunk:06d}" / "index.npz", index, {"uuid": "x", "imgshape": [4, 6]})
        numbers.append(index.numbers)
        times.append(index.times)
    return np.concatenate(numbers), np.concatenate(times)


@pytest.mark.parametrize("disorder", [False, True], ids=["rising", "in disorder"])
def test_a_cached_index_finds_what_the_chunks_indexes_find(tmp_path, disorder):
    numbers, times = made_of_indexes(tmp_path / "a", 60, 40, disorder=disorder)
    looked = []
    with imgstore.open(tmp_path / "a", progress=lambda done, total: looked.append((done, total))) as first:
        assert looked[-1] == (60, 60)
        assert (tmp_path / "a" / CACHE_FILENAME).exists()
        looked.clear()
        with imgstore.open(
            tmp_path / "a", progress=lambda done, total: looked.append((done, total))
        ) as second:
            assert looked == []
            np.testing.assert_array_equal(second.numbers, numbers)
            np.testing.assert_array_equal(second.times, times)
            assert second.chunks == first.chunks == tuple(range(60))
            for value in (-50, 0, 7, 31.5, 4000, 1e9):
                assert first._index.nearest_number(value) == second._index.nearest_number(value)
                assert first._index.nearest_number(value) == np.abs(numbers - value).argmin()
                assert first._index.nearest_time(value) == second._index.nearest_time(value)
                assert first._index.nearest_time(value) == np.nanargmin(np.abs(times - value))
            assert second._index.of_number(int(numbers[1234])) == np.flatnonzero(numbers == numbers[1234])[0]


def test_a_stale_cache_is_noticed(tmp_path):
    made_of_indexes(tmp_path / "a", 60, 10)
    imgstore.open(tmp_path / "a").close()
    from imgstore.index import save_chunk_index

    changed = ChunkIndex(np.arange(10) - 1000, np.arange(10.0))
    save_chunk_index(tmp_path / "a" / "000007" / "index.npz", changed, {"uuid": "x", "imgshape": [4, 6]})
    with imgstore.open(tmp_path / "a") as store:
        assert store.numbers[70] == -1000
    made_of_indexes(tmp_path / "b", 1, 10)
    (tmp_path / "b" / "000000").rename(tmp_path / "a" / "000060")
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == 610
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == 610
        assert store.numbers[70] == -1000


@pytest.fixture
def listed_once(tmp_path, monkeypatch):
    """A store of 60 chunks of 10 frames that was listed and is not again; and who lists it all the same."""
    made_of_indexes(tmp_path / "a", 60, 10)
    cache = tmp_path / "a" / CACHE_FILENAME
    imgstore.open(tmp_path / "a").close()
    until = time.monotonic() + 10
    while cache.stat().st_mtime_ns != (tmp_path / "a").stat().st_mtime_ns:
        assert time.monotonic() < until
        imgstore.open(tmp_path / "a").close()
    listings = []

    def count(root, suffix):
        listings.append(root)
        return list_store(root, suffix)

    monkeypatch.setattr(contents, "list_store", count)
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == 600
    assert listings == []
    return tmp_path / "a", listings


def test_an_index_written_again_in_place_is_noticed_without_a_listing(listed_once):
    root, listings = listed_once
    numbers = np.arange(10) - 1000
    with (root / "000007" / "index.npz").open("r+b") as file:
        np.savez(file, frame_number=numbers, frame_time=np.arange(10.0))
    with imgstore.open(root) as store:
        assert store.numbers[70] == -1000
    assert listings == [root]


@pytest.mark.parametrize("change", ["a chunk more", "a chunk less", "an index less", "copied in part"])
def test_a_folder_where_names_came_or_went_is_listed_again(listed_once, tmp_path, change):
    root, listings = listed_once
    if change == "a chunk more":
        made_of_indexes(tmp_path / "b", 1, 10)
        (tmp_path / "b" / "000000").rename(root / "000060")
    elif change == "a chunk less":
        shutil.rmtree(root / "000030")
    elif change == "an index less":
        (root / "000030" / "index.npz").unlink()
    else:
        shutil.copytree(root, tmp_path / "c", ignore=shutil.ignore_patterns("000030"))
        shutil.copystat(root, tmp_path / "c")
        root = tmp_path / "c"
    with imgstore.open(root) as store:
        assert len(store) == (610 if change == "a chunk more" else 590)
        assert bool(store.problems) == (change in ("a chunk less", "copied in part"))
    assert listings


def test_a_broken_cache_is_never_believed(tmp_path):
    numbers, _ = made_of_indexes(tmp_path / "a", 60, 10)
    imgstore.open(tmp_path / "a").close()
    cache = tmp_path / "a" / CACHE_FILENAME
    whole = cache.read_bytes()
    for length in (0, 7, 40, 100, len(whole) - 1):
        cache.write_bytes(whole[:length])
        with imgstore.open(tmp_path / "a") as store:
            np.testing.assert_array_equal(store.numbers, numbers)
    for place in range(0, 60 * 40, 211):
        cache.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        with imgstore.open(tmp_path / "a") as store:
            np.testing.assert_array_equal(store.numbers, numbers)


def test_a_writer_that_died_in_its_first_image_is_repaired(tmp_path):
    imgstore.create(tmp_path / "a", (4, 6), format="png").close()
    (tmp_path / "a" / "000000").mkdir()
    (tmp_path / "a" / "000000" / ".000000.png.partial").write_bytes(b"half")
    Journal(tmp_path / "a" / ".000000.journal").close()
    assert not imgstore.repair(tmp_path / "a").problems
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == [".checksums", "metadata.yaml"]


@pytest.mark.parametrize("fmt", ["png", "h264/mkv"])
def test_records_are_mended_even_if_a_repair_is_killed_between_a_chunk_and_its_records(
    tmp_path, monkeypatch, fmt
):
    with imgstore.create(tmp_path / "live", (32, 48), format=fmt) as writer:
        for n, image in enumerate(numbered_images((32, 48), 4)):
            writer.append(Frame(image, n, n, float(n)))
            writer.append_extra({"n": n})
        shutil.copytree(
            tmp_path / "live", tmp_path / "a", ignore=shutil.ignore_patterns(".lock", "*.partial")
        )
    (extra,) = (tmp_path / "a").rglob("*.extra.json")
    extra.write_bytes(b"")  # made, and nothing written

    def killed(*arguments):
        finish(*arguments)
        raise KeyboardInterrupt

    module = importlib.import_module("imgstore.repair")
    finish = module._finish_chunk
    with monkeypatch.context() as patch:
        patch.setattr(module, "_finish_chunk", killed)
        with pytest.raises(KeyboardInterrupt):
            imgstore.repair(tmp_path / "a")
    imgstore.repair(tmp_path / "a")
    assert json.loads(extra.read_bytes()) == []


def test_a_journal_without_images_is_kept(tmp_path):
    imgstore.create(tmp_path / "a", (4, 6), format="h264/mkv").close()
    journal = Journal(tmp_path / "a" / ".000000.journal")
    journal.append(1, 2.0)
    journal.close()
    imgstore.repair(tmp_path / "a")
    assert load_journal(tmp_path / "a" / ".000000.journal").numbers.tolist() == [1]


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv", "avc1/mp4"])
def test_who_looks_while_chunks_are_finished_sees_every_frame_up_to_now(tmp_path, fmt):
    appended = [0]
    stop = threading.Event()
    with imgstore.create(tmp_path / "a", (32, 48), format=fmt, chunksize=2) as writer:

        def write():
            while not stop.is_set():
                image = np.full((32, 48), appended[0] % 250, np.uint8)
                writer.append(Frame(image, 0, appended[0], float(appended[0])))
                appended[0] += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(40):
                surely = appended[0] - 1
                with imgstore.open(tmp_path / "a") as store:
                    assert store.problems == ()
                    assert store.numbers.tolist() == list(range(len(store)))
                    assert len(store) >= surely - 2  # a chunk is shown when the one before is finished
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_chunk_whose_journal_is_made_just_after_the_folder_was_listed_is_no_problem(
    tmp_path, monkeypatch, frames
):
    with imgstore.create(tmp_path / "a", (32, 48), format="h264/mkv", chunksize=2) as writer:

        def write(numbers):
            for n in numbers:
                writer.append(Frame(np.zeros((32, 48), np.uint8), n, n, float(n)))

        def list_then_write(root, suffix):
            listing = list_store(root, suffix)._replace(journals=[])
            write(range(1, frames))
            return listing

        write([0])
        monkeypatch.setattr(contents, "list_store", list_then_write)
        with imgstore.open(tmp_path / "a") as store:
            assert store.problems == ()


def test_of_images_that_are_empty_after_a_power_cut_none_is_counted(tmp_path):
    writer = imgstore.create(tmp_path / "a", (32, 48), format="png")
    for n, image in enumerate(numbered_images((32, 48), 6)):
        writer.append(Frame(image, n, n, float(n)))
    writer.close()
    journal = Journal(tmp_path / "a" / ".000000.journal")
    for n in range(6):
        journal.append(n, float(n))
    journal.close()
    (tmp_path / "a" / "000000" / "index.npz").unlink()
    (tmp_path / "a" / "000000" / "000003.png").write_bytes(b"")
    with imgstore.open(tmp_path / "a") as store:
        assert store.numbers.tolist() == [0, 1, 2]
        assert len([frame.image for frame in store]) == 3


def test_a_repaired_mp4_is_an_mp4(tmp_path):
    writer = imgstore.create(tmp_path / "a", (32, 48), format="avc1/mp4")
    for n, image in enumerate(numbered_images((32, 48), 6)):
        writer.append(Frame(image, n, n, float(n)))
    shutil.copytree(tmp_path / "a", tmp_path / "b")  # as a kill would leave it
    writer.close()
    imgstore.repair(tmp_path / "b")
    kinds = [(tmp_path / name / "000000.mp4").read_bytes()[4:12] for name in "ab"]
    assert kinds == [b"ftypisom"] * 2


@pytest.mark.parametrize("frames", [19, 20], ids=["a chunk's first", "another"])
@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS_HERE if "/" in fmt])
def test_the_frame_that_a_muxer_holds_back_is_read_and_repaired(tmp_path, fmt, frames):
    writer = imgstore.create(tmp_path / "a", (32, 48), format=fmt, chunksize=6)
    for n, image in enumerate(numbered_images((32, 48), frames)):
        writer.append(Frame(image, n, n, n / 25))
    wait(lambda: not list((tmp_path / "a").glob(".000002.*")), lambda: True)
    shutil.copytree(tmp_path / "a", tmp_path / "b")  # as a kill would leave it
    writer.close()
    with imgstore.open(tmp_path / "a") as whole:
        for repaired in (False, True):
            with imgstore.open(tmp_path / "b") as store:
                assert store.state == ("complete" if repaired else "interrupted")
                assert store.numbers.tolist() == list(range(frames))
                for frame in store:
                    np.testing.assert_array_equal(frame.image, whole[frame.index].image)
            assert not imgstore.repair(tmp_path / "b").problems
    assert imgstore.verify(tmp_path / "b").ok
