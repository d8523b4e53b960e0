"""Figures of results: every kind, of every length, with gaps, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from imgstore import UnknownNameError
from tests.tracking.made_results import box, write_result
from tracking import Animal, SettingsError, open_results, plots
from tracking.overlay import colour_of
from tracking.plots import KINDS, Lights, PlotOptions, View
from tracking.plots.view import GAP
from tracking.sights import look
from tracking.windows import Clock

NOON = 1_700_049_600.0  # 2023-11-15 12:00 UTC


def days_of(path, days=3.0, *, interval=30.0, timezone="UTC"):
    """Write a result of one animal that walks by day, one that always rests, and one that is never found."""
    times = NOON + np.arange(0, days * 86400, interval)
    hours = times / 3600 % 24
    awake = (hours >= 8) & (hours < 20)
    walks = np.column_stack([200 + 150 * np.sin(np.cumsum(awake) / 3), np.full(len(times), 50.0)])
    ways = {Animal(1, 1): walks, Animal(2, 1): np.full((len(times), 2), 40.0)}
    rois = [box(1), box(2, name="control"), box(3, name="empty")]
    return write_result(path, times, ways, rois=rois, length=4.0, timezone=timezone)


@pytest.mark.parametrize(
    ("kind", "ending"), [*((kind, "png") for kind in KINDS.names()), ("actogram", "pdf"), ("page", "svg")]
)
def test_every_kind_of_figure_can_be_drawn(tmp_path, kind, ending):
    path = days_of(tmp_path / "a.tracks.h5", interval=300.0)
    plots.plot(path, tmp_path / f"a.{ending}", kind=kind, options=PlotOptions(lights=Lights(8, 20)))
    head = (tmp_path / f"a.{ending}").read_bytes()[:60]
    assert head.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])


@pytest.mark.parametrize("kind", KINDS.names())
@pytest.mark.parametrize("count", [0, 1])
def test_every_kind_of_figure_can_be_drawn_of_next_to_nothing(tmp_path, kind, count):
    times = np.arange(count) * 0.05
    path = write_result(
        tmp_path / "a.tracks.h5", times, {Animal(1, 1): np.full((count, 2), 9.0)}, rois=[box(1), box(2)]
    )
    plots.plot(path, tmp_path / "a.png", kind=kind)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_an_actogram_shows_when_the_animal_moves_by_the_clock_of_the_recording(tmp_path):
    path = days_of(tmp_path / "a.tracks.h5", timezone="Europe/Vienna")
    with open_results(path) as results:
        view = View(results, PlotOptions())
        assert view.offset == 3600
        assert (NOON - view.midnight) / 3600 == 13
        assert view.day(0) == "15 Nov"
        bins = view.motion.bins(Animal(1, 1), 3600.0, start=view.midnight)
        clock = (bins.starts - view.midnight) / 3600 % 24
        moving = clock[bins.moving > 1800]
    assert moving.min() == 9
    assert moving.max() == 20


def test_a_part_of_the_day_that_was_not_filmed_is_pale_red_in_an_actogram(tmp_path):
    times = NOON + np.concatenate([np.arange(0, 3600, 30.0), np.arange(9 * 3600, 30 * 3600, 30.0)])
    path = write_result(tmp_path / "a.tracks.h5", times, {Animal(1, 1): np.full((len(times), 2), 9.0)})
    with open_results(path) as results:
        figure = KINDS.get("actogram")(View(results, PlotOptions()))
        drawn = [
            drawing
            for drawing in figure.axes[0].collections
            if len(drawing.get_facecolor()) and to_hex(drawing.get_facecolor()[0]) == GAP
        ]
        widths = [path.get_extents().width for one in drawn for path in one.get_paths()]
    assert max(widths) == pytest.approx(8, abs=0.4)


def draw(path, kind, **options):
    """Return a figure of a result, laid out, and where its texts lie in it (pixels)."""
    with open_results(path) as results:
        figure = KINDS.get(kind)(View(results, PlotOptions(**options)))
    figure.draw_without_rendering()
    boxes = {
        text.get_text(): text.get_window_extent()
        for text in figure.findobj(Text)
        if text.get_text().strip(
            "\N{MINUS SIGN}.0123456789"
        )  # there are ticks beyond the axes, which are not drawn
    }
    return figure, boxes


def walker(path, seconds, start=NOON + 0.3, *, interval=0.05, **options):
    """Write a result of one animal that walks from 10 s to 14 s."""
    times = start + np.arange(0, seconds, interval)
    way = 9 + 20 * np.clip(times - start - 10, 0, 4)
    return write_result(path, times, {Animal(1, 1): np.column_stack([way, way])}, **options)


@pytest.mark.parametrize(
    ("seconds", "start", "width"),
    [(20, NOON, None), (59, NOON + 43100, 60.0), (333, NOON, 60.0), (333, 0.0, None)],
)
def test_a_short_recording_is_a_narrow_bar_in_an_actogram_at_its_time_of_day(tmp_path, seconds, start, width):
    figure, _ = draw(walker(tmp_path / "a.tracks.h5", seconds, start, interval=0.5), "actogram", bin=width)
    corners = np.vstack([path.vertices for drawn in figure.axes[0].collections for path in drawn.get_paths()])
    bar = corners[corners[:, 1] > corners[:, 1].min()]
    hours = corners[:, 0]
    hour = start / 3600 % 24
    assert bar[:, 1].max() == pytest.approx(0.88)
    assert hours.min() == pytest.approx(min(hour, 23.75), abs=0.01)
    assert 0.05 <= hours.max() - hours.min() <= 0.26


def test_speed_is_drawn_when_the_animal_was_that_fast(tmp_path):
    figure, _ = draw(walker(tmp_path / "a.tracks.h5", 20), "speed")
    speeds, edges, _ = figure.axes[0].patches[-1].get_data()
    assert edges[0] <= 0 < edges[1]
    assert np.isfinite(speeds[:-1]).all()  # the last window is cut short
    middles = (edges[1:] + edges[:-1]) / 2
    assert np.nansum(speeds * middles) / np.nansum(speeds) == pytest.approx(12, abs=0.05)


@pytest.mark.parametrize("kind", KINDS.names())
def test_no_text_leaves_the_picture(tmp_path, kind):
    path = walker(
        tmp_path / "a.tracks.h5", 20, rois=[box(1, name="whole frame")], source="a_long_name_of_a_mouse.mp4"
    )
    figure, boxes = draw(path, kind)
    width, height = figure.canvas.get_width_height()
    for text, place in boxes.items():
        assert -1 <= place.x0 <= place.x1 <= width + 1, text
        assert -1 <= place.y0 <= place.y1 <= height + 1, text


def test_animals_of_a_region_have_the_colours_that_they_have_in_overlays(tmp_path):
    times = NOON + np.arange(0, 20, 0.05)
    ways = {Animal(1, n): np.column_stack([40 * n + 9 * np.sin(times), times * 0 + 50]) for n in (1, 2, 3)}
    figure, _ = draw(write_result(tmp_path / "a.tracks.h5", times, ways), "page")
    *_, position, speed = (axes for axes in figure.axes if axes.get_title())
    wanted = ["#{2:02x}{1:02x}{0:02x}".format(*colour_of(1, n)) for n in (1, 2, 3)]
    assert [text.get_color() for text in position.texts] == wanted
    assert [text.get_text() for text in position.texts] == ["1", "2", "3"]
    assert [to_hex(line.get_color()) for line in position.lines] == wanted
    assert [to_hex(patch.get_edgecolor()) for patch in speed.patches] == wanted
    assert not any(patch.get_fill() for patch in speed.patches)
    assert "longer side" not in position.get_title()


@pytest.mark.parametrize(("seconds", "known"), [(300, False), (1200, True)])
def test_a_recording_too_short_for_sleep_says_so(tmp_path, seconds, known):
    _, boxes = draw(walker(tmp_path / "a.tracks.h5", seconds, interval=0.5), "sleep")
    assert any("too short to tell: 5.0 min" in text for text in boxes) is not known
    assert ("not known" in boxes) is not known
    assert ("20 min" in boxes) is known
    assert "one animal" in boxes


def test_what_is_kept_for_a_figure_does_not_grow_with_the_frames(tmp_path):
    kept = []
    for name, count in (("a", 20_000), ("b", 80_000)):
        times = NOON + np.arange(count) * 5.0
        way = np.column_stack([np.arange(count) % 300, np.full(count, 50.0)])
        path = write_result(tmp_path / f"{name}.tracks.h5", times, {Animal(1, 1): way})
        clock = Clock(NOON, 10.0, np.ones(count // 2, np.int64), NOON, float(times[-1]))
        with open_results(path) as results:
            tracemalloc.start()
            sights = look(results, clock, 5.0)
            kept.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
        sight = sights.sights[Animal(1, 1)]
        assert sight.track.shape[1] <= 20_001
        assert sights.stays.sum() == count
        assert np.nanmax(sight.high[0]) == 299
    assert kept[1] < 1.3 * kept[0]


def test_tracks_have_no_lines_across_gaps(tmp_path):
    times = NOON + np.concatenate([np.arange(0, 100, 0.5), np.arange(500, 600, 0.5)])
    path = write_result(tmp_path / "a.tracks.h5", times, {Animal(1, 1): np.full((len(times), 2), 9.0)})
    with open_results(path) as results:
        view = View(results, PlotOptions())
        at, lines = view.sights.sights[Animal(1, 1)].segments()
    assert len(lines) == len(times) - 2
    assert not ((at > 110) & (at < 500.1)).any()


@pytest.mark.parametrize(
    ("text", "on", "off"), [("8-20", 8, 20), ("07:30-19:15", 7.5, 19.25), ("20-8", 20, 8), ("0-24", 0, 24)]
)
def test_lights_are_given_as_hours(text, on, off):
    assert Lights.parse(text) == Lights(on, off)


@pytest.mark.parametrize("text", ["8", "8-8", "8-25", "a-b", "8-20-22", ""])
def test_lights_that_are_no_hours_are_refused(text):
    with pytest.raises(SettingsError, match="lights"):
        Lights.parse(text)


def test_nights_are_dark():
    assert Lights(8, 20).dark(0, 48) == [(0, 8), (20, 32), (44, 48)]
    assert Lights(20, 8).dark(0, 24) == [(8, 20)]
    assert Lights(0, 24).dark(0, 48) == []


def test_an_unknown_kind_says_which_there_are(tmp_path):
    path = days_of(tmp_path / "a.tracks.h5", 0.1)
    with pytest.raises(UnknownNameError, match="actogram"):
        plots.plot(path, tmp_path / "a.png", kind="actograms")
    assert list(tmp_path.iterdir()) == [path]


def test_lights_of_a_video_without_a_clock_are_refused(tmp_path):
    ways = {Animal(1, 1): np.full((120, 2), 30.0)}
    path = write_result(tmp_path / "a.tracks.h5", np.arange(0, 60, 0.5), ways)
    with pytest.raises(SettingsError, match="no time of day"):
        plots.plot(path, tmp_path / "a.png", kind="actogram", options=PlotOptions(lights=Lights(8, 20)))
    plots.plot(path, tmp_path / "a.png", kind="actogram")


def test_several_animals_of_a_region_have_a_track_in_a_colour_each(tmp_path):
    times = 1.7e9 + np.arange(0, 30, 0.1)
    walks = {
        Animal(1, n): np.column_stack([np.linspace(10, 50, 300), np.full(300, 10.0 * n)]) for n in (1, 2, 3)
    }
    figure, _ = draw(write_result(tmp_path / "a.tracks.h5", times, walks), "tracks")
    (axes,) = figure.axes  # none for colours of time
    drawn = [to_hex(lines.get_color()[0]) for lines in axes.collections]
    assert drawn == [to_hex([part / 255 for part in colour_of(1, n)[::-1]]) for n in (1, 2, 3)]
    assert {"1", "2", "3"} <= {text.get_text() for text in axes.texts}
