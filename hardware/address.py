"""Addresses on the network as they may be shown: a password in one is nobody's business."""

import re

_QUERY = re.compile(r"[?#]")
_VALUE = re.compile(r"=[^/&;]*")


def without_secrets(text: str) -> str:
    """Return a source or URL without user, password, query, and values in its path; other text as it is.

    Rather too much is left out than too little: a password may hold any character.
    """
    scheme, colon, rest = text.partition("://")
    if not colon:
        return text
    path = _QUERY.split(rest, maxsplit=1)[0]
    if "@" in rest[len(path) :]:  # a question mark in a password, or an at sign in a query: who knows
        return f"{scheme}://..."
    return f"{scheme}://" + _VALUE.sub("=...", path.rpartition("@")[2])
