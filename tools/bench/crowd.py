"""Made recordings of several animals per region that walk, rest, meet and cross; every identity is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from imgstore import Frame, FrameSpec
from tracking import ROI

Numbers = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

START = 1_700_000_000.0
"""Time of the first frame, seconds since the Unix epoch."""

_FIXED = 4  # OpenCV draws with fractions of 1 / 16 pixel
_STEPS_S = 30  # steps of the walk per second, at most so many between frames
_DISH = 0.94  # of the floor is where animals get


@dataclass(frozen=True, slots=True)
class CrowdPlan:
    """What a made recording shows.

    Attributes
    ----------
    animals : per region.
    grid : rows and columns of regions.
    side : of a region, which is a square, pixels.
    seconds, rate : length of the recording, frames per second.
    length, width : of an animal, pixels.
    speed : while walking, body lengths per second.
    turning : how much the direction wanders, degrees per square root of a second.
    bout, rest : mean length of walks and of rests, seconds.
    company : 0 to 1, how strongly animals turn to each other; it makes them meet and touch.
    still : (region from 1, animal from 0, from, to) seconds in which an animal does not move at all.
    size_spread, shade_spread : standard deviation, of the logarithm, of their sizes and contrasts.
    contrast : of an animal with the floor, grey levels.
    noise : standard deviation of a pixel, grey levels.
    light : (time, factor) from which on the light has another strength.
    cycle : period in seconds and depth (0 to 1) of a light that swings; depth 0 for none.
    shake : standard deviation by which the camera moves between frames, pixels.
    infrared : low contrast, a bright middle and dark corners.
    light_animals : whether animals are lighter than the floor.
    seed : of everything that is random.
    """

    animals: int = 2
    grid: tuple[int, int] = (1, 1)
    side: int = 240
    seconds: float = 30.0
    rate: float = 20.0
    length: float = 22.0
    width: float = 9.0
    speed: float = 2.5
    turning: float = 70.0
    bout: float = 4.0
    rest: float = 2.0
    company: float = 0.0
    still: Sequence[tuple[int, int, float, float]] = ()
    size_spread: float = 0.08
    shade_spread: float = 0.05
    contrast: float = 70.0
    noise: float = 2.0
    light: Sequence[tuple[float, float]] = ()
    cycle: tuple[float, float] = (86400.0, 0.0)
    shake: float = 0.0
    infrared: bool = False
    light_animals: bool = False
    seed: int = 0


class Crowd:
    """A made recording, as a sequence of frames; no frame is kept.

    Parameters
    ----------
    plan : see there.
    """

    def __init__(self, plan: CrowdPlan | None = None) -> None:
        self.plan = plan = plan or CrowdPlan()
        rows, columns = plan.grid
        self.spec = FrameSpec((rows * plan.side, columns * plan.side))
        self.times = START + np.arange(round(plan.seconds * plan.rate)) / plan.rate
        self.numbers = np.arange(len(self.times))
        random = np.random.default_rng((plan.seed, 1))
        count = rows * columns * plan.animals
        self.sizes = np.exp(random.normal(0, plan.size_spread, count))
        self.shades = np.exp(random.normal(0, plan.shade_spread, count))
        self._tile = random.normal(0, plan.noise, (self.spec.rows + 64, self.spec.columns + 64))
        self._shifts = random.normal(0, plan.shake, (len(self.times), 2)) if plan.shake else None

    @property
    def rois(self) -> list[ROI]:
        """The regions: squares, row by row."""
        side = self.plan.side
        return [
            ROI(_square(column * side, row * side, side), 1 + row * self.plan.grid[1] + column)
            for row in range(self.plan.grid[0])
            for column in range(self.plan.grid[1])
        ]

    @cached_property
    def regions(self) -> npt.NDArray[np.int64]:
        """The number of the region of every animal, shape (animals of all regions,)."""
        return np.repeat(np.arange(1, 1 + len(self.rois)), self.plan.animals)

    @cached_property
    def truth(self) -> Numbers:
        """x, y and heading in degrees of every animal, shape (frames, animals of all regions, 3)."""
        offsets = np.array([roi.offset for roi in self.rois], float)[self.regions - 1]
        paths = [_walk(self.plan, len(self.times), number) for number in range(1, 1 + len(self.rois))]
        truth = np.concatenate(paths, axis=1)
        truth[..., :2] += offsets
        if self._shifts is not None:
            truth[..., :2] += self._shifts[:, None]
        return truth

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, index: int) -> Frame:
        plan = self.plan
        dark = np.zeros(self.spec.shape, np.float32)
        for animal, (x, y, heading) in enumerate(self.truth[index]):
            size = self.sizes[animal]
            contrast = plan.contrast * self.shades[animal] * (0.5 if plan.infrared else 1.0)
            _paint(dark, x, y, heading, size * plan.length, size * plan.width, contrast)
        empty: npt.NDArray[np.float32] = self._floor
        if self._shifts is not None:
            move = np.hstack([np.eye(2), self._shifts[index][:, None]])
            size = self.spec.columns, self.spec.rows
            moved = cv2.warpAffine(empty, move, size, borderMode=cv2.BORDER_REPLICATE)
            empty = np.asarray(moved, np.float32)
        image = (empty - dark) * self._light(index) + self._noise(index)
        if plan.light_animals:
            image = 255 - image
        pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        return Frame(pixels, index, index, float(self.times[index]))

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        """Nothing is open."""

    @cached_property
    def _floor(self) -> npt.NDArray[np.float32]:
        rows, columns = np.mgrid[: self.spec.rows, : self.spec.columns]
        if self.plan.infrared:
            far = np.hypot(rows / self.spec.rows - 0.5, columns / self.spec.columns - 0.5)
            return np.asarray(120 - 70 * far**2 * 2, np.float32)
        return np.asarray(150 + 25 * np.sin(columns / 90) + 15 * rows / self.spec.rows, np.float32)

    def _light(self, index: int) -> float:
        elapsed = self.times[index] - START
        factor = next((factor for at, factor in reversed(self.plan.light) if elapsed >= at), 1.0)
        period, depth = self.plan.cycle
        return float(factor * (1 - depth * (0.5 - 0.5 * np.cos(2 * np.pi * elapsed / period))))

    def _noise(self, index: int) -> Numbers:
        """Return a piece of one large noisy image: noise of its own for every frame would take most time."""
        row, column = np.random.default_rng((self.plan.seed, 2, index)).integers(0, 64, 2)
        return self._tile[row : row + self.spec.rows, column : column + self.spec.columns]


def _square(x: float, y: float, side: float) -> Numbers:
    last = side - 1
    return np.array([(x, y), (x + last, y), (x + last, y + last), (x, y + last)])


def _walk(plan: CrowdPlan, count: int, region: int) -> Numbers:
    """Return the paths of the animals of a region within it, shape (frames, animals, 3)."""
    random = np.random.default_rng((plan.seed, 3, region))
    steps = int(np.clip(round(_STEPS_S / plan.rate), 1, _STEPS_S))
    step = 1 / plan.rate / steps
    stride = plan.speed * plan.length * min(step, np.sqrt(step))  # directions do not last for long steps
    middle, radius = (plan.side - 1) / 2, _DISH * plan.side / 2 - plan.width
    spot = _places(random, plan, middle, radius)
    heading = random.uniform(0, 2 * np.pi, plan.animals)
    walking = random.random(plan.animals) < plan.bout / (plan.bout + plan.rest)
    path = np.empty((count, plan.animals, 3))
    for frame in range(count):
        path[frame] = np.column_stack([spot, np.degrees(heading) % 360])
        still = _still(plan, region, frame / plan.rate)
        for _ in range(steps):
            chance = -np.expm1(-step / np.where(walking, plan.bout, plan.rest))
            walking ^= random.random(plan.animals) < chance
            go = walking & ~still
            turn = random.normal(0, np.radians(plan.turning) * np.sqrt(step), plan.animals)
            turn += plan.company * 4 * step * np.sin(_bearing(spot, heading))
            heading = heading + np.where(go, turn, 0)
            ahead = spot + stride * np.column_stack([np.cos(heading), np.sin(heading)])
            out = np.hypot(*(ahead - middle).T) > radius
            inward = np.arctan2(*(middle - spot).T[::-1])
            bend = np.angle(np.exp(1j * (inward - heading)))
            heading = heading + np.where(go & out, np.sign(bend) * np.minimum(np.abs(bend), 0.4), 0)
            spot = np.where((go & ~out)[:, None], ahead, spot)
    return path


def _places(random: np.random.Generator, plan: CrowdPlan, middle: float, radius: float) -> Numbers:
    """Return where animals start: apart from each other, if there is room."""
    best, apart = np.full((plan.animals, 2), middle), -1.0
    for _ in range(200):
        far = radius * np.sqrt(random.random(plan.animals))
        around = random.uniform(0, 2 * np.pi, plan.animals)
        spot = middle + far[:, None] * np.column_stack([np.cos(around), np.sin(around)])
        gaps = np.hypot(*(spot[:, None] - spot[None]).transpose(2, 0, 1))
        nearest = float((gaps + 1e9 * np.eye(plan.animals)).min())
        if nearest > apart:
            best, apart = spot, nearest
    return best


def _still(plan: CrowdPlan, region: int, elapsed: float) -> npt.NDArray[np.bool_]:
    still = np.zeros(plan.animals, bool)
    for where, animal, start, stop in plan.still:
        still[animal] |= where == region and start <= elapsed < stop
    return still


def _bearing(spot: Numbers, heading: Numbers) -> Numbers:
    """Return where the nearest other animal is, radians from the own direction; 0 if there is none."""
    if len(spot) < 2:
        return np.zeros(len(spot))
    away = spot[None] - spot[:, None]
    gaps = np.hypot(away[..., 0], away[..., 1]) + 1e9 * np.eye(len(spot))
    every = np.arange(len(spot))
    nearest = away[every, gaps.argmin(axis=1)]
    return np.asarray(np.arctan2(nearest[:, 1], nearest[:, 0]) - heading)


def _paint(
    dark: npt.NDArray[np.float32],
    x: float,
    y: float,
    heading: float,
    length: float,
    width: float,
    level: float,
) -> None:
    """Draw an animal with soft edges; where two overlap, one hides the other."""
    margin = int(length / 2 + 5)
    left, top = int(x) - margin, int(y) - margin
    canvas = np.zeros((2 * margin + 1, 2 * margin + 1), np.uint8)
    centre = (round((x - left) * (1 << _FIXED)), round((y - top) * (1 << _FIXED)))
    half = (round(length / 2 * (1 << _FIXED)), round(width / 2 * (1 << _FIXED)))
    cv2.ellipse(canvas, centre, half, heading, 0, 360, 255, cv2.FILLED, cv2.LINE_AA, _FIXED)
    body = cv2.GaussianBlur(canvas, (0, 0), 1.0).astype(np.float32) * (level / 255)
    rows = slice(max(top, 0), min(top + len(canvas), dark.shape[0]))
    columns = slice(max(left, 0), min(left + len(canvas), dark.shape[1]))
    part = body[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    np.maximum(dark[rows, columns], part, out=dark[rows, columns])
