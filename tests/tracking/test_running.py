"""Runs over recordings: workers, stops, deaths, going on."""

import os
import re
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import imgstore
from imgstore import FrameSpec
from tests.tracking.arenas import Arena, walk
from tests.tracking.recordings import (
    SHAPE,
    datasets,
    frames,
    layout_file,
    rows_so_far,
    run_script,
    still,
    store_of,
)
from tracking import (
    ROI,
    EmptyRecordingError,
    Event,
    Monitor,
    RegionError,
    ResultFileError,
    TrackingError,
    WorkerDiedError,
    open_results,
    plan_like,
    resume,
    retrack,
    track_live,
)
from tracking.blocks import Block, Detector, ReadableFrames, SeenFrame, UnreadFrame, cut_blocks
from tracking.detection_log import DetectionLog, log_path
from tracking.trackers.archive import ArchiveTracker
from tracking.workers import LocalWorkers

WHOLE = ROI(np.array([(0.0, 0.0), (99.0, 0.0), (99.0, 59.0), (0.0, 59.0)]), 1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A store of 900 frames in chunks of 150, with a gap, and its layout."""
    folder = tmp_path_factory.mktemp("recording")
    given = (replace(frame, number=frame.number + 7 * (frame.index >= 400)) for frame in frames(900))
    return store_of(folder / "a.store", given, chunksize=150), layout_file(folder)


@pytest.fixture(scope="module")
def uninterrupted(recording, tmp_path_factory):
    """The result of a run that nothing came between."""
    store, layout = recording
    out = tmp_path_factory.mktemp("whole") / "whole.tracks.h5"
    done = retrack(store, layout=layout, out=out)
    assert done.summary.found == {1: 1.0, 2: 1.0}
    return out


def test_a_result_does_not_depend_on_the_number_of_workers(recording, uninterrupted, tmp_path):
    store, layout = recording
    done = retrack(store, layout=layout, out=tmp_path / "a.tracks.h5", workers=3)
    assert done.summary.frames == 900
    assert datasets(done.path) == datasets(uninterrupted)
    assert not log_path(done.path).exists()


class Deadly:
    """A tracker that kills its process at one frame, once or always."""

    def __init__(self, tracker, index, mark):
        self._tracker, self._index, self._mark = tracker, index, mark

    def detect(self, frame):
        if frame.index == self._index and (self._mark is None or not self._mark.exists()):
            if self._mark is not None:
                self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._tracker.detect(frame)


def blocks_of(recording, mark):
    with imgstore.open(recording[0]) as store:
        tracker = ArchiveTracker()
        tracker.prepare(store, [WHOLE])
        blocks = cut_blocks(store, 600)
        yield from LocalWorkers(2).detect(Detector(store, Deadly(tracker, 200, mark)), blocks)


def test_a_block_whose_worker_dies_is_done_again(recording, tmp_path):
    found = list(blocks_of(recording, tmp_path / "died"))
    assert (tmp_path / "died").exists()
    assert [block.indices for block in found] == [range(at, at + 150) for at in range(0, 600, 150)]


def test_a_block_of_which_two_workers_die_is_told_and_what_came_before_is_kept(recording):
    blocks = blocks_of(recording, None)
    assert next(blocks).indices == range(150)
    with pytest.raises(WorkerDiedError, match="index 150 to 299"):
        next(blocks)


class Failing:
    """A tracker that finds a fault in one frame, after another worker has died once."""

    def __init__(self, tracker, mark):
        self._tracker, self._mark = tracker, mark

    def detect(self, frame):
        if frame.index == 0 and not self._mark.exists():
            time.sleep(1)  # so that the other has failed by then
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if frame.index == 150:
            raise TrackingError("a fault in frame 150")
        return self._tracker.detect(frame)


def test_a_block_is_done_again_by_a_worker_that_lives(recording, tmp_path):
    with imgstore.open(recording[0]) as store:
        tracker = ArchiveTracker()
        tracker.prepare(store, [WHOLE])
        failing = Failing(tracker, tmp_path / "died")
        blocks = LocalWorkers(2).detect(Detector(store, failing), cut_blocks(store, 600))
        assert next(blocks).indices == range(150)
        with pytest.raises(TrackingError, match="a fault in frame 150"):
            next(blocks)


KILLED = """
import os, signal, sys, tracking
store, layout, out, at, workers = sys.argv[1:]
def progress(stage, done, total):
    if stage == "tracking" and done == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
tracking.retrack(store, layout=layout, out=out, workers=int(workers), progress=progress)
"""


@pytest.mark.parametrize(("at", "workers"), [(100, 1), (700, 1), (899, 2)])
def test_a_killed_run_that_is_gone_on_with_gives_what_an_uninterrupted_one_gives(
    recording, uninterrupted, tmp_path, at, workers
):
    store, layout = recording
    out = tmp_path / "a.tracks.h5"
    assert run_script(KILLED, store, layout, out, at, workers).returncode == -signal.SIGKILL
    assert log_path(out).exists()
    done = resume(out, workers=workers)
    assert not done.summary.stopped
    assert datasets(out) == datasets(uninterrupted)
    assert not log_path(out).exists()
    with open_results(out) as results:
        assert results.attributes["state"] == "complete"


@pytest.mark.parametrize("forgotten", [False, True], ids=["with what was detected", "from the recording"])
def test_a_stopped_run_is_decided_and_can_be_gone_on_with(recording, uninterrupted, tmp_path, forgotten):
    store, layout = recording
    out = tmp_path / "a.tracks.h5"
    stop = threading.Event()

    def stop_at(count):
        stop.clear()
        return lambda stage, done, total: stop.set() if (stage, done) == ("tracking", count) else None

    assert retrack(store, layout=layout, out=out, stop=stop, progress=stop_at(700)).summary.stopped
    with open_results(out) as results:
        assert results.attributes["state"] == "stopped"
        assert results.points["frame"].max() == 699
    if forgotten:
        log_path(out).unlink()
    assert resume(out, stop=stop, progress=stop_at(300)).summary.stopped
    assert not resume(out).summary.stopped
    assert datasets(out) == datasets(uninterrupted)
    with pytest.raises(ResultFileError, match="complete"):
        resume(out)


def test_what_was_detected_is_not_detected_again(recording, tmp_path):
    store, layout = recording
    out = tmp_path / "a.tracks.h5"
    run_script(KILLED, store, layout, out, 700, 1)
    workforce = Told()
    resume(out, workforce=workforce)
    assert workforce.asked == [range(600, 750), range(750, 900)]


class Told:
    """Detects here, and knows what it was asked for."""

    def __init__(self):
        self.asked = []

    def detect(self, detector, blocks, until):
        self.asked = list(blocks)
        return map(detector.detect, blocks)


def test_what_another_tracker_detected_is_not_taken(tmp_path):
    with DetectionLog(tmp_path / "log", b"one") as log:
        log.append(Block.pack(range(1), [UnreadFrame(0, 0, 0.0, "x")]))
    with DetectionLog(tmp_path / "log", b"two") as log:
        assert list(log.read()) == []


def test_a_run_is_not_gone_on_with_in_another_recording(recording, tmp_path):
    store, layout = recording
    out = tmp_path / "a.tracks.h5"
    run_script(KILLED, store, layout, out, 400, 1)
    other = store_of(tmp_path / "b.store", frames(900))
    with pytest.raises(ResultFileError, match="another recording"):
        resume(out, source=other)


def test_blocks_are_what_was_packed_after_a_journey_through_a_file(recording):
    with imgstore.open(recording[0]) as store:
        tracker = ArchiveTracker()
        tracker.prepare(store, [WHOLE])
        detector = Detector(store, tracker)
        seen = [*detector.look(range(5)), UnreadFrame(5, 5, 0.5, "broken"), *detector.look(range(6, 9))]
        block = Block.decode(Block.pack(range(9), seen).encode())
    assert block.indices == range(9)
    again = list(block.unpack())
    assert [frame.index for frame in again] == list(range(9))
    for frame, other in zip(seen, again, strict=True):
        if isinstance(frame, UnreadFrame):
            assert frame == other
            continue
        assert isinstance(other, SeenFrame)
        assert (frame.number, frame.time) == (other.number, other.time)
        for blobs, others in zip(frame.detections.blobs, other.detections.blobs, strict=True):
            assert blobs.tobytes() == others.tobytes()


def test_a_log_that_ends_torn_is_read_up_to_there(tmp_path):
    blocks = [Block.pack(range(at, at + 3), [UnreadFrame(at, at, 0.0, "x")]) for at in (0, 3, 6)]
    with DetectionLog(tmp_path / "log", b"mark") as log:
        for block in blocks:
            log.append(block)
    whole = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(whole[:-5])
    with DetectionLog(tmp_path / "log", b"mark") as log:
        assert [block.indices.start for block in log.read()] == [0, 3]
        log.append(blocks[2])
    assert (tmp_path / "log").read_bytes() == whole


class Recorded:
    """Takes what a monitor gives."""

    def __init__(self):
        self.frames, self.points, self.events, self.idled = [], [], [], 0
        self.whole = None

    def append(self, frame, points):
        self.frames.append(frame.index)
        self.points.append(points)

    def append_rest(self, points, *, whole):
        self.points.append(points)
        self.whole = whole

    def append_events(self, events):
        self.events += events

    def idle(self):
        self.idled += 1


class LeftHalf:
    """Stimulates animals on the left."""

    def __init__(self):
        self.times = []

    def react(self, points, times):
        here = points["x"] < 25
        points["interaction"][here] = 1
        self.times += times.tolist()
        return [Event(float(time), 1, "stimulus") for time in times[here]]


def prepared(given):
    tracker = ArchiveTracker()
    tracker.prepare(given, [WHOLE])
    return tracker


def test_stimulators_hear_of_every_point_with_its_time_and_mark_it(recording):
    with imgstore.open(recording[0]) as store:
        part = store[:300]
        sink, stimulator = Recorded(), LeftHalf()
        Monitor(part, [1], prepared(part), sinks=[sink], stimulators=[stimulator]).run()
        points = np.concatenate(sink.points)
        assert stimulator.times == store.times[points["frame"]].tolist()
    left = points["x"] < 25
    assert 0 < left.sum() < len(points)
    assert (points["interaction"] == left).all()
    assert [event.time for event in sink.events] == np.asarray(stimulator.times)[left].tolist()


def test_a_source_that_fails_leaves_what_was_tracked_decided():
    def failing():
        yield from frames(50)
        raise ConnectionResetError("the cable")

    sink = Recorded()
    monitor = Monitor(failing(), [1], prepared(ReadableFrames(Frames(frames(50)))), sinks=[sink])
    with pytest.raises(ConnectionResetError):
        monitor.run()
    assert sink.whole is False
    assert np.unique(np.concatenate(sink.points)["frame"]).tolist() == list(range(50))


class Frames:
    """Frames in memory, as a sequence."""

    def __init__(self, given):
        self._frames = list(given)
        image = self._frames[0].image
        self.spec = FrameSpec(image.shape, image.dtype)
        self.numbers = np.array([frame.number for frame in self._frames])
        self.times = np.array([frame.time for frame in self._frames])

    def __len__(self):
        return len(self._frames)

    def __getitem__(self, index):
        return self._frames[index]

    def __iter__(self):
        return iter(self._frames)

    def close(self):
        """Nothing is open."""


def test_gaps_and_steps_of_the_clock_become_events():
    given = list(frames(60))
    given[20:] = [replace(frame, number=frame.number + 5) for frame in given[20:]]
    given[40:] = [replace(frame, time=frame.time - 30) for frame in given[40:]]
    sink = Recorded()
    Monitor(given, [1], prepared(Frames(given)), sinks=[sink]).run()
    gap, step = sink.events
    assert (gap.kind, gap.time, gap.detail) == ("frames-missing", 1001.0, {"first_number": 20, "count": 5})
    assert (step.kind, step.detail) == ("clock-step", {"seconds": -29.95})


def test_why_frames_are_missing_and_how_the_clock_was_set_is_taken_from_the_store(tmp_path):
    with imgstore.create(tmp_path / "a.store", SHAPE, format="npy", chunksize=30) as writer:
        for frame in frames(60):
            if 20 <= frame.number < 25:
                continue
            if frame.number == 25:
                detail = {"first": 20, "last": 24, "count": 5, "cause": "queue"}
                writer.append_event("gap", time=1001.2, **detail)
            if frame.number == 40:
                writer.append_event("clock_step", time=1001.99, seconds=3600.0)
            writer.append(frame)
    done = retrack(tmp_path / "a.store", out=tmp_path / "a.tracks.h5")
    with open_results(done.path) as results:
        gap, step = results.events
    assert (gap.kind, gap.detail) == ("frames-missing", {"first_number": 20, "count": 5, "cause": "queue"})
    assert (step.kind, step.detail) == ("clock-step", {"seconds": 3600.0, "times_follow": False})


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_chunk_is_tracked_around_and_told(tmp_path, workers):
    store = store_of(tmp_path / "a.store", frames(300), format="mjpeg/avi", chunksize=50)
    (broken,) = store.glob("000002.*avi")
    broken.write_bytes(broken.read_bytes()[:300])
    done = retrack(store, out=tmp_path / "a.tracks.h5", workers=workers)
    assert (done.summary.frames, done.summary.unread) == (250, 50)
    with open_results(done.path) as results:
        assert results.attributes["state"] == "complete"
        looked = results.frames["index"].tolist()
        (event,) = [event for event in results.events if event.kind == "frames-unreadable"]
    assert looked == [*range(100), *range(150, 300)]
    assert (event.time, event.detail["first_index"], event.detail["count"]) == (1005.0, 100, 50)
    assert "000002" in event.detail["reason"]


def test_a_chunk_that_is_gone_is_tracked_around_and_told(tmp_path):
    store = store_of(tmp_path / "a.store", frames(300), format="mjpeg/avi", chunksize=50)
    for file in store.glob("000002*"):
        file.unlink()
    done = retrack(store, out=tmp_path / "a.tracks.h5")
    with open_results(done.path) as results:
        kinds = {event.kind: event.detail for event in results.events}
    assert "000002" in kinds["recording-damaged"]["problem"]
    assert (kinds["frames-missing"]["first_number"], kinds["frames-missing"]["count"]) == (100, 50)


@pytest.mark.parametrize("kind", ["colour", "16 bit"])
def test_colour_and_16_bit_are_tracked(tmp_path, kind):
    if kind == "colour":
        given = [replace(frame, image=np.repeat(frame.image[:, :, None], 3, axis=2)) for frame in frames(200)]
        store = store_of(tmp_path / "a.store", given, shape=(*SHAPE, 3))
    else:
        given = [replace(frame, image=frame.image.astype(np.uint16) * 200) for frame in frames(200)]
        store = store_of(tmp_path / "a.store", given, dtype="uint16")
    done = retrack(store, layout=layout_file(tmp_path), out=tmp_path / "a.tracks.h5")
    assert done.summary.found == {1: 1.0, 2: 1.0}


def test_a_frame_rate_that_changes_is_no_event_and_loses_no_animal(tmp_path):
    slow = frames(100, step=0.5, first=100)
    given = [*frames(100), *(replace(frame, time=frame.time - 45) for frame in slow)]
    store = store_of(tmp_path / "a.store", given)
    done = retrack(store, layout=layout_file(tmp_path), out=tmp_path / "a.tracks.h5")
    assert done.summary.found == {1: 1.0, 2: 1.0}
    with open_results(done.path) as results:
        assert results.events == []
        np.testing.assert_array_equal(results.frames["time"], [frame.time for frame in given])


def test_an_empty_store_is_told_and_leaves_no_result(tmp_path):
    store = store_of(tmp_path / "a.store", [])
    with pytest.raises(EmptyRecordingError, match="no frames"):
        retrack(store, out=tmp_path / "a.tracks.h5")
    assert not (tmp_path / "a.tracks.h5").exists()


def test_a_region_outside_of_the_frame_is_told_and_leaves_no_result(tmp_path):
    store = store_of(tmp_path / "a.store", frames(20))
    (tmp_path / "far.yaml").write_text("regions:\n  - {circle: [500, 30, 20]}\n")
    with pytest.raises(RegionError, match=r"region 1 .* outside of the frame, which is 100x60"):
        retrack(store, layout=str(tmp_path / "far.yaml"), out=tmp_path / "a.tracks.h5")
    assert not (tmp_path / "a.tracks.h5").exists()


def test_where_there_is_no_animal_the_result_has_all_frames_and_no_points(tmp_path):
    store = store_of(tmp_path / "a.store", still(100))
    done = retrack(store, out=tmp_path / "a.tracks.h5")
    assert (done.summary.frames, done.summary.points, done.summary.found) == (100, 0, {1: 0.0})
    with open_results(done.path) as results:
        assert len(results.frames) == 100
        assert results.table().empty


def test_an_arena_that_lies_elsewhere_than_in_the_result_it_is_tracked_like_is_noted(tmp_path):
    stains = [(30, 20, 60), (60, 90, 50), (120, 30, 70), (160, 95, 60), (180, 50, 50)]
    arena = Arena([walk(60, (20, 60), (180, 60))], stains=stains)
    moved = (replace(frame, image=np.roll(frame.image, 8, axis=0)) for frame in arena)
    notes = []
    for name, shown in (("a", arena), ("b", moved)):
        store = store_of(tmp_path / f"{name}.store", shown, shape=arena.spec.shape)
        plan = plan_like(tmp_path / "a.tracks.h5") if notes else None
        notes.append(retrack(store, plan=plan, out=tmp_path / f"{name}.tracks.h5").notes)
    again = retrack(tmp_path / "a.store", plan=plan_like(tmp_path / "a.tracks.h5"), out=tmp_path / "c.h5")
    assert notes[0] == again.notes == ()
    assert re.search(r"lies \d+ px elsewhere.*--layout", notes[1][0])


def test_a_result_can_be_made_like_another(recording, uninterrupted, tmp_path):
    plan = plan_like(uninterrupted)
    done = retrack(recording[0], plan=plan, out=tmp_path / "a.tracks.h5")
    assert datasets(done.path) == datasets(uninterrupted)


def track_while_written(store, writer, first, then, meanwhile=lambda: None, **options):
    """Track a store of so many frames, to which more are added once nearly all of them are tracked."""
    begun, tracked = threading.Event(), threading.Event()

    def write():
        with writer:
            for frame in frames(first):
                writer.append(frame)
            begun.set()
            assert tracked.wait(60)
            for frame in frames(then, first=first):
                writer.append(frame)

    def progress(stage, done, total):
        if stage == "tracking" and done == first - 10:
            tracked.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(60)
    meanwhile()
    done = retrack(store, follow=True, progress=progress, **options)
    thread.join()
    return done


def test_a_store_that_is_being_written_is_followed_to_its_end(tmp_path):
    store, out = tmp_path / "a.store", tmp_path / "a.tracks.h5"
    writer = imgstore.create(store, SHAPE, format="npy", chunksize=40)
    done = track_while_written(store, writer, 60, 60, layout=layout_file(tmp_path), out=out)
    assert done.summary.frames == 120
    assert done.summary.found == {1: 1.0, 2: 1.0}


def test_a_broken_chunk_of_a_store_that_is_followed_is_tracked_around_and_told(tmp_path):
    store, out = tmp_path / "a.store", tmp_path / "a.tracks.h5"

    def break_a_chunk():
        (broken,) = store.glob("000001.*avi")
        broken.write_bytes(broken.read_bytes()[:300])

    writer = imgstore.create(store, SHAPE, format="mjpeg/avi", chunksize=40)
    done = track_while_written(store, writer, 100, 60, break_a_chunk, out=out)
    assert (done.summary.frames, done.summary.unread) == (120, 40)
    with open_results(out) as results:
        assert results.frames["index"].tolist() == [*range(40), *range(80, 160)]
        (event,) = results.events
    assert (event.kind, event.time) == ("frames-unreadable", 1002.0)
    assert (event.detail["first_index"], event.detail["count"]) == (40, 40)
    archived = retrack(store, out=tmp_path / "b.tracks.h5")
    assert archived.summary.unread == 40


def test_who_waits_for_a_camera_that_is_silent_can_be_stopped_and_has_written_all(tmp_path):
    store, out = tmp_path / "a.store", tmp_path / "a.tracks.h5"
    stop = threading.Event()
    with imgstore.create(store, SHAPE, format="npy", chunksize=40) as writer:
        for frame in frames(60):
            writer.append(frame)

        def watch():
            deadline = time.monotonic() + 60
            while rows_so_far(out) < 59 and time.monotonic() < deadline:
                time.sleep(0.05)
            stop.set()

        thread = threading.Thread(target=watch)
        thread.start()
        done = retrack(store, out=out, follow=True, stop=stop)
        thread.join()
    assert done.summary.stopped
    assert done.summary.frames >= 59
    with open_results(out) as results:
        assert results.points["frame"].max() == done.summary.frames - 1


def test_live_frames_are_tracked_until_they_end(tmp_path):
    def coming(is_over):
        for frame in frames(150):
            assert not is_over()
            yield frame

    sink = Recorded()
    done = track_live(coming, "a camera", out=tmp_path / "a.tracks.h5", sinks=[sink])
    assert (done.summary.frames, done.summary.stopped) == (150, False)
    assert sink.frames == list(range(150))
    with open_results(done.path) as results:
        assert (results.attributes["source"], results.attributes["state"]) == ("a camera", "complete")
        assert len(results.points) == len(np.concatenate(sink.points)) > 140


def test_nothing_that_comes_is_told(tmp_path):
    with pytest.raises(EmptyRecordingError, match="no frame came from feed:x"):
        track_live(lambda is_over: iter(()), "feed:x", out=tmp_path / "a.tracks.h5")


@pytest.mark.parametrize("tracker", ["archive", "adaptive"])
def test_more_animals_than_said_and_regions_that_stick_out_are_noted(tmp_path, tracker):
    paths = [walk(100, (15, 15), (85, 20)), walk(100, (85, 48), (15, 40))]
    store = store_of(tmp_path / "a.store", Arena(paths, shape=SHAPE, axes=(12, 6)))
    (tmp_path / "out.yaml").write_text("regions: [{rectangle: [-20, 0, 500, 500]}]\n")
    noted = {}
    for animals in (1, 2, 0):
        given = {"animals": animals}
        out = tmp_path / f"{animals}.h5"
        noted[animals] = retrack(store, tracker=tracker, settings=given, out=out).notes
    (note,) = noted[1]
    assert "more animals than said in region 1; --set animals=N" in note
    assert noted[2] == noted[0] == ()
    done = retrack(store, layout=str(tmp_path / "out.yaml"), tracker=tracker, out=tmp_path / "o.h5")
    assert "of region 1 lies outside of the frame" in done.notes[0]
