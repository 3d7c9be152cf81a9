"""The Markdown of the repository, read: its pages, and what stands in one."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def _pages() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for folder in ROOT.iterdir():
        if (
            folder.is_dir()
            and (folder.name == ".github" or folder.name[0] not in "._")
            and folder.name != "dist"
        ):
            yield from folder.rglob("*.md")


PAGES: Final = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(_pages())}
"""Every page, by its path in the repository."""


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language and what is in it."""

    language: str
    body: str


def fences(text: str, language: str | None = None) -> list[Fence]:
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    made = [Fence(name, textwrap.dedent(body)) for _, name, body in found]
    return [fence for fence in made if language in (None, fence.language)]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code(text: str) -> list[str]:
    """What stands between backticks in the prose."""
    return re.findall(r"`([^`]+)`", prose(text))


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next of its level or above."""
    level, after = re.split(rf"^(#+) {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)[1:]
    return re.split(rf"^#{{1,{len(level)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str) -> list[dict[str, str]]:
    """The first table of a text, a mapping from column to cell for each row."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(header, row, strict=True)) for row in rows]


def anchors(text: str) -> set[str]:
    """The fragments that headings make, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """The targets of all links of a page, those that lead to the web left out."""
    written = re.findall(
        r"\]\(([^)]+)\)|^\[[^\]]+\]: (\S+)$", re.sub(r"`[^`]*`", "", prose(text)), re.MULTILINE
    )
    targets = [inline or defined for inline, defined in written]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]
