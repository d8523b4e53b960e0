"""Stores from strangers: bombs, links, pipes, cuts and flips give clear errors or named gaps."""

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO

import cv2
import h5py
import numpy as np
import pytest
import yaml

import imgstore
from imgstore import ChunkError, ImgstoreError, MetadataError, NotAStoreError, StoreInUseError
from imgstore.cache import CACHE_FILENAME, load_cache
from imgstore.events import EVENTS_FILENAME, load_events
from imgstore.extra import ExtraFile, load_extra_file, read_records
from imgstore.formats import FORMATS
from imgstore.formats.headers import image_size
from imgstore.frame import FrameSpec
from imgstore.index import ChunkIndex, load_chunk_index, save_chunk_index
from imgstore.layout import replacing
from imgstore.metadata import load_metadata
from imgstore.sqlite_index import ImgStoreIndex
from tests.conftest import ROOT
from tests.faults.hostile import CHUNKSIZE, FRAMES, LOSSLESS, SHAPE, in_child, make, number_in, read
from tests.imgstore.test_durability import made_of_indexes

FORMATS_TRIED = (*LOSSLESS, "jpg", "mjpeg/avi", "h264/mkv", "avc1/mp4")
MIB = 1 << 20


@pytest.fixture
def store(tmp_path):
    return make(tmp_path / "a.store", "png")


@pytest.fixture
def video(tmp_path):
    return make(tmp_path / "v.store", "h264/mkv")


@pytest.fixture
def secret(tmp_path):
    """A file outside of the store that nobody may touch."""
    file = tmp_path / "secret"
    file.write_text("mine")
    yield file
    assert file.read_text() == "mine"


def change_metadata(path, **changes):
    content = yaml.safe_load((path / "metadata.yaml").read_text())
    content["__store"] |= changes
    (path / "metadata.yaml").write_text(yaml.safe_dump(content))


def limited(code, *arguments, memory=1 << 30):
    """Run code in a process that gets so much memory above what the libraries take; return what it prints."""
    prelude = (
        "import resource, signal, sys, imgstore, tests.faults.hostile, blosc2, pandas\n"
        "used = 1024 * int(open('/proc/self/status').read().split('VmSize:')[1].split()[0])\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {memory},) * 2)\n"
        "signal.alarm(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", prelude + code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


READ = (
    "for path in sys.argv[1:]:\n"
    "    signal.alarm(30); tests.faults.hostile.read(path); print(imgstore.verify(path).ok, flush=True)\n"
)


@pytest.mark.parametrize("fmt", FORMATS_TRIED)
def test_images_cut_at_any_byte_give_no_other_image(tmp_path, fmt):
    in_child("truncate", make(tmp_path / "a.store", fmt), 211)


@pytest.mark.parametrize("fmt", ["npy", "blosc2", "png", "ffv1/mkv", "mjpeg/avi", "h264/mkv", "avc1/mp4"])
def test_a_bit_that_flips_is_found_by_its_checksum_and_crashes_nothing(tmp_path, fmt):
    in_child("flip", make(tmp_path / "a.store", fmt), 12)


def test_an_index_cut_at_any_byte_is_named(store):
    file = store / "000000" / "index.npz"
    whole = file.read_bytes()
    index = load_chunk_index(store / "000000" / "index")
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        try:
            found = load_chunk_index(store / "000000" / "index")
        except ChunkError:
            continue
        np.testing.assert_array_equal(
            found.numbers, index.numbers
        )  # what was cut were copies of the metadata
        np.testing.assert_array_equal(found.times, index.times)


@pytest.mark.parametrize("name", ["metadata.yaml", ".checksums", "000000/index.extra.json"])
def test_a_text_cut_at_any_byte_is_read_in_part_or_named(store, name):
    whole = (store / name).read_bytes()
    for length in range(0, len(whole), 1 if name == "metadata.yaml" else 7):
        (store / name).write_bytes(whole[:length])
        read(store)
        assert not (name == ".checksums" and imgstore.verify(store, decode=False).count("error"))


def test_events_cut_or_flipped_at_any_byte_are_read_in_part_and_named(store):
    whole = "".join(json.dumps({"time": n, "kind": "gap", "first": n, "last": n}) + "\n" for n in range(4))
    file = store / EVENTS_FILENAME
    for place in range(len(whole)):
        file.write_text(whole[:place])
        assert len(load_events(store).events) == whole[:place].count("}")
        changed = bytearray(whole.encode())
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        assert len(load_events(store).events) >= 2
    read(store)


@pytest.mark.slow
def test_events_that_are_bombs_cost_a_bounded_amount_of_memory(store):
    file = store / EVENTS_FILENAME
    line = b'{"time": 1, "kind": "mark", "values": [' + b",".join([b"[]"] * 15_000) + b"]}\n"
    bombs = [
        b"\n" * (40 * MIB),
        b"[" * (40 * MIB),
        line * (40 * MIB // len(line)),
        b'{"time":1,"kind":"a"}\n' * (2 * MIB),
        None,
    ]
    for bomb in bombs:
        if bomb is None:
            with file.open("wb") as sparse:
                sparse.truncate(1 << 40)
        else:
            file.write_bytes(bomb)
        said = limited(
            "with imgstore.open(sys.argv[1]) as reader: print(len(reader.events), reader.problems)\n"
            "print(imgstore.verify(sys.argv[1]).ok)",
            store,
        )
        assert "is not read" in said
        assert "False" in said
    file.unlink()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "unreadable"])
def test_events_that_are_no_plain_file_are_named_and_the_frames_read(store, secret, kind):
    file = store / EVENTS_FILENAME
    if kind == "link":
        file.symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(store / "nowhere")
    with imgstore.open(store) as reader:
        assert reader.events == ()
        assert len(list(reader)) == FRAMES
        assert [problem for problem in reader.problems if EVENTS_FILENAME in problem]
    found = imgstore.verify(store)
    assert [one.file for one in found.findings if one.severity == "error"] == [EVENTS_FILENAME]
    assert EVENTS_FILENAME in str(imgstore.repair(store).problems)


def test_a_cache_with_any_byte_cut_or_flipped_is_not_believed(tmp_path):
    made_of_indexes(tmp_path / "a", 50, 3, disorder=True)
    imgstore.open(tmp_path / "a").close()
    file = tmp_path / "a" / CACHE_FILENAME
    whole = file.read_bytes()
    assert load_cache(tmp_path / "a") is not None
    for place in range(0, len(whole), 5):
        file.write_bytes(whole[:place])
        assert load_cache(tmp_path / "a") is None
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert load_cache(tmp_path / "a") is None
    found = imgstore.verify(tmp_path / "a", decode=False)
    assert CACHE_FILENAME in [finding.file for finding in found.findings if finding.severity == "warning"]


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]\n"
    for last, name in zip("abcdefg", "bcdefgh", strict=True)
)
BOMBS = {
    "aliases": ALIASES,
    "merge keys": "a: &a {x: 1}\nb: {<<: *a}\n",
    "an alias in itself": "a: &a [*a]\n",
    "depth": "a: " + "[" * 100_000,
    "depth that closes": "a: " + "[" * 5000 + "]" * 5000,
    "blocks": "- " * 400_000,
    "many values": "a: [" + "1," * 300_000 + "]\n",
    "size": "a: " + "x" * MIB + "\n",
    "many keys": "".join(f"k{n}: 1\n" for n in range(60_000)),
    "digits": "a: " + "9" * 100_000 + "\n",
    "a sexagesimal number": "a: 1" + ":1" * 500_000 + "\n",
    "a sexagesimal fraction": "a: 1" + ":1" * 5000 + ".5\n",
    "an object": "a: !!python/object/apply:os.system ['touch /tmp/pwned']\n",
    "a module": "a: !!python/module:os\n",
    "a number that is none": "a: !!int ''\n",
    "a truth that is none": "a: !!bool x\n",
    "a time that is none": "a: !!timestamp x\n",
    "no text": "\x00",
    "a key that is a list": "? [1, 2]\n: x\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_metadata_that_unfold_into_more_than_they_say_are_refused(store, bomb):
    text = (store / "metadata.yaml").read_text()
    (store / "metadata.yaml").write_text(BOMBS[bomb] + text)
    with pytest.raises(MetadataError, match=r"metadata\.yaml") as caught:
        imgstore.open(store)
    assert len(str(caught.value)) < 1000
    found = imgstore.verify(store)
    assert [finding.file for finding in found.findings] == ["metadata.yaml"]
    assert not found.ok


def test_no_metadata_take_long_or_much_memory(store, tmp_path):
    bombs = ("many values", "a sexagesimal number", "depth", "aliases", "many keys")
    for bomb in bombs:
        shutil.copytree(store, tmp_path / bomb)
        (tmp_path / bomb / "metadata.yaml").write_text(BOMBS[bomb])
    assert limited(READ, *(tmp_path / bomb for bomb in bombs), memory=256 * MIB) == "False\n" * len(bombs)


@pytest.mark.parametrize(
    "changes",
    [
        {"imgshape": [1 << 40, 1 << 40]},
        {"imgshape": [-1, 5]},
        {"imgshape": [0, 0]},
        {"imgshape": "12"},
        {"imgshape": [float("inf"), 3]},
        {"imgshape": [[1, 2], [3]]},
        {"imgdtype": "O"},
        {"imgdtype": "(1000,1000)f8"},
        {"imgdtype": ["u1"]},
        {"imgdtype": "x" * 100_000},
        {"chunksize": 10**80},
        {"chunksize": float("inf")},
        {"format": "../../x"},
        {"format": ["png"]},
        {"class": ["DirectoryImgStore"]},
        {"encoding": "x" * 100_000},
        {"created_utc": "0001-01-01T00:00:00+14:00"},
        {"settings": ["x" * 100_000]},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_absurd_metadata_are_refused_in_few_words(store, changes):
    change_metadata(store, **changes)
    with pytest.raises(ImgstoreError) as caught:
        imgstore.open(store)
    assert len(str(caught.value)) < 1000
    assert not imgstore.verify(store).ok


@pytest.mark.parametrize(
    "extension", ["/../../x", "../x", ".", "", ".npz", ".mkv/../../x", "\0", ".mkv\n", 3]
)
def test_an_extension_leads_nowhere(video, extension):
    change_metadata(video, extension=extension)
    with pytest.raises(MetadataError, match="extension"):
        imgstore.open(video)


def zip_of(members, compression=zipfile.ZIP_STORED):
    file = BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def npy(descr, shape, body=b""):
    head = BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": shape})
    return head.getvalue() + body


def good(count=3):
    return npy("<f8", (count,), bytes(8 * count))


def pickled():
    file = BytesIO()
    np.savez(file, frame_number=np.array([object, 2, 3], object), frame_time=np.zeros(3))
    return file.getvalue()


def lying():
    """An archive whose list says that a member is larger than it is."""
    arrays = {"frame_number.npy": npy("<i8", (3,), bytes(24)), "frame_time.npy": good()}
    data = bytearray(zip_of(arrays, zipfile.ZIP_DEFLATED))
    place = data.index(b"PK\x01\x02")
    struct.pack_into("<II", data, place + 20, 1 << 31, 1 << 31)
    return bytes(data)


ARCHIVES = {
    "pickled": pickled,
    "an absurd shape": lambda: zip_of({"frame_number.npy": npy("<i8", (1 << 40,)), "frame_time.npy": good()}),
    "a negative shape": lambda: zip_of({"frame_number.npy": npy("<i8", (-1,)), "frame_time.npy": good()}),
    "many axes": lambda: zip_of(
        {"frame_number.npy": npy("<i8", (1,) * 30, bytes(8)), "frame_time.npy": good()}
    ),
    "no axis": lambda: zip_of({"frame_number.npy": npy("<i8", (), bytes(8)), "frame_time.npy": good()}),
    "words": lambda: zip_of({"frame_number.npy": npy("<U1", (3,), b"1\0\0\0" * 3), "frame_time.npy": good()}),
    "a wrong header": lambda: zip_of(
        {"frame_number.npy": b"\x93NUMPY\x01\x00\x04\x00{{{\n", "frame_time.npy": good()}
    ),
    "a header that is code": lambda: zip_of(
        {"frame_number.npy": b"\x93NUMPY\x01\x00\x14\x00__import__('os')   \n", "frame_time.npy": good()}
    ),
    "a bomb": lambda: zip_of(
        {"frame_number.npy": npy("<i8", (40 * MIB,), bytes(320 * MIB)), "frame_time.npy": good()},
        zipfile.ZIP_DEFLATED,
    ),
    "a lie about sizes": lying,
    "names that lead out": lambda: zip_of({"../frame_number.npy": good(), "/frame_time.npy": good()}),
    "fewer times than numbers": lambda: zip_of({"frame_number.npy": good(4), "frame_time.npy": good()}),
    "no archive": lambda: b"PK\x05\x06" + bytes(18),
    "nothing": lambda: b"",
    "a long list of members": lambda: zip_of({f"{n}.npy": b"" for n in range(20_000)}),
    "numbers that are none": lambda: zip_of(
        {
            "frame_number.npy": npy("<f8", (3,), np.array([1, np.nan, np.inf]).tobytes()),
            "frame_time.npy": good(),
        }
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_index_that_is_none_is_named_and_the_rest_is_read(store, kind):
    (store / "000000" / "index.npz").write_bytes(ARCHIVES[kind]())
    with imgstore.open(store) as reader:
        assert len(reader) == FRAMES - CHUNKSIZE
        assert "000000" in reader.problems[0]
    assert not imgstore.verify(store).ok


def test_no_index_takes_much_memory(store, tmp_path):
    kinds = ("a bomb", "an absurd shape", "a lie about sizes", "a long list of members")
    for kind in kinds:
        shutil.copytree(store, tmp_path / kind)
        (tmp_path / kind / "000000" / "index.npz").write_bytes(ARCHIVES[kind]())
    assert limited(READ, *(tmp_path / kind for kind in kinds), memory=512 * MIB) == "False\n" * len(kinds)


def test_files_that_are_larger_than_the_memory_are_refused(store):
    for name in (
        "000000/index.npz",
        "000000/000000.png",
        "000001/index.extra.json",
        ".checksums",
        ".frames.index",
    ):
        with (store / name).open("ab") as file:
            file.truncate(1 << 38)  # it takes no place on the disk
    assert limited(READ, store, memory=512 * MIB) == "False\n"


def png_of(rows, columns):
    """A small file of an image that takes much memory."""

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(rows * (columns + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", body) + part(b"IEND", b"")


def test_an_image_that_is_larger_than_the_store_says_is_not_unpacked(store):
    (store / "000000" / "000000.png").write_bytes(png_of(8000, 16_000))
    (store / "000000" / "000001.png").write_bytes(
        cv2.imencode(".tif", np.zeros((16, 24), np.uint8))[1].tobytes()
    )
    with imgstore.open(store) as reader:
        for index, what in ((0, "8000, 16000"), (1, "no header of a png")):
            with pytest.raises(ChunkError, match=what):
                reader[index]
    assert limited(READ, store, memory=100 * MIB) == "False\n"


@pytest.mark.parametrize(
    ("ending", "shape"),
    [
        *(
            (ending, shape)
            for ending in (".png", ".tif", ".jpg", ".bmp")
            for shape in [(7, 300), (300, 7, 3)]
        ),
        (".ppm", (7, 300, 3)),
        (".pgm", (300, 7)),
    ],
)
def test_the_size_of_an_image_is_known_before_it_is_decoded(ending, shape):
    data = cv2.imencode(ending, np.zeros(shape, np.uint8))[1].tobytes()
    assert image_size(data, ending) == shape[:2]
    for length in range(0, 60):
        try:
            assert image_size(data[:length], ending) == shape[:2]
        except ValueError:
            continue


def test_a_video_of_another_size_is_refused(tmp_path, video):
    with imgstore.create(tmp_path / "b", (64, 96), format="h264/mkv") as writer:
        writer.append(imgstore.Frame(np.zeros((64, 96), np.uint8), 0, 1, 2.0))
    shutil.copy(tmp_path / "b" / "000000.mkv", video / "000000.mkv")
    with imgstore.open(video) as reader, pytest.raises(ChunkError, match="64"):
        reader[0]


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile '{}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
    ],
    ids=["concat", "hls"],
)
def test_a_playlist_that_is_called_a_chunk_opens_no_other_file(video, tmp_path, playlist):
    make(tmp_path / "other.store", "h264/mkv")
    (video / "000000.mkv").write_text(playlist.format(tmp_path / "other.store" / "000000.mkv"))
    with imgstore.open(video) as reader, pytest.raises(ChunkError, match=r"000000\.mkv"):
        reader[0]


@pytest.mark.parametrize(
    "name", ["000000/000000.png", "000000/index.npz", "000000", "000000/index.extra.json"]
)
def test_links_in_a_store_of_folders_are_named_and_not_followed(store, tmp_path, name):
    (store / name).rename(tmp_path / "outside")
    (store / name).symlink_to(tmp_path / "outside")
    with imgstore.open(store) as reader:
        problems = list(reader.problems)
        for index in range(len(reader)):
            try:
                assert number_in(reader[index].image) == reader.numbers[index] - 10
            except ChunkError as exc:
                problems.append(str(exc))
        try:
            reader.extra()
        except ChunkError as exc:
            problems.append(str(exc))
    assert any("link" in problem for problem in problems)
    assert any("link" in finding.what for finding in imgstore.verify(store).findings)
    assert not imgstore.verify(store).ok


@pytest.mark.parametrize("name", ["000000.mkv", "000000.npz", "000000.extra.json", "metadata.yaml"])
def test_links_in_a_store_of_videos_are_named_and_not_followed(video, tmp_path, name):
    (video / name).rename(tmp_path / "outside")
    (video / name).symlink_to(tmp_path / "outside")
    if name == "metadata.yaml":
        with pytest.raises(MetadataError, match="link"):
            imgstore.open(video)
    found = imgstore.verify(video)
    assert any("link" in finding.what for finding in found.findings)
    assert not found.ok


def test_a_store_is_reached_by_a_link(store, tmp_path):
    (tmp_path / "link").symlink_to(store)
    assert imgstore.verify(tmp_path / "link").ok
    with imgstore.open(tmp_path / "link") as reader:
        assert [number_in(frame.image) for frame in reader] == list(range(FRAMES))


def test_nothing_outside_is_written_by_way_of_a_link(store, secret):
    (store / ".lock").symlink_to(secret)
    with pytest.raises(StoreInUseError, match="no plain file"):
        imgstore.repair(store)
    (store / ".lock").unlink()
    for name in (".x.partial", ".000000.mkv.partial", "..frames.index.partial", ".checksums"):
        (store / name).unlink(missing_ok=True)
        (store / name).symlink_to(secret)
    with pytest.raises(ChunkError, match="link"):
        imgstore.repair(store)
    assert not imgstore.verify(store).ok
    (store / ".checksums").unlink()
    imgstore.repair(store)
    with replacing(store / "x") as file:
        file.write(b"new")


HARMLESS = (".lock", ".frames.index", ".index.sqlite")
NEEDED = ("000000/000000.png", "000000/index.npz", ".checksums", "metadata.yaml")


def test_pipes_and_folders_in_place_of_files_do_not_hang(store, tmp_path):
    made, expected = [], []
    for kind in ("pipe", "folder"):
        for count, name in enumerate((*HARMLESS, *NEEDED)):
            path = shutil.copytree(store, tmp_path / f"{kind}{count}")
            (path / name).unlink(missing_ok=True)
            os.mkfifo(path / name) if kind == "pipe" else (path / name).mkdir()
            if name != "metadata.yaml":
                made.append(path)
                expected.append(str(name in HARMLESS))
            else:
                with pytest.raises(NotAStoreError):
                    imgstore.open(path)
    assert limited(READ, *made).split() == expected


def test_a_pipe_or_a_device_in_place_of_a_video_is_missing(video):
    (video / "000000.mkv").unlink()
    os.mkfifo(video / "000000.mkv")
    (video / "000001.mkv").unlink()
    (video / "000001.mkv").symlink_to("/dev/zero")
    done = limited("print(*imgstore.open(sys.argv[1]).problems, sep=chr(10))\n" + READ, video)
    assert "000000.mkv is missing" in done
    assert "000001.mkv is a link" in done
    assert done.endswith("False\n")


def test_absurd_names_are_no_chunks_and_take_no_memory(video):
    for name in (
        "999999999999.mkv",
        "0000001.mkv",
        "000002.MKV",
        "00000\u0663.mkv",
        "9" * 200 + ".mkv",
        "-00001.mkv",
    ):
        (video / name).write_bytes(b"x")
    (video / os.fsdecode(b"\xff\x1b[31m.mkv")).write_bytes(b"x")
    done = limited("print(*imgstore.open(sys.argv[1]).problems, sep=chr(10))\n" + READ, video)
    assert "000002, 000003" in done
    assert done.endswith("False\n")
    with imgstore.open(video) as reader:
        assert reader.chunks == (0, 1)
    for finding in imgstore.verify(video).findings:
        assert finding.file.isprintable()
        assert finding.what.isprintable()


def test_records_of_any_kind_are_read_or_named(tmp_path):
    file = tmp_path / "000000.extra_data.json"
    texts = {
        "depth": "[" * 1_000_000,
        "depth of objects": '[{"a":' * 200_000,
        "many columns": json.dumps([{f"c{n}": 1} for n in range(20_000)]),
        "a number of many digits": "[" + "9" * 10_000 + "]",
        "no list": "{}",
        "words as numbers": '[{"frame_number": "x"}]',
        "mixed": '[{"frame_number": 1, "frame_index": "x"}, {"frame_number": 2, "frame_index": 3}]',
        "cut": "[" + ", ".join('{"frame_number": 1}' for _ in range(50_000)),
    }
    for kind, text in texts.items():
        file.write_text(text)
        try:
            table = load_extra_file(ExtraFile(file, beside=False))
            assert len(table) == (50_000 if kind == "cut" else 0)
        except ChunkError:
            assert kind != "cut"


def test_signals_come_from_their_own_file_only(tmp_path):
    other = tmp_path / "other.h5"
    camera = np.zeros(4, [("frame_number", "<i8"), ("frame_time", "<f8")])
    with h5py.File(other, "w") as content:
        content["secret"] = np.zeros((1, 4))
        content["camera"] = camera

    def signals(name, **how):
        with h5py.File(tmp_path / name, "w") as content:
            content.attrs["datasets"] = "daq"
            content["camera"] = camera
            how["make"](content)
            content["daq"].attrs.update({"column_names": "a", "samplerate": 5.0}) if how.get("mine") else None
        return ExtraFile(tmp_path / name, beside=False)

    layout = h5py.VirtualLayout((1, 4), "<f8")
    layout[:] = h5py.VirtualSource(other, "secret", (1, 4))
    strange = [
        signals(
            "link.h5", make=lambda content: content.__setitem__("daq", h5py.ExternalLink(other, "secret"))
        ),
        signals("soft.h5", make=lambda content: content.__setitem__("daq", h5py.SoftLink("/camera"))),
        signals("map.h5", make=lambda content: content.create_virtual_dataset("daq", layout), mine=True),
        signals(
            "raw.h5",
            make=lambda content: content.create_dataset("daq", (1, 4), "<f8", external=[(other, 0, 32)]),
            mine=True,
        ),
        signals(
            "huge.h5",
            make=lambda content: content.create_dataset("daq", (1, 1 << 40), "<f8", chunks=(1, 1000)),
            mine=True,
        ),
        signals("group.h5", make=lambda content: content.create_group("daq"), mine=True),
    ]
    for file in strange:
        with pytest.raises(ChunkError, match=file.path.name):
            load_extra_file(file)
    plain = signals("plain.h5", make=lambda content: content.__setitem__("daq", np.zeros((1, 4))), mine=True)
    assert len(load_extra_file(plain)) == 4


def test_an_index_file_with_views_in_place_of_tables_is_refused(tmp_path):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i AS {} FROM n"
    with sqlite3.connect(tmp_path / "i") as database:
        database.execute("CREATE VIEW index_information AS " + endless.format("name"))
        database.execute("CREATE VIEW frames AS " + endless.format("chunk"))
    database.close()
    with pytest.raises(ChunkError, match="table"):
        ImgStoreIndex.new_from_file(tmp_path / "i")


def test_a_yaml_index_may_be_no_bomb_either(store):
    (store / "000000" / "index.npz").unlink()
    (store / "000000" / "index.yaml").write_text("frame_number: &a [1, 2]\nframe_time: *a\n")
    with imgstore.open(store) as reader:
        assert reader.numbers.tolist()[:2] == [1, 2]
    for text in (
        ALIASES,
        "frame_number: [1, x]\nframe_time: [1, 2]\n",
        "[1]",
        "frame_number: 1\nframe_time: 1\n",
        "x" * 2 * MIB,
    ):
        (store / "000000" / "index.yaml").write_text(text)
        with imgstore.open(store) as reader:
            assert len(reader) == FRAMES - CHUNKSIZE
            assert reader.problems


def test_a_folder_format_that_nobody_knows_is_named(store):
    for name in ("bpk", "000000", "npy\0"):
        change_metadata(store, format=name)
        with pytest.raises(ImgstoreError):
            imgstore.open(store)


def test_metadata_are_loaded_from_any_bytes(tmp_path):
    file = tmp_path / "metadata.yaml"
    chance = np.random.default_rng(0)
    for size in (0, 1, 10, 1000):
        for _ in range(50):
            file.write_bytes(chance.integers(0, 256, size, np.uint8).tobytes())
            with pytest.raises(MetadataError):
                load_metadata(file)


def test_json_that_is_cut_anywhere_gives_the_whole_records_before(tmp_path):
    records = [{"a": [1, {"b": '}]\\"'}], "frame_index": n} for n in range(4)]
    text = json.dumps(records)
    for length in range(len(text)):
        (tmp_path / "x.json").write_text(text[:length])
        found = read_records(tmp_path / "x.json")
        assert found == records[: len(found)]
        assert len(found) >= text[:length].count("frame_index") - 1


def test_blosc2_takes_noise_without_a_crash(tmp_path):
    make(tmp_path / "a", "blosc2")
    limited(
        "import numpy as np, pathlib\n"
        "path = pathlib.Path(sys.argv[1]); file = path / '000000/000000.b2nd'; whole = file.read_bytes()\n"
        "chance = np.random.default_rng(0)\n"
        "for _ in range(300):\n"
        "    data = np.frombuffer(whole, np.uint8).copy()\n"
        "    places = chance.integers(0, len(data), chance.integers(1, 20))\n"
        "    data[places] = chance.integers(0, 256, len(places)); file.write_bytes(data.tobytes())\n"
        "    try: imgstore.open(path)[0]\n"
        "    except imgstore.ImgstoreError: pass\n",
        tmp_path / "a",
    )


def test_a_store_of_a_chunk_that_was_swapped_is_found_by_its_checksum(store):
    shutil.rmtree(store / "000001")
    shutil.copytree(store / "000000", store / "000001")
    found = imgstore.verify(store)
    assert {finding.chunk for finding in found.findings if finding.severity == "error"} == {1}


def test_an_index_saved_for_other_images_is_found(store):
    save_chunk_index(store / "000001" / "index.npz", ChunkIndex(np.arange(5), np.arange(5.0)), {"uuid": "x"})
    found = imgstore.verify(store)
    assert any("3 frames" in finding.what for finding in found.findings)
    assert FORMATS.get("png").open_reader(store / "000001", FrameSpec(SHAPE)).read(0).shape == SHAPE
