"""Which formats work here, and how fast they take frames of an animal in its arena."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imgstore
from hardware.arena.simulation import Arena
from hardware.checks.machine import CheckResult
from hardware.checks.plan import RecordingPlan
from imgstore import (
    FORMATS,
    Frame,
    FrameFormatError,
    Image,
    ImgstoreError,
    MissingDependencyError,
    UnknownNameError,
)

MEASURE_S = 1.0
_MOST_FRAMES = 2000
_SCENE_BYTES = 48 << 20
_SCENE_FRAMES = 40
_SMALLEST_SCENE = (96, 128)
_ENOUGH = 2.0  # times the rate: a recorder does other things, too


@dataclass(frozen=True, slots=True)
class CodecSpeed:
    """How a format does here.

    Attributes
    ----------
    format : its name.
    frames_per_s : frames that a store took per second, until they were all on disk; 0 if it does not work.
    bytes_per_frame : on disk, on average.
    problem : why it does not work; empty if it does.
    """

    format: str
    frames_per_s: float = 0.0
    bytes_per_frame: float = 0.0
    problem: str = ""


def measure_codecs(
    plan: RecordingPlan, progress: Callable[[str], None] = lambda _: None, *, seconds: float = MEASURE_S
) -> Iterator[CodecSpeed]:
    """Yield how every format does with frames of this size, one after the other.

    Parameters
    ----------
    seconds : for how long each is given frames.
    """
    progress("drawing frames")
    images = draw_scene(plan)
    for name in FORMATS.names():
        if "+" not in name:  # "png+color" is "png" with other images
            progress(f"codec {name}")
            yield measure_codec(name, plan, images, seconds)


def measure_codec(name: str, plan: RecordingPlan, images: Sequence[Image], seconds: float) -> CodecSpeed:
    """Write frames into a store of this format in a temporary folder, and say how fast that was."""
    try:
        FORMATS.get(name).check(plan.spec)
        with tempfile.TemporaryDirectory(prefix="ethostore-doctor-") as folder:
            return _measure(name, plan, images, seconds, Path(folder) / "a.store")
    except (MissingDependencyError, FrameFormatError) as exc:
        return CodecSpeed(name, problem=str(exc))
    except (ImgstoreError, OSError) as exc:
        return CodecSpeed(name, problem=f"failed: {exc}")


def draw_scene(plan: RecordingPlan) -> list[Image]:
    """Return frames of the simulated arena which can be shown forth and back without a jump."""
    rows, columns = (max(a, b) for a, b in zip(plan.size, _SMALLEST_SCENE, strict=True))
    count = max(2, min(_SCENE_FRAMES, _SCENE_BYTES // plan.frame_bytes))
    arena = Arena((rows, columns), plan.rate, seed=0)
    images = [arena.image(number)[: plan.size[0], : plan.size[1]].copy() for number in range(count)]
    return images + images[-2:0:-1]


def check_codecs(plan: RecordingPlan, speeds: Sequence[CodecSpeed]) -> list[CheckResult]:
    """Say whether the format of the plan works here, and is fast enough."""
    try:
        FORMATS.get(plan.format).check(plan.spec)
    except (MissingDependencyError, FrameFormatError, UnknownNameError) as exc:
        return [CheckResult("codec", "problem", str(exc), "choose another --format")]
    speed = speed_of(plan, speeds)
    if speed is None:
        return [CheckResult("codec", "ok", f"{plan.format} is there; how fast it is was not measured")]
    if speed.problem:
        return [CheckResult("codec", "problem", f"{plan.format}: {speed.problem}", "choose another --format")]
    needed = plan.frames_per_s
    found = f"{plan.format} takes {speed.frames_per_s:.0f} frames/s, needed are {needed:g}"
    if speed.frames_per_s >= _ENOUGH * needed:
        return [CheckResult("codec", "ok", found)]
    faster = [one for one in speeds if one.frames_per_s >= _ENOUGH * needed]
    fastest = sorted(faster, key=lambda one: one.bytes_per_frame)
    instead = f"use --format {fastest[0].format}, " if fastest else ""
    advice = f"{instead}the settings profile fast, fewer frames per second or smaller frames"
    return [CheckResult("codec", "problem" if speed.frames_per_s < needed else "warning", found, advice)]


def speed_of(plan: RecordingPlan, speeds: Sequence[CodecSpeed]) -> CodecSpeed | None:
    """Return what was measured of the format of the plan, None if nothing was."""
    return next((one for one in speeds if one.format == plan.format), None)


def bytes_per_s(plan: RecordingPlan, speeds: Sequence[CodecSpeed]) -> float | None:
    """Return how much is written per second, None if that was not measured."""
    speed = speed_of(plan, speeds)
    return speed.bytes_per_frame * plan.frames_per_s if speed and speed.bytes_per_frame else None


def _measure(
    name: str, plan: RecordingPlan, images: Sequence[Image], seconds: float, path: Path
) -> CodecSpeed:
    with imgstore.create(path, plan.spec.shape, format=name, checksums=False) as writer:
        writer.append(Frame(images[0], 0, 0, 0.0))  # opens the encoder, which is not its speed
        count, began = 1, time.monotonic()
        for image in itertools.islice(itertools.cycle(images), 1, _MOST_FRAMES):
            writer.append(Frame(image, count, count, count / plan.rate))
            count += 1
            if time.monotonic() - began >= seconds:
                break
    took = time.monotonic() - began
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return CodecSpeed(name, (count - 1) / took, size / count)
