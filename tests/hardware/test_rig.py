"""The rig file: what it says, and all that can be wrong with it."""

import re
from dataclasses import replace
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hardware import (
    EXAMPLE_RIG,
    CameraSettings,
    CameraSpec,
    DailyWindow,
    Limits,
    QueueSize,
    RigFileError,
    RigSpec,
    Schedule,
    SettingError,
    load_rig,
    next_window,
    parse_rig,
    read_rig,
    rig_jobs,
    try_cameras,
)
from hardware.recording import DEFAULT_MEMORY
from hardware.rig.values import settings_of
from imgstore import FrameSpec

UTC = ZoneInfo("Etc/UTC")


def rig(**settings: object) -> bytes:
    """Return a rig file of one camera, with some settings."""
    return yaml.safe_dump(
        {"name": "run", "cameras": {"front": "simulated"}, **settings}, sort_keys=False
    ).encode()


def camera(**settings: object) -> CameraSpec:
    """Return the camera of a rig file with these settings."""
    read = parse_rig(rig(cameras={"front": {"source": "simulated", **settings}}))
    assert read.spec is not None, read.problems
    return read.spec.cameras[0]


def told(data: bytes) -> list[tuple[int | None, str]]:
    """Return lines and names of all problems of a rig file."""
    read = parse_rig(data)
    assert (read.spec is None) == bool(read.problems)
    if read.spec is not None:
        assert replace(read.spec) == read.spec  # what was read is checked again as it is
        window = next_window(read.spec.schedule, 1.8e9, read.spec.schedule.timezone)
        read.spec.limits.ends(window.start, UTC)
    return [(one.line, one.name) for one in read.problems]


def test_the_example_can_be_recorded_and_names_every_setting():
    read = parse_rig(EXAMPLE_RIG.encode())
    assert read.problems == ()
    assert try_cameras(read.spec) == ()
    for kind in (RigSpec, CameraSpec, Limits, Schedule):
        for name in settings_of(kind):
            assert f"{name}:" in EXAMPLE_RIG or name == "source", name


def test_the_example_is_right_with_all_that_it_offers():
    offered = [re.sub(r"^( *)# ", r"\1", line) for line in EXAMPLE_RIG.splitlines()[2:]]
    read = parse_rig("\n".join(offered).encode())
    assert read.problems == ()
    assert read.spec.cameras[0].stores == ("front-left", "front-right")
    assert read.spec.cameras[1].source == "opencv:0"
    assert read.spec.schedule.daily == DailyWindow(time(20), time(8))


def test_everything_that_a_file_says_is_in_its_values():
    read = parse_rig(b"""
name: night 4
folder: /data
stores: "{camera}/{date}_{time}"
defaults: {rate: 30, format: mjpeg/avi, options: {gain: 2, exposure: 8}, metadata: {room: 3}, feed: on}
cameras:
  left:
    source: opencv:0
    size: 1280x960
    colour: yes
    crop: 0, 10, 640, 480
    split: a/b
    chunk_s: 60
    queue: 256 MB
    allow_lost: no
    pre_trigger_s: 2.5
    options: {gain: 4}
    metadata: {side: left, born: 2026-01-02}
    feed: eye
  right: {source: "opencv:1", settings: fast, chunksize: 100, queue: 8, rate: 60}
limits: {frames: 10, seconds: 12:30:00, size: 1.5 TB, until: 08:00}
schedule: {start: 2026-11-21 20:00, daily: 20:00-08:00, zone: Europe/Berlin}
metadata: {genotype: w1118, ratio: 1:30}
ask: [age]
disk_reserve: 20 GB
""")
    assert read.problems == ()
    left, right = read.spec.cameras
    assert (left.size, left.rate, left.colour) == ((960, 1280), 30, True)
    assert (left.crop, left.split, left.width) == ((0, 10, 640, 480), ("a", "b"), 640)
    assert (left.chunk_s, left.chunksize, left.queue) == (60, None, QueueSize(bytes=256_000_000))
    assert (left.allow_lost, left.pre_trigger_s, left.format) == (0, 2.5, "mjpeg/avi")
    assert left.options == {"gain": 4, "exposure": 8}
    assert left.metadata == {"room": 3, "side": "left", "born": "2026-01-02"}
    assert (left.feed_name, right.feed_name) == ("eye", "right")
    assert (right.settings, right.chunksize, right.queue, right.rate) == (
        "fast",
        100,
        QueueSize(frames=8),
        60,
    )
    assert left.camera_settings == CameraSettings((960, 1280), 30, True, options=left.options)
    assert read.spec.limits == Limits(10, 45_000, 1_500_000_000_000, time(8))
    assert read.spec.schedule.start == datetime(2026, 11, 21, 20)  # noqa: DTZ001  # local
    assert read.spec.schedule.timezone.key == "Europe/Berlin"
    assert read.spec.metadata == {"genotype": "w1118", "ratio": "1:30"}
    assert (read.spec.ask, read.spec.disk_reserve) == (("age",), 20_000_000_000)
    assert read.spec.store_path("left-a", 0, UTC) == Path("/data/left-a/1970-01-01_00-00-00")


def test_seconds_count_from_when_saving_begins_and_in_windows_from_the_first():
    for schedule, seconds, ends in (({}, 60, None), ({"daily": "20:00-08:00"}, None, 1060)):
        spec = parse_rig(rig(limits={"seconds": 60}, schedule=schedule)).spec
        until = spec.limits.ends(1000, UTC, seconds=spec.schedule.daily is not None)
        assert until == ends
        (job,) = rig_jobs(spec, 1000, until, UTC, {})
        assert (job.limit.seconds, job.limit.until) == (seconds, ends)


def test_every_problem_is_told_at_once_with_line_and_name():
    assert told(b"""\
name: a/b
foldr: x
cameras:
  left: {source: opencv:0, rate: fast, sise: 10x10}
  right: opencv:0
  on: simulated
  top: {source: simulate, chunksize: 0}
  top: {source: simulated}
  wide:
    source: simulated
    size: 101x96
    split: left/right
defaults: {format: h265, name: x}
limits:
  seconds: -3
  until: noon
  size: 20
schedule: {daily: 20:00, zone: Europe/Berli}
stores: "{run}/{frame}"
metadata: [a]
ask: x
""") == [
        (1, "name"),
        (2, "foldr"),
        (4, "cameras.left.rate"),
        (4, "cameras.left.sise"),
        (5, "cameras.right"),
        (6, "cameras"),
        (7, "cameras.top"),
        (9, "cameras.wide"),
        (13, "defaults.name"),
        (13, "defaults.format"),
        (15, "limits.seconds"),
        (16, "limits.until"),
        (17, "limits.size"),
        (18, "schedule.daily"),
        (18, "schedule.zone"),
        (19, "stores"),
        (20, "metadata"),
        (21, "ask"),
    ]


def one(**settings: object) -> dict[str, object]:
    """Return the cameras of a rig of one."""
    return {"cameras": {"a": {"source": "simulated", **settings}}}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"foldr": "x"}, "did you mean folder"),
        ({"camera": {}}, "did you mean cameras"),
        ({"cameras": {"a": {"source": "opencvv:0"}}}, "did you mean 'opencv'"),
        (one(settings="blanced"), "did you mean balanced"),
        (one(format="h264"), "did you mean h264/mkv"),
        (
            {"cameras": {"a": {"source": "simulated", "format": "png", "settings": "nothing"}}},
            "is one of fast",
        ),
        (
            {"cameras": {"a": {"source": "simulated", "format": "mjpeg/avi", "settings": "lossless"}}},
            "no profile",
        ),
        ({"cameras": {"a": {"rate": 3}}}, "is missing"),
        ({"cameras": {}}, "names no camera"),
        ({"cameras": ["opencv:0"]}, "mapping of names"),
        ({"cameras": {"a": None}}, "is missing"),
        ({"cameras": {"a": 3}}, "is a source"),
        ({"cameras": {".a": "simulated"}}, "no dot in front"),
        ({"cameras": {"a/b": "simulated"}}, "no /"),
        ({"cameras": {"a": "opencv:0", "b": "opencv:0"}}, "same source as a"),
        (
            {"cameras": {"a-l": "simulated", "a": {"source": "simulated", "split": "l/r"}}},
            "name of a store as a-l",
        ),
        ({"cameras": {"a": "simulated", "b": "simulated"}, "stores": "{run}"}, "put {camera} into it"),
        (
            {"schedule": {"daily": "20:00-08:00"}, "stores": "{camera}/{date}"},
            "put {date} and {time} into it",
        ),
        ({"defaults": {"source": "simulated"}}, "cannot be the same for all"),
        ({"defaults": {"chunksize": 5, "chunk_s": 5}}, "give one"),
        ({"metadata": {"__store": 1}}, "the store's own"),
        ({"metadata": {"a": [[[[[[[[[[[1]]]]]]]]]]]}}, "deep"),
        ({"limits": {"size": "5 GiBB"}}, "with its unit"),
        ({"limits": {"until": "2026-11-21"}}, "date and time"),
        ({"limits": {"seconds": 1e300}}, "is a number of seconds"),
        ({"schedule": {"start": "0001-01-01 00:00"}}, "date and time"),
        ({"disk_reserve": "5 kB"}, "from 1 MB"),
        ({"limits": 5}, "holds names and values"),
        ({"ask": ["a", "a"]}, "different names"),
    ],
)
def test_a_problem_says_what_would_do(settings, says):
    problems = parse_rig(rig(**settings)).problems
    assert len(problems) == 1, problems
    assert says in problems[0].what


@pytest.mark.parametrize(
    "naming",
    [
        "",
        "/a",
        "../a",
        "a/../b",
        "{run.__class__}",
        "{0}",
        "{}",
        "{run!r}",
        "{run:>999999999}",
        "{run",
        ".{run}",
        "a//b",
    ],
)
def test_stores_lie_below_their_folder_whatever_their_naming(naming):
    assert told(rig(stores=naming)) == [(4, "stores")]


names = st.text(min_size=1, max_size=20)


@given(names, names)
def test_names_that_are_taken_make_paths_below_the_folder(run, one):
    try:
        spec = RigSpec(cameras=(CameraSpec(name=one, source="simulated"),), name=run, folder=Path("/data"))
    except SettingError:
        return
    path = spec.store_path(spec.cameras[0].stores[0], 1e9, UTC)
    assert path.is_relative_to("/data")
    assert len(path.parts) == 4
    assert not {"..", "."} & set(path.parts)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"", None, "is empty"),
        (b"- a", None, "names and values"),
        (b"name: x\ncameras: [a", 2, "is no YAML"),
        (b"name: x\n  rate: 3\n", 2, "is no YAML"),
        (b"a: &a {b: 1}\nc: {<<: *a}", None, "merge keys"),
        (b"a: &a [*a]", None, "alias"),
        (b"a: !!python/object:os.system x", None, "is no YAML"),
        (b"? [a]\n: b", None, "is no YAML"),
        (b"\x00", None, "is no YAML"),
        (b"a: " + b"x" * (1 << 20), None, "over"),
    ],
)
def test_what_is_no_rig_file_is_told_in_a_line(data, line, says):
    problems = parse_rig(data).problems
    assert len(problems) == 1
    assert says in problems[0].what
    assert "\n" not in str(problems[0])
    assert line is None or problems[0].line is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_rig_or_have_problems(data):
    told(data)


KEYS = [name for kind in (RigSpec, CameraSpec, Limits, Schedule) for name in settings_of(kind)]
WORDS = ["20:00", "1 GB", "a/b", "opencv:0", "simulated", "{camera}", "1280x960", "npy", "x" * 99]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.datetimes()
    | st.sampled_from(WORDS)
    | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "cameras", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.sampled_from([RigSpec, CameraSpec, Limits, Schedule]), st.data())
def test_any_value_of_a_setting_is_taken_or_a_problem(kind, data):
    name = data.draw(st.sampled_from([*settings_of(kind)]))
    settings = {name: data.draw(SCALARS | st.lists(st.integers(0, 999), max_size=4))}
    sections = {RigSpec: settings, CameraSpec: one(**settings), Limits: {"limits": settings}}
    told(rig(**sections.get(kind, {"schedule": settings})))


@given(st.dictionaries(st.sampled_from([*KEYS, "cameras", "defaults", "limits", "schedule"]), VALUES))
def test_any_values_are_a_rig_or_have_problems(content):
    told(yaml.safe_dump(content).encode())


def test_values_made_in_python_are_checked_the_same_way():
    with pytest.raises(SettingError, match=r"size is columns x rows.*rate is a number"):
        CameraSpec(name="a", source="simulated", size=(0, 3), rate=float("nan"))
    with pytest.raises(SettingError, match="crop"):
        CameraSpec(name="a", source="simulated", size=(96, 128), crop=(0, 0, 200, 10))
    with pytest.raises(SettingError, match="101 columns"):
        CameraSpec(name="a", source="simulated", size=(96, 101), split=("l", "r"))
    with pytest.raises(SettingError, match="same source"):
        RigSpec(cameras=(CameraSpec("a", "opencv:0"), CameraSpec("b", "opencv:0")), name="run")


def test_a_camera_that_says_nothing_may_lose_no_frame_and_has_the_queue_of_a_single_one():
    assert camera().allow_lost == 0
    assert camera(allow_lost=True).allow_lost is None
    assert camera().queue == QueueSize(bytes=DEFAULT_MEMORY)


def test_a_camera_says_its_queue_in_frames():
    spec = FrameSpec((500, 1000, 3), np.dtype(np.uint16))
    assert camera(queue="30 MB").queue.length(spec) == 10
    assert camera(queue="1 MB").queue.length(spec) == 1
    assert camera(queue=5).queue.length(spec) == 5


def test_a_camera_overrides_the_defaults_also_where_they_exclude_each_other():
    read = parse_rig(rig(defaults={"chunk_s": 60}, cameras={"a": {"source": "simulated", "chunksize": 5}}))
    assert (read.spec.cameras[0].chunksize, read.spec.cameras[0].chunk_s) == (5, None)


def test_what_is_made_up_keeps_the_pace_of_a_real_camera():
    assert camera().camera_settings.realtime
    assert not CameraSpec("a", "opencv:0").camera_settings.realtime


def test_a_folder_is_relative_to_the_file(tmp_path):
    path = tmp_path / "rig 1.yaml"
    path.write_bytes(rig(folder="recordings"))
    assert load_rig(path).folder == tmp_path / "recordings"
    path.write_bytes(rig(folder="/data"))
    assert read_rig(path).spec.folder == Path("/data")
    path.write_bytes(rig(nme="x"))
    with pytest.raises(RigFileError, match=r"rig 1\.yaml: line 4: nme: is no setting") as raised:
        load_rig(path)
    assert len(raised.value.problems) == 1
    with pytest.raises(FileNotFoundError):
        load_rig(tmp_path / "nowhere.yaml")


def test_cameras_that_cannot_take_what_is_asked_are_told_without_opening_any():
    spec = RigSpec(
        cameras=(
            CameraSpec("small", "simulated", size=(8, 8)),
            CameraSpec("right", "simulated"),
            CameraSpec("film", "video:nowhere.mp4", rate=3.0),
            CameraSpec("none", "opencv:"),
            CameraSpec("odd", "opencv:3"),
        ),
        name="run",
    )
    assert [one.name for one in try_cameras(spec)] == ["cameras.small", "cameras.film", "cameras.none"]
