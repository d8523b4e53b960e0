"""Small made recordings with known animals."""

from collections.abc import Iterator

import cv2
import numpy as np

from imgstore import Frame, FrameSpec


class Arena:
    """Dark ellipses on an uneven, noisy background, as a sequence of frames.

    Parameters
    ----------
    paths : per animal, (frames, 3): x, y and angle in degrees; NaN where it is not there.
    axes : length and width of the animals, pixels.
    """

    def __init__(
        self, paths, *, shape=(120, 200), axes=(24, 10), level=60, rate=20.0, light=False, stains=()
    ):
        self.paths = np.asarray(paths, float)
        self.spec = FrameSpec(shape)
        self.axes = axes
        self.level = level
        self.light = light
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        self.empty = 130 + 40 * np.sin(columns / 90) + 20 * rows / shape[0]
        for x, y, depth in stains:
            self.empty -= depth * np.exp(-0.5 * (((columns - x) / 4) ** 2 + ((rows - y) / 3) ** 2))
        self.rate = rate
        self.noise = np.random.default_rng(0)

    @property
    def numbers(self):
        return np.arange(len(self))

    @property
    def times(self):
        return 1000.0 + np.arange(len(self)) / self.rate

    def __len__(self):
        return self.paths.shape[1]

    def __getitem__(self, index):
        image = self.empty + np.random.default_rng(index).normal(0, 2, self.spec.shape)
        for path in self.paths:
            x, y, angle = path[index]
            if np.isfinite(x):
                image = image - self.level * _ellipse(self.spec.shape, x, y, angle, self.axes)
        if self.light:
            image = 255 - image
        return Frame(np.clip(np.rint(image), 0, 255).astype(np.uint8), index, index, float(self.times[index]))

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        """Nothing is open."""


def _ellipse(shape, x, y, angle, axes):
    """Return an ellipse with soft edges, 0 to 1, drawn with sixteenths of a pixel."""
    canvas = np.zeros(shape, np.uint8)
    centre = (round(x * 16), round(y * 16))
    half = (round(axes[0] * 8), round(axes[1] * 8))
    cv2.ellipse(canvas, centre, half, angle, 0, 360, 255, cv2.FILLED, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(canvas, (0, 0), 1.0) / 255.0


def walk(count, start, stop, *, rest_until=0, rest_from=None):
    """Return a path from `start` to `stop`, resting before and after; shape (count, 3)."""
    rest_from = count if rest_from is None else rest_from
    part = np.clip((np.arange(count) - rest_until) / max(1, rest_from - rest_until), 0, 1)[:, None]
    places = (1 - part) * np.array(start, float) + part * np.array(stop, float)
    heading = np.degrees(np.arctan2(stop[1] - start[1], stop[0] - start[0])) % 180
    return np.column_stack([places, np.full(count, heading)])
