"""Stores go both ways between this package and loopbio's, each in its own environment."""

import json
import os
import subprocess

import numpy as np
import pytest

import imgstore
from imgstore import Frame
from imgstore.index import ImgStoreIndex
from tests.conftest import numbered_images
from tests.interop.apart import run_apart

PYTHON = os.environ.get("ETHOSTORE_LOOPBIO_PYTHON")

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="ETHOSTORE_LOOPBIO_PYTHON names no Python with loopbio's imgstore"
)

LOOPBIO = [  # what its reader takes by name; videos it takes by any name, and then does not make them even
    *("npy", "png", "tif", "jpg", "bmp", "ppm", "pgm", "png+color", "tif+color", "jpg+color", "bmp+color"),
    *("mjpeg/avi", "avc1/mp4", "h264/mkv", "hevc/mkv", "ffv1/mkv"),
]

SHAPES = [(48, 64), (48, 64, 3), (47, 63)]

READ = """
import json, sys
import numpy as np
from imgstore.stores import new_for_filename
store = new_for_filename(sys.argv[1])
images, numbers, times = [], [], []
for _ in range(store.frame_count):
    image, (number, time) = store.get_next_image()
    images.append(image); numbers.append(number); times.append(time)
again = [store.get_image(number)[0] for number in numbers[::-1]][::-1]
assert all((a == b).all() for a, b in zip(images, again))
np.save(sys.argv[2], np.array(images))
extra = store.get_extra_data()
print(json.dumps({"numbers": numbers, "times": times, "metadata": store.user_metadata, "uuid": store.uuid,
                  "shape": store.image_shape, "extra": extra[["frame_number", "light"]].values.tolist()}))
"""

WRITE = """
import sys
import numpy as np
from imgstore.stores import new_for_format
images = np.load(sys.argv[3])
store = new_for_format(sys.argv[2], sys.argv[1], imgshape=images.shape[1:], imgdtype=images.dtype,
                       chunksize=7, metadata={"genotype": "wt"})
for place, image in enumerate(images):
    store.add_image(image, 100 + 2 * place, 1e9 + 0.05 * place)
    if place % 5 == 0:
        store.add_extra_data(light=1.5 * place)
store.close(save_index=True)
store = new_for_format(None, sys.argv[1], mode="r")
np.save(sys.argv[3], np.array([store.get_next_image()[0] for _ in images]))
"""


def loopbio(script, *arguments):
    """Run a script with loopbio's package, which must be nowhere near ours, and return what it prints."""
    return run_apart(PYTHON, script, *arguments)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fmt", LOOPBIO)
def test_loopbios_package_reads_our_stores_bit_for_bit(tmp_path, fmt, shape):
    path = tmp_path / "a.store"
    with imgstore.create(path, shape, format=fmt, chunksize=7, metadata={"genotype": "wt"}) as writer:
        for place, image in enumerate(numbered_images(shape, 21)):
            writer.append(Frame(image, place, 100 + 2 * place, 1e9 + 0.05 * place))
            if place % 5 == 0:
                writer.append_extra({"light": 1.5 * place})
                writer.append_event("gap", 1e9, first=99 - place, last=99, count=place + 1, cause="camera")
    facts = json.loads(loopbio(READ, path, tmp_path / "seen.npy"))
    seen = np.load(tmp_path / "seen.npy")
    rows, columns = facts["shape"][:2]
    assert (rows, columns) == shape[:2] or fmt in ("mjpeg/avi", "avc1/mp4", "h264/mkv")  # it makes those even
    with imgstore.open(path) as store:
        ours = np.array([frame.image for frame in store])
        assert facts["numbers"] == store.numbers.tolist()
        assert facts["times"] == store.times.tolist()
        assert facts["uuid"] == store.metadata.uuid
    np.testing.assert_array_equal(seen[:, :rows, :columns], ours[:, :rows, :columns])
    assert facts["metadata"] == {"genotype": "wt"}
    assert facts["extra"] == [[100.0 + 2 * place, 1.5 * place] for place in range(0, 21, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fmt", ["npy", "png", "jpg", "mjpeg/avi"])  # its H.264 needs another OpenCV
def test_we_read_the_stores_of_loopbios_package(tmp_path, fmt, shape):
    np.save(tmp_path / "images.npy", numbered_images(shape, 21))
    loopbio(WRITE, tmp_path / "a.store", fmt, tmp_path / "images.npy")
    theirs = np.load(tmp_path / "images.npy")
    with imgstore.open(tmp_path / "a.store") as store:
        ours = np.array([frame.image for frame in store])
        assert store.numbers.tolist() == list(range(100, 142, 2))
        np.testing.assert_array_equal(store.times, 1e9 + 0.05 * np.arange(21))
        assert store.user_metadata == {"genotype": "wt"}
        extra = store.extra()
    assert extra is not None
    assert extra["light"].tolist() == [1.5 * place for place in range(0, 21, 5)]
    tolerance = 1 if fmt == "mjpeg/avi" else 0  # they go through colour and back
    np.testing.assert_allclose(ours.astype(int), theirs, atol=tolerance)


INDEX = """
import json, sys
from imgstore.stores import new_for_filename
from imgstore.index import ImgStoreIndex
index = ImgStoreIndex.new_from_file(sys.argv[1] + "/.index.sqlite")
store = new_for_filename(sys.argv[1], index=index)
found = [store.get_image(number)[1] for number in (120, 100, 140)]
print(json.dumps({"all": index.get_all_metadata(), "found": found,
                  "min": index.frame_min, "max": index.frame_max}))
"""


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_loopbios_package_reads_our_index_of_a_store(tmp_path, fmt):
    path = tmp_path / "a.store"
    with imgstore.new_for_format(fmt, path, imgshape=(48, 64), chunksize=7) as store:
        for place, image in enumerate(numbered_images((48, 64), 21)):
            store.add_image(image, 100 + 2 * place, 0.5 * place)
        store.close(save_index=True)
    facts = json.loads(loopbio(INDEX, path))
    assert facts["all"]["frame_number"] == list(range(100, 142, 2))
    assert facts["found"] == [[120, 5.0], [100, 0.0], [140, 10.0]]
    assert (facts["min"], facts["max"]) == (100.0, 140.0)


def test_we_read_the_index_of_loopbios_package(tmp_path):
    np.save(tmp_path / "images.npy", numbered_images((48, 64), 21))
    loopbio(WRITE, tmp_path / "a.store", "npy", tmp_path / "images.npy")
    index = ImgStoreIndex.new_from_file(tmp_path / "a.store" / ".index.sqlite")
    assert index.chunks == (0, 1, 2)
    with imgstore.new_for_filename(tmp_path / "a.store", index=index) as store:
        assert store.get_image(120)[1] == (120, 1e9 + 0.5)


BAYER_WRITE = """
import sys
import numpy as np
from imgstore.stores import new_for_format
raw = np.load(sys.argv[2])
store = new_for_format("png", sys.argv[1], imgshape=raw.shape, imgdtype=raw.dtype, encoding="cv_bayerbg")
store.add_image(raw, 0, 0.0)
store.close()
"""

BAYER_READ = """
import sys
import numpy as np
from imgstore.stores import new_for_filename
np.save(sys.argv[2], new_for_filename(sys.argv[1]).get_next_image()[0])
"""


def test_mosaics_go_both_ways(tmp_path):
    raw = np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8)
    np.save(tmp_path / "raw.npy", raw)
    loopbio(BAYER_WRITE, tmp_path / "theirs", tmp_path / "raw.npy")
    with imgstore.new_for_format(
        "png", tmp_path / "ours", imgshape=raw.shape, encoding="cv_bayerbg"
    ) as store:
        store.add_image(raw, 0, 0.0)
    loopbio(BAYER_READ, tmp_path / "ours", tmp_path / "seen.npy")
    with imgstore.open(tmp_path / "theirs") as store:
        np.testing.assert_array_equal(store[0].image, np.load(tmp_path / "seen.npy"))


STREAMS = """
import json, sys
from imgstore.stores import new_for_filename
store = new_for_filename(sys.argv[1])
table = store.get_extra_data()
print(json.dumps({"rate": store.get_extra_data_samplerate(), "has": store.has_extra_data,
                  "files": store.find_extra_data_files(), "columns": list(table.columns),
                  "table": {name: table[name].tolist() for name in table.columns}}))
"""


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_loopbios_package_reads_the_first_of_our_streams(tmp_path, fmt):
    if subprocess.run([PYTHON, "-c", "import h5py"], capture_output=True, check=False).returncode:
        pytest.skip("the environment with loopbio's package has no h5py; run tools/loopbio.sh again")
    path = tmp_path / "a.store"
    with imgstore.create(path, (48, 64), format=fmt, chunksize=7) as writer:
        audio = writer.stream("audio", ["left", "right"], 1000.0, np.int16)
        daq = writer.stream("daq", ["light", "co2"], 25.0)
        for place, image in enumerate(numbered_images((48, 64), 17)):
            writer.append(Frame(image, place, 100 + 2 * place, 1.7e9 + 0.04 * place))
            audio.append(np.arange(80 * place, 80 * place + 80).reshape(40, 2), 1.7e9 + 0.04 * place)
            daq.append([[place, -place]], 1.7e9 + 0.04 * place)
            writer.append_extra({"odour": place})
    seen = json.loads(loopbio(STREAMS, path))
    assert seen["has"]
    assert seen["rate"] == 1000.0
    assert [file[-21:] for file in seen["files"]] == [f"/{chunk:06d}.extra_data.h5" for chunk in range(3)]
    with imgstore.open(path) as store:
        ours = store.stream("audio").table()
    assert seen["columns"] == ours.columns.tolist()
    for name in ours:
        assert seen["table"][name] == ours[name].tolist()


AWKWARD = """
import json, sys
from imgstore.stores import new_for_filename
print(json.dumps(new_for_filename(sys.argv[1]).get_extra_data().values.tolist()[0]))
"""


def test_loopbios_package_reads_records_of_numpy_values(tmp_path):
    record = {
        "a": np.float32(1.5),
        "b": np.array([[np.nan, np.inf], [1, 2]]),
        "c": np.bool_(True),
        "d": np.datetime64("2026-11-21T01:02:03.123456789"),
        "e": {np.int64(3): np.uint8(4)},
        "f": np.longdouble(0.5),
    }
    with imgstore.create(tmp_path / "a", (48, 64), format="npy") as writer:
        writer.append(Frame(np.zeros((48, 64), np.uint8), 0, 1, 2.0))
        writer.append_extra(record)
    seen = json.loads(loopbio(AWKWARD, tmp_path / "a"))
    assert seen[0] == 1.5
    np.testing.assert_array_equal(seen[1], record["b"])
    assert seen[2:6] == [True, "2026-11-21T01:02:03.123456789", {"3": 4}, 0.5]


REINDEXED = """
import json, sys
from imgstore.stores import new_for_filename
store = new_for_filename(sys.argv[1])
extra = store.get_extra_data()
print(json.dumps([store.get_frame_metadata()["frame_number"], extra["frame_number"].tolist()]))
"""


@pytest.mark.parametrize("fmt", ["npy", "mjpeg/avi"])
def test_loopbios_package_reads_a_store_that_we_counted_anew_and_put_together(tmp_path, fmt):
    path = tmp_path / "a.store"
    with imgstore.new_for_format(fmt, path, imgshape=(48, 64), chunksize=2) as store:
        for place, (number, image) in enumerate(
            zip([8, 9, 10, 0, 1], numbered_images((48, 64), 5), strict=True)
        ):
            store.add_image(image, number, float(place))
            store.add_extra_data(light=place)
    with imgstore.new_for_filename(path) as store:
        store.reindex()
    expected = [-3, -2, -1, 0, 1]
    assert json.loads(loopbio(REINDEXED, path)) == [expected, expected]
