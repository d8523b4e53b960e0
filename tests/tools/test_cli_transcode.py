"""The subcommands that make stores and videos of stores, as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time

import av
import numpy as np
import pytest
import tifffile

import imgstore
from imgstore import Frame
from tests.conftest import ROOT, numbered_images
from tests.imgstore.test_importing import save_pictures
from tests.imgstore.test_movie import clicks_in, film, write_clicks
from tests.imgstore.test_transcode import record
from tests.imgstore.test_video import write_video
from tests.tools.test_cli import ethostore, fails

COMMANDS = ("convert", "cut", "import", "export-video", "export-tiff", "timecodes", "extra")


def answer(*arguments, cwd):
    return json.loads(ethostore(*arguments, "--json", cwd=cwd).stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path, command):
    done = ethostore(command, "--help", cwd=tmp_path)
    assert f"Usage: ethostore {command}" in done.stdout
    assert len(done.stdout) > 800


def test_convert_takes_all_its_options(tmp_path):
    record(tmp_path / "old one", format="png", shape=(32, 48, 3))
    told = answer(
        *("convert", "old one", "new", "--format", "h264/mkv", "--chunksize", 11, "--set", "quality=9"),
        *("--set", "preset=fast", "--grey", "--crop", "4,2,40,20", "--scale", 0.5, "--workers", 2),
        cwd=tmp_path,
    )
    assert (told["frames"], told["chunks"], told["encoded_frames"]) == (30, 3, 30)
    with imgstore.open(tmp_path / "new") as store:
        assert store.spec.shape == (10, 20)
        assert (store.metadata.settings.quality, store.metadata.settings.preset) == (9, "fast")
        assert store.user_metadata == {"fly": "Ä"}
    readable = ethostore("convert", "old one", "small", "--settings", "small", cwd=tmp_path).stdout
    assert "30, 30 of them encoded now" in readable


def test_wrong_options_are_told_in_a_line(tmp_path):
    record(tmp_path / "old")
    for options, says in (
        (("--crop", "1,2"), "X,Y,WIDTH,HEIGHT"),
        (("--set", "speed=3"), "--set takes quality"),
        (("--set", "quality=3", "--settings", "small"), "--settings or --set"),
    ):
        fails("convert", "old", "new", *options, cwd=tmp_path, says=says, code=2)
    fails("convert", "old", "old", cwd=tmp_path, says="lie in each other")
    fails("convert", "none", "new", cwd=tmp_path, says="does not exist")
    fails("convert", "old", "new", "--format", "png", "--scale", 100, cwd=tmp_path, says="scale is above 0")
    fails("cut", "old", "new", "--by", "frame", cwd=tmp_path, says="--by is one of", code=2)
    fails("cut", "old", "new", "--from", "noon", cwd=tmp_path, says="ISO 8601", code=2)
    fails("cut", "old", "new", "--by", "index", "--from", "noon", cwd=tmp_path, says="is a number", code=2)
    fails("import", "old/metadata.yaml", "new", cwd=tmp_path, says="cannot be read as video")
    fails("import", "none", "new", cwd=tmp_path, says="does not exist")
    fails("export-video", "old", "new.gif", cwd=tmp_path, says="no kind of video")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]


def test_nothing_is_replaced_without_force(tmp_path):
    record(tmp_path / "old", format="h264/mkv")
    write_video(tmp_path / "a.mp4", 5)
    for command in (
        ("convert", "old", "new"),
        ("cut", "old", "new"),
        ("import", "a.mp4", "new"),
        ("export-video", "old", "new.mp4"),
        ("timecodes", "old", "new.txt"),
        ("extra", "old", "new.csv"),
    ):
        place = tmp_path / command[-1]
        first = ("cut", "old", "new", "--by", "index", "--to", 1) if place.name == "new" else command
        ethostore(*first, "--force", cwd=tmp_path)
        before = place.stat().st_mtime_ns
        fails(*command, cwd=tmp_path, says="already")
        assert place.stat().st_mtime_ns == before
        ethostore(*command, "--force", cwd=tmp_path)
        assert place.stat().st_mtime_ns != before
    assert not list(tmp_path.glob("*.partial"))


def test_cut_takes_times_as_people_write_them(tmp_path):
    with imgstore.create(tmp_path / "a", (32, 48), format="png", chunksize=10) as writer:
        for number, image in enumerate(numbered_images((32, 48), 60)):
            writer.append(Frame(image, 0, number + 100, 1.7e9 + number))
    zone = imgstore.open(tmp_path / "a").local_time(1.7e9 + 20)
    local = zone.replace(tzinfo=None).isoformat()
    for out, options in {
        "time": ("--from", local, "--to", 1.7e9 + 30),
        "seconds": ("--from", 20, "--to", 30, "--by", "seconds"),
        "index": ("--from", 20, "--to", -30, "--by", "index"),
        "number": ("--from", 120, "--to", 130, "--by", "number"),
    }.items():
        told = answer("cut", "a", out, *options, cwd=tmp_path)
        assert (told["frames"], told["encoded_frames"]) == (10, 0)
        assert imgstore.open(tmp_path / out).numbers.tolist() == list(range(120, 130))
    fails(
        "cut", "a", "b", "--from", "2030-01-01", cwd=tmp_path, says="there is no frame from time 2030-01-01"
    )


def test_import_takes_videos_and_pictures(tmp_path):
    write_video(tmp_path / "a film.mp4", 9)
    told = answer(
        *("import", "a film.mp4", "a", "--start", "2026-01-02T03:04:05+00:00", "--meta", "age=4"),
        cwd=tmp_path,
    )
    assert told["frames"] == 9
    with imgstore.open(tmp_path / "a") as store:
        np.testing.assert_allclose(store.times, 1767323045 + np.arange(9) / 20)
        assert store.user_metadata == {"age": 4}
        assert store.spec.shape == (32, 48)
    save_pictures(tmp_path / "in", ["1.png", "2.png", "10.png"])
    assert answer("import", "in", "b", "--rate", 2, cwd=tmp_path)["frames"] == 3
    pictures = ("in/2.png", "in/1.png", "c", "--colour", "--start", 100)
    assert answer("import", *pictures, cwd=tmp_path)["frames"] == 2
    with imgstore.open(tmp_path / "c") as store:
        assert store.times.tolist() == [100, 100.04]
        np.testing.assert_array_equal(store[1].image, numbered_images((32, 48), 3)[1])
    fails("import", "in", "d", "--times", "ctime", cwd=tmp_path, says="--times is one of", code=2)


def test_export_video_takes_all_its_options(tmp_path):
    film(tmp_path / "a", count=60)
    write_clicks(tmp_path / "a.wav", 2)
    told = answer("export-video", "a", "all.mp4", cwd=tmp_path)
    assert (told["frames"], told["copied"], told["frames_off_time"]) == (60, True, 0)
    told = answer(
        *("export-video", "a", "part.mkv", "--by", "seconds", "--from", 1, "--to", 2.5, "--overlay"),
        *("--grey", "--crop", "0,0,64,64", "--scale", 0.5, "--quality", 30, "--audio", "a.wav"),
        *("--audio-start", "1700000001.623"),
        cwd=tmp_path,
    )
    assert (told["frames"], told["copied"], told["seconds"]) == (30, False, pytest.approx(1.5))
    np.testing.assert_allclose(clicks_in(tmp_path / "part.mkv")[0], [0.5], atol=0.02)
    with av.open(str(tmp_path / "part.mkv")) as video:
        assert video.streams.video[0].width % 2 == 0
    assert "copied as they were" in ethostore("export-video", "a", "b.mov", "--speed", 2, cwd=tmp_path).stdout


def test_times_and_extra_data_are_written(tmp_path):
    record(tmp_path / "a")
    assert answer("timecodes", "a", "t.txt", "--by", "index", "--to", 3, cwd=tmp_path)["frames"] == 3
    assert len((tmp_path / "t.txt").read_text().splitlines()) == 4
    assert answer("extra", "a", "e.csv", cwd=tmp_path)["rows"] == 8
    fails("extra", "a", "e.txt", cwd=tmp_path, says="no kind of table")


def test_ctrl_c_says_how_to_go_on(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)
    with imgstore.create(tmp_path / "a", image.shape, format="npy", chunksize=20) as writer:
        for number in range(240):
            writer.append(Frame(np.roll(image, number), 0, number, number / 10))
    command = ("convert", "a", "b", "--format", "tif", "--chunksize", "20")
    running = subprocess.Popen(
        [sys.executable, "-c", "from tools.cli import main; main()", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with running:
        for _ in range(3000):
            if list((tmp_path / "b.partial").glob("*/index.npz")) or running.poll() is not None:
                break
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert b"the same command goes on" in said
    assert b"Traceback" not in said
    told = answer(*command, cwd=tmp_path)
    assert told["chunks_from_before"] > 0
    assert told["frames"] == 240
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_export_tiff_takes_all_its_options(tmp_path):
    record(tmp_path / "a", format="png", shape=(32, 48, 3))
    told = answer(
        *("export-tiff", "a", "a.tif", "--by", "index", "--from", 3, "--to", 9, "--compression", "deflate"),
        *("--grey", "--crop", "4,2,40,20", "--scale", 0.5),
        cwd=tmp_path,
    )
    assert (told["frames"], told["bigtiff"]) == (6, False)
    assert told["bytes"] == (tmp_path / "a.tif").stat().st_size
    assert tifffile.imread(tmp_path / "a.tif").shape == (6, 10, 20)
    assert (tmp_path / told["table"]).read_text().count("\n") == 7
    fails("export-tiff", "a", "a.tif", cwd=tmp_path, says="exists already")
    assert "a.csv" in ethostore("export-tiff", "a", "a.tif", "--force", cwd=tmp_path).stdout
    fails(
        "export-tiff", "a", "b.tif", "--compression", "zip", cwd=tmp_path, says="none, deflate, lzw", code=2
    )
