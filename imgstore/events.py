"""What happened while a store was recorded: a ledger beside the frames, above all of those that were lost.

`events.jsonl` has a line of JSON for every event, and is not there if nothing happened. Lines are only added.
A last line that is neither ended nor a whole event was not all written, and counts as none.
"""

import json
import math
import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgstore.errors import ChunkError, ClosedError, FrameFormatError
from imgstore.extra import to_json
from imgstore.layout import append_whole, check_plain, open_plain, replacing, sync

EVENTS_FILENAME = "events.jsonl"

_MOST_BYTES = 1 << 25  # that are read: a quarter of a million events
_MOST_VALUES = 1 << 22  # in all events: small ones take far more memory than bytes in the file
_OF_ANY_EVENT = 4  # values that an event takes the place of, whatever it says
_LONGEST_LINE = 1 << 16  # bytes
_DEEPEST = 32  # levels of lists and objects in a value
_MOST_BROKEN = 1000  # lines; a file that has so many is none of ours
_MOST_NAMED = 5
_BLOCK = 1 << 16  # bytes
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened while a store was recorded.

    Attributes
    ----------
    time : when, seconds since the Unix epoch, by the clock of the frames.
    kind : a word: "gap", "clock_step", "mark" ... `FORMAT.md` has those that the recorder writes.
    detail : what else is known, JSON-like values by name.
    """

    time: float
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventFile:
    """What a store's file of events says.

    Attributes
    ----------
    events : in the order of the file.
    broken : lines, counted from 1, that are no events.
    torn : whether it ends in a line that was not all written.
    problem : why not all of it was read; "" if all was.
    """

    events: tuple[Event, ...] = ()
    broken: tuple[int, ...] = ()
    torn: bool = False
    problem: str = ""

    def problems(self, path: Path) -> tuple[str, ...]:
        """Return what is wrong with it, a line each, with the name of the file."""
        found = [f"{path}: {self.problem}"] if self.problem else []
        if self.broken:
            names = ", ".join(map(str, self.broken[:_MOST_NAMED])) + " ..." * (len(self.broken) > _MOST_NAMED)
            found.append(f"{path}: {len(self.broken)} lines are no events, and are not read: {names}")
        return tuple(found)


def is_word(value: object) -> bool:
    """Return whether a value can be a kind or a cause: a letter, then up to 63 letters, digits and `_`."""
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def encode_event(event: Event) -> bytes:
    """Return an event as a line of the file.

    Raises
    ------
    TypeError
        Its detail holds what JSON cannot.
    FrameFormatError
        Time or kind are none, or it is too large to be read back.
    """
    if not is_word(event.kind):
        raise FrameFormatError(f'the kind of an event is a word such as "mark" or "gap", not {event.kind!r}')
    seconds = _seconds(event.time)
    if not math.isfinite(seconds):
        raise FrameFormatError(f"the time of an event is in Unix seconds, not {event.time!r}")
    try:
        line = to_json({"time": seconds, "kind": event.kind, **event.detail}).encode()
    except (ValueError, RecursionError) as exc:
        raise TypeError(f"the event {event.kind!r} cannot be written as JSON ({exc})") from exc
    try:
        decode_event(line)
    except ValueError as exc:
        raise FrameFormatError(
            f"the event {event.kind!r} cannot be kept: {exc}; `append_extra` takes records of any size"
        ) from exc
    return line + b"\n"


def decode_event(line: bytes) -> Event:
    """Return the event of a line, without its end. Raises ValueError if it is none."""
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"it takes {len(line)} bytes, and {_LONGEST_LINE} at most can be read")
    try:
        content = json.loads(line.decode())
        if b"\\ud" in line.lower():  # perhaps half a character, which cannot be printed
            content = json.loads(to_json(content))
    except RecursionError as exc:
        raise ValueError(f"it has more than {_DEEPEST} levels") from exc
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # as for all that is no event
    seconds, kind = _seconds(content.pop("time", None)), content.pop("kind", None)
    if not math.isfinite(seconds):
        raise ValueError("it has no time in Unix seconds")
    if not is_word(kind):
        raise ValueError("its kind is no word")
    if _is_deeper(content, _DEEPEST):
        raise ValueError(f"it has more than {_DEEPEST} levels")
    return Event(seconds, kind, content)


def _seconds(time: object) -> float:
    """Return a time, or NaN for what is none."""
    try:
        return math.nan if isinstance(time, str | bool) else float(time)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _is_deeper(value: object, levels: int) -> bool:
    """Return whether lists and objects lie in each other more than so many levels deep."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)


def load_events(root: Path) -> EventFile:
    """Return what stands in the file of events of a store; nothing if it has none."""
    try:
        with open_plain(root / EVENTS_FILENAME) as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return EventFile()
    except OSError as exc:
        return EventFile(problem=f"it cannot be read ({exc.strerror})")
    events: list[Event] = []
    broken: list[int] = []
    start = lines = values = 0
    why = f"it is over {_MOST_BYTES} bytes" if len(data) > _MOST_BYTES else ""
    while (end := data.find(b"\n", start)) >= 0:
        line = data[start:end]
        values += _OF_ANY_EVENT + line.count(b",") + line.count(b"[") + line.count(b"{")
        if values > _MOST_VALUES:
            why = f"it holds over {_MOST_VALUES} values"
            break
        if len(broken) == _MOST_BROKEN:
            why = f"it holds over {_MOST_BROKEN} lines that are no events"
            break
        lines += 1
        try:
            events.append(decode_event(line))
        except ValueError:
            broken.append(lines)
        start = end + 1
    if why:
        problem = f"{why}; what follows line {lines} is not read"
        return EventFile(tuple(events), tuple(broken), problem=problem)
    if start < len(data):
        try:
            events.append(decode_event(data[start:]))
        except ValueError:
            return EventFile(tuple(events), tuple(broken), torn=True)
    return EventFile(tuple(events), tuple(broken))


class EventReader:
    """Gives the events of a store that there are by now; the file is read anew only if it changed.

    Parameters
    ----------
    root : folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: tuple[object, EventFile] | None = None

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._root / EVENTS_FILENAME

    def load(self) -> EventFile:
        """Return what stands in the file; see `load_events`."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return load_events(self._root)
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)  # taken before it is read
        known = self._read
        if known is None or known[0] != stamp:
            self._read = known = (stamp, load_events(self._root))
        return known[1]


class EventLog:
    """Writes events, from any thread; once `append` returns, they survive the death of the process.

    Parameters
    ----------
    root : folder of the store. The file is made with the first event; a line that a writer that died left
        torn is cut off before anything is added.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / EVENTS_FILENAME
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._file = -1
        self._new = False  # whether the folder does not yet hold its name for sure
        self._torn = False  # whether something may be left of a line that could not be written
        self._unsynced = False
        self._closed = False

    def append(self, event: Event) -> None:
        """Write an event.

        Raises
        ------
        TypeError, FrameFormatError
            It cannot be written; see `encode_event`.
        ChunkError
            The disk refuses; nothing of it is in the file, and later ones can be.
        ClosedError
        """
        line = encode_event(event)
        with self._lock:
            if self._closed:
                raise ClosedError(f"the store {self._root} is closed; no more events can be appended")
            try:
                if self._file < 0:
                    self._file = _open_for_appending(self._path)
                    self._new = True
                elif self._torn:
                    _end_last_line(self._file)
                self._torn = self._unsynced = True
                append_whole(self._file, line)
                self._torn = False
            except OSError as exc:
                raise ChunkError(f"{self._path} cannot be written ({exc.strerror})") from exc

    def sync(self) -> None:
        """Make what was appended survive a power cut; others may append meanwhile. Raises ChunkError."""
        with self._syncing:
            with self._lock:
                due, new = self._unsynced, self._new
                self._unsynced = self._new = False
            try:
                if due:
                    os.fdatasync(self._file)
                if new:
                    sync(self._root)
            except OSError as exc:
                raise ChunkError(f"{self._path} cannot be made safe on the disk ({exc.strerror})") from exc

    def close(self) -> None:
        """Take no more events. Closing twice is harmless. Raises ChunkError as `sync` does."""
        with self._lock:
            self._closed = True
        try:
            self.sync()
        finally:
            with self._syncing:
                if self._file >= 0:
                    os.close(self._file)
                    self._file = -1


def save_events(root: Path, events: Iterable[Event]) -> None:
    """Write a file of these events in place of the one that there is; none if there are none.

    Raises OSError.
    """
    lines = b"".join(map(encode_event, events))
    if not lines:
        (root / EVENTS_FILENAME).unlink(missing_ok=True)
        return
    with replacing(root / EVENTS_FILENAME) as file:
        file.write(lines)


def mend_events(root: Path) -> None:
    """Cut off a last line that was not all written, and remove a file that says nothing. Raises OSError."""
    path = root / EVENTS_FILENAME
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size and _end_of_lines(file.fileno(), size) == size:
                return
    except FileNotFoundError:
        return
    handle = _open_for_appending(path)
    try:
        size = os.fstat(handle).st_size
        os.fsync(handle)
    finally:
        os.close(handle)
    if not size:
        path.unlink()


def _open_for_appending(path: Path) -> int:
    """Open a file, made if need be, behind its last whole line; never what a link leads to."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, 0o666)
    try:
        check_plain(path)
        _end_last_line(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _end_last_line(handle: int) -> None:
    """Cut off a last line that has no end; if it is an event, as editors leave it, give it one."""
    size = os.fstat(handle).st_size
    whole = _end_of_lines(handle, size)
    if whole == size:
        return
    try:
        decode_event(os.pread(handle, _LONGEST_LINE + 1, whole))
    except ValueError:
        os.ftruncate(handle, whole)
    else:
        append_whole(handle, b"\n")


def _end_of_lines(handle: int, size: int) -> int:
    """Return how many bytes of an open file are whole lines."""
    stop = size
    while stop:
        start = max(0, stop - _BLOCK)
        newline = os.pread(handle, stop - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        stop = start
    return 0
