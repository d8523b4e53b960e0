"""Comma-separated values: a row per point, a header, times with microseconds."""

from collections.abc import Mapping
from pathlib import Path

from imgstore import replacing
from tracking.export.base import Export, Exporter, NoSettings
from tracking.export.ordered import empty_table, in_order
from tracking.results import Results
from tracking.settings import parse_settings


class CSVExporter(Exporter):
    """See `Exporter`."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        parse_settings(NoSettings, settings)

    def write(self, results: Results, out: Path) -> Export:
        """Write all points to `out`."""
        with replacing(out) as file:
            file.write(empty_table(results).to_csv(index=False).encode())
            for piece in in_order(results):
                table = piece.table()
                table["time"] = table["time"].map("{:.6f}".format)
                file.write(table.to_csv(index=False, header=False, float_format="%.4f").encode())
        return Export(out)
