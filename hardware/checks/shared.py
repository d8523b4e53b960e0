"""Shared memory, in which other processes see frames that are being recorded."""

import shutil
from collections.abc import Callable, Sequence

from hardware.checks.machine import CheckResult, Machine
from hardware.checks.plan import RecordingPlan
from hardware.feed.layout import DEFAULT_SLOTS, FeedLayout
from hardware.feed.segment import FeedInfo, find_feeds

_FOLDER = "dev/shm"
_NOBODY = 0  # a process id, where none matters
_MOST_SHOWN = 4


def check_shared_memory(machine: Machine, plan: RecordingPlan) -> list[CheckResult]:
    """Say whether live feeds of all cameras have room."""
    folder = machine.root / _FOLDER
    if not folder.is_dir():
        found = "there is no /dev/shm, so there can be no live feeds"
        return [CheckResult("shared memory", "warning", found, "sudo mount -t tmpfs tmpfs /dev/shm")]
    usage = shutil.disk_usage(folder)
    return [judge_shared_room(usage.free, usage.total, plan)]


def judge_shared_room(free: int, total: int, plan: RecordingPlan) -> CheckResult:
    """Say whether live feeds have room.

    Parameters
    ----------
    free, total : bytes of shared memory.
    """
    needed = plan.cameras * FeedLayout(plan.spec, DEFAULT_SLOTS, _NOBODY).size
    found = (
        f"{free / 1e9:.3g} GB of {total / 1e9:.3g} GB are free, live feeds take up to {needed / 1e9:.2g} GB"
    )
    if free >= needed:
        return CheckResult("shared memory", "ok", found)
    megabytes = -(-2 * needed // 1_000_000)
    advice = f"sudo mount -o remount,size={megabytes}M /dev/shm; of a container: --shm-size={megabytes}m"
    return CheckResult("shared memory", "warning", found, advice)


def check_feeds(find: Callable[[], Sequence[FeedInfo]] = find_feeds) -> list[CheckResult]:
    """Say which live feeds of this user there are, and which were left by writers that died.

    Parameters
    ----------
    find : lists the feeds.
    """
    feeds = find()
    living = [one for one in feeds if one.alive]
    left = [one for one in feeds if not one.alive]
    results = (
        [CheckResult("live feeds", "ok", f"{len(living)} written now: {_names(living)}")] if living else []
    )
    if left:
        size = sum(one.size for one in left)
        found = f"{len(left)} of processes that died, {size / 1e6:.3g} MB: {_names(left)}"
        results.append(CheckResult("live feeds", "warning", found, "ethostore feed --remove-stale"))
    return results


def _names(feeds: Sequence[FeedInfo]) -> str:
    shown = ", ".join(one.name for one in feeds[:_MOST_SHOWN])
    return f"{shown} and {len(feeds) - _MOST_SHOWN} more" if len(feeds) > _MOST_SHOWN else shown
