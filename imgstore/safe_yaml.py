"""YAML from strangers: no tags, no merge keys, and nothing that unfolds into more than it says.

A file of 400 bytes with merge keys can block a safe loader for seconds, and one with aliases of aliases makes
whoever prints what it holds run out of time.
"""

import yaml

from imgstore.errors import MetadataError

MAX_BYTES = 1 << 20

_MOST_NODES = 100_000  # with aliases unfolded


class _Loader(yaml.SafeLoader):
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
    loader: _Loader | None = None
    try:
        loader = _Loader(data)
        node = loader.get_single_node()
        if node is None:
            return None
        if _unfolded(node, {}) > _MOST_NODES:
            raise MetadataError("its aliases unfold into too much")
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise MetadataError((str(exc).splitlines() or [type(exc).__name__])[0]) from exc
    finally:
        if loader is not None:
            loader.dispose()


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many nodes there are, each counted as often as it stands; in itself once."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 1
    total = 1
    if isinstance(node, yaml.MappingNode):
        total += sum(_unfolded(key, known) + _unfolded(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_unfolded(item, known) for item in node.value)
    known[id(node)] = total
    return total
