"""What is installed."""

import platform
from importlib.metadata import PackageNotFoundError, version

from hardware.checks.machine import CheckResult

_OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def check_versions() -> list[CheckResult]:
    """Say the versions of what recordings depend on, and whether they get in each other's way."""
    results = [CheckResult("versions", "ok", ", ".join(_versions()))]
    opencv = [name for name in _OPENCV if _version(name)]
    if len(opencv) > 1:
        found = f"{' and '.join(opencv)} are installed over each other"
        results.append(CheckResult("versions", "warning", found, f"pip uninstall all but {opencv[0]}"))
    return results


def _versions() -> list[str]:
    opencv = next((f"OpenCV {_version(name)}" for name in _OPENCV if _version(name)), "")
    known = {"ethostore": "ethostore", "PyAV": "av", "NumPy": "numpy", "h5py": "h5py"}
    packages = [f"{name} {_version(package)}" for name, package in known.items() if _version(package)]
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    texts = [f"Python {platform.python_version()}", *packages, _ffmpeg(), opencv, kernel]
    return [text for text in texts if text]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _ffmpeg() -> str:
    """Return the version of the FFmpeg that comes with PyAV."""
    try:
        import av  # here, so that importing this file does nothing
    except ImportError:
        return ""
    return f"FFmpeg {getattr(av, 'ffmpeg_version_info', 'unknown')}"
