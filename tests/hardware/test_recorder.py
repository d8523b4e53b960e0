"""From camera to sinks: in order, complete, and ended cleanly whatever happens."""

import signal
import threading
from itertools import pairwise

import numpy as np
import pytest

import imgstore
from hardware import (
    CameraSettings,
    CameraTimeoutError,
    CaptureError,
    Recorder,
    RecordLimit,
    SettingError,
    open_camera,
)
from imgstore import Frame, FrameSpec


class ScriptedCamera:
    """Gives `count` small frames, ten per second, then ends or raises `error`."""

    def __init__(self, count, *, live=False, error=None, ended=None):
        self.spec = FrameSpec((4, 6))
        self.live = live
        self.running = False
        self._count = count
        self._error = error
        self._ended = ended  # set once all frames are given

    def start(self):
        self.running = True
        self._number = 0

    def read(self, timeout):
        if self._number < self._count:
            number, self._number = self._number, self._number + 1
            return Frame(np.full((4, 6), number % 256, np.uint8), number, number, 100 + number / 10)
        if self._ended is not None:
            self._ended.set()
        if self._error is not None:
            raise self._error
        return None

    def stop(self):
        self.running = False


class ListSink:
    """Keeps numbers; may do something, or raise, at one of them."""

    def __init__(self, at=None, action=None, closed=None):
        self.numbers = []
        self.closed = 0
        self._at = at
        self._action = action
        self._order = closed

    def append(self, frame):
        if frame.number == self._at:
            self._action()
        self.numbers.append(frame.number)

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
    camera, sinks = ScriptedCamera(300), [ListSink(), ListSink()]
    summary = Recorder(camera, lambda spec: sinks, queue_frames=2).run()

    assert [sink.numbers for sink in sinks] == [list(range(300))] * 2
    assert (summary.frames, summary.dropped, summary.stopped_by) == (300, 0, "end")
    assert not camera.running


def test_sinks_are_closed_once_and_in_their_order():
    closed = []
    sinks = [ListSink(closed=closed) for _ in range(3)]
    Recorder(ScriptedCamera(3), lambda spec: sinks).run()
    assert closed == sinks


def test_a_live_camera_does_not_wait_for_a_slow_sink_and_what_is_dropped_is_counted():
    ended = threading.Event()
    sink = ListSink(at=0, action=ended.wait)  # takes the first frame until the camera has given the last
    camera = ScriptedCamera(100, live=True, ended=ended)
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
    summary = Recorder(ScriptedCamera(500), lambda spec: [sink], limit=RecordLimit(**limit)).run()

    assert sink.numbers == list(range(count))
    assert (summary.frames, summary.stopped_by) == (count, "limit")
    assert sink.closed == 1


def test_a_limit_of_nothing_is_an_error():
    for wrong in ({"frames": 0}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(SettingError):
            RecordLimit(**wrong)


def test_a_camera_that_fails_is_raised_after_everything_before_is_written():
    camera, sink = ScriptedCamera(40, error=CaptureError("unplugged")), ListSink()
    with pytest.raises(CaptureError, match="unplugged"):
        Recorder(camera, lambda spec: [sink]).run()

    assert sink.numbers == list(range(40))
    assert sink.closed == 1
    assert not camera.running


def test_a_camera_that_falls_silent_is_raised_as_a_timeout():
    sink = ListSink()
    camera = ScriptedCamera(5, error=CameraTimeoutError("nothing came"))
    with pytest.raises(CameraTimeoutError):
        Recorder(camera, lambda spec: [sink], timeout=0.02).run()
    assert sink.numbers == [0, 1, 2, 3, 4]


def test_a_sink_that_fails_is_raised_and_all_sinks_are_closed():
    camera, good, bad = ScriptedCamera(1000), ListSink(), ListSink(at=20, action=fail)
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
    camera = ScriptedCamera(10)
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
    camera = ScriptedCamera(100_000)
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

    camera, sink = ScriptedCamera(100_000), ListSink()
    summary = Recorder(camera, lambda spec: [sink], queue_frames=8).run(stop=Pressed())

    assert summary.stopped_by == "interrupt"
    assert sink.numbers == list(range(summary.frames))
    assert sink.closed == 1
    assert not camera.running


def test_a_stop_flag_ends_the_recording():
    stop = threading.Event()
    sink = ListSink(at=10, action=stop.set)
    summary = Recorder(ScriptedCamera(100_000), lambda spec: [sink], queue_frames=4).run(stop=stop)

    assert summary.stopped_by == "stop"
    assert sink.numbers == list(range(summary.frames))


def test_progress_ends_with_what_was_written():
    reports = []
    summary = Recorder(ScriptedCamera(50), lambda spec: [ListSink()]).run(progress=reports.append)

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
