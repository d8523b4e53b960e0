"""What the arena looks like: functions of arrays, from geometry and poses to grey images."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hardware.arena.geometry import (
    RACK_SIZE,
    RACK_TARGETS,
    TARGET_RADIUS,
    TUBE_HALF_HEIGHT,
    Tube,
    rack_to_frame,
    scale_for,
)
from imgstore import Image

Grey = npt.NDArray[np.float32]

_FLY_LEVEL = 42.0
_NOISE_SD = 1.8
_NOISE_MEAN = 8  # of each of two images of noise, of which one is added and one taken away
_NOISE_MARGIN = 128  # rows and columns that the noise is larger than a frame
_DIVIDER = 610  # x of the wall between the columns of tubes


def render_background(tubes: Sequence[Tube], rows: int, columns: int, rng: np.random.Generator) -> Grey:
    """Draw the arena without flies and noise, shape (rows, columns)."""
    rack = _plate()
    _draw_rack(rack, tubes)
    for tube in tubes:
        _draw_tube(rack, tube, rng)
    for tube in tubes:
        _draw_litter(rack, tube, rng)
    _draw_divider(rack)
    _draw_labels(rack)
    for x, y in RACK_TARGETS:
        _draw_target(rack, x, y)
    rack += _stains(rng)
    scale = scale_for(rows, columns)
    if scale < 1:
        rack = _blur(rack, 0.4 / scale)
    frame: npt.NDArray[Any] = cv2.warpAffine(
        rack,
        rack_to_frame(rows, columns),
        (columns, rows),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.clip(_blur(frame, 0.7 * scale), 3, 250)


def draw_flies(
    frame: Image,
    centres: npt.NDArray[np.float64],
    headings: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.float64],
    widths: npt.NDArray[np.float64],
) -> None:
    """Draw flies into `frame`, dark ellipses with soft edges and lighter wings at the end.

    Parameters
    ----------
    frame : changed in place, uint8 (rows, columns).
    centres : (n, 2) x, y in frame pixels.
    headings : (n,) radians; x right, y down.
    lengths, widths : (n,) of the whole body, frame pixels, to the middle of the soft edge.
    """
    reach = int(np.ceil(lengths.max() / 2)) + 2
    corners = np.floor(centres).astype(int) - reach
    opacity = _fly_opacity(centres - corners, headings, lengths / 2, widths / 2, 2 * reach + 2)
    for (x, y), alpha in zip(corners, opacity, strict=True):
        x0, y0 = max(x, 0), max(y, 0)
        patch = frame[y0 : y + alpha.shape[0], x0 : x + alpha.shape[1]]
        alpha = alpha[y0 - y :, x0 - x :][: patch.shape[0], : patch.shape[1]]
        patch[:] = patch - (patch - _FLY_LEVEL) * alpha + 0.5


def _fly_opacity(
    centres: npt.NDArray[np.float64],
    headings: npt.NDArray[np.float64],
    half_lengths: npt.NDArray[np.float64],
    half_widths: npt.NDArray[np.float64],
    size: int,
) -> Grey:
    """Return how much of each pixel is fly, shape (n, size, size); `centres` are x, y in these patches."""

    def of_fly(values: npt.NDArray[np.float64]) -> Grey:
        return values.astype(np.float32)[:, np.newaxis, np.newaxis]

    grid = np.arange(size, dtype=np.float32)
    dx, dy = grid - of_fly(centres[:, 0]), grid[:, np.newaxis] - of_fly(centres[:, 1])
    cosine, sine = of_fly(np.cos(headings)), of_fly(np.sin(headings))
    along = (dx * cosine + dy * sine) / of_fly(half_lengths)
    across = (dy * cosine - dx * sine) / of_fly(half_widths)
    radius = np.sqrt(along * along + across * across)
    slope = np.sqrt((along / of_fly(half_lengths)) ** 2 + (across / of_fly(half_widths)) ** 2)
    inside = (1 - radius) * np.maximum(radius, 0.5) / (slope + 1e-3)  # pixels from the edge, near it
    body = np.clip(0.5 + inside / 2.5, 0, 1)
    wings = np.clip(1.0 + 0.9 * (along + 0.5), 0.55, 0.96)  # few pixels: the centre of darkness stays
    return np.asarray(body * wings, np.float32)


def make_noise(rows: int, columns: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """Return two images of noise, uint8, a margin larger than a frame: one to add, one to take away."""
    noise = rng.standard_normal((2, rows + _NOISE_MARGIN, columns + _NOISE_MARGIN), dtype=np.float32)
    banks = []
    for bank in noise:
        soft = _blur(bank, 0.5)  # a camera smooths a little
        soft *= _NOISE_SD / np.sqrt(2) / soft.std()
        banks.append(np.clip(np.rint(soft + _NOISE_MEAN), 0, 255).astype(np.uint8))
    return banks[0], banks[1]


def make_noise_mask(background: Grey, rng: np.random.Generator) -> Image:
    """Return where noise is doubled, uint8 0 or 255: more often where it is bright."""
    chance = rng.random(background.shape, dtype=np.float32) * 400
    return np.where(chance < background, 255, 0).astype(np.uint8)


def add_noise(frame: Image, noise: tuple[Image, Image], mask: Image, rng: np.random.Generator) -> Image:
    """Return `frame` with noise; each call takes other parts of the same noise."""
    rows, columns = frame.shape
    (a, b), (c, d) = rng.integers(_NOISE_MARGIN, size=(2, 2))
    plus, minus = noise[0][a : a + rows, b : b + columns], noise[1][c : c + rows, d : d + columns]
    noisy = cv2.subtract(cv2.add(frame, plus), minus)
    more, less = noise[1][a : a + rows, d : d + columns], noise[0][c : c + rows, b : b + columns]
    cv2.add(noisy, more, dst=noisy, mask=mask)
    return cv2.subtract(noisy, less, dst=noisy, mask=mask)


def _plate() -> Grey:
    """Return the plate under everything, lit from the right."""
    y, x = np.mgrid[: RACK_SIZE[0], : RACK_SIZE[1]].astype(np.float32)
    level = 84 + 50 * x / RACK_SIZE[1] - 10 * ((y - 560) / 480) ** 2
    level -= 45 * np.exp(-x / 14)
    level[(x > 1246) & (y > 60)] = 40
    for edge in (70, 125, 795, 880):
        level -= 9 * np.exp(-(((y - edge) / 2.5) ** 2))
    return _blur(level, 1.5)


def _draw_rack(rack: Grey, tubes: Sequence[Tube]) -> None:
    """Draw the bars that hold the tubes, and the dark gaps at the outer ends."""
    x = np.arange(RACK_SIZE[1], dtype=np.float32)
    bars = 84 + 20 * x / _DIVIDER
    bars[_DIVIDER:] = 126 + 34 * (x[_DIVIDER:] - _DIVIDER) / _DIVIDER
    top, bottom = int(tubes[0].y - 34), int(tubes[9].y + 34)
    shade = rack[top:bottom].copy()
    shade[:] = bars
    shade[:, :10] = 8
    shade[:, 1214:] = 10
    for tube in tubes[:10]:
        line = round(tube.y + 32) - top
        shade[line - 8 : line - 5, 10:1214] += 7  # upper edges shine
        shade[line + 4 : line + 7, 10:1214] -= 7
    rack[top:bottom] = _blur(shade, 1.2)


def _draw_tube(rack: Grey, tube: Tube, rng: np.random.Generator) -> None:
    """Draw the glass with food and plug."""
    outer = (0, round(tube.right) + 8) if tube.food_side < 0 else (round(tube.left) - 14, RACK_SIZE[1])
    y0 = round(tube.y) - 28
    window = rack[y0 : y0 + 57, outer[0] : outer[1]]
    y, x = np.mgrid[y0 : y0 + 57, outer[0] : outer[1]].astype(np.float32)
    across = (y - np.float32(tube.y)) / TUBE_HALF_HEIGHT
    light = 108 + 24 * x / _DIVIDER if tube.food_side < 0 else 150 + 8 * (x - _DIVIDER) / _DIVIDER
    inside = (
        light
        + rng.uniform(-3, 3)
        - 9 * ((tube.y - 440) / 340) ** 2
        + 11 * np.exp(-(((across - 0.15) / 0.5) ** 2))
        - 12 * across**4
    )
    inside = _with_plug(inside, tube, x, across, rng)
    inside = _with_food(inside, tube, x, across, rng)
    glass = _step((1.02 - np.abs(across)) * TUBE_HALF_HEIGHT, 2.5)
    window += glass * (inside - window)
    if tube.food_side > 0:
        _draw_reflections(rack, tube, rng)


def _with_plug(inside: Grey, tube: Tube, x: Grey, across: Grey, rng: np.random.Generator) -> Grey:
    """Return the inside of a tube with cotton at its inner end: round, blurred, grey."""
    depth = (x - np.float32(tube.plug)) * -tube.food_side  # into the plug
    length = rng.uniform(65, 125)
    middle, half = length / 2, length / 2
    form = 1 - ((np.abs(depth - middle) / half) ** 2.6 + (np.abs(across) / 0.98) ** 3)
    cotton = _step(form * 12, rng.uniform(2.0, 9.0))
    fibres = _blur(rng.standard_normal(x.shape, dtype=np.float32), 3) * 16
    return inside - cotton * (rng.uniform(18, 32) + fibres)


def _with_food(inside: Grey, tube: Tube, x: Grey, across: Grey, rng: np.random.Generator) -> Grey:
    """Return the inside of a tube with opaque food at its outer end."""
    depth = (x - np.float32(tube.food)) * tube.food_side
    meniscus = 4 * across**2
    food = _step(depth + meniscus - 5, rng.uniform(4, 16))
    crumbs = _blur(rng.standard_normal(x.shape, dtype=np.float32), 4) * 18
    level = 80 - 0.5 * np.clip(depth, 0, 110) if tube.food_side < 0 else 104 - 0.04 * depth
    return inside + food * (level + crumbs - inside)


def _draw_reflections(rack: Grey, tube: Tube, rng: np.random.Generator) -> None:
    """Draw the lamps that mirror in the glass of the right tubes."""
    for line, first, step in ((-10.0, 965.0, 62.0), (8.0, 945.0, 58.0)):
        shift = rng.uniform(-14, 14)
        for i in range(int(rng.integers(3, 6))):
            x, y = first + shift + step * i + rng.uniform(-5, 5), tube.y + line + rng.uniform(-1, 1)
            _ellipse(rack, x, y, rng.uniform(3, 6), 1.4, rng.uniform(-0.1, 0.1), level=235, edge=1.5)


def _draw_litter(rack: Grey, tube: Tube, rng: np.random.Generator) -> None:
    """Draw an empty pupal case in most tubes, dark specks in some."""
    low, high = tube.free
    if rng.random() < 0.85:
        part = rng.uniform(0.75, 0.95)
        x = low + (high - low) * (part if tube.food_side < 0 else 1 - part)
        y, tilt = tube.y + rng.uniform(-13, 8), rng.uniform(-0.5, 0.5)
        shade = rack[int(y), int(x)]
        _ellipse(rack, x, y, 14, 5, tilt, level=float(shade) - 27, edge=1.5)
        _ellipse(rack, x, y, 12, 3.2, tilt, level=float(shade) - rng.uniform(6, 16), edge=1.5)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(low, high), tube.y + rng.uniform(-15, 15)
        size = rng.uniform(1.0, 2.2)
        level = float(rack[int(y), int(x)]) - rng.uniform(25, 55)
        _ellipse(rack, x, y, size * rng.uniform(1, 1.6), size, rng.uniform(0, 3), level=level, edge=1.5)


def _draw_divider(rack: Grey) -> None:
    rows = slice(132, 796)
    rack[rows, _DIVIDER - 8 : _DIVIDER] = 112
    rack[rows, _DIVIDER : _DIVIDER + 4] = 158
    rack[rows, _DIVIDER + 4 : _DIVIDER + 8] = 124


def _draw_labels(rack: Grey) -> None:
    """Draw tape, and writing on it."""
    for x, y, width, height in ((335, 55, 215, 70), (785, 800, 150, 72)):
        rack[y : y + height, x : x + width] -= 9
    ink = np.zeros(RACK_SIZE, np.uint8)
    for strokes in (
        [(850, 822), (838, 846), (828, 824), (816, 846)],
        [(884, 818), (872, 842), (893, 846), (898, 834), (880, 832), (868, 852)],
        [(340, 818), (352, 832), (338, 846), (362, 848)],
        [(376, 846), (400, 842), (380, 832), (402, 820), (384, 818)],
    ):
        cv2.polylines(ink, [np.array(strokes, np.int32)], isClosed=False, color=255, thickness=3)
    rack -= _blur(ink.astype(np.float32) / 255, 1.0) * 62


def _draw_target(rack: Grey, x: float, y: float) -> None:
    """Draw a black disc on its white square."""
    x0, y0, half = round(x), round(y), 23
    square = rack[y0 - half : y0 + half + 1, x0 - half : x0 + half + 1]
    square += 0.5 * (168 - square)
    _ellipse(rack, x, y, TARGET_RADIUS, TARGET_RADIUS, 0, level=14, edge=1.5)


def _stains(rng: np.random.Generator) -> Grey:
    """Return slow changes of brightness all over, shape of the rack."""
    rows, columns = RACK_SIZE
    coarse = rng.standard_normal((rows // 80, columns // 80), dtype=np.float32)
    return cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC) * np.float32(2.5)


def _ellipse(
    image: Grey, x: float, y: float, a: float, b: float, angle: float, *, level: float, edge: float
) -> None:
    """Blend an ellipse of half axes `a`, `b` into `image`; `edge` is the width of its rim in pixels."""
    reach = int(np.ceil(max(a, b) + edge)) + 1
    x0, y0 = int(x) - reach, int(y) - reach
    window = image[y0 : y0 + 2 * reach + 2, x0 : x0 + 2 * reach + 2]
    dy, dx = np.mgrid[: window.shape[0], : window.shape[1]] - np.array([y - y0, x - x0])[:, None, None]
    along = (dx * np.cos(angle) + dy * np.sin(angle)) / a
    across = (dy * np.cos(angle) - dx * np.sin(angle)) / b
    mask = _step(((1 - np.hypot(along, across)) * min(a, b)).astype(np.float32), edge)
    window += mask * (level - window)


def _step(distance: Grey, width: float) -> Grey:
    """Return 0 outside (`distance` below 0), 1 inside, and a ramp of `width` pixels in between."""
    ramp: Grey = np.clip(0.5 + distance / np.float32(width), 0, 1)
    return ramp


def _blur(image: npt.NDArray[Any], sigma: float) -> Grey:
    blurred = cv2.GaussianBlur(image.astype(np.float32, copy=False), (0, 0), max(sigma, 0.1))
    return np.asarray(blurred, np.float32)
