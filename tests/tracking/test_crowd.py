"""Several animals per region: taken apart where they touch, and told apart over time."""

import pickle

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tests.tracking.arenas import Arena, _ellipse, walk
from tools.bench.crowd import START, Crowd, CrowdPlan
from tracking import ROI, TRACKERS, SettingsError, Status
from tracking.animal import Gait
from tracking.detect import BLOB, BlobFilter, Looked
from tracking.identities import IdentityLinker
from tracking.split import Body, find_crowd
from tracking.trackers.archive import ArchiveSettings, ArchiveTracker

WHOLE = ROI(np.array([(0.0, 0.0), (199.0, 0.0), (199.0, 119.0), (0.0, 119.0)]), 1)
WANTED = BlobFilter(threshold=30, smallest=20, largest=5000, most=10)
BODY = Body(area=200, length=26, width=10, most=4)


def tracked(frames, rois, animals):
    tracker = ArchiveTracker(ArchiveSettings(animals=animals))
    tracker.prepare(frames, rois)
    return np.concatenate([*(tracker.update(frame) for frame in frames), tracker.finish()])


def idf1(points, truth, radius=12.0):
    """Return the share of sightings whose identity is that of the animal, with the best naming of all."""
    shared = np.zeros((points["identity"].max(initial=0), truth.shape[1]))
    for point in points:
        places = truth[point["frame"], :, :2]
        near = np.hypot(places[:, 0] - point["x"], places[:, 1] - point["y"]) < radius
        shared[point["identity"] - 1, near] += 1
    right = shared[linear_sum_assignment(-shared)].sum()
    return 2 * right / (len(points) + np.isfinite(truth[..., 0]).sum())


def by_identity(points, identity):
    return points[points["identity"] == identity]


def clump(*ellipses, shape=(90, 140)):
    difference = np.max([_ellipse(shape, *where, (26, 10)) for where in ellipses], axis=0)
    return np.rint(100 * difference).astype(np.uint8)


@pytest.mark.parametrize(
    "ellipses",
    [
        [(60, 40, 0), (60, 50, 0)],
        [(50, 40, 0), (74, 40, 0)],
        [(60, 40, 45), (60, 40, 135)],
        [(50, 40, 0), (66, 48, 90)],
        [(50, 40, 0), (74, 44, 20), (62, 55, 90)],
    ],
    ids=["side by side", "one after the other", "crossed", "in a T", "three"],
)
def test_a_clump_is_taken_apart_into_its_animals(ellipses):
    blobs = find_crowd(Looked(clump(*ellipses)), WANTED, BODY)
    assert set(blobs["group"]) == {0}
    parts = blobs[blobs["parts"] == len(ellipses)]
    found = np.column_stack([parts["x"], parts["y"]])
    far = np.hypot(*(found[:, None] - np.array(ellipses)[None, :, :2]).transpose(2, 0, 1))
    assert far[linear_sum_assignment(far)].max() < 4


def test_one_animal_is_not_taken_apart():
    blobs = find_crowd(Looked(clump((60, 40, 30))), WANTED, Body(area=230, length=26, width=10, most=4))
    assert blobs["parts"].tolist() == [1]


@pytest.mark.parametrize("rate", [5.0, 20.0, 40.0])
def test_animals_that_cross_keep_their_identities(rate):
    count = round(4 * rate)
    paths = [
        walk(count, (20, 20), (180, 100)),
        walk(count, (20, 100), (180, 25)),
        walk(count, (150, 12), (45, 20)),
    ]
    points = tracked(Arena(paths, rate=rate), [WHOLE], 3)
    assert idf1(points, np.array(paths).transpose(1, 0, 2)) > 0.97
    assert set(points["identity"]) == {1, 2, 3}


@pytest.mark.parametrize("animals", [3, 0], ids=["known number", "unknown number"])
def test_animals_that_wander_and_meet_are_followed(animals):
    crowd = Crowd(CrowdPlan(animals=3, side=200, seconds=15, seed=2))
    points = tracked(crowd, crowd.rois, animals)
    assert idf1(points, crowd.truth) > 0.95
    assert len(set(points["identity"])) == 3
    merged = points["status"] == Status.MERGED
    assert 0 < merged.mean() < 0.5


def test_every_region_has_identities_of_its_own():
    crowd = Crowd(CrowdPlan(animals=2, grid=(1, 2), side=150, seconds=5, seed=1))
    points = tracked(crowd, crowd.rois, 2)
    for region in (1, 2):
        mine = points[points["roi"] == region]
        assert set(mine["identity"]) == {1, 2}
        assert idf1(mine, crowd.truth[:, crowd.regions == region]) > 0.95
    assert (np.diff(points["frame"]) >= 0).all()


def test_what_is_linked_in_order_may_be_detected_anywhere_in_any_order():
    crowd = Crowd(CrowdPlan(animals=3, side=160, seconds=4, seed=4))
    tracker = ArchiveTracker(ArchiveSettings(animals=3))
    tracker.prepare(crowd, crowd.rois)
    elsewhere = pickle.loads(pickle.dumps(tracker))  # noqa: S301
    seen = {index: elsewhere.detect(crowd[index]) for index in reversed(range(len(crowd)))}
    seen = pickle.loads(pickle.dumps(seen))  # noqa: S301
    linked = [tracker.link(seen[index]) for index in range(len(crowd))]
    points = np.concatenate([*linked, tracker.finish()])
    assert points.tobytes() == tracked(crowd, crowd.rois, 3).tobytes()


def test_a_gap_is_filled_and_an_animal_that_comes_back_is_known():
    count = 120
    mover, gone = walk(count, (20, 30), (180, 30)), walk(count, (20, 90), (180, 90))
    gone[50:60] = np.nan
    points = tracked(Arena([mover, gone]), [WHOLE], 2)
    truth = walk(count, (20, 90), (180, 90))
    mine = by_identity(points, points[(points["y"] > 60) & (points["frame"] == 40)]["identity"][0])
    assert mine["frame"].tolist() == list(range(count))
    assert (mine["status"][50:60] == Status.LOST).all()
    assert (mine["score"][50:60] == 0).all()
    assert np.abs(mine["x"][50:60] - truth[50:60, 0]).max() < 3


def test_an_animal_that_is_gone_for_long_leaves_a_gap_and_comes_back_as_itself():
    count = 200
    mover, gone = walk(count, (20, 30), (180, 30)), walk(count, (20, 90), (180, 90))
    gone[60:140] = np.nan
    points = tracked(Arena([mover, gone]), [WHOLE], 2)
    assert set(points["identity"]) == {1, 2}
    lower = points[points["y"] > 60]
    assert len(set(lower["identity"])) == 1
    assert lower["frame"].tolist() == [*range(60), *range(140, 200)]


def blob(x, y, *, area=200.0, intensity=60.0, group=0, angle=0.0):
    return np.array([(x, y, 26, 10, angle, area, 100, 0, intensity, group, 1, 70)], BLOB)


def follow(linker, scenes):
    """Link scenes, each a list of blobs, at 20 frames per second; return lists of sightings."""
    decided = []
    for number, scene in enumerate(scenes):
        for group, one in enumerate(scene):
            one["group"] = group
        blobs = np.concatenate([np.empty(0, BLOB), *scene])
        decided += linker.append(blobs, np.zeros(len(blobs)), 1000 + number / 20)
    return [*decided, *linker.finish()]


def meeting(*, areas=(200.0, 200.0)):
    """Two animals go to one place, are one blob for two seconds, and come out crossed over."""
    for n in range(60):
        yield [blob(20 + n, 50, area=areas[0]), blob(140 - n, 50, area=areas[1])]
    for _ in range(40):
        yield [blob(80, 50, area=sum(areas) / 2)]
    for n in range(60):  # the one that came from the left leaves to the left
        yield [blob(79 - n, 50, area=areas[0]), blob(81 + n, 50, area=areas[1])]


def test_animals_that_looked_different_before_they_met_are_told_apart_by_their_looks():
    decided = follow(IdentityLinker(2, Gait(26, 260), 200), meeting(areas=(150, 260)))
    first = {sighting.identity: sighting for sighting in decided[10]}
    last = {sighting.identity: sighting for sighting in decided[-1]}
    for identity in (1, 2):
        assert last[identity].blob["area"] == first[identity].blob["area"]
    assert min(sighting.confidence for sighting in decided[-1]) > 0.9


def test_animals_that_look_alike_and_hide_each_other_for_a_moment_go_on_as_they_went():
    """One rests, the other walks over it; and both walk, head on."""
    for speed in (0, -3):
        places = [(20 + 3 * n, 200 + speed * n if speed else 80) for n in range(60)]
        scenes = []
        for one, other in places:
            if abs(one - other) < 20:
                scenes.append([blob((one + other) / 2, 50, area=260)])
            else:
                scenes.append([blob(one, 50), blob(other, 50)])
        decided = follow(IdentityLinker(2, Gait(26, 260), 200), scenes)
        first = {sighting.identity: sighting.place[0] for sighting in decided[5]}
        last = {sighting.identity: sighting.place[0] for sighting in decided[-1]}
        assert (first[1] < first[2]) == (last[1] > last[2])


def test_three_that_meet_at_once_are_told_apart_together():
    """They come from three sides, are one blob for a while, and each goes on as it went."""
    starts, ways = np.array([(20, 20), (180, 30), (100, 150)]), np.array([(4, 3), (-4, 2.5), (0, -4)])
    scenes, areas = [], (160.0, 200.0, 250.0)
    for n in range(50):
        places = starts + n * ways
        if 15 <= n < 27:
            scenes.append([blob(*places.mean(axis=0), area=400)])
        else:
            scenes.append([blob(x, y, area=area) for (x, y), area in zip(places, areas, strict=True)])
    decided = follow(IdentityLinker(3, Gait(26, 260), 200), scenes)
    first = {sighting.identity: sighting.blob["area"] for sighting in decided[5]}
    assert {sighting.identity: sighting.blob["area"] for sighting in decided[-1]} == first


def test_a_doubtful_choice_is_marked():
    decided = follow(IdentityLinker(2, Gait(26, 260), 200), meeting())
    assert min(sighting.confidence for sighting in decided[20]) > 0.95
    assert max(sighting.confidence for sighting in decided[100]) < 0.9
    assert {sighting.identity for sighting in decided[80]} == {1, 2}
    assert all(sighting.status == Status.MERGED for sighting in decided[80])
    assert min(sighting.confidence for sighting in decided[-1]) > 0.95


def test_a_speck_of_a_few_frames_is_no_animal():
    scenes = [[blob(20 + n, 50)] + ([blob(150, 90)] if n in (30, 31) else []) for n in range(80)]
    decided = follow(IdentityLinker(0, Gait(26, 260), 200), scenes)
    assert {sighting.identity for sightings in decided for sighting in sightings} == {1}


def test_an_animal_that_dies_off_the_record_is_forgotten_where_their_number_is_unknown():
    scenes = [[blob(20, 50)] for _ in range(60)] + [[] for _ in range(240)] + [[blob(20, 50)]] * 20
    for animals, identities in ((0, {1, 2}), (1, {1})):
        decided = follow(IdentityLinker(animals, Gait(26, 260), 200), scenes)
        assert {sighting.identity for sightings in decided for sighting in sightings} == identities


def test_memory_does_not_grow_with_the_recording():
    linker = IdentityLinker(1, Gait(26, 260), 200, lag=50)
    for number in range(400):
        decided = linker.append(blob(20 + number % 100, 50), np.zeros(1), number / 20)
        assert len(decided) == (number >= 50)


def test_the_number_of_animals_is_checked():
    with pytest.raises(SettingsError, match="animals"):
        ArchiveSettings(animals=-1)


def test_made_recordings_are_the_same_every_time_and_show_what_they_say():
    plan = CrowdPlan(
        animals=2, seconds=2, shake=1.0, light=[(1.0, 0.6)], still=[(1, 0, 0.0, 2.0)], infrared=True, seed=5
    )
    crowd, again = Crowd(plan), Crowd(plan)
    np.testing.assert_array_equal(crowd.truth, again.truth)
    np.testing.assert_array_equal(crowd[25].image, again[25].image)
    assert crowd[25].image.mean() < 0.7 * crowd[5].image.mean()
    assert crowd.times[0] == START
    unshaken = Crowd(CrowdPlan(animals=2, seconds=2, still=[(1, 0, 0.0, 2.0)], seed=5)).truth
    assert (unshaken[:, 0, :2] == unshaken[0, 0, :2]).all()
    assert np.ptp(unshaken[:, 1, 0]) > 0
    x, y, _ = crowd.truth[5, 0]
    here = crowd[5].image[round(y), round(x)]
    assert int(np.median(crowd[5].image)) - int(here) > 20


def test_a_week_is_made_at_a_low_rate():
    crowd = Crowd(CrowdPlan(animals=2, seconds=7 * 86400, rate=1 / 3600, cycle=(86400.0, 0.5)))
    assert len(crowd) == 168
    assert crowd[12].image.mean() < 0.8 * crowd[0].image.mean()  # 12 hours later
    assert np.ptp(crowd.truth[..., 0]) > 100


@pytest.mark.parametrize("name", ["adaptive", "external"])
def test_several_animals_are_told_apart_live_as_in_the_recording(name, detector):
    crowd = Crowd(CrowdPlan(animals=3, side=200, seconds=15, seed=2))
    given = {"animals": 3} | ({"detector": detector} if name == "external" else {"start": "first"})
    first, again = (TRACKERS.get(name)(given) for _ in range(2))
    first.prepare(Crowd(CrowdPlan(animals=3, side=200, seconds=5, seed=2)), crowd.rois)
    again.prepare(crowd, crowd.rois)
    if name == "external":
        again.prepare(Crowd(CrowdPlan(animals=3, side=200, seconds=5, seed=2)), crowd.rois)
    seen = [first.update(frame) for frame in crowd]
    assert all(set(points["frame"]) <= {index} for index, points in enumerate(seen))
    points = np.concatenate(seen)
    assert idf1(points, crowd.truth) > (0.95 if name == "adaptive" else 0.75)
    assert set(points["identity"]) == {1, 2, 3}
    assert points.tobytes() == np.concatenate([again.update(frame) for frame in crowd]).tobytes()


def test_an_animal_that_lies_still_among_others_is_kept_out_of_the_background():
    plan = CrowdPlan(animals=3, side=160, seconds=60, rate=5, still=[(1, 0, 10.0, 60.0)], seed=3)
    crowd = Crowd(plan)
    tracker = TRACKERS.get("adaptive")({"animals": 3, "start": "first", "first": 8.0})
    tracker.prepare(crowd, crowd.rois)
    points = np.concatenate([tracker.update(frame) for frame in crowd])
    x, y, _ = crowd.truth[-1, 0]
    late = points[points["frame"] >= 200]
    near = np.hypot(late["x"] - x, late["y"] - y) < 6
    assert len(set(late["frame"][near])) > 0.95 * 100


def test_a_large_animal_that_was_taken_for_two_is_one_as_soon_as_there_is_one_too_many():
    large, gone = blob(50, 50, area=420.0), blob(150, 100)
    halves = np.concatenate([blob(43, 50, area=210.0), blob(57, 50, area=210.0)])
    halves["parts"] = 2
    scenes = [[np.concatenate([large, halves])] + ([gone] if n >= 4 else []) for n in range(60)]
    decided = follow(IdentityLinker(2, Gait(26, 260), 200), scenes)
    assert {sighting.identity for sighting in decided[-1]} == {1, 2}
    assert sorted(round(sighting.place[0]) for sighting in decided[-1]) == [50, 150]
