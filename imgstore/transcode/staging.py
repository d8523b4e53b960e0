"""A new store that appears at its place only when it is complete, and that can be gone on with until then.

It grows in `NAME.partial` beside its place. Its metadata lies there in a dot-file until the end, so that
nobody takes it for a store, and says what it is made from: the same call goes on, another one is refused.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from imgstore.cache import CACHE_FILENAME
from imgstore.checksums import CHECKSUMS_FILENAME
from imgstore.errors import NotAStoreError, StoreExistsError, StoreInUseError
from imgstore.events import EVENTS_FILENAME
from imgstore.layout import LOCK_FILENAME, METADATA_FILENAME, StoreLock, sync, writer_state
from imgstore.metadata import STORE_KEY, save_metadata
from imgstore.safe_yaml import parse_yaml
from imgstore.sqlite_index import FILENAME as SQLITE_FILENAME

PLAN_FILENAME = ".unfinished.yaml"

_OWN_NAMES = (
    METADATA_FILENAME,
    PLAN_FILENAME,
    LOCK_FILENAME,
    CACHE_FILENAME,
    SQLITE_FILENAME,
    CHECKSUMS_FILENAME,
    EVENTS_FILENAME,
)
_OWN_PATTERN = re.compile(r"\d{6,}(\..+)?|\.\d{6,}\..+|\..+\.partial")
_NEW_EVERY_TIME = ("uuid", "created_utc")


@contextmanager
def staged(
    destination: Path, content: Mapping[str, Any], *, source: Path, force: bool
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Give the folder to write chunks to, and the store section of its metadata.

    When the block ends, the folder becomes `destination`. When it raises, what is finished stays, to be gone
    on with. The store section is that of the first attempt, if there was one.

    Parameters
    ----------
    destination : folder of the new store.
    content : of its metadata file; all that decides what will be in the store has to stand in it.
    source : what it is made from; the destination can be neither in it nor around it.
    force : replace a store at `destination`, and drop an unfinished one that was to be another.

    Raises
    ------
    StoreExistsError
        There is something at `destination`, or an unfinished store that was to be another.
    StoreInUseError
        It is being written.
    """
    place = Path(os.path.abspath(destination))  # noqa: PTH100  # the last part may be a link
    check_destination(place, source, force=force)
    folder = place.with_name(place.name + ".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as exc:
        raise NotAStoreError(f"{place} cannot be made: {exc.filename} is a file") from exc
    lock = StoreLock(folder)
    lock.acquire()
    try:
        content = _begin(folder, content, force=force)
        yield folder, content[STORE_KEY]
        save_metadata(folder / METADATA_FILENAME, content)
        (folder / PLAN_FILENAME).unlink(missing_ok=True)
        sync(folder)
        lock.release()
        _swap(folder, place)
    except BaseException:
        lock.release()
        if folder.is_dir() and not (any(folder.glob("*.npz")) or any(folder.glob("*/index.npz"))):
            _remove(folder)  # nothing to go on with
        raise


def check_destination(destination: Path, source: Path, *, force: bool) -> None:
    """Raise StoreExistsError or StoreInUseError unless a store may be made at `destination`.

    With `force`, a store may be there that is not being written and holds nothing but its own files.
    """
    there, here = destination.resolve(), source.resolve()
    if there == here or here in there.parents or there in here.parents:
        raise StoreExistsError(f"{destination} and {source} lie in each other; give another destination")
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return
    if not destination.is_dir():
        raise StoreExistsError(f"{destination} is a file; give a folder that does not exist yet")
    if not (destination / METADATA_FILENAME).is_file():
        raise StoreExistsError(f"{destination} holds files already; give a folder that does not exist yet")
    if not force:
        raise StoreExistsError(f"{destination} holds a store already; give another name, or --force")
    if writer_state(destination) == "recording":
        raise StoreInUseError(f"{destination} is being written; it is not replaced")
    if others := sorted(path.name for path in destination.iterdir() if not _is_own(path.name)):
        raise StoreExistsError(
            f"{destination} is not replaced, as it holds more than a store: {', '.join(others[:5])}"
        )


def _is_own(name: str) -> bool:
    return name in _OWN_NAMES or bool(_OWN_PATTERN.fullmatch(name))


def _begin(folder: Path, content: Mapping[str, Any], *, force: bool) -> Mapping[str, Any]:
    """Return what is to stand in the metadata: what an earlier attempt said, or `content` as it is now."""
    file = folder / PLAN_FILENAME
    if not file.exists() and (folder / METADATA_FILENAME).exists():
        file = folder / METADATA_FILENAME  # it was complete, and only its name was missing
    asked = _parse(yaml.safe_dump(dict(content)).encode())
    found = _parse(file.read_bytes()) if file.exists() else {}
    changes = _changes(found, asked) if found else []
    others = [path.name for path in folder.iterdir() if path.name != LOCK_FILENAME]
    if changes and not force:
        raise StoreExistsError(
            f"{folder} is unfinished, and was to be another store: {'; '.join(changes)}; "
            "ask for the same to go on, force it to start anew, or give another name"
        )
    if not found and not all(map(_is_own, others)):
        raise StoreExistsError(f"{folder} is needed, and holds files already; move it away")
    if found and not changes:
        return found
    for path in folder.iterdir():
        if path.name != LOCK_FILENAME:
            _remove(path)
    save_metadata(folder / PLAN_FILENAME, content)
    return content


def _parse(raw: bytes) -> dict[str, Any]:
    content = parse_yaml(raw)
    return content if isinstance(content, dict) and isinstance(content.get(STORE_KEY), dict) else {}


def _changes(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return in which words two contents of a metadata file differ, but for what always does."""
    changes = _differences(_without(found), _without(asked))
    return [f"{name} was {was!r}, and is {now!r}" for name, (was, now) in changes.items()]


def _without(content: Mapping[str, Any]) -> dict[str, Any]:
    store = {key: value for key, value in content[STORE_KEY].items() if key not in _NEW_EVERY_TIME}
    return {**content, STORE_KEY: store}


def _differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    changes: dict[str, tuple[Any, Any]] = {}
    for key in sorted({*found, *asked}, key=str):
        was, now = found.get(key), asked.get(key)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            changes |= _differences(was, now)
        elif was != now:
            changes[str(key)] = (was, now)
    return changes


def _swap(folder: Path, place: Path) -> None:
    """Give a complete store its name; what had it is removed afterwards."""
    old = place.with_name(f".{place.name}.replaced.partial")
    if place.exists():
        place.rename(old)
    folder.rename(place)
    sync(place.parent)
    if old.exists():
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
