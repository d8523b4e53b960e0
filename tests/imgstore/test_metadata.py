"""Metadata: what YAML can say comes back, and whatever else a file says is a clear error."""

import math
from contextlib import suppress
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import imgstore
from imgstore.errors import MetadataError
from imgstore.formats.settings import FormatSettings
from imgstore.frame import FrameSpec
from imgstore.metadata import (
    DIRECTORY_CLASS,
    STORE_KEY,
    StoreMetadata,
    load_metadata,
    new_metadata,
    parse_metadata,
    save_metadata,
)
from imgstore.safe_yaml import parse_yaml

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**80), 10**80),
    st.floats(),
    WORDS,
    st.binary(max_size=10),
    st.dates(),
    st.datetimes(),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.integers(), inner, max_size=4),
    max_leaves=12,
)
GOOD = {
    "chunksize": 5,
    "class": "VideoImgStore",
    "created_utc": "2026-11-21T01:06:39.043931",
    "encoding": None,
    "extension": ".mkv",
    "format": "h264/mkv",
    "imgdtype": "uint8",
    "imgshape": [48, 64],
    "settings": {"quality": 23},
    "timezone_local": "Europe/Vienna",
    "uuid": "0" * 32,
    "version": 2,
}


def same(one, other):
    """Say whether two values are equal, NaN to itself too."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(one[k], other[k]) for k in one)
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def content_of(user):
    return new_metadata(
        FrameSpec((4, 6)),
        store_class=DIRECTORY_CLASS,
        chunk_format="npy",
        suffix="",
        chunksize=5,
        padded=False,
        settings=FormatSettings(),
        user=user,
    )


@settings(max_examples=100)
@given(st.dictionaries(WORDS.filter(lambda key: key != STORE_KEY), VALUES, max_size=4))
@example({"fly": "NaN", "a": math.nan, "b": [-math.inf], "c": "=", "d": "<<", "e": "\u0085\u2028\x7f"})
@example({"shared": [["x"]] * 3})
@example({"a": date(2026, 1, 1), "b": datetime(2026, 1, 1, 12, 30, 0, 5), "c": b"\x00\xff"})  # noqa: DTZ001
def test_whatever_yaml_can_hold_comes_back(tmp_path_factory, user):
    file = tmp_path_factory.mktemp("m") / "metadata.yaml"
    save_metadata(file, content_of(user))
    found = load_metadata(file)
    expected = content_of(user)
    expected.pop(STORE_KEY)
    assert same(dict(found.user), expected)


def _check_text(message):
    assert len(message) < 2000
    assert len(message.splitlines()) == 1


def check(content):
    """Parse content, which gives metadata or a short error, and nothing else."""
    try:
        found = parse_metadata(content, folder="x")
    except MetadataError as exc:
        _check_text(str(exc))
        return
    assert isinstance(found, StoreMetadata)
    assert found.chunksize >= 1
    assert found.uuid is None or isinstance(found.uuid, str)
    assert found.created.tzinfo is UTC
    found.created.astimezone(found.timezone)
    assert found.spec.dtype.kind in "uifb"
    assert "/" not in found.suffix


ODD = st.one_of(
    VALUES,
    st.lists(st.integers(-5, 70), max_size=5),
    st.sampled_from(
        [
            ".avi",
            "mjpeg",
            "uint16",
            "f4",
            "f4,f4",
            "O",
            "cv_bayerbg",
            "png",
            "",
            "2026-13-01",
            "local",
            "../x",
        ]
    ),
    st.just(10**5000),
    st.just(datetime.min),  # noqa: DTZ901
    st.just(datetime.max),  # noqa: DTZ901
    st.just((1, 2)),
    st.just({1, 2}),
)


@settings(max_examples=400)
@given(
    st.dictionaries(st.sampled_from(sorted(GOOD)), ODD, max_size=3),
    st.sets(st.sampled_from(sorted(GOOD)), max_size=3),
)
@example({"imgshape": [10**5000, 2]}, set())
@example({"created_utc": "9999-12-31T23:59:59-14:00"}, set())
@example({"settings": {"quality": 10**5000}}, set())
@example({"version": True, "class": ["x"]}, set())
def test_any_values_in_the_store_section_give_metadata_or_an_error(changes, missing):
    store = {key: value for key, value in {**GOOD, **changes}.items() if key not in missing}
    check({STORE_KEY: store, "timezone": changes.get("uuid")})


@settings(max_examples=200)
@given(VALUES | st.dictionaries(st.just(STORE_KEY), st.dictionaries(WORDS, VALUES)))
def test_any_content_gives_metadata_or_an_error(content):
    check(content)


@settings(max_examples=300)
@given(st.text("abc01:-[]{}<>*&!|'\"#%@?,. \n\t~=", max_size=60) | st.text(max_size=60))
@example("!!int ''")
@example("!!float ''")
@example("!!bool x")
@example("!!timestamp x")
@example("!!binary 'x'")
@example("!!set [1]")
@example("? {a: 1}\n: b")
@example("2026-99-99")
@example("1:1:1.5")
@example("&a [*a]")
def test_any_text_is_read_as_yaml_or_refused(text):
    data = text.encode(errors="surrogatepass")
    try:
        found = parse_yaml(data)
    except MetadataError as exc:
        _check_text(str(exc))
    else:
        repr(found)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_yaml_or_refused(data):
    with suppress(MetadataError):
        parse_yaml(data)


def within_itself():
    value = []
    value.append(value)
    return value


def nested(depth):
    return [nested(depth - 1)] if depth else []


TOO_MUCH = {
    "in itself": within_itself(),
    "digits": 10**200,
    "long": "x" * (1 << 20),
    "many": [""] * 100_000,
    "deep": nested(90),
}


@pytest.mark.parametrize("value", TOO_MUCH.values(), ids=TOO_MUCH)
def test_metadata_that_no_reader_takes_are_refused_before_anything_is_made(tmp_path, value):
    with pytest.raises(MetadataError, match="written"):
        imgstore.create(tmp_path / "a", (4, 6), format="npy", metadata={"x": value})
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
def test_metadata_of_any_frames_come_back(tmp_path, shape, dtype):
    with imgstore.create(tmp_path / "a", shape, dtype, format="npy", metadata={"x": np.float64(0.5)}):
        pass
    found = load_metadata(tmp_path / "a" / "metadata.yaml")
    assert found.spec == FrameSpec(shape, np.dtype(dtype))
    assert found.user == {"x": 0.5}
