"""Result files of animals whose way is known."""

import numpy as np

from imgstore import Frame
from tracking import ROI, ResultWriter, RunInfo
from tracking.points import new_points

IMAGE = np.zeros((100, 400), np.uint8)


def box(number, left=0.0, top=0.0, width=399.0, height=99.0, name=""):
    """Return a region that is a rectangle."""
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return ROI(np.array(corners), number, name=name)


def write_result(
    path,
    times,
    ways,
    *,
    rois=None,
    length=20.0,
    score=0.9,
    timezone="UTC",
    mm_per_pixel=None,
    source="made",
    store_uuid="",
    shape=IMAGE.shape,
    settings=None,
):
    """Write a result of animals that are where they are said to be.

    Parameters
    ----------
    times : of the frames, shape (n,), seconds.
    ways : (region, identity) to positions, shape (n, 2); NaN where the animal was not found.
    score : of all points, or of those of each frame, shape (n,).
    """
    rois = rois or [box(number) for number in sorted({roi for roi, _ in ways})]
    info = RunInfo(
        str(source),
        shape,
        "archive",
        settings or {},
        store_uuid=store_uuid,
        timezone=timezone,
        mm_per_pixel=mm_per_pixel,
    )
    scores = np.broadcast_to(score, len(times))
    with ResultWriter(path, info, rois) as results:
        results.append_background(np.full(shape, 120, np.uint8), float(times[0]) if len(times) else 0.0)
        for first in range(0, len(times), 1000):
            part = range(first, min(first + 1000, len(times)))
            for index in part:
                results.append(Frame(IMAGE, index, index, float(times[index])), new_points())
            tables = [_table(part, animal, way, length, scores) for animal, way in ways.items()]
            points = np.concatenate(tables or [new_points()])
            results.append_points(points[np.argsort(points["frame"], kind="stable")])
            results.flush()
    return path


def _table(part, animal, way, length, scores):
    places = np.asarray(way, float)[part.start : part.stop]
    seen = np.flatnonzero(np.isfinite(places[:, 0]))
    points = new_points(len(seen))
    points["frame"] = part.start + seen
    points["roi"], points["identity"] = animal
    points["x"], points["y"] = places[seen].T
    points["length"], points["width"], points["angle"] = length, length / 3, 30
    points["score"] = scores[points["frame"]]
    return points
