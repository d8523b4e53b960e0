"""Regions that follow a camera that was knocked."""

import cv2
import numpy as np
import pytest

from tests.tracking.dishes import draw_dishes, draw_targets, photograph
from tracking import Regions, open_layout, realign

DISHES = [(150.0, 150.0, 100.0), (450.0, 160.0, 100.0), (300.0, 360.0, 90.0)]
TARGETS = np.array([(560.0, 60.0), (566.0, 420.0), (40.0, 426.0)])


def knock(image, dx, dy, degrees=0.0, *, seed=1, gain=1.0):
    """Return a picture, and the matrix of how it moved: turned about its middle, then shifted."""
    matrix = cv2.getRotationMatrix2D(((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2), -degrees, 1.0)
    matrix[:, 2] += dx, dy
    moved = cv2.warpAffine(
        image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return photograph(gain * moved, noise=2.0, seed=seed), matrix


def put_animals(image, seed):
    """Return a picture with a few dark animals somewhere."""
    canvas = image.copy()
    for x, y in np.random.default_rng(seed).uniform((80, 80), (560, 400), (6, 2)):
        cv2.ellipse(canvas, ((x, y), (26, 12), 30 * seed), 40, -1)
    return canvas


def errors(regions, moved, matrix):
    """Return how far the corners of regions are from where they should be, pixels."""
    should = [roi.polygon @ matrix[:, :2].T + matrix[:, 2] for roi in regions.rois]
    is_at = [roi.polygon for roi in moved.rois]
    return np.hypot(*(np.concatenate(should) - np.concatenate(is_at)).T)


@pytest.mark.parametrize(
    ("dx", "dy", "degrees"),
    [(0, 0, 0), (1.4, -0.6, 0), (-12, 7.5, 0), (35, -28, 0), (6, -4, 1.5), (0, 3, -3)],
)
@pytest.mark.parametrize("gain", [1.0, 0.7], ids=["same light", "dimmer"])
def test_regions_follow_the_picture_of_a_shaken_camera(dx, dy, degrees, gain):
    arena = draw_dishes(DISHES)
    regions = open_layout("circles:3").find(arena)
    image, matrix = knock(put_animals(arena, 2), dx, dy, degrees, gain=gain)
    done = realign(regions, put_animals(arena, 1), image)
    assert done.how == "picture"
    assert done.confidence > 0.5
    assert errors(regions, done.regions, matrix).max() < 0.6
    assert done.turn == pytest.approx(degrees, abs=0.1)


@pytest.mark.parametrize(("dx", "dy", "degrees"), [(0, 0, 0), (-9, 5, 0), (12, 10, -2)])
def test_regions_on_targets_follow_the_targets(dx, dy, degrees):
    arena = draw_targets(TARGETS)
    regions = open_layout("sleep-monitor-20tube").find(arena)
    image, matrix = knock(arena, dx, dy, degrees)
    done = realign(regions, arena, image)
    assert done.how == "targets"
    assert done.confidence > 0.7
    assert errors(regions, done.regions, matrix).max() < 0.8
    np.testing.assert_allclose(done.regions.targets, TARGETS @ matrix[:, :2].T + matrix[:, 2], atol=0.6)


def test_regions_on_targets_of_which_one_is_covered_follow_the_picture():
    arena = draw_targets([*TARGETS, (200.0, 150.0), (330.0, 260.0)])
    regions = open_layout("sleep-monitor-20tube").find(arena)
    image, matrix = knock(arena, 8, -5)
    image[30:80, 540:600] = 200
    done = realign(regions, arena, image)
    assert done.how == "picture"
    assert errors(regions, done.regions, matrix).max() < 0.6


def test_another_picture_gives_no_confidence_and_leaves_regions():
    arena = draw_dishes(DISHES)
    regions = open_layout("circles:3").find(arena)
    for other in (photograph(np.full(arena.shape, 120.0), seed=5), np.zeros_like(arena)):
        done = realign(regions, arena, other)
        assert done.confidence < 0.5
        assert done.regions is regions
    assert realign(Regions([]), arena, arena).confidence == pytest.approx(1, abs=0.01)


def test_a_realignment_is_an_event():
    arena = draw_dishes(DISHES)
    regions = open_layout("circles:3").find(arena)
    image, _ = knock(arena, 5, 0)
    event = realign(regions, arena, image).event(12.5)
    assert (event.time, event.roi, event.kind) == (12.5, 0, "regions-realigned")
    assert event.detail["shift"] == pytest.approx(5, abs=0.3)
    assert event.detail["how"] == "picture"
