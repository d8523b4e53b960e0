"""Stores converted and cut: the same frames, numbers, times and extra data."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pytest
import yaml

import imgstore
from imgstore import (
    ChunkError,
    EmptyStoreError,
    FormatSettings,
    Frame,
    FrameFormatError,
    FrameNotFoundError,
    NotAStoreError,
    SettingsError,
    StoreExistsError,
    StoreInUseError,
    UnknownNameError,
)
from imgstore.transcode.workers import run_tasks
from imgstore.waiting import wait
from tests.conftest import ROOT, numbered_images
from tests.imgstore.test_motif import motif_store, write_signals  # noqa: F401  # a fixture

TIMES = [1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.30000001, 1e9 + 9, 1e9 + 8, float("nan"), 1e9 + 10, *range(20, 43)]
NUMBERS = [3, 4, 5, 9, 9, 8, 100, *range(200, 223)]


def record(
    path,
    *,
    format="npy",  # noqa: A002
    shape=(32, 48),
    chunksize=7,
    dtype="uint8",
    extra=True,
    **options,
):
    """Record 30 frames with gaps, doubles and steps back, and a record now and then."""
    images = numbered_images(shape, len(NUMBERS), dtype)
    with imgstore.create(
        path, shape, dtype, format=format, chunksize=chunksize, metadata={"fly": "Ä"}, **options
    ) as writer:
        if extra:
            writer.append_extra({"before": True})
        for index, (image, number, seconds) in enumerate(zip(images, NUMBERS, TIMES, strict=True)):
            writer.append(Frame(image, index, number, seconds))
            if extra and index % 4 == 2:
                writer.append_extra({"light": index, "note": "ü"})
    return path


def assert_same_frames(new, old, first=0, *, atol=0):
    """Check that a store holds the frames of another, from one of them on."""
    part = slice(first, first + len(new))
    np.testing.assert_array_equal(new.numbers, old.numbers[part])
    np.testing.assert_array_equal(new.times, old.times[part])
    for index in range(len(new)):
        np.testing.assert_allclose(
            new[index].image.astype(int), old[first + index].image.astype(int), atol=atol
        )


def records(store):
    table = store.extra()
    return [] if table is None else table.astype(object).where(table.notna(), None).to_dict("records")


def content_of(folder):
    """Return what lies in a store that two runs must agree on."""
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(file.relative_to(folder))
        if file.suffix in (".mkv", ".mp4", ".avi"):  # the container carries random identifiers
            with av.open(str(file)) as video:
                found[name] = [(packet.pts, bytes(packet)) for packet in video.demux(video=0)]
        elif file.suffix == ".npz":
            with np.load(file) as index:
                found[name] = [index[key].tobytes() for key in ("frame_number", "frame_time")]
        elif file.suffix != ".yaml" and file.name != ".checksums":  # of files with random identifiers
            found[name] = file.read_bytes()
    return found


@pytest.mark.parametrize("target", ["npy", "png", "tif", "ffv1/mkv"])
@pytest.mark.parametrize("source", ["png", "ffv1/mkv"])
def test_a_lossless_conversion_keeps_every_pixel_number_time_and_record(tmp_path, source, target):
    old = record(tmp_path / "old one.store", format=source)
    done = imgstore.convert(old, tmp_path / "neü.store", format=target, chunksize=4)
    assert (done.frames, done.chunks, done.kept, done.encoded) == (30, 8, 0, 30)
    with imgstore.open(old) as before, imgstore.open(done.path) as after:
        assert_same_frames(after, before)
        assert after.user_metadata == {"fly": "Ä"}
        assert after.metadata.created == before.metadata.created
        assert after.metadata.timezone == before.metadata.timezone
        assert after.metadata.uuid != before.metadata.uuid
        assert after.metadata.store["made_from"]["uuid"] == before.metadata.uuid
        assert after.metadata.store["made_from"]["did"] == "convert"
        assert after.metadata.format == target
        assert (after.state, after.problems) == ("complete", ())
        assert [len(after.chunk_range(chunk)) for chunk in after.chunks] == [4] * 7 + [2]
        assert records(after) == records(before)
    assert not list(tmp_path.glob("*.partial"))


def test_a_record_goes_with_its_frame_into_another_chunk(tmp_path):
    old = record(tmp_path / "old")
    new = imgstore.convert(old, tmp_path / "new", chunksize=3).path
    lying = {
        int(file.parent.name): [row["frame_index"] // 3 for row in yaml.safe_load(file.read_text())]
        for file in new.rglob("*.extra.json")
    }
    assert sum(map(len, lying.values())) == 8
    assert all(max(chunk, 0) == number for number, chunks in lying.items() for chunk in map(abs, chunks[1:]))


def test_video_settings_are_kept_unless_others_are_asked_for(tmp_path):
    old = record(tmp_path / "old", format="h264/mkv", settings=FormatSettings(quality=5, gop=3))
    imgstore.convert(old, tmp_path / "same")
    imgstore.convert(old, tmp_path / "small", settings="small")
    imgstore.convert(old, tmp_path / "one", settings=FormatSettings(gop=9))
    found = [imgstore.open(tmp_path / name).metadata.settings for name in ("same", "small", "one")]
    assert [(settings.quality, settings.gop) for settings in found] == [(5, 3), (28, 120), (23, 9)]
    with imgstore.open(old) as before, imgstore.open(tmp_path / "same") as after:
        assert_same_frames(after, before, atol=12)
        assert after.metadata.chunksize == 7


def test_colour_becomes_grey_and_smaller(tmp_path):
    old = record(tmp_path / "old", format="png", shape=(32, 48, 3))
    options = {"grey": True, "crop": (5, 3, 30, 21), "scale": 0.5}
    imgstore.convert(old, tmp_path / "new", **options)
    with imgstore.open(old, **options) as before, imgstore.open(tmp_path / "new") as after:
        assert after.spec.shape == (10, 15)
        assert_same_frames(after, before)
        assert after.metadata.store["made_from"]["crop"] == [5, 3, 30, 21]


def test_colour_settings_do_not_hinder_grey(tmp_path):
    settings = FormatSettings(quality=0, pixel_format="bgr24")
    old = record(tmp_path / "old", format="h264/mkv", shape=(32, 48, 3), settings=settings)
    imgstore.convert(old, tmp_path / "new", grey=True)
    with imgstore.open(old, grey=True) as before, imgstore.open(tmp_path / "new") as after:
        assert after.lossless
        assert_same_frames(after, before)


@pytest.mark.parametrize("shape", [(31, 47), (31, 47, 3)], ids=["grey", "colour"])
def test_odd_sizes_go_through_video(tmp_path, shape):
    old = record(tmp_path / "old", format="png", shape=shape)
    imgstore.convert(old, tmp_path / "video", format="h264/mkv", settings="lossless")
    imgstore.convert(tmp_path / "video", tmp_path / "back", format="npy")
    with imgstore.open(old) as before, imgstore.open(tmp_path / "back") as after:
        assert_same_frames(after, before)


def test_sixteen_bits_stay(tmp_path):
    old = record(tmp_path / "old", format="npy", dtype="uint16")
    imgstore.convert(old, tmp_path / "new", format="png")
    with imgstore.open(old) as before, imgstore.open(tmp_path / "new") as after:
        assert after.spec.dtype == np.uint16
        assert_same_frames(after, before)
    with pytest.raises(FrameFormatError, match="'png'"):
        imgstore.convert(old, tmp_path / "video", format="h264/mkv")
    assert not list(tmp_path.glob("video*"))


def test_a_mosaic_stays_raw_until_its_pixels_are_needed(tmp_path):
    old = record(tmp_path / "old", format="npy", encoding="cv_bayerbg")
    imgstore.convert(old, tmp_path / "raw", format="png")
    imgstore.convert(old, tmp_path / "video", format="h264/mkv")
    imgstore.convert(old, tmp_path / "part", format="npy", crop=(0, 0, 20, 20))
    with imgstore.open(old) as before, imgstore.open(tmp_path / "raw") as raw:
        assert raw.metadata.encoding == "cv_bayerbg"
        assert cv2.imread(str(tmp_path / "raw/000000/000000.png"), cv2.IMREAD_UNCHANGED).ndim == 2
        assert_same_frames(raw, before)
        for name, shape in (("video", (32, 48, 3)), ("part", (20, 20, 3))):
            with imgstore.open(tmp_path / name) as decoded:
                assert decoded.metadata.encoding is None
                assert decoded.spec.shape == shape
    with imgstore.open(tmp_path / "part") as part:
        np.testing.assert_array_equal(part[3].image, before_image(old, 3)[:20, :20])


def before_image(path, index):
    with imgstore.open(path) as store:
        return store[index].image


@pytest.mark.parametrize("target", ["png", "h264/mkv"])
def test_two_workers_make_what_one_makes(tmp_path, target):
    old = record(tmp_path / "old")
    told = []
    for workers in (1, 2):
        imgstore.convert(
            old,
            tmp_path / str(workers),
            format=target,
            chunksize=6,
            workers=workers,
            progress=lambda *done: told.append(done),
        )
    assert content_of(tmp_path / "1") == content_of(tmp_path / "2")
    assert told[0] == (0, 30)
    assert told.count((30, 30)) == 2
    assert all(done <= 30 for done, _ in told)
    assert not multiprocessing.active_children()


CONVERTER = """
import sys
import imgstore

if __name__ == "__main__":
    imgstore.convert(sys.argv[1], sys.argv[2], format="tif", chunksize=20, workers=int(sys.argv[3]))
"""


def test_a_script_without_the_idiom_of_processes_is_told_of_it(tmp_path):
    old = record(tmp_path / "old")
    script = tmp_path / "convert_it.py"
    script.write_text(f"import imgstore\nimgstore.convert({str(old)!r}, 'new', chunksize=6, workers=2)\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode
    assert re.search(r"ChunkError: .*__main__", done.stderr)


def start_converting(tmp_path, old, workers):
    """Start a conversion and return it when some chunks are finished."""
    script = tmp_path / "convert_it.py"
    script.write_text(CONVERTER)
    running = subprocess.Popen(
        [sys.executable, script, old, tmp_path / "new", str(workers)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    for _ in range(3000):
        if len(list((tmp_path / "new.partial").glob("*/index.npz"))) > 1 or running.poll() is not None:
            break
        time.sleep(0.01)
    return running


@pytest.fixture
def large_store(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)
    with imgstore.create(tmp_path / "large", image.shape, format="npy", chunksize=50) as writer:
        for number in range(240):
            writer.append(Frame(np.roll(image, number), 0, number, number / 10))
    return tmp_path / "large"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_conversion_that_was_ended_goes_on(tmp_path, large_store, workers, sent):
    with start_converting(tmp_path, large_store, workers) as running:
        running.send_signal(sent)
        assert running.wait(20) != 0
        if sent == signal.SIGINT:
            assert b"KeyboardInterrupt" in running.stderr.read()
    assert not (tmp_path / "new").exists()
    with pytest.raises(NotAStoreError):
        imgstore.open(tmp_path / "new.partial")
    time.sleep(0.5)  # until a worker that is left alone has noticed
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "new.partial").glob("*/index.npz")}
    assert len(kept) > 1
    done = imgstore.convert(large_store, tmp_path / "new", format="tif", chunksize=20)
    assert done.kept == len(kept)
    assert done.encoded == 240 - 20 * len(kept)
    for file, changed in kept.items():
        assert (tmp_path / "new" / file.relative_to(tmp_path / "new.partial")).stat().st_mtime_ns == changed
    with imgstore.open(large_store) as before, imgstore.open(tmp_path / "new") as after:
        assert after.problems == ()
        assert_same_frames(after, before)
    assert not list(tmp_path.glob("*.partial"))
    assert [file.name for file in (tmp_path / "new").glob(".*")] == [".checksums"]


class Mortal:
    """A worker whose process dies at its third task."""

    def __enter__(self):
        pass

    def __exit__(self, *error):
        pass

    def do(self, task, tick):
        if task == 2:
            os._exit(3)
        tick(1)


def test_a_worker_that_dies_ends_it_with_a_word():
    with pytest.raises(ChunkError, match="died with exit code 3"):
        run_tasks(Mortal(), range(6), 2, lambda more: None)
    assert not multiprocessing.active_children()


class StopError(Exception):
    """Raised in the middle."""


def stop_after(frames):
    def progress(done, total):
        if done > frames:
            raise StopError

    return progress


def interrupt(old, new, **options):
    with pytest.raises(StopError):
        imgstore.convert(old, new, progress=stop_after(10), **options)


def test_an_unfinished_conversion_refuses_another_one_and_says_what_differs(tmp_path):
    old, new = record(tmp_path / "old"), tmp_path / "new"
    interrupt(old, new, chunksize=5)
    with pytest.raises(StoreExistsError, match="chunksize was 5, and is 6"):
        imgstore.convert(old, new, chunksize=6)
    with pytest.raises(StoreExistsError, match=r"scale was 1\.0, and is 0\.5"):
        imgstore.convert(old, new, chunksize=5, scale=0.5)
    other = record(tmp_path / "other")
    with pytest.raises(StoreExistsError, match=r"name was 'old', and is 'other'.*uuid was"):
        imgstore.convert(other, new, chunksize=5)
    assert imgstore.convert(old, new, chunksize=5).kept == 2
    with imgstore.open(old) as before, imgstore.open(new) as after:
        assert_same_frames(after, before)
        assert records(after) == records(before)


def test_force_starts_anew(tmp_path):
    old, new = record(tmp_path / "old"), tmp_path / "new"
    interrupt(old, new, chunksize=5)
    assert imgstore.convert(old, new, chunksize=6, force=True).kept == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def test_nothing_is_left_where_nothing_was_done(tmp_path):
    old = record(tmp_path / "old")
    interrupt(old, tmp_path / "new", chunksize=20)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_what_is_there_is_never_touched_without_force(tmp_path):
    old, other = record(tmp_path / "old"), record(tmp_path / "other")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").write_text("mine")
    before = content_of(other)
    for name, says in (("other", "holds a store"), ("file", "is a file"), ("folder", "holds files")):
        with pytest.raises(StoreExistsError, match=says):
            imgstore.convert(old, tmp_path / name)
    assert content_of(other) == before
    for name in ("file", "folder"):
        with pytest.raises(StoreExistsError):
            imgstore.convert(old, tmp_path / name, force=True)
    assert (tmp_path / "folder/mine").read_text() == (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "old", "other"]


def test_force_replaces_a_store_only_when_the_new_one_is_complete(tmp_path):
    old, other = record(tmp_path / "old"), record(tmp_path / "other", format="png")
    before = content_of(other)
    interrupt(old, other, chunksize=5, force=True)
    assert content_of(other) == before
    assert imgstore.convert(old, other, chunksize=5, force=True).kept == 2
    with imgstore.open(other) as store:
        assert store.metadata.format == "npy"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "other"]


def test_force_spares_results_and_stores_that_are_written(tmp_path):
    old, other = record(tmp_path / "old"), record(tmp_path / "other")
    (other / "a.tracks.h5").write_text("results")
    with pytest.raises(StoreExistsError, match=r"a\.tracks\.h5"):
        imgstore.convert(old, other, force=True)
    with imgstore.create(tmp_path / "busy", (32, 48)), pytest.raises(StoreInUseError):
        imgstore.convert(old, tmp_path / "busy", force=True)


def test_a_store_is_not_converted_into_itself(tmp_path):
    old = record(tmp_path / "old")
    (tmp_path / "link").symlink_to(old)
    for place in (old, old / "new", tmp_path, tmp_path / "link"):
        with pytest.raises(StoreExistsError, match="lie in each other"):
            imgstore.convert(old, place, force=True)


def test_two_conversions_to_one_place_do_not_meet(tmp_path):
    old = record(tmp_path / "old")

    def meet(done, total):
        with pytest.raises(StoreInUseError):
            imgstore.convert(old, tmp_path / "new")

    imgstore.convert(old, tmp_path / "new", progress=meet)


def test_wrong_wishes_are_told_before_anything_is_made(tmp_path):
    old = record(tmp_path / "old")
    for error, wish in (
        (UnknownNameError, {"format": "h265"}),
        (SettingsError, {"format": "h264/mkv", "settings": FormatSettings(quality=99)}),
        (UnknownNameError, {"settings": "tiny"}),
        (FrameFormatError, {"crop": (0, 0, 100, 100)}),
        (FrameFormatError, {"scale": 0}),
        (ValueError, {"chunksize": 0}),
    ):
        with pytest.raises(error):
            imgstore.convert(old, tmp_path / "new", **wish)
    with pytest.raises(NotAStoreError):
        imgstore.convert(tmp_path / "none", tmp_path / "new")
    imgstore.create(tmp_path / "empty", (32, 48)).close()
    with pytest.raises(EmptyStoreError):
        imgstore.convert(tmp_path / "empty", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "old"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_frame_that_cannot_be_read_ends_it_with_its_name(tmp_path, workers):
    old = record(tmp_path / "old", format="png")
    (old / "000001/000003.png").write_bytes(b"no picture")
    with pytest.raises(ChunkError, match=r"000003\.png"):
        imgstore.convert(old, tmp_path / "new", format="npy", chunksize=4, workers=workers)
    shutil.copy(old / "000001/000004.png", old / "000001/000003.png")
    assert imgstore.convert(old, tmp_path / "new", format="npy", chunksize=4).frames == 30


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_a_store_that_is_still_written_is_converted_as_far_as_it_is(tmp_path, fmt):
    images = numbered_images((32, 48), 12)
    with imgstore.create(tmp_path / "old", (32, 48), format=fmt, chunksize=5) as writer:
        for number, image in enumerate(images):
            writer.append(Frame(image, 0, number, number / 10))

        def shown():
            with imgstore.open(tmp_path / "old") as store:
                return len(store)

        assert wait(lambda: shown() >= 11, lambda: True)  # chunks are finished in the background
        done = imgstore.convert(tmp_path / "old", tmp_path / "new", format="png", chunksize=4)
        assert done.frames in (11, 12)
        part = imgstore.cut(tmp_path / "old", tmp_path / "part", 3, 11, by="index")
        assert part.frames == 8
    with imgstore.open(tmp_path / "old") as before:
        for name, first in (("new", 0), ("part", 3)):
            with imgstore.open(tmp_path / name) as after:
                assert after.problems == ()
                assert after.state == "complete"
                assert_same_frames(after, before, first, atol=6 if fmt == "h264/mkv" else 0)


def test_a_store_whose_writer_died_is_converted_and_cut(tmp_path):
    old = record(tmp_path / "old", format="h264/mkv")
    chunk = old / "000002"
    with np.load(chunk.with_suffix(".npz")) as index:
        numbers, times = index["frame_number"], index["frame_time"]
    chunk.with_suffix(".npz").unlink()
    from imgstore.journal import Journal

    journal = Journal(old / ".000002.journal")
    for number, seconds in zip(numbers.tolist(), times.tolist(), strict=True):
        journal.append(number, seconds)
    journal.close()
    imgstore.convert(old, tmp_path / "new", format="npy")
    imgstore.cut(old, tmp_path / "part", 5, 25, by="index")
    with imgstore.open(old) as before:
        assert before.state == "interrupted"
        for name, first in (("new", 0), ("part", 5)):
            with imgstore.open(tmp_path / name) as after:
                assert (after.state, after.problems) == ("complete", ())
                assert_same_frames(after, before, first, atol=4 if first else 0)


def test_a_missing_chunk_shifts_no_record(tmp_path):
    old = record(tmp_path / "old", format="ffv1/mkv")
    for file in old.glob("000001.*"):
        file.unlink()
    imgstore.convert(old, tmp_path / "new", format="npy", chunksize=6)
    with imgstore.open(tmp_path / "new") as store:
        told = [row for row in records(store) if row["light"] is not None]
        numbers = dict(enumerate(NUMBERS))
        assert [row["light"] for row in told] == [2, 6, 14, 18, 22, 26]
        for row in told:
            assert store.numbers[row["frame_index"]] == row["frame_number"] == numbers[row["light"]]


def test_what_motif_recorded_becomes_a_store_of_ours(motif_store, tmp_path):  # noqa: F811
    old = motif_store()
    write_signals(old / "000000.extra_data.h5", np.arange(100, 112))
    write_signals(old / "000001.extra_data.h5", np.arange(112, 120))
    imgstore.convert(old, tmp_path / "new", format="png", chunksize=8)
    with imgstore.open(old) as before, imgstore.open(tmp_path / "new") as after:
        assert_same_frames(after, before)
        assert after.metadata.timezone.key == "Europe/Vienna"
        assert after.metadata.created == before.metadata.created
        mine, theirs = after.extra(), before.extra()
        assert mine["frame_number"].tolist() == list(range(100, 120))
        for column in theirs.columns.difference(["frame_index"]):
            np.testing.assert_array_equal(mine[column], theirs[column])
    with h5py.File(tmp_path / "new/000001.extra_data.h5") as content:
        assert content["camera"]["frame_number"].tolist() == list(range(108, 116))
        assert content["audio"].shape == (2, 8)
        assert (
            content["audio"].attrs["samplerate"]
            == h5py.File(old / "000000.extra_data.h5")["audio"].attrs["samplerate"]
        )


def test_signals_of_another_layout_go_along_while_chunks_stay(tmp_path):
    old = record(tmp_path / "old", format="ffv1/mkv", extra=False)
    with h5py.File(old / "000001.extra_data.h5", "w") as content:
        content["something"] = np.arange(5)
    imgstore.convert(old, tmp_path / "new", format="h264/mkv")
    assert (tmp_path / "new/000001.extra_data.h5").read_bytes() == (old / "000001.extra_data.h5").read_bytes()
    with pytest.raises(ChunkError, match="keep the chunks as they are"):
        imgstore.convert(old, tmp_path / "other", chunksize=5)


def record_stream(path, rate=1000.0):
    """Record 35 frames in chunks of 10 with two streams beside them; return what was said."""
    samples = np.arange(35 * 40 * 2).reshape(-1, 2)
    with imgstore.create(path, (32, 48), format="ffv1/mkv", chunksize=10) as writer:
        sound = writer.stream("audio", ["left", "right"], rate, np.int16)
        slow = writer.stream("light", ["lux"], 25.0, np.float64)
        for number in range(35):
            moment = 1.7e9 + 0.04 * number + (5 if number > 17 else 0)  # a pause
            writer.append(Frame(np.zeros((32, 48), np.uint8), 0, number, moment))
            sound.append(samples[40 * number : 40 * number + 40], moment)
            slow.append([[number / 7]], moment)
    return path, samples


@pytest.mark.parametrize("chunksize", [3, 10, 14, 100])
def test_streams_go_along_sample_by_sample(tmp_path, chunksize):
    old, samples = record_stream(tmp_path / "old")
    imgstore.convert(old, tmp_path / "new", format="png", chunksize=chunksize)
    with imgstore.open(old) as before, imgstore.open(tmp_path / "new") as after:
        np.testing.assert_array_equal(after.stream("audio").samples, samples)
        for name in ("audio", "light"):
            mine, theirs = after.stream(name), before.stream(name)
            assert (mine.rate, mine.columns, mine.problems) == (theirs.rate, theirs.columns, ())
            np.testing.assert_array_equal(mine.samples, theirs.samples)
            np.testing.assert_allclose(mine.times, theirs.times, rtol=0, atol=1e-6)
            moved = np.flatnonzero(mine.frame_index != theirs.frame_index)
            assert np.isin(moved % round(mine.rate / 25), 0).all()  # at the very instant of a frame


@pytest.mark.parametrize(("first", "stop"), [(0, 10), (10, 30), (4, 27), (13, 16), (22, 35)])
def test_streams_are_cut_with_their_frames(tmp_path, first, stop):
    old, samples = record_stream(tmp_path / "old")
    imgstore.cut(old, tmp_path / "new", first, stop, by="index")
    with imgstore.open(tmp_path / "new") as after:
        stream = after.stream("audio")
        np.testing.assert_array_equal(stream.samples, samples[40 * first : 40 * stop])
        assert stream.problems == ()
        assert np.abs(stream.frame_index - np.repeat(np.arange(stop - first), 40)).max() <= 1
        np.testing.assert_allclose(after.stream("light").samples[:, 0], np.arange(first, stop) / 7)


def test_streams_of_a_store_that_is_still_written_go_along(tmp_path):
    with imgstore.create(tmp_path / "old", (32, 48), format="png", chunksize=10) as writer:
        stream = writer.stream("audio", ["left"], 1000.0, np.int16)
        for number in range(25):
            writer.append(Frame(np.zeros((32, 48), np.uint8), 0, number, number * 0.04))
            stream.append(np.full((40, 1), number), number * 0.04)
        writer.append(Frame(np.zeros((32, 48), np.uint8), 0, 25, 1.0))
        deadline = time.monotonic() + 10
        while len(imgstore.open(tmp_path / "old")) < 26 and time.monotonic() < deadline:
            time.sleep(0.02)
        imgstore.convert(tmp_path / "old", tmp_path / "new", chunksize=7)
    with imgstore.open(tmp_path / "new") as after:
        found = after.stream("audio").samples[:, 0]
        assert len(found) > 900
        np.testing.assert_array_equal(found, np.repeat(np.arange(25), 40)[: len(found)])


# Cutting


def cut_and_compare(old, new, first, stop, *, atol=0):
    """Cut by index, check all of it, and return what was done."""
    done = imgstore.cut(old, new, first, stop, by="index")
    with imgstore.open(old) as before, imgstore.open(new) as after:
        assert len(after) == done.frames == stop - first
        assert (after.state, after.problems) == ("complete", ())
        assert_same_frames(after, before, first, atol=atol)
        assert after.user_metadata == before.user_metadata
        assert after.metadata.created == before.metadata.created
        assert after.metadata.uuid != before.metadata.uuid
        kept = [
            {**row, "frame_index": max(row["frame_index"] - first, -1)}
            for row in records(before)
            if row["frame_index"] in range(first - (first == 0), stop)
        ]
        assert [row["frame_index"] for row in records(after)] == [row["frame_index"] for row in kept]
        assert [row["light"] for row in records(after)] == [row["light"] for row in kept]
    return done


@pytest.mark.parametrize("fmt", ["npy", "png", "jpg", "mjpeg/avi", "ffv1/mkv"])
@pytest.mark.parametrize(("first", "stop"), [(0, 30), (7, 21), (3, 26), (8, 9), (20, 30)])
def test_images_and_videos_of_keyframes_are_cut_without_encoding(tmp_path, fmt, first, stop):
    old = record(tmp_path / "old", format=fmt)
    assert cut_and_compare(old, tmp_path / "new", first, stop).encoded == 0


@pytest.mark.parametrize("fmt", ["h264/mkv", "avc1/mp4", "hevc/mkv"])
@pytest.mark.parametrize("shape", [(32, 48), (31, 47), (32, 48, 3)], ids=["grey", "odd", "colour"])
def test_only_frames_before_the_first_keyframe_are_encoded_again(tmp_path, fmt, shape):
    old = record(tmp_path / "old", format=fmt, shape=shape, settings=FormatSettings(gop=3))
    assert cut_and_compare(old, tmp_path / "even", 7, 19).encoded == 0
    done = cut_and_compare(old, tmp_path / "odd", 8, 20, atol=12)
    assert done.encoded in (1, 2)  # the encoder may put keyframes where it likes, but not farther apart
    with imgstore.open(tmp_path / "odd") as after, imgstore.open(old) as before:
        lengths = [len(after.chunk_range(chunk)) for chunk in after.chunks]
        assert lengths == [done.encoded, 6 - done.encoded, 6]
        for index in range(done.encoded, 12):
            np.testing.assert_array_equal(after[index].image, before[8 + index].image)


def test_lossless_video_is_cut_without_loss(tmp_path):
    old = record(tmp_path / "old", format="h264/mkv", settings="lossless", chunksize=15)
    assert cut_and_compare(old, tmp_path / "new", 4, 28).encoded == 11


def test_a_video_with_frames_out_of_order_is_encoded_where_it_is_cut(motif_store, tmp_path):  # noqa: F811
    old = motif_store()
    done = imgstore.cut(old, tmp_path / "new", 5, 20, by="index")
    assert (done.encoded, done.chunks) == (7, 2)
    with imgstore.open(old) as before, imgstore.open(tmp_path / "new") as after:
        assert_same_frames(after, before, 5, atol=20)
        assert after.metadata.store["class"] == "VideoImgStoreFFMPEG"
        assert after.metadata.created == before.metadata.created


def test_a_mosaic_is_cut_as_it_lies(tmp_path):
    old = record(tmp_path / "old", format="ffv1/mkv", encoding="cv_bayerbg", settings=FormatSettings(gop=4))
    assert cut_and_compare(old, tmp_path / "new", 5, 25).encoded == 2


def test_signals_are_cut_with_their_frames(motif_store, tmp_path):  # noqa: F811
    old = motif_store()
    write_signals(old / "000000.extra_data.h5", np.arange(100, 112))
    write_signals(old / "000001.extra_data.h5", np.arange(112, 120))
    imgstore.cut(old, tmp_path / "new", 12, 17, by="index")
    with h5py.File(tmp_path / "new/000000.extra_data.h5") as content:
        assert content["camera"]["frame_number"].tolist() == list(range(112, 117))
        assert content["camera"]["frame_index"].tolist() == [
            index - 12 for index in h5py.File(old / "000001.extra_data.h5")["camera"]["frame_index"][:5]
        ]


@pytest.mark.parametrize(
    ("by", "start", "stop", "numbers"),
    [
        ("number", 9, 200, [9, 9, 8, 100]),
        ("number", 6, 9.5, [9, 9, 8]),
        ("index", -3, None, [220, 221, 222]),
        ("index", None, 2, [3, 4]),
        ("time", 1e9 + 9.5, 1e9 + 11, [100]),
        ("seconds", 0.05, 0.15, [4]),
    ],
)
def test_a_range_is_found(tmp_path, by, start, stop, numbers):
    times = [1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.3, 1e9 + 9, 1e9 + 9.1, 1e9 + 9.2, 1e9 + 10, *(2e9 + np.arange(23))]
    with imgstore.create(tmp_path / "old", (32, 48), format="npy") as writer:
        for number, seconds in zip(NUMBERS, times, strict=True):
            writer.append(Frame(np.zeros((32, 48), np.uint8), 0, number, seconds))
    imgstore.cut(tmp_path / "old", tmp_path / "new", start, stop, by=by)
    with imgstore.open(tmp_path / "new") as store:
        expected = numbers if by != "number" or stop != 9.5 else NUMBERS[3:6] + NUMBERS[6:6]
        assert store.numbers.tolist() == expected


def test_a_time_of_1970_is_refused_where_seconds_from_the_start_are_meant(tmp_path):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy") as writer:
        for n in range(5):
            writer.append(Frame(np.zeros((4, 6), np.uint8), n, n, 1.7e9 + n))
    with imgstore.open(tmp_path / "a") as store:
        for ends in ((3, None), (None, 3.0)):
            with pytest.raises(FrameNotFoundError, match="count from the first frame"):
                imgstore.find_range(store, *ends)
        assert imgstore.find_range(store, 3, by="seconds") == range(3, 5)
        assert imgstore.find_range(store, 1.6e9) == range(5)


def test_a_range_without_frames_is_told_with_what_there_is(tmp_path):
    old = record(tmp_path / "old")
    for by, says in (("index", "0 to 29"), ("number", "3 to 222"), ("time", "2001-09-09")):
        with pytest.raises(FrameNotFoundError, match=says):
            imgstore.cut(old, tmp_path / "new", 5e12 if by == "time" else 1000, None, by=by)
    with pytest.raises(UnknownNameError):
        imgstore.cut(old, tmp_path / "new", 1, by="frame")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_cutting_goes_on_and_refuses_as_converting_does(tmp_path):
    old = record(tmp_path / "old")
    with pytest.raises(StopError):
        imgstore.cut(old, tmp_path / "new", 2, 28, by="index", progress=stop_after(15))
    with pytest.raises(StoreExistsError, match="first was 2, and is 3"):
        imgstore.cut(old, tmp_path / "new", 3, 28, by="index")
    assert imgstore.cut(old, tmp_path / "new", 2, 28, by="index").kept == 2
    with pytest.raises(StoreExistsError):
        imgstore.cut(old, tmp_path / "new", 2, 28, by="index")
    assert imgstore.cut(old, tmp_path / "new", 2, 20, by="index", force=True).frames == 18


def test_a_real_recording_is_converted_and_cut(data: Path, tmp_path):
    with (
        imgstore.open_video(data / "arena_10x2.mp4", start_time=1.7e9, crop=(300, 200, 321, 200)) as video,
        imgstore.create(tmp_path / "old", video.spec.shape, chunksize=40) as writer,
    ):
        for frame in islice(video, 100):
            writer.append(frame)
    imgstore.convert(tmp_path / "old", tmp_path / "new", format="ffv1/mkv", workers=2, chunksize=30)
    assert imgstore.cut(tmp_path / "old", tmp_path / "part", 1.7e9 + 1, 1.7e9 + 4).encoded == 10
    with imgstore.open(tmp_path / "old") as old:
        for name, first in (("new", 0), ("part", 20)):
            with imgstore.open(tmp_path / name) as new:
                assert_same_frames(new, old, first, atol=16 if first else 0)
