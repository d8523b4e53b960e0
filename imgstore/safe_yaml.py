"""YAML from strangers: no tags, no merge keys, and nothing that unfolds into more than it says.

A file of 400 bytes with merge keys can block a safe loader for seconds, and one with aliases of aliases makes
whoever prints what it holds run out of time.
"""

import yaml

from imgstore.errors import MetadataError

MAX_BYTES = 1 << 20

_MOST_NODES = 100_000  # with aliases unfolded
_DEEPEST = 64  # lists in lists: what others do with it, printing or JSON, recurses
_LONGEST_NUMBER = 100  # characters; longer ones take hours to multiply out, or cannot be printed
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # many times faster in C


class _Loader(_BASE):  # type: ignore[misc, valid-type]  # mypy wants classes that it knows beforehand
    """Safe YAML without merge keys."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse `<<`; the base class would expand it."""
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise MetadataError("merge keys (<<) are not allowed")


def parse_yaml(data: bytes) -> object:
    """Return what YAML (or JSON) says. Raises MetadataError, in one line."""
    if len(data) > MAX_BYTES:
        raise MetadataError(f"it is over {MAX_BYTES} bytes")
    loader: yaml.SafeLoader | None = None
    try:
        _check_events(data)
        loader = _Loader(data)
        node = loader.get_single_node()
        if node is None:
            return None
        if _unfolded(node, {}) > _MOST_NODES:
            raise MetadataError("its aliases unfold into too much")
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as exc:
        if isinstance(exc, MetadataError):
            raise  # ours; all others are what PyYAML raises for values that are not what their tag says
        raise MetadataError((str(exc).splitlines() or [type(exc).__name__])[0]) from exc
    finally:
        if loader is not None:
            loader.dispose()


def _check_events(data: bytes) -> None:
    """Raise MetadataError if there is so much, or so deep, that building it would take all memory or time."""
    depth = 0
    for count, event in enumerate(yaml.parse(data, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise MetadataError(f"it is nested more than {_DEEPEST} deep")
        if count > 2 * _MOST_NODES:
            raise MetadataError(f"it holds over {_MOST_NODES} values")


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many nodes there are, each counted as often as it stands.

    Raises MetadataError for a node within itself, and a number that is none.
    """
    if id(node) in known:
        if not known[id(node)]:
            raise MetadataError("an alias stands within what it stands for")
        return known[id(node)]
    known[id(node)] = 0  # until all of it is counted
    total = 1
    if isinstance(node, yaml.MappingNode):
        total += sum(_unfolded(key, known) + _unfolded(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_unfolded(item, known) for item in node.value)
    elif node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
        raise MetadataError(f"a number has {len(node.value)} digits")
    known[id(node)] = total
    return total
