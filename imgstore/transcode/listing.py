"""What lies beside the frames of a store, written for other programs: times, and extra data."""

import os
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from imgstore.errors import (
    FrameFormatError,
    FrameNotFoundError,
    MissingDependencyError,
    UnknownNameError,
)
from imgstore.index import Times
from imgstore.layout import replacing
from imgstore.reader import Moment, open
from imgstore.transcode.output import check_output
from imgstore.transcode.span import RangeBy, find_range

if TYPE_CHECKING:
    import pandas as pd


def timecodes(times: Times) -> Iterator[str]:
    """Yield the lines of a timecode file (format v2) of Matroska's tools: milliseconds from the first."""
    yield "# timecode format v2\n"
    for seconds in (times - times[:1].sum()).tolist():
        yield f"{1000 * seconds:.3f}\n"


def save_timecodes(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    start: Moment | None = None,
    stop: Moment | None = None,
    *,
    by: RangeBy = "time",
    force: bool = False,
) -> int:
    """Write the times of a store's frames as Matroska's tools read them, and return how many there are.

    Parameters
    ----------
    source : folder of the store.
    destination : text file; it must not exist.
    start, stop, by : of which frames; see `find_range`.
    force : replace the file if it exists.

    Raises
    ------
    OutputExistsError, FrameNotFoundError
        The file exists, there are no such frames.
    """
    place = check_output(destination, force=force)
    with open(source) as reader:
        frames = find_range(reader, start, stop, by=by)
        times = reader.times[frames.start : frames.stop]
    with replacing(place) as file:
        for line in timecodes(times):
            file.write(line.encode())
    return len(frames)


def save_extra(
    source: str | os.PathLike[str], destination: str | os.PathLike[str], *, force: bool = False
) -> int:
    """Write the extra data of a store as a table, a row per record or sample, and return how many there are.

    Parameters
    ----------
    source : folder of the store.
    destination : .csv, .json (a list of records) or .parquet; it must not exist.
    force : replace the file if it exists.

    Raises
    ------
    OutputExistsError
        The file exists.
    FrameNotFoundError
        The store has no extra data.
    UnknownNameError, FrameFormatError, MissingDependencyError
        The file has another ending, cannot hold such records, or needs a library that is not there.
    """
    place = check_output(destination, force=force)
    ending = place.suffix.lower()
    if ending not in _TABLES:
        raise UnknownNameError("kind of table", place.suffix or place.name, _TABLES)
    with open(source) as reader:
        table = reader.extra()
    if table is None:
        raise FrameNotFoundError(f"{source} has no extra data")
    data = _TABLES[ending](table)
    with replacing(place) as file:
        file.write(data)
    return len(table)


def _csv(table: "pd.DataFrame") -> bytes:
    return table.to_csv(index=False).encode()


def _json(table: "pd.DataFrame") -> bytes:
    return str(table.to_json(orient="records", double_precision=15, force_ascii=False)).encode()


def _parquet(table: "pd.DataFrame") -> bytes:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as exc:
        raise MissingDependencyError("Parquet needs pyarrow: pip install 'ethostore[parquet]'") from exc
    data = BytesIO()
    try:
        table.to_parquet(data, index=False)
    except pa.ArrowException as exc:
        what = (str(exc).splitlines() or [""])[0]
        raise FrameFormatError(f"Parquet cannot hold these records ({what}); .csv and .json can") from exc
    return data.getvalue()


_TABLES: "dict[str, Callable[[pd.DataFrame], bytes]]" = {".csv": _csv, ".json": _json, ".parquet": _parquet}
