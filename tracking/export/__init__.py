"""Exports of results, by file ending. One file each, and this table."""

import os
from collections.abc import Callable
from pathlib import Path

from imgstore import Registry, UnknownNameError
from tracking.errors import ResultExistsError
from tracking.results import Results, open_results

Exporter = Callable[[Results, Path], None]
"""Writes all points of a result to a file, which appears complete or not at all."""

EXPORTERS: Registry[Exporter] = Registry(
    "export",
    {".csv": "tracking.export.csv:export_csv", ".parquet": "tracking.export.parquet:export_parquet"},
    extras={".parquet": "parquet"},
)


def export(result: str | os.PathLike[str], out: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write the points of a result file in the format that the ending of `out` names.

    Raises UnknownNameError for an unknown ending, ResultFileError, ResultExistsError,
    MissingDependencyError.
    """
    target = Path(out)
    if target.suffix.lower() not in EXPORTERS:
        raise UnknownNameError("export ending in", target.suffix, EXPORTERS.names())
    exporter = EXPORTERS.get(target.suffix.lower())
    if target.exists() and not force:
        raise ResultExistsError(f"{target} exists already; give another name, or --force")
    with open_results(result) as results:
        exporter(results, target)


__all__ = ["EXPORTERS", "Exporter", "export"]
