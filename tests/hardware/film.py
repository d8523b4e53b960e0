"""A video file that OpenCV opens like a camera."""

from pathlib import Path

import cv2

from hardware import CameraIdentity


class Film:
    """What `OpenCVCamera` finds in place of a device."""

    identity = CameraIdentity("opencv", "film")

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> cv2.VideoCapture:
        """Open the file."""
        return cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)

    def modes(self) -> list[str]:
        """Return none."""
        return []

    def is_there(self) -> bool:
        """It cannot be unplugged."""
        return True
