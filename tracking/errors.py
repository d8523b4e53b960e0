"""What can go wrong in tracking. Each error also is the closest built-in error."""

from collections.abc import Sequence

Spot = tuple[float, float, float]
"""x, y and radius of something round in a picture, pixels."""


class TrackingError(Exception):
    """Any error that this package raises on purpose."""


class RegionError(TrackingError, ValueError):
    """A region is no polygon, or lies outside of the frame."""


class LayoutError(TrackingError, ValueError):
    """A layout cannot be read, or does not fit the frame.

    Parameters
    ----------
    message : what was asked, what was found, what would work.
    spots : what was seen in the picture, for a drawing; None if no picture was looked at.
    """

    def __init__(self, message: str, spots: Sequence[Spot] | None = None) -> None:
        super().__init__(message)
        self.spots = spots


class TargetsNotFoundError(LayoutError):
    """The three targets that a grid hangs on were not found."""


class SettingsError(TrackingError, ValueError):
    """A setting of a tracker is out of its range."""


class ResultExistsError(TrackingError, FileExistsError):
    """There is a result file already where one was to be made."""


class ResultFileError(TrackingError, ValueError):
    """A file is no result file, or a broken one."""


class RecordingMismatchError(TrackingError, ValueError):
    """Two results that are to be compared are of different recordings."""


class CorrectionError(TrackingError, ValueError):
    """Identities cannot be corrected as asked."""


class EmptyRecordingError(TrackingError, ValueError):
    """There are no frames to track in."""


class ImportFileError(TrackingError, ValueError):
    """A file of another program is none, or a broken one, or does not fit the recording."""


class WorkerDiedError(TrackingError, RuntimeError):
    """A process that was to detect animals ended without having done it."""


class ClusterError(TrackingError, ConnectionError):
    """A cluster cannot be reached."""


class DetectorError(TrackingError, RuntimeError):
    """A detector from outside cannot be loaded, or gives something else than points."""
