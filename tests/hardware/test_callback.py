"""Functions that look at frames while they are recorded."""

import os
import queue
import threading
import time

import numpy as np
import pytest

import imgstore
from hardware import (
    Callback,
    CallbackProcess,
    CameraFrame,
    CameraSettings,
    CaptureError,
    FeedWriter,
    Recorder,
    RecordLimit,
    SettingError,
    as_record,
    find_function,
    open_camera,
)
from imgstore import ClosedError


def frame(number):
    return CameraFrame(
        np.full((4, 6), number % 256, np.uint8), number, number, number / 10, arrived_ns=time.monotonic_ns()
    )


def test_a_function_gets_each_frame_and_the_last_ones():
    seen = []
    callback = Callback(lambda now, last: seen.append((now.number, [one.number for one in last])), last=3)
    for number in range(5):
        callback.append(frame(number))
        while callback.seen <= number:
            time.sleep(0.001)
    callback.close()
    callback.close()
    assert seen == [(0, [0]), (1, [0, 1]), (2, [0, 1, 2]), (3, [1, 2, 3]), (4, [2, 3, 4])]
    assert callback.left_out == 0
    with pytest.raises(ClosedError):
        callback.append(frame(5))


def test_a_function_that_is_too_slow_gets_the_newest_frames_and_what_it_missed_is_counted():
    go = threading.Event()
    seen = []

    def look(now, last):
        go.wait()
        seen.append(now.number)

    callback = Callback(look)
    for number in range(100):
        callback.append(frame(number))
    go.set()
    callback.close()
    assert seen[-1] == 99
    assert len(seen) + callback.left_out == 100
    assert callback.left_out > 80


def test_what_a_function_raises_comes_out_when_it_is_closed():
    def look(now, last):
        raise ZeroDivisionError("of the user's")

    callback = Callback(look)
    for number in range(20):
        callback.append(frame(number))
    with pytest.raises(ZeroDivisionError):
        callback.close()


def test_results_go_beside_the_frames_of_the_store(tmp_path):
    camera = open_camera("simulated", CameraSettings(size=(96, 128), seed=1, rate=50, realtime=True))
    recorder = None

    def mean(now, last):
        return {"mean": float(now.image.mean())} if now.number % 5 == 0 else None

    callback = Callback(
        mean, results=lambda now, result: recorder.append_extra(as_record("mean", now, result))
    )
    recorder = Recorder(
        camera,
        lambda spec: [imgstore.create(tmp_path / "a", spec.shape, format="npy")],
        limit=RecordLimit(frames=30),
        open_taps=lambda spec: [callback],
    )
    recorder.run()
    with imgstore.open(tmp_path / "a") as store:
        extra = store.extra()
        assert list(extra["callback"].unique()) == ["mean"]
        assert len(extra) >= 5
        for row in extra.itertuples():
            assert row.of_number % 5 == 0
            if row.of_number in store.numbers:
                assert row.mean == pytest.approx(store.by_number(row.of_number).image.mean())


def test_a_callback_that_fails_does_not_end_the_recording(tmp_path):
    def look(now, last):
        raise ZeroDivisionError("of the user's")

    recorder = Recorder(
        open_camera("simulated", CameraSettings(size=(96, 128))),
        lambda spec: [imgstore.create(tmp_path / "a", spec.shape, format="npy")],
        limit=RecordLimit(frames=30),
        open_taps=lambda spec: [Callback(look)],
    )
    with pytest.raises(ZeroDivisionError):
        recorder.run()
    with imgstore.open(tmp_path / "a") as store:
        assert len(store) == 30
        assert store.state == "complete"


def test_a_function_is_found_by_its_name():
    assert find_function("math:sqrt")(4.0) == 2.0
    for wrong in ("math", "math:", ":sqrt", "math:nothing", "no_such_module:f", "math:pi"):
        with pytest.raises(SettingError):
            find_function(wrong)


def mean_of_every_fifth(now, last):
    """Return the mean of an image and how many others there are; what a user would write."""
    return {"mean": float(now.image.mean()), "last": len(last)} if now.number % 5 == 0 else None


def fail_at_once(now, last):
    raise ZeroDivisionError("of the user's")


HERE = "tests.hardware.test_callback"


def record_with(process, path, name):
    camera = open_camera("simulated", CameraSettings(size=(96, 128), seed=1, rate=50, realtime=True))
    recorder = Recorder(
        camera,
        lambda spec: [imgstore.create(path, spec.shape, format="npy")],
        limit=RecordLimit(seconds=4.0),
        open_taps=lambda spec: [FeedWriter(name, spec)],
    )
    with process(recorder):
        recorder.run()


def test_a_function_in_a_process_of_its_own_hands_its_results_back(tmp_path):
    name = f"callback-{os.getpid()}"
    results = queue.SimpleQueue()

    def take(recorder):
        def both(record):
            results.put(record)
            recorder.append_extra(record)

        return CallbackProcess(name, f"{HERE}:mean_of_every_fifth", last=3, results=both)

    record_with(take, tmp_path / "a", name)
    with imgstore.open(tmp_path / "a") as store:
        taken = [results.get() for _ in range(results.qsize())]
        assert len(taken) >= 5
        assert {record["last"] for record in taken} <= {1, 2, 3}
        for record in taken:
            assert record["of_number"] % 5 == 0
            if record["of_number"] in store.numbers:
                image = store.by_number(record["of_number"]).image
                assert record["mean"] == pytest.approx(image.mean())
        assert len(store.extra()) >= 5


def test_a_function_that_fails_in_its_process_is_told_and_the_recording_is_whole(tmp_path):
    name = f"callback-{os.getpid()}"
    with pytest.raises(CaptureError, match="of the user's"):
        record_with(lambda _: CallbackProcess(name, f"{HERE}:fail_at_once"), tmp_path / "a", name)
    with imgstore.open(tmp_path / "a") as store:
        assert store.state == "complete"
        assert len(store) > 50
