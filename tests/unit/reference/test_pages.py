"""A page for GitHub becomes one for the site: its links, its lists, its picture, and its place in the navigation."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from mkdocs.exceptions import PluginError

from reference.pages import PICTURE, linked, nested, pictured, unfolded
from tests.unit.pages import PAGES, ROOT, prose

WEB = "https://git.example/us/ours"


def led(markdown: str, source: str = "runbooks/node-down.md") -> str:
    return linked(markdown, source, ROOT, WEB)


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("[a](../../Makefile)", f"[a]({WEB}/blob/main/Makefile)"),
        ("[a](../../README.md#the-architecture)", f"[a]({WEB}/blob/main/README.md#the-architecture)"),
        ("[a](../../examples/)", f"[a]({WEB}/tree/main/examples)"),
        ("[a](../adr)", f"[a]({WEB}/tree/main/docs/adr)"),
        ("[a](../state.md#a-stack)", "[a](../state.md#a-stack)"),
        ("[a](gone.md)", "[a](gone.md)"),
        ("[a](#here)", "[a](#here)"),
        (
            "[a](https://a.example/x#y) [b](mailto:a@b.example)",
            "[a](https://a.example/x#y) [b](mailto:a@b.example)",
        ),
    ],
)
def test_a_link_that_leaves_the_docs_leads_to_the_repository(written: str, becomes: str) -> None:
    assert led(f"x {written} y") == f"x {becomes} y"


def test_what_is_no_link_stays() -> None:
    fenced = "```sh\necho '[a](../../Makefile)'\n```\n"
    assert led(fenced + "[a](../../Makefile)") == fenced + f"[a]({WEB}/blob/main/Makefile)"


def test_what_belongs_to_a_list_item_is_indented_by_four() -> None:
    assert nested(
        "1. One:\n\n   ```sh\n   a \\\n     b\n   ```\n\n   - inner\n     more\n2. Two\n\nText\n\n    code\n"
    ) == (
        "1. One:\n\n    ```sh\n    a \\\n      b\n    ```\n\n    - inner\n        more\n2. Two\n\nText\n\n    code\n"
    )


def test_a_marker_in_a_block_opens_no_list() -> None:
    block = "```yaml\n- one:\n  two: 2\n```\n"
    assert nested(block) == block


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_a_list_and_a_table_are_parted_from_the_text_above(page: str) -> None:
    """GitHub needs no empty line there; Python-Markdown would take them for text."""
    begins = re.compile(r" *([-*+]|\d+\.) |\|")
    lines = prose(PAGES[page]).split("\n")
    joined = [
        line
        for above, line in pairwise(lines)
        if begins.match(line) and above.strip() and not above.startswith(" ") and not begins.match(above)
    ]
    assert joined == []


def test_the_picture_comes_from_the_readme() -> None:
    readme = "# R\n<!-- picture: rehearse draw --stack live -->\n```mermaid\na --> b\n```\n<!-- end of picture -->\n"
    assert pictured(f"x\n\n{PICTURE}\n\ny", readme) == "x\n\n```mermaid\na --> b\n```\n\ny"
    assert pictured("x", "no picture") == "x"
    with pytest.raises(PluginError, match=r"README\.md has no picture"):
        pictured(PICTURE, "no picture")


def test_a_folder_stands_for_its_pages(tmp_path: Path) -> None:
    (tmp_path / "books" / "inner").mkdir(parents=True)
    for name in ("b.md", "README.md", "A.md", "note.txt", "inner/c.md"):
        (tmp_path / "books" / name).touch()
    assert unfolded([{"Books": "books/"}, "index.md", {"More": ["x.md", "books/inner/"]}], tmp_path) == [
        {"Books": ["books/README.md", "books/A.md", "books/b.md"]},
        "index.md",
        {"More": ["x.md", ["books/inner/c.md"]]},
    ]
    with pytest.raises(PluginError, match="the folder books/none/, which has no page"):
        unfolded(["books/none/"], tmp_path)
