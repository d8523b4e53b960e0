"""Which cameras are connected."""

from hardware.checks.machine import CheckResult
from hardware.discovery import CameraSearch, find_cameras

_MOST_SHOWN = 6
_MADE_UP = "simulated"


def check_cameras() -> list[CheckResult]:
    """Say which cameras are found, and which kinds could not be looked for."""
    return judge_searches(find_cameras())


def judge_searches(searches: list[CameraSearch]) -> list[CheckResult]:
    """Say what searches came to."""
    found = [camera.source for one in searches if one.kind != _MADE_UP for camera in one.cameras]
    absent = ", ".join(one.kind for one in searches if one.missing)
    remark = f" (not looked for, as their libraries are not installed: {absent})" if absent else ""
    if found:
        more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        text = ", ".join(found[:_MOST_SHOWN])
        results = [CheckResult("cameras", "ok", f"{len(found)} found: {text}{more}{remark}")]
    else:
        advice = "connect one; `ethostore cameras` says what it sees and what to install"
        results = [CheckResult("cameras", "warning", f"none is connected{remark}", advice)]
    results += [
        CheckResult("cameras", "warning", f"{one.kind}: {one.problem}", "check its cable and its driver")
        for one in searches
        if one.problem and not one.missing
    ]
    return results
