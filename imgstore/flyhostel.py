"""What shaliulab's FlyHostel writes otherwise: times in milliseconds, a second camera beside the first."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imgstore.errors import MetadataError
from imgstore.index import Times
from imgstore.layout import METADATA_FILENAME
from imgstore.metadata import StoreMetadata

_LOOKED_AT = 10_000  # frames, to find the unit of the times
_BETWEEN = 1000**0.5  # of one frame per second and a thousand


def ticks_per_second(store: Mapping[str, Any], times: Times) -> int:
    """Return how many units of a store's times are a second: 1000 where they are milliseconds, else 1.

    Milliseconds are told by two things that the store says itself: `framerate`, frames per second, which
    FlyHostel alone writes, and how far the frames are apart. Without a rate the times are seconds.

    Parameters
    ----------
    store : the store section of the metadata.
    times : as they stand, shape (n,).
    """
    rate = store.get("framerate")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
        return 1
    steps = np.diff(times[:_LOOKED_AT])
    steps = steps[steps > 0]
    return 1000 if len(steps) and float(np.median(steps)) * rate > _BETWEEN else 1


def camera_folders(root: Path, metadata: StoreMetadata) -> dict[str, Path]:
    """Return where the cameras lie that were recorded together, with their names, the master's first.

    The master names the others in `extra_cameras`, by paths from its own folder. They lie in that folder or
    beside it. Nothing is opened.

    Parameters
    ----------
    root, metadata : of the master.

    Raises MetadataError for a list that is none, or a path that leads elsewhere.
    """
    listed = metadata.store.get("extra_cameras") or {}
    if isinstance(listed, list):  # by older versions: the name is the folder's
        pairs = [(_folder_name(path), path) for path in listed]
    elif isinstance(listed, Mapping):
        pairs = [(str(name), path) for name, path in listed.items()]
    else:
        raise MetadataError(f"extra_cameras of {root} is {listed!r}, not a table of names and paths")
    name = metadata.store.get("name")
    folders = {name if isinstance(name, str) and name and name not in dict(pairs) else "master": root}
    for camera, path in pairs:
        if camera in folders:
            raise MetadataError(f"two cameras of {root} are called {camera!r}")
        folders[camera] = _camera_folder(root, camera, path)
    return folders


def _folder_name(entry: object) -> str:
    path = Path(str(entry))
    return path.parent.name if path.name == METADATA_FILENAME else path.name


def _camera_folder(root: Path, camera: str, path: object) -> Path:
    """Return the folder that a path from the master's means. What it links to is the user's affair."""
    home = Path(os.path.abspath(root))  # noqa: PTH100  # a linked folder's neighbours are the link's
    place = Path(os.path.normpath(home / path)) if isinstance(path, str) and path else home
    if place.name == METADATA_FILENAME:
        place = place.parent
    within = place != home and place.is_relative_to(home.parent) and place != home.parent
    if not within or Path(str(path)).is_absolute():
        raise MetadataError(
            f"the camera {camera!r} of {root} is said to lie at {path!r}; a path from that folder is wanted, "
            "of a store in it or beside it, such as 'lowres/metadata.yaml' or '../lowres/metadata.yaml'"
        )
    return place
