"""The adaptive tracker: still animals, changing light, stains, clocks; and the background under it."""

import gzip
from itertools import islice

import numpy as np
import pandas as pd
import pytest

from imgstore import open_video
from tests.tracking.arenas import Arena, walk
from tests.tracking.test_trackers import LEFT, RIGHT, Filmed, distances, rectangle, track
from tracking import Status, open_layout
from tracking.clock import SteadyClock
from tracking.running import RunningBackground
from tracking.trackers.adaptive import AdaptiveSettings, AdaptiveTracker

SMALL = {"shape": (60, 100), "axes": (14, 7)}
ALL_SMALL = rectangle(1, 0, 0, 99, 59)


def live(seconds=1.5):
    """A tracker that starts from the first frames, as of a camera."""
    return AdaptiveTracker(AdaptiveSettings(start="first", first=seconds))


def test_an_animal_that_sits_for_hours_is_found_all_the_time_and_when_it_leaves():
    rate, sits, walks = 0.1, 4 * 360, 60  # frames
    path = np.concatenate(
        [walk(walks, (15, 15), (60, 40)), walk(sits + walks, (60, 40), (20, 50), rest_until=sits)]
    )
    points = track(live(300), Arena([path], rate=rate, **SMALL), [ALL_SMALL])
    sitting = points[(points["frame"] >= walks) & (points["frame"] < walks + sits)]
    assert len(sitting) >= 0.99 * sits
    assert distances(sitting, [path]).max() < 1.5
    assert len(points[points["frame"] >= walks + sits]) > 0.9 * walks
    assert np.median(distances(points[points["frame"] >= walks + sits], [path])) < 1.5


def test_an_animal_that_sat_there_from_the_start_is_found_there_and_after_it_left():
    walker = walk(300, (20, 60), (80, 70))
    sitter = walk(300, (130, 40), (175, 90), rest_until=200)
    points = track(live(), Arena([walker, sitter]), [LEFT, RIGHT])
    mine = points[points["roi"] == 2]
    sitting = mine[mine["frame"] < 200]
    assert len(sitting) == 200
    assert distances(sitting, [walker, sitter]).max() < 2
    assert (sitting["status"] == Status.BY_LOOKS).mean() > 0.9
    assert np.quantile(np.hypot(np.diff(sitting["x"]), np.diff(sitting["y"])), 0.95) < 0.5
    left = mine[mine["frame"] >= 260]
    assert len(left) == 40
    assert distances(left, [walker, sitter]).max() < 2
    assert (left["status"] == Status.DETECTED).all()


def dim(image, at):
    return image * 0.6


def shade(image, at):
    """A lamp at one side goes out."""
    return image * np.linspace(0.4, 1.1, image.shape[1])


def flood(image, at):
    """A lamp at one side goes on."""
    return np.minimum(image + np.linspace(0, 80, image.shape[1]), 255)


@pytest.mark.parametrize("change", [dim, shade, flood])
def test_a_switched_light_loses_no_animal_for_more_than_two_seconds(change):
    paths = [walk(300, (20, 60), (80, 70), rest_from=140), walk(300, (120, 30), (180, 90))]
    at = 150
    frames = Filmed(
        Arena(paths), lambda image, index: change(image, at).astype(np.uint8) if index >= at else image
    )
    points = track(live(), frames, [LEFT, RIGHT])
    for roi in (1, 2):
        late = points[(points["roi"] == roi) & (points["frame"] >= at + 40)]
        assert len(late) == 300 - at - 40
        assert distances(late, paths).max() < 3


def test_light_that_moves_slowly_leaves_a_sitting_animal_alone():
    path = walk(300, (30, 60), (70, 60), rest_from=50)
    slope = np.linspace(-1, 1, 200)
    frames = Filmed(
        Arena([path], rate=1.0),
        lambda image, index: np.clip(image * (1 + 0.3 * slope * index / 300), 0, 255).astype(np.uint8),
    )
    points = track(live(30), frames, [LEFT])
    assert len(points) > 0.98 * 300
    late = points[points["frame"] > 250]
    assert distances(late, [path]).max() < 2
    areas = points["area"]
    assert np.median(areas[-50:]) == pytest.approx(np.median(areas[50:100]), rel=0.25)


def test_a_stain_is_taken_into_the_background_and_the_animal_is_not():
    path = walk(250, (20, 20), (80, 100), rest_from=100)
    stained = np.ones((120, 200))
    stained[30:38, 70:84] = 0.6
    frames = Filmed(
        Arena([path], rate=2.0),
        lambda image, index: (image * stained).astype(np.uint8) if index >= 50 else image,
    )
    points = track(live(15), frames, [LEFT])
    assert distances(points, [path]).max() < 4
    assert len(points) > 0.98 * 250


def test_animals_may_be_dark_here_and_light_there():
    paths = [walk(100, (20, 60), (80, 70)), walk(100, (120, 30), (180, 90))]
    dark, light = Arena(paths[:1]), Arena(paths[1:], light=True)
    seam = np.arange(200) < 100

    def both(image, index):
        return np.where(seam, image, light[index].image)

    tracker = AdaptiveTracker()
    points = track(tracker, Filmed(dark, both), [LEFT, RIGHT])
    assert tracker.settings["learnt"]["polarity"] == "either"
    for roi in (1, 2):
        assert (points["roi"] == roi).sum() > 95
    assert np.median(distances(points, paths)) < 1


def test_light_animals_are_told_from_dark_ones():
    path = walk(100, (20, 60), (80, 70))
    for light in (False, True):
        tracker = live()
        points = track(tracker, Arena([path], light=light), [LEFT])
        assert tracker.settings["learnt"]["polarity"] == ("light" if light else "dark")
        assert len(points) == 100
        assert distances(points, [path]).max() < 2


def test_a_recording_gives_the_points_that_the_camera_gave():
    arena = Arena([walk(120, (20, 60), (80, 70)), walk(120, (150, 60), (150, 60))])

    first = Arena([path[:30] for path in arena.paths])  # what the camera gives before tracking starts
    tracker = live()
    tracker.prepare(first, [LEFT, RIGHT])
    now = np.concatenate([tracker.update(frame) for frame in arena])
    assert now.tobytes() == track(live(), arena, [LEFT, RIGHT]).tobytes()


@pytest.mark.parametrize("rate", [2.0, 10.0, 50.0])
def test_what_is_learnt_depends_on_seconds_not_on_frames(rate):
    mask = np.full((20, 20), 255, np.uint8)
    background = RunningBackground(np.full((20, 20), 100, np.uint8), mask)
    image = np.full((20, 20), 100, np.uint8)
    image[5:8, 5:8] = 60
    for _ in range(int(10 * rate)):
        background.follow(image, np.zeros_like(mask), 1 / rate, noise=5, half_life=10, size=9)
    assert background.image[6, 6] == pytest.approx(80, abs=1)
    assert background.image[15, 15] == 100


def test_what_is_under_an_animal_is_kept_and_follows_the_light_around_it():
    mask = np.full((40, 60), 255, np.uint8)
    animal = np.zeros_like(mask)
    animal[15:25, 20:40] = 255
    background = RunningBackground(np.full((40, 60), 100, np.uint8), mask)
    for second in range(100):
        image = np.full((40, 60), 100 + second // 4, np.uint8)
        image[animal > 0] = 30
        background.follow(image, animal, 1.0, noise=5, half_life=10, size=200)
    assert background.image[20, 30] == pytest.approx(124, abs=3)
    assert background.image[5, 5] == pytest.approx(124, abs=3)


def test_a_clock_goes_on_whatever_the_times_do():
    clock = SteadyClock()
    assert [clock.advance(time) for time in (10.0, 10.5, 11.0, 7.0, 7.5, np.nan, 8.5)] == [
        0.0,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
        1.0,
    ]
    assert clock.now == pytest.approx(3.5)


def test_the_real_flies_are_found_live(data):
    with open_video(data / "arena_10x2.mp4") as video:
        rois = open_layout("sleep-monitor-20tube").find(video[0].image).rois
        tracker = live(5.0)
        tracker.prepare(video, rois)
        points = np.concatenate([tracker.update(frame) for frame in islice(video, 600)])
    with gzip.open(data / "arena_10x2_truth_first_half.csv.gz", "rt") as file:
        truth = pd.read_csv(file)
    both = truth[truth["valid"] == 1].merge(pd.DataFrame(points), on=["roi", "frame"], how="left")
    far = np.hypot(both["x"] - both["x_abs"], both["y"] - both["y_abs"])
    assert (far < 10).mean() >= 0.97
    assert far.median() <= 1.1
    still = both[both["roi"].isin((3, 7))]
    assert still["x"].notna().all()
