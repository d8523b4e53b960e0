"""Runs in an environment of its own: links detections with trackpy and norfair, judges all with TrackEval."""

import json
import logging
import sys
from typing import Any

import numpy as np

for old, new in (("float", float), ("int", int), ("bool", bool)):  # TrackEval was written for an older numpy
    if old not in np.__dict__:
        setattr(np, old, new)

Table = Any
"""Rows of frame, identity, x, y."""

_MEMORY_S = 1.0
_REACH_S = 10.0  # body lengths per second that an animal may go, as in the archive tracker


def main(path: str) -> None:
    """Print the scores of each contender as JSON."""
    scene = np.load(path)
    rate, length, _ = scene["plan"]
    detections = np.column_stack([scene["frames"], scene["places"]])
    tables = {
        "ethostore": scene["ours"],
        "trackpy": link_trackpy(detections, rate, length),
        "norfair": link_norfair(detections, rate, length, len(scene["truth"])),
    }
    print(json.dumps({name: judge(table, scene["truth"], length) for name, table in tables.items()}))


def link_trackpy(detections: Table, rate: float, length: float) -> Table:
    """Link as trackpy does, its search range as wide as it can be without becoming ambiguous."""
    import pandas as pd
    import trackpy

    logging.getLogger("trackpy").setLevel(logging.ERROR)
    trackpy.quiet()
    found = trackpy.link(
        pd.DataFrame(detections, columns=["frame", "x", "y"]).astype({"frame": int}),
        search_range=0.6 * length + _REACH_S * length / rate,
        memory=max(1, round(_MEMORY_S * rate)),
        adaptive_stop=0.2 * length,
        adaptive_step=0.9,
    )
    return np.column_stack([found["frame"], found["particle"], found["x"], found["y"]])


def link_norfair(detections: Table, rate: float, length: float, count: int) -> Table:
    """Link as norfair does, with its Kalman filter."""
    import norfair

    tracker = norfair.Tracker(
        distance_function="euclidean",
        distance_threshold=0.6 * length + _REACH_S * length / rate,
        hit_counter_max=max(2, round(_MEMORY_S * rate)),
        initialization_delay=min(2, max(2, round(_MEMORY_S * rate)) - 1),
    )
    rows = []
    for frame in range(count):
        here = detections[detections[:, 0] == frame, 1:]
        seen = [norfair.Detection(points=place[None]) for place in here]
        for animal in tracker.update(detections=seen):
            if animal.last_detection in seen:
                rows.append((frame, animal.id, *animal.last_detection.points[0]))
    return np.array(rows)


def judge(table: Table, truth: Table, length: float) -> dict[str, float]:
    """Return HOTA (mean over its thresholds), IDF1, MOTA and identity switches.

    Two places are alike by 1 where they are one, by 0 a body length apart; IDF1 and MOTA count as found what
    is alike by a half.
    """
    from trackeval.metrics import CLEAR, HOTA, Identity

    quiet = {"PRINT_CONFIG": False}
    data = _data(table, truth, length)
    hota = HOTA().eval_sequence(data)
    clear = CLEAR(quiet).eval_sequence(data)
    identity = Identity(quiet).eval_sequence(data)
    return {
        "HOTA": float(np.mean(hota["HOTA"])),
        "IDF1": float(identity["IDF1"]),
        "MOTA": float(clear["MOTA"]),
        "switches": float(clear["IDSW"]),
    }


def _data(table: Table, truth: Table, length: float) -> dict[str, Any]:
    names, numbers = np.unique(table[:, 1], return_inverse=True)
    frames = table[:, 0].astype(int)
    data: dict[str, Any] = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for frame in range(len(truth)):
        mine = frames == frame
        gaps = np.hypot(*(truth[frame][:, None] - table[mine, 2:][None]).transpose(2, 0, 1))
        data["gt_ids"].append(np.arange(truth.shape[1]))
        data["tracker_ids"].append(numbers[mine])
        data["similarity_scores"].append(np.maximum(0.0, 1 - gaps / length))
    return data | {
        "num_timesteps": len(truth),
        "num_gt_ids": truth.shape[1],
        "num_tracker_ids": len(names),
        "num_gt_dets": truth.shape[0] * truth.shape[1],
        "num_tracker_dets": len(table),
    }


if __name__ == "__main__":
    main(sys.argv[1])
