"""The whole arena: any frame of it by number, and where the flies are in that frame."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hardware.arena.geometry import RACK_TARGETS, make_tubes, rack_to_frame, scale_for, transform
from hardware.arena.motion import Motion, make_flies
from hardware.arena.scene import add_noise, draw_flies, make_noise, make_noise_mask, render_background
from imgstore import Image

Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FlyTruth:
    """Where a fly is.

    Attributes
    ----------
    region : 1..10 the left column of tubes from the top, 11..20 the right one.
    x, y : centre of the body in frame pixels; centres of pixels are at integers.
    angle : of the body's axis, degrees from 0 up to 180; x right, y down.
    length, width : of the body, frame pixels.
    """

    region: int
    x: float
    y: float
    angle: float
    length: float
    width: float


@dataclass(frozen=True, slots=True)
class _Scenery:
    """What does not change from frame to frame."""

    background: Image
    noise: tuple[Image, Image]
    noise_mask: Image


class Arena:
    """Twenty flies in twenty tubes; a frame is a function of the seed and its number.

    Parameters
    ----------
    size : (rows, columns) of the frames; everything scales with it.
    rate : frames per second.
    seed : the same seed gives the same frames.
    """

    def __init__(self, size: tuple[int, int], rate: float, seed: int) -> None:
        self._size = size
        self._rate = rate
        self._seed = seed
        self._tubes = make_tubes(self._rng(0))
        self._flies = make_flies(self._tubes, self._rng(1))
        self._motion = Motion(self._flies, seed)
        self._to_frame = rack_to_frame(*size)
        self._lengths = np.array([fly.length for fly in self._flies]) * scale_for(*size)
        self._widths = np.array([fly.width for fly in self._flies]) * scale_for(*size)

    @property
    def targets(self) -> Vectors:
        """Centres x, y of the three targets in frame pixels: upper right, lower right, lower left."""
        return transform(self._to_frame, np.array(RACK_TARGETS))

    def prepare(self) -> None:
        """Draw what does not change, so that the first frame comes as fast as all others."""
        _ = self._scenery

    def image(self, number: int) -> Image:
        """Return frame `number`, uint8 (rows, columns)."""
        scenery = self._scenery
        centres, headings = self._poses(number)
        frame = scenery.background.copy()
        draw_flies(frame, centres, headings, self._lengths, self._widths)
        return add_noise(frame, scenery.noise, scenery.noise_mask, self._rng(3, number))

    def truth(self, number: int) -> tuple[FlyTruth, ...]:
        """Return where all flies are in frame `number`, in the order of their regions."""
        centres, headings = self._poses(number)
        angles = np.degrees(headings) % 180
        return tuple(
            FlyTruth(fly.tube.region, float(x), float(y), float(angle), float(length), float(width))
            for fly, (x, y), angle, length, width in zip(
                self._flies, centres, angles, self._lengths, self._widths, strict=True
            )
        )

    @cached_property
    def _scenery(self) -> _Scenery:
        rng = self._rng(2)
        background = render_background(self._tubes, *self._size, rng)
        noise = make_noise(*self._size, rng)
        mask = make_noise_mask(background, rng)
        return _Scenery(np.rint(background).astype(np.uint8), noise, mask)

    def _poses(self, number: int) -> tuple[Vectors, Vectors]:
        """Return centres (n, 2) and headings (n,) of all flies in the frame."""
        if number < 0:
            raise ValueError(f"frames are numbered from 0, there is no frame {number}")
        poses = self._motion.poses(number / self._rate)
        direction = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], axis=1) @ self._to_frame[:, :2].T
        return transform(self._to_frame, poses[:, :2]), np.arctan2(direction[:, 1], direction[:, 0])

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *stream])
