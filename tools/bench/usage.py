"""What a process and all that it started use: processor time and memory."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.2


def family(root: int) -> list[int]:
    """Return a process and its descendants that live."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [root]
    for known in found:
        found += [pid for pid, parent in parents.items() if parent == known]
    return found


def cpu_seconds(root: int) -> float:
    """Return the processor time of a process and all its descendants, those that ended included."""
    ticks = 0
    for pid in family(root):
        with suppress(OSError):
            ticks += sum(map(int, _stat(pid)[11:15]))  # of itself, and of the children it has seen end
    return ticks / _TICKS


def memory_mb(root: int) -> float:
    """Return the memory of a process and its descendants, without files; what they share counts once."""
    total = 0
    for pid in family(root):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "SwapPss:")):
                    total += int(line.split()[1])
    return total / 1024


class MemoryWatch:
    """Looks at the memory of a process and its descendants a few times a second, in a thread."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._samples: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory")

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def peak(self) -> float:
        """Return the most that was seen, MB."""
        return max((memory for _, memory in self._samples), default=0.0)

    def growth(self, since_ns: int, until_ns: int) -> float:
        """Return MB per second between two moments of the monotonic clock; 0 if nobody looked twice."""
        within = [sample for sample in self._samples if since_ns <= sample[0] <= until_ns]
        if not within or within[0] == within[-1]:
            return 0.0
        (first_ns, first), (last_ns, last) = within[0], within[-1]
        return (last - first) / (last_ns - first_ns) * 1e9

    def _run(self) -> None:
        while not self._stop.is_set():
            self._samples.append((time.monotonic_ns(), memory_mb(self._root)))
            self._stop.wait(_SAMPLE_S)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat that stand behind the name, from the state on (man 5 proc)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
