"""What `verify` says of stores that are whole, damaged, unfinished, or being written."""

import json
import os
import shutil
import threading

import numpy as np
import pytest

import imgstore
from imgstore import Frame, NotAStoreError
from imgstore.cache import CACHE_FILENAME
from imgstore.chunk import OpenChunk
from imgstore.events import EVENTS_FILENAME
from imgstore.formats import FORMATS
from imgstore.formats.video import presentation_times
from imgstore.index import ChunkIndex, load_chunk_index, save_chunk_index
from imgstore.journal import Journal
from imgstore.layout import journal_path
from imgstore.metadata import load_metadata
from tests.conftest import FORMATS_HERE, numbered_images
from tests.imgstore.test_durability import made_of_indexes


def errors(path, **how):
    """Return what is wrong with a store, as lines."""
    found = imgstore.verify(path, **how)
    return [f"{finding.file}: {finding.what}" for finding in found.findings if finding.severity == "error"]


def findings(path, **how):
    return {(finding.severity, finding.file) for finding in imgstore.verify(path, **how).findings}


def rewrite_index(path, chunk, numbers, times):
    save_chunk_index(path / f"{chunk:06d}.npz", ChunkIndex(np.array(numbers), np.array(times)), {"uuid": "x"})


def kill_writer(path, images, *, format="h264/mkv"):  # noqa: A002
    """Leave a store as a writer does that dies in its second chunk."""
    with imgstore.create(path, images[0].shape, format=format, chunksize=5) as writer:
        for n, image in enumerate(images[:5]):
            writer.append(Frame(image, n, n, 1000 + n / 25))
    metadata = load_metadata(path / "metadata.yaml")
    chunk_format = FORMATS.get(format)
    settings = chunk_format.settings(metadata.spec)
    chunk = OpenChunk(path, 1, chunk_format, metadata.spec, settings, metadata.store)
    for n, image in enumerate(images[5:], 5):
        chunk.append(Frame(image, n, n, 1000 + n / 25))
    chunk._writer.close()
    chunk._journal.close()


@pytest.mark.parametrize("fmt", FORMATS_HERE)
def test_nothing_is_wrong_with_what_was_just_written(make_store, fmt):
    path = make_store(format=fmt)
    seen = []
    found = imgstore.verify(path, progress=lambda done, total: seen.append((done, total)))
    assert found.findings == ()
    assert found.ok
    assert (found.state, found.chunks, found.frames, found.decoded, found.checksums) == (
        "complete",
        3,
        12,
        12,
        6,
    )
    assert seen[-1] == (12, 12)
    fast = imgstore.verify(path / "metadata.yaml", decode=False, workers=1)
    assert fast.ok
    assert (fast.frames, fast.decoded, fast.checksums) == (12, 0, 6)


def test_a_store_without_checksums_is_read_all_the_same(tmp_path):
    with imgstore.create(tmp_path / "a", (32, 48), format="png", checksums=False) as writer:
        writer.append(Frame(numbered_images((32, 48), 1)[0], 0, 0, 0.0))
    assert not (tmp_path / "a" / ".checksums").exists()
    found = imgstore.verify(tmp_path / "a")
    assert (found.findings, found.decoded, found.checksums) == ((), 1, 0)


def test_a_broken_image_is_named_by_index_and_number_and_the_rest_is_checked(make_store):
    path = make_store(format="png", numbers=[10 * n for n in range(12)])
    (path / "000001" / "000002.png").write_bytes(b"no picture")
    found = imgstore.verify(path)
    broken = [finding for finding in found.findings if "number 70" in finding.what]
    assert [(finding.chunk, finding.frames) for finding in broken] == [(1, range(7, 8))]
    assert "000001/000002.png" in broken[0].what
    assert ("error", "000001/*.png") in findings(path, decode=False)
    assert found.decoded == 11


def test_frames_in_a_row_that_cannot_be_read_are_one_finding(make_store):
    path = make_store(format="png")
    for name in ("000000/000001.png", "000000/000002.png", "000000/000004.png"):
        (path / name).unlink()
    broken = [finding for finding in imgstore.verify(path).findings if "cannot be read" in finding.what]
    assert [finding.frames for finding in broken] == [range(1, 3), range(4, 5)]


def test_a_video_that_is_shorter_or_longer_than_its_index_is_named(make_store):
    path = make_store(format="h264/mkv")
    rewrite_index(path, 0, range(8), 1000 + np.arange(8) / 20)
    rewrite_index(path, 1, [5, 6, 7], 1000 + np.arange(3) / 20)
    found = imgstore.verify(path)
    what = {finding.file: finding for finding in found.findings if finding.file.endswith(".mkv")}
    assert what["000000.mkv"].frames == range(5, 8)
    assert what["000000.mkv"].severity == "error"
    assert "2 more images" in what["000001.mkv"].what
    assert found.decoded == 5 + 3 + 2


def test_any_change_of_a_finished_chunk_is_found_by_its_checksum(make_store):
    path = make_store(format="npy")
    for name, recorded in (("000001/000003.npy", "000001/*.npy"), ("000002/index.npz", "000002/index.npz")):
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert ("error", recorded) in findings(path)
        (path / name).write_bytes(whole)
    (path / "000000" / "000004.npy").rename(path / "000000" / "000005.npy")
    assert ("error", "000000") in findings(path)
    assert len(errors(path, decode=False)) == 0  # one after the other, the images are the same


def test_chunks_that_are_gone_are_named(make_store):
    path = make_store(format="h264/mkv", numbers=list(range(30)))
    (path / "000001.mkv").unlink()
    for file in path.glob("000003*"):
        file.unlink()
    for file in path.glob("000005*"):
        file.unlink()
    (path / "000002.npz").unlink()
    text = "\n".join(errors(path, decode=False))
    assert "000001.mkv: it is missing, its index is there" in text
    assert "000003.mkv: it is missing" in text
    assert "000005.mkv: it was recorded, and is gone" in text
    assert "000002.mkv: it has neither index nor journal" in text


def test_behind_a_broken_index_the_images_are_compared_all_the_same(make_store):
    path = make_store(format="h264/mkv")
    for name in ("000001.npz", "000001.mkv"):
        (path / name).write_bytes((path / name).read_bytes()[:200])
    assert ("error", "000001.mkv") in findings(path)
    assert imgstore.verify(path).decoded == 7


def test_odd_numbers_and_times_are_named_with_where_they_begin(make_store):
    path = make_store(
        format="npy",
        numbers=[1, 2, 2, 3, 9, 8, 10, 11, 12, 13, 14, 15],
        times=[0, 1, 2, np.nan, 4, 3, 5, 6, 7, 8, np.inf, 10],
    )
    found = imgstore.verify(path)
    assert found.ok
    assert [(finding.severity, finding.file, finding.frames.start) for finding in found.findings] == [
        ("warning", "numbers", 2),
        ("warning", "numbers", 5),
        ("warning", "times", 3),
        ("warning", "times", 5),
        ("note", "numbers", 4),
    ]
    assert "6 frames are missing in 2 gaps" in found.findings[-1].what


def test_the_extremes_of_64_bits_are_numbers(make_store):
    path = make_store(format="npy", numbers=[-(1 << 63), 0, (1 << 63) - 1], times=[0.0, 1.0, 2.0])
    found = imgstore.verify(path)
    assert found.ok
    assert "gaps" in found.findings[0].what


@pytest.mark.parametrize("fmt", ["avc1/mp4", "h264/mkv", "ffv1/mkv"])
def test_times_that_are_none_of_the_videos_are_a_warning(make_store, fmt):
    times = [1000, 1000.1, 1000.3, 1000.3, 999, 1001.123, 1003, np.nan, 1004, 5004, 5005, 5005.5]
    path = make_store(format=fmt, times=times, chunksize=12)
    assert {finding.file for finding in imgstore.verify(path).findings} == {"times"}
    times[5] += 0.02
    rewrite_index(path, 0, range(12), times)
    suffix = FORMATS.get(fmt).suffix
    found = [finding for finding in imgstore.verify(path).findings if finding.file == "000000" + suffix]
    assert [(finding.severity, finding.frames) for finding in found] == [("warning", range(5, 6))]


def test_frames_are_shown_at_their_times_where_these_rise():
    times = np.array([5.0, 5.1, 5.1, 4.0, np.nan, 6.0])
    np.testing.assert_allclose(presentation_times(times, 1000), [0, 0.1, 0.101, 0.102, 0.103, 1.0])
    assert presentation_times(np.array([np.nan, np.nan]), 10).tolist() == [0, 0.1]


def test_a_store_whose_writer_died_is_to_be_repaired(tmp_path):
    images = numbered_images((32, 48), 8)
    kill_writer(tmp_path / "a", images)
    (tmp_path / "a" / ".lock").touch()
    (tmp_path / "a" / ".000001.npz.partial").touch()
    found = imgstore.verify(tmp_path / "a")
    assert found.state == "interrupted"
    assert found.decoded == 8
    assert all("repair" in finding.what for finding in found.findings)
    assert errors(tmp_path / "a") == [
        "000001.mkv: it is not finished: its writer died; run `ethostore repair`"
    ]
    imgstore.repair(tmp_path / "a")
    found = imgstore.verify(tmp_path / "a")
    assert (found.findings, found.checksums) == ((), 4)


def test_repair_records_the_checksums_that_a_dead_writer_could_not(make_store):
    path = make_store(format="png")
    whole = (path / ".checksums").read_bytes()
    lines = whole.splitlines(keepends=True)
    (path / ".checksums").write_bytes(b"".join(lines[:-2]) + lines[-2][:9])  # torn in the middle of a line
    found = imgstore.verify(path)
    assert [(finding.severity, finding.chunk) for finding in found.findings] == [("note", 2)]
    imgstore.repair(path)
    assert (path / ".checksums").read_bytes() == whole
    imgstore.repair(path)
    assert (path / ".checksums").read_bytes() == whole


def test_a_store_that_is_being_written_is_checked_as_far_as_it_is_whole(tmp_path):
    images = numbered_images((32, 48), 12)
    with imgstore.create(tmp_path / "a", (32, 48), format="h264/mkv", chunksize=5) as writer:
        for n, image in enumerate(images):
            writer.append(Frame(image, n, n, 1000 + n / 25))
            found = imgstore.verify(tmp_path / "a")
            assert found.state == "recording"
            assert found.ok, found.findings
            assert {finding.severity for finding in found.findings} == {"note"}
            assert n - 5 <= found.decoded <= n + 1  # a chunk is shown when the one before is finished
    assert imgstore.verify(tmp_path / "a").findings == ()


def test_a_journal_beside_an_index_has_to_say_the_same(make_store):
    path = make_store(format="npy")
    for numbers, severity in (([0, 1], "warning"), ([0, 2], "error")):
        journal = Journal(journal_path(path, 0))
        for number in numbers:
            journal.append(number, 1000 + 0.05 * number)
        journal.close()
        assert (severity, ".000000.journal") in findings(path)
        journal_path(path, 0).unlink()


def test_copies_of_the_index_are_compared_with_it(tmp_path):
    made_of_indexes(tmp_path / "a", 50, 4)
    imgstore.open(tmp_path / "a").close()
    reader = imgstore.new_for_filename(str(tmp_path / "a"))
    reader.save_index()
    reader.close()
    copies = {CACHE_FILENAME, ".index.sqlite"}
    assert not copies & {file for _, file in findings(tmp_path / "a", decode=False)}
    index = tmp_path / "a" / "000007" / "index.npz"
    before = index.stat()
    found = load_chunk_index(index.with_suffix(""))
    save_chunk_index(index, ChunkIndex(found.numbers + 1, found.times), {"uuid": "x", "imgshape": [4, 6]})
    os.utime(index, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk may, that remembers old content
    assert {("error", CACHE_FILENAME), ("warning", ".index.sqlite")} <= findings(tmp_path / "a", decode=False)
    (tmp_path / "a" / ".index.sqlite").write_bytes(b"no database")
    (tmp_path / "a" / CACHE_FILENAME).write_bytes(b"no cache")
    assert {("warning", CACHE_FILENAME), ("warning", ".index.sqlite")} <= findings(
        tmp_path / "a", decode=False
    )


def test_extra_data_that_cannot_be_read_are_named(tmp_path):
    with imgstore.create(tmp_path / "a", (32, 48), format="png", chunksize=2, checksums=False) as writer:
        for n, image in enumerate(numbered_images((32, 48), 6)):
            writer.append(Frame(image, n, n, float(n)))
            writer.append_extra({"light": n})
    first, second = (tmp_path / "a" / f"00000{chunk}" / "index.extra.json" for chunk in (0, 1))
    first.write_text("{no json")
    second.write_text(second.read_text()[:-1])
    (tmp_path / "a" / "000002.extra_data.h5").write_bytes(b"no signals")
    assert findings(tmp_path / "a") == {
        ("error", "000000/index.extra.json"),
        ("warning", "000001/index.extra.json"),
        ("error", "000002.extra_data.h5"),
    }


def test_what_does_not_belong_to_a_store_is_noted(make_store):
    path = make_store(format="png")
    (path / "notes.txt").touch()
    (path / "000001" / "Thumbs.db").touch()
    (path / "fly.tracks.h5").touch()
    assert findings(path) == {("note", "notes.txt"), ("note", "000001/Thumbs.db")}


def test_of_many_alike_the_first_are_told_and_the_others_counted(make_store):
    path = make_store(format="png", numbers=list(range(120)), chunksize=2)
    (path / ".checksums").write_bytes(b"")
    for file in range(200):
        (path / f"{file}.txt").touch()
    found = imgstore.verify(path, decode=False).findings
    assert len(found) == 2 * 21
    assert [finding.what for finding in found if "more" in finding.what] == [
        "and 180 more like these",
        "and 40 more like these",
    ]


def test_what_is_no_store_is_told_so(tmp_path):
    with pytest.raises(NotAStoreError):
        imgstore.verify(tmp_path)


def test_checking_ends_when_it_is_interrupted(make_store):
    path = make_store(
        format="npy", numbers=list(range(2000)), times=[float(n) for n in range(2000)], chunksize=500
    )

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imgstore.verify(path, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("verify")]


def test_whatever_rewrites_files_keeps_their_checksums_true(tmp_path, make_store):
    video = make_store(format="h264/mkv", name="source")
    store = imgstore.new_for_format("h264/mkv", path=str(tmp_path / "a"), imgshape=(32, 48), imgdtype="uint8")
    store.add_image(numbered_images((32, 48), 1)[0], 0, 0.0)
    store.empty()
    store.insert_chunk(str(video / "000000.mkv"), [-1, 3, 0, 1, 2], [0.0, 0.1, 0.2, 0.3, 0.4], move=False)
    store.close()
    assert imgstore.verify(tmp_path / "a").checksums == 2
    assert errors(tmp_path / "a") == []
    imgstore.new_for_filename(str(tmp_path / "a")).reindex()
    assert load_chunk_index(tmp_path / "a" / "000000").numbers.tolist() == [-2, -1, 0, 1, 2]
    assert errors(tmp_path / "a") == []


def test_counting_anew_does_not_hide_damage(make_store):
    path = make_store(format="png", numbers=[-1, *range(11)])
    image = path / "000000" / "000000.png"
    image.write_bytes(image.read_bytes() + b"x")
    imgstore.new_for_filename(str(path)).reindex()
    assert findings(path, decode=False) == {("error", "000000/*.png")}


def test_a_store_that_was_moved_or_copied_is_still_whole(make_store, tmp_path):
    path = make_store(format="h264/mkv")
    shutil.copytree(path, tmp_path / "copy")
    assert imgstore.verify(tmp_path / "copy").findings == ()
    assert json.dumps([finding.what for finding in imgstore.verify(path).findings]) == "[]"


def ended(path, *gaps, images, **said):
    """Make a store of 12 frames that says at its end what it came to, and return what is said about that."""
    with imgstore.create(path, images[0].shape, format="npy") as writer:
        for n, image in enumerate(images):
            writer.append(Frame(image, n, n, 1000 + n / 25))
        for cause, count in gaps:
            writer.append_event("gap", 1001.0, first=None, last=None, count=count, cause=cause)
        writer.append_event("recording_ended", 1002.0, **said)
    return [(finding.severity, finding.what) for finding in imgstore.verify(path).findings]


def test_what_a_recording_ended_with_is_compared_with_the_store_and_its_gaps(tmp_path):
    images = numbered_images((32, 48), 12)
    tries = (tmp_path / f"{n}" for n in range(9))
    gaps = [("queue", 2), ("queue", 1), ("camera", 4)]
    right = {"captured": 19, "written": 12, "lost": {"queue": 3, "camera": 4}}

    def say(*named, **said):
        return ended(next(tries), *named, images=images, **{**right, **said})

    assert say(*gaps) == []
    assert say(*gaps, captured=20, written=13) == [
        ("error", "the recording ended with 13 frames written, the store holds 12")
    ]
    assert say(*gaps, captured=18, written=11) == [
        ("warning", "the recording ended with 11 frames written, the store holds 12")
    ]
    assert say(*gaps[1:]) == [("error", "the recording ended with 3 frames lost by queue, its gaps name 1")]
    assert say(*gaps, ("disk", 5)) == [
        ("warning", "the recording ended with 0 frames lost by disk, its gaps name 5")
    ]
    assert say(*gaps, captured=30) == [
        ("error", "the recording ended with 30 frames captured, but 12 written and 7 lost are 19")
    ]
    nonsense = {"captured": "many", "written": -1, "lost": [{"queue": 1}]}
    assert [severity for severity, _ in say(*gaps, **nonsense)] == ["warning", "warning"]


def test_a_recording_without_an_end_is_held_to_none(make_store):
    path = make_store()
    gap = {"time": 1000.1, "kind": "gap", "first": 1, "last": 1, "count": 1, "cause": "queue"}
    (path / EVENTS_FILENAME).write_text(json.dumps(gap) + "\n")
    assert imgstore.verify(path).findings == ()
    end = {"time": 1009.0, "kind": "recording_ended", "captured": 99, "written": 99, "lost": {}}
    (path / EVENTS_FILENAME).write_text("no event\n" + json.dumps(end) + "\n")
    assert [finding.what for finding in imgstore.verify(path).findings] == ["line 1 is no event"]
