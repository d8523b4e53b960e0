"""What this user may do: open devices, keep files open, run before others."""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware.checks.machine import CheckResult, Level, Machine
from hardware.checks.plan import RecordingPlan

_BASE_FILES, _FILES_PER_CAMERA = 64, 32
_SPARE = 2
_MOST_SHOWN = 4


@dataclass(frozen=True, slots=True)
class _Devices:
    """Devices that a group of users may open.

    Attributes
    ----------
    topic : what they are.
    patterns : of their files.
    group : of Debian and its kin.
    level : how bad it is if they cannot be opened.
    """

    topic: str
    patterns: tuple[str, ...]
    group: str
    level: Level


_KINDS = (
    _Devices("cameras' files", ("dev/video[0-9]*", "dev/media[0-9]*"), "video", "problem"),
    _Devices("serial devices", ("dev/ttyUSB[0-9]*", "dev/ttyACM[0-9]*"), "dialout", "warning"),
)


def check_permissions(machine: Machine) -> list[CheckResult]:
    """Say whether the devices that are there can be opened."""
    return [_judge_devices(machine, kind) for kind in _KINDS]


def _judge_devices(machine: Machine, kind: _Devices) -> CheckResult:
    devices = [path for pattern in kind.patterns for path in machine.glob(pattern)]
    if not devices:
        return CheckResult(kind.topic, "ok", f"there are none ({', '.join('/' + p for p in kind.patterns)})")
    closed = [path for path in devices if not machine.may_use(path)]
    if not closed:
        return CheckResult(kind.topic, "ok", f"{_listed(machine, devices)} can be opened")
    found = f"{_listed(machine, closed)} cannot be opened by you"
    advice = f"sudo usermod -aG {kind.group} $USER, then log out and in again"
    return CheckResult(kind.topic, kind.level, found, advice)


def _listed(machine: Machine, paths: Sequence[Path]) -> str:
    shown = ", ".join(f"/{path.relative_to(machine.root)}" for path in paths[:_MOST_SHOWN])
    return f"{shown} and {len(paths) - _MOST_SHOWN} more" if len(paths) > _MOST_SHOWN else shown


def check_limits(plan: RecordingPlan) -> list[CheckResult]:
    """Say whether the limits of this process let it record."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    size, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    results = [judge_open_files(files, plan)]
    if size != resource.RLIM_INFINITY:
        found = f"a file may hold at most {size / 1e6:.3g} MB"
        results.append(CheckResult("file size", "warning", found, "ulimit -f unlimited"))
    priority = getattr(resource, "RLIMIT_RTPRIO", None)  # Linux only
    if priority is not None:
        results.append(judge_priority(resource.getrlimit(priority)[0]))
    return results


def judge_open_files(most: int, plan: RecordingPlan) -> CheckResult:
    """Say whether as many files can be opened as a recording needs."""
    needed = _BASE_FILES + _FILES_PER_CAMERA * plan.cameras
    if most == resource.RLIM_INFINITY:
        return CheckResult("open files", "ok", "without limit")
    found = f"{most} at the same time, a recording needs up to {needed}"
    advice = f"ulimit -n {max(4096, _SPARE * needed)}"
    if most < needed:
        return CheckResult("open files", "problem", found, advice)
    return CheckResult("open files", "warning" if most < _SPARE * needed else "ok", found, advice)


def judge_priority(highest: int) -> CheckResult:
    """Say whether a process may run before all others. Recording does without."""
    if highest:
        text = "any" if highest == resource.RLIM_INFINITY else f"up to {highest}"
        return CheckResult("real-time priority", "ok", f"{text} may be asked for")
    found = "none may be asked for; recording needs none, closed loops within a millisecond do"
    return CheckResult("real-time priority", "ok", found)
