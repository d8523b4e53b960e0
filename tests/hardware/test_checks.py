"""What keeps a recording from going well, on machines that are made up of files."""

import resource
from pathlib import Path

import numpy as np
import pytest

from hardware import CameraIdentity, CameraSearch, FeedInfo, FoundCamera, SettingError
from hardware.checks import CheckResult, CodecSpeed, Machine, RecordingPlan, examine, guarded
from hardware.checks.access import check_limits, check_permissions, judge_open_files, judge_priority
from hardware.checks.clock import (
    ClockCheck,
    Synchronisation,
    judge_running,
    judge_synchronisation,
    read_synchronisation,
)
from hardware.checks.codecs import check_codecs, draw_scene, measure_codec, measure_codecs
from hardware.checks.connected import judge_searches
from hardware.checks.disk import (
    WriteSpeed,
    check_disk,
    check_writable,
    check_write_speed,
    existing_parent,
    judge_kind,
    judge_room,
    judge_speed,
    measure_writing,
)
from hardware.checks.machine import LEVELS, Mount, worst
from hardware.checks.processor import (
    available_memory,
    check_processor,
    judge_cores,
    judge_governor,
    judge_memory,
    judge_power,
    judge_swap,
)
from hardware.checks.shared import check_feeds, judge_shared_room
from hardware.checks.versions import check_versions
from hardware.feed.layout import DEFAULT_SLOTS, FeedLayout
from imgstore import FORMATS, MissingDependencyError, UnknownNameError

SMALL = RecordingPlan(size=(96, 128), rate=10.0)
NOW = 1_795_000_000.0


@pytest.fixture
def make_machine(tmp_path):
    """Make a machine of the files that are given, by path."""

    def make(files=None, **more):
        root = tmp_path / "machine"
        root.mkdir(exist_ok=True)
        for path, text in (files or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return Machine(root, **more)

    return make


def mountinfo(*mounts):
    """Return the text of /proc/self/mountinfo with mounts of (point, kind, device, options)."""
    return "\n".join(
        f"{number} 1 8:1 / {point} {options} shared:1 - {kind} {device} rw"
        for number, (point, kind, device, options) in enumerate(mounts)
    )


def test_a_plan_is_checked_when_it_is_made():
    for wrong in ({"size": (0, 4)}, {"rate": float("nan")}, {"cameras": 0}):
        with pytest.raises(SettingError):
            RecordingPlan(**wrong)
    with pytest.raises(UnknownNameError):
        RecordingPlan(format="h265")


def test_the_worst_of_some_levels_counts():
    assert worst(["ok", "problem", "warning"]) == "problem"
    assert worst([]) == "ok"
    assert [worst(LEVELS[: n + 1]) for n in range(4)] == list(LEVELS)


def test_this_machine_is_examined_whole_whatever_it_is(tmp_path):
    found = list(examine(tmp_path, SMALL, quick=True))
    assert all(isinstance(one, CheckResult) and one.found for one in found)
    topics = {one.topic for one in found}
    assert topics >= {"codec", "cameras", "disk", "room", "open files", "memory", "versions", "clock"}
    assert "write speed" not in topics
    assert all(one.advice for one in found if one.level in ("warning", "problem"))


def test_a_machine_without_any_file_is_examined_too(tmp_path, make_machine):
    found = list(examine(tmp_path, SMALL, quick=True, machine=make_machine()))
    levels = {one.topic: one.level for one in found}
    assert levels["memory"] == levels["disk"] == "unknown"
    assert levels["shared memory"] == "warning"
    assert "swap" not in levels


@pytest.mark.parametrize(
    "raised", [OSError("no such file"), ValueError("no number"), MissingDependencyError("av")]
)
def test_a_check_that_cannot_be_made_says_so_and_stops_no_other(raised):
    def check():
        raise raised

    (result,) = guarded("disk", check)
    assert (result.topic, result.level) == ("disk", "unknown")
    assert str(raised) in result.found


def test_every_codec_is_measured_or_says_why_not():
    speeds = {one.format: one for one in measure_codecs(SMALL, seconds=0.01)}
    assert set(speeds) == {name for name in FORMATS.names() if "+" not in name}
    for one in speeds.values():
        assert bool(one.problem) != (one.frames_per_s > 0 and one.bytes_per_frame > 0)
    assert speeds["npy"].bytes_per_frame > 96 * 128
    assert speeds["h264/mkv"].bytes_per_frame < 96 * 128


def test_the_frames_for_measuring_move_without_a_jump():
    images = draw_scene(SMALL)
    assert {image.shape for image in images} == {SMALL.size}
    assert not any(np.array_equal(a, b) for a, b in zip(images, [*images[1:], images[0]], strict=True))
    assert [image.shape for image in draw_scene(RecordingPlan(size=(10, 20)))][:1] == [(10, 20)]


def test_a_codec_that_cannot_take_such_frames_says_so():
    wide = RecordingPlan(size=(16, 70_000))  # JPEG ends at 65,535
    for name in ("jpg", "mjpeg/avi"):
        said = measure_codec(name, wide, [np.zeros(wide.size, np.uint8)] * 2, 0.01)
        assert said.problem
        assert said.frames_per_s == 0


@pytest.mark.parametrize(("takes", "level"), [(100.0, "ok"), (40.0, "warning"), (20.0, "problem")])
def test_a_format_that_is_too_slow_is_told_with_one_that_is_not(takes, level):
    speeds = [CodecSpeed("h264/mkv", takes, 1e4), CodecSpeed("npy", 900, 1e6), CodecSpeed("jpg", 500, 1e5)]
    (result,) = check_codecs(RecordingPlan(), speeds)
    assert result.level == level
    assert f"{takes:.0f} frames/s, needed are 30" in result.found
    assert ("--format jpg" in result.advice) == (level != "ok")  # the smallest of those that are fast enough


def test_a_format_that_does_not_work_is_a_problem():
    (result,) = check_codecs(RecordingPlan(), [CodecSpeed("h264/mkv", problem="no encoder")])
    assert (result.level, "no encoder" in result.found) == ("problem", True)


def test_the_file_system_is_that_of_the_nearest_mount(make_machine):
    machine = make_machine(
        {
            "proc/self/mountinfo": mountinfo(
                ("/", "ext4", "/dev/mmcblk0p2", "rw"),
                ("/data", "tmpfs", "none", "rw"),
                ("/data", "xfs", "/dev/sda1", "rw"),  # over the one before
                ("/data/my\\040disk", "vfat", "/dev/sdb1", "rw"),
                ("broken", "", "", ""),
            )
            + "\nno mount\n"
        }
    )
    kinds = {
        where: machine.mount(Path(where)).kind
        for where in ("/", "/home/a", "/data/x", "/data/my disk/a", "/database")
    }
    assert kinds == {
        "/": "ext4",
        "/home/a": "ext4",
        "/data/x": "xfs",
        "/data/my disk/a": "vfat",
        "/database": "ext4",
    }
    assert machine.mount(Path("/home")).is_sd_card


@pytest.mark.parametrize(
    ("kind", "device", "options", "level", "says"),
    [
        ("ext4", "/dev/sda1", ("rw",), "ok", ""),
        ("ext4", "/dev/mmcblk0p2", ("rw",), "ok", "SD card"),
        ("ext4", "/dev/sda1", ("ro",), "problem", "nothing can be written"),
        ("squashfs", "/dev/loop0", ("rw",), "problem", "nothing can be written"),
        ("nfs4", "server:/export", ("rw",), "warning", "network"),
        ("cifs", "//server/share", ("rw",), "warning", "network"),
        ("fuse.sshfs", "a@b:", ("rw",), "warning", "network"),
        ("tmpfs", "tmpfs", ("rw",), "warning", "memory"),
        ("vfat", "/dev/sdb1", ("rw",), "warning", "no journal"),
        ("exfat", "/dev/sdb1", ("rw",), "warning", "no journal"),
        ("overlay", "overlay", ("rw",), "warning", "container"),
    ],
)
def test_file_systems_that_spoil_recordings_are_told(kind, device, options, level, says):
    result = judge_kind(Mount(Path("/a"), kind, device, options), Path("/a/b"))
    assert result.level == level
    assert says in result.found


def test_the_room_is_said_in_hours_of_the_plan():
    plan = RecordingPlan()
    per_s = 1e9 / 3600  # a GB an hour
    assert (
        "about 30 hours of one camera of 1280x960 grey at 30/s"
        in judge_room(int(30e9), int(60e9), plan, per_s).found
    )
    levels = [judge_room(int(free), int(1e12), plan, per_s).level for free in (500e9, 90e9, 15e9, 0.5e9)]
    assert levels == ["ok", "warning", "problem", "problem"]
    assert judge_room(int(20e9), int(60e9), plan, per_s).level == "warning"  # less than a day
    assert judge_room(int(30e9), int(60e9), plan, None).level == "ok"
    assert judge_room(0, 0, plan, None).level == "problem"


def test_a_folder_that_is_not_there_is_judged_by_the_one_above_it(tmp_path):
    assert existing_parent(tmp_path / "a" / "b") == tmp_path
    assert [one.topic for one in check_disk(Machine(), tmp_path / "a" / "b", SMALL, [])] == ["disk", "room"]
    (tmp_path / "file").touch()
    assert existing_parent(tmp_path / "file") == tmp_path


def test_writing_is_measured_and_leaves_nothing(tmp_path):
    speed = measure_writing(tmp_path, most_bytes=1 << 20)
    assert speed.bytes_per_s > 0
    assert speed.longest_s > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_problem():
    (result,) = check_write_speed(Path("/proc/self"), SMALL, [])
    assert result.level in ("problem", "unknown")


def test_a_folder_of_somebody_else_is_a_problem(tmp_path, monkeypatch):
    assert check_writable(tmp_path) == []
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    (result,) = check_writable(tmp_path / "new")
    assert (result.level, result.found) == ("problem", f"{tmp_path} cannot be written by you")


def test_a_disk_that_is_slow_or_stalls_is_told():
    assert judge_speed(WriteSpeed(100e6, 0.1), 10e6).level == "ok"
    assert judge_speed(WriteSpeed(20e6, 0.1), 10e6).level == "warning"
    assert judge_speed(WriteSpeed(5e6, 0.1), 10e6).level == "problem"
    assert judge_speed(WriteSpeed(100e6, 3.0), 10e6).level == "warning"
    assert judge_speed(WriteSpeed(100e6, 0.1), None).level == "ok"


def test_the_clock_of_this_machine_is_looked_at(make_machine):
    first, second = ClockCheck(make_machine()).results()
    assert first.topic == second.topic == "clock"
    state = read_synchronisation()
    assert state is None or state.error_s >= 0


def test_a_clock_that_is_wrong_or_not_synchronised_is_told():
    assert judge_synchronisation(Synchronisation(True, 0.01), NOW).level == "ok"
    assert judge_synchronisation(Synchronisation(True, 5.0), NOW).level == "warning"
    assert judge_synchronisation(Synchronisation(False, 16.0), NOW).level == "warning"
    assert judge_synchronisation(None, NOW).level == "unknown"
    wrong = judge_synchronisation(Synchronisation(False, 16.0), 12345.0)
    assert (wrong.level, "1970-01-01" in wrong.found) == ("problem", True)


def test_a_clock_that_is_set_meanwhile_or_coarse_is_told():
    assert judge_running(0.0004, 20, 1e-9, "tsc").level == "ok"
    assert judge_running(0.0004, 20, 1e-9, None).level == "ok"
    assert judge_running(-3600, 20, 1e-9, "tsc").level == "warning"
    assert judge_running(0, 20, 1e-9, "acpi_pm").level == "warning"
    assert judge_running(0, 20, 0.01, None).level == "warning"


def test_devices_that_this_user_cannot_open_are_told_with_their_group(make_machine):
    machine = make_machine(
        {"dev/video0": "", "dev/video1": "", "dev/ttyACM0": ""}, may_use=lambda path: path.name == "video0"
    )
    video, serial = check_permissions(machine)
    assert (video.level, serial.level) == ("problem", "warning")
    assert video.found == "/dev/video1 cannot be opened by you"
    assert "usermod -aG video" in video.advice
    assert "usermod -aG dialout" in serial.advice


def test_devices_that_can_be_opened_or_are_not_there_are_fine(make_machine):
    files = {f"dev/video{n}": "" for n in range(6)}
    video, serial = check_permissions(make_machine(files, may_use=lambda _: True))
    assert (video.level, serial.level) == ("ok", "ok")
    assert "and 2 more can be opened" in video.found
    assert "there are none" in serial.found


def test_limits_are_judged_by_the_number_of_cameras():
    assert judge_open_files(1024, RecordingPlan()).level == "ok"
    assert judge_open_files(1024, RecordingPlan(cameras=20)).level == "warning"
    assert judge_open_files(256, RecordingPlan(cameras=20)).level == "problem"
    assert judge_open_files(resource.RLIM_INFINITY, RecordingPlan()).level == "ok"
    assert {judge_priority(level).level for level in (0, 50, resource.RLIM_INFINITY)} == {"ok"}
    assert "open files" in [one.topic for one in check_limits(SMALL)]


def test_shared_memory_is_judged_by_what_the_cameras_need():
    assert judge_shared_room(int(1e9), int(1e9), RecordingPlan()).level == "ok"
    small = judge_shared_room(64_000_000, 64_000_000, RecordingPlan(cameras=4))  # as containers have it
    assert (small.level, "--shm-size=158m" in small.advice) == ("warning", True)


def test_shared_memory_that_is_enough_for_the_doctor_is_enough_for_a_feed():
    needed = FeedLayout(RecordingPlan().spec, DEFAULT_SLOTS, 1).size
    assert judge_shared_room(needed, needed, RecordingPlan()).level == "ok"
    assert judge_shared_room(needed - 1, needed, RecordingPlan()).level == "warning"


def test_live_feeds_of_processes_that_died_are_listed_with_what_removes_them():
    assert check_feeds(lambda: []) == []
    living = FeedInfo("front", alive=True, size=1000, pid=7)
    (told,) = check_feeds(lambda: [living])
    assert (told.topic, told.level, told.found) == ("live feeds", "ok", "1 written now: front")
    left = [FeedInfo(f"old{n}", alive=False, size=2_000_000, pid=None) for n in range(6)]
    _, told = check_feeds(lambda: [living, *left])
    assert (told.level, told.advice) == ("warning", "ethostore feed --remove-stale")
    assert told.found == "6 of processes that died, 12 MB: old0, old1, old2, old3 and 2 more"


def test_memory_is_that_of_the_container_if_it_has_less(make_machine):
    machine = make_machine(
        {"proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable:  4000000 kB\nodd\nHugePages_Total: 0"}
    )
    assert available_memory(machine) == 4_096_000_000
    make_machine({"sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "5"})
    assert available_memory(machine) == 4_096_000_000
    make_machine({"sys/fs/cgroup/memory.max": "600000000", "sys/fs/cgroup/memory.current": "100000000"})
    assert available_memory(machine) == 500_000_000
    assert judge_memory(machine, RecordingPlan()).level == "warning"
    assert judge_memory(machine, RecordingPlan(cameras=8)).level == "problem"
    assert judge_memory(machine, SMALL).found.startswith("0.5 GB are available")


def test_a_processor_that_is_busy_or_small_is_told():
    assert judge_cores(4, 0.5, RecordingPlan(cameras=2)).level == "ok"
    assert judge_cores(4, 9.5, RecordingPlan(cameras=2)).level == "warning"
    assert judge_cores(1, 0.5, RecordingPlan(cameras=2)).level == "warning"


@pytest.mark.parametrize(
    ("governor", "driver", "levels"),
    [
        ("performance", "acpi-cpufreq", ["ok"]),
        ("powersave", "acpi-cpufreq", ["warning"]),
        ("powersave", "intel_pstate", ["ok"]),
        (None, None, []),
    ],
)
def test_a_processor_that_is_kept_slow_is_told(make_machine, governor, driver, levels):
    folder = "sys/devices/system/cpu/cpu0/cpufreq"
    files = {f"{folder}/scaling_governor": governor, f"{folder}/scaling_driver": driver} if governor else {}
    assert [one.level for one in judge_governor(make_machine(files))] == levels


def test_swap_on_an_sd_card_is_told(make_machine):
    head = "Filename\tType\tSize\tUsed\tPriority\n"
    mounts = mountinfo(("/", "ext4", "/dev/mmcblk0p2", "rw"), ("/ssd", "ext4", "/dev/sda1", "rw"))
    for area, level in (
        ("/var/swap", "warning"),
        ("/dev/mmcblk0p3", "warning"),
        ("/ssd/swap", "ok"),
        ("/dev/zram0", "ok"),
    ):
        machine = make_machine({"proc/swaps": f"{head}{area} file 1 0 -2\n", "proc/self/mountinfo": mounts})
        assert [one.level for one in judge_swap(machine)] == [level], area
    assert [one.found for one in judge_swap(make_machine({"proc/swaps": head}))] == ["none"]


def test_a_raspberry_pi_with_too_little_power_is_a_problem(make_machine):
    machine = make_machine({"sys/class/hwmon/hwmon0/name": "nvme"})
    assert judge_power(machine) == []
    make_machine(
        {"sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n"}
    )
    assert [one.level for one in judge_power(machine)] == ["ok"]
    make_machine({"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"})
    assert [one.level for one in judge_power(machine)] == ["problem"]


def test_this_processor_and_these_versions_can_be_told():
    assert {one.topic for one in check_processor(Machine(), SMALL)} >= {"processor", "memory"}
    assert f"PyAV {__import__('av').__version__}" in check_versions()[0].found


def test_cameras_that_are_found_and_kinds_that_are_not_looked_for_are_told():
    made_up = CameraSearch("simulated", (FoundCamera("simulated", CameraIdentity("simulated")),))
    missing = CameraSearch("genicam", problem="pip install 'ethostore[genicam]'", missing=True)
    (none,) = judge_searches([made_up, missing])
    assert (none.level, none.found) == (
        "warning",
        "none is connected (not looked for, as their libraries are not installed: genicam)",
    )
    real = CameraSearch(
        "opencv", tuple(FoundCamera(f"opencv:{n}", CameraIdentity("opencv")) for n in range(8))
    )
    stuck = CameraSearch("basler", problem="the search did not end within 15 s and was given up")
    found, told = judge_searches([made_up, real, stuck])
    assert found.found.startswith("8 found: opencv:0, opencv:1,")
    assert "and 2 more" in found.found
    assert (told.level, told.found.startswith("basler: the search did not end")) == ("warning", True)


def test_looking_changes_nothing(tmp_path):
    list(examine(tmp_path / "recordings", SMALL, quick=True))
    assert list(tmp_path.iterdir()) == []
