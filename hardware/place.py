"""Whether a store can be made where it is to lie: told before a camera is started, and before its time."""

import os
from pathlib import Path

from hardware.disk import DiskGuard
from hardware.errors import DiskFullError, FolderClosedError
from imgstore import NotAStoreError, StoreExistsError

_GB = 1e9


def check_place(path: Path, reserve: int) -> None:
    """Raise what keeps a store from being made.

    Parameters
    ----------
    path : folder of the store.
    reserve : bytes that are to be left free on its disk.

    Raises
    ------
    StoreExistsError
        Something is there already.
    NotAStoreError
        One of its parents is a file.
    FolderClosedError
        Nothing can be written there.
    DiskFullError
        The disk has no more room than is to be left.
    """
    _check_free(path)
    parent = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not parent.is_dir():
        raise NotAStoreError(f"{path} cannot be made: one of its parents is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise FolderClosedError(f"{path} cannot be made: {_why_closed(parent)}; choose another folder")
    free = DiskGuard(parent, reserve=reserve).look().free
    if free < reserve:
        raise DiskFullError(
            f"the disk of {path} has {_gigabytes(free)} free, and {_gigabytes(reserve)} are to be left: "
            "make room, choose another disk, or have less left (the reserve)"
        )


def _gigabytes(count: int) -> str:
    size = count / _GB
    return f"{size:,.0f} GB" if size >= 100 else f"{size:.3g} GB"


def _check_free(path: Path) -> None:
    if path.is_dir() and any(path.iterdir()):
        what = "a store" if (path / "metadata.yaml").exists() else "files"
        raise StoreExistsError(f"{path} holds {what} already; give a folder that does not exist yet")
    if path.is_file():
        raise StoreExistsError(f"{path} is a file; give a folder that does not exist yet")


def _why_closed(folder: Path) -> str:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"the disk of {folder} is mounted for reading only"
    return f"you may not write to {folder}"
