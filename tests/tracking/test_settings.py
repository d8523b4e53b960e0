"""Settings of trackers: from text, from files, and what is said of wrong ones."""

from dataclasses import dataclass

import pytest

from tracking import SettingsError, describe_settings, load_settings
from tracking.settings import check_settings, parse_settings, setting


@dataclass(frozen=True, slots=True)
class Machine:
    """Some settings of every kind."""

    speed: float = setting(2.5, "how fast", unit="m/s", least=0, most=9.5)
    wheels: int = setting(4, "how many", least=1)
    loud: bool = setting(False, "whether it is heard")
    colour: str = setting("red", "how it looks", choices=("red", "blue"))
    name: str = setting("", "what it is called")

    def __post_init__(self):
        check_settings(self)


def test_text_becomes_what_the_setting_is():
    given = {"speed": " 3 ", "wheels": "6", "loud": "Yes", "colour": "blue", "name": "7"}
    assert parse_settings(Machine, given) == Machine(3.0, 6, True, "blue", "7")
    assert parse_settings(Machine, {"speed": 3, "wheels": 6.0}) == Machine(3.0, 6)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("speed", "fast", "speed is a number, got 'fast'"),
        ("speed", "nan", "speed is 0 to 9.5 m/s, got nan"),
        ("speed", 9.6, "speed is 0 to 9.5 m/s, got 9.6"),
        ("speed", True, "speed is a number, got True"),
        ("wheels", "4.5", "wheels is a whole number, got '4.5'"),
        ("wheels", 4.5, "wheels is a whole number, got 4.5"),
        ("wheels", 0, "wheels is 1 or more, got 0"),
        ("wheels", [4], "wheels is a whole number"),
        ("loud", 1, "loud is true or false, got 1"),
        ("loud", "perhaps", "loud is true or false"),
        ("colour", "green", "colour is one of red, blue, got 'green'"),
        ("name", 7, "name is text, got 7"),
    ],
)
def test_a_wrong_value_is_told_with_what_would_work(name, value, says):
    with pytest.raises(SettingsError, match=says.replace("[", r"\[")):
        parse_settings(Machine, {name: value})


def test_settings_are_described_with_unit_range_and_default():
    speed, wheels, loud, colour, _ = describe_settings(Machine)
    assert (speed.unit, speed.range_text, speed.default, speed.help) == ("m/s", "0 to 9.5", 2.5, "how fast")
    assert wheels.range_text == "1 or more"
    assert loud.range_text == "true or false"
    assert colour.range_text == "red, blue"


def test_a_file_of_settings_is_lines_of_names_and_values(tmp_path):
    path = tmp_path / "my settings.yaml"
    path.write_text("# of the blue one\nspeed: 3\ncolour: blue\nloud: yes\n")
    assert parse_settings(Machine, load_settings(path)) == Machine(speed=3.0, loud=True, colour="blue")
    path.write_text("")
    assert load_settings(path) == {}


@pytest.mark.parametrize("text", ["- speed", "speed: [", "!!python/object:os.system {}", "3: 4", "word"])
def test_a_file_that_says_something_else_is_refused(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"a\.yaml"):
        load_settings(path)
