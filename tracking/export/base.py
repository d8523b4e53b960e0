"""What an exporter does: write a result in a format of other tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tracking.results import Results


@dataclass(frozen=True, slots=True)
class Export:
    """What came of an export.

    Attributes
    ----------
    path : of the file that was written.
    left_out : what the format could hold, but could not be had, and why.
    """

    path: Path
    left_out: tuple[str, ...] = ()


class Exporter(Protocol):
    """Writes a result in another format, in pieces, so that memory stays bounded."""

    def place(self, results: Results, out: Path) -> Path:
        """Return the file to write for `out`: itself, unless the format has folders of its own."""
        return out

    def write(self, results: Results, out: Path) -> Export:
        """Write `out`, which appears complete or not at all."""


class ExporterFactory(Protocol):
    """Makes an exporter."""

    def __call__(self, settings: Mapping[str, object], /) -> Exporter:
        """Return an exporter; settings that are not given are the default ones.

        Raises UnknownNameError or SettingsError.
        """


@dataclass(frozen=True, slots=True)
class NoSettings:
    """Of a format in which there is nothing to choose."""
