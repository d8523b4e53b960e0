"""Events of a store: what happened beside the frames, and which frames are lost for which cause."""

import json
import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgstore
from imgstore import ChunkError, ClosedError, Event, Frame, FrameFormatError, LostFrames
from imgstore.events import EVENTS_FILENAME, EventLog, decode_event, encode_event, load_events
from imgstore.index import ChunkIndex, join_indexes
from imgstore.lost import find_lost

SHAPE = (32, 48)
BLACK = np.zeros(SHAPE, np.uint8)

# numbers 2, 3, 4 and 8 to 29 are missing; frame n has the time 1000 + n / 10
NUMBERS = [0, 1, 5, 6, 7, 30, 31]
EVENTS = [
    Event(1000.0, "saving_started"),
    Event(1000.5, "gap", {"first": 2, "last": 3, "count": 2, "cause": "queue"}),
    Event(1000.65, "gap", {"first": None, "last": None, "count": 3, "cause": "camera", "estimated": True}),
    Event(1000.75, "saving_stopped", {"reason": "asked"}),
    Event(1002.95, "saving_started"),
    Event(1003.05, "mark", {"text": "light on"}),
    Event(1004.0, "gap", {"first": 32, "last": 40, "count": 9, "cause": "disk"}),
    Event(
        1004.1,
        "recording_ended",
        {"reason": "stop", "captured": 21, "written": 7, "lost": {"queue": 2, "camera": 3, "disk": 9}},
    ),
]
LOST = (
    LostFrames(2, 2, 2, 3, "queue", 1000.1, 1000.5),
    LostFrames(2, 1, 4, 4, None, 1000.1, 1000.5),
    LostFrames(4, 3, None, None, "camera", 1000.6, 1000.7, estimated=True),
    LostFrames(7, 9, 32, 40, "disk", 1003.1, None),
)


def record(path, events=EVENTS, *, numbers=NUMBERS, format="npy"):  # noqa: A002
    """Make a store of these frames and events."""
    with imgstore.create(path, SHAPE, format=format, chunksize=5) as writer:
        for number in numbers:
            writer.append(Frame(BLACK, 0, number, 1000 + number / 10))
        for event in events:
            writer.append_event(event.kind, event.time, **event.detail)
    return path


@pytest.fixture
def store(tmp_path):
    return record(tmp_path / "a")


def lines(path):
    return (path / EVENTS_FILENAME).read_bytes().splitlines(keepends=True)


def test_events_come_back_in_the_order_of_writing(store):
    with imgstore.open(store) as reader:
        assert reader.events == tuple(EVENTS)
        assert reader.problems == ()
    assert imgstore.verify(store).ok
    assert EVENTS_FILENAME not in {finding.file for finding in imgstore.verify(store).findings}


def test_where_nothing_happened_there_is_no_file(make_store):
    path = make_store()
    assert not (path / EVENTS_FILENAME).exists()
    with imgstore.open(path) as reader:
        assert (reader.events, reader.lost, reader.unsaved) == ((), (), [])


def test_an_event_without_a_time_happened_now(tmp_path):
    with imgstore.create(tmp_path / "a", SHAPE) as writer:
        before = time.time()
        writer.append_event("mark")
        after = time.time()
    with imgstore.open(tmp_path / "a") as reader:
        (event,) = reader.events
    assert before <= event.time <= after


def test_a_store_that_is_being_written_gives_the_events_up_to_now(tmp_path):
    with imgstore.create(tmp_path / "a", SHAPE) as writer, imgstore.open(tmp_path / "a") as reader:
        assert reader.events == ()
        for count in range(1, 4):
            writer.append_event("mark", 1000, text=f"{count}")
            assert [event.detail["text"] for event in reader.events] == [f"{n}" for n in range(1, count + 1)]


def test_missing_numbers_are_lost_for_the_cause_that_the_events_name(store):
    with imgstore.open(store) as reader:
        assert reader.lost == LOST
        assert [(gap.index, gap.first, gap.last) for gap in reader.unsaved] == [(5, 8, 29)]
        assert sum(gap.count for gap in reader.missing) == 3 + 22


def test_without_events_all_that_is_missing_is_lost_for_an_unknown_cause(tmp_path):
    path = record(
        tmp_path / "a", [Event(1001.0, "mark"), Event(1000.75, "saving_stopped", {"reason": "end"})]
    )
    with imgstore.open(path) as reader:
        assert [(lost.first, lost.last, lost.cause) for lost in reader.lost] == [(2, 4, None), (8, 29, None)]
        assert reader.unsaved == []


def test_what_was_lost_during_a_pause_is_lost_and_the_rest_not_saved(tmp_path):
    gap = Event(1000.8, "gap", {"first": 8, "last": 9, "count": 2, "cause": "buffer"})
    path = record(tmp_path / "a", [*EVENTS, gap])
    with imgstore.open(path) as reader:
        assert LostFrames(5, 2, 8, 9, "buffer", 1000.7, 1003.0) in reader.lost
        assert [(gap.first, gap.last) for gap in reader.unsaved] == [(10, 29)]


def test_a_store_of_no_frames_has_lost_what_its_events_say(tmp_path):
    path = record(tmp_path / "a", EVENTS, numbers=[])
    with imgstore.open(path) as reader:
        assert sum(lost.count for lost in reader.lost) == 2 + 3 + 9
        assert {(lost.index, lost.after, lost.before) for lost in reader.lost} == {(0, None, None)}


@st.composite
def recordings(draw):
    """Return numbers that the camera gave, each with what became of it: saved, a cause, or unknown."""
    fates = draw(
        st.lists(st.sampled_from(["saved", "saved", "queue", "disk", "unknown"]), min_size=1, max_size=40)
    )
    return ["saved", *fates, "saved"]


@given(recordings(), st.randoms(use_true_random=False))
def test_every_frame_that_the_camera_gave_is_in_the_store_or_lost_for_its_cause(fates, chance):
    saved = [number for number, fate in enumerate(fates) if fate == "saved"]
    events = [
        Event(number / 10, "gap", {"first": number, "last": number, "count": 1, "cause": fate})
        for number, fate in enumerate(fates)
        if fate in ("queue", "disk")
    ]
    chance.shuffle(events)
    times = np.array(saved) / 10
    index = join_indexes([0], [ChunkIndex(np.array(saved, np.int64), times)])
    lost, unsaved = find_lost(index, events)
    told = ["saved"] * len(fates)
    for part in lost:
        assert part.count == part.last - part.first + 1
        for number in range(part.first, part.last + 1):
            assert told[number] == "saved", "no frame is lost twice"
            told[number] = part.cause or "unknown"
        assert saved[part.index - 1] < part.first <= part.last < saved[part.index]
        assert (part.after, part.before) == (times[part.index - 1], times[part.index])
    assert told == fates
    assert unsaved == []


def test_gaps_that_overlap_or_contradict_the_frames_lose_no_frame_twice(tmp_path):
    events = [
        Event(1000.5, "gap", {"first": 3, "last": 9, "count": 7, "cause": "queue"}),
        Event(1000.5, "gap", {"first": 1, "last": 3, "count": 3, "cause": "camera"}),
        Event(1000.5, "gap", {"first": -4, "last": -1, "count": 4, "cause": "buffer"}),
    ]
    path = record(tmp_path / "a", events)
    with imgstore.open(path) as reader:
        assert [(lost.first, lost.last, lost.cause) for lost in reader.lost] == [
            (-4, -1, "buffer"),
            (2, 3, "camera"),
            (4, 4, "queue"),
            (8, 9, "queue"),
            (10, 29, None),
        ]


def test_a_gap_that_says_nothing_is_found_and_explains_nothing(tmp_path):
    details = (
        {},
        {"first": 2, "last": None},
        {"first": 3, "last": 2},
        {"first": 2.0, "last": 3},
        {"first": True, "last": True},
        {"first": 0, "last": 1 << 64},
        {"count": 0},
        {"count": -1},
        {"count": "5"},
    )
    path = record(tmp_path / "a", [Event(1000.0, "gap", {"cause": "disk", **detail}) for detail in details])
    with imgstore.open(path) as reader:
        assert {lost.cause for lost in reader.lost} == {None}
    found = [finding for finding in imgstore.verify(path).findings if finding.file == EVENTS_FILENAME]
    assert [finding.severity for finding in found] == ["warning"] * len(details)


WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,63}", fullmatch=True)
NAMES = st.text(max_size=20).filter(lambda name: name not in ("time", "kind"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(WORDS, st.floats(allow_nan=False, allow_infinity=False), st.dictionaries(NAMES, PLAIN, max_size=4))
def test_an_event_comes_back_as_it_was(kind, time, detail):
    event = Event(time, kind, detail)
    line = encode_event(event)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode_event(line[:-1]) == event


def test_numpys_values_come_back_as_what_json_has_for_them(tmp_path):
    with imgstore.create(tmp_path / "a", SHAPE) as writer:
        writer.append_event("gap", np.float32(5), first=np.int64(3), last=np.uint8(4), count=np.array(2))
        writer.append_event("mark", np.int64(6), values=np.arange(3), half="\ud800")
    with imgstore.open(tmp_path / "a") as reader:
        assert reader.events == (
            Event(5.0, "gap", {"first": 3, "last": 4, "count": 2}),
            Event(6.0, "mark", {"values": [0, 1, 2], "half": "?"}),
        )


DEEP: list[object] = []
for _ in range(40):
    DEEP = [DEEP]
ROUND: list[object] = []
ROUND.append(ROUND)


@pytest.mark.parametrize(
    ("kind", "time", "detail", "error"),
    [
        ("two words", 1.0, {}, FrameFormatError),
        ("", 1.0, {}, FrameFormatError),
        (b"mark", 1.0, {}, FrameFormatError),
        ("mark", float("nan"), {}, FrameFormatError),
        ("mark", "noon", {}, FrameFormatError),
        ("mark", "5", {}, FrameFormatError),
        ("mark", 1.0, {"text": "x" * (1 << 16)}, FrameFormatError),
        ("mark", 1.0, {"text": DEEP}, FrameFormatError),
        ("mark", 1.0, {"text": ROUND}, TypeError),
        ("mark", 1.0, {"text": object()}, TypeError),
        ("mark", 1.0, {"text": {(1, 2): 3}}, TypeError),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_event_is_refused_and_nothing_written(tmp_path, kind, time, detail, error):
    with imgstore.create(tmp_path / "a", SHAPE) as writer:
        with pytest.raises(error):
            writer.append_event(kind, time, **detail)
        assert not (tmp_path / "a" / EVENTS_FILENAME).exists()


def test_a_writer_that_is_closed_takes_no_events(tmp_path):
    with imgstore.create(tmp_path / "a", SHAPE) as writer:
        writer.append_event("mark", 1.0)
    with pytest.raises(ClosedError):
        writer.append_event("mark", 2.0)
    assert len(lines(tmp_path / "a")) == 1


def test_threads_append_at_the_same_time_and_nothing_is_lost_or_mixed(tmp_path):
    with imgstore.create(tmp_path / "a", SHAPE, format="npy", chunksize=3) as writer:

        def mark(who):
            for count in range(200):
                writer.append_event("mark", count, who=who, text="x" * (count % 50))

        threads = [threading.Thread(target=mark, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for number in range(50):
            writer.append(Frame(BLACK, 0, number, number / 10))
        for thread in threads:
            thread.join()
    with imgstore.open(tmp_path / "a") as reader:
        assert len(reader) == 50
        for who in range(4):
            mine = [event for event in reader.events if event.detail["who"] == who]
            assert [event.time for event in mine] == list(range(200))
            assert all(len(event.detail["text"]) == event.time % 50 for event in mine)


def test_a_torn_last_line_is_ignored_and_repair_cuts_it_off(store):
    whole = lines(store)
    file = store / EVENTS_FILENAME
    for length in range(1, len(whole[-1]) - 1):
        file.write_bytes(b"".join(whole[:-1]) + whole[-1][:length])
        assert load_events(store).events == tuple(EVENTS[:-1])
    with imgstore.open(store) as reader:
        assert reader.problems == ()
    (finding,) = [found for found in imgstore.verify(store).findings if found.file == EVENTS_FILENAME]
    assert (finding.severity, "repair" in finding.what) == ("warning", True)
    assert imgstore.repair(store).problems == []
    assert lines(store) == whole[:-1]
    imgstore.repair(store)
    assert lines(store) == whole[:-1]


def test_a_last_event_without_a_newline_as_editors_leave_it_counts_and_stays(store):
    file = store / EVENTS_FILENAME
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with imgstore.open(store) as reader:
        assert reader.events == tuple(EVENTS)
    assert imgstore.verify(store).ok
    imgstore.repair(store)
    assert file.read_bytes() == whole
    file.write_bytes(whole[:-1])
    log = EventLog(store)
    log.append(Event(1.0, "mark"))
    log.close()
    assert load_events(store).events == (*EVENTS, Event(1.0, "mark"))


def test_a_file_in_which_nothing_was_all_written_is_gone_after_repair(store):
    for left in (b"", b'{"time": 5', bytes(300_000)):
        (store / EVENTS_FILENAME).write_bytes(left)
        imgstore.repair(store)
        assert not (store / EVENTS_FILENAME).exists()


def test_a_torn_line_is_not_glued_to_the_next_event(store):
    whole = lines(store)
    (store / EVENTS_FILENAME).write_bytes(b"".join(whole) + b'{"time": 17, "kin' + bytes(100_000))
    log = EventLog(store)
    log.append(Event(1.0, "mark"))
    log.close()
    log.close()
    assert lines(store)[:-1] == whole
    assert load_events(store).events == (*EVENTS, Event(1.0, "mark"))


def test_events_cannot_be_put_where_a_link_leads(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with imgstore.create(tmp_path / "a", SHAPE) as writer:
        (tmp_path / "a" / EVENTS_FILENAME).symlink_to(tmp_path / "mine")
        with pytest.raises(ChunkError, match=r"events\.jsonl"):
            writer.append_event("mark")
        (tmp_path / "a" / EVENTS_FILENAME).unlink()
        writer.append_event("mark")
    assert (tmp_path / "mine").read_text() == "precious"
    assert len(lines(tmp_path / "a")) == 1


def test_the_sync_thread_makes_events_safe_and_the_name_of_their_file(tmp_path, monkeypatch):
    synced = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (synced.append(handle), real(handle))[1])
    (tmp_path / "a").mkdir()
    log = EventLog(tmp_path / "a")
    log.sync()
    assert len(synced) == 0
    log.append(Event(1.0, "mark"))
    log.sync()
    log.sync()
    assert len(synced) == 1, "what is safe is not synced again"
    log.append(Event(2.0, "mark"))
    log.close()
    assert len(synced) == 2, "closing leaves nothing behind"


def test_a_converted_store_keeps_the_file_up_to_its_last_whole_line(store, tmp_path):
    whole = (store / EVENTS_FILENAME).read_bytes()
    (store / EVENTS_FILENAME).write_bytes(whole + b"not json\n" + b'{"time": 5')
    imgstore.convert(store, tmp_path / "b", format="png", chunksize=3)
    assert (tmp_path / "b" / EVENTS_FILENAME).read_bytes() == whole + b"not json\n"
    with imgstore.open(tmp_path / "b") as reader:
        assert reader.lost == LOST
    (store / EVENTS_FILENAME).unlink()
    imgstore.convert(store, tmp_path / "b", force=True)
    assert not (tmp_path / "b" / EVENTS_FILENAME).exists()


def test_a_cut_keeps_what_happened_during_its_frames(store, tmp_path):
    def cut(start, stop):
        imgstore.cut(store, tmp_path / "b", start, stop, by="index", force=True)
        with imgstore.open(tmp_path / "b") as reader:
            return [EVENTS.index(event) for event in reader.events]

    assert cut(0, 7) == list(range(8))
    assert cut(0, 2) == [0]
    assert cut(1, 3) == [1]
    assert cut(2, 4) == []
    assert cut(3, 6) == [2, 3, 4]
    assert cut(5, 7) == [5, 6]  # how the recording ended in all is no word about a part
    assert not imgstore.verify(tmp_path / "b").count("error")


def test_events_that_cannot_be_read_are_not_left_behind_without_a_word(store, tmp_path):
    (store / EVENTS_FILENAME).rename(tmp_path / "elsewhere")
    (store / EVENTS_FILENAME).symlink_to(tmp_path / "elsewhere")
    for make in (imgstore.convert, imgstore.cut):
        with pytest.raises(ChunkError, match="move the file away"):
            make(store, tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("b")] == []


def test_an_emptied_store_has_no_events_either(tmp_path):
    with imgstore.new_for_format("npy", tmp_path / "a", imgshape=SHAPE) as made:
        made.add_image(BLACK, 0, 0.0)
        (tmp_path / "a" / EVENTS_FILENAME).write_text(json.dumps({"time": 1, "kind": "mark"}) + "\n")
        made.empty()
        assert not (tmp_path / "a" / EVENTS_FILENAME).exists()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"time": 1}',
        b'{"kind": "mark"}',
        b'{"time": "1", "kind": "mark"}',
        b'{"time": true, "kind": "mark"}',
        b'{"time": NaN, "kind": "mark"}',
        b'{"time": 1e999, "kind": "mark"}',
        b'{"time": ' + b"9" * 400 + b', "kind": "mark"}',
        b'{"time": ' + b"9" * 5000 + b', "kind": "mark"}',
        b'{"time": 1, "kind": "two words"}',
        b'{"time": 1, "kind": ["mark"]}',
        b'{"time": 1, "kind": "mark", "text": "\xff"}',
        b'{"time": 1, "kind": "mark", "text": ' + b"[" * 60_000,
        b'{"time": 1, "kind": "mark", "text": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"time": 1, "kind": "mark", "text": "' + b"x" * 70_000 + b'"}',
        b'{"time": 1, "kind": "mark"} {"time": 1, "kind": "mark"}',
        bytes(50),
    ],
    ids=lambda line: line[:40],
)
def test_a_line_that_is_no_event_is_named_and_the_others_are_read(store, line):
    whole = lines(store)
    (store / EVENTS_FILENAME).write_bytes(b"".join([whole[0], line, b"\n", *whole[1:]]))
    with imgstore.open(store) as reader:
        assert reader.events == tuple(EVENTS)
        assert reader.lost == LOST
        (problem,) = reader.problems
        assert "1 lines are no events, and are not read: 2" in problem
    found = imgstore.verify(store)
    assert [(one.file, one.what) for one in found.findings if one.severity == "error"] == [
        (EVENTS_FILENAME, "line 2 is no event")
    ]


def test_half_characters_can_be_printed(store):
    (store / EVENTS_FILENAME).write_bytes(b'{"time": 1, "kind": "mark", "text": "\\uD800 \\ud83e\\udeb0"}\n')
    with imgstore.open(store) as reader:
        assert reader.events[0].detail["text"] == "? 🪰"
