"""Drawn pictures of arenas: dishes, plates and targets, under light that is not even."""

import cv2
import numpy as np

SUB = 4  # OpenCV draws with fractions of 1 / 16 pixel


def light(shape, level=150.0, *, slope=0.35, seed=0):
    """Return an unevenly lit, empty ground, float."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    across = columns / shape[1] - 0.5 + 0.6 * (rows / shape[0] - 0.5)
    spot = np.exp(-((columns - 0.3 * shape[1]) ** 2 + (rows - 0.6 * shape[0]) ** 2) / (0.3 * shape[1]) ** 2)
    return level * (1 + slope * across + 0.2 * spot)


def discs(shape, circles):
    """Return how much of each pixel discs, (x, y, radius) each, cover, 0 to 1."""
    canvas = np.zeros(shape, np.uint8)
    for circle in circles:
        x, y, radius = (round(value * (1 << SUB)) for value in circle)
        cv2.circle(canvas, (x, y), radius, 255, cv2.FILLED, cv2.LINE_AA, SUB)
    return cv2.GaussianBlur(canvas, (0, 0), 0.8) / 255.0


def photograph(image, *, noise=3.0, seed=0):
    """Return a picture as a camera takes it: noisy, 8 bit."""
    noisy = image + np.random.default_rng(seed).normal(0, noise, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def draw_dishes(circles, shape=(480, 640), *, rim=0.25, inside=0.0, noise=3.0):
    """Return dishes, (x, y, radius) each, whose rims and insides differ from the ground by shares."""
    ring = discs(shape, [(x, y, radius + 3) for x, y, radius in circles]) - discs(shape, circles)
    animals = discs(shape, [(x + 0.4 * radius, y - 0.2 * radius, 5) for x, y, radius in circles])
    image = light(shape) * (1 - rim * ring + inside * discs(shape, circles)) * (1 - 0.6 * animals)
    return photograph(image, noise=noise)


def place_wells(rows, columns, *, pitch, centre, degrees=0.0):
    """Return where wells are, shape (rows * columns, 2), row by row."""
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).reshape(-1, 2).astype(float)
    grid = (grid - grid.mean(axis=0)) * pitch
    turn = np.radians(degrees)
    matrix = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    return grid @ matrix.T + centre


def draw_plate(wells, radius, shape=(720, 960), *, depth=0.3, noise=3.0, hidden=()):
    """Return a plate with dark wells, some of them hidden, some with an animal."""
    seen = [(x, y, radius) for place, (x, y) in enumerate(wells) if place not in hidden]
    animals = [(x + 0.3 * radius, y, max(2.0, 0.2 * radius)) for x, y, _ in seen[::3]]
    image = light(shape) * (1 - depth * discs(shape, seen)) * (1 - 0.5 * discs(shape, animals))
    return photograph(image, noise=noise)


def draw_targets(centres, shape=(480, 640), *, radius=12, level=150.0, contrast=0.8, noise=3.0):
    """Return a frame with three discs; a negative contrast makes them light."""
    image = light(shape, level) * (1 - contrast * discs(shape, [(x, y, radius) for x, y in centres]))
    return photograph(image, noise=noise)
