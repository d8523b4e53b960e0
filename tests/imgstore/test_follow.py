"""Frames of a store as they are appended."""

import threading

import numpy as np
import pytest

import imgstore
from imgstore import ChunkError, ClosedError, Frame
from imgstore.formats.growing import GrowingVideo, Tail
from tests.conftest import FORMATS_HERE, numbered_images

AHEAD = 3


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_every_frame_that_is_appended_comes_in_order(tmp_path, fmt):
    images = numbered_images((32, 48), 33)
    go_on = [threading.Event() for _ in images]

    def write():
        with imgstore.create(tmp_path / "a", (32, 48), format=fmt, chunksize=7) as writer:
            for n, image in enumerate(images):
                go_on[n].wait(20)
                writer.append(Frame(image, n, 5 * n, 10.0 + n))

    thread = threading.Thread(target=write)
    thread.start()
    for event in go_on[:AHEAD]:  # the store is there before it is opened
        event.set()
    while not (tmp_path / "a" / "metadata.yaml").exists():
        pass
    followed = []
    with imgstore.open(tmp_path / "a") as store:
        for frame in store.follow():
            followed.append(frame)
            for event in go_on[: len(followed) + AHEAD]:  # the rest is written only after these have come
                event.set()
    thread.join()
    assert [(frame.index, frame.number, frame.time) for frame in followed] == [
        (n, 5 * n, 10.0 + n) for n in range(33)
    ]
    with imgstore.open(tmp_path / "a") as store:
        for frame in store:
            np.testing.assert_array_equal(followed[frame.index].image, frame.image)


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3"])
def test_a_video_whose_header_is_still_on_its_way_is_waited_for(tmp_path, content):
    chunk = tmp_path / "000000.mkv"
    chunk.write_bytes(content)
    tail = Tail(chunk)
    for packet in (b"first", b"second"):
        tail.write(b"", packet)
    ended = iter([False, False, True])
    assert list(GrowingVideo(chunk, "h264", (32, 48)).frames(lambda: next(ended))) == []
    tail.close()
    assert not list(ended)


@pytest.mark.parametrize("fmt", ["npy", "h264/mkv"])
def test_of_a_store_that_nobody_writes_all_frames_come(make_store, fmt):
    with imgstore.open(make_store(format=fmt)) as store:
        assert [frame.number for frame in store.follow()] == list(range(12))


def test_following_can_be_left_at_any_time(make_store):
    with imgstore.open(make_store(format="avc1/mp4")) as store:
        frames = store.follow()
        next(frames)
        frames.close()


def test_following_a_store_that_is_closed_meanwhile_is_refused(make_store):
    with imgstore.open(make_store(format="h264/mkv")) as store:
        frames = store.follow()
        next(frames)
    with pytest.raises(ClosedError):
        next(frames)


@pytest.mark.parametrize("gone", [(0,), (1,), (1, 2), (3,)])
def test_who_follows_goes_on_after_chunks_that_are_gone(make_store, gone):
    path = make_store(format="mjpeg/avi", chunksize=3)
    for chunk in gone:
        for file in path.glob(f"00000{chunk}.*"):
            file.unlink()
    with imgstore.open(path) as store:
        assert [(frame.index, frame.number) for frame in store.follow()] == [
            (frame.index, frame.number) for frame in store
        ]
        assert len(store) == 12 - 3 * len(gone)


@pytest.mark.parametrize("damage", ["cut off", "an image gone", "an index that is none"])
def test_who_follows_goes_on_around_what_cannot_be_read_and_is_told(make_store, damage):
    path = make_store(format="png" if damage == "an image gone" else "mjpeg/avi", chunksize=4)
    if damage == "cut off":
        (video,) = path.glob("000001.*avi")
        video.write_bytes(video.read_bytes()[:300])
    elif damage == "an image gone":
        (path / "000001" / "000001.png").write_bytes(b"none")
    else:
        (path / "000001.npz").write_bytes(b"none")
    broken = []
    with imgstore.open(path) as store:
        frames = [(frame.index, frame.number) for frame in store.follow(broken=broken.append)]
        if damage == "an index that is none":
            assert len(store) == 8
        else:
            with pytest.raises(ChunkError, match="000001"):
                list(store.follow())
    if damage == "cut off":
        assert [(frame.index, frame.number) for frame in broken] == [(n, n) for n in range(4, 8)]
        assert all("000001" in frame.reason for frame in broken)
        assert frames == [(n, n) for n in (*range(4), *range(8, 12))]
    elif damage == "an image gone":
        assert [(frame.index, frame.number) for frame in broken] == [(5, 5)]
        assert frames == [(n, n) for n in range(12) if n != 5]
    else:
        assert broken == []
        assert frames == [*((n, n) for n in range(4)), *((n, n + 4) for n in range(4, 8))]
