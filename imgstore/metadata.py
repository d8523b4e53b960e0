"""`metadata.yaml`: parse, check, dump. Nothing else reads it."""

import math
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import yaml
from tzlocal import get_localzone_name

from imgstore.encoding import decoded_spec
from imgstore.errors import (
    FrameFormatError,
    MetadataError,
    NotAStoreError,
    UnknownNameError,
)
from imgstore.formats.settings import FormatSettings, parse_settings
from imgstore.frame import FrameSpec
from imgstore.layout import METADATA_FILENAME, open_plain, read_whole, replacing
from imgstore.safe_yaml import MAX_BYTES, parse_yaml

STORE_KEY = "__store"
CHUNK_SECONDS = "chunk_seconds"
VERSION = 2

DIRECTORY_CLASS = "DirectoryImgStore"
VIDEO_CLASS = "VideoImgStore"
MOTIF_CLASS = "VideoImgStoreFFMPEG"
CLASSES = (DIRECTORY_CLASS, VIDEO_CLASS, MOTIF_CLASS)

_CUTTING_FORMATS = ("mjpeg", "mjpeg/avi", "h264/mkv", "avc1/mp4")

_LONGEST_NAME = 100  # characters
_UNICODE_ENDS_OF_LINES = "\x85\u2028\u2029"
_YEARS = range(2, 9999)  # whose moments every time zone can tell
_INDEX_SUFFIXES = (".npz", ".yaml")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
_FOLDER_DATE = re.compile(r"(20\d{6}_\d{6})")


@dataclass(frozen=True, slots=True)
class StoreMetadata:
    """What `metadata.yaml` says of a store.

    Attributes
    ----------
    spec : the frames as they are read.
    stored_spec : the frames as they lie in the chunks; another one only if they are encoded.
    store_class : class name on disk, "VideoImgStore" or "DirectoryImgStore".
    format : name of the chunk format, "h264/mkv".
    suffix : ending of the chunk files; "" where chunks are folders.
    chunksize : frames per chunk.
    created : when, with UTC as zone.
    timezone : of the machine that recorded.
    uuid : of the store; None in stores of old versions.
    encoding : code of a pixel conversion on reading, None for none.
    settings : that the frames were encoded with; None if the writer did not say.
    user : what the caller of the writer wanted to keep.
    store : the whole store section as it stands on disk.
    """

    spec: FrameSpec
    stored_spec: FrameSpec
    store_class: str
    format: str
    suffix: str
    chunksize: int
    created: datetime
    timezone: ZoneInfo
    uuid: str | None
    encoding: str | None = None
    settings: FormatSettings | None = None
    user: Mapping[str, Any] = field(default_factory=dict)
    store: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chunk_seconds(self) -> float | None:
        """Seconds per chunk; None if `chunksize` counts."""
        return chunk_seconds_of(self.store)


def find_metadata(path: Path) -> Path:
    """Return the metadata file that `path`, a store's folder or the file itself, means.

    Raises NotAStoreError, with what to do, where there is none.
    """
    file = path if path.name == METADATA_FILENAME else path / METADATA_FILENAME
    if file.is_file():
        return file
    if not path.exists():
        raise NotAStoreError(f"{path} does not exist; give the folder of a store")
    if path.is_dir():
        raise NotAStoreError(f"{path} is not a store: it has no {METADATA_FILENAME}")
    raise NotAStoreError(f"{path} is not a store: give the folder that holds its {METADATA_FILENAME}")


def load_metadata(file: Path) -> StoreMetadata:
    """Read and check a metadata file. Raises MetadataError."""
    try:
        with open_plain(file) as stream:
            content = parse_yaml(read_whole(stream, MAX_BYTES))
            changed = os.fstat(stream.fileno()).st_mtime
    except (OSError, MetadataError) as exc:
        raise MetadataError(f"{file} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    try:
        return parse_metadata(content, folder=file.parent.name, changed=changed)
    except MetadataError as exc:
        raise MetadataError(f"{file}: {exc}") from exc


def parse_metadata(content: object, *, folder: str = "", changed: float = 0.0) -> StoreMetadata:
    """Check what stood in a metadata file.

    Parameters
    ----------
    content : the parsed YAML.
    folder, changed : name of the folder and time of the last change of the file, from which
        old stores that do not say when they were made get their date.
    """
    if not isinstance(content, dict) or not isinstance(content.get(STORE_KEY), dict):
        raise MetadataError(f"it has no section {STORE_KEY!r}, so this is not a store's")
    user = dict(content)
    store: dict[str, Any] = user.pop(STORE_KEY)
    if store.get("version") != VERSION:
        raise MetadataError(f"store version {_short(store.get('version'))}, known is {VERSION}")
    store_class = store.get("class")
    if store_class not in CLASSES:
        raise MetadataError(f"store class {_short(store_class)}, known are {', '.join(CLASSES)}")
    chunk_format = store.get("format")
    if not isinstance(chunk_format, str) or len(chunk_format) > _LONGEST_NAME:
        raise MetadataError(f"format is {_short(chunk_format)}, not a name")
    timezone = _timezone(store.get("timezone_local"), user.get("timezone"))
    stored_spec = _spec(store, store_class, chunk_format)
    encoding = store.get("encoding") or None
    return StoreMetadata(
        spec=_decoded_spec(stored_spec, encoding),
        stored_spec=stored_spec,
        store_class=store_class,
        format=chunk_format,
        suffix=_suffix(store, store_class, chunk_format),
        chunksize=_chunksize(store.get("chunksize")),
        created=_created(store.get("created_utc"), timezone, folder, changed),
        timezone=timezone,
        uuid=store["uuid"] if isinstance(store.get("uuid"), str) else None,
        encoding=encoding,
        settings=_settings(store.get("settings")),
        user=user,
        store=store,
    )


def new_metadata(
    spec: FrameSpec,
    *,
    store_class: str,
    chunk_format: str,
    suffix: str,
    chunksize: int,
    padded: bool,
    settings: FormatSettings,
    user: Mapping[str, Any],
    encoding: str | None = None,
) -> dict[str, Any]:
    """Return the content of the metadata file of a new store.

    Raises MetadataError if `user` holds what YAML cannot, or uses our key.
    """
    if STORE_KEY in user:
        raise MetadataError(f"the key {STORE_KEY!r} of the metadata is the store's own")
    store: dict[str, Any] = {
        "chunksize": _chunksize(chunksize),
        "class": store_class,
        "created_utc": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "encoding": encoding,
        "format": chunk_format,
        "imgdtype": spec.dtype.name,
        "imgshape": list(spec.shape),
        "settings": settings.plain(),
        "timezone_local": get_localzone_name() or "Etc/UTC",
        "uuid": uuid.uuid4().hex,
        "version": VERSION,
    }
    if suffix:
        store["extension"] = suffix
    if padded:
        store["padded"] = True  # video frames are one pixel larger, to be even
    try:
        content = {**{str(key): _plain(value) for key, value in user.items()}, STORE_KEY: store}
        parse_yaml(_dumped(content))  # what is too much for a reader is told while it can be changed
    except (yaml.YAMLError, MetadataError, RecursionError) as exc:
        raise MetadataError(f"the metadata cannot be written as YAML: {_first_line(exc)}") from exc
    return content


def save_metadata(file: Path, content: Mapping[str, Any]) -> None:
    """Write a metadata file; it appears complete or not at all."""
    with replacing(file) as stream:
        stream.write(_dumped(content))


def _dumped(content: Mapping[str, Any]) -> bytes:
    text = yaml.safe_dump(dict(content), allow_unicode=True)
    if any(end in text for end in _UNICODE_ENDS_OF_LINES):  # PyYAML would read a space in their place
        text = yaml.safe_dump(dict(content))
    return text.encode(errors="replace")


def merge_store_section(root: Path, section: Mapping[str, Any]) -> None:
    """Add to the store section of a new store what it does not say itself."""
    file = root / METADATA_FILENAME
    metadata = load_metadata(file)
    merged = {str(key): _plain(value) for key, value in section.items()} | dict(metadata.store)
    save_metadata(file, {**metadata.user, STORE_KEY: merged})


def _spec(store: Mapping[str, Any], store_class: str, chunk_format: str) -> FrameSpec:
    shape, dtype = store.get("imgshape"), store.get("imgdtype")
    if not isinstance(shape, list | tuple) or not isinstance(dtype, str) or len(dtype) > _LONGEST_NAME:
        raise MetadataError(f"imgshape {_short(shape)} and imgdtype {_short(dtype)} do not describe an image")
    try:
        spec = FrameSpec(tuple(int(n) for n in shape), np.dtype(dtype))
        if _was_cut(store, store_class, chunk_format):
            spec = FrameSpec((spec.rows & ~1, spec.columns & ~1, *spec.shape[2:]), spec.dtype)
    except (TypeError, ValueError, OverflowError, SyntaxError) as exc:
        raise MetadataError(f"imgshape and imgdtype do not describe an image: {exc}") from exc
    return spec


def _was_cut(store: Mapping[str, Any], store_class: str, chunk_format: str) -> bool:
    """Return whether the writer handed odd sizes to a codec that loses the last row or column."""
    if store_class == DIRECTORY_CLASS or store.get("padded"):
        return False
    motifs = store_class == MOTIF_CLASS and ("264" in chunk_format or "nvenc-" in chunk_format)
    return chunk_format in _CUTTING_FORMATS or motifs


def _decoded_spec(stored: FrameSpec, encoding: object) -> FrameSpec:
    if encoding is None:
        return stored
    if not isinstance(encoding, str) or len(encoding) > _LONGEST_NAME:
        raise MetadataError(f"encoding is {_short(encoding)}, not a name")
    try:
        return decoded_spec(stored, encoding)
    except (UnknownNameError, FrameFormatError) as exc:
        raise MetadataError(f"the frames cannot be decoded: {exc}") from exc


def _suffix(store: Mapping[str, Any], store_class: str, chunk_format: str) -> str:
    if store_class == DIRECTORY_CLASS:
        return ""
    suffix = store.get("extension", ".avi" if chunk_format == "mjpeg" else ".mp4")
    if not isinstance(suffix, str) or not _SUFFIX.fullmatch(suffix) or suffix in _INDEX_SUFFIXES:
        raise MetadataError(f"extension {_short(suffix)} is no file name ending of videos")
    return suffix


def _settings(content: object) -> FormatSettings | None:
    try:
        return parse_settings(content)
    except ValueError as exc:  # a SettingsError, or of Python, which prints no number of thousands of digits
        raise MetadataError(f"its settings are broken: {str(exc)[:_LONGEST_NAME]}") from exc


def chunk_seconds_of(store: Mapping[str, Any]) -> float | None:
    """Return the seconds per chunk that a store section says; None if chunks are counted in frames."""
    value = store.get(CHUNK_SECONDS)
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None


def _chunksize(value: object) -> int:
    try:
        chunksize = int(value)  # type: ignore[call-overload]  # any number, NumPy's too
    except (TypeError, ValueError, OverflowError) as exc:
        raise MetadataError(f"chunksize is {_short(value)}, not a number of frames") from exc
    if not 1 <= chunksize < 1 << 63:
        raise MetadataError(f"chunksize is {_short(value)}; a chunk holds at least one frame")
    return int(chunksize)


def _timezone(*names: object) -> ZoneInfo:
    for name in (*names, get_localzone_name(), "Etc/UTC"):
        if isinstance(name, str) and name:
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                continue
    raise MetadataError("this machine has no time zone data; install the package tzdata")


def _created(value: object, timezone: ZoneInfo, folder: str, changed: float) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as exc:
            raise MetadataError(f"created_utc is {_short(value)}, not a date and time") from exc
    if isinstance(value, datetime):  # YAML's own timestamp too: not what the format says, but plain
        if value.year not in _YEARS:
            raise MetadataError(f"created_utc is in the year {value.year}")
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if dates := _FOLDER_DATE.findall(folder):
        try:
            local = datetime.strptime(dates[-1], "%Y%m%d_%H%M%S").replace(tzinfo=timezone)
        except ValueError:
            pass
        else:
            return local.astimezone(UTC)
    try:
        return datetime.fromtimestamp(changed, UTC)
    except (ValueError, OverflowError, OSError):  # the disk says something impossible
        return datetime.fromtimestamp(0, UTC)


def _short(value: object) -> str:
    """Return what stands in a file of someone else for a message: not all of a megabyte."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no numbers of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + " ..."


def _plain(value: object) -> object:
    """Return `value` with NumPy's numbers and arrays, tuples and paths as what YAML knows."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]
