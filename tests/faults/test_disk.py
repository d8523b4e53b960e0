"""Disks that are full, folders that are gone or closed, writes that fail: the caller is told."""

import gc
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

import imgstore
from imgstore import ChunkError, Frame
from tests.conftest import FORMATS_HERE
from tests.faults.nursery import CAN_TRACE

SHAPE = (120, 160)
A_SECOND = 25  # frames, at the rate of a usual camera
NOBODY = 65534

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root mounts disks and becomes somebody else")
needs_strace = pytest.mark.skipif(not CAN_TRACE, reason="there is no strace, which makes system calls fail")

NOISE = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)


def image(number):
    """Return noise, which no codec makes small, that tells its number."""
    noise = np.roll(NOISE, number, axis=1)
    noise[:20] = np.where(np.arange(SHAPE[1]) // 10 == number % 16, 250, 5)
    return noise


def number_in(seen):
    return int(seen[:20].reshape(20, 16, 10).mean(axis=(0, 2)).argmax())


def append_until_told(writer, first, most, *, pause=0.0):
    """Append frames until an error, and return how many were taken and the error."""
    for number in range(first, first + most):
        try:
            writer.append(Frame(image(number), 0, number, number / 25))
        except ChunkError as exc:
            return number - first, exc
        time.sleep(pause)
    raise AssertionError(f"{most} frames were taken without a word")


def check_frames(path, numbers):
    """Raise AssertionError unless a store holds frames of these numbers, but for some at the end."""
    with imgstore.open(path) as store:
        held = store.numbers.tolist()
        assert set(held) <= set(numbers)
        assert held == sorted(held)
        assert store.times.tolist() == [number / 25 for number in held]
        assert [number_in(frame.image) for frame in store] == [number % 16 for number in held]
        return held


def check_unkept(writer, appended, held):
    """Raise AssertionError unless a closed writer knows which of the appended frames the disk lacks."""
    unkept = writer.unkept()
    assert sorted([*held, *(number for number, _ in unkept)]) == list(appended)
    assert all(time == number / 25 for number, time in unkept)
    assert writer.unkept() == []


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of 2 MB."""
    place = Path(tempfile.mkdtemp())
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False)
    if mounted.returncode:
        place.rmdir()
        pytest.skip("tmpfs cannot be mounted here")
    yield place
    gc.collect()
    busy = subprocess.run(["umount", place], check=False).returncode
    if busy:
        subprocess.run(["umount", "--lazy", place], check=True)
    place.rmdir()
    assert not busy, "files on the disk are still open"


@contextmanager
def files_of_at_most(size):
    """Let no file of this process grow beyond `size`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def failing(path, calls, error="EIO", when="1+"):
    """Have system calls of this process on a file or folder fail."""
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-p", str(os.getpid()), "-o", "/dev/null", "-P", str(path)),
            *("-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "attached" in tracer.stderr.readline()
        yield
    finally:
        tracer.send_signal(signal.SIGINT)  # it lets go
        tracer.wait()
        tracer.stderr.close()


@needs_root
@pytest.mark.parametrize("chunksize", [7, 10_000])
@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_a_full_disk_is_told_and_what_was_there_stays(disk, fmt, chunksize):
    path = disk / "a"
    writer = imgstore.create(path, SHAPE, format=fmt, chunksize=chunksize)
    taken, error = append_until_told(writer, 0, 10_000)
    assert "No space left on device" in str(error) or "disk is full" in str(error)
    assert str(path) in str(error)
    with suppress(ChunkError):
        writer.close()
    held = check_frames(path, range(taken))
    assert taken - len(held) < A_SECOND
    check_unkept(writer, range(taken), held)
    subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)
    assert not imgstore.repair(path).problems
    assert check_frames(path, range(taken)) == held
    with imgstore.open(path) as store:
        assert store.state == "complete"


@needs_root
@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_when_there_is_room_again_the_writer_goes_on(disk, fmt):
    path = disk / "a"
    writer = imgstore.create(path, SHAPE, format=fmt, chunksize=7)
    taken, _ = append_until_told(writer, 0, 10_000)
    told, number = 0, 5000
    subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)
    while number < 5050:
        try:
            writer.append(Frame(image(number), 0, number, number / 25))
            number += 1
        except ChunkError:
            told += 1
    writer.close()
    assert told < A_SECOND
    held = check_frames(path, [*range(taken), *range(5000, 5050)])
    assert held[-50:] == list(range(5000, 5050))
    assert taken + 50 - len(held) < A_SECOND
    check_unkept(writer, [*range(taken), *range(5000, 5050)], held)


@pytest.mark.parametrize("fmt", [name for name in FORMATS_HERE if "/" in name])
def test_a_video_that_cannot_grow_is_told_and_the_next_chunk_goes_on(tmp_path, fmt):
    path = tmp_path / "a"
    with files_of_at_most(100_000):
        writer = imgstore.create(path, SHAPE, format=fmt)
        taken, error = append_until_told(writer, 0, 10_000)
        assert "File too large" in str(error)
        assert "000000" in str(error)
        for number in range(taken + 1, taken + 3):
            writer.append(Frame(image(number), 0, number, number / 25))
        writer.close()
    held = check_frames(path, range(taken + 3))
    assert held[-2:] == [taken + 1, taken + 2]
    check_unkept(writer, [*range(taken), taken + 1, taken + 2], held)
    assert taken + 2 - len(held) < A_SECOND
    assert not imgstore.repair(path).problems
    assert check_frames(path, range(taken + 3)) == held


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_a_removed_folder_is_told_within_a_second_of_frames(tmp_path, fmt):
    writer = imgstore.create(tmp_path / "a", SHAPE, format=fmt)
    writer.append(Frame(image(0), 0, 0, 0.0))
    shutil.rmtree(tmp_path / "a", ignore_errors=True)
    shutil.rmtree(tmp_path / "a", ignore_errors=True)  # an image may have come meanwhile
    taken, error = append_until_told(writer, 1, 100)
    assert taken <= A_SECOND
    assert "No such file or directory" in str(error)
    assert str(tmp_path / "a") in str(error)
    with suppress(ChunkError):
        writer.close()
    check_unkept(writer, range(1 + taken), [])


@needs_root
@pytest.mark.parametrize("fmt", ["npy", "png", "avc1/mp4", "h264/mkv"])
def test_lost_permission_is_told_and_what_was_there_stays(fmt):
    root = Path(tempfile.mkdtemp())
    root.chmod(0o777)
    path = root / "a"
    os.seteuid(NOBODY)
    try:
        writer = imgstore.create(path, SHAPE, format=fmt)
        for number in range(10):
            writer.append(Frame(image(number), 0, number, number / 25))
        while len(check_frames(path, range(10))) < 9:
            time.sleep(0.01)  # until the last are written; of a video the last but one
        for place in (path / "000000", path):
            if place.is_dir():
                place.chmod(0)
        taken, error = append_until_told(writer, 10, 100, pause=1 / 25)
        with suppress(ChunkError):
            writer.close()
    finally:
        os.seteuid(0)
    assert "Permission denied" in str(error)
    assert str(path) in str(error)
    assert len(check_frames(path, range(10 + taken))) >= 9
    with imgstore.open(path) as store:
        assert store.state == "interrupted"
    assert not imgstore.repair(path).problems
    shutil.rmtree(root)


@needs_strace
@pytest.mark.parametrize("fmt", [name for name in FORMATS_HERE if "/" in name])
def test_a_failing_write_of_the_codec_is_told(tmp_path, fmt):
    path = tmp_path / "a"
    writer = imgstore.create(path, SHAPE, format=fmt)
    for number in range(5):
        writer.append(Frame(image(number), 0, number, number / 25))
    with failing(next(path.glob("000000.*")), "write,pwrite64"):
        taken, error = append_until_told(writer, 5, 100)
    assert taken <= 1
    assert "Input/output error" in str(error)
    assert "000000" in str(error)
    writer.append(Frame(image(50), 0, 50, 2.0))
    writer.close()
    held = check_frames(path, [*range(5 + taken), 50])
    assert held[-1] == 50
    assert len(held) >= 5


@needs_strace
@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi", "h264/mkv"])
def test_a_failing_sync_is_told_once_and_its_chunk_is_never_called_finished(tmp_path, fmt):
    path = tmp_path / "a"
    writer = imgstore.create(path, SHAPE, format=fmt)
    writer.append(Frame(image(0), 0, 0, 0.0))
    with failing(path / ".000000.journal", "fdatasync", when="1"):
        taken, error = append_until_told(writer, 1, 100, pause=1 / 25)
        assert "Input/output error" in str(error)
        assert "000000" in str(error)
        for number in range(50, 55):
            writer.append(Frame(image(number), 0, number, number / 25))
        writer.close()
    held = check_frames(path, [*range(taken + 1), *range(50, 55)])
    assert held == [*range(taken + 1), *range(50, 55)]
    with imgstore.open(path) as store:
        assert store.state == "interrupted"
        assert store.chunk_range(0) == range(taken + 1)
    assert not (path / "000000.npz").exists()
    assert not (path / "000000" / "index.npz").exists()


@needs_strace
def test_a_sync_that_fails_while_the_store_is_closed_is_told(tmp_path):
    path = tmp_path / "a"
    writer = imgstore.create(path, SHAPE, format="h264/mkv")
    writer.append(Frame(image(0), 0, 0, 0.0))
    with (
        failing(path / "000000.mkv", "fsync"),
        pytest.raises(ChunkError, match=r"000000.*Input/output error"),
    ):
        writer.close()
    with imgstore.open(path) as store:
        assert (len(store), store.state) == (1, "interrupted")


@needs_strace
def test_a_first_record_that_could_not_be_written_leaves_no_file_that_others_stumble_over(tmp_path):
    path = tmp_path / "a"
    with imgstore.create(path, SHAPE, format="h264/mkv") as writer:
        writer.append(Frame(image(0), 0, 0, 0.0))
        with (
            failing(path / "000000.extra.json", "pwrite64", "ENOSPC", when="1"),
            pytest.raises(ChunkError, match="No space left on device"),
        ):
            writer.append_extra({"place": 1})
    assert not (path / "000000.extra.json").exists()


@needs_strace
def test_a_record_that_could_not_be_written_leaves_the_others_whole(tmp_path):
    path = tmp_path / "a"
    with imgstore.create(path, SHAPE, format="npy") as writer:
        writer.append(Frame(image(0), 0, 0, 0.0))
        writer.append_extra({"place": 0})
        with (
            failing(path / "000000" / "index.extra.json", "pwrite64", "ENOSPC", when="1"),
            pytest.raises(ChunkError, match="No space left on device"),
        ):
            writer.append_extra({"place": 1})
        writer.append_extra({"place": 2})
    with imgstore.open(path) as store:
        assert store.extra()["place"].tolist() == [0, 2]


def test_an_event_that_could_not_be_written_leaves_the_others_whole(tmp_path):
    with imgstore.create(tmp_path / "a", SHAPE, format="npy") as writer:
        writer.append_event("mark", 0.0)
        with (
            files_of_at_most(100),  # the disk takes a part of the line
            pytest.raises(ChunkError, match=r"events\.jsonl.*File too large"),
        ):
            writer.append_event("mark", 1.0, text="x" * 200)
        with imgstore.open(tmp_path / "a") as store:
            assert len(store.events) == 1
        writer.append_event("mark", 2.0)
        writer.append(Frame(image(0), 0, 0, 0.0))
    with imgstore.open(tmp_path / "a") as store:
        assert [event.time for event in store.events] == [0.0, 2.0]
        assert store.problems == ()
        assert len(store) == 1


@needs_strace
def test_a_half_event_that_the_disk_would_not_take_back_is_cut_off_before_the_next(tmp_path):
    path = tmp_path / "a"
    with imgstore.create(path, SHAPE, format="npy") as writer:
        writer.append_event("mark", 0.0)
        with failing(path / "events.jsonl", "ftruncate"), files_of_at_most(100), pytest.raises(ChunkError):
            writer.append_event("mark", 1.0, text="x" * 200)
        assert (path / "events.jsonl").stat().st_size == 100
        with imgstore.open(path) as store:
            assert [event.time for event in store.events] == [0.0]
        writer.append_event("mark", 2.0)
    with imgstore.open(path) as store:
        assert [event.time for event in store.events] == [0.0, 2.0]
        assert store.problems == ()


@needs_strace
def test_a_failing_sync_of_the_events_is_told(tmp_path):
    path = tmp_path / "a"
    writer = imgstore.create(path, SHAPE, format="npy")
    writer.append_event("mark", 0.0)
    with failing(path / "events.jsonl", "fdatasync"):
        writer.append_event("mark", 1.0)
        with pytest.raises(ChunkError, match=r"events\.jsonl.*safe"):
            writer.close()
    with imgstore.open(path) as store:
        assert (len(store.events), store.state) == (2, "complete")
