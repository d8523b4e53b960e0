"""The archive tracker on arenas with known animals, and on real recordings."""

import gzip

import numpy as np
import pandas as pd
import pytest

from imgstore import Frame, FrameSpec, UnknownNameError, open_video
from tests.tracking.arenas import Arena, walk
from tracking import (
    ROI,
    TRACKERS,
    EmptyRecordingError,
    SettingsError,
    Status,
    open_layout,
    open_results,
    retrack,
)
from tracking.trackers.archive import ArchiveSettings, ArchiveTracker

LEFT = ROI(np.array([(0.0, 0.0), (99.0, 0.0), (99.0, 119.0), (0.0, 119.0)]), 1)
RIGHT = ROI(np.array([(100.0, 0.0), (199.0, 0.0), (199.0, 119.0), (100.0, 119.0)]), 2)


def tracked(arena, rois, tracker=None):
    tracker = tracker or ArchiveTracker()
    tracker.prepare(arena, rois)
    return np.concatenate([*(tracker.update(frame) for frame in arena), tracker.finish()])


def distances(points, roi, path):
    mine = points[points["roi"] == roi]
    truth = path[mine["frame"]]
    return np.hypot(mine["x"] - truth[:, 0], mine["y"] - truth[:, 1])


@pytest.mark.parametrize("light", [False, True], ids=["dark animals", "light animals"])
def test_animals_that_walk_rest_leave_and_never_move_are_all_found(light):
    count = 200
    paths = [
        walk(count, (20, 60), (80, 70)),
        walk(count, (150, 60), (150, 60)),
    ]
    arena = Arena(paths, light=light)
    points = tracked(arena, [LEFT, RIGHT], ArchiveTracker())
    for roi, path in enumerate(paths, 1):
        far = distances(points, roi, path)
        assert len(far) == count
        assert np.median(far) < 0.6
        assert far.max() < 2.5
    still = points[points["roi"] == 2]
    assert (still["status"] == Status.BY_LOOKS).all()
    assert np.quantile(np.hypot(np.diff(still["x"]), np.diff(still["y"])), 0.95) < 0.5
    assert (points["score"] > 0.9).all()


def test_an_animal_that_rests_for_most_of_the_time_and_then_leaves_is_found_in_both_places():
    count = 300
    path = walk(count, (130, 30), (180, 90), rest_until=260, rest_from=290)
    mover = walk(count, (20, 60), (80, 70))
    points = tracked(Arena([mover, path]), [LEFT, RIGHT])
    far = distances(points, 2, path)
    assert len(far) == count
    assert (far < 4).mean() > 0.99


@pytest.mark.parametrize("light", [[1.0, 0.6], [0.5, 1.0], [1.0, 0.85, 1.0, 0.85, 1.0]], ids=str)
def test_a_change_of_light_loses_no_animal(light):
    paths = [walk(200, (20, 60), (80, 70)), walk(200, (150, 60), (150, 60))]
    arena = Lit(Arena(paths), light)
    points = tracked(arena, [LEFT, RIGHT])
    for roi, path in enumerate(paths, 1):
        far = distances(points, roi, path)
        assert len(far) == 200
        assert far.max() < 4


def test_light_that_moves_over_the_arena_loses_no_animal():
    count = 240
    paths = [walk(count, (20, 60), (80, 70)), walk(count, (150, 60), (150, 60))]
    arena, slope = Arena(paths), np.linspace(-1, 1, 200)

    class Sunny(Lit):
        """Light that goes from left to right."""

        def __getitem__(self, index):
            frame = self._arena[index]
            lit = frame.image * (1 + 0.35 * slope * np.cos(np.pi * index / count))
            return Frame(np.clip(lit, 0, 255).astype(np.uint8), index, index, frame.time)

    points = tracked(Sunny(arena, [1.0]), [LEFT, RIGHT])
    for roi, path in enumerate(paths, 1):
        far = distances(points, roi, path)
        assert len(far) == count
        assert far.max() < 3


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_pixels_of_any_depth_are_tracked(dtype):
    path = walk(100, (20, 60), (80, 70))
    arena = Lit(Arena([path]), [16.0 if dtype == "uint16" else 1 / 255], dtype)
    assert np.median(distances(tracked(arena, [LEFT]), 1, path)) < 0.6


class Lit:
    """An arena under a light that changes in steps, in pixels of another type."""

    def __init__(self, arena, light, dtype="uint8"):
        self._arena, self._light = arena, light
        self.spec = FrameSpec(arena.spec.shape, np.dtype(dtype))
        self.numbers, self.times = arena.numbers, arena.times

    def __len__(self):
        return len(self._arena)

    def __getitem__(self, index):
        frame = self._arena[index]
        factor = self._light[index * len(self._light) // len(self)]
        return Frame((frame.image * factor).astype(self.spec.dtype), index, index, frame.time)

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def close(self):
        """Nothing is open."""


def test_a_stain_is_not_taken_for_the_animal():
    path = walk(200, (120, 30), (185, 95))
    mover = walk(200, (20, 60), (80, 70))
    points = tracked(Arena([mover, path], stains=[(150, 20, 50), (30, 100, 40)]), [LEFT, RIGHT])
    for roi, truth in ((1, mover), (2, path)):
        assert distances(points, roi, truth).max() < 3


def test_points_wait_for_few_frames_while_nothing_is_doubtful():
    arena, tracker = Arena([walk(300, (20, 60), (80, 70))]), ArchiveTracker()
    tracker.prepare(arena, [LEFT])
    came = np.cumsum([len(tracker.update(frame)) for frame in arena])
    assert (np.arange(1, 301) - came).max() < 100


def test_an_animal_that_is_not_there_is_not_found():
    mover = walk(200, (20, 60), (80, 70))
    gone = walk(200, (120, 30), (185, 95))
    gone[80:140] = np.nan
    points = tracked(Arena([mover, gone]), [LEFT, RIGHT])
    frames = set(points[points["roi"] == 2]["frame"].tolist())
    assert frames == set(range(200)) - set(range(80, 140))


def test_an_empty_arena_has_no_points():
    nobody = np.full((1, 100, 3), np.nan)
    assert len(tracked(Arena(nobody), [LEFT, RIGHT])) == 0


def test_length_width_and_angle_are_those_of_the_animal():
    path = walk(150, (25, 20), (75, 100))
    points = tracked(Arena([path], axes=(26, 10)), [LEFT])
    assert np.median(points["length"]) == pytest.approx(26, rel=0.2)
    assert np.median(points["width"]) == pytest.approx(10, rel=0.25)
    turned = (points["angle"] - path[0, 2] + 90) % 180 - 90
    assert np.abs(turned).max() < 6
    assert (np.diff(points["frame"]) == 1).all()


def test_a_recording_shorter_than_the_samples_is_tracked():
    path = walk(4, (25, 20), (75, 100))
    assert len(tracked(Arena([path]), [LEFT])) == 4


def test_an_empty_recording_is_refused():
    with pytest.raises(EmptyRecordingError):
        ArchiveTracker().prepare(Arena(np.empty((1, 0, 3))), [LEFT])


@pytest.mark.parametrize("wrong", [{"samples": 2}, {"share": 0.2}, {"length": -1}, {"candidates": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        ArchiveSettings(**wrong)


def test_every_tracker_of_the_table_can_be_made():
    for name in TRACKERS.names():
        assert TRACKERS.get(name)({}).settings


def test_settings_are_read_from_text_and_wrong_ones_are_told():
    settings = TRACKERS.get("archive")({"polarity": "light", "length": "27.5", "samples": "40"}).settings
    assert (settings["polarity"], settings["length"], settings["samples"]) == ("light", 27.5, 40)
    with pytest.raises(UnknownNameError, match="did you mean 'samples'"):
        TRACKERS.get("archive")({"sample": "3"})
    for name, value in (
        ("samples", "many"),
        ("polarity", "perhaps"),
        ("length", "long"),
        ("samples", "1"),
    ):
        with pytest.raises(SettingsError, match=name):
            TRACKERS.get("archive")({name: value})


def test_the_real_flies_are_found_those_that_never_move_too(data, tmp_path):
    done = retrack(data / "arena_10x2.mp4", layout="sleep-monitor-20tube", out=tmp_path / "a.tracks.h5")
    with gzip.open(data / "arena_10x2_truth_first_half.csv.gz", "rt") as file:
        truth = pd.read_csv(file)
    with open_results(done.path) as results:
        points = pd.DataFrame(results.points)
    both = truth[truth["valid"] == 1].merge(points, on=["roi", "frame"], how="left")
    both["far"] = np.hypot(both["x"] - both["x_abs"], both["y"] - both["y_abs"])
    assert (both["far"] < 10).mean() >= 0.99
    assert both["far"].median() <= 0.6
    assert both["far"].quantile(0.95) <= 4
    by_region = both.groupby("roi")["far"].apply(lambda far: (far < 10).mean())
    assert by_region.min() > 0.9
    for region in (3, 7):
        assert by_region[region] == 1.0
        still = points[points["roi"] == region]
        assert np.hypot(still["x"].diff(), still["y"].diff()).quantile(0.95) < 0.5


def test_the_real_mouse_is_followed(data):
    truth = pd.read_csv(data / "mouse_tracktor.csv")
    with open_video(data / "mouse.mp4") as video:
        part = _First(video, 1500)
        rois = open_layout("whole-frame").find(video[0].image).rois
        points = tracked(part, rois)
    assert len(points) >= 0.995 * 1500
    truth = truth.iloc[points["frame"]]
    far = np.hypot(points["x"] - truth["pos_x"], points["y"] - truth["pos_y"])
    assert np.median(far) < 3
    assert (far < 5).mean() > 0.95


class _First:
    """The first frames of a sequence."""

    def __init__(self, frames, count):
        self._frames, self._count = frames, count
        self.spec = frames.spec
        self.numbers, self.times = frames.numbers[:count], frames.times[:count]

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        return self._frames[index]

    def __iter__(self):
        return (self._frames[index] for index in range(self._count))

    def close(self):
        """The test closes the frames."""
