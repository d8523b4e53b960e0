"""Plain videos of stores: every frame at its own time, sound in step, and what lies beside the frames."""

import json
import wave
from itertools import pairwise
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pandas as pd
import pytest

import imgstore
from imgstore import (
    FormatSettings,
    Frame,
    FrameFormatError,
    FrameNotFoundError,
    OutputExistsError,
    UnknownNameError,
    VideoError,
)
from imgstore.apps import generate_timecodes
from imgstore.transcode.caption import Caption
from imgstore.transcode.timeline import make_timeline
from tests.conftest import numbered_images
from tests.imgstore.test_motif import motif_store  # noqa: F401  # a fixture
from tests.imgstore.test_transcode import record

RATE = 20.0
START = 1.7e9 + 0.123


def film(path, *, count=40, fmt="h264/mkv", shape=(64, 96), times=None, dtype="uint8", **options):
    """Record numbered images, 20 a second."""
    times = START + np.arange(count) / RATE if times is None else times
    with imgstore.create(path, shape, dtype, format=fmt, **options) as writer:
        for number, (image, time) in enumerate(
            zip(numbered_images(shape, len(times), dtype), times, strict=True)
        ):
            writer.append(Frame(image, 0, number, float(time)))
    return path


def play(path):
    """Return the frames of a video in grey, when each is shown, and when the last one ends."""
    with av.open(str(path)) as video:
        track = video.streams.video[0]
        frames = [(frame.time, frame.to_ndarray(format="gray")) for frame in video.decode(track)]
        return [image for _, image in frames], np.array([time for time, _ in frames]), video.duration / 1e6


def bar(image):
    return int(image[image.shape[0] // 4].astype(int).argmax())


def assert_shows(path, first, stop, times, *, tolerance=1e-4):
    images, shown, duration = play(path)
    assert len(images) == stop - first
    np.testing.assert_allclose(shown, times - times[0], atol=tolerance)
    assert [abs(bar(image) - (3 * n) % 92) <= 3 for n, image in zip(range(first, stop), images, strict=True)]
    assert duration == pytest.approx(shown[-1] + 1 / RATE, abs=0.01)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    seen = 0
    while capture.read()[0]:
        seen += 1
    capture.release()
    assert seen == stop - first


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("quality", [None, 18], ids=["copied", "encoded"])
def test_a_video_shows_every_frame_at_its_time(tmp_path, ending, quality):
    rng = np.random.default_rng(3)
    times = START + np.cumsum(rng.uniform(0.03, 0.07, 40))
    times[20:] += 100  # the camera was away
    store = film(tmp_path / "a störe", times=times, chunksize=15)
    out = tmp_path / f"a film.{ending}"
    done = imgstore.export_video(store, out, quality=quality)
    assert (done.frames, done.copied, done.changed) == (40, quality is None, 0)
    images, shown, _ = play(out)
    np.testing.assert_allclose(shown, times - times[0], atol=6e-4 if ending == "mkv" else 1e-5)
    assert [abs(bar(image) - (3 * n) % 92) <= 3 for n, image in enumerate(images)].count(False) == 0
    with av.open(str(out)) as video:
        context = video.streams.video[0].codec_context
        assert context.name == "h264"
        assert context.pix_fmt in ("yuv420p", "yuvj420p")
        assert len(video.streams) == 1
    assert not list(tmp_path.glob(".*"))


def test_what_is_copied_is_the_same_to_the_bit(tmp_path):
    store = film(tmp_path / "a", chunksize=10)
    imgstore.export_video(store, tmp_path / "a.mp4")
    with imgstore.open(store) as frames, imgstore.open_video(tmp_path / "a.mp4") as video:
        for index in range(40):
            np.testing.assert_array_equal(video[index].image, frames[index].image)


@pytest.mark.parametrize(
    ("options", "copied"),
    [
        ({"start": 10, "by": "index"}, True),
        ({"start": 11, "by": "index"}, False),
        ({"start": 0.5, "stop": 1.0, "by": "seconds"}, True),
        ({"stop": START + 0.74}, True),
        ({"start": 20, "stop": 21, "by": "number"}, True),
        ({"overlay": True}, False),
        ({"crop": (0, 0, 32, 32)}, False),
        ({"scale": 0.5}, False),
    ],
    ids=str,
)
def test_part_of_a_store_is_copied_where_it_can_be(tmp_path, options, copied):
    store = film(tmp_path / "a", chunksize=10, settings=FormatSettings(gop=10, quality=15))
    with imgstore.open(store) as frames:
        given = {key: options[key] for key in ("start", "stop", "by") if key in options}
        wanted = imgstore.find_range(frames, **given)
        done = imgstore.export_video(store, tmp_path / "a.mp4", **options)
        assert done.copied == copied
        assert done.frames == len(wanted)
        _, shown, duration = play(tmp_path / "a.mp4")
        times = frames.times[wanted.start : wanted.stop]
        np.testing.assert_allclose(shown, times - times[0], atol=1e-5)
        assert duration == pytest.approx(done.seconds, abs=0.002)


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("npy", {}),
        ("png", {"shape": (63, 95, 3)}),
        ("h264/mkv", {"settings": "lossless"}),
        ("h264/mkv", {"settings": FormatSettings(pixel_format="yuv444p"), "shape": (64, 96, 3)}),
        ("hevc/mkv", {}),
        ("mjpeg/avi", {}),
        ("npy", {"encoding": "cv_bayerbg"}),
    ],
)
def test_everything_else_becomes_h264_that_plays_anywhere(tmp_path, fmt, options):
    store = film(tmp_path / "a", fmt=fmt, **options)
    done = imgstore.export_video(store, tmp_path / "a.mp4")
    assert not done.copied
    images, _, _ = play(tmp_path / "a.mp4")
    assert images[0].shape == (64, 96)
    if "encoding" not in options:
        assert [abs(bar(image) - (3 * n) % 92) <= 3 for n, image in enumerate(images)].count(False) == 0
    with av.open(str(tmp_path / "a.mp4")) as video:
        context = video.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.color_range, context.colorspace) == (
            "h264",
            "yuv420p",
            1,
            1,
        )
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays while it is loaded


@pytest.mark.parametrize("shape", [(64, 96), (64, 96, 3)], ids=["grey", "colour"])
def test_brightness_and_colour_are_kept(tmp_path, shape):
    image = np.full(shape, 0, np.uint8)
    image[:, 48:] = 255 if len(shape) == 2 else (30, 90, 220)
    with imgstore.create(tmp_path / "a", shape, format="npy") as writer:
        for number in range(5):
            writer.append(Frame(image, 0, number, number / 10))
    imgstore.export_video(tmp_path / "a", tmp_path / "a.mp4", quality=5)
    with imgstore.open_video(tmp_path / "a.mp4", colour=len(shape) == 3) as video:
        difference = np.abs(video[3].image.astype(int) - image)[:, np.r_[4:40, 56:92]]
        assert difference.max() <= 8


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 4095), ("float32", 0.5), ("bool", 1)])
def test_deep_images_are_shown_by_their_brightness(tmp_path, dtype, top):
    ramp = np.tile(np.linspace(0, 1, 96), (64, 1)) * top
    with imgstore.create(tmp_path / "a", (64, 96), dtype, format="npy") as writer:
        for number in range(5):
            writer.append(Frame(ramp.astype(dtype), 0, number, number / 10))
    imgstore.export_video(tmp_path / "a", tmp_path / "a.mp4", quality=5)
    with imgstore.open_video(tmp_path / "a.mp4") as video:
        expected = ramp.astype(dtype).astype(float) / top * 255
        assert np.abs(video[2].image - expected).max() < 8


def test_a_clock_that_stands_steps_back_or_is_unknown_does_not_stop_the_video(tmp_path):
    times = START + np.arange(12) / 10
    times[4:] -= 3600
    times[7] = times[6]
    times[9] = np.nan
    done = imgstore.export_video(film(tmp_path / "a", times=times), tmp_path / "a.mp4")
    assert done.changed == 4  # the step, the one that stands, and to and from the unknown
    _, shown, _ = play(tmp_path / "a.mp4")
    assert (np.diff(shown) > 0.09).all()
    np.testing.assert_allclose(np.diff(shown)[[0, 1, 2, 3, 6, 8, 9]], 0.1, atol=1e-4)


def test_a_timeline_keeps_pauses_up_to_six_hours():
    line = make_timeline(np.array([0, 1, 2, 3 + 3600.0, 4 + 3600 * 10]))
    np.testing.assert_allclose(np.diff(line.shown), [1, 1, 3601, 6 * 3600])
    assert line.changed == 1
    assert line.at(2.5) == pytest.approx(2.5)
    assert line.at(4 + 3600 * 10 + 1) == pytest.approx(line.shown[-1] + 1)


def test_ticks_rise_even_for_frames_of_one_instant():
    ticks = make_timeline(np.array([5.0, 5.0000001, 5.0000002, 6.0])).ticks(1000)
    assert ticks[:3].tolist() == [0, 1, 2]
    assert (np.diff(ticks) > 0).all()


def test_speed_thins_frames_to_what_players_show(tmp_path):
    store = film(tmp_path / "a", count=200)
    done = imgstore.export_video(store, tmp_path / "twice.mp4", speed=2)
    assert (done.frames, done.copied) == (200, True)
    _, shown, _ = play(tmp_path / "twice.mp4")
    np.testing.assert_allclose(shown, np.arange(200) / 40, atol=1e-5)
    done = imgstore.export_video(store, tmp_path / "fast.mp4", speed=10)
    assert (done.frames, done.copied) == (60, False)
    images, shown, duration = play(tmp_path / "fast.mp4")
    assert duration == pytest.approx(1.0, abs=0.02)
    for image, time in zip(images, shown, strict=True):
        assert abs(bar(image) - round(time * 200) * 3 % 92) <= 3
    slow = imgstore.export_video(store, tmp_path / "slow.mp4", 0, 10, by="index", speed=0.1)
    assert slow.seconds == pytest.approx(5)


@pytest.mark.parametrize("shape", [(960, 1280), (480, 640, 3), (63, 95), (32, 48, 3), (300, 20)], ids=str)
def test_a_caption_can_be_read_on_any_size(shape):
    words = ("-123456", "2026-11-21", "14:30:05.123")
    caption = Caption(imgstore.FrameSpec(shape), words)
    drawn = caption.draw(np.full(shape, 128, np.uint8), words)
    assert drawn.shape == caption.spec.shape
    grey = drawn if drawn.ndim == 2 else drawn[..., 0]
    rows, columns = np.nonzero(grey > 240)
    assert rows.max() < grey.shape[0] - 1
    assert columns.max() < grey.shape[1] - 1
    assert columns.min() > 0
    below = np.diff(np.flatnonzero(np.bincount(rows, minlength=grey.shape[0])))
    lines = 1 + int((below > 2).sum())
    assert lines in (1, 3)
    assert np.ptp(rows) + 1 >= 8 * lines  # a letter of 8 pixels
    assert (grey == 0).any()  # the rim


def test_the_overlay_tells_each_frame(tmp_path):
    done = imgstore.export_video(film(tmp_path / "a", shape=(240, 640)), tmp_path / "a.mp4", overlay=True)
    images, _, _ = play(done.path)
    strips = [image[-30:, :].astype(int) for image in images]
    assert all(np.abs(a - b).max() > 60 for a, b in pairwise(strips))


def test_refused_places_are_left_alone(tmp_path):
    store = film(tmp_path / "a")
    (tmp_path / "there.mp4").write_text("mine")
    (tmp_path / "folder.mp4").mkdir()
    for place in ("there.mp4", "folder.mp4"):
        with pytest.raises(OutputExistsError):
            imgstore.export_video(store, tmp_path / place)
    with pytest.raises(OutputExistsError):
        imgstore.export_video(store, tmp_path / "folder.mp4", force=True)
    for place in ("000000.mkv", "new.mp4"):
        with pytest.raises(OutputExistsError, match="would lie in the store"):
            imgstore.export_video(store, store / place, force=True)
    with pytest.raises(UnknownNameError, match=r"\.mp4"):
        imgstore.export_video(store, tmp_path / "a.gif")
    with pytest.raises(FrameNotFoundError):
        imgstore.export_video(store, tmp_path / "none.mp4", 50, by="index")
    with pytest.raises(FrameFormatError, match="speed"):
        imgstore.export_video(store, tmp_path / "none.mp4", speed=0)
    assert (tmp_path / "there.mp4").read_text() == "mine"
    imgstore.export_video(store, tmp_path / "there.mp4", force=True)
    assert len(play(tmp_path / "there.mp4")[0]) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder.mp4", "there.mp4"]


def test_what_is_interrupted_leaves_nothing(tmp_path):
    store = film(tmp_path / "a", fmt="npy")

    class StopError(Exception):
        pass

    def stop(done, total):
        if done == 5:
            raise StopError

    with pytest.raises(StopError):
        imgstore.export_video(store, tmp_path / "a.mp4", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# Sound


def write_clicks(path, seconds, rate=44100, channels=1):
    """Write a sound with a click of 10 ms every second."""
    samples = np.zeros((round(seconds * rate), channels), np.int16)
    wave_form = 20000 * np.sin(np.arange(rate // 100) * 2 * np.pi * 1000 / rate)
    for second in range(int(seconds)):
        samples[second * rate : second * rate + rate // 100] = wave_form[:, None]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def clicks_in(path):
    """Return when clicks are heard in a video, and how long its sound is."""
    with av.open(str(path)) as video:
        track = video.streams.audio[0]
        frames = list(video.decode(track))
    start, rate = frames[0].time, frames[0].sample_rate
    sound = np.abs(np.concatenate([frame.to_ndarray() for frame in frames], axis=1)).max(axis=0)
    loud = np.flatnonzero(sound > 0.1)
    first = loud[np.r_[True, np.diff(loud) > rate // 10]] if len(loud) else loud
    return start + first / rate, start + len(sound) / rate


@pytest.mark.parametrize("quality", [None, 23], ids=["copied", "encoded"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (48000, 2), (10000, 1), (250_000, 1)])
def test_a_sound_file_is_heard_in_step(tmp_path, quality, rate, channels):
    store = film(tmp_path / "a", count=120)
    sound = write_clicks(tmp_path / "sound ü.wav", 3, rate, channels)
    out = tmp_path / "a.mp4"
    imgstore.export_video(store, out, audio=sound, audio_start=START + 1.5, quality=quality)
    heard, duration = clicks_in(out)
    np.testing.assert_allclose(heard, [1.5, 2.5, 3.5], atol=0.005)
    assert duration == pytest.approx(6.0, abs=0.05)
    assert len(play(out)[0]) == 120


def test_sound_that_began_before_is_cut(tmp_path):
    store = film(tmp_path / "a", count=120)
    sound = write_clicks(tmp_path / "a.wav", 20)
    imgstore.export_video(store, tmp_path / "a.mp4", audio=sound, audio_start=START - 2.75)
    heard, duration = clicks_in(tmp_path / "a.mp4")
    np.testing.assert_allclose(heard, np.arange(6) + 0.25, atol=0.005)
    assert duration == pytest.approx(6.0, abs=0.05)
    imgstore.export_video(store, tmp_path / "part.mp4", 3, 5, by="seconds", audio=sound)
    np.testing.assert_allclose(clicks_in(tmp_path / "part.mp4")[0], [0, 1], atol=0.005)


def add_signal(store, times, rate=8000, dtype="int16", pause=0.0):
    """Put sound beside the chunks of a store as Motif does: clicks at every whole second of the camera."""
    with imgstore.open(store) as reader:
        for chunk in reader.chunks:
            part = reader.chunk_range(chunk)
            begin, end = reader.times[part.start], reader.times[part.stop - 1] + 1 / RATE
            taken = begin + np.arange(round((end - begin) * rate)) / rate
            taken = taken[: round(len(taken) * (1 - pause))]
            since = taken - reader.times[0]
            sound = 20000 * np.sin(2 * np.pi * 1000 * taken) * (since % 1 < 0.01)
            at = np.clip(np.searchsorted(reader.times, taken + 1e-6) - 1, part.start, part.stop - 1)
            camera = np.zeros(len(taken) + 2, [("frame_number", "i8"), ("frame_time", "f8")])
            camera["frame_number"] = np.r_[reader.numbers[at], -1, -1]
            camera["frame_time"][:-2] = reader.times[at]
            with h5py.File(store / f"{chunk:06d}.extra_data.h5", "w") as content:
                content.attrs["datasets"] = "audio"
                content["audio"] = np.r_[sound, 0, 0].astype(dtype)[None]
                content["audio"].attrs.update(samplerate=rate, column_names="left")
                content["camera"] = camera
                content["sample_delay"] = np.r_[taken - reader.times[at], 0, 0]
    return store


@pytest.mark.parametrize("pause", [0, 0.3], ids=["whole", "with gaps"])
def test_sound_that_was_recorded_with_the_frames_is_heard_in_step(tmp_path, pause):
    store = add_signal(film(tmp_path / "a", count=160, chunksize=60), None, pause=pause)
    imgstore.export_video(store, tmp_path / "a.mp4", audio="audio")
    heard, duration = clicks_in(tmp_path / "a.mp4")
    expected = np.arange(8)
    if pause:
        expected = expected[[second % 3 < 2.1 for second in expected]]
    np.testing.assert_allclose(heard, expected, atol=0.01)
    assert duration == pytest.approx(8.0, abs=0.15)
    imgstore.export_video(store, tmp_path / "part.mp4", 3.5, 6.75, by="seconds", audio="audio")
    heard, duration = clicks_in(tmp_path / "part.mp4")
    wanted = [second - 3.5 for second in expected if 3 < second < 6.7]
    np.testing.assert_allclose(heard, wanted, atol=0.01)
    assert duration == pytest.approx(3.25, abs=0.15)


def test_sound_that_is_none_is_told(tmp_path):
    store = film(tmp_path / "a")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(VideoError, match="holds no sound"):
        imgstore.export_video(store, tmp_path / "a.mp4", audio=tmp_path / "text.wav")
    with pytest.raises(VideoError, match="does not exist"):
        imgstore.export_video(store, tmp_path / "a.mp4", audio=tmp_path / "none.wav")
    with pytest.raises(UnknownNameError, match="give a sound file"):
        imgstore.export_video(store, tmp_path / "a.mp4", audio="audio")
    add_signal(store, None)
    with pytest.raises(UnknownNameError, match="'audio'"):
        imgstore.export_video(store, tmp_path / "a.mp4", audio="adio")
    with pytest.raises(FrameFormatError, match="speed"):
        imgstore.export_video(store, tmp_path / "a.mp4", audio="audio", speed=2)
    assert not list(tmp_path.glob("*.mp4"))


def test_a_real_recording_plays_as_long_as_it_was(data: Path, tmp_path):
    with (
        imgstore.open_video(data / "mouse.mp4", start_time=START) as video,
        imgstore.create(tmp_path / "a", video.spec.shape, chunksize=50) as writer,
    ):
        for index in range(120):
            writer.append(video[index])
        times = video.times[:120]
    for name, options in (("copied", {}), ("drawn", {"overlay": True})):
        done = imgstore.export_video(tmp_path / "a", tmp_path / f"{name}.mp4", **options)
        images, shown, duration = play(done.path)
        assert len(images) == 120
        np.testing.assert_allclose(shown, times - times[0], atol=2e-4)
        assert duration == pytest.approx(4.0, abs=0.05)


# What lies beside the frames


def test_timecodes_are_what_matroska_reads(tmp_path):
    times = START + np.array([0, 0.05, 0.1, 5.0625, 5.125])
    store = film(tmp_path / "a", times=times)
    assert imgstore.save_timecodes(store, tmp_path / "all.txt") == 5
    assert (tmp_path / "all.txt").read_text().splitlines() == [
        "# timecode format v2",
        *("0.000", "50.000", "100.000", "5062.500", "5125.000"),
    ]
    imgstore.save_timecodes(store, tmp_path / "part.txt", 1, 4, by="index")
    assert (tmp_path / "part.txt").read_text().splitlines()[1:] == ["0.000", "50.000", "5012.500"]
    with imgstore.new_for_filename(str(store)) as loopbios, (tmp_path / "old.txt").open("w") as file:
        generate_timecodes(loopbios, file)
    assert (tmp_path / "old.txt").read_text() == (tmp_path / "all.txt").read_text()
    with pytest.raises(OutputExistsError):
        imgstore.save_timecodes(store, tmp_path / "all.txt")
    imgstore.save_timecodes(store, tmp_path / "all.txt", 0, 1, by="index", force=True)
    assert len((tmp_path / "all.txt").read_text().splitlines()) == 2


def test_extra_data_become_a_table(tmp_path):
    store = record(tmp_path / "a")
    for ending in ("csv", "json", "parquet"):
        assert imgstore.save_extra(store, tmp_path / f"a.{ending}") == 8
    with imgstore.open(store) as reader:
        expected = reader.extra()
    lines = pd.read_csv(tmp_path / "a.csv")
    rows = json.loads((tmp_path / "a.json").read_text())
    for table in (lines, pd.DataFrame(rows), pd.read_parquet(tmp_path / "a.parquet")):
        assert table["frame_index"].tolist() == expected["frame_index"].tolist()
        np.testing.assert_array_equal(table["frame_time"].astype(float), expected["frame_time"].astype(float))
        assert table["note"].tolist()[1:] == ["ü"] * 7
    with pytest.raises(OutputExistsError):
        imgstore.save_extra(store, tmp_path / "a.csv")
    with pytest.raises(UnknownNameError, match=r"\.parquet"):
        imgstore.save_extra(store, tmp_path / "a.xlsx")
    with pytest.raises(FrameNotFoundError, match="no extra data"):
        imgstore.save_extra(film(tmp_path / "b"), tmp_path / "b.csv")
