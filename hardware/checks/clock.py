"""The clock: whether it is right, and stays so."""

import ctypes
import os
import time
from dataclasses import dataclass

from hardware.checks.machine import CheckResult, Machine
from hardware.clock import WallClock

_EARLIEST = 1_735_689_600  # 2025-01-01: before it, the clock was never set
_STEP_S = 0.05
_COARSE_S = 1e-3
_ERROR_S = 0.5
_UNSYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)
_SLOW_SOURCES = ("jiffies", "acpi_pm", "hpet")
_SYNC = "sudo timedatectl set-ntp true, or give the machine a time server that it can reach"


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`, and room for its rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


@dataclass(frozen=True, slots=True)
class Synchronisation:
    """What the kernel knows of its clock.

    Attributes
    ----------
    synchronised : with a time server, or another better clock.
    error_s : it may be off by at most.
    """

    synchronised: bool
    error_s: float


def read_synchronisation() -> Synchronisation | None:
    """Ask the kernel; None where that is not possible."""
    state = _Timex()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    return Synchronisation(not state.status & _UNSYNCHRONISED, state.maxerror / 1e6)


class ClockCheck:
    """Looks at the clock from when it is made until it is asked.

    Parameters
    ----------
    machine : whose clock it is.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._wall = WallClock()
        self._began = time.monotonic()

    def results(self) -> list[CheckResult]:
        """Say how the clock is."""
        step, looked = self._wall.step(), time.monotonic() - self._began
        resolution = time.get_clock_info("monotonic").resolution
        source = self._machine.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
        return [
            judge_synchronisation(read_synchronisation(), time.time()),
            judge_running(step, looked, resolution, source),
        ]


def judge_synchronisation(state: Synchronisation | None, now: float) -> CheckResult:
    """Say whether the clock is right.

    Parameters
    ----------
    now : Unix time by it.
    """
    if now < _EARLIEST:
        return CheckResult(
            "clock", "problem", f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}", _SYNC
        )
    if state is None:
        return CheckResult("clock", "unknown", f"whether it is synchronised {os.name} does not say")
    if not state.synchronised:
        return CheckResult("clock", "warning", "it is not synchronised with a time server", _SYNC)
    found = f"synchronised, off by at most {state.error_s:.3g} s"
    if state.error_s > _ERROR_S:
        return CheckResult("clock", "warning", found, "wait until the time server was heard more often")
    return CheckResult("clock", "ok", found)


def judge_running(step_s: float, looked_s: float, resolution_s: float, source: str | None) -> CheckResult:
    """Say whether the clock runs evenly and finely.

    Parameters
    ----------
    step_s : by how much the wall clock moved against the monotonic one.
    looked_s : how long it was looked at.
    resolution_s : of the monotonic clock.
    source : what the kernel counts by; None if it does not say.
    """
    found = (
        f"moved by {step_s * 1000:+.2f} ms against the monotonic clock in {looked_s:.1f} s, "
        f"resolution {resolution_s * 1e9:g} ns" + (f", counts by {source}" if source else "")
    )
    if abs(step_s) > _STEP_S:
        advice = "it is being set right now; wait until it is synchronised"
        return CheckResult("clock", "warning", found, advice)
    if resolution_s > _COARSE_S or source in _SLOW_SOURCES:
        return CheckResult("clock", "warning", found, "times are coarse or slow to read; see `dmesg` for tsc")
    return CheckResult("clock", "ok", found)
