"""Layouts that find their regions by themselves, and regions from files."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgstore import UnknownNameError, open_video
from tests.tracking.dishes import draw_dishes, draw_plate, draw_targets, photograph, place_wells
from tracking import (
    ROI,
    LayoutError,
    LayoutFile,
    RegionError,
    Regions,
    ResultWriter,
    RunInfo,
    SettingsError,
    TargetsNotFoundError,
    check_regions,
    draw_regions,
    find_regions,
    find_targets,
    median_image,
    open_layout,
    open_results,
)
from tracking.layouts.file import parse_layout
from tracking.layouts.mask import trace_mask
from tracking.polygons import as_circle

TARGETS = np.array([(560.0, 60.0), (566.0, 420.0), (40.0, 426.0)])
BLANK = np.full((480, 640), 128, np.uint8)


def circles_of(regions):
    return np.array([as_circle(roi.polygon) for roi in regions.rois])


# -- dishes --

DISHES = [
    *((120.0, 130.0, 90.0), (330.0, 140.0, 90.0), (540.0, 122.0, 90.0)),
    *((130.0, 350.0, 90.0), (335.0, 345.0, 90.0), (538.0, 352.0, 90.0)),
]


@pytest.mark.parametrize(
    "look", [{"rim": 0.25}, {"rim": -0.3}, {"rim": 0.0, "inside": 0.25}, {"rim": 0.15, "noise": 6.0}], ids=str
)
@pytest.mark.parametrize("name", ["circles", "circles:6"])
def test_dishes_are_found_and_numbered_as_one_reads(look, name):
    regions = open_layout(name).find(draw_dishes(DISHES, **look))
    found = circles_of(regions)
    assert [roi.number for roi in regions.rois] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(found[:, :2], np.array(DISHES)[:, :2], atol=1.5)
    np.testing.assert_allclose(found[:, 2], 91.5, atol=3)  # somewhere on the rim


def test_a_dish_of_known_size_gives_the_scale():
    regions = open_layout("circles:count=1,diameter_mm=90,fill=0.9").find(
        draw_dishes([(320.0, 240.0, 200.0)])
    )
    assert regions.mm_per_pixel == pytest.approx(90 / 402, rel=0.02)
    assert circles_of(regions)[0, 2] == pytest.approx(181, abs=3)


def test_dishes_that_are_not_there_are_missed_with_what_was_seen(tmp_path):
    with pytest.raises(LayoutError, match=r"7 dishes were not found.*\(1[12]\d, 1[23]\d\) radius 9"):
        open_layout("circles:7").find(draw_dishes(DISHES))
    with pytest.raises(LayoutError, match=r"circles seen: none; it has little contrast"):
        open_layout("circles").find(photograph(np.full((240, 320), 130.0), noise=1.0))


def test_the_round_arena_of_the_mouse_is_found(data):
    with open_video(data / "mouse.mp4") as video:
        (roi,) = open_layout("circles:1").find(median_image(video)).rois
    np.testing.assert_allclose(as_circle(roi.polygon), (308, 235, 215), atol=15)


# -- plates --

PLATES = [
    (6, (2, 3), 230.0, 95.0),
    (12, (3, 4), 170.0, 72.0),
    (24, (4, 6), 125.0, 52.0),
    (48, (6, 8), 92.0, 38.0),
    (96, (8, 12), 66.0, 23.0),
]


@pytest.mark.parametrize(("count", "shape", "pitch", "radius"), PLATES, ids=[str(row[0]) for row in PLATES])
def test_the_wells_of_every_plate_are_found_by_themselves(count, shape, pitch, radius):
    wells = place_wells(*shape, pitch=pitch, centre=(485.0, 355.0), degrees=3.0)
    regions = open_layout("wells").find(draw_plate(wells, radius))
    found = circles_of(regions)
    assert len(found) == count
    np.testing.assert_allclose(found[:, :2], wells, atol=1.5)
    np.testing.assert_allclose(found[:, 2], radius, atol=2)
    names = [roi.name for roi in regions.rois]
    assert (names[0], names[1], names[shape[1]], names[-1]) == (
        "A1",
        "A2",
        "B1",
        f"{'ABCDEFGH'[shape[0] - 1]}{shape[1]}",
    )
    if count == 96:
        assert regions.mm_per_pixel == pytest.approx(9 / 66, rel=0.005)


@pytest.mark.parametrize("degrees", [-20.0, 12.0])
def test_a_turned_plate_with_wells_that_are_not_seen_is_found(degrees):
    wells = place_wells(8, 12, pitch=55.0, centre=(480.0, 360.0), degrees=degrees)
    hidden = (0, 17, 18, 50, 94)
    regions = open_layout("wells:96").find(draw_plate(wells, 19.0, hidden=hidden, noise=6.0))
    np.testing.assert_allclose(circles_of(regions)[:, :2], wells, atol=2)
    assert regions.notes == ("5 of 96 wells were not seen, and put where the others say",)


def test_an_upright_plate_has_its_letters_along_the_top():
    wells = place_wells(6, 4, pitch=105.0, centre=(300.0, 360.0))
    image = draw_plate(wells, 42.0, shape=(720, 600))
    names = {roi.name: roi.centre for roi in open_layout("wells:24").find(image).rois}
    np.testing.assert_allclose(names["A1"], wells[3], atol=2)  # upper right
    np.testing.assert_allclose(names["A6"], wells[-1], atol=2)  # numbers run down
    np.testing.assert_allclose(names["D1"], wells[0], atol=2)
    beneath = {roi.name: roi.centre for roi in open_layout("wells:24,a1=lower-left").find(image).rois}
    np.testing.assert_allclose(beneath["A1"], wells[20], atol=2)


def test_other_plates_need_their_rows_and_columns():
    wells = place_wells(3, 5, pitch=120.0, centre=(480.0, 360.0))
    image = draw_plate(wells, 45.0)
    with pytest.raises(LayoutError, match=r"no plate .*rows and columns may be given.* alike of them: 15 "):
        open_layout("wells").find(image)
    regions = open_layout("wells:rows=3,columns=5,pitch_mm=20").find(image)
    np.testing.assert_allclose(circles_of(regions)[:, :2], wells, atol=1.5)
    assert regions.mm_per_pixel == pytest.approx(20 / 120, rel=0.005)


@pytest.mark.parametrize(
    "name", ["wells:7", "wells:rows=3", "wells:a1=top", "circles:smallest=2", "wells:fill=0"]
)
def test_settings_out_of_range_are_told(name):
    with pytest.raises(LayoutError):
        open_layout(name)


def test_settings_of_layouts_are_told_apart_from_typos():
    with pytest.raises(UnknownNameError, match="did you mean 'count'"):
        open_layout("circles:cout=4")
    with pytest.raises(SettingsError, match="rows"):
        open_layout("grid:rows=many")
    with pytest.raises(LayoutError, match="no settings"):
        open_layout("whole-frame:4")
    assert open_layout("sleep-monitor-20tube:top=0.1").rows == 10


# -- grids and targets --


def test_the_distance_of_the_lower_targets_is_the_scale():
    targets = np.array([(560.0, 60.0), (566.0, 420.0), (40.0, 426.0)])
    regions = open_layout("sleep-monitor-20tube:mm=115").find(draw_targets(targets))
    assert regions.mm_per_pixel == pytest.approx(115 / np.hypot(526, 6), rel=0.01)
    assert open_layout("sleep-monitor-20tube").find(draw_targets(targets)).mm_per_pixel is None
    for wrong in ("sleep-monitor-20tube:mm=-1", "frame-grid:mm=10"):
        with pytest.raises(LayoutError, match="mm is the distance"):
            open_layout(wrong)


def test_a_grid_covers_the_frame_without_targets():
    rois = open_layout("frame-grid:rows=2,columns=2,horizontal_fill=1,vertical_fill=1").find(BLANK).rois
    np.testing.assert_allclose(rois[0].polygon, [(0, 0), (319.5, 0), (319.5, 239.5), (0, 239.5)], atol=1e-6)
    assert [roi.centre[0] < 320 for roi in rois] == [True, True, False, False]


def test_a_grid_in_four_corners_follows_their_perspective():
    corners = [[100, 100], [500, 100], [600, 400], [0, 400]]
    layout = parse_layout({"grid": {"rows": 1, "columns": 2, "corners": corners, "horizontal_fill": 1}})
    left, right = layout.find(BLANK).rois
    assert left.polygon[:, 0].max() == pytest.approx(300)
    assert right.polygon[:, 0].min() == pytest.approx(300)
    tall = parse_layout({"grid": {"rows": 2, "columns": 1, "corners": corners, "vertical_fill": 1}})
    far, near = tall.find(BLANK).rois
    assert np.ptp(far.polygon[:, 1]) < np.ptp(near.polygon[:, 1])  # what is farther away looks smaller
    with pytest.raises(LayoutError, match="upper left, upper right"):
        parse_layout({"grid": {"rows": 1, "columns": 2, "corners": corners[::-1]}})


@pytest.mark.parametrize(
    "look",
    [
        {"level": 18.0, "noise": 1.0},
        {"level": 240.0},
        {"contrast": 0.15, "noise": 2.0},
        {"contrast": -0.3},
        {"noise": 12.0},
    ],
    ids=["dark", "bright", "pale, as in infra-red", "light ink", "noisy"],
)
def test_targets_are_found_under_bad_light(look):
    np.testing.assert_allclose(find_targets(draw_targets(TARGETS, **look)), TARGETS, atol=1)


def test_what_was_seen_instead_of_targets_is_drawn(tmp_path):
    image = draw_targets(TARGETS[:2])
    with pytest.raises(TargetsNotFoundError, match="What was seen is drawn in") as error:
        find_regions(open_layout("hd-12tube"), image, tmp_path / "a")
    (picture,) = tmp_path.iterdir()
    assert str(picture) in str(error.value)
    drawn = cv2.imread(str(picture))
    assert drawn.shape == (480, 640, 3)
    assert (np.ptp(drawn.astype(int), axis=2) > 100).any()  # coloured
    with pytest.raises(TargetsNotFoundError) as error:
        find_regions(open_layout("hd-12tube"), image, tmp_path / "nowhere" / "a")
    elsewhere = Path(re.search(r"drawn in (.*\.png)", str(error.value)).group(1))
    assert elsewhere.is_file()
    elsewhere.unlink()


# -- masks --


def test_every_grey_value_of_a_mask_is_a_region_with_that_value(tmp_path):
    mask = np.zeros((480, 640), np.uint8)
    cv2.circle(mask, (150, 200), 100, 200, -1)
    cv2.circle(mask, (150, 200), 40, 0, -1)  # a ring
    cv2.rectangle(mask, (400, 50), (600, 120), 100, -1)
    cv2.rectangle(mask, (400, 300), (600, 420), 100, -1)
    mask[10:40, 5] = 77  # a thin line
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    regions = open_layout(str(tmp_path / "mask.png")).find(BLANK)
    assert [(roi.number, roi.value) for roi in regions.rois] == [(1, 100), (2, 100), (3, 200)]
    assert regions.notes == ("1 areas of the mask are less than three pixels wide and were left out",)
    mask[:, :6] = 0
    again = np.zeros_like(mask)
    for roi in regions.rois:
        again[roi.window(mask.shape)][roi.mask(mask.shape) > 0] = roi.value
    assert (again != mask).sum() <= 60  # the seam between the ring and its hole
    with pytest.raises(LayoutError, match="320x240"):
        open_layout(str(tmp_path / "mask.png")).find(np.zeros((240, 320), np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(LayoutError, match="no picture"):
        open_layout(str(tmp_path / "text.png")).find(BLANK)
    with pytest.raises(LayoutError, match="cannot be read"):
        open_layout("mask:nowhere.png").find(BLANK)


def test_regions_of_a_mask_may_touch_and_be_inside_each_other():
    mask = np.full((60, 80), 50, np.uint8)
    mask[20:40, 20:50] = 60
    outer, inner = trace_mask(mask)[0]
    assert inner.rectangle == (20, 20, 30, 20)
    assert outer.mask(mask.shape)[30, 30] == 0


# -- files --

TEMPLATE = {
    "template_info": {"name": "mine", "version": "1.0"},
    "roi_definition": {
        "type": "grid_with_targets",
        "grid": {"n_rows": 10, "n_cols": 2, "orientation": "rectangular"},
        "positioning": {
            "margins": {"top": 0.0629, "bottom": 0.0629, "left": -0.033, "right": -0.033},
            "fill_ratios": {"horizontal": 0.975, "vertical": 0.7},
        },
    },
    "validation": {"min_roi_area": 500},
}


def test_templates_of_ethoscope_are_layouts(tmp_path):
    path = tmp_path / "template.json"
    path.write_text(json.dumps(TEMPLATE))
    assert open_layout(str(path)) == open_layout("sleep-monitor-20tube")
    manual = {"type": "manual_polygons", "manual_rois": [{"polygon": [[0, 0], [1, 0], [1, 1]], "value": 5}]}
    (roi,) = parse_layout({"roi_definition": manual}).find(BLANK).rois
    np.testing.assert_allclose(roi.polygon, [(0, 0), (639, 0), (639, 479)])
    assert (roi.number, roi.value) == (1, 5)
    manual["manual_rois"][0]["polygon"] = [[10, 10], [60, 10], [60, 50]]
    (roi,) = parse_layout({"roi_definition": manual}).find(BLANK).rois
    assert roi.rectangle == (10, 10, 51, 41)


def test_regions_in_shares_of_the_frame_fit_any_frame():
    content = {"units": "frame", "regions": [{"rectangle": [0, 0, 0.5, 1]}, {"circle": [0.75, 0.5, 0.2]}]}
    layout = parse_layout(content)
    for shape in ((101, 201), (51, 101)):
        left, right = layout.find(np.zeros(shape, np.uint8)).rois
        assert left.polygon.max(axis=0).tolist() == [(shape[1] - 1) / 2, shape[0] - 1]
        assert as_circle(right.polygon)[2] == pytest.approx(0.2 * (shape[1] - 1))


REGION = {"rectangle": [0, 0, 100, 50]}


@pytest.mark.parametrize(
    ("said", "scale"),
    [
        ({"mm_per_pixel": 0.25}, 0.25),
        ({"scale": {"mm": 70, "px": 512}}, 70 / 512),
        ({"scale": {"mm": 10, "points": [[0, 0], [30, 40]]}}, 0.2),
        ({"scale": {"mm": 10, "between": "targets"}, "targets": [[50, 0], [50, 40], [10, 40]]}, 0.25),
        ({"scale": {"mm": 30, "points": [[0, 0], [1, 0]]}, "units": "frame"}, 30 / 639),
        ({}, None),
    ],
    ids=str,
)
def test_the_scale_is_given_in_several_ways(said, scale):
    region = {"rectangle": [0, 0, 1, 1]} if "units" in said else REGION
    assert parse_layout({"regions": [region], **said}).find(BLANK).mm_per_pixel == scale


def test_the_scale_comes_from_the_targets_of_each_rig():
    layout = parse_layout({"grid": {"rows": 2, "columns": 1}, "scale": {"mm": 105.2, "between": "targets"}})
    assert layout.find(draw_targets(TARGETS)).mm_per_pixel == pytest.approx(0.2, rel=0.005)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"regions": [REGION], "gird": {}}, "did you mean 'grid'"),
        ({"regions": [REGION], "circles": {}}, "holds one of"),
        ({"regions": [REGION], "mm_per_pixel": 0}, "above 0"),
        ({"regions": [REGION], "scale": {"mm": 3}}, "a scale is"),
        ({"regions": [REGION], "scale": {"mm": 3, "points": [[1, 1], [1, 1]]}}, "a scale is"),
        ({"regions": [REGION], "units": "mm"}, "units are"),
        ({"regions": [REGION], "frame": [640.5, 480]}, "columns, rows"),
        ({"regions": [REGION], "split": {"into": ["a"]}}, "a split is"),
        ({"regions": [REGION], "split": {"into": ["a", "b"], "at": [2]}}, "rising shares"),
        ({"regions": [{**REGION, "parts": [{"name": "a"}]}]}, "name and a polygon"),
        ({"regions": [{**REGION, "parts": [{"name": "a", **REGION}] * 2}]}, "each its own"),
        ({"wells": {"count": 5}}, "plates have"),
        ({"wells": {"cuont": 5}}, "did you mean 'count'"),
        ({"circles": [3]}, "a mapping"),
        ({"mask": 3}, "path of a picture"),
        ({"circles": {}, "units": "frame"}, "for regions"),
        ({"roi_definition": {"type": "image_mask"}}, "grid_with_targets or manual_polygons"),
        ({"roi_definition": {"type": "manual_polygons"}}, "manual_rois"),
        ({"roi_definition": {"type": "grid_with_targets", "grid": {"n_rows": "x"}}}, "n_rows"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(content, says):
    with pytest.raises((LayoutError, RegionError), match=says):
        parse_layout(content).find(BLANK)  # cuts are only known to be wrong there


def test_a_layout_for_other_frames_is_not_taken():
    with pytest.raises(LayoutError, match="made for frames of 1280x960 pixels, these have 640x480"):
        parse_layout({"regions": [REGION], "frame": [1280, 960]}).find(BLANK)


# -- parts --


def test_a_tube_in_halves_tells_in_which_an_animal_is():
    regions = parse_layout(
        {"grid": {"rows": 4, "columns": 1}, "split": {"into": ["food", "plug"], "at": [0.25]}}
    ).find(draw_targets(TARGETS))
    roi = regions.rois[0]
    left, right = roi.polygon[[0, 3], 0].mean(), roi.polygon[[1, 2], 0].mean()
    y = roi.centre[1]
    assert roi.part_of(left + 0.1 * (right - left), y) == "food"
    assert roi.part_of(left + 0.3 * (right - left), y) == "plug"
    assert roi.part_of(left - 20, y) == ""
    assert roi.part_of(left - 0.7, y) == "food"  # a pixel of the border
    assert ROI(roi.polygon, 1).part_of(*roi.centre) == ""


def test_parts_cover_a_region_and_share_no_point():
    roi = ROI(np.array([(10.0, 20.0), (90.0, 30.0), (80.0, 70.0), (40.0, 45.0), (5.0, 80.0)]), 1)
    points = np.random.default_rng(0).uniform(0, 100, (2000, 2))
    for along in ("length", "x", "y"):
        cut = roi.split(["a", "b", "c"], along=along)
        places = cut.parts_of(points)
        inner = cv2.pointPolygonTest
        outline = roi.polygon.astype(np.float32)
        far = np.array([inner(outline, (float(x), float(y)), True) for x, y in points])
        assert (places[far > 0.01] >= 0).all()
        assert (places[far < -1.01] == -1).all()
        assert set(places[far > 0.01]) == {0, 1, 2}
    assert roi.split(["a", "b"]).parts_of(np.full((1, 2), np.nan)).tolist() == [-1]


# -- written, checked, drawn --


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_what_is_found_is_written_and_read_back(tmp_path, ending):
    found = open_layout("circles:count=6,diameter_mm=60").find(draw_dishes(DISHES))
    halves = Regions([roi.split(["a", "b"]) for roi in found.rois], TARGETS, found.mm_per_pixel)
    path = tmp_path / f"dishes.{ending}"
    LayoutFile.of(halves, BLANK.shape).save(path)
    back = open_layout(str(path)).find(BLANK)
    assert back.mm_per_pixel == pytest.approx(found.mm_per_pixel, rel=1e-5)
    np.testing.assert_allclose(back.targets, TARGETS)
    for roi, expected in zip(back.rois, halves.rois, strict=True):
        np.testing.assert_allclose(roi.polygon, expected.polygon, atol=0.02)
        assert [part.name for part in roi.parts] == ["a", "b"]
    if ending == "yaml":
        assert len(path.read_text().splitlines()) == 11


def test_a_file_is_changed_region_by_region(tmp_path):
    path = tmp_path / "regions.yaml"
    outlines = (
        "circle: [50, 40, 10]",
        "polygon: [[0, 0], [20, 0], [20, 20]]",
        "rectangle: [100, 100, 20, 10]",
    )
    path.write_text("regions:\n" + "".join(f"  - {{{outline}}}\n" for outline in outlines))
    file = LayoutFile.read(path)
    file.move(None, 5, 1)
    file.scale(3, 2)
    file.rename(1, "left: 1")
    file.set_value(1, 9)
    file.delete(2)
    file.set_scale(0.5)
    file.save(path)
    regions = open_layout(str(path)).find(BLANK)
    first, second = regions.rois
    assert (first.number, first.value, first.name, second.number) == (1, 9, "left: 1", 3)
    np.testing.assert_allclose(as_circle(first.polygon), (55, 41, 10), atol=1e-6)
    np.testing.assert_allclose(second.polygon[0], (95, 96))
    assert np.ptp(second.polygon, axis=0).tolist() == [40, 20]
    assert regions.mm_per_pixel == 0.5
    with pytest.raises(LayoutError, match="there is no region 2; there are 1, 3"):
        file.rename(2, "x")
    file.delete(1)
    file.delete(3)
    before = path.read_text()
    with pytest.raises(LayoutError, match="a list of regions"):
        file.save(path)
    assert path.read_text() == before


def test_what_is_wrong_with_regions_is_told():
    def box(number, x, y, width=50.0, height=50.0, name=""):
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        return ROI(np.array(corners), number, name=name)

    bow = ROI(np.array([(300.0, 300.0), (400.0, 330.0), (400.0, 300.0), (300.0, 400.0)]), 7)
    rois = [
        box(1, 10, 10),
        box(2, 30, 10, name="a"),
        box(3, 100, 10, name="a"),
        box(4, 150, 10),  # touches
        box(5, 620, 100),
        box(6, 200, 200, 5, 5),
        bow,
    ]
    problems = check_regions(rois, BLANK.shape)
    told = {(problem.kind, problem.regions) for problem in problems}
    assert told == {
        ("overlap", (1, 2)),
        ("name", (2, 3)),
        ("outside", (5,)),
        ("tiny", (6,)),
        ("crossing", (7,)),
    }
    assert (
        check_regions(open_layout("sleep-monitor-20tube").find(draw_targets(TARGETS)).rois, BLANK.shape) == []
    )
    assert check_regions(open_layout("whole-frame").find(BLANK).rois, BLANK.shape) == []


def test_regions_are_drawn_with_parts_and_a_scale_bar():
    rois = [ROI(np.array([(10.0, 10.0), (200.0, 10.0), (200.0, 100.0), (10.0, 100.0)]), 1).split(["a", "b"])]
    drawn = draw_regions(BLANK, Regions(rois, TARGETS, 0.1))
    assert drawn.shape == (480, 640, 3)
    assert (drawn[460:475, 12:112] == 255).any(axis=(0, 2)).sum() >= 95  # 10 mm are 100 pixels
    assert (drawn[50, 105] != 128).any()


def test_a_result_keeps_the_parts_of_regions(tmp_path):
    rois = [
        ROI(np.array([(10.0, 10.0), (200.0, 10.0), (200.0, 100.0), (10.0, 100.0)]), 1),
        ROI(np.array([(10.0, 200.0), (200.0, 200.0), (200.0, 300.0)]), 4, name="b").split(["light", "dark"]),
    ]
    with ResultWriter(tmp_path / "a.tracks.h5", RunInfo("a", BLANK.shape, "none", {}), rois):
        pass
    with open_results(tmp_path / "a.tracks.h5") as results:
        whole, halves = results.rois
    assert whole.parts == ()
    assert [part.name for part in halves.parts] == ["light", "dark"]
    np.testing.assert_array_equal(halves.polygon, rois[1].polygon)
    np.testing.assert_array_equal(halves.parts[1].polygon, rois[1].parts[1].polygon)
    assert (halves.part_of(60, 220), halves.part_of(190, 280)) == ("light", "dark")
