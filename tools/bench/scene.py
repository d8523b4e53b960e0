"""A made scene for cameras: an arena, an animal that runs round in it, and a camera's noise."""

from pathlib import Path

import cv2
import numpy as np

_LAP = 60  # frames, after which the scene begins anew without a jump
_FLOOR, _GROUND, _ANIMAL = 170, 90, 35
_NOISE = 2.0  # standard deviation, grey levels


def make_scene(path: Path, rows: int, columns: int, laps: int = 1) -> None:
    """Save grey frames of whole laps, shape (n, rows, columns).

    They are made before anything is measured: a camera of the benchmark only copies them.
    """
    random = np.random.default_rng(0)
    arena = np.full((rows, columns), _GROUND, np.uint8)
    centre, radius = (columns // 2, rows // 2), round(0.45 * rows)
    cv2.circle(arena, centre, radius, _FLOOR, cv2.FILLED)
    frames = np.empty((laps * _LAP, rows, columns), np.uint8)
    for number, frame in enumerate(frames):
        angle = 2 * np.pi * number / _LAP
        place = np.array(centre) + 0.7 * radius * np.array([np.cos(angle), np.sin(angle)])
        image = arena.copy()
        size = (rows // 24, rows // 48)
        cv2.ellipse(
            image, place.round().astype(int).tolist(), size, np.degrees(angle) + 90, 0, 360, _ANIMAL, -1
        )
        noisy = image + random.normal(0, _NOISE, image.shape)
        frame[:] = np.clip(noisy.round(), 0, 255)
    np.save(path, frames)
