"""Settings of a camera in a file: all nodes that can be set, for every state of what selects them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from hardware.errors import CaptureError, HardwareError, SettingError
from hardware.nodes import (
    NODE_VALUES,
    NodeEntry,
    NodeMap,
    get_node,
    same_value,
    selected,
    selector_states,
    write_node,
)
from imgstore import MetadataError, parse_yaml, replacing

_MOST_ROUNDS = 10  # in which nodes that set each other may come to rest
_PHASES = (
    ("GenDC", "Sequencer", "MultiSlope", "DeviceLink", "DeviceClock", "DeviceScan", "DeviceTap"),
    ("Sensor", "Region", "Component", "Binning", "Decimation", "Reverse", "Rotation", "PixelFormat", "Image"),
    ("Width", "Height"),
    ("Offset", "LinePitch"),
    ("AcquisitionMode", "Exposure", "Shutter", "Trigger", "Acquisition"),
    ("Black", "White", "Balance", "Gain", "Gamma", "LUT", "Color", "Sharpness", "Auto"),
    ("Line", "UserOutput", "Counter", "Timer", "Encoder", "Logic", "Action"),
    (),  # what is in none of the others
    ("Gev", "Event", "Chunk"),
)
"""Beginnings of names, in the order in which nodes are written: what others depend on comes first."""

_LEFT_OUT = (
    *("TLParamsLocked", "DeviceUserID", "TestPattern", "TestImageSelector", "UserSet", "File", "LUTValue"),
    *(
        "GevCurrentIP",
        "GevPersistent",
        "GevSCDA",
        "GevSCPHostPort",
        "GevMC",
        "GevCCP",
        "GevPrimary",
        "GevPAUSE",
    ),
    *("GevInterface", "GevHeartbeat", "DeviceStream", "DeviceHeartbeat", "ClConfiguration", "CustomerID"),
    *("CustomerValue", "Ptp", "Payload", "Resulting", "ForceFailed", "TestEvent", "DeviceFirmware"),
)
"""Beginnings of names that say which device it is or how it is connected, not how it films; or are tables."""


@dataclass(frozen=True, slots=True)
class NodeFile:
    """What a file holds.

    Attributes
    ----------
    model, serial : of the device that it was made of.
    entries : in the order in which they are written.
    """

    model: str
    serial: str
    entries: Sequence[NodeEntry]


@dataclass(frozen=True, slots=True)
class NodeFault:
    """A node that is not as the file has it, and why."""

    entry: NodeEntry
    reason: str

    def __str__(self) -> str:
        return f"{self.entry} is to be {self.entry.value}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LoadedNodes:
    """What came of loading a file.

    Attributes
    ----------
    written : how many nodes were set.
    kept : how many had their value already.
    faults : those that do not have it.
    """

    written: int
    kept: int
    faults: Sequence[NodeFault]

    def check(self) -> None:
        """Raise SettingError, which says all faults, if there are any."""
        if self.faults:
            raise SettingError("; ".join(map(str, self.faults)))


def dump_nodes(nodes: NodeMap) -> NodeFile:
    """Return all settings of a device: what can be set, and what could be if others were different."""
    entries = [entry for name in nodes.names() if _is_kept(nodes, name) for entry in _entries(nodes, name)]
    return NodeFile(
        nodes.identity.model, nodes.identity.serial, sorted(entries, key=lambda entry: _phase(entry.name))
    )


def load_nodes(nodes: NodeMap, file: NodeFile, *, force: bool = False) -> LoadedNodes:
    """Set a device as a file has it, and read all of it back.

    What cannot be written is tried again as long as others can: one may be what it waits for.

    Parameters
    ----------
    force : take the file of another model, too.

    Raises SettingError if the file is of another model.
    """
    if not force:
        _check_model(nodes, file)
    reasons: dict[str, str] = {}
    touched: set[str] = set()
    waiting = compare_nodes(nodes, file)
    for _ in range(_MOST_ROUNDS):
        for fault in waiting:
            key = str(fault.entry)
            reason = _write(nodes, fault.entry)
            if reason is None:
                touched.add(key)
                reasons.pop(key, None)
            else:
                reasons[key] = reason
        before, waiting = waiting, compare_nodes(nodes, file)  # what was set may have set others
        if [fault.entry for fault in waiting] == [fault.entry for fault in before]:
            break  # none of them will go
    faults = [NodeFault(fault.entry, reasons.get(str(fault.entry), fault.reason)) for fault in waiting]
    written = len(touched - {str(fault.entry) for fault in faults})
    return LoadedNodes(written, len(file.entries) - written - len(faults), faults)


def compare_nodes(nodes: NodeMap, file: NodeFile) -> list[NodeFault]:
    """Return how a device differs from a file, an empty list if it does not."""
    differences = ((entry, _difference(nodes, entry)) for entry in file.entries)
    return [NodeFault(entry, difference) for entry, difference in differences if difference is not None]


def write_node_file(path: Path, file: NodeFile) -> None:
    """Write a file, which appears complete or not at all."""
    document = {
        "camera_model": file.model,
        "camera_serial_number": file.serial,
        "nodes": [_document(entry) for entry in file.entries],
    }
    with replacing(path) as out:
        out.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode())


def read_node_file(path: Path) -> NodeFile:
    """Return what a file holds. Raises SettingError if it is none of `write_node_file`."""
    try:
        document = parse_yaml(path.expanduser().read_bytes())
    except OSError as exc:
        raise SettingError(f"{path} cannot be read: {exc.strerror}") from exc
    except MetadataError as exc:
        raise SettingError(f"{path} is no file of camera settings: {exc}") from exc
    if not isinstance(document, Mapping) or not isinstance(document.get("nodes"), list):
        raise SettingError(f"{path} is no file of camera settings: it has no list of nodes")
    entries = [_entry(path, item) for item in document["nodes"]]
    serial = document.get("camera_serial_number", "")
    return NodeFile(str(document.get("camera_model", "")), str(serial), entries)


def _check_model(nodes: NodeMap, file: NodeFile) -> None:
    if file.model != nodes.identity.model:
        raise SettingError(
            f"the file is of a camera {file.model or 'without a model'}, this one is a {nodes.identity.model}"
        )


def _is_kept(nodes: NodeMap, name: str) -> bool:
    node = nodes.find(name)
    if node is None or node.kind == "command" or name.startswith(_LEFT_OUT):
        return False
    return node.is_setting or node.readable


def _entries(nodes: NodeMap, name: str) -> Iterator[NodeEntry]:
    """Yield the values of a node, one for each state of its selectors."""
    node = get_node(nodes, name)
    if name.endswith("Selector"):  # it only says what others stand for
        return
    for state in selector_states(nodes, node):
        if node.readable and (node.writable or node.is_setting):
            yield NodeEntry(name, node.read(), state)


def _phase(name: str) -> int:
    for phase, beginnings in enumerate(_PHASES):
        if beginnings and name.startswith(beginnings):
            return phase
    return _PHASES.index(())


def _write(nodes: NodeMap, entry: NodeEntry) -> str | None:
    """Set one node; return why it could not be set, None if it was."""
    try:
        with selected(nodes, entry.selectors):
            write_node(get_node(nodes, entry.name), entry.value)
    except CaptureError:
        raise
    except HardwareError as exc:
        return str(exc)
    return None


def _difference(nodes: NodeMap, entry: NodeEntry) -> str | None:
    """Return how a node differs from its entry, None if it does not."""
    try:
        with selected(nodes, entry.selectors):
            node = get_node(nodes, entry.name)
            if not node.readable:
                return "it cannot be read at the moment"
            now = node.read()
    except SettingError as exc:
        return str(exc)
    return None if same_value(now, entry.value) else f"it is {now}"


def _document(entry: NodeEntry) -> dict[str, object]:
    document: dict[str, object] = {"name": entry.name, "value": entry.value}
    return {**document, "selectors": dict(entry.selectors)} if entry.selectors else document


def _entry(path: Path, item: object) -> NodeEntry:
    if isinstance(item, Mapping):
        name, value, selectors = item.get("name"), item.get("value"), item.get("selectors") or {}
        if isinstance(name, str) and isinstance(value, NODE_VALUES) and isinstance(selectors, Mapping):
            kept = {str(key): one for key, one in selectors.items() if isinstance(one, NODE_VALUES)}
            if len(kept) == len(selectors):
                return NodeEntry(name, value, kept)
    raise SettingError(f"{path} has an entry that is no node with a name and a value: {item}")
