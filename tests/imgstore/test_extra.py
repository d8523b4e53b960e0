"""What records beside the frames may hold."""

import datetime as dt
import math

import numpy as np
import pytest

import imgstore

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
