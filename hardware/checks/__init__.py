"""What keeps a recording from going well on this machine; one idea a file, and this table."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hardware.checks.access import check_limits, check_permissions
from hardware.checks.clock import ClockCheck
from hardware.checks.codecs import MEASURE_S, CodecSpeed, check_codecs, measure_codecs
from hardware.checks.connected import check_cameras
from hardware.checks.disk import check_disk, check_writable, check_write_speed, existing_parent
from hardware.checks.machine import LEVELS, CheckResult, Level, Machine
from hardware.checks.plan import RecordingPlan
from hardware.checks.processor import check_processor
from hardware.checks.shared import check_feeds, check_shared_memory
from hardware.checks.versions import check_versions
from hardware.errors import HardwareError
from imgstore import ImgstoreError

__all__ = [
    "LEVELS",
    "CheckResult",
    "CodecSpeed",
    "Examination",
    "Level",
    "Machine",
    "RecordingPlan",
    "examine",
    "existing_parent",
]

Examination = Iterator[CheckResult | CodecSpeed]
_Check = Callable[[], Sequence[CheckResult]]


def examine(
    folder: Path,
    plan: RecordingPlan,
    *,
    quick: bool = False,
    seconds: float = MEASURE_S,
    machine: Machine | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Examination:
    """Yield what is found, each as soon as it is known: how fast every codec is, and every check.

    Parameters
    ----------
    folder : where recordings are to lie; it need not exist yet.
    plan : what is to be recorded.
    quick : measure nothing.
    seconds : for how long each format is given frames.
    machine : None for this one.
    progress : told what is looked at.

    Raises nothing: a check that cannot be made says so in its result.
    """
    machine = machine or Machine()
    clock = ClockCheck(machine)
    speeds: list[CodecSpeed] = []
    if not quick:
        for speed in measure_codecs(plan, progress, seconds=seconds):
            speeds.append(speed)
            yield speed
    checks: dict[str, _Check] = {
        "codecs": lambda: check_codecs(plan, speeds),
        "cameras": check_cameras,
        "disk": lambda: check_disk(machine, folder, plan, speeds),
        "write speed": lambda: check_writable(folder) if quick else check_write_speed(folder, plan, speeds),
        "permissions": lambda: check_permissions(machine),
        "limits": lambda: check_limits(plan),
        "shared memory": lambda: check_shared_memory(machine, plan),
        "live feeds": check_feeds,
        "processor": lambda: check_processor(machine, plan),
        "versions": check_versions,
        "clock": clock.results,  # the last: it looks whether the clock was set meanwhile
    }
    for topic, check in checks.items():
        progress(topic)
        yield from guarded(topic, check)


def guarded(topic: str, check: _Check) -> Sequence[CheckResult]:
    """Return what a check finds, or that it could not be made, and why."""
    try:
        return check()
    except (OSError, ValueError, HardwareError, ImgstoreError) as exc:
        return [CheckResult(topic, "unknown", f"could not be looked at: {exc}")]
