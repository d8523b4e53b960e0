"""What is made of positions: distances, moving, sleep; whatever the frame rate."""

import numpy as np
import pandas as pd
import pytest

from tests.tracking.made_results import box, write_result
from tracking import Animal, MotionSettings, SettingsError, measure, open_results, summarize
from tracking.motion import bridged, common_step, covered, moving_threshold, runs, step_noise
from tracking.windows import MOVING, UNSEEN

FIRST = Animal(1, 1)


def motion_of(path, settings=None, **options):
    with open_results(path) as results:
        return measure(results, settings, **options)


def walk_and_rest(times, noise=0.05, seed=0):
    """Return the way of an animal that goes 5 px/s for 40 s, rests for 400 s, goes back for 40 s, rests."""
    goes = np.interp(times - times[0], [0, 40, 440, 480], [50, 250, 250, 50])
    random = np.random.default_rng(seed)
    return np.column_stack([goes, np.full(len(times), 50.0)]) + random.normal(0, noise, (len(times), 2))


@pytest.mark.parametrize("rate", [2, 5, 30])
def test_distance_moving_and_sleep_do_not_depend_on_the_frame_rate(tmp_path, rate):
    times = 1e9 + np.arange(0, 900, 1 / rate)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: walk_and_rest(times)}, mm_per_pixel=0.1)
    with open_results(path) as results:
        (line,) = summarize(results).animals
    assert line.distance_px == pytest.approx(400, rel=0.03)
    assert line.distance_mm == pytest.approx(line.distance_px * 0.1)
    assert line.speed_px_s == pytest.approx(5, rel=0.05)
    assert line.moving_s == pytest.approx(80, abs=3)
    assert line.asleep_s == pytest.approx(820, abs=6)
    assert line.sleep_bouts == 2
    assert line.longest_sleep_s == pytest.approx(420, abs=4)
    assert line.found == 1


def test_noise_is_known_from_animals_that_rest(tmp_path):
    times = 1e9 + np.arange(0, 900, 0.5)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: walk_and_rest(times, noise=0.3)})
    motion = motion_of(path)
    assert motion.window == 1.0
    # A step is a difference of two means of two positions each.
    assert motion.noise == pytest.approx(0.3, rel=0.25)
    assert motion.moving_above == pytest.approx(max(5 * motion.noise, 20 / 20))


def test_noise_alone_is_neither_movement_nor_distance(tmp_path):
    times = 1e9 + np.arange(0, 3600, 0.5)
    random = np.random.default_rng(1)
    ways = {Animal(roi, 1): random.normal(50, 0.4, (len(times), 2)) for roi in (1, 2)}
    with open_results(write_result(tmp_path / "a.tracks.h5", times, ways)) as results:
        for line in summarize(results).animals:
            assert line.distance_px == 0
            assert line.asleep_s == 3600


def test_sleep_takes_five_minutes(tmp_path):
    times = 1e9 + np.arange(0, 1000, 0.5)
    way = np.interp(times - times[0], [0, 290, 300, 640, 650, 999], [10, 10, 100, 100, 200, 200])
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: np.column_stack([way, way * 0])})
    bouts = motion_of(path).sleep(FIRST)
    assert [(bout.start - 1e9, bout.duration) for bout in bouts] == [(300, 340), (650, 350)]
    longer = motion_of(path, MotionSettings(sleep_after=345))
    assert [bout.duration for bout in longer.sleep(FIRST)] == [350]


@pytest.mark.parametrize("start", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("speed", [3.0, 200.0])
def test_an_animal_moves_when_it_moves_and_at_no_other_time(tmp_path, start, speed):
    times = 1e9 + start + np.arange(0, 20, 0.05)
    way = 9 + speed * np.clip(times - 1e9 - 10, 0, 4)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: np.column_stack([way, way * 0])})
    motion = motion_of(path)
    trace = motion.traces[FIRST]
    assert np.flatnonzero(trace.states == MOVING).tolist() == [10, 11, 12, 13]
    middle = (trace.steps * (np.arange(len(trace.steps)) + 0.5))[np.isfinite(trace.steps)].sum()
    assert middle / np.nansum(trace.steps) == pytest.approx(12, abs=0.05)
    with open_results(path) as results:
        (line,) = summarize(results).animals
    assert (line.moving_s, line.immobile_s) == (pytest.approx(4), pytest.approx(16))
    assert line.distance_px == pytest.approx(4 * speed, rel=0.07)  # slow starts are noise
    assert line.unseen_s == 0


@pytest.mark.parametrize("start", [0.0, 0.2, 0.5, 0.97])
@pytest.mark.parametrize("seconds", [0.6, 20, 600])
def test_an_animal_does_something_for_as_long_as_it_is_filmed(tmp_path, start, seconds):
    times = 1e9 + start + np.arange(0, seconds - 1e-4, 0.05)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: np.full((len(times), 2), 5.0)})
    with open_results(path) as results:
        (line,) = summarize(results).animals
        assert measure(results).bins(FIRST, 60.0).seconds.sum() == pytest.approx(seconds, abs=0.06)
    assert line.moving_s + line.immobile_s + line.unseen_s == pytest.approx(seconds, abs=0.06)
    assert line.asleep_s == (line.immobile_s if seconds > 300 else 0)


def test_a_short_jerk_is_movement_of_a_second(tmp_path):
    times = 1e9 + np.arange(0, 60, 0.05)
    way = np.where(times > 1e9 + 30.3, 60.0, 10.0)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: np.column_stack([way, way])})
    assert np.flatnonzero(motion_of(path).traces[FIRST].states == MOVING).tolist() == [30]


def test_noise_is_not_known_of_an_animal_that_never_rests(tmp_path):
    times = 1e9 + np.arange(0, 60, 0.05)
    runs_round = 100 + 90 * np.column_stack([np.sin(times), np.cos(times)])
    ways = {FIRST: runs_round, Animal(2, 1): np.full((len(times), 2), 5.0)}
    motion = motion_of(write_result(tmp_path / "a.tracks.h5", times, ways))
    assert np.isnan(motion.noise_of(FIRST))
    assert motion.noise == 0
    alone = motion_of(write_result(tmp_path / "b.tracks.h5", times, {FIRST: runs_round}))
    assert np.isnan(alone.noise)
    assert alone.moving_above == pytest.approx(20 / 4)


def test_short_gaps_are_bridged_and_long_ones_unknown(tmp_path):
    times = 1e9 + np.arange(0, 1000, 0.5)
    way = np.full((len(times), 2), 30.0)
    way[200:216] = np.nan
    way[1000:1100] = np.nan
    motion = motion_of(write_result(tmp_path / "a.tracks.h5", times, {FIRST: way}))
    states = motion.traces[FIRST].states
    assert (np.flatnonzero(states == UNSEEN) == np.arange(500, 550)).all()
    assert motion.bins(FIRST, 1000.0, start=1e9).found[0] == pytest.approx(1 - 58 / 1000)
    assert len(motion.sleep(FIRST)) == 2


def test_scores_are_means_of_what_was_found(tmp_path):
    times = 1e9 + np.arange(0, 100, 0.5)
    way = np.full((len(times), 2), 30.0)
    way[20:80] = np.nan
    score = np.where(np.arange(len(times)) < 100, 0.9, 0.5)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: way}, score=score)
    motion = motion_of(path)
    assert motion.bins(FIRST, 10.0).score == pytest.approx([0.9, *[np.nan] * 3, 0.9, *[0.5] * 5], nan_ok=True)
    assert motion.traces[FIRST].score == pytest.approx((40 * 0.9 + 100 * 0.5) / 140)
    with open_results(path) as results:
        assert summarize(results).animals[0].score == motion.traces[FIRST].score


def test_what_was_not_filmed_is_a_gap(tmp_path):
    times = 1e9 + np.concatenate([np.arange(0, 600, 0.5), np.arange(4200, 4800, 0.5)])
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: np.full((len(times), 2), 7.0)})
    motion = motion_of(path)
    bins = motion.bins(FIRST, 600.0, start=1e9 - 1e9 % 600)
    filmed = bins.seconds > 0
    assert bins.seconds.sum() == 1200
    assert np.isnan(bins.found[~filmed]).all()
    assert (bins.seen[~filmed] == 0).all()
    with open_results(path) as results:
        (line,) = summarize(results).animals
    assert (line.immobile_s, line.unseen_s, line.sleep_bouts) == (1200, 0, 2)


def test_what_all_animals_do_together_is_the_camera(tmp_path):
    times = 1e9 + np.arange(0, 600, 0.5)
    random = np.random.default_rng(2)
    shaken = np.cumsum(np.where(np.arange(1200) % 100 == 51, 2.0, 0.0))  # 2 px to the right now and then
    ways = {}
    for roi in range(1, 9):
        ways[Animal(roi, 1)] = 50 + random.normal(0, 0.05, (1200, 2)) + np.outer(shaken, (1, 0))
    ways[Animal(8, 1)][:, 0] += np.arange(1200) * 2.5  # one walks all the time
    path = write_result(tmp_path / "a.tracks.h5", times, ways)
    motion = motion_of(path)
    assert motion.shaken == 12
    assert (motion.traces[FIRST].states != MOVING).all()
    assert (motion.traces[Animal(8, 1)].states == MOVING).all()
    kept = motion_of(path, MotionSettings(remove_shake=False))
    assert (kept.traces[FIRST].states == MOVING).sum() == 12


def test_animals_that_go_their_own_ways_do_not_shake_the_camera():
    random = np.random.default_rng(3)
    for animals in (5, 6, 8, 20):
        dx, dy = random.normal(0, 5, (2, animals, 5000))
        assert (common_step(dx, dy) == 0).mean() > 0.999
    dx[:, 7] = np.nan
    assert (common_step(dx, dy)[:, 7] == 0).all()
    assert not common_step(dx[:4], dy[:4] * 0 + 3).any()


def test_frames_that_come_out_of_order_and_clocks_that_step_count_where_they_belong(tmp_path):
    times = 1e9 + np.arange(0, 60, 0.5)
    swapped = times.copy()
    swapped[40:60] = times[20:40]  # the clock stepped back by 10 s
    swapped[70] = np.nan
    path = write_result(tmp_path / "a.tracks.h5", swapped, {FIRST: np.full((len(times), 2), 5.0)})
    motion = motion_of(path)
    assert motion.total_frames == 119
    assert motion.traces[FIRST].points.max() == 4
    assert (motion.traces[FIRST].x[np.isfinite(motion.traces[FIRST].x)] == 5).all()


def test_a_result_that_grows_meanwhile_is_measured_as_far_as_it_was(tmp_path, monkeypatch):
    times = 1e9 + np.arange(0, 600, 0.5)
    way = np.full((len(times), 2), 5.0)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: way})
    with open_results(path) as results:
        whole = results.frame_blocks
        sizes = iter([500])  # the first look sees less than the second

        def grown():
            some = next(sizes, None)
            yield from (block[:some] for block in whole())

        monkeypatch.setattr(results, "frame_blocks", grown)
        motion = measure(results)
    assert motion.total_frames == 500
    assert motion.traces[FIRST].points.sum() == 500


def test_rare_frames_lengthen_the_window(tmp_path):
    times = 1e9 + np.arange(0, 7200, 30.0)
    way = np.column_stack([np.arange(len(times)) * 3.0, np.zeros(len(times))])
    motion = motion_of(
        write_result(tmp_path / "a.tracks.h5", times, {FIRST: way}), MotionSettings(moving_above=0.05)
    )
    assert motion.window == 60
    assert motion.bins(FIRST, 1e9).distance.sum() == pytest.approx(3 * len(times), rel=0.03)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_next_to_nothing_can_be_measured(tmp_path, count):
    times = 1e9 + np.arange(float(count))
    path = write_result(
        tmp_path / "a.tracks.h5",
        times,
        {FIRST: np.full((count, 2), 5.0)},
        rois=[box(1), box(2, name="empty")],
    )
    with open_results(path) as results:
        lines = summarize(results).animals
    assert [(line.roi, line.identity, line.region) for line in lines] == [
        (1, min(count, 1), ""),
        (2, 0, "empty"),
    ]
    assert lines[1].found == 0


def test_large_results_are_measured_in_files_that_nobody_sees(tmp_path, monkeypatch):
    times = 1e9 + np.arange(0, 900, 0.5)
    path = write_result(tmp_path / "a.tracks.h5", times, {FIRST: walk_and_rest(times)})
    with open_results(path) as results:
        before = summarize(results).table()
    monkeypatch.setattr("tracking.windows._IN_MEMORY", 10)
    with open_results(path) as results:
        pd.testing.assert_frame_equal(summarize(results).table(), before)


def test_gaps_and_runs():
    gaps = np.array([np.nan, 1, np.nan, 3, np.nan, np.nan, np.nan, 7, np.nan])
    np.testing.assert_array_equal(bridged(gaps, 2), [np.nan, 1, 2, 3, np.nan, np.nan, np.nan, 7, np.nan])
    mask = np.array([1, 1, 0, 1, 0, 0, 1], bool)
    assert runs(mask).tolist() == [[0, 2], [3, 4], [6, 7]]
    assert (covered(runs(mask), len(mask)) == mask).all()
    assert np.isnan(step_noise(np.array([np.nan])))


def test_the_threshold_is_sane_where_little_is_known():
    assert moving_threshold(np.nan, np.nan, 1) == 1
    assert moving_threshold(0.0, 30, 1) == pytest.approx(1.5)
    assert moving_threshold(40.0, 60, 1) == pytest.approx(15)  # it never rests: noise is not that high


@pytest.mark.parametrize("wrong", [{"window": 0}, {"moving_above": -1}, {"sleep_after": 0}, {"bridge": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(SettingsError):
        MotionSettings(**wrong)
