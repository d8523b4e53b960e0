"""Parquet: a row per point, with the columns' own types."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from imgstore import replacing
from tracking.results import Results


def export_parquet(results: Results, out: Path) -> None:
    """Write all points to `out`."""
    schema = pa.Table.from_pandas(results.table().iloc[:0], preserve_index=False).schema
    with replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
        for block in results.blocks():
            writer.write_table(pa.Table.from_pandas(block, schema=schema, preserve_index=False))
