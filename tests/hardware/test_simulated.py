"""The simulated arena: the same again for the same seed, and truth that the picture shows."""

import cv2
import numpy as np
import pytest

from hardware import SimulatedCamera, frames
from hardware.arena.geometry import make_tubes
from hardware.arena.motion import BLOCK_S, Behaviour, Motion, make_flies
from hardware.arena.simulation import Arena

FPS = 20


@pytest.fixture(scope="module")
def arena():
    return Arena((960, 1280), FPS, seed=3)


def images_of(seed, count=3, size=(240, 320)):
    source = frames(SimulatedCamera(size=size, seed=seed))
    images = [next(source).image for _ in range(count)]
    source.close()
    return images


def region_polygons(targets):
    """Return the 20 polygons of the layout sleep-monitor-20tube, by its formula."""
    (upper, corner, lower), polygons = targets, []
    for column in range(2):
        for row in range(10):
            u = -0.033 + (2 * column + 1) * 1.066 / 4 + np.array([-1, 1, 1, -1]) * 0.975 / 4
            v = 0.0629 + (2 * row + 1) * (1 - 0.1258) / 20 + np.array([-1, -1, 1, 1]) * 0.7 / 20
            corners = corner + np.outer(1 - u, lower - corner) + np.outer(1 - v, upper - corner)
            polygons.append(corners.astype(np.float32))
    return polygons


def darkest_blob(image, fly):
    """Return centre, length and angle of the dark pixels where a fly should be."""
    x0, y0 = round(fly.x) - 24, round(fly.y) - 24
    patch = cv2.GaussianBlur(image[y0 : y0 + 49, x0 : x0 + 49], (0, 0), 0.7)
    dark = (patch < (np.median(patch) + 42) / 2).astype(np.uint8)
    _, labels, _, _ = cv2.connectedComponentsWithStats(dark)
    assert labels[24, 24] > 0, f"there is nothing dark at {fly}"
    y, x = np.nonzero(labels == labels[24, 24])
    values, vectors = np.linalg.eigh(np.cov(x, y))
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180
    return (x.mean() + x0, y.mean() + y0), 4 * np.sqrt(values[1]), angle


def test_the_same_seed_gives_the_same_frames():
    np.testing.assert_array_equal(images_of(seed=5), images_of(seed=5))


def test_another_seed_gives_other_frames():
    assert not np.array_equal(images_of(seed=5), images_of(seed=6))


def test_noise_changes_from_frame_to_frame():
    first, second, _ = images_of(seed=5)
    assert 1.0 < (first.astype(float) - second).std() / np.sqrt(2) < 4.0


def test_the_truth_of_a_frame_is_the_same_whenever_it_is_asked_for(arena):
    expected = [arena.truth(number) for number in (0, 399, 400, 5000)]
    again = [SimulatedCamera(seed=3).truth(number) for number in (5000, 400, 399, 0)]
    assert expected == again[::-1]


@pytest.mark.parametrize("number", [0, 150, 333, 777])
def test_each_fly_is_the_dark_blob_where_the_truth_says(arena, number):
    image = arena.image(number)
    for fly in arena.truth(number):
        centre, length, angle = darkest_blob(image, fly)
        assert np.hypot(centre[0] - fly.x, centre[1] - fly.y) < 1.0, fly
        assert length == pytest.approx(fly.length, rel=0.15), fly
        assert abs((angle - fly.angle + 90) % 180 - 90) < 10, fly


def test_the_truth_scales_with_the_frame():
    large, small = SimulatedCamera(seed=3).truth(70), SimulatedCamera(seed=3, size=(480, 640)).truth(70)
    for a, b in zip(large, small, strict=True):
        assert (b.x + 0.5, b.y + 0.5, b.length) == pytest.approx(
            ((a.x + 0.5) / 2, (a.y + 0.5) / 2, a.length / 2), abs=1e-3
        )
        assert b.angle == pytest.approx(a.angle, abs=0.01)


def test_the_targets_are_dark_discs_on_white(arena):
    image = arena.image(0)
    for x, y in arena.targets.round().astype(int):
        assert image[y - 10 : y + 11, x - 10 : x + 11].max() < 40
        for dx, dy in ((22, 0), (-22, 0), (0, 22), (0, -22)):
            assert image[y + dy, x + dx] > 70


def test_flies_stay_inside_of_their_regions(arena):
    polygons = region_polygons(arena.targets)
    for number in range(0, 60 * FPS, 7):
        for fly in arena.truth(number):
            distance = cv2.pointPolygonTest(polygons[fly.region - 1], (fly.x, fly.y), measureDist=True)
            assert distance > 8, fly


def test_a_fly_never_jumps(arena):
    track = np.array([[(fly.x, fly.y) for fly in arena.truth(n)] for n in range(50 * FPS)])
    steps = np.hypot(*np.moveaxis(np.diff(track, axis=0), 2, 0))
    assert steps.max() * FPS < 75  # pixels per second
    assert (steps.sum(axis=0) == 0).sum() == 2  # and two never move


@pytest.mark.parametrize("seed", range(4))
def test_every_behaviour_shows_itself_within_twenty_seconds(seed):
    rng = np.random.default_rng(seed)
    flies = make_flies(make_tubes(rng), rng)
    motion = Motion(flies, seed)
    poses = np.array([motion.poses(t) for t in np.arange(0, BLOCK_S, 0.05)])
    speed = np.hypot(*np.moveaxis(np.diff(poses[..., :2], axis=0), 2, 0)) / 0.05
    kinds = [fly.behaviour for fly in flies]

    def of(behaviour):
        return speed[:, [kind is behaviour for kind in kinds]]

    assert (of(Behaviour.STILL) == 0).all()
    assert 0 < of(Behaviour.GROOMER).max() < 25
    assert np.ptp(poses[:, [kind is Behaviour.GROOMER for kind in kinds], :2], axis=0).max() < 3
    for trace in of(Behaviour.SLEEPER).T:
        assert (trace[: 8 * FPS] == 0).all()
        assert trace[8 * FPS :].max() > 5
    for trace in of(Behaviour.RESTER).T:
        assert longest_rest(trace) > 8
        assert trace[-10 * FPS :].max() > 5
    for trace in of(Behaviour.WALKER).T:
        assert trace.max() > 15
    assert {*kinds} == {*Behaviour}


def longest_rest(speed):
    """Return the longest time without movement, in seconds."""
    moving = np.flatnonzero(np.concatenate([[1], speed > 0.5, [1]]))
    return np.diff(moving).max() / FPS
