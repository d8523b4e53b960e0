"""What each kind of camera can be told: described for people, in the words that are checked."""

from dataclasses import fields

import pytest

from hardware import CAMERAS, OPTIONS, Faults, SettingError, describe_options
from hardware.options import parse_options


@pytest.mark.parametrize("kind", CAMERAS.names())
def test_every_setting_of_every_kind_of_camera_is_described(kind):
    described = describe_options(OPTIONS.get(kind))
    assert described
    for one in described:
        assert one.name
        assert len(one.meaning) > 3
        assert one.type in TYPES
        assert not any(one.meaning.startswith(f"{unit}; ") for unit in ("s", "ms", "ppm"))


TYPES = ("a number", "a whole number", "a word", "yes or no", "a number or a word")


def test_the_values_that_are_described_are_those_that_are_taken():
    ranges = {one.name: one.metadata["range"] for one in fields(Faults) if "range" in one.metadata}
    assert len(ranges) == len(fields(Faults))
    for name, (low, high) in ranges.items():
        assert getattr(Faults(**{name: low}), name) == low
        for wrong in (low - 1, high + 1):
            if wrong not in (low, high):  # infinity has no more
                with pytest.raises(SettingError, match=f"^{name} of a simulated camera is from "):
                    Faults(**{name: wrong})
    values = {one.name: one.values for one in describe_options(Faults)}
    assert (values["drop"], values["drop_every"], values["silence_s"]) == ("0 to 0.99", "from 2", "from 0")


@pytest.mark.parametrize("kind", CAMERAS.names())
def test_a_default_that_is_described_is_what_a_camera_has(kind):
    options = OPTIONS.get(kind)
    made = parse_options(options, {}, "a camera")
    own = {one.name for one in fields(options)}
    for one in describe_options(options):
        if one.name in own and getattr(made, one.name) is not None:
            assert getattr(made, one.name) == one.default


def test_cameras_with_nodes_take_any_of_them():
    for kind in ("genicam", "basler"):
        assert describe_options(OPTIONS.get(kind))[-1].name == "NODE"
    assert "producer" in [one.name for one in describe_options(OPTIONS.get("genicam"))]
    assert "producer" not in [one.name for one in describe_options(OPTIONS.get("basler"))]
