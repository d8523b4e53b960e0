"""Processor, memory, swap and power."""

import os
from pathlib import Path

from hardware.checks.machine import CheckResult, Machine
from hardware.checks.plan import RecordingPlan

_QUEUE_FRAMES = 64
_SYSTEM_BYTES = 300 << 20  # Python, its libraries, an encoder
_ENCODER_FRAMES = 40  # that an encoder and its threads keep of a camera
_SPARE = 2
_SLOW = ("powersave", "conservative")
_PSTATE = ("intel_pstate", "amd-pstate-epp")  # whose "powersave" is as fast as any


def check_processor(machine: Machine, plan: RecordingPlan) -> list[CheckResult]:
    """Say whether processor and memory are up to a recording."""
    return [
        judge_cores(len(os.sched_getaffinity(0)), os.getloadavg()[0], plan),
        judge_memory(machine, plan),
        *judge_governor(machine),
        *judge_swap(machine),
        *judge_power(machine),
    ]


def judge_cores(cores: int, load: float, plan: RecordingPlan) -> CheckResult:
    """Say whether there are processors enough, and free.

    Parameters
    ----------
    cores : that this process may use.
    load : processes that want to run, on average over a minute.
    """
    found = f"{cores} cores, {load:.2g} of them busy in the last minute"
    if load >= cores:
        advice = "end what else runs; what was measured here is slower than it would be"
        return CheckResult("processor", "warning", found, advice)
    if cores < plan.cameras:
        advice = (
            "choose a format that is fast enough here, and record a little to see whether frames are lost"
        )
        return CheckResult("processor", "warning", found, advice)
    return CheckResult("processor", "ok", found)


def judge_memory(machine: Machine, plan: RecordingPlan) -> CheckResult:
    """Say whether queues and encoders of all cameras have room."""
    available = available_memory(machine)
    if available is None:
        return CheckResult("memory", "unknown", "/proc/meminfo does not say how much is available")
    per_camera = (_QUEUE_FRAMES + _ENCODER_FRAMES) * plan.frame_bytes
    needed = _SYSTEM_BYTES + plan.cameras * per_camera
    found = f"{available / 1e9:.3g} GB are available, a recording takes about {needed / 1e9:.2g} GB"
    advice = "end other programs, or record smaller frames"
    if available < needed:
        return CheckResult("memory", "problem", found, advice)
    return CheckResult("memory", "warning" if available < _SPARE * needed else "ok", found, advice)


def available_memory(machine: Machine) -> int | None:
    """Return the bytes that this process may still take, also in a container; None if that is not told."""
    available = machine.memory().get("MemAvailable")
    most = machine.number("sys/fs/cgroup/memory.max")
    taken = machine.number("sys/fs/cgroup/memory.current")
    if most is not None and taken is not None:
        free = max(most - taken, 0)
        return free if available is None else min(available, free)
    return available


def judge_governor(machine: Machine) -> list[CheckResult]:
    """Say whether the processor is kept slow; nothing where its speed is not the system's to choose."""
    governors = {
        name
        for path in machine.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
        if (name := machine.text(str(path.relative_to(machine.root))))
    }
    if not governors:
        return []
    driver = machine.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver")
    found = f"speed is governed by {' and '.join(sorted(governors))}"
    if driver not in _PSTATE and governors & set(_SLOW):
        advice = "sudo cpupower frequency-set -g performance"
        return [CheckResult("processor speed", "warning", found, advice)]
    return [CheckResult("processor speed", "ok", found)]


def judge_swap(machine: Machine) -> list[CheckResult]:
    """Say whether memory is swapped to an SD card; nothing where it is not known whether it is swapped."""
    lines = machine.text("proc/swaps")
    if lines is None:
        return []
    areas = [Path(line.split()[0]) for line in lines.splitlines()[1:] if line.split()]
    slow = [area for area in areas if _is_on_card(machine, area)]
    if slow:
        advice = "sudo dphys-swapfile swapoff, or use zram: a card stalls for seconds and wears out"
        found = f"swaps to an SD card: {', '.join(map(str, slow))}"
        return [CheckResult("swap", "warning", found, advice)]
    return [CheckResult("swap", "ok", ", ".join(map(str, areas)) or "none")]


def _is_on_card(machine: Machine, area: Path) -> bool:
    if area.is_relative_to("/dev"):
        return area.name.startswith("mmcblk")
    mount = machine.mount(area)
    return mount is not None and mount.is_sd_card


def judge_power(machine: Machine) -> list[CheckResult]:
    """Say whether a Raspberry Pi gets too little power; nothing on other machines."""
    for name in machine.glob("sys/class/hwmon/hwmon*/name"):
        folder = name.parent.relative_to(machine.root)
        if machine.text(f"{folder}/name") != "rpi_volt":
            continue
        if machine.number(f"{folder}/in0_lcrit_alarm"):
            advice = "use the power supply made for it and a short cable"
            return [CheckResult("power", "problem", "the voltage is too low", advice)]
        return [CheckResult("power", "ok", "the voltage is high enough")]
    return []
