"""What a check says, and the files of the machine that it looks at."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "unknown", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "unknown", "warning", "problem")
"""From good to bad; "unknown" is what could not be looked at."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found.

    Attributes
    ----------
    topic : what was looked at, "disk".
    level : how it is.
    found : what was found, in a line.
    advice : what to do about it; empty if there is nothing to do.
    """

    topic: str
    level: Level
    found: str
    advice: str = ""


def worst(levels: Iterable[Level]) -> Level:
    """Return the worst of some levels; "ok" if there are none."""
    return max(levels, key=LEVELS.index, default="ok")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system and where it lies.

    Attributes
    ----------
    point : folder of the machine.
    kind : "ext4", "nfs4", "fuse.sshfs".
    device : "/dev/mmcblk0p2", "server:/export".
    options : "rw", "noatime".
    """

    point: Path
    kind: str
    device: str
    options: tuple[str, ...]

    @property
    def is_sd_card(self) -> bool:
        """Whether it lies on an SD card, or on eMMC, which the system does not tell apart."""
        return self.device.startswith("/dev/mmcblk")


def _may_use(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


@dataclass(frozen=True, slots=True)
class Machine:
    """The files by which a machine tells what it is.

    Parameters
    ----------
    root : the folder that holds proc, sys and dev.
    may_use : whether this user may read and write a device.
    """

    root: Path = Path("/")
    may_use: Callable[[Path], bool] = _may_use

    def text(self, path: str) -> str | None:
        """Return what a file says, without white space around it; None if it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the whole number that stands in a file, None if there is none."""
        try:
            return int(self.text(path) or "")
        except ValueError:
            return None

    def glob(self, pattern: str) -> list[Path]:
        """Return the files whose path matches, in order."""
        return sorted(self.root.glob(pattern))

    def memory(self) -> dict[str, int]:
        """Return the amounts of /proc/meminfo, in bytes by name; empty if it cannot be read."""
        amounts = {}
        for line in (self.text("proc/meminfo") or "").splitlines():
            name, _, rest = line.partition(":")
            words = rest.split()
            if words and words[0].isdigit():
                amounts[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
        return amounts

    def mount(self, folder: Path) -> Mount | None:
        """Return the file system in which a folder lies, None if that cannot be found out."""
        found: Mount | None = None
        for line in (self.text("proc/self/mountinfo") or "").splitlines():
            one = _parse_mount(line)
            if one is None or not folder.is_relative_to(one.point):
                continue
            if found is None or one.point.is_relative_to(found.point):  # of two at one point the later counts
                found = one
        return found


def _parse_mount(line: str) -> Mount | None:
    """Return what a line of /proc/self/mountinfo says."""
    before, _, after = line.partition(" - ")
    left, right = before.split(), after.split()
    if len(left) < 6 or len(right) < 2:
        return None
    point = left[4].encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
    return Mount(Path(point), right[0], right[1], tuple(left[5].split(",")))
