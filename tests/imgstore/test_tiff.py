"""Stores as one TIFF, read back by other programs' libraries."""

import importlib.util
import json
import shutil
import signal
import threading

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

import imgstore
from imgstore import (
    Frame,
    FrameFormatError,
    FrameNotFoundError,
    MissingDependencyError,
    OutputExistsError,
    UnknownNameError,
)
from imgstore.transcode import tiff
from imgstore.waiting import wait

START = 1_790_000_000.25


def record(path, *, shape=(31, 47), dtype="uint8", count=12, numbers=None, **options):
    """Record noise, 20 frames a second, and return the images."""
    numbers = list(range(count)) if numbers is None else numbers
    random = np.random.default_rng(1)
    most = 2**16 if dtype == "uint16" else 250
    images = [(random.random(shape) * most).astype(dtype) for _ in numbers]
    with imgstore.create(path, shape, dtype, **{"format": "npy", "chunksize": 5, **options}) as writer:
        for image, number in zip(images, numbers, strict=True):
            writer.append(Frame(image, 0, number, START + number / 20))
    return images


def with_opencv(path):
    done, images = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    assert done
    return images


def facts(path):
    """Return what the pages say of themselves."""
    with tifffile.TiffFile(path) as file:
        return [json.loads(page.description) for page in file.pages]


@pytest.mark.parametrize("compression", imgstore.TIFF_COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(31, 47), (31, 47, 3), (1, 1)], ids=["grey", "colour", "one pixel"])
def test_every_pixel_is_read_back(tmp_path, shape, dtype, compression):
    if compression == "lzw":
        pytest.importorskip("imagecodecs")
    images = record(tmp_path / "a", shape=shape, dtype=dtype)
    done = imgstore.export_tiff(tmp_path / "a", tmp_path / "a.tif", compression=compression)

    assert (done.frames, done.is_big) == (12, False)
    np.testing.assert_array_equal(with_opencv(done.path), images)
    read = tifffile.imread(done.path)
    assert read.shape == (12, *shape)
    np.testing.assert_array_equal(read[..., ::-1] if len(shape) == 3 else read, images)
    with tifffile.TiffFile(done.path) as file:
        first = file.pages.first
        assert first.photometric.name == ("RGB" if len(shape) == 3 else "MINISBLACK")
        assert first.compression.value == {"none": 1, "deflate": 8, "lzw": 5}[compression]


@pytest.mark.skipif(importlib.util.find_spec("imagecodecs") is not None, reason="imagecodecs is here")
def test_what_lzw_needs_is_said(tmp_path):
    record(tmp_path / "a")
    with pytest.raises(MissingDependencyError, match="tiff-lzw"):
        imgstore.export_tiff(tmp_path / "a", tmp_path / "a.tif", compression="lzw")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_pages_and_the_table_say_which_frames_they_are_across_gaps(tmp_path):
    numbers = [3, 4, 7, 8, 20, 21]
    record(tmp_path / "a", numbers=numbers, metadata={"timezone_local": "UTC"})
    done = imgstore.export_tiff(tmp_path / "a", tmp_path / "Flies [1] ü.tiff")

    said = facts(done.path)
    assert [page["number"] for page in said] == numbers
    assert [page["index"] for page in said] == list(range(6))
    assert [page["time"] for page in said] == [START + number / 20 for number in numbers]
    assert done.table == tmp_path / "Flies [1] ü.csv"
    table = pd.read_csv(done.table)
    assert list(table.columns) == ["page", "index", "number", "time", "local"]
    assert table["page"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["number"].tolist() == numbers
    assert table["time"].tolist() == [page["time"] for page in said]
    assert table["local"].tolist() == [page["local"] for page in said]
    assert pd.Timestamp(said[0]["local"]).timestamp() == pytest.approx(said[0]["time"])


def test_a_part_is_read_as_a_user_asks_for_it(tmp_path):
    images = record(tmp_path / "a", shape=(32, 48, 3))
    imgstore.export_tiff(
        tmp_path / "a", tmp_path / "a.tif", 2, 7, by="number", grey=True, crop=(5, 3, 21, 11)
    )
    expected = [cv2.cvtColor(image[3:14, 5:26], cv2.COLOR_BGR2GRAY) for image in images[2:7]]
    np.testing.assert_allclose(with_opencv(tmp_path / "a.tif"), expected, atol=1)
    assert [page["number"] for page in facts(tmp_path / "a.tif")] == [2, 3, 4, 5, 6]


def test_a_store_whose_writer_died_gives_what_it_holds(tmp_path):
    with imgstore.create(tmp_path / "a", (32, 48), format="ffv1/mkv", chunksize=5) as writer:
        for number in range(8):
            writer.append(Frame(np.full((32, 48), number, np.uint8), 0, number, START + number))
        chunk = tmp_path / "a" / ".000000.journal"
        assert wait(lambda: not chunk.exists(), lambda: True)  # it goes when the chunk is finished
        shutil.copytree(
            tmp_path / "a", tmp_path / "died", ignore=shutil.ignore_patterns(".lock", "*.partial")
        )
    with imgstore.open(tmp_path / "died") as store:
        assert store.state == "interrupted"
        count = len(store)
    imgstore.export_tiff(tmp_path / "died", tmp_path / "died.tif")

    assert count >= 5
    assert [int(image.mean()) for image in with_opencv(tmp_path / "died.tif")] == list(range(count))


def test_what_may_become_too_large_is_a_bigtiff(tmp_path, monkeypatch):
    images = record(tmp_path / "a")
    monkeypatch.setattr(tiff, "_CLASSIC_BYTES", 10_000)
    done = imgstore.export_tiff(tmp_path / "a", tmp_path / "a.tif")

    assert done.is_big
    with tifffile.TiffFile(done.path) as file:
        assert file.is_bigtiff
    np.testing.assert_array_equal(with_opencv(done.path), images)


def test_nothing_is_overwritten_unless_it_is_forced(tmp_path):
    record(tmp_path / "a")
    for name in ("a.tif", "a.csv"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(OutputExistsError, match=name):
            imgstore.export_tiff(tmp_path / "a", tmp_path / "a.tif")
        assert (tmp_path / name).read_text() == "mine"
        if name == "a.tif":
            (tmp_path / name).unlink()
    imgstore.export_tiff(tmp_path / "a", tmp_path / "a.tif", force=True)
    assert len(facts(tmp_path / "a.tif")) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.csv", "a.tif"]


@pytest.mark.parametrize("how", ["an error", "Ctrl-C"])
def test_what_is_interrupted_leaves_nothing_and_keeps_what_was_there(tmp_path, how):
    record(tmp_path / "a")
    (tmp_path / "a.tif").write_text("mine")

    def stop(done, total):
        if done == 5 and how == "Ctrl-C":
            signal.raise_signal(signal.SIGINT)
        elif done == 5:
            raise RuntimeError("enough")

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt if how == "Ctrl-C" else RuntimeError):
        imgstore.export_tiff(tmp_path / "a", tmp_path / "a.tif", force=True, progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.tif"]
    assert (tmp_path / "a.tif").read_text() == "mine"


def test_progress_counts_the_pages(tmp_path):
    record(tmp_path / "a")
    told = []
    imgstore.export_tiff(tmp_path / "a", tmp_path / "a.tif", progress=lambda *step: told.append(step))
    assert told == [(done, 12) for done in range(1, 13)]


def test_wrong_wishes_are_told_before_anything_is_written(tmp_path):
    record(tmp_path / "a")
    record(tmp_path / "deep", dtype="int32")
    for error, source, out, options in (
        (UnknownNameError, "a", "a.png", {}),
        (UnknownNameError, "a", "a.tif", {"compression": "jpeg"}),
        (OutputExistsError, "a", "a/a.tif", {}),
        (FrameNotFoundError, "a", "a.tif", {"start": 100, "by": "index"}),
        (FrameFormatError, "deep", "a.tif", {}),
    ):
        with pytest.raises(error):
            imgstore.export_tiff(tmp_path / source, tmp_path / out, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "deep"]
    assert not list((tmp_path / "a").glob("*.tif"))
