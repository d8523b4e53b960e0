"""Nodes: what a machine-vision camera can be told, by GenICam's names ("ExposureTime", "PixelFormat")."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from hardware.camera import CameraIdentity
from hardware.errors import SettingError

NodeValue: TypeAlias = bool | int | float | str
SAME = 1e-4
"""By what part of it a number may differ and be the same: a device keeps it in its own precision."""

NODE_VALUES = (bool, int, float, str)
NodeKind: TypeAlias = Literal["bool", "int", "float", "str", "choice", "command"]

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_MOST_STATES = 256  # of the selectors of one node: more are a table, not settings


class Node(Protocol):
    """One of them."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> NodeKind: ...
    @property
    def readable(self) -> bool:
        """Whether it can be read at the moment."""

    @property
    def writable(self) -> bool:
        """Whether it can be written at the moment."""

    @property
    def is_setting(self) -> bool:
        """Whether its device counts it among the settings that are worth keeping."""

    @property
    def selectors(self) -> Sequence[str]:
        """Names of the nodes that say which of several values this one stands for."""

    @property
    def choices(self) -> Sequence[str]:
        """What a choice can be at the moment."""

    @property
    def limits(self) -> tuple[float, float, float] | None:
        """Lowest, highest and step (0 if there is none) of a number."""

    def read(self) -> NodeValue:
        """Return its value. Raises CaptureError if the device does not give it."""

    def write(self, value: NodeValue) -> None:
        """Set it, or execute a command. Raises SettingError if the device does not take it."""


class NodeMap(Protocol):
    """All nodes of a device that is open."""

    @property
    def identity(self) -> CameraIdentity:
        """Which device it is."""

    def names(self) -> Sequence[str]:
        """Return the names of all features, in the order of the device's own description."""

    def find(self, name: str) -> Node | None:
        """Return the node of this name, None if there is none."""


@runtime_checkable
class NodeCamera(Protocol):
    """A camera that has nodes."""

    def open_nodes(self) -> AbstractContextManager[NodeMap]:
        """Open the device for its nodes alone; it must not be running."""


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """The value of one node, and for which values of its selectors.

    Attributes
    ----------
    name : of the node.
    value : of the node.
    selectors : name and value of each selector, in the order in which they are set.
    """

    name: str
    value: NodeValue
    selectors: Mapping[str, NodeValue]

    def __str__(self) -> str:
        """Return the name with the selectors, "Gain[GainSelector=All]"."""
        where = ", ".join(f"{name}={value}" for name, value in self.selectors.items())
        return f"{self.name}[{where}]" if where else self.name


def get_node(nodes: NodeMap, name: str) -> Node:
    """Return a node. Raises SettingError, with the nearest names, if there is none of this name."""
    node = nodes.find(name)
    if node is None:
        near = difflib.get_close_matches(name, nodes.names(), 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise SettingError(f"{nodes.identity.model or 'the camera'} has no node {name}{hint}")
    return node


def first_node(nodes: NodeMap, *names: str) -> Node | None:
    """Return the first node of these names that can be read or written: names changed between versions."""
    found = (nodes.find(name) for name in names)
    return next((node for node in found if node is not None and (node.readable or node.writable)), None)


def write_node(node: Node, value: object, *, tolerance: float = SAME) -> NodeValue:
    """Set a node, read it back, and return what it is now.

    Parameters
    ----------
    value : may be a string that says it.
    tolerance : by what part of it a number may differ afterwards: devices round to what they can do.

    Raises SettingError: the value is none for this node, it cannot be written at the moment, or the device
    made something else of it.
    """
    wanted = parse_value(node, value)
    if not node.writable:
        if node.readable and node.kind != "command" and same_value(node.read(), wanted):
            return wanted
        held = f"; it is {node.read()}" if node.readable and node.kind != "command" else ""
        raise SettingError(f"{node.name} cannot be written at the moment{held}, not {wanted}")
    node.write(wanted)
    if node.kind == "command" or not node.readable:
        return wanted
    got = node.read()
    if not same_value(got, wanted, tolerance):
        raise SettingError(f"{node.name} was set to {wanted} and reads {got}")
    return got


def parse_value(node: Node, value: object) -> NodeValue:
    """Return a value as this node takes it. Raises SettingError, which says what it takes."""
    parsed = _parsed(node, value)
    if parsed is None:
        raise SettingError(f"{node.name} is {_wanted(node)}, not {value!r}")
    if node.kind == "choice" and node.choices and parsed not in node.choices:
        raise SettingError(f"{node.name} is one of {', '.join(node.choices)}, not {value}")
    limits = node.limits if node.kind in ("int", "float") else None
    if limits is not None and not isinstance(parsed, str):
        low, high, step = limits
        wrong_step = step > 0 and node.kind == "int" and (parsed - low) % step
        if not low <= parsed <= high or wrong_step:
            steps = f" in steps of {step:g}" if step > 1 else ""
            raise SettingError(f"{node.name} is from {low:g} to {high:g}{steps} at the moment, not {value}")
    return parsed


def same_value(first: NodeValue, second: NodeValue, tolerance: float = SAME) -> bool:
    """Return whether two values are one, numbers but for a part of `tolerance`."""
    if isinstance(first, float) or isinstance(second, float):
        if isinstance(first, str) or isinstance(second, str):
            return False
        return abs(first - second) <= tolerance * max(abs(first), abs(second))
    return first == second


def one_line(exc: Exception) -> str:
    """Return what an error of GenICam's library says, without where in its code."""
    return " ".join(str(exc).split()).split(" : ")[0]


@contextmanager
def selected(nodes: NodeMap, selectors: Mapping[str, NodeValue]) -> Iterator[None]:
    """Set selectors, and set them back."""
    before: list[tuple[Node, NodeValue]] = []
    try:
        for name, value in selectors.items():
            selector = get_node(nodes, name)
            now = selector.read()
            if not same_value(now, value):
                before.append((selector, now))
                write_node(selector, value)
        yield
    finally:
        for selector, value in reversed(before):
            selector.write(value)


def selector_states(nodes: NodeMap, node: Node) -> Iterator[dict[str, NodeValue]]:
    """Yield every state of a node's selectors, in which they are meanwhile; one without any for none."""
    yield from _states(nodes, _all_selectors(nodes, node, ()), {})


def _states(
    nodes: NodeMap, selectors: Sequence[Node], chosen: dict[str, NodeValue]
) -> Iterator[dict[str, NodeValue]]:
    if not selectors:
        yield dict(chosen)
        return
    first, *rest = selectors
    for value in _selectable(first):
        with selected(nodes, {first.name: value}):
            yield from _states(nodes, rest, {**chosen, first.name: value})


def _all_selectors(nodes: NodeMap, node: Node, beneath: tuple[str, ...]) -> list[Node]:
    """Return the selectors of a node, those that select a selector before it."""
    found: list[Node] = []
    for name in node.selectors:
        selector = nodes.find(name)
        if selector is None or name in beneath or not selector.readable:
            continue
        for one in (*_all_selectors(nodes, selector, (*beneath, name)), selector):
            if one.name not in [known.name for known in found]:
                found.append(one)
    return found


def _selectable(selector: Node) -> list[NodeValue]:
    """Return all values that a selector can have; the one it has if it is fixed or there are too many."""
    if not selector.writable:
        return [selector.read()]
    if selector.kind == "choice":
        return list(selector.choices)
    if selector.kind == "bool":
        return [False, True]
    limits = selector.limits
    if selector.kind == "int" and limits is not None and limits[1] - limits[0] < _MOST_STATES:
        return list(range(int(limits[0]), int(limits[1]) + 1, int(limits[2]) or 1))
    return [selector.read()]


def _wanted(node: Node) -> str:
    words = {"bool": "yes or no", "int": "a whole number", "float": "a number", "command": "a command: yes"}
    if node.kind == "choice":
        return f"one of {', '.join(node.choices)}"
    return words.get(node.kind, "a word")


def _parsed(node: Node, value: object) -> NodeValue | None:
    """Return a value in the type of a node; None if it is not of it."""
    match node.kind:
        case "bool" | "command":
            word = str(value).strip().lower()
            return True if word in _TRUE else False if word in _FALSE and node.kind == "bool" else None
        case "int" | "float" if not isinstance(value, bool) and isinstance(value, int | float | str):
            return _number(value, whole=node.kind == "int")
        case "str" | "choice" if not isinstance(value, bool):
            return str(value)
        case "choice":  # YAML takes On and Off for yes and no
            words = _TRUE if value else _FALSE
            return next((choice for choice in node.choices if choice.lower() in words), None)
    return None


def _number(value: float | str, *, whole: bool) -> float | None:
    try:
        number = float(value)
        if not whole:
            return number
        return int(value) if isinstance(value, str) or number.is_integer() else None
    except (ValueError, OverflowError):
        return None
