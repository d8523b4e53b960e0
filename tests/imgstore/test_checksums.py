"""Checksums of finished chunks: what stands in their file, and what becomes of it."""

import os
import threading

import numpy as np
import pytest
import xxhash

import imgstore
from imgstore import ChunkError, Frame
from imgstore.checksums import keep_checksums, load_checksums, record_chunk, record_files
from tests.conftest import numbered_images


def test_there_is_a_line_of_xxhsum_for_every_file(make_store):
    path = make_store(format="h264/mkv", chunksize=12)
    lines = (path / ".checksums").read_text().splitlines()
    expected = [
        f"XXH3 ({name}) = {xxhash.xxh3_64((path / name).read_bytes()).hexdigest()}"
        for name in ("000000.mkv", "000000.npz")
    ]
    assert lines == expected


def test_the_images_of_a_folder_have_one_line_that_other_programs_pass_over(make_store):
    path = make_store(format="png", chunksize=12)
    images, index = (path / ".checksums").read_text().splitlines()
    whole = b"".join(file.read_bytes() for file in sorted((path / "000000").glob("*.png")))
    assert images == f"# XXH3 (000000/*.png) = {xxhash.xxh3_64(whole).hexdigest()}"
    assert index.startswith("XXH3 (000000/index.npz) = ")


def test_extra_data_beside_the_frames_and_in_the_root_are_recorded(tmp_path):
    with imgstore.create(tmp_path / "a", (32, 48), format="png", chunksize=1) as writer:
        for n, image in enumerate(numbered_images((32, 48), 2)):
            writer.append(Frame(image, n, n, float(n)))
            writer.append_extra({"n": n})
        (tmp_path / "a" / "000001.extra_data.h5").write_bytes(b"signals")
    assert sorted(load_checksums(tmp_path / "a").of_files) == [
        "000000/*.png",
        "000000/index.extra.json",
        "000000/index.npz",
        "000001.extra_data.h5",
        "000001/*.png",
        "000001/index.extra.json",
        "000001/index.npz",
    ]


def test_the_last_line_of_a_name_counts_and_a_torn_one_does_not(tmp_path):
    keep_checksums(tmp_path)
    (tmp_path / "000000.npz").write_bytes(b"old")
    (tmp_path / "000000.mkv").write_bytes(b"video")
    record_chunk(tmp_path, 0, ".mkv")
    (tmp_path / "000000.npz").write_bytes(b"new")
    with (tmp_path / ".checksums").open("a") as file:
        file.write("XXH3 (000000.mkv) = 01234567")
    assert len(load_checksums(tmp_path).of_files) == 2
    record_files(tmp_path, ["000000.npz"])
    found = load_checksums(tmp_path)
    assert found.broken == ()
    assert found.of_files == {
        "000000.mkv": xxhash.xxh3_64(b"video").hexdigest(),
        "000000.npz": xxhash.xxh3_64(b"new").hexdigest(),
    }


def test_lines_that_say_nothing_or_lead_out_are_counted(tmp_path):
    lines = ["XXH3 (000000.mkv) = 0123456789abcdef", "", "x", "XXH3 (../x) = 0123456789abcdef"]
    lines += ["XXH3 (000000/../../x.npz) = 0123456789abcdef", "XXH3 (000000.mkv) = 0123456789ABCDEF", "\xff"]
    (tmp_path / ".checksums").write_bytes("\n".join([*lines, ""]).encode("latin-1"))
    found = load_checksums(tmp_path)
    assert list(found.of_files) == ["000000.mkv"]
    assert found.broken == (2, 3, 4, 5, 6, 7)


def test_a_chunk_without_an_index_is_not_recorded(tmp_path):
    keep_checksums(tmp_path)
    (tmp_path / "000000.mkv").write_bytes(b"video")
    for chunk, suffix in ((0, ".mkv"), (1, ".mkv"), (2, "")):
        record_chunk(tmp_path, chunk, suffix)
    assert load_checksums(tmp_path).of_files == {}


def test_several_threads_may_record_chunks(tmp_path):
    keep_checksums(tmp_path)
    for chunk in range(40):
        (tmp_path / f"{chunk:06d}.mkv").write_bytes(bytes([chunk]))
        (tmp_path / f"{chunk:06d}.npz").write_bytes(bytes([chunk, 1]))

    def record(start):
        for chunk in range(start, 40, 4):
            record_chunk(tmp_path, chunk, ".mkv")

    threads = [threading.Thread(target=record, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = load_checksums(tmp_path)
    assert len(found.of_files) == 80
    assert found.broken == ()


def test_a_store_that_keeps_none_is_left_alone(tmp_path):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy", checksums=False) as writer:
        writer.append(Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
    record_chunk(tmp_path / "a", 0, "")
    assert load_checksums(tmp_path / "a") is None
    imgstore.repair(tmp_path / "a")
    assert not (tmp_path / "a" / ".checksums").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_checksums_that_cannot_be_written_are_told(tmp_path):
    keep_checksums(tmp_path)
    (tmp_path / ".checksums").chmod(0o444)
    with pytest.raises(ChunkError, match="checksums"):
        record_files(tmp_path, [".checksums"])


def test_a_writer_whose_checksums_are_gone_says_so_when_it_is_closed(tmp_path):
    writer = imgstore.create(tmp_path / "a", (4, 6), format="npy")
    writer.append(Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
    (tmp_path / "a" / ".checksums").unlink()
    (tmp_path / "a" / ".checksums").mkdir()
    with pytest.raises(ChunkError, match="checksums"):
        writer.close()
    with imgstore.open(tmp_path / "a") as store:
        assert (len(store), store.state) == (1, "complete")


@pytest.mark.parametrize("known", ["000000.npz", "000000.extra_data.h5"])
def test_repair_records_the_files_of_a_chunk_of_which_only_some_are_recorded(tmp_path, known):
    path = tmp_path / "a"
    with imgstore.create(path, (32, 48)) as writer:
        samples = writer.stream("daq", ["volts"], 100)
        writer.append(Frame(numbered_images((32, 48), 1)[0], 0, 0, 10.0))
        samples.append([[1.0]], 10.0)
    whole = load_checksums(path)
    (path / ".checksums").write_text(f"XXH3 ({known}) = {whole.of_files[known]}\n")
    assert imgstore.verify(path).findings
    imgstore.repair(path)
    assert load_checksums(path) == whole
    assert not imgstore.verify(path).findings
