"""Frames and videos with what was found drawn on them."""

import av
import numpy as np
import pytest

import imgstore
from imgstore import Frame, FrameNotFoundError, OutputExistsError
from tests.tracking.made_results import IMAGE, box, write_result
from tracking import Animal, ResultFileError, Status, draw, may_be_of, open_results, save_overlay
from tracking.canvas import Canvas, Stamp
from tracking.frame_points import FramePoints
from tracking.points import new_points

COUNT = 12


@pytest.fixture
def recorded(make_store, tmp_path):
    """Make a store, and a result of two animals in it."""
    times = [1e9 + 0.1 * n + (5.0 if n >= 8 else 0) for n in range(COUNT)]
    store = make_store(shape=IMAGE.shape, times=times)
    ways = {
        Animal(1, 1): np.column_stack([50 + 10.0 * np.arange(COUNT), np.full(COUNT, 50.0)]),
        Animal(2, 1): np.full((COUNT, 2), (300.0, 60.0)),
    }
    rois = [box(1, width=199.0), box(2, left=200.0, width=190.0)]
    result = write_result(tmp_path / "a.tracks.h5", times, ways, rois=rois, source=store)
    return store, result, times


def frames_of(path):
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        ]


def colourful(image):
    """Return how colourful each pixel is."""
    return image.max(axis=2).astype(int) - image.min(axis=2)


def test_animals_are_drawn_where_they_are_and_frames_are_shown_when_they_were_taken(recorded, tmp_path):
    store, result, times = recorded
    done = save_overlay(result, tmp_path / "a.mp4", trail=0)
    shown = frames_of(tmp_path / "a.mp4")
    assert done.frames == len(shown) == COUNT
    np.testing.assert_allclose([time for time, _ in shown], np.array(times) - times[0], atol=1e-3)
    for index, (_, image) in enumerate(shown):
        around = colourful(image)[45:56, 5:195]
        columns = np.flatnonzero((around > 60).any(axis=0)) + 5
        assert columns.mean() == pytest.approx(50 + 10 * index, abs=3)
    with imgstore.open(store) as reader:
        untouched = reader[0].image[58:78, 100:190].astype(int)
    seen = shown[0][1][58:78, 100:190].mean(axis=2)
    assert np.abs(seen - untouched).max() < 12


def test_trails_show_where_animals_came_from(recorded, tmp_path):
    _, result, _ = recorded
    save_overlay(result, tmp_path / "a.mp4", trail=10)
    last = colourful(frames_of(tmp_path / "a.mp4")[-1][1])
    assert (last[48:53, 60:150] > 40).any(axis=0).mean() > 0.9


def test_a_part_can_be_shown_faster_and_smaller(recorded, tmp_path):
    store, result, _ = recorded
    done = save_overlay(
        result, tmp_path / "a.mkv", store, start=2, stop=7, by="index", speed=2, scale=0.5, quality=10
    )
    shown = frames_of(tmp_path / "a.mkv")
    assert done.frames == len(shown) == 5
    assert shown[0][1].shape == (50, 200, 3)
    assert shown[-1][0] == pytest.approx(0.2, abs=2e-3)
    middle = colourful(shown[0][1])[22:29, 2:98]
    assert (np.flatnonzero((middle > 60).any(axis=0)) + 2).mean() == pytest.approx(35, abs=2)


def test_a_result_of_another_day_is_not_drawn_on_a_recording(tmp_path):
    way = {Animal(1, 1): np.full((10, 2), 20.0)}
    with imgstore.create(tmp_path / "a.store", (60, 80), format="npy") as store:
        for n in range(10):
            store.append(Frame(np.full((60, 80), 90, np.uint8), n, n, 1.7e9 + n))
    for name, start in (("then", 1.7e9), ("other", 1.8e9)):
        write_result(tmp_path / f"{name}.tracks.h5", start + np.arange(10.0), way, shape=(60, 80))
    assert save_overlay(tmp_path / "then.tracks.h5", tmp_path / "a.mp4", tmp_path / "a.store").frames == 10
    with imgstore.open(tmp_path / "a.store") as store:
        for name in ("then", "other"):
            with open_results(tmp_path / f"{name}.tracks.h5") as results:
                assert may_be_of(results, store) == (name == "then")
    with pytest.raises(ResultFileError, match="is not of"):
        save_overlay(tmp_path / "other.tracks.h5", tmp_path / "b.mp4", tmp_path / "a.store")


def test_what_cannot_be_shown_is_told_so(recorded, make_store, tmp_path):
    store, result, _ = recorded
    with pytest.raises(FrameNotFoundError):
        save_overlay(result, tmp_path / "a.mp4", start=50, stop=60, by="index")
    other = make_store(shape=(40, 40), name="other.store")
    with pytest.raises(ResultFileError, match="is not of"):
        save_overlay(result, tmp_path / "a.mp4", other)
    (tmp_path / "a.mp4").write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        save_overlay(result, tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"mine"
    for place in (store / "000000.mp4", store):
        with pytest.raises(OutputExistsError, match="recording"):
            save_overlay(result, place, force=True)
    store.rename(tmp_path / "gone")
    with pytest.raises(ResultFileError, match="is not there"):
        save_overlay(result, tmp_path / "b.mp4")


def test_a_plain_video_can_be_shown_by_seconds(tmp_path, make_store):
    store = make_store(shape=IMAGE.shape)
    imgstore.export_video(store, tmp_path / "v.mp4")
    times = np.arange(COUNT) * 0.05
    way = np.full((COUNT, 2), (60.0, 50.0))
    result = write_result(tmp_path / "a.tracks.h5", times, {Animal(1, 1): way}, source=tmp_path / "v.mp4")
    done = save_overlay(result, tmp_path / "a.mp4", start=0.1, stop=0.3, by="seconds")
    assert done.frames == 4


def test_every_status_heading_and_stimulus_can_be_drawn():
    points = new_points(5)
    points["roi"], points["identity"] = 1, range(1, 6)
    points["x"], points["y"] = np.arange(5) * 80 + 30, 50
    points["length"], points["width"], points["angle"] = 30, 10, 20
    points["status"] = [*Status, Status.DETECTED]
    points["heading"][0] = 90
    points["interaction"][1:3] = 1, 2
    points["angle"][4] = points["length"][4] = np.nan
    image = draw(IMAGE + 100, [box(1)], points, np.array([(200.0, 80.0)]))
    for place in range(5):
        assert (colourful(image)[20:80, place * 80 : place * 80 + 60] > 60).any()
    assert image.shape == (*IMAGE.shape, 3)


def test_identities_are_written_where_a_region_has_several_animals():
    points = new_points(2)
    points["roi"], points["identity"], points["x"], points["y"] = 1, [1, 2], [100, 300], 50
    points["length"], points["width"], points["angle"] = 30, 10, 0
    together, apart = draw(IMAGE, points=points), draw(IMAGE, points=points[:1])
    first = slice(70, 140)
    assert (together[:, first] > 0).sum() > (apart[:, first] > 0).sum()


def test_what_is_stamped_is_what_would_be_drawn():
    def scene(canvas):
        canvas.line(np.array([(10.0, 10.0), (60.0, 10.0), (60.0, 30.0)]), (0, 200, 0), 2, closed=True)

    image = np.full((40, 80), 90, np.uint8)
    drawn, stamped = Canvas.on_grey(image), Canvas.on_grey(image)
    scene(drawn)
    Stamp(image.shape, scene).put(stamped)
    assert (stamped.image[:40] != Canvas.on_grey(image).image[:40]).sum() > 100
    np.testing.assert_allclose(drawn.image.astype(int), stamped.image, atol=2)


def test_points_out_of_order_are_found_frame_by_frame(tmp_path, monkeypatch):
    monkeypatch.setattr("tracking.frame_points._BLOCK", 7)
    monkeypatch.setattr("tracking.frame_points._FRAMES", 5)
    way = np.column_stack([np.arange(30.0), np.zeros(30)])
    way[4:6] = np.nan
    path = write_result(tmp_path / "a.tracks.h5", np.arange(30) * 0.1, {Animal(1, 1): way, Animal(1, 2): way})
    with open_results(path) as results:
        found = list(FramePoints(results).each([0, 3, 4, 12, 13, -1, 29]))
    assert [len(points) for points in found] == [2, 2, 0, 2, 2, 0, 2]
    assert [points["x"][0] for points in found if len(points)] == [0, 3, 12, 13, 29]
