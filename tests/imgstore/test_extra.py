"""What records beside the frames may hold."""

import datetime as dt
import json
import math

import numpy as np
import pytest

import imgstore
from imgstore import ChunkError
from imgstore.extra import ends_early, mend_records, read_records

VALUES = [
    (np.float32(1.5), 1.5),
    (np.longdouble(1.5), 1.5),
    (np.clongdouble(1 + 2j), [1.0, 2.0]),
    (np.bool_(True), True),
    (np.arange(4, dtype=np.uint8).reshape(2, 2), [[0, 1], [2, 3]]),
    (np.array(5), 5),
    (np.array([None, np.int8(1), dt.date(2026, 1, 2)], object), [None, 1, "2026-01-02"]),
    (np.ma.array([1, 2], mask=[False, True]), [1, None]),
    (np.datetime64("2026-01-02T03:04:05"), "2026-01-02T03:04:05"),
    (np.datetime64("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
    (np.array(["2026-01-02", "NaT"], "M8[D]"), ["2026-01-02", None]),
    (np.timedelta64(1500, "ms"), 1.5),
    (dt.timedelta(minutes=1), 60.0),
    (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
    (b"caf\xc3\xa9", "café"),
    (bytearray(b"a"), "a"),
    ({np.int64(3): {np.float32(0.5): np.uint8(4)}, "x": [{np.int8(1): (1, np.int8(2))}]}, None),
    ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    (10**30, 10**30),
    ('quotes " and \\ and \n and \ud800 and 🪰', 'quotes " and \\ and \n and ? and 🪰'),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: repr(value)[:40])
def test_a_value_comes_back_as_what_json_has_for_it(tmp_path, value, expected):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy") as writer:
        writer.append_extra({"value": value})
        writer.append(imgstore.Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
    if expected is None:
        expected = {"3": {"0.5": 4}, "x": [{"1": [1, 2]}]}
    with imgstore.open(tmp_path / "a") as store:
        seen = store.extra()["value"].tolist()
    assert seen == [expected]


def test_numbers_that_are_none_come_back_as_they_are(tmp_path):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy") as writer:
        writer.append(imgstore.Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
        writer.append_extra({"value": math.nan, "values": np.array([np.inf, -np.inf])})
    with imgstore.open(tmp_path / "a") as store:
        assert store.extra()["value"].isna().all()
        assert store.extra()["values"].tolist() == [[math.inf, -math.inf]]


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, int, np.array([object()], object)])
def test_what_json_cannot_hold_is_refused_and_nothing_written(tmp_path, value):
    with imgstore.create(tmp_path / "a", (4, 6), format="npy") as writer:
        writer.append(imgstore.Frame(np.zeros((4, 6), np.uint8), 0, 0, 0.0))
        with pytest.raises(TypeError):
            writer.append_extra({"value": value})
    with imgstore.open(tmp_path / "a") as store:
        assert store.extra() is None


@pytest.mark.parametrize("block", [512, 4096])
@pytest.mark.parametrize("spare", [0, 1, 7])
def test_records_behind_which_a_power_cut_left_an_old_end_are_read_and_mended(tmp_path, block, spare):
    file = tmp_path / "000000.extra.json"
    old = json.dumps([{"text": "x" * (block - 14 - spare)}])
    assert len(old) == block - spare
    file.write_text(old + "\0" * spare + 'yz"}, {"text": 1}]')  # of the next records only the end came
    assert read_records(file) == json.loads(old)
    assert ends_early(file)
    mend_records(file)
    assert json.loads(file.read_text()) == json.loads(old)


def test_records_that_go_on_behind_their_end_elsewhere_are_broken(tmp_path):
    file = tmp_path / "000000.extra.json"
    file.write_text('[{"a": 1}], {"b": 2}]')
    with pytest.raises(ChunkError):
        read_records(file)
    assert not ends_early(file)


def test_what_a_file_of_records_grew_by_and_never_got_is_no_record(tmp_path):
    file = tmp_path / "000000.extra.json"
    file.write_text('[{"a": 1}, {"b": 2' + "\0" * 100)
    assert read_records(file) == [{"a": 1}]
    file.write_text('[{"a": 1}]' + "\0" * 100)
    assert read_records(file) == [{"a": 1}]
