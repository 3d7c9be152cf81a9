"""The site of the docs builds without a warning and without a look at the network, whole and with its pictures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.unit.pages import PAGES, ROOT

OFFLINE: Final = (
    "import socket, sys\n"
    "def refuse(*_, **__): raise OSError('the site asks the network')\n"
    "socket.socket.connect = socket.getaddrinfo = refuse\n"
    "from mkdocs.__main__ import cli; cli()\n"
)
"""mkdocs, for which there is no network."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make site` builds."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-c", OFFLINE, "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = built.stdout + built.stderr
    assert built.returncode == 0, said
    # What it does not log it does not count as a warning either.
    assert "INFO    -  Documentation built" in said
    assert "WARNING" not in said
    return folder


def html(site: Path, page: str) -> str:
    """A page of the site by its name in `docs/`."""
    name = re.sub(r"(^|/)(README|index)$", "", page.removesuffix(".md"))
    return (site / name / "index.html").read_text()


def test_every_page_of_the_docs_is_there(site: Path) -> None:
    for page in PAGES:
        if page.startswith("docs/"):
            assert "<article" in html(site, page.removeprefix("docs/")), page


def test_every_page_is_found_from_the_first(site: Path) -> None:
    """The navigation names it, so that nobody needs its address."""
    linked = set(re.findall(r'<a href="([^"#:]*)"', html(site, "index.md")))
    for page in PAGES:
        if page.startswith("docs/"):
            name = re.sub(r"(^|/)(README|index)$", "", page.removeprefix("docs/").removesuffix(".md"))
            assert f"{name}/".lstrip("/") in linked or name == "", page


def test_the_pictures_are_in_it(site: Path) -> None:
    first = html(site, "index.md")
    assert first.count('class="mermaid"') == 2, "the way of a version, and the architecture"
    assert "live-traffic" in first
    assert 'class="mermaid"' in html(site, "rollouts.md")


def test_a_link_out_of_the_docs_leads_to_the_repository(site: Path) -> None:
    repository = "https://github.com/quikapp/operations"
    state = html(site, "state.md")
    assert f'href="{repository}/blob/main/bootstrap/Pulumi.backend.yaml"' in state
    assert 'href="../adr/0019-the-state-has-a-home-of-its-own/"' in state
    assert f'href="{repository}/tree/main/examples"' in html(site, "reference/components.md")


def test_a_block_in_a_list_belongs_to_its_step(site: Path) -> None:
    """GitHub indents by the width of the marker, Python-Markdown by four."""
    (steps,) = re.findall(r"<ol>.*?</ol>", html(site, "runbooks/cpu-usage.md"), re.DOTALL)
    assert steps.count("<li>") == steps.count('<div class="highlight">') == 3


def test_the_components_are_told_with_their_arguments(site: Path) -> None:
    page = html(site, "reference/components.md")
    for name in (
        "components.network.NetworkArgs",
        "components.slots.Slot",
        "components.monitoring.stack.Monitoring",
    ):
        assert f'id="{name}"' in page
    assert "Addresses of the VPC" in page


def test_every_module_with_a_component_is_in_the_reference() -> None:
    told = re.findall(r"^::: (\S+)$", PAGES["docs/reference/components.md"], re.MULTILINE)
    components = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "components").rglob("*.py")
        if re.search(
            r"^class [A-Z]\w*\((pulumi\.ComponentResource|Workload)\)", path.read_text(), re.MULTILINE
        )
    ]
    assert sorted({*told} & {*components}) == sorted(components)
    assert len(told) == len({*told})
