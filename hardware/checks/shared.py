"""Shared memory, in which other processes see frames that are being recorded."""

import shutil
from pathlib import Path

from hardware.checks.machine import CheckResult, Machine
from hardware.checks.plan import RecordingPlan

SEGMENT_PREFIX = "ethostore-"

_FOLDER = "dev/shm"
_SLOTS = 16  # frames that a live feed keeps
_MOST_SHOWN = 4


def check_shared_memory(machine: Machine, plan: RecordingPlan) -> list[CheckResult]:
    """Say whether live feeds of all cameras have room, and what earlier ones left behind."""
    folder = machine.root / _FOLDER
    if not folder.is_dir():
        found = "there is no /dev/shm, so there can be no live feeds"
        return [CheckResult("shared memory", "warning", found, "sudo mount -t tmpfs tmpfs /dev/shm")]
    usage = shutil.disk_usage(folder)
    results = [judge_shared_room(usage.free, usage.total, plan)]
    left = stale_segments(machine)
    if left:
        names = ", ".join(path.name for path in left[:_MOST_SHOWN])
        more = f" and {len(left) - _MOST_SHOWN} more" if len(left) > _MOST_SHOWN else ""
        size = sum(_size(path) for path in left)
        found = f"{len(left)} live feeds of processes that died, {size / 1e6:.3g} MB: {names}{more}"
        advice = "if no recording runs: rm /dev/shm/ethostore-*"
        results.append(CheckResult("live feeds", "warning", found, advice))
    return results


def judge_shared_room(free: int, total: int, plan: RecordingPlan) -> CheckResult:
    """Say whether live feeds have room.

    Parameters
    ----------
    free, total : bytes of shared memory.
    """
    needed = plan.cameras * _SLOTS * plan.frame_bytes
    found = (
        f"{free / 1e9:.3g} GB of {total / 1e9:.3g} GB are free, live feeds take up to {needed / 1e9:.2g} GB"
    )
    if free >= needed:
        return CheckResult("shared memory", "ok", found)
    megabytes = -(-2 * needed // 1_000_000)
    advice = f"sudo mount -o remount,size={megabytes}M /dev/shm; of a container: --shm-size={megabytes}m"
    return CheckResult("shared memory", "warning", found, advice)


def stale_segments(machine: Machine) -> list[Path]:
    """Return the segments of live feeds that no process which can be looked into has in its memory."""
    segments = machine.glob(f"{_FOLDER}/{SEGMENT_PREFIX}*")
    if not segments:
        return []
    used = set()
    for maps in machine.glob("proc/[0-9]*/maps"):
        text = machine.text(str(maps.relative_to(machine.root))) or ""
        used |= {path for path in segments if f"/{_FOLDER}/{path.name}\n" in text + "\n"}
    return [path for path in segments if path not in used]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it is gone meanwhile
