"""What `verify` finds: values, and how many of one kind are told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""An error: something that was recorded is lost, wrong or unfinished. A warning: something is odd, all can be
read. A note: good to know."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

_MOST_ALIKE = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a store.

    Attributes
    ----------
    severity : "error", "warning" or "note".
    file : name within the store.
    what : is wrong, and what to do.
    chunk : number of the chunk that it concerns, None for the store as a whole.
    frames : indices of the frames that it concerns; empty for none, or if they are not known.
    """

    severity: Severity
    file: str
    what: str
    chunk: int | None = None
    frames: range = range(0)


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` looked at, and what is wrong.

    Attributes
    ----------
    path : folder of the store.
    state : "complete", "recording" or "interrupted".
    chunks, frames : how many there are.
    decoded : frames that were decoded without an error.
    checksums : how many were computed and compared.
    findings : errors first.
    """

    path: Path
    state: str
    chunks: int = 0
    frames: int = 0
    decoded: int = 0
    checksums: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return all(finding.severity != "error" for finding in self.findings)

    def count(self, severity: Severity) -> int:
        """Return how many findings there are of one severity."""
        return sum(finding.severity == severity for finding in self.findings)


def first_of(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings of one kind, and in place of those after the first twenty how many more there are."""
    last, more = None, 0
    for count, finding in enumerate(findings):
        if count < _MOST_ALIKE:
            yield finding
        else:
            last, more = finding, more + 1
    if last is not None:
        yield Finding(last.severity, last.file, f"and {more} more like these", last.chunk)


def not_too_many(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings; of those that say the same the first twenty, and then how many more there are."""
    alike: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.severity, finding.what), []).append(finding)
    for same in alike.values():
        yield from first_of(same)


def shown(name: str) -> str:
    """Return a file's name as it can be printed, whatever a stranger made it."""
    return name if name.isprintable() else ascii(name)
