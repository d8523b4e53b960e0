"""Exports of results, by file ending or by name. One file each, and this table."""

import os
from collections.abc import Mapping
from pathlib import Path

from imgstore import Registry, UnknownNameError
from tracking.errors import ResultExistsError, ResultFileError
from tracking.export.base import Export, Exporter, ExporterFactory
from tracking.result_tables import SUFFIX
from tracking.results import open_results

EXPORTERS: Registry[ExporterFactory] = Registry(
    "export format",
    {
        "csv": "tracking.export.csv:CSVExporter",
        "parquet": "tracking.export.parquet:ParquetExporter",
        "ethoscope": "tracking.export.ethoscope:EthoscopeExporter",
        "nwb": "tracking.export.nwb:NWBExporter",
        "sleap-analysis": "tracking.export.sleap_analysis:SleapAnalysisExporter",
        "slp": "tracking.export.slp:SlpExporter",
        "movement": "tracking.export.movement:MovementExporter",
    },
    extras={"parquet": "parquet", "nwb": "nwb"},
)

ENDINGS: Mapping[str, str] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".db": "ethoscope",
    ".nwb": "nwb",
    ".h5": "sleap-analysis",
    ".slp": "slp",
    ".nc": "movement",
}
"""The format that a file ending stands for."""


def export(
    result: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  # the field's own word
    settings: Mapping[str, object] | None = None,
    force: bool = False,
) -> Export:
    """Write a result file in another format.

    Parameters
    ----------
    result : the result file.
    out : the file to write. For "ethoscope", a path that does not end in .db is the folder of all results,
        below which the file gets ethoscope's own path.
    format : one of `EXPORTERS`; None for the one that the ending of `out` names.
    settings : of the format, by name; text will do.
    force : replace the file if it exists.

    Raises
    ------
    UnknownNameError, SettingsError, ResultFileError, ResultExistsError, MissingDependencyError
        Nothing was written.
    """
    out = Path(out)
    exporter = EXPORTERS.get(_format_of(out) if format is None else format)(settings or {})
    if out.name.endswith(SUFFIX):
        raise ResultFileError(f"{out} is the name of a result; exports go to other names, as tracks.h5")
    with open_results(result) as results:
        place = exporter.place(results, out)
        if place.exists() and not force:
            raise ResultExistsError(f"{place} exists already; give another name, or --force")
        if place != out:
            place.parent.mkdir(parents=True, exist_ok=True)
        return exporter.write(results, place)


def _format_of(out: Path) -> str:
    if out.suffix.lower() not in ENDINGS:
        remark = f"or name a format: {', '.join(EXPORTERS.names())}"
        raise UnknownNameError("export ending in", out.suffix, ENDINGS, remark)
    return ENDINGS[out.suffix.lower()]


__all__ = ["ENDINGS", "EXPORTERS", "Export", "Exporter", "ExporterFactory", "export"]
