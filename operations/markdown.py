"""Text of others in what GitHub shows: it ends no cell of a table, closes no block, and calls nobody."""

import re
from typing import Final

SHOWN_CHARACTERS: Final = 100
"""Of a name; what is beyond is cut."""

SHOWN_LINES: Final = 20
"""Of a message; what is beyond is cut."""

_HARMLESS: Final = re.compile(r"[A-Za-z0-9 .,:;()%/-]*", re.ASCII)


def code(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Return text in one line, as code."""
    return f"`{_plain(text, characters).replace('|', '¦')}`"


def words(text: str) -> str:
    """Return text as it stands where it holds words, numbers and harmless marks alone, else as code."""
    return text if _HARMLESS.fullmatch(text) and len(text) <= SHOWN_CHARACTERS else code(text)


def block(text: str) -> list[str]:
    """Return a message of several lines as a block of code; at most twenty lines, each of them cut."""
    lines = text.splitlines()
    more = [f"… and {len(lines) - SHOWN_LINES} lines more"] if len(lines) > SHOWN_LINES else []
    shown = (_plain(line, 2 * SHOWN_CHARACTERS) for line in lines[:SHOWN_LINES])
    return ["```text", *shown, *more, "```"]


def _plain(text: str, characters: int) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in text[:characters])
    return printable.replace("`", "?")
