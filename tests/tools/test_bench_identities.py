"""The benchmark of identities, as far as it goes without those whom it compares."""

import os
import sys

import numpy as np
import pytest

from tools.bench.crowd import CrowdPlan
from tools.bench.identities import SCORES, Scene, mean, measure, scenes, split_by_area, table
from tools.bench.peer import PeerError
from tracking.detect import BLOB


def test_recordings_have_names_of_their_own():
    names = [scene.name for scene in scenes(10.0, 0)]
    assert len(names) == len(set(names))


def test_clumps_are_split_as_their_areas_say():
    blobs = np.zeros(4, BLOB)
    blobs["group"] = [0, 0, 0, 1]
    blobs["parts"] = [1, 2, 2, 1]
    blobs["area"] = [210, 100, 110, 90]
    blobs["x"] = [10, 5, 15, 50]
    assert split_by_area(blobs, 100.0)[:, 0].tolist() == [5, 15, 50]


def test_means_are_shown_in_a_table():
    row = {"recording": "a", "animals": 2, "covered": 0.1, "touching": 0.2, "detect_ms": 1.0, "link_ms": 2.0}
    scores = {name: dict.fromkeys(SCORES, 1.0) for name in ("ethostore", "trackpy", "norfair")}
    averaged = mean([row | {"scores": scores}, row | {"scores": scores, "link_ms": 4.0}])
    assert averaged["link_ms"] == 3.0
    assert averaged["scores"] == scores
    assert table([averaged]).row_count == 1


def test_without_those_whom_it_compares_the_benchmark_says_so():
    judge = os.environ.get("ETHOSTORE_JUDGE")
    scene = Scene("short", CrowdPlan(animals=2, side=120, seconds=2))
    if judge is None:
        with pytest.raises(PeerError, match="identities_judge"):
            measure(scene, sys.executable)
        return
    scores = measure(scene, judge)["scores"]
    assert scores["ethostore"]["IDF1"] > 0.9
