"""Parquet: a row per point, with the columns' own types."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from imgstore import replacing
from tracking.export.base import Export, Exporter, NoSettings
from tracking.export.ordered import empty_table, in_order
from tracking.results import Results
from tracking.settings import parse_settings


class ParquetExporter(Exporter):
    """See `Exporter`."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        parse_settings(NoSettings, settings)

    def write(self, results: Results, out: Path) -> Export:
        """Write all points to `out`."""
        schema = pa.Schema.from_pandas(empty_table(results), preserve_index=False)
        with replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
            for piece in in_order(results):
                writer.write_table(pa.Table.from_pandas(piece.table(), schema=schema, preserve_index=False))
        return Export(out)
