"""Several stores recorded together, as one sequence of the frames that belong together."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from imgstore.alignment import AlignmentSettings, FrameTable, StoreAlignment, align, compare, find_offsets
from imgstore.errors import AlignmentError, FrameIndexError, UnknownNameError
from imgstore.flyhostel import camera_folders
from imgstore.frame import Frame, FrameSequence, FrameSpec, Image
from imgstore.index import Numbers, Times
from imgstore.layout import METADATA_FILENAME
from imgstore.matching import NONE, Indices, apply_policy
from imgstore.metadata import find_metadata, load_metadata
from imgstore.video import open_source
from imgstore.view import is_integer

AnyPath: TypeAlias = str | os.PathLike[str]
Recording: TypeAlias = AnyPath | FrameSequence
"""A path of a store or a video, or an open reader."""


def open_many(
    stores: AnyPath | Sequence[Recording] | Mapping[str, Recording],
    *,
    by: Literal["time", "number"] = "time",
    tolerance: float | None = None,
    missing: Literal["drop", "hold", "black"] = "drop",
    offsets: Mapping[str, float] | Literal["auto"] | None = None,
    master: int | str = 0,
) -> "AlignedStores":
    """Open several stores that were recorded together, as a sequence of sets of frames.

    No image is read; ten million frames a store take seconds.

    Parameters
    ----------
    stores : paths of stores or videos, or open readers, in a list or by name; or the path of one store of
        FlyHostel's, whose metadata names its `extra_cameras`.
    by : what frames of one moment have in common. "time": there is a set for each frame of the master, with
        the frame of every other store that is nearest, as often as it is. "number": there is a set for each
        number that any store has, for cameras that one trigger drives; of frames with the same number the
        first of a store counts.
    tolerance : by time, how many seconds from the master's a frame may be. By default 0.6 of the median frame
        interval of the slower of the two: half is what cameras that run freely can be apart. With one
        interval or more, the neighbours of a lost frame stand in for it.
    missing : what becomes of a set that lacks a frame of a store. "drop": there is no such set. "hold": it
        shows the last frame of that store in a set before, black before the first. "black": a black one.
    offsets : how far a store is ahead of the master, by name: what its numbers, or by time its times in
        seconds, say more at the same moment. "auto" finds them, numbers by time and times by number.
    master : name or place of the store that the others are compared with.

    Raises
    ------
    AlignmentError
        There are no stores, two have one name, a parameter says what cannot be, or "auto" finds nothing.
    NotAStoreError, VideoError, MetadataError
        A path is no recording.
    """
    if by == "number" and tolerance is not None and offsets != "auto":
        raise AlignmentError("a tolerance is for times: give by='time', or offsets='auto' to find numbers")
    with ExitStack() as opened:
        named = _open_all(stores, opened)
        known = _known_offsets(offsets, named)
        settings = AlignmentSettings(by, tolerance, missing, _name_of(master, named), known)
        if offsets == "auto":
            settings = replace(settings, offsets=find_offsets(named, settings))
        sets = _find_sets(named, settings)
        return AlignedStores(named, settings, sets, range(len(sets.rows)), opened.pop_all())


@dataclass(frozen=True, slots=True, eq=False)
class FrameSet:
    """The frames of one moment.

    Attributes
    ----------
    index : position among the sets, from 0.
    number : that the frames have in common, as the master counts; by time, the master's.
    time : the master's, seconds since the Unix epoch; NaN if it has no frame.
    names : of the stores.
    frames : one of each store, in the same order. One that is held has the index, number and time that it
        was taken with; a black one has index -1, number -1 and time NaN.
    present : whether each of them was taken at this moment, and is neither held nor black.
    """

    index: int
    number: int
    time: float
    names: tuple[str, ...]
    frames: tuple[Frame, ...]
    present: tuple[bool, ...]

    def __getitem__(self, name: str) -> Frame:
        """Return the frame of a store. Raises UnknownNameError."""
        if name not in self.names:
            raise UnknownNameError("store", name, self.names)
        return self.frames[self.names.index(name)]

    @property
    def images(self) -> tuple[Image, ...]:
        """The images, in the order of the stores."""
        return tuple(frame.image for frame in self.frames)


@dataclass(frozen=True, slots=True)
class FrameSets:
    """Which sets there are.

    Attributes
    ----------
    table : the frames that belong together.
    rows : of the table, those that are a set.
    shown : index of the frame of each store that is shown in every row; NONE for a black one.
    """

    table: FrameTable
    rows: Indices
    shown: tuple[Indices, ...]


class AlignedStores:
    """A sequence of sets of frames; made by `open_many`. Safe to use from several threads.

    A slice is lazy and shares the stores; its `missing` and `alignment` are those of the whole.

    Parameters
    ----------
    stores : open, by name.
    settings : how they are aligned.
    sets : what came of that.
    window : indices of the sets in this part.
    owned : closes the stores that are closed with this.
    """

    def __init__(
        self,
        stores: Mapping[str, FrameSequence],
        settings: AlignmentSettings,
        sets: FrameSets,
        window: range,
        owned: ExitStack,
    ) -> None:
        self._stores = dict(stores)
        self._settings = settings
        self._sets = sets
        self._window = window
        self._owned = owned

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stores, in the order of the frames in a set."""
        return tuple(self._stores)

    @property
    def stores(self) -> Mapping[str, FrameSequence]:
        """The stores, by name."""
        return MappingProxyType(self._stores)

    @property
    def master(self) -> str:
        """Name of the store that the others are compared with."""
        return self._settings.master

    @property
    def offsets(self) -> dict[str, float]:
        """How far stores were taken to be ahead of the master, by name, as given or found."""
        return dict(self._settings.offsets)

    @property
    def specs(self) -> tuple[FrameSpec, ...]:
        """Shape and dtype of the frames of each store."""
        return tuple(store.spec for store in self._stores.values())

    @property
    def numbers(self) -> Numbers:
        """The number of every set, shape (n,)."""
        return self._sets.table.numbers[self._rows]

    @property
    def times(self) -> Times:
        """The master's time of every set, shape (n,), Unix seconds; NaN where it has no frame."""
        return self._sets.table.times[self._rows]

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Whether each store has a frame of its own in every set, shape (n, stores)."""
        rows = self._rows
        return np.stack([frames[rows] != NONE for frames in self._sets.table.frames.values()], axis=1)

    @property
    def missing(self) -> dict[str, Numbers]:
        """For each store the numbers that it lacks and another has; by time, those of the master's frames."""
        table = self._sets.table
        return {name: table.numbers[frames == NONE] for name, frames in table.frames.items()}

    @cached_property
    def alignment(self) -> dict[str, StoreAlignment]:
        """How each of the other stores lies against the master, by name: matches, offset, drift, warnings."""
        return compare(self._stores, self._sets.table, self._settings)

    def __len__(self) -> int:
        return len(self._window)

    def __repr__(self) -> str:
        how = f"by {self._settings.by}, {self._settings.missing}"
        return f"<AlignedStores {', '.join(self.names)}: {len(self)} sets {how}>"

    @overload
    def __getitem__(self, key: int, /) -> FrameSet: ...
    @overload
    def __getitem__(self, key: slice, /) -> "AlignedStores": ...
    def __getitem__(self, key: int | slice, /) -> "FrameSet | AlignedStores":
        """Return the set at an index, negative ones counted from the end; for a slice these sets, lazily.

        Sets keep the index that they have in the whole.

        Raises FrameIndexError outside of the sequence, ChunkError if a chunk is missing or broken.
        """
        if isinstance(key, slice):
            return AlignedStores(self._stores, self._settings, self._sets, self._window[key], ExitStack())
        if not is_integer(key):
            raise TypeError(f"sets of frames are picked by integers and slices, not by {key!r}")
        try:
            at = self._window[int(key)]
        except IndexError:
            raise FrameIndexError(f"there is no set of frames at {key}: there are {len(self)}") from None
        return self._set(at, None, self._sources())

    def __iter__(self) -> Iterator[FrameSet]:
        sources = self._sources()
        following = chain(self._window[1:], (None,))
        pairs = zip(self._window, following, strict=False)  # an empty window has nothing to follow
        return (self._set(at, then, sources) for at, then in pairs)

    def close(self) -> None:
        """Let go of the stores that `open_many` opened; readers that it was given stay open."""
        self._owned.close()

    def __enter__(self) -> "AlignedStores":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(
        self,
    ) -> tuple[
        Callable[[Mapping[str, FrameSequence], AlignmentSettings, range], "AlignedStores"],
        tuple[dict[str, FrameSequence], AlignmentSettings, range],
    ]:
        """Pickle as paths and settings; stores are opened and aligned again where it is unpickled."""
        return _reopen, (self._stores, self._settings, self._window)

    @property
    def _rows(self) -> Indices:
        window = self._window
        return self._sets.rows[np.arange(window.start, window.stop, window.step)]

    def _sources(self) -> "list[_Source]":
        return [_Source(store) for store in self._stores.values()]

    def _set(self, at: int, then: int | None, sources: "list[_Source]") -> FrameSet:
        """Return the set at an index of the whole; `then` is the one to be asked for next."""
        sets = self._sets
        row = sets.rows[at]
        following = NONE if then is None else sets.rows[then]
        pairs = zip(sources, sets.shown, strict=True)
        return FrameSet(
            at,
            int(sets.table.numbers[row]),
            float(sets.table.times[row]),
            self.names,
            tuple(
                source.read(int(shown[row]), again=then is not None and shown[following] == shown[row])
                for source, shown in pairs
            ),
            tuple(bool(frames[row] != NONE) for frames in sets.table.frames.values()),
        )


class _Source:
    """Gives frames of a store, and does not decode the same one twice in a row."""

    def __init__(self, store: FrameSequence) -> None:
        self._store = store
        self._kept: Frame | None = None

    def read(self, index: int, *, again: bool) -> Frame:
        """Return a frame whose image is the caller's, a black one for NONE; `again` if it is wanted next."""
        if index == NONE:
            spec = self._store.spec
            return Frame(np.zeros(spec.shape, spec.dtype), NONE, NONE, np.nan)
        frame = self._kept or self._store[index]
        self._kept = replace(frame, image=frame.image.copy()) if again else None
        return frame


def _open_all(
    stores: AnyPath | Sequence[Recording] | Mapping[str, Recording], opened: ExitStack
) -> dict[str, FrameSequence]:
    """Return all stores open, by name; `opened` closes those that were not open before."""
    named: Mapping[str, Recording]
    if isinstance(stores, str | os.PathLike):
        file = find_metadata(Path(stores))
        named = camera_folders(file.parent, load_metadata(file))
        if len(named) == 1:
            raise AlignmentError(f"{stores} names no extra_cameras; give a list of several stores")
    else:
        named = stores if isinstance(stores, Mapping) else dict(zip(_names(stores), stores, strict=True))
    if not named:
        raise AlignmentError(
            "there are no stores to align; give a list of paths, or a table of names to paths"
        )
    found: dict[str, FrameSequence] = {}
    for name, store in named.items():
        if isinstance(store, str | os.PathLike):
            store = open_source(store)
            opened.callback(store.close)
        found[str(name)] = store
    return found


def _names(stores: Sequence[Recording]) -> list[str]:
    """Return the names of the folders or files, or if two are the same their paths."""
    paths = [
        Path(store if isinstance(store, str | os.PathLike) else getattr(store, "path", f"store {place}"))
        for place, store in enumerate(stores)
    ]
    places = [path.parent if path.name == METADATA_FILENAME else path for path in paths]
    for names in ([place.name or str(place) for place in places], [str(place) for place in places]):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if not twice:
            return names
    raise AlignmentError(f"{twice[0]} is given twice; if that is meant, give a table of names to paths")


def _name_of(master: int | str, named: Mapping[str, FrameSequence]) -> str:
    if isinstance(master, str):
        if master not in named:
            raise UnknownNameError("store", master, named)
        return master
    if not 0 <= master < len(named):
        raise AlignmentError(f"there is no master at {master}: the stores are {', '.join(named)}")
    return list(named)[master]


def _known_offsets(
    offsets: Mapping[str, float] | str | None, named: Mapping[str, FrameSequence]
) -> dict[str, float]:
    if isinstance(offsets, str) and offsets != "auto":
        raise AlignmentError(f"offsets are numbers by name, or 'auto', not {offsets!r}")
    if offsets is None or isinstance(offsets, str):
        return {}
    for name in offsets:
        if name not in named:
            raise UnknownNameError("store", name, named)
    return dict(offsets)


def _find_sets(stores: Mapping[str, FrameSequence], settings: AlignmentSettings) -> FrameSets:
    table = align(stores, settings)
    rows, shown = apply_policy(list(table.frames.values()), settings.missing)
    return FrameSets(table, rows, tuple(shown))


def _reopen(stores: Mapping[str, FrameSequence], settings: AlignmentSettings, window: range) -> AlignedStores:
    owned = ExitStack()
    for store in stores.values():
        owned.callback(store.close)
    return AlignedStores(stores, settings, _find_sets(stores, settings), window, owned)
