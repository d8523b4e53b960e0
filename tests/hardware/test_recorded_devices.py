"""What emulated machine-vision cameras lose is in the store, as their pictures and their makers say."""

import time

import numpy as np
import pytest

import imgstore
from hardware import CameraSettings, Recorder, RecordLimit, StoreSink, StoreSpec, open_camera
from tests.hardware.test_genicam import square


class SlowTap:
    """Holds up the thread that reads the camera, so that the camera runs out of buffers."""

    def append(self, frame):
        time.sleep(0.03)

    def close(self):
        pass


def record(camera, path, **options):
    store = StoreSpec(path, format="npy")
    return Recorder(camera, lambda spec: [StoreSink(store, spec, camera.rate)], **options).run()


def gaps_of(store):
    return [event.detail for event in store.events if event.kind == "gap"]


def test_the_gaps_of_a_camera_with_three_buffers_are_the_jumps_in_its_pictures(producer, tmp_path):
    camera = open_camera(
        "genicam:0",
        CameraSettings(size=(800, 800), rate=100, options={"producer": str(producer), "buffers": 3}),
    )
    summary = record(camera, tmp_path / "a", limit=RecordLimit(frames=60), open_taps=lambda spec: [SlowTap()])
    with imgstore.open(tmp_path / "a") as store:
        places = np.array([square(frame.image) for frame in store])
        assert (places == store.numbers).all()
        assert summary.lost["camera"] == np.diff(places).sum() - (len(places) - 1) > 0
        lost = {number for gap in gaps_of(store) for number in range(gap["first"], gap["last"] + 1)}
        assert lost == set(range(int(places[-1]))) - set(places.tolist())
        assert {gap["cause"] for gap in gaps_of(store)} == {"camera"}


@pytest.mark.usefixtures("basler_emulator")
def test_three_failed_buffers_are_three_frames_in_the_gaps(tmp_path):
    options = {"ForceFailedBufferCount": 3, "ForceFailedBuffer": "yes"}
    camera = open_camera("basler:0", CameraSettings(size=(96, 128), rate=100, options=options))
    summary = record(camera, tmp_path / "a", limit=RecordLimit(frames=30))
    assert summary.lost["buffer"] == 3
    with imgstore.open(tmp_path / "a") as store:
        assert sum(gap["count"] for gap in gaps_of(store) if gap["cause"] == "buffer") == 3
        assert len(store) == 30
