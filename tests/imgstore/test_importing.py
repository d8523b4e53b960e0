"""Videos and pictures made into stores."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pictures

import imgstore
from imgstore import FrameFormatError, StoreExistsError, VideoError
from tests.conftest import numbered_images
from tests.imgstore.test_transcode import StopError, stop_after
from tests.imgstore.test_video import write_video


def test_a_video_keeps_its_times_and_pixels(tmp_path):
    stamps = [0, 50, 100, 900, 950, 2000]
    path = write_video(tmp_path / "a fïlm.mkv", 6, pts=stamps, bf=2)
    done = imgstore.import_video(
        path, tmp_path / "a.store", start_time=1.7e9, format="ffv1/mkv", chunksize=4, metadata={"age": 3}
    )
    assert (done.frames, done.chunks) == (6, 2)
    with imgstore.open_video(path) as video, imgstore.open(done.path) as store:
        assert store.spec.shape == (32, 48)  # it looks grey
        assert store.numbers.tolist() == list(range(6))
        np.testing.assert_array_equal(store.times, video.times + 1.7e9)
        for index in range(6):
            np.testing.assert_array_equal(store[index].image, video[index].image)
        assert store.user_metadata == {"age": 3}
        made = store.metadata.store["made_from"]
        assert (made["did"], made["name"], made["start_time"]) == ("import", "a fïlm.mkv", 1.7e9)


def test_colour_is_kept_unless_grey_is_asked_for(tmp_path):
    with imgstore.create(tmp_path / "a", (32, 48, 3), format="ffv1/mkv") as writer:
        for number, image in enumerate(numbered_images((32, 48, 3), 6)):
            image[..., 0] = 7
            writer.append(imgstore.Frame(image, 0, number, number / 10))
    video = tmp_path / "a/000000.mkv"
    imgstore.import_video(video, tmp_path / "colour", format="png")
    imgstore.import_video(video, tmp_path / "grey", format="png", grey=True)
    with imgstore.open(tmp_path / "a") as old, imgstore.open(tmp_path / "colour") as new:
        np.testing.assert_array_equal(new[3].image, old[3].image)
        assert imgstore.open(tmp_path / "grey").spec.shape == (32, 48)


def test_an_import_goes_on_with_any_number_of_workers(tmp_path):
    path = write_video(tmp_path / "a.mp4", 40)
    with pytest.raises(StopError):
        imgstore.import_video(path, tmp_path / "new", chunksize=4, progress=stop_after(10))
    with pytest.raises(StoreExistsError, match=r"start_time was 0\.0, and is 5\.0"):
        imgstore.import_video(path, tmp_path / "new", chunksize=4, start_time=5.0)
    done = imgstore.import_video(path, tmp_path / "new", chunksize=4, workers=2)
    assert (done.frames, done.kept) == (40, 2)
    with imgstore.open(tmp_path / "new") as store:
        assert store.problems == ()
        np.testing.assert_allclose(store.times, np.arange(40) / 20)


def test_what_is_no_video_is_told(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    for name in ("a.mp4", "none.mp4"):
        with pytest.raises(VideoError):
            imgstore.import_video(tmp_path / name, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("name", "grey"), [("arena_10x2.mp4", False), ("mouse.mp4", True)])
def test_a_real_video_is_grey_if_it_looks_so(data: Path, name, grey):
    assert imgstore.transcode.importing.is_grey(data / name) == grey


def test_a_real_video_is_imported(data: Path, tmp_path):
    part = (100, 100, 65, 50)
    done = imgstore.import_video(
        data / "arena_10x2.mp4", tmp_path / "a", crop=part, grey=True, settings="lossless", chunksize=500
    )
    assert (done.frames, done.chunks) == (1200, 3)
    with (
        imgstore.open_video(data / "arena_10x2.mp4", crop=part) as video,
        imgstore.open(done.path) as store,
    ):
        np.testing.assert_array_equal(store.times, video.times)
        np.testing.assert_array_equal(store[700].image, video[700].image)


# Pictures


def save_pictures(folder, names, shape=(32, 48), dtype="uint8"):
    folder.mkdir(exist_ok=True)
    for name, image in zip(names, numbered_images(shape, len(names), dtype), strict=True):
        file = folder / name
        file.write_bytes(cv2.imencode(file.suffix, image)[1].tobytes())
    return folder


@pytest.mark.parametrize(
    ("shape", "dtype"), [((32, 48), "uint8"), ((31, 47, 3), "uint8"), ((32, 48), "uint16")]
)
def test_pictures_come_in_natural_order_to_the_bit(tmp_path, shape, dtype):
    names = [f"img{number}.png" for number in range(8, 13)]  # img8 img9 img10 ...
    folder = save_pictures(tmp_path / "Bilder ä", names, shape, dtype)
    (folder / "notes.txt").write_text("no picture")
    done = imgstore.import_images([folder], tmp_path / "a", rate=4, start_time=100, chunksize=3)
    with imgstore.open(done.path) as store:
        assert store.metadata.format == "png"
        np.testing.assert_array_equal(store.times, 100 + np.arange(5) / 4)
        assert store.spec.dtype == dtype
        for frame, image in zip(store, numbered_images(shape, 5, dtype), strict=True):
            np.testing.assert_array_equal(frame.image, image)


def test_order_is_that_of_people():
    names = ["a10.png", "a9.png", "000010.png", "000009.png", "b1_c20.png", "b1_c3.png", "B.png"]
    ordered = sorted(map(Path, names), key=imgstore.transcode.importing.natural_order)
    assert [path.name for path in ordered] == [
        "000009.png",
        "000010.png",
        "B.png",
        "a9.png",
        "a10.png",
        "b1_c3.png",
        "b1_c20.png",
    ]


def test_jpegs_become_video_and_grey_ones_stay_grey(tmp_path):
    folder = save_pictures(tmp_path / "in", [f"{n}.jpg" for n in range(5)])
    imgstore.import_images(sorted(folder.iterdir()), tmp_path / "a")
    with imgstore.open(tmp_path / "a") as store:
        assert (store.metadata.format, store.spec.shape) == ("h264/mkv", (32, 48))
        np.testing.assert_allclose(store.times, np.arange(5) / 25)


def test_pictures_that_differ_are_named(tmp_path):
    folder = save_pictures(tmp_path / "in", ["1.png", "2.png"])
    save_pictures(folder, ["3.png"], (30, 48))
    with pytest.raises(FrameFormatError, match=r"3\.png is uint8 of shape \(30, 48\)"):
        imgstore.import_images([folder], tmp_path / "a")
    (folder / "3.png").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"3\.png is no picture"):
        imgstore.import_images([folder], tmp_path / "a")
    (folder / "3.png").unlink()
    save_pictures(folder, ["3.png"], (32, 48, 3))
    with pytest.raises(FrameFormatError, match=r"3\.png"):
        imgstore.import_images([folder], tmp_path / "a")
    assert imgstore.import_images([folder], tmp_path / "a", grey=True).frames == 3
    for nothing in ([], [tmp_path / "none"], [tmp_path / "a"]):
        with pytest.raises(VideoError):
            imgstore.import_images(nothing, tmp_path / "b")


def test_transparency_is_dropped_and_parts_are_read(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 4), np.uint8)
    (tmp_path / "1.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    imgstore.import_images([tmp_path / "1.png"], tmp_path / "a", crop=(4, 2, 10, 20))
    with imgstore.open(tmp_path / "a") as store:
        np.testing.assert_array_equal(store[0].image, image[2:22, 4:14, :3])


def test_times_come_from_files_only_when_asked_for(tmp_path):
    folder = save_pictures(tmp_path / "in", ["1.png", "2.png"])
    for name, time in (("1.png", 1.5e9), ("2.png", 1.5e9 + 60.5)):
        os.utime(folder / name, (time, time))
    imgstore.import_images([folder], tmp_path / "rate")
    imgstore.import_images([folder], tmp_path / "mtime", times="mtime")
    assert imgstore.open(tmp_path / "rate").times.tolist() == [0, 0.04]
    assert imgstore.open(tmp_path / "mtime").times.tolist() == [1.5e9, 1.5e9 + 60.5]
    with pytest.raises(VideoError, match="does not say when it was taken"):
        imgstore.import_images([folder], tmp_path / "exif", times="exif")
    with pytest.raises(FrameFormatError, match="rate"):
        imgstore.import_images([folder], tmp_path / "none", rate=0)


def test_times_come_from_the_camera(tmp_path):
    taken = datetime(2026, 11, 21, 14, 30, 5, tzinfo=timezone(timedelta(hours=2)))
    for place in range(3):
        picture = Pictures.fromarray(numbered_images((32, 48), 1)[0])
        exif = Pictures.Exif()
        now = taken + timedelta(minutes=place)
        exif.get_ifd(0x8769).update({0x9003: f"{now:%Y:%m:%d %H:%M:%S}", 0x9011: "+02:00", 0x9291: "25"})
        picture.save(tmp_path / f"{place}.jpg", exif=exif)
    imgstore.import_images(tmp_path.glob("*.jpg"), tmp_path / "a", times="exif", format="jpg")
    first = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC).timestamp() + 0.25
    np.testing.assert_allclose(imgstore.open(tmp_path / "a").times, [first, first + 60, first + 120])
