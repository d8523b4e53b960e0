"""A camera is recorded, and tracked by another process over its live feed, as users would."""

import json
import os

import pandas as pd
import pytest

from tests.tools.test_track import PATIENCE_S, begin
from tracking import open_results, score

pytestmark = pytest.mark.slow

CLOSE = 10.0  # pixels
ENOUGH = 0.97


def test_an_arena_is_tracked_live_while_it_is_recorded(data, tmp_path):
    name = f"arena-test-{os.getpid()}"
    tracked = ("track", f"feed:{name}", "--wait", PATIENCE_S, "--layout", "sleep-monitor-20tube")
    recorded = ("record", f"video:{data / 'arena_10x2.mp4'}", "a.store", "--realtime", "--feed", name)
    with begin(*tracked, "--out", "a.tracks.h5", "--json", cwd=tmp_path) as tracker:
        with begin(*recorded, "--frames", 620, "--json", cwd=tmp_path) as recorder:
            _, errors = recorder.communicate(timeout=PATIENCE_S + 60)
            assert recorder.returncode == 0, errors
        text, errors = tracker.communicate(timeout=PATIENCE_S)
        assert tracker.returncode == 0, errors
    facts = json.loads(text)
    assert facts["state"] == "complete"
    with open_results(tmp_path / "a.tracks.h5") as results:
        assert results.attributes["tracker"] == "adaptive"
        numbers = results.frames["number"]
        truth = pd.read_csv(data / "arena_10x2_truth_first_half.csv.gz").query("valid == 1")
        truth = truth.rename(columns={"frame": "number", "x_abs": "x", "y_abs": "y"})
        found = score(results.table(), truth[truth["number"].isin(numbers)], radius=CLOSE)
    assert len(numbers) > 300  # on a busy machine not all of them may come
    assert found.near >= ENOUGH, (found, numbers[:3])
