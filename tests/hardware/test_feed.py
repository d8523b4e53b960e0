"""The live feed: whole frames in order, or counted as lost, whoever is slow or dies."""

import fcntl
import mmap
import multiprocessing
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware import (
    CameraFrame,
    CameraStateError,
    CameraTimeoutError,
    FeedDiedError,
    FeedError,
    FeedInUseError,
    FeedNotFoundError,
    FeedPulse,
    FeedReader,
    FeedSpaceError,
    FeedWriter,
    Recorder,
    RecordLimit,
    find_feeds,
    look_at_feed,
    open_camera,
    remove_stale_feeds,
)
from hardware.camera import CameraSettings
from hardware.feed.layout import WORDS_OFFSET, FeedLayout, pack_frame, unpack_frame
from hardware.feed.ring import Ring
from imgstore import ClosedError, Frame, FrameFormatError, FrameSpec
from tests.conftest import ROOT
from tests.hardware.feed_processes import SHAPE, numbered

TIMEOUT = 60.0
SPEC = FrameSpec(SHAPE)
MEMORY = Path("/dev/shm")  # noqa: S108

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="feeds need Linux")

Start = Callable[[str, str], subprocess.Popen[bytes]]


@pytest.fixture
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A name that no other test has; nothing of it may be left.

    One test at a time has one, in all workers: what dead writers left, any process may remove.
    """
    with (tmp_path_factory.getbasetemp().parent / "feeds").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from unused_name()


def unused_name() -> Iterator[str]:
    made = f"test-{os.getpid()}-{time.monotonic_ns()}"
    yield made
    left = list(MEMORY.glob(f"*{made}*"))
    for path in left:
        path.unlink()
    assert not left
    assert made not in Path("/proc/self/maps").read_text()


@pytest.fixture
def start() -> Iterator[Start]:
    """What starts one of the processes of `feed_processes` and waits until it runs."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(what: str, name: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hardware.feed_processes", what, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what was read ahead, `select` would not see
            cwd=ROOT,
        )
        started.append(process)
        assert process.stdout.readline() == b"started\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def told(process: subprocess.Popen[bytes]) -> list[str]:
    """Return the words of the next line of a process."""
    ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
    assert ready, "it said nothing"
    return process.stdout.readline().decode().split()


def test_a_frame_comes_as_it_was_appended(name):
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    whole = CameraFrame(image, 3, 7, 1234.5, 99, device_number=65535, device_ns=-1, lost=2, incomplete=True)
    with FeedWriter(name, FrameSpec((4, 6))) as writer, FeedReader(name) as reader:
        writer.append(whole)
        frame = reader.read(TIMEOUT)

    np.testing.assert_array_equal(frame.image, image)
    fields = ("index", "number", "time", "arrived_ns", "device_number", "device_ns", "lost", "incomplete")
    assert [getattr(frame, field) for field in fields] == [getattr(whole, field) for field in fields]


@pytest.mark.parametrize(
    ("shape", "dtype"), [((5, 7), "u1"), ((5, 7, 3), "u1"), ((4, 4), "u2"), ((3, 9), "f4")]
)
def test_any_shape_and_dtype_is_fed(name, shape, dtype):
    image = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    with FeedWriter(name, FrameSpec(shape, np.dtype(dtype))) as writer, FeedReader(name) as reader:
        assert reader.spec == FrameSpec(shape, np.dtype(dtype))
        writer.append(Frame(image[:, ::-1], 0, 0, 0.0))
        np.testing.assert_array_equal(reader.read(TIMEOUT).image, image[:, ::-1])


def test_a_plain_frame_arrives_when_it_is_appended(name):
    with FeedWriter(name, SPEC) as writer, FeedReader(name) as reader:
        before = time.monotonic_ns()
        writer.append(numbered(0))
        assert before <= reader.read(TIMEOUT).arrived_ns <= time.monotonic_ns()


def test_a_reader_gets_the_frames_from_its_start_to_the_end(name):
    with FeedWriter(name, SPEC) as writer:
        writer.append(numbered(0))
        with FeedReader(name) as reader:
            for number in range(1, 6):
                writer.append(numbered(number))
            writer.close()
            assert [frame.number for frame in reader] == [1, 2, 3, 4, 5]
            assert reader.read(TIMEOUT) is None
            assert reader.lost == 0


def test_a_reader_that_falls_behind_loses_frames_counts_them_and_disturbs_no_other(name):
    with FeedWriter(name, SPEC, slots=8) as writer, FeedReader(name) as slow, FeedReader(name) as quick:
        writer.append(numbered(0))
        assert slow.read(TIMEOUT).number == quick.read(TIMEOUT).number == 0
        for number in range(1, 101):
            writer.append(numbered(number))
            assert quick.read(TIMEOUT).number == number
        writer.close()
        rest = list(slow)

    assert (quick.lost, quick.torn) == (0, 0)
    assert rest[-1].number == 100
    assert 1 <= len(rest) <= 8
    assert rest[0].lost == slow.lost == 100 - len(rest)
    assert [frame.lost for frame in rest[1:]] == [0] * (len(rest) - 1)
    assert all(np.all(frame.image == frame.number % 251) for frame in rest)


def test_what_the_camera_lost_among_frames_that_were_not_read_is_counted_as_well(name):
    def seen(number, lost):
        return CameraFrame(numbered(number).image, 0, number, 0.0, 0, lost=lost)

    with FeedWriter(name, SPEC, slots=4) as writer, FeedReader(name) as reader:
        writer.append(seen(5, 5))
        assert reader.read(TIMEOUT).lost == 5
        for number in range(10, 100, 10):
            writer.append(seen(number, 4 if number == 10 else 9))
        frame = reader.read(TIMEOUT)
    assert frame.lost == frame.number - 5 - 1
    assert 0 < reader.lost < 9


def test_the_latest_frame_is_given_once_and_those_before_it_are_skipped(name):
    with FeedWriter(name, SPEC) as writer, FeedReader(name) as reader:
        for number in range(10):
            writer.append(numbered(number))
        assert reader.latest(TIMEOUT).number == 9
        with pytest.raises(CameraTimeoutError):
            reader.latest(0)
        writer.append(numbered(10))
        assert reader.latest(TIMEOUT).number == 10
        writer.close()
        assert reader.latest(TIMEOUT) is None
        assert (reader.skipped, reader.lost) == (9, 0)


def test_a_copy_is_the_callers(name):
    with FeedWriter(name, SPEC, slots=2) as writer, FeedReader(name) as reader:
        writer.append(numbered(1))
        frame = reader.read(TIMEOUT)
        for number in range(2, 6):
            writer.append(numbered(number))
        assert np.all(frame.image == 1)
        frame.image[:] = 0
        assert reader.still_valid()


def test_a_view_is_valid_until_it_is_overwritten_and_cannot_be_written(name):
    with FeedWriter(name, SPEC, slots=4) as writer, FeedReader(name, copy=False) as reader:
        writer.append(numbered(0))
        view = reader.read(TIMEOUT).image
        for number in range(1, 4):
            writer.append(numbered(number))
            assert reader.still_valid()
            assert np.all(view == 0)
        writer.append(numbered(4))
        assert not reader.still_valid()
        assert np.all(view == 4)
        with pytest.raises(ValueError, match="read-only"):
            view[:] = 0


def test_a_view_outlives_the_feed(name):
    with FeedWriter(name, SPEC) as writer, FeedReader(name, copy=False) as reader:
        writer.append(numbered(3))
        view = reader.read(TIMEOUT).image
    assert np.all(view == 3)


def test_a_reader_waits_for_the_next_frame(name):
    with FeedWriter(name, SPEC) as writer, FeedReader(name) as reader:
        timer = threading.Timer(0.05, writer.append, [numbered(1)])
        timer.start()
        assert reader.read(TIMEOUT).number == 1
        timer.join()
        with pytest.raises(CameraTimeoutError):
            reader.read(0.01)


def test_a_reader_can_wait_for_a_writer_and_gets_all_its_frames(name):
    def write():
        for number in range(3):
            writer.append(numbered(number))

    writer, reader = FeedWriter(name, SPEC), FeedReader(name)
    timer = threading.Timer(0.05, write)
    timer.start()
    reader.start(TIMEOUT)
    timer.join()
    writer.close()
    assert [frame.number for frame in reader] == [0, 1, 2]
    reader.close()


def test_making_a_writer_or_a_reader_opens_nothing(name):
    writer, reader = FeedWriter(name, SPEC), FeedReader(name)
    assert not list(MEMORY.glob(f"*{name}*"))
    writer.close()
    reader.close()


def test_a_writer_is_started_by_its_first_frame_and_closing_twice_is_harmless(name):
    writer = FeedWriter(name, SPEC)
    writer.append(numbered(0))
    assert [info.name for info in find_feeds() if info.name == name] == [name]
    writer.close()
    writer.close()
    with pytest.raises(ClosedError):
        writer.append(numbered(1))


def test_reading_before_the_start_or_after_closing_is_an_error(name):
    reader = FeedReader(name)
    for wrong in (lambda: reader.read(0), lambda: reader.latest(0), lambda: reader.spec):
        with pytest.raises(CameraStateError):
            wrong()
    with FeedWriter(name, SPEC):
        reader.start()
        with pytest.raises(CameraStateError):
            reader.start()
        reader.close()
        reader.close()
        with pytest.raises(CameraStateError):
            reader.read(0)


def test_a_frame_of_another_shape_or_with_a_number_too_large_is_an_error(name):
    with FeedWriter(name, SPEC) as writer, FeedReader(name) as reader:
        for wrong in (
            Frame(np.zeros((4, 4), np.uint8), 0, 0, 0.0),
            Frame(numbered(0).image, 0, 1 << 63, 0.0),
        ):
            with pytest.raises(FrameFormatError):
                writer.append(wrong)
        writer.append(numbered(5))
        assert reader.read(TIMEOUT).number == 5


@pytest.mark.parametrize("wrong", ["", "a/b", "..", ".hidden", "a b", "x" * 101])
def test_a_name_that_cannot_be_is_an_error(wrong):
    for make in (lambda: FeedWriter(wrong, SPEC), lambda: FeedReader(wrong)):
        with pytest.raises(FeedError):
            make()


def test_a_feed_of_one_slot_is_an_error(name):
    with pytest.raises(FeedError):
        FeedWriter(name, SPEC, slots=1)


def test_a_feed_that_is_not_there_is_an_error_that_names_those_that_are(name):
    with FeedWriter(f"{name}-other", SPEC), pytest.raises(FeedNotFoundError, match=f"{name}-other"):
        FeedReader(name).start()


def test_memory_that_does_not_suffice_is_refused_with_what_would_help(name):
    with pytest.raises(FeedSpaceError, match=r"needs \d+\.\d MB .* --shm-size"):
        FeedWriter(name, FrameSpec((20_000, 20_000)), slots=1 << 20).start()


def test_only_this_user_may_open_a_feed(name):
    with FeedWriter(name, SPEC):
        (path,) = MEMORY.glob(f"*{name}*")
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.name == f"ethostore-{os.geteuid()}-{name}"


def test_a_second_living_writer_is_refused_and_the_first_goes_on(name):
    with FeedWriter(name, SPEC) as writer, FeedReader(name) as reader:
        with pytest.raises(FeedInUseError, match=str(os.getpid())):
            FeedWriter(name, SPEC).start()
        writer.append(numbered(0))
        assert reader.read(TIMEOUT).number == 0


def test_a_writer_that_is_killed_is_noticed_after_the_last_frame_and_replaced(name, start):
    process = start("write_on_demand", name)
    with FeedReader(name) as reader:
        process.stdin.write(b"3\n")
        assert told(process) == ["written"]
        kill(process)
        assert [reader.read(TIMEOUT).number for _ in range(3)] == [0, 1, 2]
        with pytest.raises(FeedDiedError, match=str(process.pid)):
            reader.read(TIMEOUT)
        with pytest.raises(FeedNotFoundError):
            FeedReader(name).start()
        with FeedWriter(name, SPEC) as writer, FeedReader(name) as second:
            writer.append(numbered(7))
            assert second.read(TIMEOUT).number == 7
            with pytest.raises(FeedDiedError):
                reader.read(TIMEOUT)


def test_how_a_feed_goes_is_told_by_what_lies_in_it(name):
    with pytest.raises(FeedNotFoundError):
        look_at_feed(name)
    with FeedWriter(name, SPEC, slots=4) as writer:
        assert look_at_feed(name) == FeedPulse()
        now_ns = time.monotonic_ns()
        for number in range(11):
            arrived_ns = now_ns - (20 - number) * 100_000_000
            writer.append(CameraFrame(numbered(number).image, number, number, number / 10, arrived_ns))
        pulse = look_at_feed(name)
        (info,) = [one for one in find_feeds() if one.name == name]
    assert pulse.rate == pytest.approx(10)
    assert pulse.silent_s > 0.9
    assert (pulse.number, pulse.time) == (10, 1.0)
    assert (info.spec, info.slots, info.pid, info.alive) == (SPEC, 4, os.getpid(), True)


def test_what_a_killed_writer_left_is_listed_and_removed_and_the_living_are_not(name, start):
    dead = start("write_on_demand", f"{name}-dead")
    kill(dead)
    with FeedWriter(f"{name}-living", SPEC):
        found = {info.name: info for info in find_feeds() if info.name.startswith(name)}
        assert (found[f"{name}-dead"].alive, found[f"{name}-living"].alive) == (False, True)
        assert (found[f"{name}-dead"].pid, found[f"{name}-living"].pid) == (dead.pid, os.getpid())
        removed = remove_stale_feeds()
        assert f"{name}-dead" in removed
        assert f"{name}-living" not in removed
        with FeedReader(f"{name}-living") as reader:
            assert reader.spec == SPEC


def test_files_that_are_no_feeds_are_refused_not_read(name):
    path = MEMORY / f"ethostore-{os.geteuid()}-{name}"
    for content in (b"", b"x" * 100, b"x" * 10_000):
        path.write_bytes(content)
        with pytest.raises(FeedNotFoundError):
            FeedReader(name).start()
        assert [info.alive for info in find_feeds() if info.name == name] == [False]
        with FeedWriter(name, SPEC), FeedReader(name) as reader:
            assert reader.spec == SPEC
    path.symlink_to("/etc/hostname")
    for wrong in (FeedReader(name), FeedWriter(name, SPEC)):
        with pytest.raises(FeedError):
            wrong.start()
    path.unlink()
    path.mkdir()
    with pytest.raises(FeedError):
        FeedWriter(name, SPEC).start()
    path.rmdir()


def test_readers_that_are_killed_in_the_middle_of_a_read_disturb_nobody(name, start):
    writer = start("write", name)
    with FeedReader(name) as watcher:
        killer = start("kill_readers", name)
        assert told(killer) == ["killed", "20"]
        assert watcher.latest(TIMEOUT) is not None
        assert writer.poll() is None
        last = start("read", name)
        assert told(last) == ["reading"]
        kill(writer)
        outcome, count, lost, torn, of_reader = told(last)
    assert outcome == "died"
    assert int(count) > 0
    assert int(torn) == 0
    assert lost == of_reader
    assert name in remove_stale_feeds()


def test_of_a_writer_that_never_pauses_no_torn_frame_is_seen(name, start):
    process = start("write", name)
    with FeedReader(name) as reader:
        taken = list(islice(reader, 3000))
    kill(process)
    remove_stale_feeds()
    for frame in taken:
        assert np.all(frame.image == frame.number % 251)
    missing = taken[-1].number - taken[0].number + 1 - len(taken)
    assert sum(frame.lost for frame in taken[1:]) == missing
    assert reader.lost - taken[0].lost == missing


def read_numbers(name, ready, answers):
    """Read a feed to its end in another process."""
    with FeedReader(name) as reader:
        ready.release()
        answers.put([frame.number for frame in reader])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_are_forked_or_spawned_read_and_leave_the_feed_to_its_writer(name, method):
    context = multiprocessing.get_context(method)
    ready, answers = context.Semaphore(0), context.SimpleQueue()
    with FeedWriter(name, SPEC) as writer:
        children = [context.Process(target=read_numbers, args=(name, ready, answers)) for _ in range(2)]
        for child in children:
            child.start()
        for _ in children:
            assert ready.acquire(timeout=TIMEOUT)
        for number in range(5):
            writer.append(numbered(number))
        writer.close()
        assert [answers.get() for _ in children] == [[0, 1, 2, 3, 4]] * 2
        for child in children:
            child.join()
            assert child.exitcode == 0
            child.close()
    answers.close()


def test_a_forked_process_that_outlives_the_writer_does_not_keep_it_alive(name, start):
    process = start("write_and_fork", name)
    with FeedReader(name) as reader:
        kill(process)
        with pytest.raises(FeedDiedError):
            reader.read(TIMEOUT)
    assert name in remove_stale_feeds()


def test_a_feed_is_a_sink_of_the_recorder_and_a_source(name):
    camera = open_camera("simulated", CameraSettings(size=(96, 128)))
    taken = []

    class Follower:
        """Reads what the sink before it was given."""

        def __init__(self):
            self.reader = FeedReader(name)
            self.reader.start()

        def append(self, frame):
            taken.append((self.reader.read(TIMEOUT), frame))

        def close(self):
            self.reader.close()

    def sinks(spec):
        writer = FeedWriter(name, spec)
        writer.start()
        return [writer, Follower()]

    Recorder(camera, sinks, limit=RecordLimit(frames=5)).run()
    assert len(taken) == 5
    for read, appended in taken:
        assert (read.number, read.time, read.device_number) == (
            appended.number,
            appended.time,
            appended.device_number,
        )
        np.testing.assert_array_equal(read.image, appended.image)


@given(st.integers(2, 40), st.integers(0, 80), st.integers(0, 5))
def test_counts_stay_right_where_the_words_wrap(slots, ahead, more):
    layout = FeedLayout(FrameSpec((2, 3)), slots, 1)
    period = slots * ((1 << 31) // slots)
    first = period - ahead
    with tempfile.TemporaryFile(buffering=0) as file:
        memory = mmap.mmap(-1, layout.size)
        np.frombuffer(memory, np.uint32, 1, WORDS_OFFSET)[0] = first % period << 1
        ring = Ring(memory, file, layout)
        for sequence in range(first, first + ahead + more + 1):
            frame = Frame(np.full((2, 3), sequence % 251, np.uint8), 0, sequence, 0.0)
            ring.write(pack_frame(frame, 0), frame.image)
            assert ring.published(ring.progress(), sequence) == sequence + 1
            assert ring.oldest(sequence) == sequence + 1 - slots
            assert ring.header(sequence).number == sequence
            assert ring.image(sequence)[0, 0] == sequence % 251
        assert not ring.ended(ring.progress())
        ring.end()
        assert ring.ended(ring.progress())


numbers = st.integers(-(1 << 63), (1 << 63) - 1)


@given(
    st.tuples(numbers, numbers, st.floats(allow_nan=False), numbers),
    st.none() | numbers,
    st.none() | numbers,
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    st.booleans(),
)
def test_what_is_known_of_a_frame_survives_its_slot(given_numbers, number, moment, lost, before, incomplete):
    frame = CameraFrame(np.zeros((2, 2)), *given_numbers, number, moment, lost, incomplete)
    header = unpack_frame(memoryview(pack_frame(frame, before)), 0)
    assert (header.index, header.number, header.time, header.arrived_ns) == given_numbers
    assert (header.device_number, header.device_ns) == (number, moment)
    assert (header.lost, header.lost_ever, header.incomplete) == (lost, before + lost, incomplete)
