"""Comma-separated values: a row per point, a header, times with microseconds."""

from pathlib import Path

from imgstore import replacing
from tracking.results import Results


def export_csv(results: Results, out: Path) -> None:
    """Write all points to `out`."""
    with replacing(out) as file:
        header = True
        for block in results.blocks():
            block["time"] = block["time"].map("{:.6f}".format)
            file.write(block.to_csv(index=False, header=header, float_format="%.4f").encode())
            header = False
        if header:
            file.write(results.table().to_csv(index=False).encode())
