"""`ethostore layout`, as a user types it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import imgstore
import tracking
from tests.conftest import ROOT
from tests.tools.test_cli import ethostore, fails
from tests.tracking.dishes import draw_dishes, draw_targets
from tools.layout_draw import Sketch, picture, press
from tracking.layouts.file import parse_layout

DISHES = [(120.0, 130.0, 90.0), (330.0, 140.0, 90.0), (130.0, 350.0, 90.0), (335.0, 345.0, 90.0)]


@pytest.fixture
def dishes(tmp_path):
    """A store with four dishes."""
    image = draw_dishes(DISHES)
    with imgstore.create(tmp_path / "dishes.store", image.shape, format="png") as store:
        for number in range(3):
            store.append(imgstore.Frame(image, number, number, float(number)))
    return "dishes.store"


def test_regions_are_found_checked_changed_and_shown(dishes, tmp_path):
    found = json.loads(
        ethostore(
            *("layout", "find", dishes, "--layout", "circles:4,diameter_mm=60", "--out", "a.yaml"),
            *("--picture", "a.png", "--json"),
            cwd=tmp_path,
        ).stdout
    )
    assert (found["regions"], found["file"]) == (4, "a.yaml")
    assert found["mm_per_pixel"] == pytest.approx(60 / 184, rel=0.03)
    assert cv2.imread(str(tmp_path / "a.png")).shape == (480, 640, 3)
    checked = ethostore("layout", "check", dishes, "--layout", "a.yaml", "--picture", "c.png", cwd=tmp_path)
    assert "problems      0" in checked.stdout
    assert cv2.imread(str(tmp_path / "c.png")).shape == (480, 640, 3)
    ethostore(
        *("layout", "edit", "a.yaml", "--move", "1=200,0", "--rename", "2=control", "--delete", "4"),
        cwd=tmp_path,
    )
    done = ethostore("layout", "check", "--layout", "a.yaml", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert re.search(r"overlap: regions 1 and 2 control share \d+% of the smaller one", done.stderr)
    ethostore("layout", "show", dishes, "--layout", "a.yaml", "--out", "b.png", cwd=tmp_path)
    fails(
        "layout", "show", dishes, "--layout", "a.yaml", "--out", "b.png", cwd=tmp_path, says="exists already"
    )
    fails("layout", "find", dishes, "--out", "a.yaml", cwd=tmp_path, says="exists already")
    ethostore("track", dishes, "--layout", "a.yaml", "--out", "a.tracks.h5", cwd=tmp_path)
    with tracking.open_results(tmp_path / "a.tracks.h5") as results:
        assert [roi.label for roi in results.rois] == ["1", "2 control", "3"]


def test_regions_that_are_not_found_leave_a_picture_beside_the_result(dishes, tmp_path):
    fails(
        *("track", dishes, "--layout", "circles:7", "--out", "a.tracks.h5"),
        cwd=tmp_path,
        says=r"7 dishes were not found.*drawn in \S*dishes_regions_not_found\.png",
    )
    fails(
        *("layout", "find", dishes, "--layout", "circles:7"),
        cwd=tmp_path,
        says=r"7 dishes were not found.*drawn in dishes_regions_not_found_2\.png",
    )
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert names == ["dishes_regions_not_found.png", "dishes_regions_not_found_2.png"]


def test_a_layout_is_edited_as_text_and_stays_if_it_is_none_any_more(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("# mine\nregions: [{circle: [50, 50, 20]}]\n")

    def edited_with(script):
        return subprocess.run(
            [sys.executable, "-c", "from tools.cli import main; main()", "layout", "edit", "a.yaml"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "EDITOR": script, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert edited_with("sed -i s/20/30/").returncode == 0
    assert path.read_text() == "# mine\nregions: [{circle: [50, 50, 30]}]\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.yaml"]
    bad = edited_with("sed -i s/30/-3/")
    assert bad.returncode == 1
    kept = Path(re.search(r"(\S+\.yaml): region 1: the radius", bad.stderr).group(1))
    assert "-3" in kept.read_text()
    assert "30" in path.read_text()
    assert "ended with 1" in edited_with("false").stderr


@pytest.mark.parametrize("head", ["", "frame: [640, 480]\n"], ids=["", "frame"])
@pytest.mark.parametrize("source", [(), ("dishes.store",)], ids=["alone", "source"])
def test_all_that_is_wrong_with_regions_is_said_at_once(dishes, tmp_path, head, source):
    (tmp_path / "a.yaml").write_text(
        f"{head}regions:\n"
        "  - {rectangle: [700, 10, 80, 80]}\n"
        "  - {rectangle: [-90, 10, 80, 80]}\n"
        "  - {rectangle: [100, 100, 80, 80]}\n"
        "  - {rectangle: [120, 100, 80, 80]}\n"
    )
    done = ethostore("layout", "check", *source, "--layout", "a.yaml", cwd=tmp_path, check=False)
    assert done.returncode == 1
    said = re.findall(r"^(\w+):", done.stderr, re.MULTILINE)
    assert said == (["outside", "outside", "overlap"] if head or source else ["overlap"])


def test_wrong_calls_of_layout_say_what_would_work(dishes, tmp_path):
    (tmp_path / "a.yaml").write_text("regions: [{circle: [50, 50, 20]}]\n")
    (tmp_path / "grid.yaml").write_text("grid: {rows: 2, columns: 2}\n")
    (tmp_path / "bow.yaml").write_text("regions: [{polygon: [[10, 10], [200, 90], [200, 10], [10, 90]]}]\n")
    for arguments, says in (
        (("check", "--layout", "grid.yaml"), "layout find SOURCE --layout grid.yaml"),
        (("check", "--layout", "nowhere.yaml"), "cannot be read"),
        (("check", "--layout", "wells"), "layout check SOURCE --layout wells"),
        (("check", "--layout", "bow.yaml"), "outline of region 1 crosses itself"),
        (("find", dishes, "--layout", "circels"), "did you mean 'circles'"),
        (("edit", "grid.yaml", "--move", "1=2,3"), "edit it as text"),
        (("draw", dishes), "layout find.*layout edit.*layout show"),
    ):
        fails("layout", *arguments, cwd=tmp_path, says=says)
    for arguments, says in (
        (("edit", "grid.yaml", "--move", "1=2"), "takes 2 numbers"),
        (("edit", "grid.yaml", "--rename", "all=x"), "one region"),
        (("show", dishes, "--out", "a.gif"), r"\.png"),
        (("check", "--layout", "a.yaml", "--picture", "a.png"), "needs SOURCE"),
    ):
        fails("layout", *arguments, cwd=tmp_path, says=says, code=2)


def test_a_picture_is_a_source_too(tmp_path):
    targets = np.array([(560.0, 60.0), (566.0, 420.0), (40.0, 426.0)])
    cv2.imwrite(str(tmp_path / "arena.png"), draw_targets(targets))
    ethostore("layout", "find", "arena.png", "--layout", "hd-12tube", "--out", "a.json", cwd=tmp_path)
    written = json.loads((tmp_path / "a.json").read_text())
    np.testing.assert_allclose(written["targets"], targets, atol=0.5)
    assert len(written["regions"]) == 12


def test_clicks_and_keys_draw_regions():
    sketch = Sketch()
    for corner in ((10, 10), (100, 10), (100, 80), (500, 80)):
        sketch.click(*corner)
    press(sketch, "u")
    press(sketch, "\r")
    np.testing.assert_allclose(sketch.rois[0].polygon, [(10, 10), (100, 10), (100, 80)])
    for corner in ((300, 100), (400, 200), (300, 300)):
        sketch.click(*corner)
    press(sketch, "o")
    assert sketch.rois[1].rectangle == (200, 100, 201, 201)
    sketch.click(5, 5)
    press(sketch, "\r")
    assert "three corners" in sketch.message
    shown = picture(np.zeros((480, 640), np.uint8), sketch, 0.5)
    assert shown.shape == (240, 320, 3)
    press(sketch, "u")
    press(sketch, "u")
    assert [roi.number for roi in sketch.rois] == [1]


def test_the_examples_of_the_page_on_layouts_are_layouts():
    page = (ROOT / "tracking" / "LAYOUTS.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 5
    for example in examples:
        parse_layout(yaml.safe_load(example))
    for command in re.findall(r"ethostore layout (\w+)", page):
        assert command in ("find", "check", "edit", "show", "draw")
    (table,) = re.findall(r"\| --- \| --- \|\n(.*?)\n\n", page, re.DOTALL)
    for name in re.findall(r"`([a-z][-\w:=,.]*)`", table):
        if not name.endswith((".png", ".yaml", ".json")):
            tracking.open_layout(name)
