"""Plain video files as sequences of frames."""

import multiprocessing
from fractions import Fraction

import av
import numpy as np
import pytest

import imgstore
from imgstore import FrameIndexError, NotAStoreError, VideoError
from tests.conftest import numbered_images


def write_video(path, count, *, codec="libx264", pts=None, rate_only=False, **options):
    """Write numbered images with B-frames, as cameras and editors do."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20, options={k: str(v) for k, v in options.items()})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.time_base = base = Fraction(1, 20 if rate_only else 1000)
        for place, image in enumerate(numbered_images((32, 48), count)):
            frame = av.VideoFrame.from_ndarray(image, format="gray").reformat(format="yuv420p")
            frame.pts = pts[place] if pts else place * (1 if rate_only else 50)
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def bar_of(image):
    return int(image[16].astype(int).argmax())


@pytest.mark.parametrize(
    "options",
    [
        {"bf": 3, "g": 12},
        {"bf": 3, "g": 12, "x264-params": "open-gop=1"},
        {"bf": 0, "g": 250},
        {"g": 1},
        {"bf": 2, "g": 2, "x264-params": "open-gop=1:scenecut=0"},
    ],
    ids=["B-frames", "open GOP", "one GOP", "keyframes only", "short GOPs"],
)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_the_frame_asked_for_is_the_frame_returned(tmp_path, options, ending):
    path = write_video(tmp_path / f"a.{ending}", 90, crf=5, **options)
    with imgstore.open_video(path) as video:
        assert len(video) == 90
        in_sequence = [frame.image for frame in video]
        assert [abs(bar_of(image) - (3 * n) % 44) <= 3 for n, image in enumerate(in_sequence)].count(
            False
        ) == 0
        for index in np.random.default_rng(2).integers(0, 90, 200).tolist():
            np.testing.assert_array_equal(video[index].image, in_sequence[index])


@pytest.mark.parametrize(
    "options",
    [
        {"bf": 3, "g": 12},
        {"bf": 3, "g": 12, "x264-params": "open-gop=1"},
        {"bf": 0, "g": 250},
        {"codec": "libx265", "x265-params": "log-level=none:keyint=12:bframes=3"},
    ],
    ids=["B-frames", "open GOP", "one GOP", "H.265"],
)
@pytest.mark.parametrize("within", [0, 1, 3, 20])
def test_a_frame_near_an_index_is_one_of_the_file_and_what_is_read_after_it_is_exact(
    tmp_path, options, within
):
    with imgstore.open_video(write_video(tmp_path / "a.mkv", 40, **options)) as video:
        exact = [frame.image.copy() for frame in video]
        for index in (39, 0, 5, 14, 13, 30, 31, 37):
            frame = video.near(index, within)
            assert abs(frame.index - index) <= within
            assert frame.time == video.times[frame.index]
            np.testing.assert_array_equal(frame.image, exact[frame.index])
            after = (frame.index + 1) % 40
            if index % 2:
                np.testing.assert_array_equal(video[after].image, exact[after])
        with pytest.raises(FrameIndexError):
            video.near(40, within)


def test_times_are_the_files_own(tmp_path):
    stamps = [0, 50, 100, 900, 950, 2000]
    path = write_video(tmp_path / "a.mkv", 6, pts=stamps)
    with imgstore.open_video(path, start_time=1000.0) as video:
        np.testing.assert_allclose(video.times, 1000 + np.array(stamps) / 1000)
        assert video[-1].time == pytest.approx(1002.0)
        assert video.numbers.tolist() == list(range(6))


def test_colour_and_grey(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3)
    with imgstore.open_video(path, colour=True) as video:
        assert video.spec.shape == (32, 48, 3)
        assert video[1].image.shape == (32, 48, 3)
    with imgstore.open_video(path) as video:
        assert video[1].image.shape == (32, 48)


def test_grey_of_a_video_in_the_range_of_television_is_the_grey_that_is_shown(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3, crf=1)
    with imgstore.open_video(path) as grey, imgstore.open_video(path, colour=True) as colour:
        np.testing.assert_allclose(grey[1].image.astype(int), colour[1].image.mean(axis=2), atol=3)


def test_outside_of_the_file_is_an_error(tmp_path):
    with imgstore.open_video(write_video(tmp_path / "a.mp4", 3)) as video:
        for index in (3, -4):
            with pytest.raises(FrameIndexError, match="3 frames"):
                video[index]


def test_what_is_no_video_is_told_so(tmp_path):
    (tmp_path / "text.mp4").write_text("this is text")
    (tmp_path / "empty.mp4").touch()
    for name in ("text.mp4", "empty.mp4", "nowhere.mp4"):
        with pytest.raises(VideoError, match=name):
            imgstore.open_video(tmp_path / name)


def test_a_cut_video_gives_an_error_where_it_ends_not_wrong_frames(tmp_path):
    path = write_video(tmp_path / "a.mkv", 90, g=10, crf=5)
    with imgstore.open_video(path) as video:
        whole = [frame.image for frame in video]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with imgstore.open_video(path) as video:
        assert 0 < len(video) < 90
        for index in range(len(video) - 1):
            np.testing.assert_array_equal(video[index].image, whole[index])


def test_a_source_is_a_store_or_a_video(tmp_path, make_store):
    with imgstore.open_source(make_store()) as store:
        assert len(store) == 12
    with imgstore.open_source(write_video(tmp_path / "a.mp4", 3)) as video:
        assert len(video) == 3
    with pytest.raises(NotAStoreError):
        imgstore.open_source(tmp_path)


@pytest.mark.parametrize(
    ("ending", "codec", "options"),
    [
        ("mpg", "mpeg2video", {"bf": 2, "g": 12}),
        ("mpg", "mpeg2video", {"bf": 0, "g": 12}),
        ("ts", "libx264", {"bf": 2, "g": 12}),
        ("ts", "libx264", {"bf": 3, "g": 12, "x264-params": "open-gop=1"}),
        ("ts", "mpeg2video", {"bf": 2, "g": 12}),
        ("webm", "libvpx", {"g": 12}),
        ("flv", "flv1", {"g": 12}),
        ("avi", "mpeg4", {"g": 12}),
    ],
    ids=str,
)
def test_of_containers_that_cannot_be_entered_everywhere_the_right_frame_comes_too(
    tmp_path, ending, codec, options
):
    path = write_video(tmp_path / f"a.{ending}", 120, codec=codec, rate_only=True, **options)
    with imgstore.open_video(path) as video:
        in_sequence = [frame.image for frame in video]
        for index in np.random.default_rng(2).integers(0, len(video), 60).tolist():
            np.testing.assert_array_equal(video[index].image, in_sequence[index])
            near = video.near(index, within=index % 4)
            assert abs(near.index - index) <= index % 4
            np.testing.assert_array_equal(near.image, in_sequence[near.index])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_what_this_one_has_open(tmp_path, make_store, method):
    context = multiprocessing.get_context(method)
    video = imgstore.open_video(write_video(tmp_path / "a.mp4", 30, g=10))
    store = imgstore.open(make_store(format="h264/mkv", numbers=list(range(30))))
    with video, store:
        for frames in (video, store):
            expected = [int(frames[index].image.sum()) for index in range(30)]
            with context.Pool(2) as pool:
                jobs = [(frames, index) for index in range(30)]
                if method == "fork":
                    shared["frames"] = frames
                    with context.Pool(2) as pool_after:
                        assert pool_after.map(sum_of_shared, range(30)) == expected
                assert pool.starmap(sum_of, jobs) == expected


shared = {}


def sum_of_shared(index):
    return int(shared["frames"][index].image.sum())


def sum_of(frames, index):
    return int(frames[index].image.sum())
