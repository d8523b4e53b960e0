"""What can go wrong with a store. Each error also is the closest built-in error."""

from collections.abc import Iterable
from difflib import get_close_matches


class ImgstoreError(Exception):
    """Any error that this package raises on purpose."""


class NotAStoreError(ImgstoreError, ValueError):
    """The path is not a store."""


class StoreExistsError(ImgstoreError, FileExistsError):
    """There is something already where a store was to be made."""


class OutputExistsError(ImgstoreError, FileExistsError):
    """There is something already where a file was to be written."""


class StoreInUseError(ImgstoreError, PermissionError):
    """Another process is writing this store."""


class MetadataError(ImgstoreError, ValueError):
    """`metadata.yaml` cannot be read, or says something impossible."""


class ChunkError(ImgstoreError, ValueError):
    """A chunk of a store is missing, broken, or cannot be written."""


class VideoError(ImgstoreError, ValueError):
    """A file cannot be read as video."""


class FrameFormatError(ImgstoreError, ValueError):
    """A frame has another shape or dtype than the store, or the format cannot hold it."""


class SettingsError(ImgstoreError, ValueError):
    """A format does not take a setting, or not this value."""


class FrameNotFoundError(ImgstoreError, ValueError):
    """No frame has the number or time that was asked for."""


class EmptyStoreError(FrameNotFoundError, TypeError):
    """There are no frames to look among; a TypeError too, as loopbio's code expects it."""


class FrameIndexError(ImgstoreError, IndexError, ValueError):
    """The index lies outside of the sequence."""


class AlignmentError(ImgstoreError, ValueError):
    """Stores cannot be put together in the way that was asked for."""


class ClosedError(ImgstoreError, ValueError):
    """The reader or writer is closed."""


class MissingDependencyError(ImgstoreError, ImportError):
    """An optional library is not installed."""


class UnknownNameError(ImgstoreError, ValueError):
    """A name that is not in a table.

    Parameters
    ----------
    kind : what the table holds, for the message: "format", "camera".
    name : what was asked for.
    known : what there is.
    remark : what else would work.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remark: str = "") -> None:
        known = sorted(known)
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        end = f"; {remark}" if remark else ""
        super().__init__(f"there is no {kind} {name!r}; {hint}known: {', '.join(known) or 'none'}{end}")
