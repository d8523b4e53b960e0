"""The result of a benchmark: rows of cells, a column for each contender, and the table that people read."""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from tools.bench.peer import PeerError

TITLES = {
    "ethostore": "ethostore",
    "bare": "bare codec",
    "upstream": "imgstore 0.4.0",
    "opencv": "OpenCV",
    "torchcodec": "torchcodec",
    "decord": "decord",
}
"""Contenders of `tools.bench.store`, in the order of the columns."""

Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """What one measurement gave.

    Attributes
    ----------
    what : was measured, on which recording.
    unit : of the times or sizes.
    main : name of the number that contenders are compared by; "second" and "cpu" are shown beside it.
    cells : of each contender that took part, medians of its runs.
    better : whether less of `main` is better, or more; None where contenders are not to be compared.
    """

    what: str
    unit: str
    main: str
    cells: Mapping[str, Numbers]
    second: str = ""
    better: Literal["less", "more"] | None = "less"

    def of(self, name: str, key: str) -> float | None:
        """Return how many times as good as that of another ours is: above 1, it is better."""
        other, ours = self.cells.get(name, {}).get(key), self.cells.get("ethostore", {}).get(key)
        if not other or not ours or self.better is None:
            return None
        return ours / other if self.better == "more" and key == self.main else other / ours

    def best_peer(self) -> str | None:
        """Return who is fastest of those that return the right frames, ours and the bare codec aside."""
        right = [
            name
            for name, cell in self.cells.items()
            if name not in ("ethostore", "bare") and self.main in cell and not cell.get("wrong")
        ]
        best = max if self.better == "more" else min
        return best(right, key=lambda name: self.cells[name][self.main], default=None)

    def of_best_peer(self) -> float | None:
        """Return how many times as good as that of the best peer ours is."""
        best = self.best_peer()
        return self.of(best, self.main) if best else None

    def plain(self, beside: str) -> dict[str, Any]:
        """Return the row for machines; see `Report` for `beside`."""
        return {
            "what": self.what,
            "unit": self.unit,
            "compared_by": self.main,
            "contenders": {name: dict(cell) for name, cell in self.cells.items()},
            f"of_{beside}": self.of(beside, self.main),
            f"of_{beside}_cpu": self.of(beside, "cpu"),
            "best_peer": self.best_peer(),
            "of_best_peer": self.of_best_peer(),
        }


@dataclass(slots=True)
class Report:
    """All that a run found out.

    Attributes
    ----------
    versions : of each contender's packages.
    rows : in order of measuring.
    notes : what a contender cannot do, or did wrong, a line each.
    titles : of the contenders, in the order of the columns.
    beside : the contender that ours is compared with, whoever is best.
    """

    titles: Mapping[str, str] = field(default_factory=lambda: TITLES)
    beside: str = "bare"
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started: datetime = field(default_factory=lambda: datetime.now().astimezone())
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def note(self, line: str) -> None:
        """Keep a line, once."""
        if line not in self.notes:
            self.notes.append(line)

    def machine(self) -> dict[str, Any]:
        """Return what it was measured on, and when."""
        return {
            "date": self.started.isoformat(timespec="seconds"),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "system": platform.system() + " " + platform.release(),
            "load_before": round(self.load_before, 1),
            "load_after": round(os.getloadavg()[0], 1),
        }

    def plain(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "machine": self.machine(),
            "versions": {name: dict(found) for name, found in self.versions.items()},
            "rows": [row.plain(self.beside) for row in self.rows],
            "notes": self.notes,
        }

    def markdown(self) -> str:
        """Return the report for people."""
        machine = self.machine()
        names = [name for name in self.titles if any(name in row.cells for row in self.rows)]
        head = ["", *(self.titles[name] for name in names), f"of {self.titles[self.beside]}", "of best peer"]
        lines = [
            f"{machine['date']}, {machine['cores']} cores of {machine['processor']}, {machine['system']}, "
            f"Python {machine['python']}, load {machine['load_before']} before, "
            f"{machine['load_after']} after.",
            "; ".join(
                f"{self.titles[name]}: "
                + ", ".join(f"{package} {number}" for package, number in found.items())
                for name, found in self.versions.items()
            ),
            "",
            _line(head),
            _line(["---"] * len(head)),
            *(_line(self._cells(row, names)) for row in self.rows),
            "",
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def _cells(self, row: Row, names: Sequence[str]) -> list[str]:
        ratio, of_cpu = row.of(self.beside, row.main), row.of(self.beside, "cpu")
        peer, best = row.of_best_peer(), row.best_peer()
        of_beside = "" if ratio is None else f"{ratio:.2f}" + ("" if of_cpu is None else f" ({of_cpu:.2f})")
        of_peer = "" if peer is None or best is None else f"{_number(peer)} {self.titles[best]}"
        shown = (_cell(row, row.cells[name]) if name in row.cells else "-" for name in names)
        return [f"{row.what}, {row.unit}", *shown, of_beside, of_peer]


def take_turns(
    report: Report, names: Sequence[str], runs: int, ask: Callable[[str, int], Numbers]
) -> dict[str, Numbers]:
    """Return the medians of what contenders answer in turns, without those who cannot: that is noted."""
    answers: dict[str, list[Numbers]] = {name: [] for name in names}
    for run in range(runs):
        for name in list(answers):
            try:
                answers[name].append(ask(name, run))
            except PeerError as exc:
                report.note(f"{report.titles[name]}: {exc}")
                del answers[name]
    return {name: medians(found) for name, found in answers.items()}


def medians(answers: Sequence[Numbers]) -> Numbers:
    """Return the median of each number over several runs; of wrong frames the most."""
    names = answers[0].keys()
    found = {name: statistics.median(answer[name] for answer in answers) for name in names}
    return found | ({"wrong": max(answer["wrong"] for answer in answers)} if "wrong" in names else {})


def _cell(row: Row, cell: Numbers) -> str:
    text = _number(cell[row.main])
    text += f" / {_number(cell[row.second])}" if row.second else ""
    text += f" ({_number(cell['cpu'])})" if "cpu" in cell else ""
    return text + (f" **{cell['wrong']:.0f} wrong**" if cell.get("wrong") else "")


def _number(value: float) -> str:
    """Return three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
