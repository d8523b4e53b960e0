"""Detectors of the user's own: functions in modules and files, networks in ONNX files."""

import pickle

import numpy as np
import pytest

from tests.tracking.arenas import Arena, walk
from tests.tracking.test_trackers import LEFT, RIGHT, distances, track
from tracking import TRACKERS, DetectorError

COUNT = 20
PATHS = [walk(COUNT, (20, 30), (40, 40)), walk(COUNT, (180, 90), (160, 70))]


def external(**settings):
    return TRACKERS.get("external")(settings)


def write(path, body):
    path.write_text(f"import numpy as np\n\n\ndef detect(image):\n    {body}\n")
    return f"{path}:detect"


def test_a_detector_gets_the_whole_frame_once_if_it_wants_to(tmp_path):
    code = "assert image.shape == (120, 200); return [(20, 30), (150, 80, ), (99.5, 300)]"
    tracker = external(detector=write(tmp_path / "a.py", code), scope="frame")
    points = track(tracker, Arena(PATHS), [LEFT, RIGHT])
    assert points["x"][:2].tolist() == [20, 150]
    assert points["roi"][:2].tolist() == [1, 2]
    assert len(points) == 2 * COUNT
    assert np.isnan(points["area"]).all()


def test_a_detector_gets_what_was_recorded_if_it_wants_to(tmp_path):
    code = "assert image.dtype == np.uint16; return np.array([[10, 10, 0.25]])"
    arena = Arena(PATHS)

    class Deep:
        """The arena in 16 bit."""

        spec = type(arena.spec)(arena.spec.shape, np.uint16)
        numbers, times = arena.numbers, arena.times

        def __len__(self):
            return COUNT

        def __getitem__(self, index):
            frame = arena[index]
            return type(frame)(frame.image.astype(np.uint16) * 9, index, index, frame.time)

        def __iter__(self):
            return (self[index] for index in range(COUNT))

    tracker = external(detector=write(tmp_path / "a.py", code), pixels="recorded")
    points = track(tracker, Deep(), [LEFT, RIGHT])
    assert points["score"][0] == pytest.approx(0.25)
    assert points["x"][:2].tolist() == [10, 110]


def test_points_that_are_none_score_too_little_or_lie_outside_are_left_out(tmp_path):
    code = "return [(np.nan, 5, 1), (50, 60, 0.2), (500, 5, 1), (-3, 5, 1)]"
    where = write(tmp_path / "a.py", code)
    assert len(track(external(detector=where), Arena(PATHS), [LEFT])) == COUNT
    assert len(track(external(detector=where, least_score=0.5), Arena(PATHS), [LEFT])) == 0


def test_a_prepared_tracker_goes_to_another_process(tmp_path):
    tracker = external(detector=write(tmp_path / "a.py", "return [(50, 60)]"))
    arena = Arena(PATHS)
    tracker.prepare(arena, [LEFT])
    there = pickle.loads(pickle.dumps(tracker))  # noqa: S301  # our own
    assert there.detect(arena[0]).blobs[0]["x"].tolist() == [50]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("", "package.module:function"),
        ("nothing", "package.module:function"),
        ("no.such.module:detect", "no module"),
        ("json:no_such_function", "no function 'no_such_function' in json"),
        ("nowhere.py:detect", "no file .*nowhere.py"),
        ("nowhere.onnx", "no file nowhere.onnx"),
    ],
)
def test_a_detector_that_is_not_there_is_told_before_a_frame_is_read(where, says):
    with pytest.raises(DetectorError, match=says):
        external(detector=where).prepare(Arena(PATHS), [LEFT])


@pytest.mark.parametrize("code", ["return 3", "return [(1, 2, 3, 4)]", "return ['a']", "return None"])
def test_a_detector_that_returns_no_points_is_told(tmp_path, code):
    tracker = external(detector=write(tmp_path / "a.py", code))
    with pytest.raises(DetectorError, match=r"rows of x, y or x, y, score, got"):
        track(tracker, Arena(PATHS), [LEFT])


def test_a_network_whose_maps_are_brightest_at_the_animals_finds_them(tmp_path):
    path = tmp_path / "dark.onnx"
    path.write_bytes(onnx_convolution(np.full((1, 1, 9, 9), 1 / 81, np.float32), bias=0.0, pad=4))
    points = track(external(detector=str(path)), Arena(PATHS, level=90, light=True), [LEFT, RIGHT])
    assert len(points) == 2 * COUNT
    assert np.median(distances(points, PATHS)) < 3


def test_a_network_gets_images_of_the_size_that_it_needs(tmp_path):
    path = tmp_path / "dark.onnx"
    path.write_bytes(onnx_convolution(np.full((1, 1, 5, 5), 1 / 25, np.float32), bias=0.0, pad=2))
    tracker = external(detector=str(path), width="50", height="60")
    points = track(tracker, Arena(PATHS, level=90, light=True), [LEFT, RIGHT])
    assert np.median(distances(points, PATHS)) < 4


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(DetectorError, match=r"a\.onnx"):
        external(detector=str(tmp_path / "a.onnx")).prepare(Arena(PATHS), [LEFT])


def onnx_convolution(weights, *, bias, pad):
    """Return an ONNX file of one convolution, images in, maps out, written by hand as protocol buffers."""

    def varint(value):
        low, rest = value & 0x7F, value >> 7
        return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])

    def part(number, content):
        if isinstance(content, int):
            return varint(number << 3) + varint(content)
        content = content.encode() if isinstance(content, str) else content
        return varint(number << 3 | 2) + varint(len(content)) + content

    def tensor(name, values):
        dims = b"".join(part(1, size) for size in values.shape)
        return dims + part(2, 1) + part(8, name) + part(9, values.astype("<f4").tobytes())

    def value(name, dims):
        shape = b"".join(part(1, part(1 if isinstance(d, int) else 2, d)) for d in dims)
        return part(1, name) + part(2, part(1, part(1, 1) + part(2, shape)))

    pads = part(1, "pads") + b"".join(part(8, pad) for _ in range(4)) + part(20, 7)
    node = b"".join(part(1, name) for name in ("images", "weights", "bias"))
    node += part(2, "maps") + part(4, "Conv") + part(5, pads)
    biases = np.full(weights.shape[0], bias, np.float32)
    graph = (
        part(1, node) + part(2, "g") + part(5, tensor("weights", weights)) + part(5, tensor("bias", biases))
    )
    graph += part(11, value("images", [1, 1, "rows", "columns"]))
    graph += part(12, value("maps", [1, weights.shape[0], "rows", "columns"]))
    return part(1, 8) + part(7, graph) + part(8, part(2, 13))
