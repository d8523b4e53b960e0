"""How flies behave: where each of them is at any time, as a function of a seed.

Time is cut into blocks. Where a fly is when a block begins follows from the seed and the block alone, and so
does its way to where the next block begins: any moment can be had at once, and nothing is kept of the past.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from hardware.arena.geometry import Tube

Poses = npt.NDArray[np.float64]
"""Shape (..., 3): x and y in rack pixels, heading in radians (x right, y down)."""

BLOCK_S = 20.0
"""Length of a block. Each kind of behaviour shows itself within one."""

_STEP_S = 0.02  # between the poses that are computed; in between they are interpolated
_STEPS = round(BLOCK_S / _STEP_S)
_MEAN_SPEED = (12.0, 36.0)  # rack pixels per second over a walk; at its middle it is 1.5 times that
_TURN_S = 0.35
_SETTLE_S = 0.2  # after a walk, to the way in which it rests
_SPREAD_Y = 8.0  # of the places where flies stop, around the axis of the tube
_MEANDER = 3.5  # how far a walk strays from its line, at most
_REST_TILT = 0.35  # radians off the tube's axis


class Behaviour(Enum):
    """What a fly does."""

    WALKER = "walks back and forth with pauses"
    RESTER = "rests for long, then walks away, over and over"
    SLEEPER = "sits in one place from the first frame, walks away after some ten seconds"
    FEEDER = "walks, and comes back to sit at the food"
    GROOMER = "stays where it is and jiggles"
    STILL = "never moves"


_CAST = {
    Behaviour.STILL: 2,
    Behaviour.GROOMER: 1,
    Behaviour.SLEEPER: 2,
    Behaviour.RESTER: 2,
    Behaviour.FEEDER: 3,
}
"""How many flies of each kind there are; all others walk."""


@dataclass(frozen=True, slots=True)
class Fly:
    """One fly: its tube, its body in rack pixels, what it does."""

    tube: Tube
    length: float
    width: float
    behaviour: Behaviour


@dataclass(frozen=True, slots=True)
class _Leg:
    """Rest for `pause` seconds, then walk to `goal` (a pose) in `walk` seconds."""

    pause: float
    walk: float
    goal: Poses


def make_flies(tubes: Sequence[Tube], rng: np.random.Generator) -> tuple[Fly, ...]:
    """Put one fly into each tube."""
    cast = [behaviour for behaviour, count in _CAST.items() for _ in range(count)]
    cast += [Behaviour.WALKER] * (len(tubes) - len(cast))
    order = rng.permutation(len(tubes))
    return tuple(
        Fly(tube, rng.normal(30, 1.2), rng.normal(11, 0.5), cast[order[i]]) for i, tube in enumerate(tubes)
    )


class Motion:
    """Poses of flies at any time. Keeps one block.

    Parameters
    ----------
    flies : one per tube.
    seed : the same seed gives the same motion.
    """

    def __init__(self, flies: Sequence[Fly], seed: int) -> None:
        self._flies = tuple(flies)
        self._seed = seed
        self._kept: tuple[int, Poses] = (-1, np.empty((0, 0, 3)))

    def poses(self, time: float) -> Poses:
        """Return the poses of all flies, shape (flies, 3), `time` seconds after the beginning."""
        block = int(time // BLOCK_S)
        number, poses = self._kept
        if number != block:
            poses = np.stack([block_poses(fly, self._seed, block) for fly in self._flies])
            self._kept = (block, poses)
        step, part = divmod((time - block * BLOCK_S) / _STEP_S, 1.0)
        before = min(int(step), _STEPS - 1)
        return poses[:, before] * (1 - part) + poses[:, before + 1] * part


def block_poses(fly: Fly, seed: int, block: int) -> Poses:
    """Return the poses of one fly in one block, both ends included, `_STEP_S` apart."""
    start = _waypoint(fly, seed, block)
    rng = _rng(seed, fly, block, 1)
    if fly.behaviour in (Behaviour.STILL, Behaviour.GROOMER):
        poses = np.tile(start, (_STEPS + 1, 1))
        return poses + _jiggle(rng) if fly.behaviour is Behaviour.GROOMER else poses
    end = _waypoint(fly, seed, block + 1)
    wishes = _PLANS[fly.behaviour](fly, rng, block, start, end)
    return _act(start, _schedule(start, end, wishes, rng), rng)


def _rng(seed: int, fly: Fly, block: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, fly.tube.region, block, stream])


def _waypoint(fly: Fly, seed: int, block: int) -> Poses:
    """Return the pose of a fly when a block begins: in the middle half of its tube, so that none is far."""
    moves = fly.behaviour not in (Behaviour.STILL, Behaviour.GROOMER)
    rng = _rng(seed, fly, block if moves else 0, 0)
    return _place(fly, rng, rng.uniform(0.25, 0.75))


def _place(fly: Fly, rng: np.random.Generator, part: float) -> Poses:
    """Return a pose to rest in, `part` of the way from the low to the high end of the tube."""
    low, high = fly.tube.free
    heading = rng.integers(2) * np.pi + rng.uniform(-_REST_TILT, _REST_TILT)
    return np.array([low + part * (high - low), fly.tube.y + rng.uniform(-_SPREAD_Y, _SPREAD_Y), heading])


def _food_place(fly: Fly, rng: np.random.Generator) -> Poses:
    """Return a pose at the edge of the food, facing it."""
    low, high = fly.tube.free
    x, heading = (low, np.pi) if fly.tube.food_side < 0 else (high, 0.0)
    return np.array([x, fly.tube.y + rng.uniform(-_SPREAD_Y, _SPREAD_Y), heading + rng.uniform(-0.15, 0.15)])


_Wishes = Iterator[tuple[float, Poses]]
"""Seconds to rest, then the pose to walk to; without end."""


def _walk_about(fly: Fly, rng: np.random.Generator, block: int, start: Poses, end: Poses) -> _Wishes:
    while True:
        yield rng.uniform(0.4, 3.0), _place(fly, rng, rng.uniform(0, 1))


def _rest_long(fly: Fly, rng: np.random.Generator, block: int, start: Poses, end: Poses) -> _Wishes:
    yield 0.8, start + np.array([rng.uniform(-20, 20), 0, 0])
    while True:
        yield rng.uniform(10.5, 11.5), end


def _sleep_first(fly: Fly, rng: np.random.Generator, block: int, start: Poses, end: Poses) -> _Wishes:
    if block > 0:
        yield from _rest_long(fly, rng, block, start, end)
    yield rng.uniform(9.0, 11.0), end
    yield from _walk_about(fly, rng, block, start, end)


def _feed(fly: Fly, rng: np.random.Generator, block: int, start: Poses, end: Poses) -> _Wishes:
    while True:
        yield rng.uniform(0.5, 1.5), _food_place(fly, rng)
        yield rng.uniform(3.0, 6.0), _place(fly, rng, rng.uniform(0.2, 0.8))


_PLANS: dict[Behaviour, Callable[[Fly, np.random.Generator, int, Poses, Poses], _Wishes]] = {
    Behaviour.WALKER: _walk_about,
    Behaviour.RESTER: _rest_long,
    Behaviour.SLEEPER: _sleep_first,
    Behaviour.FEEDER: _feed,
}


def _schedule(start: Poses, end: Poses, wishes: _Wishes, rng: np.random.Generator) -> list[_Leg]:
    """Fulfil wishes for as long as there is time to be at `end` when the block ends."""
    legs: list[_Leg] = []
    at, left = start, BLOCK_S
    for pause, goal in wishes:
        walk = _distance(at, goal) / rng.uniform(*_MEAN_SPEED)
        way_home = _distance(goal, end) / _MEAN_SPEED[1] + 2 * _TURN_S
        if pause + walk + way_home > left:
            break
        legs.append(_Leg(pause, walk, goal))
        at, left = goal, left - pause - walk
    walk = _distance(at, end) / _MEAN_SPEED[1]
    slack = left - walk - _TURN_S
    pause = min(pause, slack)
    stretch = min((slack - pause) * rng.uniform(0, 0.5), walk)  # the last walk need not be the fastest
    return [*legs, _Leg(pause, walk + stretch, end)]


def _distance(a: Poses, b: Poses) -> float:
    return float(np.hypot(b[0] - a[0], b[1] - a[1]))


def _act(start: Poses, legs: Sequence[_Leg], rng: np.random.Generator) -> Poses:
    """Return the poses of a whole block: at each stop a fly settles, rests, turns, walks on."""
    times, poses = [np.zeros(1)], [start[np.newaxis]]
    clock, rest = 0.0, start
    for leg in legs:
        way = _walk(rest, leg.goal, leg.walk, rng)
        way[:, 2] += _turned(rest[2], way[0, 2]) - way[0, 2]
        leaves = clock + leg.pause
        settled, turns = clock + min(_SETTLE_S, leg.pause * 0.4), leaves - min(_TURN_S, leg.pause * 0.5)
        clock = leaves + leg.walk
        times += [np.array([settled, turns]), np.linspace(leaves, clock, len(way))]
        poses += [np.stack([rest, rest]), way]
        rest = leg.goal.copy()
        rest[2] = _turned(way[-1, 2], leg.goal[2], np.pi)
    rest[2] = _turned(way[-1, 2], leg.goal[2])
    return _sample(np.concatenate([*times, [clock + _SETTLE_S]]), np.concatenate([*poses, rest[np.newaxis]]))


def _sample(times: npt.NDArray[np.float64], poses: Poses) -> Poses:
    grid = np.arange(_STEPS + 1) * _STEP_S
    return np.stack([np.interp(grid, times, poses[:, i]) for i in range(3)], axis=1)


def _walk(start: Poses, goal: Poses, seconds: float, rng: np.random.Generator) -> Poses:
    """Return the poses of a walk, evenly spaced in time: it speeds up, meanders, slows down."""
    steps = max(2, round(seconds / _STEP_S))
    part = _ease(np.linspace(0, 1, steps + 1))
    distance = _distance(start, goal)
    phase = rng.uniform(0, 2 * np.pi)
    stray = rng.uniform(0.3, 1) * _MEANDER * min(1.0, distance / 100)
    sway = np.sin(np.pi * part) ** 2 * np.sin(phase + 2 * np.pi * part * distance / 130)
    x = start[0] + (goal[0] - start[0]) * part
    y = start[1] + (goal[1] - start[1]) * _ease(part) + stray * sway
    heading = np.unwrap(np.arctan2(np.gradient(y, part), np.gradient(x, part))) if distance > 0 else part * 0
    return np.stack([x, y, heading], axis=1)


def _ease(part: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a smooth way from 0 to 1."""
    smooth: npt.NDArray[np.float64] = part * part * (3 - 2 * part)
    return smooth


def _turned(heading: float, towards: float, period: float = 2 * np.pi) -> float:
    """Return the angle nearest to `heading` that equals `towards`, save for whole periods."""
    return heading + (towards - heading + period / 2) % period - period / 2


def _jiggle(rng: np.random.Generator) -> Poses:
    """Return small movements of a fly that grooms, in bouts; none at the ends of the block."""
    grid = np.arange(_STEPS + 1) * _STEP_S
    bout = np.clip(np.sin(2 * np.pi * grid / 5), 0, None)
    swings = [
        size * np.sin(2 * np.pi * grid * rng.uniform(1.5, 4) + rng.uniform(0, 6)) for size in (0.6, 0.5, 0.08)
    ]
    poses: Poses = np.stack(swings, axis=1) * bout[:, np.newaxis]
    return poses
