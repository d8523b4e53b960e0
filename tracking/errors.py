"""What can go wrong in tracking. Each error also is the closest built-in error."""


class TrackingError(Exception):
    """Any error that this package raises on purpose."""


class RegionError(TrackingError, ValueError):
    """A region is no polygon, or lies outside of the frame."""


class LayoutError(TrackingError, ValueError):
    """A layout cannot be read, or does not fit the frame."""


class TargetsNotFoundError(LayoutError):
    """The three targets that a grid hangs on were not found."""


class SettingsError(TrackingError, ValueError):
    """A setting of a tracker is out of its range."""


class ResultExistsError(TrackingError, FileExistsError):
    """There is a result file already where one was to be made."""


class ResultFileError(TrackingError, ValueError):
    """A file is no result file, or a broken one."""


class EmptyRecordingError(TrackingError, ValueError):
    """There are no frames to track in."""


class DetectorError(TrackingError, RuntimeError):
    """A detector from outside cannot be loaded, or gives something else than points."""
