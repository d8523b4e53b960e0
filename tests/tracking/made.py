"""A small made result, of a made store, in which everything is known."""

import numpy as np

import imgstore
from imgstore import Frame
from tracking import ROI, ResultWriter, RunInfo, Status
from tracking.points import new_points

SHAPE = (80, 120)
START = 1_767_323_045.25
RATE = 10.0

ROIS = [
    ROI(np.array([(10.0, 5.0), (109.0, 5.0), (109.0, 24.0), (10.0, 24.0)]), 1),
    ROI(np.array([(10.0, 30.0), (109.0, 30.0), (109.0, 49.0), (10.0, 49.0)]), 2, 7, "treated"),
    ROI(np.array([(10.0, 55.0), (109.0, 55.0), (109.0, 74.0), (10.0, 74.0)]), 5),
]
"""The animal of the first walks, that of the second rests, in the third is nobody."""


def frame_times(count, rate=RATE):
    """Return times with a jitter, and a gap of 2 s after frame 20; shape (count,)."""
    jitter = 0.001 * np.sin(np.arange(count))  # none of the first
    return START + np.arange(count) / rate + jitter + 2.0 * (np.arange(count) > 20)


def make_recording(path, count=60, fmt="mjpeg/avi", times=None):
    """Make a store of grey frames in chunks of 25."""
    times = frame_times(count) if times is None else times
    with imgstore.create(path, SHAPE, format=fmt, chunksize=25) as store:
        for number, time in enumerate(times):
            store.append(Frame(np.full(SHAPE, 40 + number % 100, np.uint8), number, number, float(time)))
    return path


def make_points(count, animals=((1, 1), (2, 1))):
    """Return the points of every frame: region 1 loses its animal in frames 10 to 12, which is inferred."""
    every = []
    for frame in range(count):
        points = new_points(len(animals))
        points["frame"] = frame
        points["roi"], points["identity"] = np.array(animals).T
        walking = points["roi"] == 1
        points["x"] = np.where(walking, 20.25 + frame, 50.0) + 10 * (points["identity"] - 1)
        points["y"] = np.where(walking, 15.5, 40.0)
        points["length"], points["width"], points["angle"] = 12, 5, 90
        points["area"], points["score"] = 47, 0.75
        points["status"] = np.where(walking & (10 <= frame <= 12), Status.LOST, Status.DETECTED)
        points["interaction"] = walking & (frame == 30)
        every.append(points)
    return every


def make_result(path, source="/nowhere/a.store", count=60, *, times=None, points=None, rois=ROIS):
    """Write a result; `points` is a list of tables, written after all frames if they are not one each."""
    times = frame_times(count) if times is None else times
    points = make_points(count) if points is None else points
    info = RunInfo(
        str(source),
        SHAPE,
        "archive",
        {"samples": 60, "share": float("nan")},
        "a.yaml",
        "0123456789abcdef" * 2,
        "Europe/Vienna",
        0.5,
    )
    with ResultWriter(path, info, rois, np.array([(1.5, 2.5), (3.5, 4.5), (5.5, 6.5)])) as results:
        image = np.empty((0, 0), np.uint8)
        for index, time in enumerate(times):
            results.append(Frame(image, index, index, float(time)), new_points())
        for table in points:
            results.append_points(table)
    return path
