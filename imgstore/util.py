"""Loopbio's module of this name: colour and grey."""

import cv2

from imgstore.frame import Image


def ensure_color(image: Image) -> Image:
    """Return `image` with three channels, blue, green, red."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


def ensure_grayscale(image: Image) -> Image:
    """Return `image` with one value per pixel."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
