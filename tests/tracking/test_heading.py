"""Head and tail, told from motion; and how bright an animal is."""

import numpy as np
import pytest

from tests.tracking.arenas import Arena, walk
from tracking import ROI, Status
from tracking.heading import Headings, LiveHeadings, headings
from tracking.points import new_points
from tracking.trackers.archive import ArchiveSettings, ArchiveTracker

WHOLE = ROI(np.array([(0.0, 0.0), (199.0, 0.0), (199.0, 119.0), (0.0, 119.0)]), 1)


def path(x, y, angle, rate=20.0):
    """Return the points of one animal, and their times."""
    points = new_points(len(x))
    points["frame"] = np.arange(len(x))
    points["roi"] = points["identity"] = 1
    points["x"], points["y"], points["angle"], points["length"] = x, y, angle, 20
    return points, 1000 + np.arange(len(x)) / rate


@pytest.mark.parametrize("direction", [0.0, 37.0, 90.0, 179.5, 200.0, 359.0])
def test_the_head_is_where_an_animal_goes(direction):
    gone = np.arange(60) * 2.0
    cos, sin = np.cos(np.radians(direction)), np.sin(np.radians(direction))
    found = headings(*path(gone * cos, gone * sin, np.full(60, direction % 180)))
    np.testing.assert_allclose((found - direction + 180) % 360 - 180, 0, atol=1e-3)


def test_an_animal_that_turns_keeps_its_head():
    heading = np.linspace(0, 720, 200)
    steps = 2 * np.exp(1j * np.radians(heading))
    places = np.cumsum(steps)
    found = headings(*path(places.real, places.imag, heading % 180))
    assert np.abs((found - heading + 180) % 360 - 180).max() < 1


def test_one_that_rests_shows_no_head_and_one_that_is_not_seen_clearly_neither():
    x = np.concatenate([np.zeros(60), np.arange(60) * 2.0])
    points, times = path(x, np.zeros(120), np.zeros(120))
    points["status"][90:95] = Status.MERGED
    found = headings(points, times)
    assert np.isnan(found[:45]).all()
    assert np.isnan(found[90:95]).all()
    assert (found[65:90] == 0).all()


def test_a_heading_that_is_told_at_once_is_the_one_that_is_told_later_once_the_animal_has_moved():
    heading = 40 + np.linspace(0, 500, 200)
    places = np.cumsum(np.where(np.arange(200) < 100, 2.0, 0.0) * np.exp(1j * np.radians(heading)))
    points, times = path(places.real, places.imag, heading % 180)
    later, stage = headings(points, times), LiveHeadings()
    now = np.concatenate(
        [stage.append(points[n : n + 1].copy(), float(times[n]))["heading"] for n in range(200)]
    )
    assert np.isnan(now[:3]).all()
    assert np.abs((now[10:100] - later[10:100] + 180) % 360 - 180).max() < 1
    assert np.isnan(now[140:]).all()


def test_headings_do_not_depend_on_how_points_come():
    random = np.random.default_rng(0)
    heading = np.cumsum(random.normal(0, 8, 10000))
    places = np.cumsum(np.where(random.random(10000) < 0.5, 2, 0) * np.exp(1j * np.radians(heading)))
    points, times = path(places.real, places.imag, heading % 180)
    stage = Headings()
    parts = [stage.append(points[n : n + 7], times[n : n + 7]) for n in range(0, len(points), 7)]
    found = np.concatenate([*parts, stage.finish()])
    np.testing.assert_array_equal(found["frame"], points["frame"])
    np.testing.assert_allclose(found["heading"], headings(points, times), rtol=1e-5)


def test_a_clock_that_is_set_back_or_unknown_stops_nothing():
    points, times = path(np.arange(60) * 2.0, np.zeros(60), np.zeros(60))
    times[30:] -= 500
    times[10] = np.nan
    stage = Headings()
    found = np.concatenate([stage.append(points, times), stage.finish()])
    assert len(found) == 60
    assert (found["heading"][40:] == 0).all()


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
def test_the_intensity_is_that_of_the_recording_and_the_heading_is_in_the_points(light):
    arena = Arena([walk(80, (170, 60), (30, 60))], light=light, level=80)
    tracker = ArchiveTracker(ArchiveSettings(polarity="light" if light else "dark"))
    tracker.prepare(arena, [WHOLE])
    points = np.concatenate([*(tracker.update(frame) for frame in arena), tracker.finish()])
    assert np.abs(points["heading"] - 180).max() < 6
    point = points[40]
    image = arena[40].image
    row, column = round(float(point["y"])), round(float(point["x"]))
    middle = image[row - 2 : row + 3, column - 3 : column + 4].mean()
    assert point["intensity"] == pytest.approx(middle, abs=20)
