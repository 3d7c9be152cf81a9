"""Names that stay within the length limit of the service that keeps them.

A name that is too long is cut and ended by a hash of the whole, so that two long names that begin alike stay
apart and a name never changes between two runs.
"""

from hashlib import sha256
from typing import Final

APPLICATION: Final = "quikapp"
"""The product's name as it begins the names of things in AWS and Kubernetes."""

AGENTS_NAMESPACE: Final = "node-agents"
"""Kubernetes namespace of what reads its node's files, which no restricted namespace lets it."""

HASH_LENGTH: Final = 8
"""Characters of the hash that ends a cut name: 32 bits, ample for the few names of one account."""


def fit(name: str, limit: int) -> str:
    """Return `name`, cut to `limit` characters where it is longer.

    The cut name ends in a hyphen and eight hexadecimal digits of the SHA-256 of the whole name; it never has two
    hyphens in a row where it was cut.

    Raises:
        ValueError: the limit leaves no room for at least one character before the hash.
    """
    if limit < HASH_LENGTH + 2:
        raise ValueError(f"a limit of {limit} characters leaves no room for a name and its hash")
    if len(name) <= limit:
        return name
    digest = sha256(name.encode()).hexdigest()[:HASH_LENGTH]
    return f"{name[: limit - HASH_LENGTH - 1].rstrip('-')}-{digest}"


def join(*parts: str, limit: int) -> str:
    """Return the parts joined by hyphens, within `limit` characters (see `fit`)."""
    return fit("-".join(parts), limit)
