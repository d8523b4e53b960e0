"""Stores as loopbio's Motif records them, and as the FlyHostel's package leaves them."""

import json
import sqlite3

import av
import h5py
import numpy as np
import pytest
import yaml

import imgstore
from imgstore import ChunkError
from imgstore.util import (
    motif_extra_data_h5_attrs,
    motif_extra_data_h5_to_df,
    motif_extra_data_json_to_df,
    motif_get_parse_true_fps,
    motif_get_recording_timezone,
)
from tests.conftest import numbered_images

SHAPE = (64, 96)


def write_video(path, images, pixel_format):
    """Encode as Motif's hardware does: B-frames, a constant rate, no times of its own."""
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "12", "bf": "3"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        for image in images:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        video.mux(stream.encode(None))


@pytest.fixture
def motif_store(tmp_path):
    """Make a store like Motif's: no `created_utc`, no `extension`, chunks that are not full."""

    def make(fmt="libx264", pixel_format="yuv444p", shape=SHAPE, store=None, user=None):
        path = tmp_path / "recording_20200102_030405"
        path.mkdir()
        images = numbered_images((*SHAPE, 3), 20)
        for chunk, part in enumerate([slice(0, 12), slice(12, 20)]):
            write_video(path / f"{chunk:06d}.mp4", images[part], pixel_format)
            np.savez(
                path / f"{chunk:06d}.npz",
                frame_number=np.arange(100, 120)[part],
                frame_time=(1.5e9 + 0.04 * np.arange(20))[part],
            )
        section = {
            "class": "VideoImgStoreFFMPEG",
            "version": 2,
            "format": fmt,
            "imgshape": list(shape),
            "imgdtype": "uint8",
            "chunksize": 15,
            "encoding": "",
            **(store or {}),
        }
        user = {"timezone": "Europe/Vienna", "camera_serial": "1234", **(user or {})}
        (path / "metadata.yaml").write_text(yaml.safe_dump({**user, "__store": section}))
        return path

    return make


def write_signals(file, numbers, *, names="audio", as_bytes=False, delay=True):
    """Write samples as Motif does: two columns, two rows of room that no frame filled."""
    numbers = [*numbers, -1, -1]
    attribute = (lambda text: text.encode()) if as_bytes else str
    camera = np.zeros(len(numbers), [("frame_number", "i8"), ("frame_time", "f8"), ("frame_index", "i8")])
    camera["frame_number"] = numbers
    camera["frame_index"] = np.arange(len(numbers))
    camera["frame_time"] = 1.5e9 + 0.04 * np.arange(len(numbers))
    with h5py.File(file, "w") as content:
        content.attrs["datasets"] = attribute(names)
        for place, name in enumerate(names.split(", ")):
            samples = np.arange(2 * len(numbers)).reshape(2, -1) + 1000 * place
            content[name] = samples
            content[name].attrs["column_names"] = attribute(f"{name}_left, {name}_right")
            content[name].attrs["samplerate"] = 44100
        content["camera"] = camera
        if delay:
            content["sample_delay"] = np.linspace(0, 0.001, len(numbers))


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p", "yuvj420p"])
@pytest.mark.parametrize(
    ("fmt", "shape"), [("libx264", SHAPE), ("nvenc-h264", (*SHAPE, 3)), ("libx264", (65, 97))]
)
def test_every_frame_of_motif_is_read(motif_store, fmt, pixel_format, shape):
    path = motif_store(fmt, pixel_format, shape)
    images = numbered_images((*SHAPE, 3), 20)
    with imgstore.new_for_filename(str(path)) as store:
        assert isinstance(store, imgstore.VideoImgStore)
        assert store.image_shape == (*SHAPE, *shape[2:])
        assert (store.chunks, store.frame_min, store.frame_max) == ([0, 1], 100, 119)
        for number in np.random.default_rng(0).permutation(20).tolist():
            image, found = store.get_image(100 + number)
            assert found == (100 + number, 1.5e9 + 0.04 * number)
            expected = images[number] if len(shape) == 3 else images[number][:, :, 0]
            assert np.abs(image.astype(int) - expected).mean() < 6
        assert store.uuid is None
        assert store.created[0].isoformat() == "2020-01-02T02:04:05+00:00"
        assert store.user_metadata["camera_serial"] == "1234"
        assert not store.has_extra_data
        assert store.get_extra_data() is None


def test_a_bayer_store_of_motif_is_decoded(motif_store):
    path = motif_store(store={"encoding": "cv_bayerbg", "format": "nvenc-h264"})
    with imgstore.new_for_filename(path) as store:
        assert store.image_shape == (*SHAPE, 3)
        assert store.get_next_image()[0].shape == (*SHAPE, 3)


def test_records_in_the_root_are_read_in_the_order_of_the_frames(motif_store):
    path = motif_store()
    records = [
        {"frame_number": 102, "frame_index": 2, "sensor_time": 2.0, "light": 3},
        {"frame_number": 102, "frame_index": 2, "sensor_time": 1.0, "light": 2},
        {"frame_number": -1, "frame_index": 0, "sensor_time": 0.0, "light": 0},
        {"frame_number": 101, "frame_index": 1, "sensor_time": 5.0, "light": 1},
    ]
    (path / "000000.extra_data.json").write_text(json.dumps(records))
    (path / "000000.extra.json").write_text('[{"light": 99}]')  # the root's goes before
    (path / "000001.extra.json").write_text('[{"frame_number": 115, "light": 4}]')
    with imgstore.new_for_filename(path) as store:
        assert store.get_extra_data()["light"].tolist() == [1, 2, 3, 4]
        assert store.find_extra_data_files() == [
            str(path / "000000.extra_data.json"),
            str(path / "000001.extra.json"),
        ]
        assert store.find_extra_data_files(extensions=(".extra_data.h5",)) == []
        table = motif_extra_data_json_to_df(store, str(path / "000000.extra_data.json"))
        assert table["frame_number"].tolist() == [101, 102, 102]
        with pytest.raises(ValueError, match="no signals"):
            store.get_extra_data_samplerate()


def test_records_without_an_index_of_their_frame_keep_their_order(tmp_path):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy") as writer:
        writer.append(imgstore.Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
    records = [{"frame_number": number, "tempi": number / 2} for number in (3, -1, 1)]
    (tmp_path / "a" / "000000.extra_data.json").write_text(json.dumps(records))
    with imgstore.open(tmp_path / "a") as store:
        assert store.extra()["tempi"].tolist() == [1.5, 0.5]


@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize("delay", [True, False])
def test_sampled_signals_are_read_with_their_rate(motif_store, as_bytes, delay):
    path = motif_store()
    (path / "000000.extra_data.json").write_text(
        '[{"frame_number": 1, "frame_index": 1}]'
    )  # HDF5 goes before
    write_signals(path / "000000.extra_data.h5", [100, 101, 101], as_bytes=as_bytes, delay=delay)
    write_signals(path / "000001.extra_data.h5", [112], as_bytes=as_bytes, delay=delay)
    with imgstore.new_for_filename(path) as store:
        assert store.has_extra_data
        table = store.get_extra_data()
        assert store.get_extra_data_samplerate() == 44100
        np.testing.assert_array_equal(
            motif_extra_data_h5_to_df(store, path / "000001.extra_data.h5")["audio_left"], [0]
        )
    assert table["audio_left"].tolist() == [0, 1, 2, 0]
    assert table["audio_right"].tolist() == [5, 6, 7, 3]
    assert table["frame_number"].tolist() == [100, 101, 101, 112]
    assert ("sample_delay" in table) == delay
    attributes = motif_extra_data_h5_attrs(str(path / "000000.extra_data.h5"))
    assert attributes["_datasets"] == ["audio"]
    assert attributes["audio"]["samplerate"] == 44100


def test_several_signals_have_no_one_rate(motif_store):
    path = motif_store()
    write_signals(path / "000000.extra_data.h5", [100], names="audio, daq")
    with imgstore.new_for_filename(path) as store:
        assert store.get_extra_data()["daq_right"].tolist() == [1003]
        with pytest.raises(ValueError, match="audio, daq"):
            store.get_extra_data_samplerate()


@pytest.mark.parametrize("change", ["cut", "camera", "columns", "text"])
def test_a_broken_signal_file_is_named(motif_store, change):
    path = motif_store()
    file = path / "000000.extra_data.h5"
    write_signals(file, [100, 101])
    if change == "cut":
        file.write_bytes(file.read_bytes()[:600])
    elif change == "text":
        file.write_text("hello")
    else:
        with h5py.File(file, "r+") as content:
            if change == "camera":
                del content["camera"]
            else:
                content["audio"].attrs["column_names"] = "one"
    with imgstore.new_for_filename(path) as store:
        with pytest.raises(ChunkError, match=r"000000\.extra_data\.h5"):
            store.get_extra_data()
        assert store.get_extra_data(ignore_corrupt_chunks=True) is None


def test_signals_and_records_follow_when_frames_are_counted_anew(motif_store):
    path = motif_store()
    for chunk, part in enumerate([slice(0, 12), slice(12, 20)]):
        file = path / f"{chunk:06d}.npz"
        times = np.load(file)["frame_time"]
        np.savez(file, frame_number=np.array([7, 8, *range(18)])[part], frame_time=times)
    write_signals(path / "000000.extra_data.h5", [7, 8, 0])
    (path / "000001.extra_data.json").write_text('[{"frame_number": 10, "frame_index": 12}]')
    with imgstore.new_for_filename(path) as store:
        for _ in range(2):
            store.reindex()
            table = store.get_extra_data()
            assert table["frame_number"].tolist() == [-2, -1, 0, 10]
            assert table["_frame_number_before_reindex"].tolist() == [7, 8, 0, 10]
        assert table["audio_left"].tolist()[:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("user", "rate"),
    [
        ({"hwframerate": 50, "motifptpframerate": 20}, 50.0),
        ({"motifptpframerate": 20}, 20.0),
        ({"acquisitionframerate": 30, "acquisitionframerateenable": True}, 30.0),
        ({"acquisitionframerate": 30, "acquisitionframerateenable": 1}, 25.0),
        ({}, 25.0),
    ],
)
def test_the_rate_is_the_one_that_motif_says(motif_store, user, rate):
    with imgstore.new_for_filename(motif_store(user=user)) as store:
        assert motif_get_parse_true_fps(store) == rate
        if not user:
            assert motif_get_parse_true_fps(store, default=None) == pytest.approx(25.0)
        assert str(motif_get_recording_timezone(store)) == "Europe/Vienna"


def test_the_flyhostels_additions_do_no_harm(motif_store):
    path = motif_store(
        "h264_nvenc/mp4",
        "yuv420p",
        store={
            "class": "VideoImgStore",
            "extension": ".mp4",
            "created_utc": "2021-01-01T00:00:00",
            "timezone_local": "Europe/Brussels",
            "name": "master",
            "framerate": 150,
            "extra_cameras": {"lowres": "lowres/metadata.yaml"},
        },
    )
    (path / "lowres").mkdir()
    (path / "000000.npy").write_bytes(b"")
    with sqlite3.connect(path / "index.db") as database:  # its own numbering, from 0
        database.execute("CREATE TABLE frames (chunk INTEGER, frame_idx INTEGER, frame_number INTEGER)")
    database.close()
    with imgstore.new_for_filename(path) as store:
        assert store.get_frame_metadata()["frame_number"] == list(range(100, 120))
        assert store.get_next_image()[1] == (100, 1.5e9)
        assert store._metadata["extra_cameras"] == {"lowres": "lowres/metadata.yaml"}
        assert store._index._summary("frame_max") == 119
        assert store._index.find_all("frame_number", 113) == (1, 1, 113, 1.5e9 + 0.04 * 13)
        assert store._index.get_start_of_chunks() == [(0, 100), (1, 112)]
