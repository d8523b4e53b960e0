"""The disk: what kind it is, how much goes onto it, how fast."""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware.checks.codecs import CodecSpeed, bytes_per_s
from hardware.checks.machine import CheckResult, Level, Machine, Mount
from hardware.checks.plan import RecordingPlan

_HOUR_S = 3600
_GB = 1e9
_SHORT_H, _DAY_H = 1, 24
_NEARLY_FULL, _FULL = 0.9, 0.98
_BLOCK = 4 << 20
_MOST_WRITTEN = 256 << 20
_WRITE_S = 1.5
_ENOUGH = 3.0  # times what is written: disks get slower when they are full, or warm
_LONG_SYNC_S = 1.0

_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "afs", "fuse.sshfs", "fuse.gluster", "fuse.rclone", "lustre")
_IN_MEMORY = ("tmpfs", "ramfs")
_NO_JOURNAL = ("vfat", "msdos", "exfat")
_FROM_WINDOWS = ("ntfs", "ntfs3", "fuseblk")
_READ_ONLY = ("squashfs", "iso9660", "erofs")


def check_disk(
    machine: Machine, folder: Path, plan: RecordingPlan, speeds: Sequence[CodecSpeed]
) -> list[CheckResult]:
    """Say what file system a folder lies in, and for how long there is room."""
    place = existing_parent(folder)
    usage = shutil.disk_usage(place)
    return [
        judge_kind(machine.mount(place), place),
        judge_room(usage.free, usage.total, plan, bytes_per_s(plan, speeds)),
    ]


def existing_parent(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    place = folder.expanduser().resolve()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return place


def judge_kind(mount: Mount | None, place: Path) -> CheckResult:
    """Say whether recordings do well in a kind of file system."""
    if mount is None:
        return CheckResult("disk", "unknown", f"{place}: what file system it lies in is not told")
    found = f"{place} lies on {mount.device} ({mount.kind})"
    level, reason, advice = _judge(mount)
    return CheckResult("disk", level, f"{found}: {reason}" if reason else found, advice)


def _judge(mount: Mount) -> tuple[Level, str, str]:
    """Return how a file system is, why, and what to do."""
    if "ro" in mount.options or mount.kind in _READ_ONLY:
        return "problem", "nothing can be written there", "mount it for writing, or choose another folder"
    if mount.kind.startswith(_NETWORK):
        advice = "record to a disk of this machine and copy afterwards"
        return "warning", "the network may fail or stall while it is recorded", advice
    if mount.kind in _IN_MEMORY:
        return "warning", "it is memory: all is lost when the power fails", "choose a folder on a disk"
    if mount.kind in _NO_JOURNAL:
        advice = "use ext4, xfs or btrfs"
        return "warning", "it keeps no journal, and a power cut may cost whole files", advice
    if mount.kind in _FROM_WINDOWS:
        return "warning", "writing to it costs much processor time on Linux", "use ext4, xfs or btrfs"
    if mount.kind == "overlay":
        return "warning", "it is gone when this container is", "mount a folder of the host into the container"
    if mount.is_sd_card:
        advice = "record to a USB or NVMe SSD where you can"
        return "ok", "an SD card, which is slow and wears out", advice
    return "ok", "", ""


def judge_room(free: int, total: int, plan: RecordingPlan, per_s: float | None) -> CheckResult:
    """Say for how long there is room.

    Parameters
    ----------
    free, total : bytes of the disk.
    per_s : bytes that are written per second; None if that was not measured.
    """
    used = 1 - free / total if total else 1.0
    found = f"{free / _GB:.3g} GB of {total / _GB:.3g} GB are free"
    hours = None
    if per_s:
        hours = free / per_s / _HOUR_S
        found += f", about {_hours_text(hours)} of {plan} ({per_s * _HOUR_S / _GB:.3g} GB an hour)"
    advice = "delete or move recordings, record smaller frames or fewer, or take a larger disk"
    if used >= _FULL or (hours is not None and hours < _SHORT_H):
        return CheckResult("room", "problem", found, advice)
    if used >= _NEARLY_FULL or (hours is not None and hours < _DAY_H):
        return CheckResult("room", "warning", found, advice)
    return CheckResult("room", "ok", found)


def _hours_text(hours: float) -> str:
    return f"{hours:.3g} hours" if hours < 2 * _DAY_H else f"{hours / _DAY_H:.0f} days"


@dataclass(frozen=True, slots=True)
class WriteSpeed:
    """How fast a disk takes what it is given, every block synced.

    Attributes
    ----------
    bytes_per_s : on average.
    longest_s : that one block took.
    """

    bytes_per_s: float
    longest_s: float


def check_write_speed(folder: Path, plan: RecordingPlan, speeds: Sequence[CodecSpeed]) -> list[CheckResult]:
    """Write to the disk of a folder for a moment, and say whether it is fast enough."""
    place = existing_parent(folder)
    if shutil.disk_usage(place).free < 4 * _MOST_WRITTEN:
        return [CheckResult("write speed", "unknown", "not measured: the disk is too full for it")]
    try:
        speed = measure_writing(place)
    except PermissionError:
        return [_not_ours(place)]
    except OSError as exc:
        found = f"{place} cannot be written: {exc.strerror or exc}"
        return [CheckResult("write speed", "problem", found, "choose another folder")]
    return [judge_speed(speed, bytes_per_s(plan, speeds))]


def check_writable(folder: Path) -> list[CheckResult]:
    """Say if this user may not write to a folder; nothing if so."""
    place = existing_parent(folder)
    return [] if os.access(place, os.W_OK | os.X_OK) else [_not_ours(place)]


def _not_ours(place: Path) -> CheckResult:
    advice = f"sudo chown $USER {place}, or choose another folder"
    return CheckResult("disk", "problem", f"{place} cannot be written by you", advice)


def measure_writing(
    folder: Path, *, seconds: float = _WRITE_S, most_bytes: int = _MOST_WRITTEN
) -> WriteSpeed:
    """Write blocks to a file without a name, each synced; nothing of it stays. Raises OSError."""
    block = os.urandom(_BLOCK)  # some disks compress
    written, longest = 0, 0.0
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        began = time.monotonic()
        while written < most_bytes and time.monotonic() - began < seconds:
            before = time.monotonic()
            written += file.write(block)
            os.fsync(file.fileno())
            longest = max(longest, time.monotonic() - before)
        took = time.monotonic() - began
    return WriteSpeed(written / took, longest)


def judge_speed(speed: WriteSpeed, per_s: float | None) -> CheckResult:
    """Say whether a disk is fast enough.

    Parameters
    ----------
    per_s : bytes that are written per second; None if that was not measured.
    """
    found = (
        f"{speed.bytes_per_s / 1e6:.0f} MB/s, every {_BLOCK >> 20} MB synced; "
        f"the slowest took {speed.longest_s * 1000:.0f} ms"
    )
    if per_s is not None:
        found += f"; needed are {per_s / 1e6:.2g} MB/s"
        if speed.bytes_per_s < per_s:
            return CheckResult("write speed", "problem", found, "take a faster disk or a smaller format")
        if speed.bytes_per_s < _ENOUGH * per_s:
            return CheckResult("write speed", "warning", found, "take a faster disk or a smaller format")
    if speed.longest_s > _LONG_SYNC_S:
        advice = "the disk stalls: see what else writes to it, or take another one; a longer queue helps"
        return CheckResult("write speed", "warning", found, advice)
    return CheckResult("write speed", "ok", found)
