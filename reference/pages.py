"""What the site needs beyond the pages of `docs/`, which are written to be read on GitHub too. MkDocs calls the two `on_…` functions.

Source: https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias, cast

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

Nav: TypeAlias = "str | list[Nav] | dict[str, Nav]"
"""A part of the navigation: a page or a folder, several parts, or parts with a title."""

DOCS: Final = "docs"
"""The folder of the pages, in the repository."""

PICTURE: Final = "<!-- the picture of README.md -->"
"""Where a page wants the picture that `rehearse draw` made, whose home is the README."""

_DRAWN: Final = re.compile(r"<!-- picture: [^\n]* -->\n(.*?)<!-- end of picture -->", re.DOTALL)
_FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<=\]\()[^()\s]+(?=\))")
_MARKER: Final = re.compile(r"([-*+]|\d+\.) +")
_NESTED: Final = 4
"""Spaces that a paragraph of a list item is indented by in Python-Markdown; GitHub takes the width of the marker."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let a folder in the navigation stand for its pages."""
    config.nav = unfolded(cast("Nav", config["nav"]), Path(config.docs_dir))
    return config


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Turn a page for GitHub into one for the site."""
    root = Path(config.docs_dir).parent
    whole = pictured(markdown, (root / "README.md").read_text())
    return nested(linked(whole, page.file.src_uri, root, config.repo_url or ""))


def unfolded(nav: Nav, docs: Path) -> Nav:
    """The navigation with each folder, which ends with a slash, replaced by its pages: the index first, then by name.

    Raises:
        PluginError: the folder has no page.
    """
    match nav:
        case list():
            return [unfolded(entry, docs) for entry in nav]
        case dict():
            return {title: unfolded(entry, docs) for title, entry in nav.items()}
        case str() if nav.endswith("/"):
            found = sorted((docs / nav).glob("*.md"), key=lambda path: (path.name != "README.md", path.name))
            if not found:
                raise PluginError(f"mkdocs.yml names the folder {nav}, which has no page")
            return [path.relative_to(docs).as_posix() for path in found]
        case str():
            return nav


def pictured(markdown: str, readme: str) -> str:
    """The page with the README's picture where it wants it.

    Raises:
        PluginError: the README has no picture.
    """
    if PICTURE not in markdown:
        return markdown
    drawn = _DRAWN.search(readme)
    if drawn is None:
        raise PluginError("README.md has no picture between its two comments")
    return markdown.replace(PICTURE, drawn[1].strip())


def linked(markdown: str, source: str, root: Path, repository: str) -> str:
    """The page with each link to a file or folder that is no page led to the repository, as it is on its main branch.

    Args:
        markdown: the page.
        source: its path within the docs.
        root: the repository here.
        repository: where the repository is on the web.
    """

    def lead(match: re.Match[str]) -> str:
        target, _, fragment = match[0].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(DOCS, posixpath.dirname(source), target))
        if path.startswith(f"{DOCS}/") and path.endswith(".md"):
            return match[0]  # the site's own, which MkDocs checks
        view = "tree" if (root / path).is_dir() else "blob"
        return f"{repository}/{view}/main/{path}" + (f"#{fragment}" if fragment else "")

    return _outside_fences(markdown, lambda text: _LINK.sub(lead, text))


def nested(markdown: str) -> str:
    """The page with what belongs to a list item indented as far as Python-Markdown wants it."""
    return "\n".join(_nested(markdown.split("\n")))


def _nested(lines: list[str]) -> Iterator[str]:
    offsets: list[int] = []
    """Where the text of each open list item begins."""
    fenced = False
    for line in lines:
        text = line.lstrip(" ")
        if not text:
            yield line
            continue
        indent = len(line) - len(text)
        if not fenced:
            while offsets and indent < offsets[-1]:
                offsets.pop()
        offset = offsets[-1] if offsets else 0
        yield " " * _NESTED * len(offsets) + line[offset:]
        if text.startswith("```"):
            fenced = not fenced
        elif not fenced and (marker := _MARKER.match(line, indent)):
            offsets.append(marker.end())


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    changed: list[str] = []
    end = 0
    for fence in _FENCE.finditer(markdown):
        changed += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*changed, change(markdown[end:])])
