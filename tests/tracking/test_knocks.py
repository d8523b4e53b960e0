"""Runs over recordings in which the camera was knocked."""

import threading

import cv2
import numpy as np
import pytest

import imgstore
from imgstore import Frame
from tests.tracking.arenas import Arena, walk
from tests.tracking.recordings import datasets
from tracking import TrackPlan, open_results, resume, retrack, summarize, track_live

SHAPE = (180, 260)
LAYOUT = """regions:
  - {polygon: [[20, 20], [239, 20], [239, 84], [20, 84]], name: upper}
  - {polygon: [[20, 95], [239, 95], [239, 160], [20, 160]], name: lower}
"""
COUNT = 400


class KnockedArena(Arena):
    """An arena with walls and stains, and a camera that is knocked.

    Parameters
    ----------
    knocks : (from which frame on, shift in x, in y, turn in degrees), in order; of the frames before it lies
        where it should.
    """

    def __init__(self, paths, knocks=(), **others):
        places = np.random.default_rng(3).uniform((8, 8), (SHAPE[1] - 8, SHAPE[0] - 8), (25, 2))
        super().__init__(paths, shape=SHAPE, stains=[(x, y, 25) for x, y in places], **others)
        for top in (16, 89, 164):
            self.empty[top : top + 3, 12:248] -= 50
        self.empty[16:167, 12:15] -= 50
        self.empty[16:167, 245:248] -= 50
        self.knocks = knocks

    def matrix(self, index):
        """Return where the picture lies in a frame."""
        dx, dy, degrees = next((k[1:] for k in reversed(self.knocks) if k[0] <= index), (0, 0, 0))
        matrix = cv2.getRotationMatrix2D(((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2), -degrees, 1.0)
        matrix[:, 2] += dx, dy
        return matrix

    def __getitem__(self, index):
        frame = super().__getitem__(index)
        image = cv2.warpAffine(
            frame.image,
            self.matrix(index),
            SHAPE[::-1],
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        return Frame(image, frame.index, frame.number, frame.time)

    def truth(self, animal, indices):
        """Return where an animal is in the frames as they are filmed, shape (n, 2)."""
        return np.array(
            [
                self.matrix(index)[:, :2] @ self.paths[animal, index, :2] + self.matrix(index)[:, 2]
                for index in indices
            ]
        )


def arena(*knocks):
    """Return an arena in which one animal walks, and one rests from frame 150 on."""
    paths = [walk(COUNT, (40, 40), (220, 66)), walk(COUNT, (130, 130), (180, 120), rest_from=150)]
    return KnockedArena(paths, knocks, axes=(16, 7))


@pytest.fixture
def layout(tmp_path):
    (tmp_path / "two.yaml").write_text(LAYOUT)
    return str(tmp_path / "two.yaml")


def record(path, frames):
    with imgstore.create(path, SHAPE, format="npy", chunksize=100) as store:
        for frame in frames:
            store.append(frame)
    return path


def worst(results, made, frames=range(COUNT)):
    """Return how far points are from the truth at most, pixels, and how many there are."""
    farthest, count = 0.0, 0
    for roi in (1, 2):
        table = results.table(roi=roi)
        table = table[table["index"].isin(frames)]
        apart = table[["x", "y"]].to_numpy() - made.truth(roi - 1, table["index"])
        farthest, count = max(farthest, float(np.hypot(*apart.T).max())), count + len(table)
    return farthest, count


def moves_of(results):
    return [event for event in results.events if event.kind == "regions-realigned"]


def test_regions_move_with_a_knocked_camera_and_the_result_says_when_and_by_how_much(tmp_path, layout):
    made = arena((217, 9.4, -6.2, 0))
    store = record(tmp_path / "a.store", made)
    done = retrack(store, plan=TrackPlan(layout, realign=True), out=tmp_path / "a.tracks.h5")
    assert done.summary.found == {1: 1.0, 2: 1.0}
    assert done.summary.realigned == 1
    with open_results(done.path) as results:
        (event,) = moves_of(results)
        assert event.time == made.times[217]
        assert event.detail["shift"] == pytest.approx(np.hypot(9.4, 6.2), abs=0.4)
        assert results.attributes["realign"]
        farthest, count = worst(results, made)
        assert farthest < 1.5
        assert count == 2 * COUNT
        before, after = (results.regions_at(made.times[index])[0][0] for index in (216, 217))
        np.testing.assert_array_equal(before.polygon, results.rois[0].polygon)
        np.testing.assert_allclose(after.polygon - before.polygon, [(9.4, -6.2)] * 4, atol=0.5)
        rests = summarize(results).animals[1]
        assert rests.distance_px == pytest.approx(np.hypot(50, 10), rel=0.1)  # without what the camera moved
    plain = retrack(store, layout=layout, out=tmp_path / "plain.tracks.h5")
    with open_results(plain.path) as results:
        assert moves_of(results) == []


def test_a_result_with_knocks_depends_neither_on_workers_nor_on_interruptions(tmp_path, layout):
    store = record(tmp_path / "a.store", arena((130, 7, 5, 1.2), (290, 0, 0, 0)))
    plan = TrackPlan(layout, realign=True)
    whole = retrack(store, plan=plan, out=tmp_path / "whole.tracks.h5")
    with open_results(whole.path) as results:
        first, second = moves_of(results)
        assert first.detail["turn"] == pytest.approx(1.2, abs=0.15)
        assert second.detail["shift"] == 0
    spread = retrack(store, plan=plan, out=tmp_path / "spread.tracks.h5", workers=2)
    assert datasets(spread.path) == datasets(whole.path)
    stop = threading.Event()

    def progress(stage, done, total):
        if (stage, done) == ("tracking", 210):
            stop.set()

    cut = retrack(store, plan=plan, out=tmp_path / "cut.tracks.h5", stop=stop, progress=progress)
    assert cut.summary.stopped
    assert resume(cut.path).summary.realigned == 2
    assert datasets(cut.path) == datasets(whole.path)


def test_live_regions_move_within_seconds(tmp_path, layout):
    made = arena((200, -8.3, 6.1, 0))
    done = track_live(
        lambda is_over: iter(made),
        "a camera",
        plan=TrackPlan(layout, "adaptive", realign=True),
        out=tmp_path / "a.tracks.h5",
    )
    with open_results(done.path) as results:
        (event,) = moves_of(results)
        assert made.times[200] < event.time <= made.times[200] + 3
        assert event.detail["shift"] == pytest.approx(np.hypot(8.3, 6.1), abs=0.5)
        settled = [*range(60, 200), *range(290, COUNT)]
        farthest, count = worst(results, made, settled)
    assert farthest < 2.5
    assert count >= 0.98 * 2 * len(settled)


def test_who_follows_a_store_knows_the_knocks_that_were_and_sees_those_that_come(tmp_path, layout):
    made = arena((120, 9.4, -6.2, 0), (320, -4, 7, 0))
    store, out = tmp_path / "a.store", tmp_path / "a.tracks.h5"
    begun, tracked = threading.Event(), threading.Event()

    def write():
        with imgstore.create(store, SHAPE, format="npy", chunksize=100) as writer:
            for frame in made:
                if frame.index == 240:
                    begun.set()
                    assert tracked.wait(60)
                writer.append(frame)

    def progress(stage, done, total):
        if (stage, done) == ("tracking", 200):
            tracked.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(60)
    plan = TrackPlan(layout, realign=True)
    done = retrack(store, plan=plan, out=out, follow=True, progress=progress)
    thread.join()
    assert done.summary.found == {1: 1.0, 2: 1.0}
    with open_results(out) as results:
        first, second = moves_of(results)
        assert first.time == made.times[120]
        assert made.times[320] < second.time <= made.times[320] + 3
        assert second.detail["shift"] == pytest.approx(np.hypot(4, 7), abs=0.5)
        farthest, _ = worst(results, made, [*range(310), *range(385, COUNT)])
    assert farthest < 2.5


def test_light_that_changes_is_no_knock(tmp_path, layout):
    class Dimmed(KnockedArena):
        def __getitem__(self, index):
            frame = super().__getitem__(index)
            gain = 0.6 if 150 <= index < 300 else 1.0
            return Frame((gain * frame.image).astype(np.uint8), index, index, frame.time)

    made = Dimmed(arena().paths, axes=(16, 7))
    store = record(tmp_path / "a.store", made)
    done = retrack(store, plan=TrackPlan(layout, realign=True), out=tmp_path / "a.tracks.h5")
    live = track_live(
        lambda is_over: iter(made),
        "a camera",
        plan=TrackPlan(layout, "adaptive", realign=True),
        out=tmp_path / "live.tracks.h5",
    )
    assert (done.summary.realigned, live.summary.realigned) == (0, 0)


def test_a_camera_that_was_knocked_is_told_to_who_does_not_follow_it(tmp_path, layout):
    for name, knocks, shift in (("knocked", [(200, 6, -8, 0)], 10.0), ("still", [], 0.0)):
        record(tmp_path / name, arena(*knocks))
        done = retrack(tmp_path / name, layout=layout)
        assert done.shift == pytest.approx(shift, abs=0.5)
