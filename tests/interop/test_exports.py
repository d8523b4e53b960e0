"""The programs that our exports are for read them, each in an environment apart (sh tools/interop.sh)."""

import json
import os

import numpy as np
import pytest

import imgstore
from tests.interop.apart import run_apart
from tests.tracking.made import ROIS, START, frame_times, make_points, make_recording, make_result
from tracking import EXPORTERS, ROI, export

PYTHON = os.environ.get("ETHOSTORE_INTEROP_PYTHON")

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="ETHOSTORE_INTEROP_PYTHON names no Python with ethoscopy, movement and others"
)

X = 20.25 + np.arange(60)


def outside(script, *arguments):
    """Run a script with those packages, far from ours, and return what it prints last, as JSON."""
    return json.loads(run_apart(PYTHON, script, *arguments).strip().splitlines()[-1])


@pytest.fixture
def result(tmp_path):
    """A result of a store of three video chunks."""
    store = make_recording(tmp_path / "a.store", fmt="h264/mkv")
    return make_result(tmp_path / "a.store" / "a.tracks.h5", store)


ETHOSCOPY = """
import json, sys
from pathlib import Path
import ethoscopy as etho
from ethoscopy.load import read_single_roi, load_ethoscope_metadata
root = Path(sys.argv[1])
rows = [f"E_014,2026-01-02,{region}\\n" for region in (1, 2, 5)]
(root / "meta.csv").write_text("machine_name,date,region_id\\n" + "".join(rows))
meta = etho.link_meta_index(str(root / "meta.csv"), str(root / "results"))
one, two, five = (read_single_roi(row) for _, row in meta.iterrows())
every = etho.load_ethoscope(meta, verbose=False)
about = load_ethoscope_metadata(meta).iloc[0]
slept = etho.load_ethoscope(meta, FUN=etho.sleep_annotation, verbose=False)
print(json.dumps({
    "ids": meta["id"].tolist(), "t": one.t.tolist(), "x": one.x.tolist(), "still": two.x.unique().tolist(),
    "rows": [len(one), len(two), len(five)], "every": every.groupby("id").size().to_dict(),
    "interacted": int(one.has_interacted.sum()), "start": about["date_time"].timestamp(),
    "class": about["class"], "targets": about["target_coordinates"], "slept": len(slept),
    "asleep": slept.groupby("id")["asleep"].mean().to_dict(),
}))
"""


def test_ethoscopy_loads_every_region_with_its_times(tmp_path):
    count = 2400  # sleep is told from 1000 s or more
    times = START + np.arange(count) / 2
    points = make_points(count)
    for n, table in enumerate(points):
        table["x"][0] = 20 + 4 * (n % 60)
    rois = [ROI(roi.polygon * (4, 1), roi.number) for roi in ROIS]  # ethoscopy sees all move in short ones
    path = make_result(tmp_path / "a.tracks.h5", count=count, times=times, points=points, rois=rois)
    settings = {"machine_name": "E_014", "machine_id": "014" + "a" * 29}
    export(path, tmp_path / "results", format="ethoscope", settings=settings)
    seen = outside(ETHOSCOPY, tmp_path)
    assert seen["ids"] == [f"2026-01-02_03-04-05_014aaa|{n:02d}" for n in (1, 2, 5)]
    assert seen["rows"] == [count - 3, count, 0]
    kept = np.array([n for n in range(count) if not 10 <= n <= 12])
    np.testing.assert_allclose(seen["t"], kept / 2, atol=1e-3)
    np.testing.assert_allclose(seen["x"], (4 * (kept % 60) - 20) / 397)
    assert seen["still"] == [10 / 397]
    assert seen["interacted"] == 1
    assert seen["start"] == pytest.approx(START, abs=1e-3)
    assert seen["class"] == "DefaultStimulator"
    assert seen["targets"] == [[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]]
    assert set(seen["every"]) == set(seen["ids"][:2])
    assert [seen["asleep"][name] for name in seen["ids"][:2]] == [0, 1]  # one moves, one rests


SLEAP = """
import json, sys
import numpy as np, sleap_io
from movement.io import load_poses
labels = sleap_io.load_file(sys.argv[1])
poses = load_poses.from_sleap_file(sys.argv[1], fps=10)
array = labels.numpy()
print(json.dumps({
    "shape": array.shape, "x": array[:, 0, 0, 0].tolist(), "nobody": bool(np.isnan(array[:, -1]).all()),
    "tracks": [track.name for track in labels.tracks], "nodes": labels.skeletons[0].node_names,
    "score": float(labels[0].instances[0].score), "video": str(labels.videos[0].filename),
    "movement": poses.position.sel(individuals="roi_1", space="x").values.ravel().tolist(),
    "confidence": float(poses.confidence.max()), "individuals": poses.individuals.values.tolist(),
}))
"""


@pytest.mark.parametrize("ending", [".analysis.h5", ".slp"])
def test_sleap_io_and_movement_read_sleap_files(result, tmp_path, ending):
    out = export(result, tmp_path / f"out{ending}", settings={"video": str(tmp_path / "a.mp4")}).path
    seen = outside(SLEAP, out)
    names = ["roi_1", "roi_2", "roi_5"]
    assert seen["shape"] == [60, 3, 1, 2]
    np.testing.assert_allclose(seen["x"], X)
    assert seen["nobody"]
    assert seen["tracks"] == seen["individuals"] == names
    assert seen["nodes"] == ["centroid"]
    assert seen["score"] == pytest.approx(0.75)
    assert seen["confidence"] == pytest.approx(0.75)
    assert seen["video"] == str(tmp_path / "a.mp4")
    np.testing.assert_allclose(seen["movement"], X)


MOVEMENT = """
import json, sys
import numpy as np, xarray
from movement.kinematics import compute_velocity
from movement.validators.datasets import ValidPosesInputs
read = {}
for engine in ("netcdf4", "h5netcdf"):
    with xarray.open_dataset(sys.argv[1], engine=engine) as data:
        data.load()
    ValidPosesInputs.validate(data)
    velocity = compute_velocity(data.position).sel(individuals="roi_1", space="x").values.ravel()
    read[engine] = {
        "time": data.time.values.tolist(), "start": float(data.attrs["start_time"]),
        "velocity": velocity.tolist(),
        "x": data.position.sel(individuals="roi_1", space="x").values.ravel().tolist(),
        "status": data.status.sel(individuals="roi_1").values.tolist(), "attrs": sorted(data.attrs),
        "number": data.frame_number.values.tolist(), "fps": float(data.attrs["fps"]),
        "unit": data.time_unit, "type": data.ds_type,
    }
print(json.dumps(read))
"""


def test_movement_has_the_real_times_of_the_frames(result, tmp_path):
    times = frame_times(60)
    for seen in outside(MOVEMENT, export(result, tmp_path / "a.nc").path).values():
        np.testing.assert_allclose(np.array(seen["time"]) + seen["start"], times, rtol=0, atol=1e-6)
        np.testing.assert_allclose(seen["x"], X)
        np.testing.assert_allclose(seen["velocity"], np.gradient(X, times - times[0]), rtol=1e-4)
        assert seen["status"][9:14] == [0, 3, 3, 3, 0]
        assert seen["number"] == list(range(60))
        assert seen["fps"] == pytest.approx(10, rel=0.02)
        assert (seen["unit"], seen["type"]) == ("seconds", "poses")


NWB = """
import json, sys
import pynwb
from nwbinspector import inspect_nwbfile
from movement.io import load_poses
path = sys.argv[1]
problems = pynwb.validate(path=path)
found = [[str(message.importance.name), message.message] for message in inspect_nwbfile(nwbfile_path=path)]
with pynwb.NWBHDF5IO(path, "r") as io:
    nwb = io.read()
    video = nwb.acquisition["video"]
    behaviour = nwb.processing["behavior"]
    series = behaviour["Position"]["roi_2"]
    pose = behaviour["PoseEstimation_roi_1"]
    node = pose["centroid"]
    seen = {
        "files": list(video.external_file[:]), "starts": video.starting_frame[:].tolist(),
        "video_times": video.timestamps[:].tolist(), "start": nwb.session_start_time.isoformat(),
        "x": node.data[:, 0].tolist(), "confidence": node.confidence[:].tolist(),
        "times": series.timestamps[:].tolist(), "y": series.data[:, 1].tolist(),
        "unit": [series.unit, series.conversion], "shares": node.data == behaviour["Position"]["roi_1"].data,
        "video": pose.source_video is video,
        "area": behaviour["BehavioralTimeSeries"]["area"].data[0].tolist(),
        "subject": nwb.subject.species,
    }
poses = load_poses.from_nwb_file(path, pose_estimation_key="PoseEstimation_roi_1")
print(json.dumps({**seen, "problems": [str(p) for p in problems], "found": found,
                  "movement": poses.position.sel(space="x").values.ravel().tolist()}))
"""


def test_nwb_files_are_valid_and_say_when_every_frame_was(result):
    try:
        EXPORTERS.get("nwb")
    except imgstore.MissingDependencyError as exc:
        pytest.skip(str(exc))
    settings = {"subject": "fly1", "species": "Drosophila melanogaster", "age": "P5D", "sex": "F"}
    settings |= {"experimenter": "Doe, Jane", "lab": "a lab", "institution": "somewhere"}
    done = export(result, result.with_name("a.nwb"), settings=settings)
    assert done.left_out == ()
    seen = outside(NWB, done.path)
    assert seen["problems"] == []
    assert [entry for entry in seen["found"] if entry[0] in ("ERROR", "PYNWB_VALIDATION", "CRITICAL")] == []
    times = frame_times(60) - START
    assert seen["files"] == ["000000.mkv", "000001.mkv", "000002.mkv"]
    assert seen["starts"] == [0, 25, 50]
    np.testing.assert_allclose(seen["video_times"], times, atol=1e-6)
    np.testing.assert_allclose(seen["times"], times, atol=1e-6)
    assert seen["start"] == "2026-01-02T04:04:05.250000+01:00"
    np.testing.assert_allclose(seen["x"], X)
    np.testing.assert_allclose(seen["movement"], X)
    np.testing.assert_allclose(seen["y"], 40)
    np.testing.assert_allclose(seen["confidence"], 0.75)
    assert seen["unit"] == ["meters", 0.0005]
    assert seen["video"]
    assert seen["area"][:2] == [47, 47]
    assert seen["subject"] == "Drosophila melanogaster"
