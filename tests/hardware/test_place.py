"""What keeps a store from being made is told before its camera is started."""

import os
import shutil
import subprocess

import pytest

from hardware import (
    CameraJob,
    CameraSettings,
    DiskFullError,
    FolderClosedError,
    Saving,
    SettingError,
    StoreSpec,
    check_place,
)
from imgstore import FrameFormatError, NotAStoreError, StoreExistsError, UnknownNameError

SIZE = (96, 128)


def job(store, source="simulated:pattern"):
    """Return a job whose saving never begins by itself."""
    settings = CameraSettings(size=SIZE, realtime=True)
    return CameraJob("camera", source, (store,), settings, saving=Saving(at_once=False), reserve=0)


def test_a_place_where_a_store_can_be_made_is_left_as_it_is(tmp_path):
    check_place(tmp_path / "a" / "b", 0)
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", shutil.disk_usage(tmp_path).free // 2)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_what_is_there_already_is_told(tmp_path, make_store):
    (tmp_path / "text").touch()
    for path, error, says in (
        (make_store(), StoreExistsError, "holds a store already"),
        (tmp_path, StoreExistsError, "holds files already"),
        (tmp_path / "text", StoreExistsError, "is a file"),
        (tmp_path / "text" / "a", NotAStoreError, "one of its parents is a file"),
    ):
        with pytest.raises(error, match=says):
            check_place(path, 0)
        with pytest.raises(error, match=says):
            job(StoreSpec(path)).recorder()


def test_a_disk_with_less_room_than_is_to_be_left_is_told(tmp_path):
    reserve = shutil.disk_usage(tmp_path).total + 1
    with pytest.raises(DiskFullError, match="GB are to be left"):
        check_place(tmp_path / "a", reserve)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts disks")
def test_a_disk_that_is_for_reading_only_is_told(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", place], check=False).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        with pytest.raises(FolderClosedError, match="mounted for reading only"):
            check_place(place / "a", 0)
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_others_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FolderClosedError, match="you may not write"):
        check_place(tmp_path / "a", 0)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"crop": (100, 0, 64, 64)}, SettingError, "no part of 64x64 at 100, 0"),
        ({"crop": (0, 0, 65, 64), "part": (0, 2)}, SettingError, "65 columns cannot be parted into 2"),
        ({"crop": (0, 0, 1, 1), "format": "hevc/mkv"}, FrameFormatError, "pixels or more a side"),
    ],
)
def test_a_part_that_cannot_be_kept_is_told_as_soon_as_the_camera_runs(tmp_path, options, error, says):
    recorder = job(StoreSpec(tmp_path / "a", **options)).recorder()
    with pytest.raises(error, match=says):
        recorder.run()
    assert list(tmp_path.iterdir()) == []


def test_settings_that_a_format_has_not_are_told_before_the_camera_runs(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'small'"):
        job(StoreSpec(tmp_path / "a", settings="smal")).recorder()
