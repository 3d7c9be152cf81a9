"""Every link of every page leads to a file that is there, and to a heading in it where it names one."""

from pathlib import Path

import pytest

from tests.unit.pages import PAGES, ROOT, anchors, links


def dead(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found: list[str] = []
    for target in links(text):
        name, _, fragment = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        there = path.is_file() or (path.is_dir() and not fragment)
        if not there or (fragment and fragment not in anchors(text if path == page else path.read_text())):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert dead(ROOT / page, PAGES[page]) == []


def test_what_leads_nowhere_is_found() -> None:
    text = (
        "# One\n[here](#one) [there](docs/state.md#a-stack) [a folder](docs/adr) `[code](no.md)` [web](https://a.example/#x)\n"
        "[no heading](#two) [no such](docs/state.md#no-such) [gone](docs/gone.md) [defined][d]\n\n[d]: docs/nor-this.md\n"
        "```sh\n[in a fence](neither.md)\n```\n"
    )
    assert dead(ROOT / "README.md", text) == [
        "#two",
        "docs/state.md#no-such",
        "docs/gone.md",
        "docs/nor-this.md",
    ]


def test_the_pages_are_found_at_all() -> None:
    assert {
        "README.md",
        "docs/state.md",
        "docs/runbooks/recovery/README.md",
        "docs/adr/0001-run-the-program-inline.md",
    } <= {*PAGES}
