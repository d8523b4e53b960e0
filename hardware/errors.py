"""What can go wrong with a device. Each error also is the closest built-in error."""


class HardwareError(Exception):
    """Any error that this package raises on purpose."""


class SourceError(HardwareError, ValueError):
    """The words that should name a camera do not."""


class SettingError(HardwareError, ValueError):
    """A camera cannot do what a setting asks for."""


class CameraNotFoundError(HardwareError, LookupError):
    """The camera, or the file that stands for one, is not there or cannot be opened."""


class CameraStateError(HardwareError, RuntimeError):
    """The camera has to be started first, or is running already."""


class CameraTimeoutError(HardwareError, TimeoutError):
    """No frame came in time."""


class CaptureError(HardwareError, OSError):
    """The camera failed while it was running."""


class DiskFullError(HardwareError, OSError):
    """A disk has no more room than is to be left free."""


class FolderClosedError(HardwareError, PermissionError):
    """A store cannot be made, since nothing can be written where it is to lie."""


class FeedError(HardwareError, OSError):
    """A live feed cannot be made or read."""


class FeedNotFoundError(FeedError, LookupError):
    """Nobody writes a feed of this name."""


class FeedInUseError(FeedError, PermissionError):
    """Another writer has this name already."""


class FeedSpaceError(FeedError):
    """Shared memory has no room for the frames of a feed."""


class FeedDiedError(FeedError, ConnectionError):
    """The writer of a feed ended without closing it."""
