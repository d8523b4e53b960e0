"""Stores of shaliulab's FlyHostel: two cameras, milliseconds, a first chunk of another kind, an index."""

import json
import sqlite3
from contextlib import closing

import av
import numpy as np
import pytest
import yaml

import imgstore
from imgstore import ChunkError, MetadataError
from imgstore.index import ImgStoreIndex
from tests.conftest import numbered_images

SHAPE = (64, 96)
CHUNK = 8


def write_video(path, images, rate):
    """Encode as the recorder does: MPEG-4 in AVI, H.264 in MP4, at the rate of the camera."""
    codec = "mpeg4" if path.suffix == ".avi" else "libx264"
    options = {} if path.suffix == ".avi" else {"crf": "12", "preset": "ultrafast"}
    with av.open(str(path), "w") as video:
        stream = video.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = SHAPE
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for image in images:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        video.mux(stream.encode(None))


def write_index_db(path, numbers, times):
    """Write the recorder's index, in which frames are counted from 0."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            "CREATE TABLE frames (chunk INTEGER, frame_idx INTEGER, frame_number INTEGER, frame_time REAL);"
            "CREATE TABLE chunks (chunk INTEGER, chunk_path TEXT);"
            "CREATE TABLE index_information (name TEXT, value TEXT);"
            "CREATE TABLE summary (name TEXT, value REAL);"
            "CREATE UNIQUE INDEX id ON frames (frame_number);"
            "INSERT INTO index_information VALUES ('version', '1');"
        )
        rows = [
            (place // CHUNK, place % CHUNK, number, time)
            for place, (number, time) in enumerate(zip(numbers, times, strict=True))
        ]
        database.executemany("INSERT INTO frames VALUES (?, ?, ?, ?)", rows)


def make_camera(path, *, rate, count, first=0, burn_in=False, **section):
    """Make the store of one camera; times are milliseconds since the start."""
    path.mkdir(parents=True)
    images = numbered_images(SHAPE, count)
    numbers = np.arange(first, first + count)
    times = 1000.0 / rate * np.arange(count)
    for start in range(0, count, CHUNK):
        stem = path / f"{start // CHUNK:06d}"
        part = slice(start, start + CHUNK)
        write_video(stem.with_suffix(".mp4" if start else ".avi"), images[part], rate)
        np.savez(stem.with_suffix(".npz"), frame_number=numbers[part], frame_time=times[part])
        if burn_in and start:
            write_video(stem.with_suffix(".avi"), images[part][:3], rate)
    store = {
        "class": "VideoImgStore",
        "version": 2,
        "format": "h264_nvenc/mp4",
        "extension": ".mp4",
        "imgshape": list(SHAPE),
        "imgdtype": "uint8",
        "chunksize": CHUNK,
        "encoding": None,
        "framerate": rate,
        "created_utc": "2022-03-04T05:06:07",
        "timezone_local": "Europe/Brussels",
        **section,
    }
    (path / "metadata.yaml").write_text(yaml.safe_dump({"__store": store}))
    write_index_db(path / "index.db", range(count), times)
    return path


def add_extra_cameras(path, extra):
    """Name other cameras in the metadata of a store."""
    content = yaml.safe_load((path / "metadata.yaml").read_text())
    content["__store"]["extra_cameras"] = extra
    (path / "metadata.yaml").write_text(yaml.safe_dump(content))


def assert_frames_are(frames, count):
    """Check that each frame is the one of its index, by the bar in it."""
    expected = numbered_images(SHAPE, count)
    for frame in frames:
        off = [np.abs(frame.image.astype(int) - image).mean() for image in expected]
        assert np.argmin(off) == frame.index


@pytest.mark.parametrize("burn_in", [False, True])
def test_frames_numbers_and_seconds_are_right_whatever_else_lies_there(tmp_path, burn_in):
    path = make_camera(tmp_path / "a", rate=25, count=20, first=100, burn_in=burn_in)
    with imgstore.open(path) as store:
        assert store.problems == ()
        assert store.chunks == (0, 1, 2)
        assert store.numbers.tolist() == list(range(100, 120))
        assert store.times.tolist() == [n / 25 for n in range(20)]
        assert_frames_are(store, 20)
        assert_frames_are([store[n] for n in (19, 0, 8, 7, 16)], 20)
        assert store.by_time(0.4, exact=True).index == 10
        followed = list(store.follow())
    assert [frame.time for frame in followed] == [n / 25 for n in range(20)]
    assert_frames_are(followed, 20)


def test_loopbios_names_give_the_times_as_they_stand(tmp_path):
    path = make_camera(tmp_path / "a", rate=25, count=12, first=5)
    (path / "000000.extra.json").write_text(json.dumps([{"frame_number": 5, "light": 1}]))
    with imgstore.new_for_filename(path) as store:
        assert (store.frame_count, store.chunks, store.frame_time_max) == (12, [0, 1], 440.0)
        assert store.get_image(6)[1] == (6, 40.0)
        assert store._cap.read()[0]
        assert store.get_nearest_image(401.0)[1] == (15, 400.0)
        store.disable_decoding()
        assert store.get_next_image()[1] == (16, 440.0)
        assert store.get_extra_data()["light"].tolist() == [1]


def test_the_recorders_index_is_read_where_it_is_passed_and_refused_where_it_counts_otherwise(tmp_path):
    same = make_camera(tmp_path / "same", rate=25, count=12)
    other = make_camera(tmp_path / "other", rate=25, count=12, first=100)
    for path in (same, other):
        index = ImgStoreIndex.new_from_file(path / "index.db")
        assert index.get_all_metadata()["frame_number"] == list(range(12))
    with imgstore.new_for_filename(same, index=ImgStoreIndex.new_from_file(same / "index.db")) as store:
        assert store.get_image(9)[1] == (9, 360.0)
    with pytest.raises(ChunkError, match="other frames for chunk 0"):
        imgstore.new_for_filename(other, index=ImgStoreIndex.new_from_file(other / "index.db"))


@pytest.mark.parametrize(
    ("framerate", "interval", "seconds"),
    [
        (25, 40.0, 0.04),
        (25.0, 0.04, 0.04),
        (150, 1000 / 150, 1 / 150),
        (0.5, 2000.0, 2.0),
        (0.5, 2.0, 2.0),
        (None, 40.0, 40.0),
        (True, 40.0, 40.0),
        ("fast", 40.0, 40.0),
        (0, 40.0, 40.0),
    ],
)
def test_milliseconds_are_told_by_the_rate_that_the_store_says(make_store, framerate, interval, seconds):
    path = make_store(times=[interval * n for n in range(12)])
    content = yaml.safe_load((path / "metadata.yaml").read_text())
    if framerate is not None:
        content["__store"]["framerate"] = framerate
    (path / "metadata.yaml").write_text(yaml.safe_dump(content))
    with imgstore.open(path) as store:
        np.testing.assert_allclose(store.times, seconds * np.arange(12), rtol=1e-12)


@pytest.mark.parametrize(
    ("place", "extra"),
    [
        ("rig/lowres", {"lowres": "lowres/metadata.yaml"}),
        ("rig/lowres", ["lowres/metadata.yaml"]),
        ("lowres", {"lowres": "../lowres/metadata.yaml"}),
        ("lowres", {"lowres": "../lowres"}),
    ],
)
def test_the_pair_is_opened_by_the_path_of_its_master(tmp_path, place, extra):
    master = make_camera(tmp_path / "rig", rate=5, count=9)
    make_camera(tmp_path / place, rate=25, count=43, first=7)
    add_extra_cameras(master, extra)
    for path in (master, str(master / "metadata.yaml")):
        with imgstore.open_many(path) as many:
            assert many.names == ("master", "lowres")
            assert many.times.tolist() == [n / 5 for n in range(9)]
            assert [each["lowres"].number for each in many] == [7 + 5 * n for n in range(9)]
            assert_frames_are([each["lowres"] for each in many], 43)
    with imgstore.open_many(master, master="lowres", missing="hold") as many:  # as the recorder shows them
        assert len(many) == 43
        assert many.present.all()
        assert [each["master"].index for each in many[:8]] == [0, 0, 0, 1, 1, 1, 1, 1]
        assert [each["lowres"].index for each in many] == list(range(43))


def test_the_master_has_the_name_that_its_metadata_gives(tmp_path):
    master = make_camera(tmp_path / "rig", rate=5, count=3, name="highres")
    make_camera(master / "lowres", rate=25, count=11)
    add_extra_cameras(master, {"fast": "lowres/metadata.yaml"})
    with imgstore.open_many(master) as many:
        assert many.names == ("highres", "fast")


@pytest.mark.parametrize(
    "extra",
    [
        {"x": "/etc/metadata.yaml"},
        {"x": "../../elsewhere/metadata.yaml"},
        {"x": "lowres/../../../elsewhere"},
        {"x": "."},
        {"x": ".."},
        {"x": "../rig"},
        {"x": ""},
        {"x": 3},
        {"master": "lowres", "x": None},
        "lowres",
        3,
        ["lowres/metadata.yaml", "./lowres/metadata.yaml"],
    ],
    ids=repr,
)
def test_paths_that_lead_elsewhere_are_refused(tmp_path, extra):
    master = make_camera(tmp_path / "lab" / "rig", rate=5, count=1)
    make_camera(master / "lowres", rate=25, count=1)
    add_extra_cameras(master, extra)
    with pytest.raises(MetadataError, match="camera"):
        imgstore.open_many(master)
    imgstore.open(master).close()


def test_a_camera_that_is_not_there_is_named(tmp_path):
    master = make_camera(tmp_path / "rig", rate=5, count=1)
    add_extra_cameras(master, {"lowres": "lowres/metadata.yaml"})
    with pytest.raises(ValueError, match=r"rig/lowres does not exist"):
        imgstore.open_many(master)


def test_a_video_of_another_ending_without_an_index_is_no_chunk(make_store):
    path = make_store(format="h264/mkv")
    (path / "000000.avi").write_bytes(b"")
    (path / "000009.mp4").write_bytes(b"")
    with imgstore.open(path) as store:
        assert store.chunks == (0, 1, 2)
        assert store.problems == ()
