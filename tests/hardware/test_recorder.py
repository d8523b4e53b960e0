"""From camera to sinks: in order, complete, and ended cleanly whatever happens."""

import errno
import math
import signal
import threading
import time
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgstore
from hardware import (
    CAUSES,
    CameraFrame,
    CameraIdentity,
    CameraJob,
    CameraNotFoundError,
    CameraSettings,
    CameraTimeoutError,
    CaptureError,
    DiskGuard,
    Recorder,
    RecordLimit,
    Saving,
    SettingError,
    StoreSink,
    StoreSpec,
    open_camera,
)
from hardware.acquisition import Acquisition
from hardware.losses import Loss, merged
from imgstore import ChunkError, Frame, FrameSpec, StoreExistsError


class ScriptedCamera:
    """Gives small frames, ten per second, as it is told, and then ends.

    Each start takes the next script: a number for a frame, ("bad", number) for one with parts missing, an
    error to raise, or anything to call.
    """

    identity = CameraIdentity("scripted")
    rate = 10.0

    def __init__(self, *scripts, live=False, shape=(4, 6), began=100.0):
        self.spec = FrameSpec(shape)
        self.live = live
        self.given = {}
        self.running = False
        self.starts = 0
        self._scripts = list(scripts)
        self._began = began

    def start(self):
        self.starts += 1
        self._script = iter(self._scripts.pop(0))
        first = next(self._script, None)
        if isinstance(first, CameraNotFoundError):
            raise first
        self._script = chain([] if first is None else [first], self._script)
        self.running = True
        self._index = 0

    def read(self, timeout):
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
                continue
            bad, number = step if isinstance(step, tuple) else (None, step)
            index, self._index = self._index, self._index + 1
            return CameraFrame(
                image=np.full(self.spec.shape, number % 256, np.uint8),
                index=index,
                number=number,
                time=self._began + number / self.rate,
                arrived_ns=time.monotonic_ns(),
                incomplete=bad is not None,
            )
        return None

    def stop(self):
        self.running = False


class ListSink:
    """Keeps numbers, and events; may do something, or raise, at one of them."""

    def __init__(self, at=None, action=None, closed=None):
        self.numbers = []
        self.events = []
        self.closed = 0
        self._at = at
        self._action = action
        self._order = closed

    def append(self, frame):
        if frame.number == self._at:
            self._action()
        self.numbers.append(frame.number)

    def append_event(self, kind, time=None, **detail):
        self.events.append((kind, detail))

    def of(self, kind):
        return [detail for one, detail in self.events if one == kind]

    def close(self):
        self.closed += 1
        if self._order is not None:
            self._order.append(self)


def fail():
    raise OSError("disk full")


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_all_frames_of_a_source_that_waits_reach_all_sinks_in_order():
    camera, sinks = ScriptedCamera(range(300)), [ListSink(), ListSink()]
    summary = Recorder(camera, lambda spec: sinks, queue_frames=2).run()

    assert [sink.numbers for sink in sinks] == [list(range(300))] * 2
    assert (summary.frames, summary.dropped, summary.stopped_by) == (300, 0, "end")
    assert not camera.running


def test_sinks_are_closed_once_and_in_their_order():
    closed = []
    sinks = [ListSink(closed=closed) for _ in range(3)]
    Recorder(ScriptedCamera(range(3)), lambda spec: sinks).run()
    assert closed == sinks


def test_a_live_camera_does_not_wait_for_a_slow_sink_and_what_is_dropped_is_counted():
    ended = threading.Event()
    sink = ListSink(at=0, action=ended.wait)  # takes the first frame until the camera has given the last
    camera = ScriptedCamera([*range(100), ended.set], live=True)
    summary = Recorder(camera, lambda spec: [sink], queue_frames=8).run()

    assert summary.frames + summary.dropped == 100
    assert summary.dropped >= 100 - 8 - 1
    assert sink.numbers[0] == 0
    assert all(a < b for a, b in pairwise(sink.numbers))


@pytest.mark.parametrize(
    ("limit", "count"), [({"frames": 7}, 7), ({"seconds": 2.0}, 20), ({"seconds": 0.05}, 1)]
)
def test_a_limit_ends_the_recording_exactly(limit, count):
    sink = ListSink()
    summary = Recorder(ScriptedCamera(range(500)), lambda spec: [sink], limit=RecordLimit(**limit)).run()

    assert sink.numbers == list(range(count))
    assert (summary.frames, summary.stopped_by) == (count, "limit")
    assert sink.closed == 1


def test_a_limit_of_nothing_is_an_error():
    for wrong in ({"frames": 0}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(SettingError):
            RecordLimit(**wrong)


def test_a_camera_that_fails_is_raised_after_everything_before_is_written():
    camera, sink = ScriptedCamera([*range(40), CaptureError("unplugged")]), ListSink()
    with pytest.raises(CaptureError, match="unplugged"):
        Recorder(camera, lambda spec: [sink]).run()

    assert sink.numbers == list(range(40))
    assert sink.closed == 1
    assert not camera.running


def test_a_camera_that_falls_silent_is_raised_as_a_timeout():
    sink = ListSink()
    camera = ScriptedCamera([*range(5), *[CameraTimeoutError("nothing came")] * 1_000_000])
    with pytest.raises(CameraTimeoutError):
        Recorder(camera, lambda spec: [sink], silence_s=0.02).run()
    assert sink.numbers == [0, 1, 2, 3, 4]


def test_a_sink_that_fails_is_raised_and_all_sinks_are_closed():
    camera, good, bad = ScriptedCamera(range(1000)), ListSink(), ListSink(at=20, action=fail)
    with pytest.raises(OSError, match="disk full"):
        Recorder(camera, lambda spec: [good, bad], queue_frames=4).run()

    assert good.numbers == list(range(21))
    assert bad.numbers == list(range(20))
    assert good.closed == bad.closed == 1
    assert not camera.running


def test_a_camera_that_does_not_start_makes_no_sink(tmp_path):
    camera = open_camera(f"video:{tmp_path / 'absent.mp4'}")
    with pytest.raises(LookupError):
        Recorder(camera, lambda spec: pytest.fail("a sink was made")).run()


def test_sinks_that_cannot_be_made_stop_the_camera():
    camera = ScriptedCamera(range(10))
    with pytest.raises(OSError, match="disk full"):
        Recorder(camera, lambda spec: fail()).run()
    assert not camera.running


@pytest.fixture
def _ctrl_c():
    """Make Ctrl-C work as in a terminal, even where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_ends_the_recording_and_writes_what_is_queued():
    camera = ScriptedCamera(range(100_000))
    sink = ListSink(at=30, action=lambda: signal.raise_signal(signal.SIGINT))
    summary = Recorder(camera, lambda spec: [sink], queue_frames=8).run()

    assert summary.stopped_by == "interrupt"
    assert sink.numbers == list(range(summary.frames))
    assert summary.frames >= 31
    assert sink.closed == 1


def test_an_interrupt_that_is_raised_ends_the_recording_just_so():
    class Pressed:
        def is_set(self):
            raise KeyboardInterrupt

    camera, sink = ScriptedCamera(range(100_000)), ListSink()
    summary = Recorder(camera, lambda spec: [sink], queue_frames=8).run(stop=Pressed())

    assert summary.stopped_by == "interrupt"
    assert sink.numbers == list(range(summary.frames))
    assert sink.closed == 1
    assert not camera.running


def test_a_stop_flag_ends_the_recording():
    stop = threading.Event()
    sink = ListSink(at=10, action=stop.set)
    summary = Recorder(ScriptedCamera(range(100_000)), lambda spec: [sink], queue_frames=4).run(stop=stop)

    assert summary.stopped_by == "stop"
    assert sink.numbers == list(range(summary.frames))


def test_progress_ends_with_what_was_written():
    reports = []
    summary = Recorder(ScriptedCamera(range(50)), lambda spec: [ListSink()]).run(progress=reports.append)

    last = reports[-1]
    assert (last.frames, last.time, last.dropped, last.queued) == (summary.frames, 104.9, 0, 0)
    assert last.rate > 0


def test_a_recording_can_be_read_back_with_numbers_and_times(tmp_path):
    camera = open_camera("simulated", CameraSettings(size=(240, 320), start_time=1e9, seed=1))
    recorder = Recorder(
        camera,
        lambda spec: [imgstore.create(tmp_path / "store", spec.shape, spec.dtype)],
        limit=RecordLimit(frames=30),
    )
    assert recorder.run().frames == 30

    with imgstore.open(tmp_path / "store") as store:
        assert len(store) == 30
        np.testing.assert_array_equal(store.numbers, np.arange(30))
        np.testing.assert_allclose(store.times, 1e9 + np.arange(30) / 20)


def gaps(sink):
    """Return first, last and cause of every gap that was written down, and check that they count right."""
    found = sink.of("gap")
    assert all(gap["count"] == gap["last"] - gap["first"] + 1 for gap in found)
    return [(gap["first"], gap["last"], gap["cause"]) for gap in found]


def check_all_accounted_for(sink, summary):
    """Check that each number up to the last is either written or in a gap, once."""
    lost = [number for first, last, _ in gaps(sink) for number in range(first, last + 1)]
    assert sorted([*sink.numbers, *lost]) == list(range(summary.captured))
    assert summary.captured == summary.frames + summary.dropped
    assert summary.lost == {
        cause: sum(last - first + 1 for first, last, by in gaps(sink) if by == cause) for cause in CAUSES
    }


def test_what_the_camera_lost_and_what_came_with_parts_missing_is_written_down():
    sink = ListSink()
    script = [0, 1, 4, ("bad", 5), ("bad", 6), 7, ("bad", 9), 10, ("bad", 11)]
    summary = Recorder(ScriptedCamera(script, live=True), lambda spec: [sink]).run()

    assert sink.numbers == [0, 1, 4, 7, 10]
    assert gaps(sink) == [
        (2, 3, "camera"),
        (5, 6, "buffer"),
        (8, 8, "camera"),
        (9, 9, "buffer"),
        (11, 11, "buffer"),
    ]
    check_all_accounted_for(sink, summary)
    assert sink.of("recording_ended") == [
        {"captured": 12, "written": 5, "lost": {"camera": 3, "buffer": 4}, "reason": "end"}
    ]


def test_frames_for_which_there_is_no_place_in_the_queue_are_written_down_by_number():
    ended = threading.Event()
    sink = ListSink(at=3, action=ended.wait)
    summary = Recorder(
        ScriptedCamera([*range(200), ended.set], live=True), lambda spec: [sink], queue_frames=5
    ).run()

    assert summary.lost["queue"] > 100
    check_all_accounted_for(sink, summary)


@pytest.mark.parametrize(
    "error", [CaptureError("unplugged"), CameraTimeoutError("nothing came")], ids=["unplugged", "silent"]
)
def test_a_camera_that_is_lost_is_started_again_and_its_numbers_go_on(error):
    silence = [error] * (1 if isinstance(error, CaptureError) else 100_000)
    camera = ScriptedCamera([0, 1, 2, *silence], [CameraNotFoundError("still away")], [20, 21, 22], live=True)
    sink = ListSink()
    summary = Recorder(camera, lambda spec: [sink], silence_s=0.02).run()

    assert camera.starts == 3
    assert sink.numbers == [0, 1, 2, 20, 21, 22]  # at ten per second, by the times of the frames
    assert gaps(sink) == [(3, 19, "camera")]
    assert sink.of("gap")[0]["estimated"] is True
    assert [kind for kind, _ in sink.events][:3] == ["camera_lost", "camera_back", "gap"]
    assert str(error) in sink.of("camera_lost")[0]["reason"]
    check_all_accounted_for(sink, summary)


def test_a_camera_that_stays_away_is_given_up_in_the_end():
    away = [[CameraNotFoundError("away")]] * 50
    camera = ScriptedCamera([0, 1, CaptureError("unplugged")], *away, live=True)
    sink = ListSink()
    recorder = Recorder(camera, lambda spec: [sink], give_up_s=0.3)
    with pytest.raises(CaptureError, match=r"unplugged.*away"):
        recorder.run()
    assert sink.numbers == [0, 1]
    assert sink.closed == 1
    assert recorder.summary.frames == 2


def test_a_camera_that_comes_back_with_other_frames_is_not_recorded():
    camera = ScriptedCamera([0, 1, CaptureError("unplugged")], [5], live=True)
    stop = camera.stop

    def change():
        stop()
        camera.spec = FrameSpec((8, 6))

    camera.stop = change
    sink = ListSink()
    with pytest.raises(CaptureError, match="other frames"):
        Recorder(camera, lambda spec: [sink], give_up_s=0.0).run()
    assert sink.numbers == [0, 1]


def test_while_a_camera_is_away_the_recording_can_be_stopped():
    camera = ScriptedCamera([0, CaptureError("unplugged")], *[[CameraNotFoundError("away")]] * 50, live=True)
    stop = threading.Event()
    sink = ListSink()

    def watch(progress):
        if progress.camera == "lost":
            stop.set()

    summary = Recorder(camera, lambda spec: [sink]).run(watch, stop)
    assert (summary.frames, summary.stopped_by) == (1, "stop")


def test_saving_starts_and_stops_while_the_camera_goes_on():
    recorder = None

    def ask(what):
        return lambda: getattr(recorder, what)("a test")

    script = [0, 1, ask("start_saving"), 2, 3, 4, ask("stop_saving"), 5, 6, 9, ask("start_saving"), 10, 11]
    sink = ListSink()
    recorder = Recorder(ScriptedCamera(script), lambda spec: [sink], saving=Saving(at_once=False))
    summary = recorder.run()

    assert sink.numbers == [2, 3, 4, 10, 11]
    assert [kind for kind, _ in sink.events] == [
        *("saving_started", "saving_stopped", "saving_started", "recording_ended")
    ]
    assert summary.dropped == 0  # 7 and 8 were lost while nothing was to be saved


def test_the_last_seconds_before_a_trigger_are_saved_with_what_was_lost_in_them():
    recorder = None
    script = [*range(30), 32, ("bad", 33), 34, lambda: recorder.start_saving("a trigger"), 35, 36]
    sink = ListSink()
    saving = Saving(at_once=False, pre_trigger_s=1.0)
    recorder = Recorder(ScriptedCamera(script, live=True), lambda spec: [sink], saving=saving)
    summary = recorder.run()

    assert sink.numbers == [24, 25, 26, 27, 28, 29, 32, 34, 35, 36]
    assert gaps(sink) == [(30, 31, "camera"), (33, 33, "buffer")]
    assert summary.captured == 13


def test_no_more_is_kept_for_a_trigger_than_the_memory_holds():
    recorder = None
    script = [*range(100), lambda: recorder.start_saving("a trigger"), 100]
    sink = ListSink()
    recorder = Recorder(
        ScriptedCamera(script),
        lambda spec: [sink],
        saving=Saving(at_once=False, pre_trigger_s=60.0),
        memory=10 * 24,
    )
    recorder.run()
    assert sink.numbers == list(range(90, 101))


def test_nothing_is_made_where_nothing_is_saved():
    recorder = Recorder(
        ScriptedCamera(range(20)), lambda spec: pytest.fail("a sink was made"), saving=Saving(at_once=False)
    )
    assert recorder.run().captured == 0


def test_saving_starts_and_ends_at_times():
    sink = ListSink()
    recorder = Recorder(
        ScriptedCamera([*range(20), 22, *range(24, 90)]),
        lambda spec: [sink],
        saving=Saving(start_at=102.05),
        limit=RecordLimit(until=103.0),
    )
    summary = recorder.run()
    assert sink.numbers == [22, *range(24, 30)]
    assert gaps(sink) == [(21, 21, "camera"), (23, 23, "camera")]  # 20 was before
    assert summary.stopped_by == "limit"


def test_a_mark_is_written_down():
    recorder = None
    sink = ListSink()
    recorder = Recorder(
        ScriptedCamera([*range(10), lambda: recorder.mark("light on"), *range(10, 20)]), lambda spec: [sink]
    )
    recorder.run()
    assert sink.of("mark") == [{"text": "light on"}]


@pytest.mark.parametrize("limit", [{"seconds": 1.0}, {"until": 101.0}])
def test_of_what_was_lost_across_the_end_the_part_before_it_counts(limit):
    sink = ListSink()
    camera = ScriptedCamera([0, 1, 2, ("bad", 3), ("bad", 4), 20, 21], live=True)
    summary = Recorder(camera, lambda spec: [sink], limit=RecordLimit(**limit)).run()
    assert gaps(sink) == [(3, 4, "buffer"), (5, 9, "camera")]
    check_all_accounted_for(sink, summary)


def test_of_a_backlog_at_the_end_what_is_of_before_it_counts():
    ended = threading.Event()
    sink = ListSink(at=0, action=ended.wait)
    summary = Recorder(
        ScriptedCamera([*range(100), ended.set, lambda: time.sleep(0.5), 100], live=True),
        lambda spec: [sink],
        queue_frames=8,
        limit=RecordLimit(seconds=5.0),
    ).run()
    assert summary.captured == 50
    assert summary.lost["queue"] >= 50 - 8 - 1
    check_all_accounted_for(sink, summary)


def test_what_was_lost_before_saving_was_stopped_counts_and_what_was_lost_after_does_not():
    recorder = None

    def ask(what):
        return lambda: getattr(recorder, what)("a test")

    script = [0, ("bad", 1), ask("stop_saving"), 5, 8, ask("start_saving"), 9, 11]
    sink, camera = ListSink(), ScriptedCamera(script, live=True)
    camera.rate = 0.001  # between frames there is time enough for any machine
    recorder = Recorder(camera, lambda spec: [sink])
    summary = recorder.run()
    assert sink.numbers == [0, 9, 11]
    assert gaps(sink) == [(1, 1, "buffer"), (2, 4, "camera"), (10, 10, "camera")]
    assert summary.captured == 8


def test_what_was_lost_before_saving_began_does_not_count():
    recorder = None
    script = [0, 1, lambda: recorder.start_saving("a test"), 50, 52]
    sink, camera = ListSink(), ScriptedCamera(script)
    camera.rate = 0.001  # see above
    recorder = Recorder(camera, lambda spec: [sink], saving=Saving(at_once=False))
    summary = recorder.run()
    assert sink.numbers == [50, 52]
    assert gaps(sink) == [(51, 51, "camera")]
    assert summary.captured == 3


@given(
    count=st.integers(1, 10**9),
    span=st.floats(0, 1e6),
    moments=st.lists(st.floats(-1e6, 3e6), min_size=1, max_size=4),
)
def test_a_loss_is_parted_without_loss(count, span, moments):
    loss = Loss("camera", 7, 6 + count, 1e6, 1e6 + span)
    edges = [-math.inf, *sorted(moments), math.inf]
    parts = [part for since, until in pairwise(edges) if (part := loss.within(since, until)) is not None]
    assert merged(parts)[0].count == count
    assert len(merged(parts)) == 1


def refusing(times, error):
    """Return what raises an error a number of times."""
    left = [times]

    def action():
        if left[0]:
            left[0] -= 1
            raise ChunkError("refused") from error

    return action


def test_a_disk_that_refuses_for_a_moment_loses_nothing():
    sink = ListSink(at=7, action=refusing(3, OSError(errno.ENOSPC, "no space")))
    summary = Recorder(ScriptedCamera(range(30)), lambda spec: [sink]).run()
    assert sink.numbers == list(range(30))
    assert summary.dropped == 0


def test_a_frame_that_the_encoder_refuses_is_left_out_and_written_down():
    sink = ListSink(at=7, action=refusing(1, None))
    summary = Recorder(ScriptedCamera(range(30)), lambda spec: [sink]).run()
    assert gaps(sink) == [(7, 7, "encoder")]
    check_all_accounted_for(sink, summary)


def test_what_one_of_two_encoders_refuses_is_lost_in_its_store_alone():
    left, right = ListSink(), ListSink(at=7, action=refusing(1, None))
    summary = Recorder(ScriptedCamera(range(30)), lambda spec: [left, right]).run()
    assert (gaps(left), gaps(right)) == ([], [(7, 7, "encoder")])
    (of_left,), (of_right,) = left.of("recording_ended"), right.of("recording_ended")
    assert (of_left["written"], of_left["lost"]) == (30, {})
    assert (of_right["written"], of_right["lost"]) == (29, {"encoder": 1})
    assert (summary.frames, summary.lost["encoder"]) == (29, 1)


def test_an_encoder_that_refuses_all_ends_the_recording_whatever_another_does():
    def refuse():
        raise ChunkError("refused")

    good, bad = ListSink(), ListSink()
    bad.append = lambda frame: refuse()
    recorder = Recorder(ScriptedCamera(range(1000)), lambda spec: [bad, good], queue_frames=4)
    with pytest.raises(ChunkError, match="refused"):
        recorder.run()
    assert good.numbers == list(range(100))
    assert recorder.summary.lost["encoder"] >= 100
    assert recorder.summary.captured == recorder.summary.lost["encoder"]


def test_what_happened_is_counted_also_where_it_cannot_be_written_down():
    ended = threading.Event()

    class Forgetful(ListSink):
        def append_event(self, kind, time=None, **detail):
            raise ChunkError("no events today")

    sink = Forgetful(at=0, action=ended.wait)
    script = [0, 1, 4, ("bad", 5), 6, 7, ended.set]
    recorder = Recorder(ScriptedCamera(script, live=True), lambda spec: [sink])
    with pytest.raises(ChunkError, match="no events today"):
        recorder.run()
    summary = recorder.summary
    assert sink.numbers == [0, 1]
    assert summary.frames == 2
    assert summary.captured == 8
    assert (summary.lost["camera"], summary.lost["buffer"]) == (2, 1)
    assert summary.unwritten >= 3  # two gaps at least, and the end


def test_what_a_disk_had_taken_and_did_not_keep_is_lost_and_written_down():
    class Leaking(ListSink):
        settled = False

        def settle(self):
            self.settled = True

        def unkept(self):
            due, self.settled = self.settled, False
            return [Loss("disk", 3, 4, 100.3, 100.4)] if due else []

    sink, other = Leaking(), ListSink()
    summary = Recorder(ScriptedCamera(range(10)), lambda spec: [sink, other]).run()
    assert (summary.frames, summary.lost["disk"], summary.captured) == (8, 2, 10)
    assert (gaps(sink), gaps(other)) == ([(3, 4, "disk")], [])
    assert sink.of("recording_ended")[0]["written"] == 8
    assert other.of("recording_ended")[0]["written"] == 10


@pytest.fixture
def stuck(monkeypatch):
    """What a camera waits for that is stuck in a read; it is let go in the end."""
    monkeypatch.setattr("hardware.acquisition._STUCK_S", 0.4)
    monkeypatch.setattr("hardware.acquisition._ANSWER_S", 0.4)
    before, free = threading.active_count(), threading.Event()
    yield free.wait
    free.set()
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("is_asked", [False, True], ids=["by itself", "asked to end"])
def test_a_camera_that_is_stuck_ends_the_recording_and_is_told(stuck, is_asked):
    stop = threading.Event()

    def watch(progress):
        if is_asked and progress.frames == 3:
            stop.set()

    camera, sink = ScriptedCamera([0, 1, 2, stuck, 3], live=True), ListSink()
    recorder = Recorder(camera, lambda spec: [sink], silence_s=30.0 if is_asked else 0.1)
    with pytest.raises(CameraTimeoutError, match="stuck"):
        recorder.run(watch, stop)
    assert sink.numbers == [0, 1, 2]
    assert "stuck" in sink.of("camera_lost")[0]["reason"]
    assert sink.of("recording_ended")[0]["written"] == 3
    assert sink.closed == 1
    assert camera.running  # nobody can stop it: that would hang, too
    check_all_accounted_for(sink, recorder.summary)


def test_what_was_queued_when_a_sink_failed_is_counted():
    ended = threading.Event()

    def fail_when_all_are_there():
        ended.wait()
        fail()

    sink = ListSink(at=0, action=fail_when_all_are_there)
    recorder = Recorder(
        ScriptedCamera([*range(50), ended.set], live=True), lambda spec: [sink], queue_frames=8
    )
    with pytest.raises(OSError, match="disk full"):
        recorder.run()
    assert recorder.summary.frames == 0
    assert recorder.summary.captured == 50


def test_a_nearly_full_disk_ends_the_recording_in_order(tmp_path):
    stop = threading.Event()
    sink = ListSink()
    recorder = Recorder(
        ScriptedCamera(forever(stop)), lambda spec: [sink], disk=DiskGuard(tmp_path, reserve=1 << 60)
    )
    summary = recorder.run()
    assert summary.stopped_by == "disk"
    assert sink.numbers == list(range(summary.frames))
    assert sink.of("recording_ended")[0]["reason"] == "disk"


def forever(stop):
    """Yield numbers, with time between them for others."""
    number = 0
    while not stop.is_set():
        yield number
        number += 1
        time.sleep(0.001)


def test_a_limit_of_bytes_ends_the_recording():
    written = []
    sink = ListSink()
    recorder = Recorder(
        ScriptedCamera(forever(threading.Event())),
        lambda spec: [sink],
        limit=RecordLimit(bytes=1000),
        size=lambda: written.append(1) or 500 * len(written),
    )
    assert recorder.run().stopped_by == "limit"
    assert len(written) == 2


def test_what_was_lost_before_a_frame_that_comes_too_late_counts():
    late = threading.Event()
    camera = ScriptedCamera([0, ("bad", 1), late.set, 2])
    camera.start()
    acquisition = Acquisition(camera, queue_frames=1, silence_s=5.0)
    acquisition.start()
    late.wait()  # the queue is full: 2 waits until it is too late
    acquisition.stop()
    losses = [loss for entry in acquisition.entries() if entry for loss in entry.losses]
    assert [(loss.first, loss.last, loss.cause) for loss in losses] == [(1, 1, "buffer")]


def test_a_tap_gets_every_frame_even_if_the_queue_is_full():
    ended = threading.Event()
    tap, sink = ListSink(), ListSink(at=3, action=ended.wait)
    camera = ScriptedCamera([*range(100), ended.set], live=True)
    summary = Recorder(camera, lambda spec: [sink], queue_frames=4, open_taps=lambda spec: [tap]).run()
    assert tap.numbers == list(range(100))
    assert summary.dropped
    assert tap.closed


def test_frames_from_before_a_trigger_count_for_the_limit():
    recorder = None
    sink = ListSink()
    recorder = Recorder(
        ScriptedCamera([*range(30), lambda: recorder.start_saving("a trigger"), *range(30, 60)]),
        lambda spec: [sink],
        saving=Saving(at_once=False, pre_trigger_s=1.95),
        limit=RecordLimit(frames=7),
    )
    summary = recorder.run()
    assert sink.numbers == list(range(10, 17))
    assert (summary.frames, summary.stopped_by) == (7, "limit")


def test_what_was_lost_before_the_camera_was_is_kept_for_a_trigger_too():
    recorder = None
    script = [*range(10), ("bad", 10), CaptureError("unplugged")]
    camera = ScriptedCamera(script, [14, lambda: recorder.start_saving("a trigger"), 15], live=True)
    sink = ListSink()
    saving = Saving(at_once=False, pre_trigger_s=0.85)
    recorder = Recorder(camera, lambda spec: [sink], saving=saving)
    recorder.run()
    assert sink.numbers == [6, 7, 8, 9, 14, 15]
    assert gaps(sink) == [(10, 10, "buffer"), (11, 13, "camera")]


def test_what_was_lost_between_those_kept_and_the_time_to_save_is_written_down():
    sink = ListSink()
    recorder = Recorder(
        ScriptedCamera([*range(20), *range(24, 30)]),
        lambda spec: [sink],
        saving=Saving(start_at=102.05, pre_trigger_s=0.85),
    )
    recorder.run()
    assert sink.numbers == [*range(11, 20), *range(24, 30)]
    assert gaps(sink) == [(20, 23, "camera")]


def test_frames_that_waited_beyond_the_end_are_written_if_they_are_of_before_it():
    began = time.time()
    ended = threading.Event()
    sink = ListSink(at=0, action=lambda: ended.wait() and time.sleep(3.0))
    summary = Recorder(
        ScriptedCamera([*range(20), ended.set], live=True, began=began),
        lambda spec: [sink],
        limit=RecordLimit(until=began + 1.0),
    ).run()
    assert sink.numbers == list(range(10))
    assert summary.stopped_by == "limit"


def test_a_recording_of_the_past_ends_by_its_own_times():
    camera = ScriptedCamera(paced(30))
    sink = ListSink()
    summary = Recorder(camera, lambda spec: [sink], limit=RecordLimit(until=102.0)).run()
    assert sink.numbers == list(range(20))
    assert summary.stopped_by == "limit"


def paced(count):
    """Yield numbers so slowly that the queue is empty now and then for more than a look at the clock."""
    for number in range(count):
        if number % 10 == 5:
            yield lambda: time.sleep(1.3)
        yield number


@pytest.mark.parametrize("limit", [{"seconds": 1.0}, {"until": 101.0}])
def test_a_camera_that_stays_away_does_not_keep_a_recording_from_its_end(limit):
    away = [[CameraNotFoundError("away")]] * 50
    camera = ScriptedCamera([0, 1, CaptureError("unplugged")], *away, live=True)
    sink = ListSink()
    summary = Recorder(camera, lambda spec: [sink], limit=RecordLimit(**limit)).run()
    assert sink.numbers == [0, 1]
    assert summary.stopped_by == "limit"
    assert gaps(sink) == [(2, 9, "camera")]
    assert sink.of("gap")[0]["estimated"] is True


def test_what_was_lost_is_counted_also_where_there_is_no_time_left_to_write(monkeypatch):
    monkeypatch.setattr("hardware.session._REST_S", 0.0)
    ended = threading.Event()
    stop = threading.Event()
    sink = ListSink(at=0, action=lambda: ended.wait() and stop.set())
    camera = ScriptedCamera([0, 1, 4, ("bad", 5), 6, ("bad", 7), ended.set], live=True)
    summary = Recorder(camera, lambda spec: [sink]).run(stop=stop)
    assert gaps(sink) == [(1, 1, "queue"), (2, 3, "camera"), (4, 4, "queue"), (5, 5, "buffer"),
                          (6, 6, "queue"), (7, 7, "buffer")]  # fmt: skip
    check_all_accounted_for(sink, summary)


def test_how_it_ended_is_written_down_also_if_a_tap_fails_at_the_end():
    class Failing(ListSink):
        def close(self):
            fail()

    sink, last = ListSink(), ListSink()
    recorder = Recorder(
        ScriptedCamera(range(5)), lambda spec: [sink], open_taps=lambda spec: [Failing(), last]
    )
    with pytest.raises(OSError, match="disk full"):
        recorder.run()
    assert sink.of("recording_ended")[0]["captured"] == 5
    assert last.closed


def test_a_recording_does_not_end_for_who_watches_it():
    class WatchingFailedError(Exception):
        pass

    def watch(progress):
        raise WatchingFailedError

    sink = ListSink()
    with pytest.raises(WatchingFailedError):
        Recorder(
            ScriptedCamera([*range(10), lambda: time.sleep(0.6), *range(10, 20)]), lambda spec: [sink]
        ).run(watch)
    assert sink.numbers == list(range(20))
    assert sink.of("recording_ended")


def test_a_camera_that_starts_and_gives_nothing_is_given_up_in_the_end():
    silent = [CameraTimeoutError("nothing came")] * 1_000_000
    camera = ScriptedCamera([0, 1, *silent], *[silent] * 50, live=True)
    sink = ListSink()
    with pytest.raises(CaptureError, match="nothing came"):
        Recorder(camera, lambda spec: [sink], silence_s=0.02, give_up_s=0.5).run()
    assert sink.numbers == [0, 1]
    assert camera.starts < 50


def test_as_much_memory_as_there_never_was_is_no_error():
    sink = ListSink()
    assert Recorder(ScriptedCamera(range(3)), lambda spec: [sink], memory=10**30).run().frames == 3


def test_a_frame_of_which_the_disk_took_the_half_is_written_once(tmp_path):
    camera = open_camera("simulated:pattern", CameraSettings(size=(96, 128), options={"drift": 10}))
    refuse = refusing(2, OSError(errno.ENOSPC, "no space"))

    class Refusing(StoreSink):
        def _keep_device(self, frame):
            if frame.number == 3:
                refuse()
            super()._keep_device(frame)

    store = StoreSpec(tmp_path / "a", format="mjpeg/avi")
    recorder = Recorder(
        camera, lambda spec: [Refusing(store, spec, camera.rate)], limit=RecordLimit(frames=10)
    )
    assert recorder.run().frames == 10
    with imgstore.open(tmp_path / "a") as written:
        assert written.numbers.tolist() == list(range(10))
        assert len(written.stream("device")) == 10


def test_chunks_of_seconds_need_no_rate(tmp_path):
    camera = ScriptedCamera([*range(25), *range(40, 60)])
    store = StoreSpec(tmp_path / "a", format="png", chunk_s=1.0)
    Recorder(camera, lambda spec: [StoreSink(store, spec, None)]).run()
    with imgstore.open(tmp_path / "a") as written:
        assert [len(written.chunk_range(chunk)) for chunk in written.chunks] == [10, 10, 5, 10, 10]


def test_a_device_may_say_what_64_bits_with_a_sign_do_not_hold(tmp_path):
    options = {"drift": 0.0, "counter_bits": 64, "counter_start": 2**64 - 3}
    camera = open_camera("simulated:pattern", CameraSettings(size=(96, 128), options=options))
    store = StoreSpec(tmp_path / "a", format="mjpeg/avi")
    Recorder(camera, lambda spec: [StoreSink(store, spec, camera.rate)], limit=RecordLimit(frames=6)).run()
    with imgstore.open(tmp_path / "a") as written:
        assert written.stream("device")[:].samples[:, 0].tolist() == [-1, -1, -1, 0, 1, 2]


def test_a_camera_that_counts_back_is_counted_on():
    sink = ListSink()
    summary = Recorder(ScriptedCamera([0, 1, 2, 1, 2, 5]), lambda spec: [sink]).run()
    assert sink.numbers == [0, 1, 2, 3, 4, 7]
    check_all_accounted_for(sink, summary)


def test_a_store_that_is_in_the_way_is_told_before_it_is_time_to_save(tmp_path):
    imgstore.create(tmp_path / "a", (4, 6)).close()
    job = CameraJob("a", "simulated", (StoreSpec(tmp_path / "a"),), saving=Saving(start_at=time.time() + 1e6))
    with pytest.raises(StoreExistsError, match="a store already"):
        job.recorder()


def test_a_damaged_store_that_is_played_at_its_pace_ends_the_recording(tmp_path):
    with imgstore.create(tmp_path / "old", (96, 128), format="png", chunksize=5) as writer:
        for number in range(20):
            writer.append(Frame(np.full((96, 128), number, np.uint8), number, number, 100 + number / 100))
    image = sorted((tmp_path / "old" / "000002").glob("*.png"))[1]
    image.write_bytes(image.read_bytes()[:50])
    sink = ListSink()
    camera = open_camera(f"store:{tmp_path / 'old'}", CameraSettings(realtime=True))
    with pytest.raises(CameraNotFoundError, match="000002"):
        Recorder(camera, lambda spec: [sink]).run()
    assert 0 <= max(sink.numbers) <= 10
