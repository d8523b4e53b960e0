"""The commands that come with loopbio's package."""

import subprocess
import sys
from itertools import islice

import av
import numpy as np
import pytest

import imgstore
from imgstore import apps
from imgstore.apps import main_generate_timecodes, main_saver, main_test, main_viewer


@pytest.fixture
def no_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_without_a_display_the_viewer_says_in_one_line_what_to_do(make_store, no_display):
    with pytest.raises(SystemExit) as stop:
        main_viewer([str(make_store())])
    message = str(stop.value)
    assert "\n" not in message
    assert "there is no display" in message
    assert "ethostore frame" in message


class Keyboard:
    """A window that records what it shows, and presses keys."""

    def __init__(self, keys):
        self.name = "window"
        self.keys = iter(keys)
        self.shown = []

    def imshow(self, name, image):
        self.shown.append(image)

    def waitKey(self, delay_ms=0):  # noqa: N802
        return next(self.keys, -1)


@pytest.mark.parametrize(("keys", "shown"), [([], 12), ([-1, ord("q")], 2), ([32, -1, -1, 32, 27], 2)])
@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_the_viewer_shows_every_frame_with_its_number_until_it_is_told_otherwise(
    make_store, monkeypatch, fmt, keys, shown
):
    window = Keyboard(keys)
    monkeypatch.setattr(apps, "why_no_window", lambda: "")
    monkeypatch.setattr(apps, "new_window", lambda name, shape: window)
    path = make_store(format=fmt)
    main_viewer([str(path), "--fps", "0"])
    assert len(window.shown) == shown
    with imgstore.new_for_filename(path) as store:
        assert np.any(window.shown[0] != store.get_next_image()[0])
    window.shown.clear()
    main_viewer([str(path), "--hide-statusbar"])
    with imgstore.new_for_filename(path) as store:
        np.testing.assert_array_equal(window.shown[0], store.get_next_image()[0])


def copy_beginning(video, copy, packets):
    """Copy the first packets of a video, as they are."""
    with av.open(str(video)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in islice(source.demux(video=0), packets):
            packet.stream = stream
            target.mux(packet)


def test_a_real_video_is_saved_with_every_frame_and_its_time(data, tmp_path, capsys):
    clip = tmp_path / "clip.mp4"
    copy_beginning(data / "mouse.mp4", clip, 60)
    main_saver([str(tmp_path / "a"), "--source", str(clip), "--format", "mjpeg/avi"])
    with imgstore.open_video(clip) as video, imgstore.open(tmp_path / "a") as store:
        assert len(store) == len(video) == 60
        np.testing.assert_array_equal(store.times, video.times)
        assert f"{len(video)} frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "message"), [("nowhere.mp4", "does not exist"), (__file__, "cannot be read as video")]
)
def test_what_is_no_video_is_told_in_one_line(tmp_path, source, message):
    with pytest.raises(SystemExit, match=message) as stop:
        main_saver([str(tmp_path / "a"), "--source", source])
    assert "\n" not in str(stop.value)
    assert not (tmp_path / "a").exists()


def test_a_store_is_not_saved_over(make_store, data):
    with pytest.raises(SystemExit, match="holds a store already"):
        main_saver([str(make_store()), "--source", str(data / "mouse.mp4")])


def test_the_self_check_names_every_format(capsys):
    with pytest.raises(SystemExit) as stop:
        main_test([])
    lines = capsys.readouterr().out.splitlines()
    assert stop.value.code == 0
    assert [line.split() for line in lines] == [[name, "good"] for name in imgstore.get_supported_formats()]
    assert imgstore.test is main_test


def test_the_self_check_notices_a_format_that_gives_other_images(capsys, monkeypatch):
    monkeypatch.setattr(apps, "_bars", lambda number: np.full((64, 128), next(values), np.uint8))
    values = iter(range(10_000))
    monkeypatch.setattr(apps.ImgStore, "get_image", lambda self, number: (np.zeros((64, 128)), (number, 0.0)))
    with pytest.raises(SystemExit) as stop:
        main_test([])
    assert stop.value.code == 1
    assert "gave frame" in capsys.readouterr().out


def test_timecodes_are_milliseconds_since_the_first_frame(make_store, capsys):
    main_generate_timecodes([str(make_store(times=[5.0 + 0.0405 * n for n in range(12)]))])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["# timecode format v2", "0.000", "40.500", "81.000"]
    with pytest.raises(SystemExit, match="does not exist"):
        main_generate_timecodes(["nowhere"])


@pytest.mark.parametrize("name", ["main_viewer", "main_saver", "main_test", "main_generate_timecodes"])
def test_every_command_has_help(name):
    done = subprocess.run(
        [sys.executable, "-c", f"from imgstore.apps import {name}; {name}(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
        cwd=imgstore.__path__[0] + "/..",
    )
    assert "usage: imgstore-" in done.stdout
