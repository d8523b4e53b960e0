"""What every chunk format promises."""

import errno
import itertools
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import imgstore
from imgstore import (
    FORMATS,
    ChunkError,
    FormatSettings,
    Frame,
    FrameFormatError,
    FrameSpec,
    MissingDependencyError,
    SettingsError,
    UnknownNameError,
)
from tests.conftest import numbered_images

NVENC = [name for name in FORMATS.names() if "nvenc" in name]
EVERYWHERE = [name for name in FORMATS.names() if name not in NVENC]
FOLDERS = ["npy", "blosc2", "png", "tif", "jpg", "bmp", "ppm", "pgm"]
PROFILES = ["fast", "balanced", "small", "lossless"]
LOSSY = {"jpg", "jpg+color", "mjpeg/avi", "av1/mkv"}


def get(name):
    try:
        return FORMATS.get(name)
    except MissingDependencyError as exc:
        pytest.skip(str(exc))


@pytest.fixture(params=EVERYWHERE)
def chunk_format(request):
    return get(request.param)


def _write(chunk_format, folder, spec, images, times=None, settings=None):
    path = folder / f"000000{chunk_format.suffix}"
    with closing(chunk_format.open_writer(path, spec, settings)) as writer:
        for place, image in enumerate(images):
            writer.append(image, times[place] if times else 1000 + 0.04 * place)
    return path


def _read(chunk_format, path, spec):
    with closing(chunk_format.open_reader(path, chunk_format.kept(spec))) as reader:
        return [reader.read(offset) for offset in range(len(reader))]


def _seen(chunk_format, images):
    """Return what a format makes of images: colour, where it keeps no other."""
    if images[0].ndim == 2 and len(chunk_format.kept(FrameSpec(images[0].shape)).shape) == 3:
        return [np.dstack([image] * 3) for image in images]
    return images


@pytest.mark.parametrize("shape", [(32, 48), (32, 48, 3), (31, 47), (31, 47, 3)], ids=str)
def test_images_come_back_in_order(chunk_format, tmp_path, shape):
    images, spec = numbered_images(shape, 7), FrameSpec(shape)
    restored = _read(chunk_format, _write(chunk_format, tmp_path, spec, images), spec)

    exact = chunk_format.is_lossless(spec, chunk_format.settings(spec)) or chunk_format.name == "pgm"
    images = np.array(_seen(chunk_format, images), int)
    tolerance = 0 if exact else 40 if chunk_format.name == "av1/mkv" else 24  # lossy ones smear edges
    np.testing.assert_allclose(np.array(restored, int), images, atol=tolerance)
    assert np.abs(np.array(restored, int) - images).mean() < (1e-9 if exact else 3)


@pytest.mark.parametrize("shape", [(32, 48), (32, 48, 3)], ids=["grey", "colour"])
def test_frames_at_200_random_offsets_equal_those_read_in_sequence_bit_for_bit(chunk_format, tmp_path, shape):
    spec = FrameSpec(shape)
    path = _write(chunk_format, tmp_path, spec, numbered_images(shape, 130))
    in_sequence = _read(chunk_format, path, spec)
    assert len(in_sequence) == 130

    with closing(chunk_format.open_reader(path, chunk_format.kept(spec))) as reader:
        for offset in np.random.default_rng(1).integers(0, 130, 200):
            np.testing.assert_array_equal(reader.read(int(offset)), in_sequence[offset])


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="threads are scheduled in another way here")
def test_no_format_changes_how_its_caller_is_scheduled(chunk_format, tmp_path):
    spec = FrameSpec((64, 64))
    path = tmp_path / f"000000{chunk_format.suffix}"
    before = os.sched_getscheduler(0)
    with closing(chunk_format.open_writer(path, spec, None)) as writer:
        for place, image in enumerate(numbered_images(spec.shape, 40)):
            writer.append(image, 1000 + 0.04 * place)
            assert os.sched_getscheduler(0) == before


def test_flat_grey_levels_come_back_over_the_full_range(chunk_format, tmp_path):
    images = [np.full((32, 48), level, np.uint8) for level in (0, 1, 15, 16, 128, 235, 236, 254, 255)]
    restored = _read(
        chunk_format, _write(chunk_format, tmp_path, FrameSpec((32, 48)), images), FrameSpec((32, 48))
    )
    np.testing.assert_allclose(
        [image.mean() for image in restored], [image.mean() for image in images], atol=1
    )


def test_times_that_stand_still_step_back_or_jump_do_not_disturb_the_order(chunk_format, tmp_path):
    images, spec = numbered_images((32, 48), 6), FrameSpec((32, 48))
    times = [5.0, 5.0, 4.0, float("nan"), 90_000.0, 90_000.0]
    restored = _read(chunk_format, _write(chunk_format, tmp_path, spec, images, times), spec)
    assert len(restored) == 6
    brightest = [int(image.reshape(32, 48, -1)[16, :, 0].astype(int).argmax()) for image in restored]
    np.testing.assert_allclose(brightest, [3 * place for place in range(6)], atol=3)


def test_an_image_is_the_readers_own(chunk_format, tmp_path):
    spec = FrameSpec((32, 48))
    path = _write(chunk_format, tmp_path, spec, numbered_images((32, 48), 3))
    with closing(chunk_format.open_reader(path, chunk_format.kept(spec))) as reader:
        first = reader.read(0)
        kept = first.copy()
        first[...] = 0
        reader.read(1)
        np.testing.assert_array_equal(reader.read(0), kept)


@pytest.mark.parametrize("shape", [(32, 48), (32, 48, 3)], ids=["grey", "colour"])
def test_the_callers_image_may_change_after_append(chunk_format, tmp_path, shape):
    spec, images = FrameSpec(shape), numbered_images(shape, 20)
    expected = _read(chunk_format, _write(chunk_format, tmp_path, spec, images), spec)
    (tmp_path / "again").mkdir()
    path = tmp_path / "again" / f"000000{chunk_format.suffix}"
    buffer = np.empty(shape, np.uint8)
    with closing(chunk_format.open_writer(path, spec)) as writer:
        for place, image in enumerate(images):
            buffer[...] = image
            writer.append(buffer, 1000 + 0.04 * place)
            buffer[...] = 77
    np.testing.assert_array_equal(_read(chunk_format, path, spec), expected)


@pytest.mark.parametrize("shape", [(32, 48), (32, 48, 3)], ids=["grey", "colour"])
def test_images_of_any_memory_layout_are_kept(chunk_format, tmp_path, shape):
    spec, images = FrameSpec(shape), numbered_images(shape, 3)
    expected = _read(chunk_format, _write(chunk_format, tmp_path, spec, images), spec)
    (tmp_path / "again").mkdir()
    strided = [np.asfortranarray(images[0]), images[1][::-1][::-1], np.repeat(images[2], 2, axis=1)[:, ::2]]
    restored = _read(chunk_format, _write(chunk_format, tmp_path / "again", spec, strided), spec)
    np.testing.assert_array_equal(restored, expected)


def test_a_missing_chunk_is_named(chunk_format, tmp_path):
    path = tmp_path / f"000000{chunk_format.suffix}"
    with pytest.raises(ChunkError, match="000000"):
        chunk_format.open_reader(path, FrameSpec((32, 48)))


def test_a_chunk_that_cannot_be_made_is_named(chunk_format, tmp_path):
    path = tmp_path / "nowhere" / f"000000{chunk_format.suffix}"
    with pytest.raises(ChunkError, match=r"000000.* cannot be made \(No such file"):
        chunk_format.open_writer(path, FrameSpec((32, 48)))


def test_closing_twice_is_harmless(chunk_format, tmp_path):
    path = tmp_path / f"000000{chunk_format.suffix}"
    spec = FrameSpec((32, 48))
    writer = chunk_format.open_writer(path, spec)
    writer.append(numbered_images((32, 48), 1)[0], 1.0)
    writer.close()
    writer.close()
    reader = chunk_format.open_reader(path, chunk_format.kept(spec))
    reader.close()
    reader.close()


@pytest.mark.parametrize("shape", [(32, 48), (31, 47), (32, 48, 3)], ids=str)
def test_sixteen_bit_frames_are_kept_or_refused_by_name(chunk_format, tmp_path, shape):
    spec = FrameSpec(shape, np.dtype(np.uint16))
    images = [np.arange(n, n + np.prod(shape), dtype=np.uint16).reshape(shape) * 14 for n in (0, 7, 300)]
    try:
        chunk_format.check(spec)
    except FrameFormatError:
        with pytest.raises(FrameFormatError, match="'npy'"):  # it says what would work
            chunk_format.open_writer(tmp_path / f"000000{chunk_format.suffix}", spec)
        assert not list(tmp_path.iterdir())
        assert chunk_format.name in LOSSY | {"bmp", "h264/mkv", "avc1/mkv", "avc1/mp4", "hevc/mkv"}
        return
    restored = _read(chunk_format, _write(chunk_format, tmp_path, spec, images), spec)
    if chunk_format.is_lossless(spec, chunk_format.settings(spec)):
        np.testing.assert_array_equal(restored, _seen(chunk_format, images))
    assert restored[0].dtype == np.uint16


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", ["npy", "blosc2"])
def test_arrays_hold_any_dtype_and_shape(tmp_path, name, dtype):
    chunk_format = get(name)
    for shape in [(5, 7), (5, 7, 4), (1, 1)]:
        spec = FrameSpec(shape, np.dtype(dtype))
        images = [np.random.default_rng(n).normal(0, 9, shape).astype(dtype) for n in range(3)]
        (tmp_path / str(shape)).mkdir()
        restored = _read(chunk_format, _write(chunk_format, tmp_path / str(shape), spec, images), spec)
        np.testing.assert_array_equal(restored, images)
        assert restored[0].dtype == spec.dtype


# Settings


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("shape", [(32, 48), (31, 47), (32, 48, 3)], ids=str)
def test_every_profile_works_and_says_truly_whether_it_is_lossless(chunk_format, tmp_path, profile, shape):
    spec = FrameSpec(shape)
    if profile == "lossless" and chunk_format.name in LOSSY:
        with pytest.raises(SettingsError, match=r"has no profile 'lossless'.* 'ffv1/mkv'"):
            chunk_format.settings(spec, profile)
        return
    images = list(np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8))
    settings = chunk_format.settings(spec, profile)
    restored = _read(chunk_format, _write(chunk_format, tmp_path, spec, images, settings=settings), spec)
    is_same = np.array_equal(restored, _seen(chunk_format, images))
    assert is_same == chunk_format.is_lossless(spec, settings)
    assert is_same or profile != "lossless" or chunk_format.name == "pgm"


def test_settings_of_a_store_stand_in_its_metadata(chunk_format, tmp_path):
    name = next(name for name in EVERYWHERE if FORMATS.get(name) is chunk_format)
    with imgstore.create(
        tmp_path / "a", (32, 48), format=name, settings=FormatSettings(threads=np.int64(1))
    ) as writer:
        writer.append(Frame(numbered_images((32, 48), 1)[0], 0, 0, 0.0))
    with imgstore.open(tmp_path / "a") as store:
        balanced = chunk_format.settings(FrameSpec((32, 48)))
        assert store.metadata.settings == replace(balanced, threads=1)
        assert store.metadata.format == chunk_format.name == name.removesuffix("+color")
        assert store.spec == chunk_format.kept(FrameSpec((32, 48)))
        assert store.lossless == chunk_format.lossless
        assert store[0].image.shape == store.spec.shape
        plain = store.metadata.store["settings"]
        assert plain
        assert all(type(value) in (int, str) for value in plain.values())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("npy", FormatSettings(quality=3), "'npy' has no setting 'quality', it takes 'threads'"),
        ("png", FormatSettings(level=10), "level of format 'png' is 0 to 9, not 10"),
        ("jpg", FormatSettings(quality=0), "quality of format 'jpg' is 1 to 100, not 0"),
        ("h264/mkv", FormatSettings(preset="p1"), "preset of format 'h264/mkv' is 'ultrafast', "),
        ("h264/mkv", FormatSettings(gop=0), "gop of format 'h264/mkv' is 1 to"),
        (
            "h264/mkv",
            FormatSettings(pixel_format="bgr24"),
            "'yuv420p' or 'gray', not 'bgr24'",
        ),
        ("av1/mkv", FormatSettings(quality=64), "is 1 to 63"),
        ("ffv1/mkv", FormatSettings(quality=0), "has no setting 'quality'"),
        ("mjpeg/avi", "lossless", "it has 'fast', 'balanced', 'small'"),
    ],
    ids=str,
)
def test_settings_that_a_format_cannot_take_are_refused_before_anything_is_made(
    tmp_path, name, settings, message
):
    with pytest.raises(SettingsError, match=message):
        imgstore.create(tmp_path / "a", (32, 48), format=name, settings=settings)
    assert not list(tmp_path.iterdir())


def test_an_unknown_profile_suggests_the_right_one(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'balanced'"):
        imgstore.create(tmp_path / "a", (32, 48), settings="balance")


@pytest.mark.parametrize(
    "wrong", [{"quality": 2.5}, {"quality": "high"}, {"gop": -1}, {"preset": 3}], ids=str
)
def test_settings_of_the_wrong_kind_are_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        FormatSettings(**wrong)


def test_a_keyframe_comes_as_often_as_asked(tmp_path):
    import av

    for name in ["h264/mkv", "avc1/mp4", "hevc/mkv", "av1/mkv", "ffv1/mkv"]:
        chunk_format, spec = get(name), FrameSpec((32, 48))
        (tmp_path / chunk_format.encoder.codec).mkdir(exist_ok=True)
        folder = tmp_path / chunk_format.encoder.codec
        path = _write(
            chunk_format,
            folder,
            spec,
            numbered_images((32, 48), 25),
            settings=chunk_format.settings(spec, FormatSettings(gop=10)),
        )
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        keyframes = [place for place, frame in enumerate(frames) if frame.key_frame]
        assert keyframes[0] == 0
        assert max(np.diff([*keyframes, 25])) <= 10, name  # x264 adds more, at cuts


@pytest.mark.parametrize("name", ["hevc/mkv", "av1/mkv", "ffv1/mkv", "mjpeg/avi"])
def test_an_encoder_without_lookahead_gives_every_frame_at_once(tmp_path, name):
    chunk_format, spec = get(name), FrameSpec((32, 48))
    path = tmp_path / f"000000{chunk_format.suffix}"
    with closing(chunk_format.open_writer(path, spec)) as writer:
        sizes = []
        for place, image in enumerate(numbered_images((32, 48), 12)):
            writer.append(image, 1000.0 + place)  # a second apart: each is in a cluster of its own
            sizes.append(path.stat().st_size)
    assert all(later > earlier for earlier, later in itertools.pairwise(sizes))


@pytest.mark.parametrize("shape", [(32, 48), (31, 47)], ids=str)
@pytest.mark.parametrize("name", ["mjpeg/avi", "avc1/mp4", "h264/mkv", "hevc/mkv", "av1/mkv", "ffv1/mkv"])
def test_opencv_reads_grey_video_bit_for_bit_as_we_do(tmp_path, name, shape):
    chunk_format, spec = get(name), FrameSpec(shape)
    images = numbered_images(shape, 40)
    path = _write(chunk_format, tmp_path, spec, images)
    ours = _read(chunk_format, path, spec)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if name == "av1/mkv" and not capture.grab():
        capture.release()
        pytest.skip("OpenCV's FFmpeg here cannot decode AV1")
    capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
    theirs = [capture.read()[1][: shape[0], : shape[1]] for _ in ours]
    capture.release()
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(cv2.cvtColor(other, cv2.COLOR_BGR2GRAY), mine)


# Images written by threads


def _fail_to_write(monkeypatch, names):
    """Let no file with one of these names be written, as when the disk is full."""
    real = Path.open

    def full(self, mode="r", *arguments, **options):
        if "w" in mode and any(name in self.name for name in names):
            stream = real(self, mode, *arguments, **options)
            stream.write(b"half")
            stream.close()
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)


def _append_all(writer, images):
    for image in images:
        writer.append(image, 0.0)


@pytest.mark.parametrize("name", FOLDERS)
def test_an_image_that_cannot_be_written_is_told_at_the_next_append_or_close(tmp_path, monkeypatch, name):
    chunk_format, spec = get(name), FrameSpec((32, 48))
    images = numbered_images((32, 48), 60)
    _fail_to_write(monkeypatch, ["000005"])
    writer = chunk_format.open_writer(tmp_path / "000000", spec)
    with (
        pytest.raises(ChunkError, match=r"000005\.\w+ cannot be written \(No space left on device\)"),
        closing(writer),
    ):
        _append_all(writer, images)
    left = sorted(path.name for path in (tmp_path / "000000").iterdir())
    assert not [name for name in left if "000005" in name or name.startswith(".")]  # no half, no leftover
    with closing(chunk_format.open_reader(tmp_path / "000000", spec)) as reader:
        assert len(reader) == 5  # up to the hole
        reader.read(4)
        with pytest.raises(ChunkError, match="000005"):
            reader.read(5)
        for offset in [int(Path(name).stem) for name in left]:  # those written before that was known
            shown = reader.read(offset)[16].argmax()
            assert shown == pytest.approx(3 * offset % 44, abs=3)  # and kept their places


def test_a_failure_of_the_last_image_is_told_by_close_once(tmp_path, monkeypatch):
    _fail_to_write(monkeypatch, ["000001"])
    writer = get("png").open_writer(tmp_path / "000000", FrameSpec((32, 48)))
    writer.append(numbered_images((32, 48), 1)[0], 0.0)
    writer.append(numbered_images((32, 48), 1)[0], 0.0)
    with pytest.raises(ChunkError, match="000001"):
        writer.close()
    writer.close()


@pytest.mark.parametrize("name", FOLDERS)
def test_broken_image_files_are_named(tmp_path, name):
    chunk_format, spec = get(name), FrameSpec((32, 48))
    path = _write(chunk_format, tmp_path, spec, numbered_images((32, 48), 3))
    files = sorted(path.iterdir())
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:20])
    with closing(chunk_format.open_reader(path, spec)) as reader:
        for place in (0, 1):
            with pytest.raises(ChunkError, match=f"00000{place}"):
                reader.read(place)
        reader.read(2)
    with (
        closing(chunk_format.open_reader(path, FrameSpec((20, 20)))) as reader,
        pytest.raises(ChunkError, match=r"000002\.\w+ .*\(32, 48\)"),
    ):
        reader.read(2)


def test_an_array_file_that_promises_too_much_is_refused(tmp_path):
    chunk_format, spec = get("npy"), FrameSpec((32, 48))
    path = _write(chunk_format, tmp_path, spec, numbered_images((32, 48), 1))
    file = path / "000000.npy"
    file.write_bytes(file.read_bytes().replace(b"(32, 48), }     ", b"(32, 9999999), }"))
    with (
        closing(chunk_format.open_reader(path, spec)) as reader,
        pytest.raises(ChunkError, match="9999999"),
    ):
        reader.read(0)


# Hardware encoders


@pytest.mark.parametrize("name", NVENC)
def test_hardware_encoders_work_or_say_what_they_need(tmp_path, name):
    chunk_format, spec = FORMATS.get(name), FrameSpec((240, 320))
    try:
        chunk_format.check(spec)
    except MissingDependencyError as exc:
        with pytest.raises(MissingDependencyError, match=r"needs an NVIDIA GPU.*'h264/mkv'"):
            imgstore.create(tmp_path / "a", spec.shape, format=name)
        assert not list(tmp_path.iterdir())
        pytest.skip(str(exc))
    images = numbered_images(spec.shape, 65)
    restored = _read(chunk_format, _write(chunk_format, tmp_path, spec, images), spec)
    assert len(restored) == 65
    assert np.abs(np.array(restored, int) - images).mean() < 3


def test_a_frame_is_an_array_to_numpy():
    image = numbered_images((4, 6), 1)[0]
    np.testing.assert_array_equal(np.asarray(Frame(image, 0, 0, 0.0)), image)
