"""Count the frames of a store from the one with number 0, as recordings on a common trigger need it."""

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from imgstore.errors import ChunkError, FrameNotFoundError
from imgstore.extra import ExtraFile, find_extra, read_records
from imgstore.index import ChunkIndex, Numbers, StoreIndex, save_chunk_index
from imgstore.layout import StoreLock, replacing
from imgstore.motif import BEFORE, renumber_streams

NewNumber = Callable[[Mapping[str, Any]], int | None]


def numbers_from_zero(numbers: Numbers) -> Numbers:
    """Return `numbers` with those before the only 0 replaced by -1, -2 ... backwards from it.

    Raises FrameNotFoundError unless there is exactly one 0.
    """
    zeros = np.flatnonzero(numbers == 0)
    if len(zeros) != 1:
        raise FrameNotFoundError(f"{len(zeros)} frames have number 0; to count from it, it has to be one")
    counted = numbers.copy()
    counted[: zeros[0]] = np.arange(-zeros[0], 0)
    return counted


def reindex(root: Path, suffix: str, index: StoreIndex, stem: Callable[[int], Path]) -> None:
    """Write new numbers into a store's indexes and its extra data; every file changes whole or not at all.

    What stood there before is kept beside them under the name `BEFORE`. If it is interrupted, do it again.

    Parameters
    ----------
    root, suffix : folder of the store, and the ending of its chunks ("" for folders).
    index : of the store, as it is.
    stem : gives the path of a chunk's index without ending.

    Raises
    ------
    FrameNotFoundError
        Not exactly one frame has number 0.
    ChunkError
        Some extra data does not say to which frames it belongs. Nothing was changed.
    StoreInUseError
        The store is being written.
    """
    counted = numbers_from_zero(index.numbers)
    lock = StoreLock(root)
    lock.acquire()
    try:
        files = find_extra(root, suffix)
        renumber = _renumbering(index, counted)
        extras = [
            (file, _renumbered_streams(file, counted) if file.streams else _renumbered(file, renumber))
            for file in files
        ]
        for file, content in extras:
            _replace(file.path, content)
        for chunk in index.chunks:
            place = index.chunk_range(chunk)
            part = slice(place.start, place.stop)
            _save(stem(chunk), ChunkIndex(counted[part], index.times[part]), index.numbers[part])
    finally:
        lock.release()


def _save(stem: Path, index: ChunkIndex, before: Numbers) -> None:
    file = stem.with_name(stem.name + ".npz")
    kept = {**_other_entries(file)}
    kept.setdefault(BEFORE, before)
    save_chunk_index(file, index, kept)
    stem.with_name(stem.name + ".yaml").unlink(missing_ok=True)


def _other_entries(file: Path) -> dict[str, npt.NDArray[Any]]:
    """Return what else stands in a chunk's index, save what only pickle could read."""
    found: dict[str, npt.NDArray[Any]] = {}
    if not file.is_file():
        return found
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
        for name in content.files:
            if name not in ("frame_number", "frame_time"):
                try:
                    found[name] = content[name]
                except (ValueError, zipfile.BadZipFile):
                    continue  # None in stores of loopbio's package
    return found


def _renumbering(index: StoreIndex, counted: Numbers) -> NewNumber:
    by_time = dict(zip(index.times.tolist(), counted.tolist(), strict=True))

    def renumber(record: Mapping[str, Any]) -> int | None:
        place, number, time = (record.get(key) for key in ("frame_index", "frame_number", "frame_time"))
        if place is not None and 0 <= place < len(counted):
            return int(counted[int(place)])
        if number is None or np.isnan(number):  # from before the first frame
            return None
        if time in by_time:
            return int(by_time[time])
        raise ChunkError(f"the extra data of frame number {number} does not say to which frame it belongs")

    return renumber


def _renumbered(file: ExtraFile, renumber: NewNumber) -> Callable[[Path], None]:
    """Return what writes a file of extra data anew, with new numbers."""
    if file.path.suffix == ".h5":
        return _renumbered_signals(file.path, renumber)
    changed = [
        {**record, BEFORE: record.get(BEFORE, record.get("frame_number")), "frame_number": renumber(record)}
        for record in read_records(file.path)
    ]

    def write(path: Path) -> None:
        path.write_text(json.dumps(changed), encoding="utf-8")

    return write


def _renumbered_signals(file: Path, renumber: NewNumber) -> Callable[[Path], None]:
    with h5py.File(file, "r") as content:
        camera = np.asarray(content["camera"])
    names = camera.dtype.names or ()
    fields = [*camera.dtype.descr] + ([] if BEFORE in names else [(BEFORE, camera["frame_number"].dtype.str)])
    changed = np.empty(camera.shape, fields)
    for name in names:
        changed[name] = camera[name]
    if BEFORE not in names:
        changed[BEFORE] = camera["frame_number"]
    used = np.flatnonzero(camera["frame_number"] >= 0)
    for row in used.tolist():
        changed["frame_number"][row] = renumber({name: camera[name][row].item() for name in names})

    def write(path: Path) -> None:
        shutil.copy(file, path)
        with h5py.File(path, "r+") as content:
            attributes = dict(content["camera"].attrs)
            del content["camera"]
            content["camera"] = changed
            content["camera"].attrs.update(attributes)

    return write


def _renumbered_streams(file: ExtraFile, counted: Numbers) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        shutil.copy(file.path, path)
        renumber_streams(path, counted)

    return write


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    made = path.with_name(f".{path.name}.new")
    try:
        write(made)
        with replacing(path) as stream, made.open("rb") as content:
            shutil.copyfileobj(content, stream)
    finally:
        made.unlink(missing_ok=True)
