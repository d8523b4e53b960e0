"""Regions, targets and layouts."""

import json

import cv2
import numpy as np
import pytest

from imgstore import UnknownNameError, open_video
from tracking import (
    LAYOUTS,
    ROI,
    LayoutError,
    RegionError,
    TargetsNotFoundError,
    find_targets,
    median_image,
    open_layout,
)
from tracking.layouts.file import parse_layout
from tracking.layouts.grid import place_on_targets

TARGETS = np.array([(560.0, 60.0), (566.0, 420.0), (40.0, 426.0)])


def frame_with_discs(centres, *, radius=12, shape=(480, 640), light=False):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = (70 if light else 110) + 60 * np.sin(columns / 300) + 30 * rows / shape[0]
    for x, y in centres:
        image -= 30 * (1 - np.tanh(np.hypot(columns - x, rows - y) - radius))
    noisy = image + np.random.default_rng(0).normal(0, 3, shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("light", [False, True], ids=["bright", "dim"])
def test_targets_are_found_in_order_under_uneven_light(light):
    decoys = [(300.0, 200.0)]
    image = frame_with_discs([*TARGETS[::-1], *decoys], light=light)
    np.testing.assert_allclose(find_targets(image), TARGETS, atol=0.5)


def test_a_larger_disc_and_a_square_are_no_targets():
    image = frame_with_discs(TARGETS)
    cv2.circle(image, (300, 240), 40, 20, -1)
    cv2.rectangle(image, (550, 200), (574, 224), 20, -1)
    np.testing.assert_allclose(find_targets(image), TARGETS, atol=0.5)


def test_missing_targets_say_what_was_seen_instead():
    with pytest.raises(TargetsNotFoundError, match=r"\(560, 60\)") as error:
        find_targets(frame_with_discs(TARGETS[:2]))
    assert "(566, 420)" in str(error.value)
    with pytest.raises(TargetsNotFoundError, match="seen: none"):
        find_targets(np.full((480, 640), 128, np.uint8))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("sleep-monitor-20tube", 20),
        ("sleep-monitor-30tube", 30),
        ("olfaction-assay-10tube", 10),
        ("electric-shock-5tube", 5),
        ("hd-12tube", 12),
        ("hd-mating-arena-6", 6),
        ("whole-frame", 1),
    ],
)
def test_every_preset_numbers_its_regions_down_the_columns(name, count):
    regions = open_layout(name).find(frame_with_discs(TARGETS))
    assert [roi.number for roi in regions.rois] == list(range(1, count + 1))
    centres = np.array([roi.centre for roi in regions.rois])
    columns = np.round(centres[:, 0] / 40)
    assert (np.diff(columns) >= 0).all() or name.startswith("hd")
    assert name in LAYOUTS


def test_a_grid_without_margins_fills_the_square_of_the_targets():
    layout = parse_layout({"grid": {"rows": 2, "columns": 1, "horizontal_fill": 1, "vertical_fill": 1}})
    square = np.array([(100.0, 0.0), (100.0, 100.0), (0.0, 100.0)])
    upper, lower = place_on_targets(layout, square)
    np.testing.assert_allclose(upper.polygon, [(0, 0), (100, 0), (100, 50), (0, 50)])
    np.testing.assert_allclose(lower.polygon, [(0, 50), (100, 50), (100, 100), (0, 100)])


def test_the_real_arena_is_found_as_ethoscope_finds_it(data):
    reference = json.loads((data / "arena_10x2_rois.json").read_text())
    with open_video(data / "arena_10x2.mp4") as video:
        regions = open_layout("sleep-monitor-20tube").find(median_image(video))
    np.testing.assert_allclose(regions.targets, reference["reference_points"], atol=2)
    assert [roi.number for roi in regions.rois] == [roi["idx"] for roi in reference["rois"]]
    for roi, expected in zip(regions.rois, reference["rois"], strict=True):
        np.testing.assert_allclose(roi.polygon, expected["polygon"], atol=3)


def test_a_region_knows_its_pixels():
    roi = ROI(np.array([(2.0, 3.0), (7.0, 3.0), (7.0, 5.0), (2.0, 5.0)]), 4)
    assert roi.rectangle == (2, 3, 6, 3)
    assert roi.offset == (2, 3)
    assert roi.longest_axis == 6
    assert roi.value == 4
    assert roi.mask((10, 10)).shape == (3, 6)
    assert (roi.mask((10, 10)) == 255).all()
    assert roi.mask((5, 4)).shape == (2, 2)
    with pytest.raises(RegionError, match="outside of the frame"):
        roi.window((3, 10))


def test_a_triangle_masks_what_is_outside_of_it():
    mask = ROI(np.array([(0.0, 0.0), (20.0, 0.0), (0.0, 20.0)]), 1).mask((21, 21))
    assert mask[2, 2] == 255
    assert mask[18, 18] == 0


@pytest.mark.parametrize(
    "polygon", [[(0, 0), (1, 1)], [(0, 0, 0)] * 3, [(0, 0), (1, 0), (np.nan, 1)]], ids=repr
)
def test_what_is_no_polygon_is_refused(polygon):
    with pytest.raises(RegionError, match="region 1"):
        ROI(np.array(polygon, float), 1)


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_regions_come_from_a_file(tmp_path, ending):
    content = {
        "regions": [
            {"polygon": [[1, 2], [30, 2], [30, 20]], "number": 2, "value": 7, "name": "left"},
            {"circle": [50, 40, 10], "number": 1},
        ]
    }
    path = tmp_path / f"regions.{ending}"
    path.write_text(json.dumps(content))
    circle, triangle = open_layout(str(path)).find(np.zeros((60, 80), np.uint8)).rois
    assert (triangle.number, triangle.value, triangle.name) == (2, 7, "left")
    np.testing.assert_allclose(triangle.polygon, [(1, 2), (30, 2), (30, 20)])
    assert circle.mask((60, 80)).sum() / 255 == pytest.approx(np.pi * 10.5**2, rel=0.05)  # with its border
    with pytest.raises(RegionError, match="outside"):
        open_layout(str(path)).find(np.zeros((20, 30), np.uint8))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "regions: []",
        "regions: [3]",
        "regions: [{circle: [1, 2]}]",
        "regions: [{circle: [1, 2, -3]}]",
        "regions: [{circle: [1, 2, 3], polygon: [[1, 2]]}]",
        "regions: [{polygon: [[1, 2], [3]]}]",
        "regions: [{polygon: [[1, 2], [3, 4]]}]",
        "regions: [{circel: [1, 2, 3]}]",
        "regions: [{circle: [1, 2, 3], number: 1}, {circle: [5, 5, 3], number: 1}]",
        "regions: [{circle: [1, 2, 3], number: 0}]",
        "grid: {rows: 3}",
        "grid: {rows: 3, columns: 0}",
        "grid: {rows: 3, columns: x}",
        "a: [",
        "\x00",
    ],
)
def test_a_bad_layout_file_is_named_with_what_is_wrong(tmp_path, text):
    path = tmp_path / "regions.yaml"
    path.write_text(text)
    with pytest.raises(LayoutError, match=r"regions\.yaml"):
        open_layout(str(path))


def test_a_typo_in_a_layout_name_suggests_the_right_one():
    with pytest.raises(UnknownNameError, match="did you mean 'sleep-monitor-20tube'"):
        open_layout("sleep-monitor-20-tube")
    assert open_layout("sleep_monitor_20tube") is open_layout("sleep-monitor-20tube")
    with pytest.raises(LayoutError, match="cannot be read"):
        open_layout("nowhere.yaml")
