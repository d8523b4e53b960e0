"""Settings of cameras in files, on the three cameras of a producer."""

from contextlib import contextmanager
from itertools import islice

import pytest
import yaml

from hardware import (
    CameraIdentity,
    CameraSettings,
    NodeEntry,
    NodeFile,
    SettingError,
    compare_nodes,
    dump_nodes,
    frames,
    load_nodes,
    open_camera,
    read_node_file,
    write_node_file,
)
from hardware.nodes import get_node, parse_value, selector_states, write_node

ALL = ("0", "1", "2")


@pytest.fixture
def open_nodes(producer):
    """A function that opens the nodes of one of the producer's cameras."""

    @contextmanager
    def opened(address="0"):
        with open_camera(f"genicam:{address}", options(producer)).open_nodes() as nodes:
            yield nodes

    return opened


def options(producer, **more):
    """Return settings with the producer."""
    return CameraSettings(options={"producer": str(producer), **more})


def values(file):
    """Return the value of each node with its selectors."""
    return {str(entry): entry.value for entry in file.entries}


@pytest.mark.parametrize("address", ALL)
def test_a_dump_loads_on_its_camera_and_changes_nothing(open_nodes, tmp_path, address):
    with open_nodes(address) as nodes:
        write_node_file(tmp_path / "viky.yaml", dump_nodes(nodes))
        file = read_node_file(tmp_path / "viky.yaml")
        loaded = load_nodes(nodes, file)
        assert (loaded.written, loaded.faults) == (0, [])
        assert loaded.kept == len(file.entries) > 10
        assert compare_nodes(nodes, file) == []
        assert (file.model, file.serial) == ("Viky", address)


@pytest.mark.parametrize("address", ALL)
def test_a_file_brings_back_what_was_changed_also_after_the_camera_was_let_go(open_nodes, address):
    changes = {"Width": 640, "Height": 480, "PixelFormat": "Mono8", "AcquisitionFrameRate": 55}
    with open_nodes(address) as nodes:
        before = dump_nodes(nodes)
        for name, value in changes.items():
            write_node(get_node(nodes, name), value)
        changed = dump_nodes(nodes)
        assert load_nodes(nodes, before).written == 4
        assert dump_nodes(nodes) == before
    with open_nodes(address) as nodes:
        loaded = load_nodes(nodes, changed)
        assert (loaded.written, loaded.faults) == (4, [])
        assert compare_nodes(nodes, changed) == []
        assert {fault.entry.name for fault in compare_nodes(nodes, before)} == set(changes)


def test_a_number_that_the_device_rounds_is_taken_only_where_that_is_allowed(open_nodes):
    with open_nodes() as nodes:
        rate = get_node(nodes, "AcquisitionFrameRate")  # whole numbers, says nobody
        with pytest.raises(SettingError, match=r"was set to 55\.5 and reads 56"):
            write_node(rate, 55.5)
        assert write_node(rate, 57.5, tolerance=0.05) == 58


def test_a_node_has_a_value_for_each_state_of_its_selector(open_nodes):
    with open_nodes() as nodes:
        kept = values(dump_nodes(nodes))
        assert get_node(nodes, "ComponentSelector").read() == "Intensity"  # as it was
    assert kept["PixelFormat[ComponentSelector=Intensity]"] == "RGBa8"
    assert kept["PixelFormat[ComponentSelector=Range]"] == "Coord3D_ABC32f_Planar"
    assert kept["ChunkEnable[ChunkSelector=NrBounces]"] is True
    assert "TLParamsLocked" not in kept
    assert "ComponentSelector" not in kept


def test_what_selects_is_written_before_what_it_selects(open_nodes):
    with open_nodes() as nodes:
        names = [entry.name for entry in dump_nodes(nodes).entries]
    assert names.index("GenDCStreamingMode") < names.index("PixelFormat") < names.index("Width")
    assert names.index("Width") < names.index("AcquisitionFrameRate") < names.index("ChunkEnable")


def test_what_cannot_be_written_is_said_with_why_and_the_rest_is_written(open_nodes):
    wrong = [
        NodeEntry("Width", 10_000, {}),
        NodeEntry("PixelFormat", "Mono8", {"ComponentSelector": "Range"}),
        NodeEntry("Wdth", 5, {}),
        NodeEntry("PixelFormat", "Mono8", {"ComponentSelector": "Smell"}),
    ]
    with open_nodes() as nodes:
        loaded = load_nodes(nodes, NodeFile("Viky", "0", [*wrong, NodeEntry("Height", 500, {})]))
        assert get_node(nodes, "Height").read() == 500
    reasons = [fault.reason for fault in loaded.faults]
    assert [fault.entry for fault in loaded.faults] == wrong
    assert "from 100 to 800" in reasons[0]
    assert "one of Coord3D_ABC32f_Planar" in reasons[1]
    assert "no node Wdth; did you mean Width" in reasons[2]
    assert "one of Intensity, Range, not Smell" in reasons[3]
    assert (loaded.written, loaded.kept) == (1, 0)
    with pytest.raises(SettingError, match="Wdth is to be 5"):
        loaded.check()


def test_an_order_that_does_not_work_at_once_is_gone_through_again():
    nodes = Lockable()
    file = NodeFile("Toy", "", [NodeEntry("Inner", 5, {}), NodeEntry("Lock", False, {})])
    loaded = load_nodes(nodes, file)
    assert (loaded.written, loaded.faults) == (2, [])
    assert nodes.values == {"Inner": 5, "Lock": False}


def test_a_node_that_sets_another_one_back_does_not_have_the_last_word():
    nodes = Resetting()
    file = NodeFile("Toy", "", [NodeEntry("Inner", 7, {}), NodeEntry("Outer", 1, {})])
    loaded = load_nodes(nodes, file)
    assert nodes.values == {"Inner": 7, "Outer": 1}
    assert (loaded.written, loaded.kept, loaded.faults) == (2, 0, [])


def test_nodes_that_set_each_other_back_for_ever_are_said():
    nodes = Resetting(both=True)
    file = NodeFile("Toy", "", [NodeEntry("Inner", 7, {}), NodeEntry("Outer", 1, {})])
    assert len(load_nodes(nodes, file).faults) == 1


def test_the_file_of_another_model_is_refused(open_nodes):
    file = NodeFile("Boa", "77", [NodeEntry("Width", 500, {})])
    with open_nodes() as nodes:
        with pytest.raises(SettingError, match="of a camera Boa, this one is a Viky"):
            load_nodes(nodes, file)
        assert get_node(nodes, "Width").read() == 400
        assert load_nodes(nodes, file, force=True).written == 1


def test_a_recording_begins_with_the_settings_of_a_file(open_nodes, producer, tmp_path):
    with open_nodes() as nodes:
        for name, value in {"Width": 300, "Height": 200, "PixelFormat": "Mono8"}.items():
            write_node(get_node(nodes, name), value)
        write_node_file(tmp_path / "small.yaml", dump_nodes(nodes))
    camera = open_camera("genicam:0", options(producer, settings=str(tmp_path / "small.yaml"), Height=250))
    assert next(islice(frames(camera, timeout=5), 1)).image.shape == (250, 300)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nodes: 5", "no list of nodes"),
        ("[1, 2]", "no list of nodes"),
        ("nodes: [{value: 5}]", "no node with a name"),
        ("nodes: [{name: Width, value: [1]}]", "no node with a name"),
        ("nodes: [{name: Width, value: 5, selectors: {A: [1]}}]", "no node with a name"),
        ("nodes: [{name: !!python/object:os.system x}]", "no file of camera settings"),
    ],
)
def test_a_file_that_holds_no_settings_is_said(tmp_path, text, says):
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(SettingError, match=says):
        read_node_file(tmp_path / "wrong.yaml")


def test_values_survive_the_file(tmp_path):
    entries = [
        NodeEntry("Mode", "On", {"Selector": "Off"}),
        NodeEntry("Switch", True, {}),
        NodeEntry("Word", "007", {"Index": 3}),
        NodeEntry("Number", 1e-05, {}),
        NodeEntry("Big", 2**40, {}),
    ]
    write_node_file(tmp_path / "a.yaml", NodeFile("Ä 1", "0123", entries))
    assert read_node_file(tmp_path / "a.yaml") == NodeFile("Ä 1", "0123", entries)
    document = yaml.safe_load((tmp_path / "a.yaml").read_text())
    assert (document["camera_model"], document["camera_serial_number"]) == ("Ä 1", "0123")


@pytest.mark.parametrize(
    ("name", "typed", "meant"),
    [
        ("Width", "500", 500),
        ("Width", 500.0, 500),
        ("AcquisitionFrameRate", "12.5", 12.5),
        ("AcquisitionFrameRate", 12, 12.0),
        ("ChunkModeActive", "off", False),
        ("GenDCStreamingMode", False, "Off"),
        ("PixelFormat", "Mono8", "Mono8"),
    ],
)
def test_what_people_type_is_taken_as_the_node_has_it(open_nodes, name, typed, meant):
    with open_nodes() as nodes:
        assert parse_value(get_node(nodes, name), typed) == meant


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Width", "1e9"),
        ("Width", True),
        ("Width", 500.5),
        ("AcquisitionFrameRate", "fast"),
        ("AcquisitionFrameRate", float("nan")),
        ("ChunkModeActive", "maybe"),
        ("PixelFormat", None),
        ("AcquisitionStart", "no"),
    ],
)
def test_what_a_node_cannot_be_is_said(open_nodes, name, typed):
    with open_nodes() as nodes, pytest.raises(SettingError, match=name):
        parse_value(get_node(nodes, name), typed)


def test_selectors_of_selectors_are_gone_through_from_the_outermost():
    nodes = Toy({"Outer": ("A", "B"), "Inner": ("1", "2")}, {"Inner": ["Outer"], "Value": ["Inner"]})
    states = list(selector_states(nodes, nodes.find("Value")))
    assert states == [{"Outer": o, "Inner": i} for o in "AB" for i in "12"]
    assert nodes.values["Outer"] == "A"


class ToyNode:
    """A node of a toy."""

    is_setting = True
    limits = None

    def __init__(self, toy, name, choices, selectors):
        self._toy, self.name = toy, name
        self.choices, self.selectors = choices, selectors

    @property
    def kind(self):
        return "choice" if self.choices else "bool" if self.name == "Lock" else "int"

    readable = True

    @property
    def writable(self):
        return self._toy.may_write(self.name)

    def read(self):
        return self._toy.values[self.name]

    def write(self, value):
        self._toy.values[self.name] = value
        self._toy.written(self.name)


class Toy:
    """Nodes that are kept in a dict: what no emulator has can be made up of them."""

    identity = CameraIdentity("toy", "Toy")

    def __init__(self, choices, selectors):
        self._choices, self._selectors = choices, selectors
        self.values = {name: some[0] for name, some in choices.items()}
        self.values.update({name: 0 for name in selectors if name not in choices})

    def names(self):
        return list(self.values)

    def find(self, name):
        if name not in self.values:
            return None
        return ToyNode(self, name, self._choices.get(name, ()), self._selectors.get(name, ()))

    def may_write(self, name):
        return True

    def written(self, name):
        pass


class Lockable(Toy):
    """A node that can be written only once another is off."""

    def __init__(self):
        super().__init__({}, {})
        self.values = {"Inner": 0, "Lock": True}

    def may_write(self, name):
        return name == "Lock" or not self.values["Lock"]


class Resetting(Toy):
    """A node that puts another one back to 0 when it is written, and perhaps the other way round."""

    def __init__(self, *, both=False):
        super().__init__({}, {})
        self.values = {"Inner": 7, "Outer": 0}
        self._both = both

    def written(self, name):
        if name == "Outer":
            self.values["Inner"] = 0
        elif self._both:
            self.values["Outer"] = 0
