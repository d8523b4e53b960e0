"""What every tracker of the table does."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pytest

from imgstore import Frame, FrameSpec, UnknownNameError
from tests.tracking.arenas import Arena, walk
from tracking import (
    POINT,
    ROI,
    TRACKERS,
    EmptyRecordingError,
    RegionError,
    SettingsError,
    describe_settings,
    dump_settings,
    load_settings,
)


def rectangle(number, left, top, right, bottom):
    return ROI(np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float), number)


LEFT, RIGHT = rectangle(1, 0, 0, 99, 119), rectangle(2, 100, 0, 199, 119)
WHOLE = rectangle(1, 0, 0, 199, 119)
COUNT = 60


@pytest.fixture(params=TRACKERS.names())
def kind(request, detector):
    """A function that makes one kind of tracker."""
    needed = {"detector": detector} if request.param == "external" else {}
    factory = TRACKERS.get(request.param)

    def make(**settings):
        return factory({**needed, **settings})

    make.name, make.factory = request.param, factory
    return make


class Filmed:
    """An arena as another camera gives it."""

    def __init__(self, arena, convert=lambda image, index: image, times=None):
        self._arena, self._convert = arena, convert
        image = arena[0].image if len(arena) else np.zeros(arena.spec.shape, np.uint8)
        image = convert(image, 0)
        self.spec = FrameSpec(image.shape, image.dtype)
        self.numbers = arena.numbers
        self.times = arena.times if times is None else np.asarray(times, float)

    def __len__(self):
        return len(self._arena)

    def __getitem__(self, index):
        image = self._convert(self._arena[index].image, int(index) % len(self))
        return Frame(image, index, index, float(self.times[index]))

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def close(self):
        """Nothing is open."""


def walks(count=COUNT):
    return [walk(count, (15, 30), (85, 90)), walk(count, (185, 95), (115, 25))]


def track(tracker, frames, rois):
    tracker.prepare(frames, rois)
    return np.concatenate([*(tracker.update(frame) for frame in frames), tracker.finish()])


def distances(points, paths):
    truth = np.array(paths)[points["roi"].astype(int) - 1, points["frame"]]
    return np.hypot(points["x"] - truth[:, 0], points["y"] - truth[:, 1])


def assert_followed(points, paths, share=0.8, near=3.0, name=""):
    """Fail unless the animals are found in most frames, and there."""
    if name == "difference":
        near = 13.0  # half a body: of a slow animal it sees the front
    assert len(points) >= share * sum(np.isfinite(path[:, 0]).sum() for path in paths)
    assert np.median(distances(points, paths)) < near


def test_walking_animals_are_followed_and_the_points_say_where_and_when(kind):
    tracker, arena = kind(), Arena(walks())
    background = tracker.prepare(arena, [LEFT, RIGHT])
    assert (background.shape, background.dtype) == (arena.spec.shape, np.uint8)
    points = np.concatenate([*(tracker.update(frame) for frame in arena), tracker.finish()])
    assert points.dtype == POINT
    assert_followed(points, walks(), name=kind.name)
    assert set(points["identity"].tolist()) == {1}
    assert ((points["score"] > 0) & (points["score"] <= 1)).all()
    order = points["frame"].astype(int) * 10 + points["roi"]
    assert (np.diff(order) > 0).all()


def test_settings_are_plain_values_before_and_after_looking(kind):
    tracker = kind()
    before = json.loads(json.dumps(tracker.settings))
    tracker.prepare(Arena(walks()), [LEFT, RIGHT])
    after = json.loads(json.dumps(tracker.settings))
    for one in describe_settings(kind.factory.settings):
        assert before[one.name] == after[one.name]


def test_every_setting_is_documented_and_its_range_is_kept(kind):
    for one in describe_settings(kind.factory.settings):
        assert one.help
        assert one.range_text
        for bound, beyond in ((one.least, -1), (one.most, 1)):
            if bound is not None:
                kind(**{one.name: str(bound)})
                with pytest.raises(SettingsError, match=one.name):
                    kind(**{one.name: bound + beyond})
        for choice in one.choices:
            assert kind(**{one.name: choice}).settings[one.name] == choice
        if one.kind is not str or one.choices:
            with pytest.raises(SettingsError, match=one.name):
                kind(**{one.name: "nothing of the kind"})
        with pytest.raises(UnknownNameError, match=f"did you mean '{one.name}'"):
            kind(**{one.name + "s": one.default})


def test_settings_go_through_a_file_unchanged(kind, tmp_path):
    settings = kind.factory.settings()
    path = tmp_path / "a.yaml"
    path.write_text(dump_settings(settings))
    assert kind.factory.settings(**load_settings(path)) == settings


def test_the_same_frames_give_the_same_points(kind):
    arena = Arena(walks())
    first, second = (track(kind(), arena, [LEFT, RIGHT]) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_a_tracker_that_splits_detects_in_any_order_and_process(kind):
    tracker, arena = kind(), Arena(walks())
    if not hasattr(tracker, "detect"):
        pytest.skip(f"{kind.name} needs frames in order")
    tracker.prepare(arena, [LEFT, RIGHT])
    elsewhere = pickle.loads(pickle.dumps(tracker))  # noqa: S301  # our own
    seen = {index: elsewhere.detect(arena[index]) for index in reversed(range(COUNT))}
    linked = np.concatenate([*(tracker.link(seen[index]) for index in range(COUNT)), tracker.finish()])
    assert linked.tobytes() == track(kind(), arena, [LEFT, RIGHT]).tobytes()


def test_a_causal_tracker_says_at_once_where_animals_are(kind):
    if not kind.factory.causal:
        pytest.skip(f"{kind.name} waits for later frames")
    tracker, arena = kind(), Arena(walks())
    tracker.prepare(arena, [LEFT, RIGHT])
    for index, frame in enumerate(arena):
        assert set(tracker.update(frame)["frame"].tolist()) <= {index}
    assert len(tracker.finish()) == 0


CONVERSIONS = {
    "colour": lambda image, index: np.repeat(image[:, :, None], 3, axis=2),
    "16 bit": lambda image, index: image.astype(np.uint16) * 16,
    "float": lambda image, index: (image / 255).astype(np.float32),
}


@pytest.mark.parametrize("pixels", CONVERSIONS)
def test_pixels_of_any_kind_are_tracked(kind, pixels):
    points = track(kind(), Filmed(Arena(walks()), CONVERSIONS[pixels]), [LEFT, RIGHT])
    assert_followed(points, walks(), name=kind.name)


def times_with(change):
    times = 1000 + np.arange(COUNT) / 20
    change(times)
    return times


def jump(seconds):
    def change(times):
        times[COUNT // 2 :] += seconds

    return change


def forget(times):
    times[5::7] = np.nan


@pytest.mark.parametrize(
    "change", [jump(3600), jump(-3600), forget], ids=["gap", "clock set back", "times that are none"]
)
def test_clocks_that_jump_lose_no_animal(kind, change):
    frames = Filmed(Arena(walks()), times=times_with(change))
    assert_followed(track(kind(), frames, [LEFT, RIGHT]), walks(), name=kind.name)


def test_frames_without_a_picture_have_no_points_and_do_no_harm(kind):
    dark = range(20, 26)
    frames = Filmed(Arena(walks()), lambda image, index: np.zeros_like(image) if index in dark else image)
    points = track(kind(), frames, [LEFT, RIGHT])
    late = points[points["frame"] >= 40]
    assert len(late) >= 0.8 * 2 * (COUNT - 40)
    assert np.median(distances(late, walks())) < (13 if kind.name == "difference" else 3)


def test_where_no_animal_is_none_is_found(kind):
    nobody = np.full((1, COUNT, 3), np.nan)
    assert len(track(kind(), Arena(nobody), [LEFT, RIGHT])) == 0


def test_many_regions_are_kept_apart(kind):
    starts = [(left, top) for left in range(0, 300, 50) for top in range(0, 160, 40)]
    rois = [rectangle(n + 1, x, y, x + 48, y + 38) for n, (x, y) in enumerate(starts)]
    paths = [walk(COUNT, (x + 10, y + 10), (x + 38, y + 28)) for x, y in starts]
    arena = Arena(paths, shape=(160, 300), axes=(14, 7))
    points = track(kind(), arena, rois)
    assert_followed(points, paths, near=2, name=kind.name)
    assert set(points["roi"].tolist()) == set(range(1, len(rois) + 1))


def test_what_is_outside_of_a_region_is_not_seen(kind):
    triangle = ROI(np.array([(0.0, 0.0), (90.0, 0.0), (0.0, 110.0)]), 1)
    outside = walk(COUNT, (85, 100), (95, 60))
    inside = walk(COUNT, (15, 15), (20, 60))
    points = track(kind(), Arena([inside, outside]), [triangle])
    assert distances(points, [inside]).max() < 14


def test_what_cannot_be_tracked_is_refused(kind):
    with pytest.raises(EmptyRecordingError):
        kind().prepare(Arena(np.empty((1, 0, 3))), [WHOLE])
    with pytest.raises(RegionError, match="outside"):
        kind().prepare(Arena(walks()), [rectangle(1, 500, 500, 600, 600)])
    with pytest.raises(RuntimeError, match="prepare"):
        kind().update(Arena(walks())[0])


def test_names_in_the_table_say_what_they_are_good_for():
    summaries = [TRACKERS.get(name).summary for name in TRACKERS.names()]
    assert all(summaries)
    assert all(one != other for one, other in pairwise(summaries))


@pytest.mark.parametrize("name", ["archive", "adaptive", "difference"])
def test_a_threshold_that_is_given_goes_before_the_one_that_is_learnt(name):
    walks_far = Arena([walk(COUNT, (15, 30), (185, 95))])
    areas = []
    for threshold in (15, 45, 200):
        points = track(TRACKERS.get(name)({"threshold": threshold}), walks_far, [WHOLE])
        areas.append(np.median(points["area"]) if len(points) else 0)
    assert areas[0] > areas[1] > areas[2] == 0
